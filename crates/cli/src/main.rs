//! The `tapestry` command: arguments in, one exit code out. Each subcommand is a file of its own.

mod audit;
mod chat;
mod check;
mod compare;
mod conformance;
mod connection;
mod descriptors;
mod doctor;
mod exit;
mod explain;
mod files;
mod har;
mod input;
mod live;
mod memory;
mod output;
mod panic;
mod record;
mod replay;
mod requirements;
mod review;
mod serve;
mod tape;
mod tapes;
mod target;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::exit::{Exit, Failure};

/// Conformance, record and replay for Genesys Mobile Services Chat API V2 over CometD.
#[derive(Parser)]
#[command(name = "tapestry", version = live::VERSION, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log what crosses the wire to stderr, by kind and size; twice for timers too.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 990)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    Record(record::Args),
    Replay(replay::Args),
    Check(check::Args),
    Compare(compare::Args),
    Tape(tape::Args),
    Audit(audit::Args),
    Import(har::Import),
    Export(har::Export),
    Conformance(conformance::Args),
    Review(review::Args),
    Requirements(requirements::Args),
    Explain(explain::Args),
    Doctor(doctor::Args),
    Chat(chat::Args),
}

impl Command {
    fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Serve(args) => serve::run(&args),
            Self::Record(args) => record::run(&args),
            Self::Replay(args) => replay::run(&args),
            Self::Check(args) => check::run(&args),
            Self::Compare(args) => compare::run(&args),
            Self::Tape(args) => tape::run(&args),
            Self::Audit(args) => audit::run(&args),
            Self::Import(args) => har::import(&args),
            Self::Export(args) => har::export(&args),
            Self::Conformance(args) => conformance::run(&args),
            Self::Review(args) => review::run(&args),
            Self::Requirements(args) => requirements::run(&args),
            Self::Explain(args) => explain::run(&args),
            Self::Doctor(args) => doctor::run(&args),
            Self::Chat(args) => chat::run(&args),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_writer(anstream::stderr).with_max_level(level).init();
    // A panic must not look like a verdict.
    let ended = panic::caught(|| cli.command.run()).unwrap_or_else(|| {
        let error = anyhow::anyhow!("tapestry itself failed");
        Err(Failure::internal(error).hint("this is a bug: please report it with the lines above"))
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // With stderr gone there is nobody left to tell.
            let _ = writeln!(anstream::stderr(), "{failure}");
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
