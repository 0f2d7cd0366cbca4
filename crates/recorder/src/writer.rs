//! The writer of the tape, on a thread of its own: takes events, appends units, syncs now and then.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use protocol::time::Time;
use protocol::wire::{Entry, Side, Wire};
use recording::capture::Capture;
use recording::tape::{Closer, ConnLabel, Finish};
use tracing::{error, warn};
use transport::clock::Clock;
use transport::proxy::{Event, Events, Next, What};

use crate::Summary;

/// How long a unit may stay unsynced.
const SYNC_WITHIN: Duration = Duration::from_secs(1);

/// How long to wait for the next event when there is nothing to sync.
const QUIET: Duration = Duration::from_secs(60);

/// From how many microseconds on a movement of the wall clock is told.
const DRIFT: i64 = 50_000;

/// Where a tape is written.
pub(crate) trait Disk: Send {
    /// Appends a whole unit with one write.
    fn append(&mut self, unit: &[u8]) -> io::Result<()>;

    /// Waits until everything has reached the device.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, unit: &[u8]) -> io::Result<()> {
        self.write_all(unit)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

pub(crate) struct Writer {
    disk: Box<dyn Disk>,
    capture: Capture,
    clock: Clock,
    rfc3339: fn(i64) -> String,
    wall: Wall,
    /// When the last sync was, if something was appended since.
    unsynced: Option<Time>,
    summary: Summary,
}

impl Writer {
    /// Writes the header.
    pub(crate) fn begin(
        mut disk: Box<dyn Disk>,
        capture: Capture,
        header: &[u8],
        clock: Clock,
        rfc3339: fn(i64) -> String,
    ) -> io::Result<Self> {
        disk.append(header)?;
        disk.sync()?;
        let summary = Summary {
            connections: 0,
            exchanges: 0,
            sockets: 0,
            messages: 0,
            bytes: header.len() as u64,
            gaps: 0,
            refused: 0,
            lost: 0,
            failed: None,
        };
        Ok(Self { disk, capture, clock, rfc3339, wall: Wall::default(), unsynced: None, summary })
    }

    /// Writes until there is nothing any more, then the trailer.
    pub(crate) fn run(mut self, events: &Events) -> Summary {
        loop {
            let wait = self.unsynced.map_or(QUIET, |since| SYNC_WITHIN.saturating_sub(self.clock.now() - since));
            let next = events.next(wait);
            self.tell_wall();
            match next {
                Next::Event(event) => self.take(event),
                Next::Idle => {}
                Next::End => break,
            }
            if self.unsynced.is_some_and(|since| self.clock.now() - since >= SYNC_WITHIN) {
                self.sync();
            }
        }
        self.summary.messages = self.capture.count("msg");
        let finish = if self.summary.is_complete() { Finish::Complete } else { Finish::Aborted };
        let trailer = self.capture.clone().finish(self.clock.now(), finish);
        if self.summary.failed.is_none() {
            self.append(&trailer);
            self.sync();
        }
        self.summary
    }

    fn take(&mut self, event: Event) {
        match &event.what {
            What::Opened { .. } => self.summary.connections += 1,
            What::Wire { wire: Wire::Request(..), .. } => self.summary.exchanges += 1,
            What::Wire { wire: Wire::Upgrade(..), .. } => self.summary.sockets += 1,
            What::Closed { .. } | What::Wire { .. } | What::Note(_) => {}
            What::Gap(what) => {
                self.summary.gaps += 1;
                warn!("not on the tape: {what}");
            }
            What::Refused(_) => self.summary.refused += 1,
            What::Lost(units) => {
                self.summary.lost += units;
                error!(units, "the disk is too slow: traffic goes on, but these units are not on the tape");
            }
        }
        if self.summary.failed.is_some() {
            // The counter of lost units stands in the loss itself.
            self.summary.lost += u64::from(!matches!(event.what, What::Lost(_)));
            return;
        }
        let ends = matches!(event.what, What::Closed { .. });
        let unit = unit(&mut self.capture, event);
        self.append(&unit);
        if ends {
            self.sync();
        }
    }

    /// Tells on the tape when the wall clock has moved.
    fn tell_wall(&mut self) {
        let (wall, drift) = self.clock.wall();
        if let Some(step) = self.wall.moved(drift).filter(|_| self.summary.failed.is_none()) {
            let wall = (self.rfc3339)(wall / 1_000);
            let line = self.capture.clock(self.clock.now(), &wall, step);
            self.append(&line);
        }
    }

    fn append(&mut self, unit: &[u8]) {
        let appended = self.disk.append(unit);
        if let Err(failure) = appended {
            self.summary.lost += 1;
            self.fail(&failure);
            return;
        }
        self.summary.bytes += unit.len() as u64;
        if self.unsynced.is_none() {
            self.unsynced = Some(self.clock.now());
        }
    }

    fn sync(&mut self) {
        if self.unsynced.take().is_some()
            && let Err(failure) = self.disk.sync()
        {
            self.fail(&failure);
        }
    }

    /// The counter of a tape has no gaps, so it ends with the first unit that cannot be written.
    fn fail(&mut self, failure: &io::Error) {
        if self.summary.failed.is_none() {
            error!(%failure, "the tape cannot be written: traffic goes on, but nothing more is recorded");
            self.summary.failed = Some(failure.to_string());
        }
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

fn unit(capture: &mut Capture, Event { at, what }: Event) -> Vec<u8> {
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
        What::Note(text) | What::Gap(text) | What::Refused(text) => capture.mark(at, &text),
        What::Lost(units) => capture.mark(at, &format!("{units} units lost here: the disk was too slow")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_moves_is_told_once() {
        let mut wall = Wall::default();
        let told: Vec<Option<i64>> =
            [0, 40_000, 60_000, 70_000, -3_600_000_000, -3_600_000_000].map(|d| wall.moved(d)).into();
        assert_eq!(told, [None, None, Some(60_000), None, Some(-3_600_060_000), None]);
    }
}
