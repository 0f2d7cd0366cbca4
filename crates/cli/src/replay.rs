//! `tapestry replay`: the recorded server side against the live client machine, offline.

use std::path::PathBuf;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::tapes::{self, Format};

/// Play the server side of a tape to the chat client and list where it does something else than the client on the tape.
///
/// Time is virtual, so a chat of an hour takes no time, and two replays print the same bytes. Exit code 1 means a divergence.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tape; `-` reads stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let replay = replayer::replay(&tapes::read(&args.file)?);
    match args.format {
        Format::Text => output::print(&replay.text(tapes::WIDTH))?,
        Format::Json => output::print_json(&replay.json())?,
    }
    Ok(Exit::from_code(replay.exit_code()))
}
