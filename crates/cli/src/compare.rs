//! `tapestry compare`: how two conversations differ once ids, times and carriers are set aside.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use recording::compare::{compare, render};
use recording::tape::missing;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::tapes::{self, Format};

/// Compare two tapes and print each pair of messages that differs. Prints nothing if none does.
///
/// Ids, names and texts are renamed by first occurrence; times, carriers and batches are set aside. Exit code 1 means a
/// difference.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tape to compare with; `-` reads stdin.
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The tape that is compared.
    #[arg(value_name = "B")]
    after: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.before == Path::new("-") && args.after == Path::new("-") {
        return Err(Failure::usage(anyhow!("only one of the tapes can be read from stdin")));
    }
    let (before, after) = (tapes::read_whole(&args.before)?, tapes::read_whole(&args.after)?);
    for (file, tape) in [(&args.before, &before), (&args.after, &after)] {
        if let Some(missing) = missing(&tape.losses()) {
            // With stderr gone nobody reads it; the marks say the same.
            let _ = writeln!(anstream::stderr(), "warning: `{}`: {missing}", file.display());
        }
    }
    let differences = compare(&before, &after);
    match args.format {
        Format::Text => output::print(&render::text(&differences, tapes::WIDTH))?,
        Format::Json => output::print_json(&render::json(&differences))?,
    }
    Ok(if differences.is_empty() { Exit::Success } else { Exit::Unexpected })
}
