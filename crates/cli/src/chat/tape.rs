//! The file of a chat's tape. It grows while the chat goes on, and nothing that becomes of it is a reason to end the chat.

use std::io;
use std::path::{Path, PathBuf};

use protocol::time::Time;
use recorder::{Disk, SYNC_WITHIN};

use super::screen::note;
use crate::exit::Failure;
use crate::files;

/// A tape that is being written.
pub(super) struct TapeFile {
    path: PathBuf,
    disk: Box<dyn Disk>,
    synced: Time,
    failed: bool,
}

impl TapeFile {
    /// Makes the file, which must not exist yet.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let error = anyhow::anyhow!("`--tape -` is no file: a tape is not written to the standard output");
            return Err(Failure::usage(error)
                .hint("give a file name such as chat.tape.jsonl; `./-` if it is to be called that"));
        }
        let file = files::begin(path, "--tape")?;
        Ok(Self { path: path.to_path_buf(), disk: Box::new(file), synced: Time::ZERO, failed: false })
    }

    /// Takes the file away again, because there is nothing to record.
    pub(super) fn discard(self) {
        let Self { path, disk, .. } = self;
        drop(disk);
        // An empty file harms nobody.
        let _ = std::fs::remove_file(path);
    }

    /// Appends units. The counter of a tape has no gaps, so it ends with the first that cannot be written.
    pub(super) fn append(&mut self, now: Time, units: &[u8]) {
        if self.failed || units.is_empty() {
            return;
        }
        let is_due = now.since(self.synced) >= SYNC_WITHIN;
        let written = self.disk.append(units).and_then(|()| if is_due { self.disk.sync() } else { Ok(()) });
        if is_due {
            self.synced = now;
        }
        self.check(written);
    }

    /// Waits until everything has reached the device; says whether the tape is whole.
    pub(super) fn close(mut self) -> bool {
        if !self.failed {
            let synced = self.disk.sync();
            self.check(synced);
        }
        !self.failed
    }

    fn check(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failed = true;
            note(&format!(
                "warning: `{}` cannot be written and ends here: {error}; the chat goes on without it",
                self.path.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A disk with room for so many bytes.
    struct Full(Arc<Mutex<Vec<u8>>>, usize);

    impl Disk for Full {
        fn append(&mut self, units: &[u8]) -> io::Result<()> {
            let mut kept = self.0.lock().unwrap();
            if kept.len() + units.len() > self.1 {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            kept.extend(units);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn on(room: usize) -> (TapeFile, Arc<Mutex<Vec<u8>>>) {
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let disk = Box::new(Full(Arc::clone(&kept), room));
        (TapeFile { path: PathBuf::from("x"), disk, synced: Time::ZERO, failed: false }, kept)
    }

    #[test]
    fn ends_with_the_first_unit_that_does_not_fit() {
        let (mut tape, kept) = on(7);
        for unit in ["one", "three", "ten"] {
            tape.append(Time::ZERO, unit.as_bytes());
        }
        assert_eq!(kept.lock().unwrap().as_slice(), b"one");
        assert!(!tape.close());
    }

    #[test]
    fn is_whole_when_everything_fits() {
        let (mut tape, kept) = on(7);
        tape.append(Time::from_millis(2_000), b"one");
        assert_eq!(kept.lock().unwrap().as_slice(), b"one");
        assert!(tape.close());
    }
}
