//! `tapestry check`: the passive rules over tapes.

use std::path::{Path, PathBuf};

use ::conformance::check::{CheckReport, check};

use crate::exit::{Exit, Failure};
use crate::tapes::{self, Format};

/// Check whether recorded conversations break a rule, on either side.
///
/// Where a tape says that something is missing, only what one message shows by itself is held against anybody; the rest is
/// inconclusive. Exit code 1 means a broken rule; 3 that nothing is wrong but a tape is interrupted, lacks something or holds nothing
/// to judge.
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
    let judge = |file: &Path| {
        let report = check(&tapes::read_whole(file)?);
        let exit = Exit::from_code(report.exit_code());
        Ok((report, exit))
    };
    tapes::judge_each(&args.files, args.format, judge, CheckReport::text, CheckReport::json)
}
