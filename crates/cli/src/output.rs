//! What goes to stdout, for whoever still reads it.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::exit::Failure;
use crate::files;

/// Prints a result. A reader who has gone, such as `head`, has seen enough: the exit code says what was found all the same.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    given(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints bytes as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    given(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Writes a result to a new file, or to stdout for `-`.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path == Path::new("-") { print_bytes(bytes) } else { files::create(path, bytes) }
}

fn given(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("failed to write to stdout").map_err(|error| {
            Failure::incomplete(error)
                .hint("the result is not complete: make room where it goes, and run the command again")
        }),
    }
}

/// Prints a result for a program.
pub(crate) fn print_json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}
