//! Files in and out, with errors that name them.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
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
    String::from_utf8(read(path)?)
        .map_err(|_| anyhow!("`{}` is no text file: it is not UTF-8", path.display()))
        .map_err(|error| {
            Failure::usage(error).hint("name a text file; an editor can save one of another encoding as UTF-8")
        })
}

/// Writes a file that only its owner can read.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("failed to write `{}`", path.display()))
        .map_err(Failure::usage)
}
