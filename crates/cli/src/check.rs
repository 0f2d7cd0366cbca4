//! `tapestry check`: the passive rules over tapes.

use std::path::PathBuf;

use ::conformance::check::check;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output;
use crate::tapes::{self, Format};

/// Check whether recorded conversations break a rule, on either side.
///
/// Exit code 1 means a broken rule; 3 that nothing is wrong but a tape is interrupted or holds nothing to judge.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Tapes; `-` reads stdin.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut exit = Exit::Success;
    let mut reports: Vec<Value> = Vec::new();
    for file in &args.files {
        let report = check(&tapes::read(file)?);
        let name = file.display().to_string();
        match args.format {
            Format::Text => output::print(&report.text(&name))?,
            Format::Json => reports.push(report.json(&name)),
        }
        exit = exit.worse(Exit::from_code(report.exit_code()));
    }
    if args.format == Format::Json {
        output::print_json(&json!(reports))?;
    }
    Ok(exit)
}
