//! One tape under way: its file, and what makes its lines.

use std::io;
use std::path::Path;

use protocol::wire::{Entry, Side};
use recording::capture::Capture;
use recording::tape::{Closer, ConnLabel, Finish};
use transport::clock::Clock;
use transport::proxy::{Event, What};

use crate::Error;
use crate::disk::Disk;
use crate::file::{self, Astray, Identity};

/// From how many microseconds on a movement of the wall clock is told.
const DRIFT: i64 = 50_000;

/// What tells the time on a tape.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) clock: Clock,
    pub(crate) rfc3339: fn(i64) -> String,
}

/// A tape and its file, if that is open.
pub(crate) struct Sheet {
    disk: Box<dyn Disk>,
    pub(crate) capture: Capture,
    wall: Wall,
    identity: Option<Identity>,
    /// Bytes in the file, if nobody else has touched it.
    written: u64,
}

impl Sheet {
    /// Makes the file and writes its first line.
    ///
    /// # Errors
    ///
    /// [`Error`] if the file exists, or cannot be created or written; then there is none.
    pub(crate) fn create(path: &Path, capture: Capture, header: &[u8]) -> Result<Self, Error> {
        let (disk, identity) = file::create(path)?;
        let begun = Self::begin(disk, path, capture, header).inspect_err(|_| {
            // A file without a header is no tape, and would stand in the way of the next attempt.
            let _ = std::fs::remove_file(path);
        })?;
        Ok(Self { identity, ..begun })
    }

    /// Writes the first line on a disk that stands for the file.
    pub(crate) fn begin(mut disk: Box<dyn Disk>, path: &Path, capture: Capture, header: &[u8]) -> Result<Self, Error> {
        let begun = disk.append(header).and_then(|()| disk.sync());
        begun.map_err(|source| Error::Create { path: path.to_owned(), source })?;
        Ok(Self { disk, capture, wall: Wall::default(), identity: None, written: header.len() as u64 })
    }

    /// Bytes that were written.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn append(&mut self, unit: &[u8]) -> io::Result<()> {
        self.disk.append(unit)?;
        self.written += unit.len() as u64;
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.disk.sync()
    }

    /// Goes on in the same file, closed or opened once more.
    pub(crate) fn handle(&mut self, disk: Box<dyn Disk>) {
        self.disk = disk;
    }

    /// Goes on in another file, which has so many bytes.
    pub(crate) fn turn(&mut self, disk: Box<dyn Disk>, identity: Option<Identity>, written: u64) {
        (self.disk, self.identity, self.written) = (disk, identity, written);
    }

    /// What has become of the file at `path`, if it is not what was written there: somebody may have moved it, or cut it.
    pub(crate) fn astray(&self, path: &Path) -> Option<Astray> {
        // A disk of a test has no file.
        let identity = self.identity?;
        file::astray(path, identity, self.written)
    }

    /// What is to be told if the wall clock has moved.
    pub(crate) fn wall(&mut self, times: Times) -> Option<Vec<u8>> {
        let (wall, drift) = times.clock.wall();
        let step = self.wall.moved(drift)?;
        Some(self.capture.clock(times.clock.now(), &(times.rfc3339)(wall / 1_000), step))
    }

    /// Makes it look as if the wall clock had moved by an hour.
    #[cfg(test)]
    pub(crate) fn move_wall(&mut self) {
        self.wall.told += 3_600_000_000;
    }

    /// The last line.
    pub(crate) fn trailer(&mut self, times: Times, is_complete: bool) -> Vec<u8> {
        let finish = if is_complete { Finish::Complete } else { Finish::Aborted };
        self.capture.finish(times.clock.now(), finish)
    }
}

/// The lines of something that the proxy saw.
pub(crate) fn unit(capture: &mut Capture, Event { at, what }: Event) -> Vec<u8> {
    match what {
        What::Opened { conn, peer } => capture.conn_open(at, ConnLabel(conn), "http/1.1", &peer, false),
        What::Closed { conn, by, error } => {
            let by = match by {
                Some(Side::Client) => Closer::Client,
                Some(Side::Server) => Closer::Server,
                None => Closer::Net,
            };
            capture.conn_close(at, ConnLabel(conn), by, error)
        }
        What::Wire { conn, from, wire } => capture.entry(Some(ConnLabel(conn)), &Entry { at, from, wire }),
        What::Note { text, .. } | What::Gap { text, .. } | What::Refused { text, .. } => capture.mark(at, &text),
        What::Full => capture.mark(at, "new clients wait here: no file descriptor left"),
        What::Lost(units) => capture.mark(at, &format!("{units} units lost here: no memory left for them")),
    }
}

/// How far the wall clock was from that of the tape when it was last told.
#[derive(Clone, Copy, Debug, Default)]
struct Wall {
    told: i64,
}

impl Wall {
    /// By how many microseconds it has moved since, if that is worth a line.
    fn moved(&mut self, drift: i64) -> Option<i64> {
        let step = drift - self.told;
        (step.abs() > DRIFT).then(|| {
            self.told = drift;
            step
        })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use protocol::time::Time;
    use recording::audit::audit;
    use recording::capture::{Config, Source};
    use recording::tape::Tape;
    use recording::token::Key;
    use transport::frames::Malformed;

    use super::*;

    /// What is missing is told in words that the audit takes as they are.
    #[test]
    fn marks_pass_the_audit() {
        let gaps = Malformed::ALL.iter().map(|why| format!("s7 frames of the server left out from here on: {why}"));
        let passed = ["client", "server"].map(|who| format!("s7 message of the {who} left out: no memory left for it"));
        let gaps: Vec<What> = gaps.chain(passed).map(|text| What::Gap { conn: 1, text }).collect();
        let missing = gaps.len() + 1;
        let (mut capture, mut tape) = Capture::new(Config {
            version: "0.1.0".to_owned(),
            git: "abc1234".to_owned(),
            start: "2026-11-24T09:00:00Z".to_owned(),
            id: "0".repeat(32),
            key: Key::from_bytes([7; 32]),
            source: Source::Proxy,
            scenario: None,
            seed: None,
            env: std::collections::BTreeMap::new(),
        });
        for what in gaps.into_iter().chain([What::Full, What::Lost(12)]) {
            tape.extend(unit(&mut capture, Event { at: Time::ZERO, what }));
        }
        tape.extend(capture.finish(Time::ZERO, Finish::Aborted));
        assert_eq!(audit(&tape, &[]).expect("a tape").findings, []);
        assert_eq!(Tape::read(&tape).expect("a tape").losses().len(), missing);
    }

    #[test]
    fn a_wall_clock_that_moves_is_told_once() {
        let mut wall = Wall::default();
        let told: Vec<Option<i64>> =
            [0, 40_000, 60_000, 70_000, -3_600_000_000, -3_600_000_000].map(|d| wall.moved(d)).into();
        assert_eq!(told, [None, None, Some(60_000), None, Some(-3_600_060_000), None]);
    }
}
