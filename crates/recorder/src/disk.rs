//! Where a tape is written, be it that of a recorder or of a chat.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

/// How long a unit may stay unsynced.
pub const SYNC_WITHIN: Duration = Duration::from_secs(1);

/// A file, or what stands for one in a test.
pub trait Disk: Send {
    /// Appends whole units with one write.
    ///
    /// # Errors
    ///
    /// What the operating system says; a part of the units may be there then.
    fn append(&mut self, units: &[u8]) -> io::Result<()>;

    /// Waits until everything has reached the device.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, units: &[u8]) -> io::Result<()> {
        self.write_all(units)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
