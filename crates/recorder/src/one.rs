//! All traffic on one tape, or on one after the other.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::time::Time;
use recording::capture::Seam;
use tracing::error;
use transport::proxy::{Event, What};

use crate::disk::{Disk, SYNC_WITHIN};
use crate::file::Identity;
use crate::sheet::{Sheet, unit};
use crate::tally::{Tally, missing};
use crate::writer::Tapes;
use crate::{Error, file};

/// When one part of a recording is long enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Every {
    /// With the unit that makes it so long. What it repeats of the part before does not count.
    pub bytes: Option<u64>,
    /// Once it has lasted so long and holds anything.
    pub time: Option<Duration>,
}

/// The tape, and the parts that follow.
pub(crate) struct One {
    sheet: Sheet,
    parts: Option<Parts>,
    /// When the last sync was, if something was appended since.
    unsynced: Option<Time>,
}

/// How the parts of a recording follow each other.
pub(crate) struct Parts {
    output: PathBuf,
    every: Every,
    /// Which one is written.
    number: u64,
    /// Its bytes, without what it repeats.
    own: u64,
    /// From how many of them on the next one is due.
    full: Option<u64>,
    /// When the next one is due.
    due: Option<Time>,
}

impl Parts {
    pub(crate) fn new(output: &Path, every: Every) -> Self {
        Self {
            output: output.to_owned(),
            every,
            number: 1,
            own: 0,
            full: every.bytes,
            due: every.time.map(|time| Time::ZERO + time),
        }
    }

    /// The file of a part.
    pub(crate) fn path(output: &Path, number: u64) -> PathBuf {
        file::beside(output, &format!("{number:04}"))
    }

    /// The next part, if it is due.
    fn next(&mut self, now: Time) -> bool {
        let is_full = self.full.is_some_and(|full| self.own >= full);
        let is_late = self.due.is_some_and(|due| now >= due);
        while let (Some(due), Some(time)) = (self.due.filter(|due| now >= *due), self.every.time) {
            self.due = Some(due + time.max(Duration::from_millis(1)));
        }
        is_full || (is_late && self.own > 0)
    }
}

impl One {
    pub(crate) const fn new(sheet: Sheet, parts: Option<Parts>) -> Self {
        Self { sheet, parts, unsynced: None }
    }

    /// Makes it look as if the wall clock had moved by an hour.
    #[cfg(test)]
    pub(crate) fn move_wall(&mut self) {
        self.sheet.move_wall();
    }

    /// Says whether the unit is on the tape.
    fn append(&mut self, unit: &[u8], tally: &mut Tally) -> bool {
        if let Err(failure) = self.sheet.append(unit) {
            tally.fail(&failure);
            return false;
        }
        tally.summary.bytes += unit.len() as u64;
        if let Some(parts) = &mut self.parts {
            parts.own += unit.len() as u64;
        }
        self.unsynced.get_or_insert_with(|| tally.times.clock.now());
        true
    }

    fn sync(&mut self, tally: &mut Tally) {
        if self.unsynced.take().is_some()
            && let Err(failure) = self.sheet.sync()
        {
            tally.fail(&failure);
        }
    }

    fn tell_wall(&mut self, tally: &mut Tally) {
        if tally.summary.failed.is_none()
            && let Some(line) = self.sheet.wall(tally.times)
        {
            self.append(&line, tally);
        }
    }

    /// Goes on to the next part, if that is due. Its file comes first: without it, this part goes on.
    fn rotate(&mut self, now: Time, tally: &mut Tally) {
        if tally.summary.failed.is_some() {
            return;
        }
        let Some(parts) = &mut self.parts else { return };
        if !parts.next(now) {
            return;
        }
        let path = Parts::path(&parts.output, parts.number + 1);
        let next = match file::create(&path) {
            Ok(next) => next,
            Err(failure) => {
                // Each part that is due would say the same.
                if tally.summary.stuck.is_none() {
                    error!(%failure, "the next part cannot be begun: this one goes on");
                }
                // Asking again with every unit would cost more than it gains.
                parts.full = parts.every.bytes.map(|bytes| parts.own.saturating_add(bytes));
                tally.summary.stuck.get_or_insert_with(|| explained(&failure));
                return;
            }
        };
        let Some(Seam { end, begin }) = self.sheet.capture.rotate() else { return };
        (parts.number, parts.own, parts.full) = (parts.number + 1, 0, parts.every.bytes);
        let turned = self.turn(&end, next, &begin, tally);
        match turned {
            Ok(()) => {
                tally.summary.bytes += (end.len() + begin.len()) as u64;
                tally.summary.tapes.push(path);
            }
            Err(failure) => {
                // A file without a whole header would stand in the way of joining the others.
                let _ = std::fs::remove_file(&path);
                tally.fail(&failure);
            }
        }
    }

    /// Looks at the tape that is over, the last one that was begun.
    fn look(&self, tally: &mut Tally) {
        if let Some(path) = tally.summary.tapes.last().cloned() {
            tally.look(&path, &self.sheet);
        }
    }

    fn turn(
        &mut self,
        end: &[u8],
        (mut disk, identity): (Box<dyn Disk>, Option<Identity>),
        begin: &[u8],
        tally: &mut Tally,
    ) -> io::Result<()> {
        disk.append(begin)?;
        self.sheet.append(end)?;
        self.sheet.sync()?;
        self.look(tally);
        self.sheet.turn(disk, identity, begin.len() as u64);
        self.unsynced = None;
        self.sheet.sync()
    }
}

pub(crate) fn explained(failure: &Error) -> String {
    match std::error::Error::source(failure) {
        Some(source) => format!("{failure}: {source}"),
        None => failure.to_string(),
    }
}

impl Tapes for One {
    fn take(&mut self, event: Event, tally: &mut Tally) {
        let missing = missing(&event.what);
        if tally.summary.failed.is_some() {
            tally.summary.lost += missing;
            return;
        }
        let ends = matches!(event.what, What::Closed { .. });
        let unit = unit(&mut self.sheet.capture, event);
        if self.append(&unit, tally) {
            tally.summary.messages = self.sheet.capture.messages();
            tally.summary.sessions = self.sheet.capture.sessions();
        } else {
            tally.summary.lost += missing;
        }
        if ends {
            self.sync(tally);
        }
    }

    fn tick(&mut self, now: Time, tally: &mut Tally) -> Option<Time> {
        self.tell_wall(tally);
        if self.unsynced.is_some_and(|since| now - since >= SYNC_WITHIN) {
            self.sync(tally);
        }
        self.rotate(now, tally);
        let sync = self.unsynced.map(|since| since + SYNC_WITHIN);
        let goes_on = tally.summary.failed.is_none();
        let part = self.parts.as_ref().filter(|_| goes_on).and_then(|parts| parts.due);
        sync.into_iter().chain(part).min()
    }

    fn finish(&mut self, tally: &mut Tally) {
        if tally.summary.failed.is_none() {
            let trailer = self.sheet.trailer(tally.times, tally.summary.is_complete());
            self.append(&trailer, tally);
            self.sync(tally);
        }
        if tally.summary.failed.is_none() {
            self.look(tally);
        }
    }
}
