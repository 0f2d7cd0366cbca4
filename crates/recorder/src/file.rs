//! The files of a recording: their names, and that none is overwritten.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::sheet::Disk;

/// How tapes end by custom.
const ENDING: &str = ".tape.jsonl";

/// Makes a new file, readable by its owner alone.
pub(crate) fn create(path: &Path) -> Result<Box<dyn Disk>, Error> {
    let named = || path.to_owned();
    match open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::AlreadyExists if !path.is_file() => Error::NoFile { path: named() },
            io::ErrorKind::AlreadyExists => Error::Exists { path: named() },
            io::ErrorKind::NotFound => Error::NoDirectory { path: named() },
            _ => Error::Create { path: named(), source: error },
        }),
    }
}

/// Refuses what no file can be named after: a folder, or something else that is no file.
pub(crate) fn check(output: &Path) -> Result<(), Error> {
    let is_name = output.file_name().is_some() && (output.is_file() || !output.exists());
    if is_name { Ok(()) } else { Err(Error::NoFile { path: output.to_owned() }) }
}

/// Opens a file of ours once more.
pub(crate) fn reopen(path: &Path) -> io::Result<Box<dyn Disk>> {
    Ok(Box::new(OpenOptions::new().append(true).open(path)?))
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    tracing::warn!("on this system others may be able to read the tape");
    OpenOptions::new().append(true).create_new(true).open(path)
}

/// The name of one of several files: `chat.0001.tape.jsonl` beside `chat.tape.jsonl`.
pub(crate) fn beside(output: &Path, word: &str) -> PathBuf {
    let (stem, ending) = split(output);
    output.with_file_name(format!("{stem}.{word}{ending}"))
}

/// A file that has such a name already, if there is one. The word of its name is given to `is_ours`.
pub(crate) fn taken(output: &Path, is_ours: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let (stem, ending) = split(output);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // A folder that cannot be read is told when the first file is made.
    let mut taken: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| {
            let word = name.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(&ending));
            word.is_some_and(&is_ours)
        })
        .map(|name| output.with_file_name(name))
        .collect();
    taken.sort();
    taken.into_iter().next()
}

fn split(output: &Path) -> (String, String) {
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(stem) = name.strip_suffix(ENDING).filter(|stem| !stem.is_empty()) {
        return (stem.to_owned(), ENDING.to_owned());
    }
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem.to_owned(), format!(".{ending}")),
        _ => (name, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn several_files_are_named_after_the_one_that_was_asked_for() {
        for (output, name) in [
            ("a/chat.tape.jsonl", "a/chat.0001.tape.jsonl"),
            ("chat.jsonl", "chat.0001.jsonl"),
            ("chat", "chat.0001"),
            (".tape.jsonl", ".tape.0001.jsonl"),
            ("../x.y.tape.jsonl", "../x.y.0001.tape.jsonl"),
        ] {
            assert_eq!(beside(Path::new(output), "0001"), Path::new(name), "{output}");
        }
    }

    #[test]
    fn names_of_another_recording_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("chat.tape.jsonl");
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        for name in ["chat.tape.jsonl", "chat.notes.tape.jsonl", "chat.0001.txt", "other.0001.tape.jsonl"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(taken(&output, is_number), None);
        let old = folder.path().join("chat.0007.tape.jsonl");
        std::fs::write(&old, "").unwrap();
        assert_eq!(taken(&output, is_number), Some(old));
    }
}
