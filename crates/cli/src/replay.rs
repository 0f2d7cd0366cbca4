//! `tapestry replay`: a tape without its server. That of a conformance case is judged again, our own client does once more
//! what it did on its tape; of any other the recorded server side is played to the live client machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::conformance::expectations::{Expectations, SIMULATOR};
use ::conformance::replay::{Recorded, Unfit};
use ::conformance::report::{About, Again, Report, json, text};
use recording::tape::{Status, Tape};

use crate::conformance::{expectations, quoted};
use crate::exit::{Exit, Failure};
use crate::tapes::{self, Format};
use crate::{live, output};

/// Judge the tape of a conformance case again without the server, or play the server side of any other tape to the chat client
/// and list where it does something else than the client on the tape.
///
/// Time is virtual, so a chat of an hour takes no time, and two replays print the same bytes. Of a conformance case the output
/// and the exit code are those of a run of this case alone; for other tapes exit code 1 means a divergence, 3 that the tape is not
/// whole or lacks something.
///
/// A tape of `tapestry chat --tape` has all that went into our own client: it gets the same again, and must do exactly the same.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tape; `-` reads stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Known departures of the target of a conformance case, a TOML file.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let tape = tapes::read_whole(&args.file)?;
    let recorded = Recorded::read(tape.header()).map_err(|unfit: Unfit| {
        let error = anyhow::Error::new(unfit).context(format!("`{}`", args.file.display()));
        Failure::usage(error)
            .hint("run the case again with `tapestry conformance --report DIR`: the new tape says what it takes")
    })?;
    if let Some(recorded) = recorded {
        return judge(args, &recorded, &tape);
    }
    if args.expect.is_some() {
        let error = anyhow::anyhow!(
            "`{}` is not the tape of a conformance case, so that `--expect` says nothing about it",
            args.file.display()
        );
        return Err(Failure::usage(error)
            .hint("leave `--expect` out, or name a tape that `tapestry conformance --report DIR` left in DIR/tapes"));
    }
    let exact = replayer::exact::replay(&tape).map_err(|unfit| {
        let error = anyhow::Error::new(unfit).context(format!("`{}`", args.file.display()));
        Failure::usage(error)
            .hint("record the chat again with `tapestry chat --tape FILE`: the new tape says what it takes")
    })?;
    if let Some(replay) = exact {
        match args.format {
            Format::Text => output::print(&replay.text())?,
            Format::Json => output::print_json(&replay.json())?,
        }
        return Ok(Exit::from_code(replay.exit_code()));
    }
    let replay = replayer::replay(&tape);
    match args.format {
        Format::Text => output::print(&replay.text(tapes::WIDTH))?,
        Format::Json => output::print_json(&replay.json())?,
    }
    Ok(Exit::from_code(replay.exit_code()))
}

/// Judges the tape of a case.
fn judge(args: &Args, recorded: &Recorded, tape: &Tape) -> Result<Exit, Failure> {
    let given = expectations(args.expect.as_deref())?;
    let known =
        if recorded.embedded { Expectations::parse(SIMULATOR).map_err(Failure::internal)?.and(given) } else { given };
    let replay = ::conformance::replay::replay(recorded, tape);
    let header = tape.header();
    let is_virtual = header.source == "sim";
    let about = About {
        version: live::VERSION.to_owned(),
        target: format!("tape {}", args.file.display()),
        service: recorded.service().map(str::to_owned),
        agent: recorded.agent(),
        agent_name: None,
        seed: recorded.seed,
        started: (!is_virtual).then(|| header.start.clone()),
        took: Duration::ZERO,
        again: Again::Tape(command(&args.file)),
    };
    // Expectations held or not on the day of the run.
    let today = header.start.get(..10).unwrap_or_default().to_owned();
    let mut report = Report::new(about, vec![replay.result.clone()], None, &known, &today);
    report.about.took = replay.result.took;
    report.shortfalls = shortfalls(tape, &replay);
    match args.format {
        Format::Text => output::print(&text::render(&report))?,
        Format::Json => output::print(&json::render(&report))?,
    }
    Ok(Exit::from_code(report.exit().0.code()))
}

/// Why the verdict may not be that of the run.
fn shortfalls(tape: &Tape, replay: &::conformance::replay::Replay) -> Vec<String> {
    let torn = match tape.status() {
        Status::Complete => None,
        Status::GoesOn { part } => Some(format!("the recording goes on in part {part}")),
        Status::Aborted => Some("the recording was cut short".to_owned()),
        Status::Interrupted => Some("the tape is interrupted".to_owned()),
    };
    let early = replay.ends_early.then(|| "the tape ends before the case".to_owned());
    let parted = replay.divergence.as_ref().map(|divergence| {
        let version = &tape.header().tool;
        format!("the case parts from the tape, which version {version} left: {divergence}")
    });
    torn.into_iter().chain(early).chain(parted).collect()
}

/// The command that says the same again.
fn command(file: &Path) -> String {
    format!("tapestry replay {}", quoted(&file.display().to_string()))
}
