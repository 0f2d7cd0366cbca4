//! The files of a recording: their names, and that none is overwritten.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::disk::Disk;

/// Makes a new file, readable by its owner alone, and says which one it is.
pub(crate) fn create(path: &Path) -> Result<(Box<dyn Disk>, Option<Identity>), Error> {
    let named = || path.to_owned();
    match open(path) {
        Ok(file) => {
            let identity = file.metadata().ok().map(|metadata| identity(&metadata));
            Ok((Box::new(file), identity))
        }
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
    // Compared as text: as paths, `./-` would be the same.
    if output.as_os_str() == "-" {
        return Err(Error::NoStdout);
    }
    let is_name = output.file_name().is_some() && (output.is_file() || !output.exists());
    if is_name { Ok(()) } else { Err(Error::NoFile { path: output.to_owned() }) }
}

/// Opens a file of ours once more.
pub(crate) fn reopen(path: &Path) -> io::Result<Box<dyn Disk>> {
    Ok(Box::new(OpenOptions::new().append(true).open(path)?))
}

/// Which file it is: device and inode, where there are such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;

    Identity(metadata.dev(), metadata.ino())
}

/// One for all: there, a file that is open cannot be replaced.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    Identity(0, 0)
}

/// What has become of a file while it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Astray {
    #[error("it was deleted or moved while it was written")]
    Gone,
    #[error("another file has taken its place")]
    Replaced,
    #[error("it has {found} bytes where {written} were written")]
    Changed { found: u64, written: u64 },
}

/// Compares the file at `path` with what was written there.
pub(crate) fn astray(path: &Path, ours: Identity, written: u64) -> Option<Astray> {
    let Ok(metadata) = std::fs::metadata(path) else { return Some(Astray::Gone) };
    let found = metadata.len();
    if identity(&metadata) != ours {
        return Some(Astray::Replaced);
    }
    (found != written).then_some(Astray::Changed { found, written })
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
    let (mut name, ending) = split(output);
    name.push(".");
    name.push(word);
    name.push(ending);
    output.with_file_name(name)
}

/// A file that has such a name already, if there is one. The word of its name is given to `is_ours`.
pub(crate) fn taken(output: &Path, is_ours: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let (stem, ending) = split(output);
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // A folder that cannot be read is told when the first file is made.
    let mut taken: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|file| Some(file.ok()?.file_name()))
        .filter(|name| word(name, &stem, &ending).is_some_and(&is_ours))
        .map(|name| output.with_file_name(name))
        .collect();
    taken.sort();
    taken.into_iter().next()
}

/// What stands between the parts of a name of ours. A name need not be UTF-8, its word is.
fn word<'a>(name: &'a OsStr, stem: &OsStr, ending: &OsStr) -> Option<&'a str> {
    let rest = name.as_encoded_bytes().strip_prefix(stem.as_encoded_bytes())?.strip_prefix(b".")?;
    std::str::from_utf8(rest.strip_suffix(ending.as_encoded_bytes())?).ok()
}

/// A name without its ending, and the ending: by custom `.tape.jsonl`, else whatever follows the last dot.
fn split(output: &Path) -> (OsString, OsString) {
    let name = Path::new(output.file_name().unwrap_or_default());
    let (Some(stem), Some(last)) = (name.file_stem(), name.extension()) else {
        return (name.as_os_str().to_owned(), OsString::new());
    };
    let mut ending = OsString::from(".");
    ending.push(last);
    let before = Path::new(stem);
    match (before.file_stem(), before.extension()) {
        (Some(stem), Some(tape)) if tape == "tape" && last == "jsonl" => (stem.to_owned(), ".tape.jsonl".into()),
        _ => (stem.to_owned(), ending),
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

    #[cfg(unix)]
    #[test]
    fn a_name_need_not_be_utf8() {
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
        let (output, part) = (path(b"ch\xe4t.tape.jsonl"), path(b"ch\xe4t.0001.tape.jsonl"));
        assert_eq!(beside(&output, "0001"), part);
        std::fs::write(&part, "").unwrap();
        assert_eq!(taken(&output, |word| word == "0001"), Some(part));
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
