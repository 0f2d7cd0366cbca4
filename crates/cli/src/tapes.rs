//! Tapes from files, and how the commands that judge them may print.

use std::io::Write;
use std::path::{Path, PathBuf};

use ::conformance::cases::cases;
use ::conformance::clients::scenarios;
use anyhow::{Error, anyhow};
use clap::ValueEnum;
use recording::pack::{self, UnpackError};
use recording::redaction::Keep;
use recording::tape::{ReadError, Tape};
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::{files, output};

/// How wide the lines of a text are, in columns.
pub(crate) const WIDTH: usize = 100;

/// How a command prints what it found.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Reads a tape from a file, packed or not, or from stdin for `-`. A torn end is cut off.
pub(crate) fn read(path: &Path) -> Result<Tape, Failure> {
    parse(path, &bytes(path)?)
}

/// The same for a tape that is to be judged: a part that begins in the middle of a conversation is none.
pub(crate) fn read_whole(path: &Path) -> Result<Tape, Failure> {
    let tape = read(path)?;
    match tape.header().part {
        Some(part) if part.number > 1 => {
            let error = anyhow!(
                "`{}` is part {} of a recording: what its conversations begin with stands in the parts before",
                path.display(),
                part.number
            );
            Err(Failure::usage(error).hint("make one tape of all parts first: `tapestry tape join PART... -o FILE`"))
        }
        Some(_) | None => Ok(tape),
    }
}

/// Words that the audit may take: those that the user allows, and the names of our own cases.
pub(crate) fn harmless(allow: &[String]) -> Vec<String> {
    let cases = cases().iter().chain(scenarios()).map(|case| case.id.to_owned());
    allow.iter().cloned().chain(cases).collect()
}

/// The bytes of a file, unpacked if it is packed. What is lost of a packed one is told on stderr.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    unpacked(path, files::read(path)?)
}

/// The same for bytes that were read from that file.
pub(crate) fn unpacked(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if !pack::is_packed(&bytes) {
        return Ok(bytes);
    }
    let unpacked = pack::unpack(&bytes).map_err(|error| {
        let hint = match error {
            UnpackError::Frame { .. } => "take the file from its origin again",
            UnpackError::TooLong => "unpack it with zstd and split it",
        };
        Failure::usage(Error::new(error).context(format!("`{}`", path.display()))).hint(hint)
    })?;
    // Without a whole first line it is no tape, and that is no fault of the recorder.
    if unpacked.is_cut && !unpacked.bytes.contains(&b'\n') {
        let error = anyhow!("`{}` is a packed tape that is cut off in its first frame", path.display());
        return Err(Failure::usage(error).hint("take the file from its origin again: nothing can be read of it"));
    }
    if unpacked.is_cut {
        // With stderr gone nobody reads it; the status of the tape says the same.
        let _ = writeln!(anstream::stderr(), "warning: `{}` is cut off in its last frame", path.display());
    }
    if pack::is_packed(&unpacked.bytes) {
        return Err(Failure::usage(anyhow!("`{}` is packed twice", path.display()))
            .hint("unpack it once with `tapestry tape unpack`"));
    }
    Ok(unpacked.bytes)
}

/// Reads the bytes of a tape.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Tape, Failure> {
    told(path, Tape::read(bytes))
}

/// What came of reading a file; tells if it is not redacted.
pub(crate) fn told(path: &Path, read: Result<Tape, ReadError>) -> Result<Tape, Failure> {
    let tape = read.map_err(|error| no_tape(path, error))?;
    if tape.header().keep == Keep::Everything {
        let _ = writeln!(
            anstream::stderr(),
            "warning: `{}` is not redacted: what is shown may hold secrets",
            path.display()
        );
    }
    Ok(tape)
}

/// A file is no tape.
pub(crate) fn no_tape(path: &Path, error: ReadError) -> Failure {
    let hint = error.hint();
    Failure::usage(Error::new(error).context(format!("`{}`", path.display()))).hint(hint)
}

/// Judges files one after the other, prints what each comes to, and gives the worst exit code. Programs get one list.
pub(crate) fn judge_each<T>(
    paths: &[PathBuf],
    format: Format,
    judge: impl Fn(&Path) -> Result<(T, Exit), Failure>,
    text: impl Fn(&T, &str) -> String,
    json: impl Fn(&T, &str) -> Value,
) -> Result<Exit, Failure> {
    files::stdin_once(paths)?;
    let (mut worst, mut reports) = (Exit::Success, Vec::new());
    for file in paths {
        let (found, exit) = judge(file)?;
        let name = file.display().to_string();
        match format {
            Format::Text => output::print(&text(&found, &name))?,
            Format::Json => reports.push(json(&found, &name)),
        }
        worst = worst.worse(exit);
    }
    if format == Format::Json {
        output::print_json(&Value::from(reports))?;
    }
    Ok(worst)
}
