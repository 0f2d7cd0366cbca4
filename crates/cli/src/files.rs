//! Files in and out, with errors that name them.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, anyhow};

use crate::exit::Failure;

/// The longest file that is read whole, in bytes.
const LIMIT: u64 = 1 << 30;

/// Reads a file, or stdin for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let named = || format!("failed to read `{}`", path.display());
    let mut bytes = Vec::new();
    let taken = if path == Path::new("-") {
        std::io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
    };
    taken.with_context(named).map_err(Failure::usage)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::usage(anyhow!("`{}` is longer than 1 GiB", path.display())));
    }
    Ok(bytes)
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).with_context(|| format!("`{}`", path.display())).map_err(Failure::usage)
}

/// Writes a file that only its owner can read.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    put(OpenOptions::new().write(true).create(true).truncate(true), path, bytes)
        .with_context(|| cannot_write(path))
        .map_err(Failure::usage)
}

/// The same for a file that must not be there yet.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = put(OpenOptions::new().write(true).create_new(true), path, bytes);
    let exists = written.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists);
    let failure = written.with_context(|| cannot_write(path)).map_err(Failure::usage);
    if exists { failure.map_err(|failure| failure.hint("choose another name, or move the file away")) } else { failure }
}

fn cannot_write(path: &Path) -> String {
    format!("failed to write `{}`", path.display())
}

fn put(options: &mut OpenOptions, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)?.write_all(bytes)
}
