//! Tapes from files, and how the commands that judge them may print.

use std::path::Path;

use anyhow::Error;
use clap::ValueEnum;
use recording::tape::{ReadError, Tape};

use crate::exit::Failure;
use crate::files;

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

/// Reads a tape from a file, or from stdin for `-`. A torn end is cut off.
pub(crate) fn read(path: &Path) -> Result<Tape, Failure> {
    let bytes = files::read(path)?;
    Tape::read(&bytes).map_err(|error: ReadError| {
        let hint = error.hint();
        Failure::usage(Error::new(error).context(format!("`{}`", path.display()))).hint(hint)
    })
}
