//! `tapestry tape`: what is on a tape, and packing it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::anyhow;
use recording::join::join;
use recording::pack;
use recording::show::show;
use recording::stats::{Stats, head};
use recording::tape::{ReadError, Status, Tape};

use crate::exit::{Exit, Failure};
use crate::tapes::{self, Format};
use crate::{files, output};

/// What stands behind the name of a packed tape.
const PACKED: &str = ".zst";

/// Show what is on a tape, count it, or pack it.
///
/// Every command that reads tapes reads packed ones, too. Exit code 3 means that the tape is interrupted or was cut short, or that
/// the parts to join are not all: what is there is shown all the same.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show each message with its time, connection and session.
    Show(File),
    /// Print the lines of a tape as they stand, unpacked.
    Cat(File),
    /// Show the header, and how much there is of what.
    Head(File),
    /// Count messages, bytes and held connects by connection, session and channel.
    Stats(Counted),
    /// Pack a tape into zstd frames that do not depend on each other: one that is cut off loses at most its last frame.
    Pack(Packing),
    /// Unpack a packed tape.
    Unpack(Packing),
    /// Make one tape of the parts that `tapestry record --rotate` left.
    Join(Joining),
}

#[derive(clap::Args)]
struct Joining {
    /// All parts of one recording from the first one on, in any order.
    #[arg(value_name = "PART", required = true)]
    parts: Vec<PathBuf>,
    /// File to write; `-` writes stdout. Must not exist yet.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(clap::Args)]
struct File {
    /// The tape; `-` reads stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(clap::Args)]
struct Counted {
    /// The tape; `-` reads stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(clap::Args)]
struct Packing {
    /// The tape; `-` reads stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File to write, by default FILE with `.zst` behind it or without; `-` writes stdout. Must not exist yet.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Show(File { file }) => {
            let tape = tapes::read(file)?;
            output::print(&show(&tape, tapes::WIDTH))?;
            Ok(exit(tape.status()))
        }
        Command::Cat(File { file }) => {
            let bytes = tapes::bytes(file)?;
            let tape = tapes::parse(file, &bytes)?;
            output::print_bytes(&bytes[..bytes.len() - tape.torn()])?;
            Ok(exit(tape.status()))
        }
        Command::Head(File { file }) => {
            let tape = tapes::read(file)?;
            output::print(&head(&tape))?;
            Ok(exit(tape.status()))
        }
        Command::Stats(Counted { file, format }) => {
            let tape = tapes::read(file)?;
            let stats = Stats::of(&tape);
            match format {
                Format::Text => output::print(&stats.text())?,
                Format::Json => output::print_json(&stats.json())?,
            }
            Ok(exit(tape.status()))
        }
        Command::Pack(packing) => {
            let bytes = files::read(&packing.file)?;
            if pack::is_packed(&bytes) {
                return Err(Failure::usage(anyhow!("`{}` is packed already", packing.file.display()))
                    .hint("read it as it is: every command takes packed tapes"));
            }
            let tape = tapes::parse(&packing.file, &bytes)?;
            write(packing, &pack::pack(&bytes), |path| Some(format!("{path}{PACKED}")))?;
            Ok(exit(tape.status()))
        }
        Command::Unpack(packing) => {
            let bytes = files::read(&packing.file)?;
            if !pack::is_packed(&bytes) {
                return Err(Failure::usage(anyhow!("`{}` is not packed", packing.file.display()))
                    .hint("read it as it is, or pack it with `tapestry tape pack`"));
            }
            let bytes = tapes::unpacked(&packing.file, bytes)?;
            let tape = tapes::parse(&packing.file, &bytes)?;
            write(packing, &bytes, |path| path.strip_suffix(PACKED).map(str::to_owned))?;
            Ok(exit(tape.status()))
        }
        Command::Join(joining) => join_parts(joining),
    }
}

fn join_parts(Joining { parts, output }: &Joining) -> Result<Exit, Failure> {
    files::stdin_once(parts)?;
    let mut read = Vec::new();
    for part in parts {
        let tape = Tape::read(&tapes::bytes(part)?);
        if matches!(tape, Err(ReadError::Empty | ReadError::HeaderTorn)) {
            let part = part.display();
            // With stderr gone nobody reads it; if the part matters, it is missing.
            let _ =
                writeln!(anstream::stderr(), "warning: `{part}` holds nothing: the recorder was killed as it began it");
        } else {
            read.push((part, tapes::told(part, tape)?));
        }
    }
    let (parts, tapes): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let joined = join(&tapes).map_err(|error| {
        let (hint, tape) = (error.hint(), error.tape());
        let error = anyhow::Error::new(error);
        let error = match tape.and_then(|tape| parts.get(tape)) {
            Some(path) => error.context(format!("`{}`", path.display())),
            None => error,
        };
        Failure::usage(error).hint(hint)
    })?;
    output::put(output, &joined.bytes)?;
    if let Status::GoesOn { part } = joined.status {
        // With stderr gone nobody reads it; the exit code says the same.
        let _ = writeln!(anstream::stderr(), "warning: the recording goes on in part {part}, which was not given");
        return Ok(Exit::Incomplete);
    }
    Ok(exit(joined.status))
}

const fn exit(status: Status) -> Exit {
    match status {
        // A part that is not the last is whole by itself.
        Status::Complete | Status::GoesOn { .. } => Exit::Success,
        Status::Aborted | Status::Interrupted => Exit::Incomplete,
    }
}

/// Writes to the file that was asked for, or to one that is named like the tape.
fn write(packing: &Packing, bytes: &[u8], named: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    let own = packing.file.to_str().filter(|path| *path != "-").and_then(named).map(PathBuf::from);
    match packing.output.clone().or(own) {
        Some(path) => output::put(&path, bytes),
        None => Err(Failure::usage(anyhow!("there is no name for the file to write")).hint("give one with `--output`")),
    }
}
