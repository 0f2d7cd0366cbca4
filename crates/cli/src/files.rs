//! Files in and out, with errors that name them.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

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

/// Refuses to read stdin more than once: the first reader takes all of it.
pub(crate) fn stdin_once<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    match paths.into_iter().filter(|path| *path == Path::new("-")).count() {
        0 | 1 => Ok(()),
        _ => Err(Failure::usage(anyhow!("only one of the files can be read from stdin")).hint("name `-` once")),
    }
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?)
        .map_err(|_| anyhow!("`{}` is no text file: it is not UTF-8", path.display()))
        .map_err(|error| {
            Failure::usage(error).hint("name a text file; an editor can save one of another encoding as UTF-8")
        })
}

/// Makes a new file that only its owner can read; `option` is the one that names it.
pub(crate) fn begin(path: &Path, option: &str) -> Result<fs::File, Failure> {
    own(OpenOptions::new().write(true).create_new(true)).open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path, option),
        _ => Failure::usage(anyhow::Error::new(error).context(format!("failed to create `{}`", path.display()))),
    })
}

/// Writes a new file that only its owner can read.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = begin(path, "--output")?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a file would only stand in the way of the next attempt.
        let _ = fs::remove_file(path);
        Failure::usage(anyhow::Error::new(error).context(format!("failed to write `{}`", path.display())))
    })
}

/// A file is in the way; `option` is the one that names it.
pub(crate) fn exists(path: &Path, option: &str) -> Failure {
    Failure::usage(anyhow!("`{}` exists already", path.display()))
        .hint(format!("give another file name with `{option}`, or move the old file away: it is not overwritten"))
}

/// Writes a file that only its owner can read.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    own(OpenOptions::new().write(true).create(true).truncate(true))
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("failed to write `{}`", path.display()))
        .map_err(Failure::usage)
}

/// What is made so, only its owner can read.
fn own(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Puts a text in the place of a file in one step: whoever reads it sees the old text or the new one. A file that is there
/// keeps its permissions, a new one can be read by its owner alone.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    // A link stays one.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = write(&beside, text.as_bytes()).and_then(|()| {
        let put = || {
            if let Ok(old) = fs::metadata(path) {
                fs::set_permissions(&beside, old.permissions())?;
            }
            fs::File::open(&beside)?.sync_all()?;
            fs::rename(&beside, path)
        };
        put().with_context(|| format!("failed to write `{}`", path.display())).map_err(Failure::usage)
    });
    if written.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(&beside);
    }
    written
}
