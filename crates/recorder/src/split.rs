//! One tape for each browser session, and one for what belongs to none.
//!
//! Each tape has a memory of its own, so that it is what a recording of that session alone would be; the key is the same, so the
//! tokens of all agree. Few files are open at a time: the others are opened again when something is to be appended.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;

use protocol::time::Time;
use recording::capture::{self, Capture};
use recording::redaction::{Keep, Shift};
use recording::tape::ConnLabel;
use transport::proxy::{Event, What};

use crate::disk::{Disk, SYNC_WITHIN};
use crate::one::explained;
use crate::router::{NONE, Place, Router, Session};
use crate::sheet::{Sheet, unit};
use crate::tally::{Tally, missing};
use crate::writer::Tapes;
use crate::{Error, file};

/// How many files are open at once.
const OPEN: usize = 128;

/// How many files are synced at once. A tape survives a kill without; this is against a loss of power.
const SYNCED: usize = 8;

/// The tapes that are not over.
pub(crate) struct Split {
    output: PathBuf,
    config: capture::Config,
    keep: Keep,
    shift: Option<Shift>,
    router: Router,
    /// `None` where the disk has failed.
    tapes: BTreeMap<Session, Option<Tape>>,
    /// The sessions whose files are open, by when they were last written.
    open: BTreeMap<u64, Session>,
    /// The sessions whose tapes are not synced, the one that has waited for longest first. Some may have ended since.
    unsynced: VecDeque<Session>,
    turn: u64,
    due: Time,
}

struct Tape {
    path: PathBuf,
    sheet: Sheet,
    /// When it was last written.
    turn: u64,
    is_synced: bool,
    /// Whether everything that belongs to it is on it.
    is_whole: bool,
}

/// A file that is closed for now.
struct Closed(PathBuf);

impl Disk for Closed {
    fn append(&mut self, unit: &[u8]) -> io::Result<()> {
        file::reopen(&self.0)?.append(unit)
    }

    fn sync(&mut self) -> io::Result<()> {
        file::reopen(&self.0)?.sync()
    }
}

impl Split {
    /// Begins with the tape of what belongs to no session, so that a folder where nothing can be written is told at once.
    pub(crate) fn begin(
        output: PathBuf,
        config: capture::Config,
        (keep, shift): (Keep, Option<Shift>),
        router: Router,
        tally: &mut Tally,
    ) -> Result<Self, Error> {
        if let Some(path) = file::taken(&output, |word| word == OTHER || word.starts_with(SESSION)) {
            return Err(Error::Exists { path });
        }
        let mut split = Self {
            output,
            config,
            keep,
            shift,
            router,
            tapes: BTreeMap::new(),
            open: BTreeMap::new(),
            unsynced: VecDeque::new(),
            turn: 0,
            due: Time::ZERO + SYNC_WITHIN,
        };
        let tape = split.create(NONE, tally)?;
        split.tapes.insert(NONE, Some(tape));
        Ok(split)
    }

    fn create(&mut self, session: Session, tally: &mut Tally) -> Result<Tape, Error> {
        let word = if session == NONE { OTHER.to_owned() } else { format!("{SESSION}{session:04}") };
        let path = file::beside(&self.output, &word);
        let (capture, header) = Capture::shifting(self.config.clone(), self.keep, self.shift);
        let sheet = Sheet::create(&path, capture, &header)?;
        tally.summary.bytes += sheet.written();
        tally.summary.tapes.push(path.clone());
        let mut tape = Tape { path, sheet, turn: 0, is_synced: true, is_whole: true };
        self.use_file(session, &mut tape);
        Ok(tape)
    }

    /// Notes that a file is open and used, and closes the one that was not used for longest if there are too many.
    fn use_file(&mut self, session: Session, tape: &mut Tape) {
        self.open.remove(&tape.turn);
        self.turn += 1;
        tape.turn = self.turn;
        self.open.insert(self.turn, session);
        if self.open.len() > OPEN
            && let Some((_, oldest)) = self.open.pop_first()
            && let Some(Some(tape)) = self.tapes.get_mut(&oldest)
        {
            tape.sheet.handle(Box::new(Closed(tape.path.clone())));
        }
    }

    /// Writes a unit on the tape of a session.
    fn write(&mut self, place: Place, event: Event, tally: &mut Tally) {
        let Place { session, conn } = place;
        // Taken out while it is written, since others may have to be closed for it.
        let tape = match self.tapes.remove(&session) {
            Some(tape) => tape,
            None => match self.create(session, tally) {
                Ok(tape) => Some(tape),
                Err(failure) => {
                    // It names the file.
                    tally.fail(&io::Error::other(explained(&failure)));
                    None
                }
            },
        };
        let missing = missing(&event.what);
        let Some(mut tape) = tape else {
            tally.summary.lost += missing;
            self.tapes.insert(session, None);
            return;
        };
        let written = self.write_on(&mut tape, session, conn.zip(number(&event.what)), event, tally);
        let kept = match written {
            Ok(()) => Some(tape),
            Err(failure) => {
                tally.summary.lost += missing;
                tally.fail_at(&tape.path, &failure);
                self.open.remove(&tape.turn);
                None
            }
        };
        self.tapes.insert(session, kept);
    }

    fn write_on(
        &mut self,
        tape: &mut Tape,
        session: Session,
        conn: Option<(crate::router::Conn, u64)>,
        event: Event,
        tally: &mut Tally,
    ) -> io::Result<()> {
        if !self.open.contains_key(&tape.turn) {
            if let Some(astray) = tape.sheet.astray(&tape.path) {
                return Err(io::Error::other(astray));
            }
            tape.sheet.handle(file::reopen(&tape.path)?);
        }
        self.use_file(session, tape);
        tape.is_whole &= !matches!(event.what, What::Gap { .. } | What::Refused { .. } | What::Lost(_));
        let capture = &mut tape.sheet.capture;
        let before = (capture.messages(), capture.sessions());
        let mut lines = match conn {
            Some((conn, number)) => capture.conn_known(conn.opened, ConnLabel(number), "http/1.1", &conn.peer, false),
            None => Vec::new(),
        };
        lines.extend(unit(capture, event));
        let now = (capture.messages(), capture.sessions());
        lines.extend(tape.sheet.wall(tally.times).unwrap_or_default());
        tape.sheet.append(&lines)?;
        tally.summary.messages += now.0 - before.0;
        tally.summary.sessions += now.1 - before.1;
        if std::mem::replace(&mut tape.is_synced, false) {
            self.unsynced.push_back(session);
        }
        tally.summary.bytes += lines.len() as u64;
        Ok(())
    }

    /// Ends the tape of a session.
    fn end(&mut self, session: Session, tally: &mut Tally) {
        let Some(Some(mut tape)) = self.tapes.remove(&session) else { return };
        self.open.remove(&tape.turn);
        // Another file that has its name now is not ours to write or remove.
        if !tally.look(&tape.path, &tape.sheet) {
            return;
        }
        let is_empty = session == NONE && tape.sheet.capture.is_empty();
        if is_empty && std::fs::remove_file(&tape.path).is_ok() {
            tally.summary.tapes.retain(|path| *path != tape.path);
            tally.summary.bytes -= tape.sheet.written();
            return;
        }
        let trailer = tape.sheet.trailer(tally.times, tape.is_whole);
        match tape.sheet.append(&trailer).and_then(|()| tape.sheet.sync()) {
            Ok(()) => tally.summary.bytes += trailer.len() as u64,
            Err(failure) => tally.fail_at(&tape.path, &failure),
        }
    }

    /// Ends the tapes of sessions that are over.
    fn end_over(&mut self, now: Time, tally: &mut Tally) {
        for session in self.router.take_over(now) {
            self.end(session, tally);
        }
    }

    fn sync(&mut self, tally: &mut Tally) {
        for _ in 0..SYNCED {
            let Some(session) = self.unsynced.pop_front() else { return };
            let Some(Some(tape)) = self.tapes.get_mut(&session) else { continue };
            tape.is_synced = true;
            if let Err(failure) = tape.sheet.sync() {
                tally.fail_at(&tape.path, &failure);
                self.open.remove(&tape.turn);
                self.tapes.insert(session, None);
            }
        }
    }
}

/// What the file of a session has in its name.
const SESSION: &str = "session-";

/// What the file of the rest has in its name.
const OTHER: &str = "other";

/// The connection of something.
const fn number(what: &What) -> Option<u64> {
    match what {
        What::Opened { conn, .. }
        | What::Closed { conn, .. }
        | What::Wire { conn, .. }
        | What::Note { conn, .. }
        | What::Gap { conn, .. }
        | What::Refused { conn, .. } => Some(*conn),
        What::Full | What::Lost(_) => None,
    }
}

impl Tapes for Split {
    fn take(&mut self, event: Event, tally: &mut Tally) {
        let at = event.at;
        match &event.what {
            // Told where traffic goes over it.
            What::Opened { conn, peer } => self.router.opened(at, *conn, peer.clone()),
            What::Closed { conn, .. } => {
                for place in self.router.closed(*conn) {
                    self.write(place, event.clone(), tally);
                }
                self.end_over(at, tally);
            }
            What::Wire { conn, from, wire } => {
                let place = self.router.wire(at, *conn, *from, wire);
                self.write(place, event, tally);
            }
            What::Note { conn, .. } | What::Gap { conn, .. } | What::Refused { conn, .. } => {
                let place = self.router.about(at, *conn);
                self.write(place, event, tally);
            }
            // Nobody knows whose they were, or would be.
            What::Full | What::Lost(_) => {
                let sessions: Vec<Session> = self.tapes.keys().copied().collect();
                for session in sessions {
                    self.write(Place { session, conn: None }, event.clone(), tally);
                }
            }
        }
    }

    fn tick(&mut self, now: Time, tally: &mut Tally) -> Option<Time> {
        if now >= self.due {
            self.due = now + SYNC_WITHIN;
            self.sync(tally);
            self.end_over(now, tally);
        }
        let is_due = self.tapes.len() > 1 || !self.unsynced.is_empty();
        is_due.then_some(self.due)
    }

    fn finish(&mut self, tally: &mut Tally) {
        let sessions: Vec<Session> = self.tapes.keys().copied().collect();
        for session in sessions {
            self.end(session, tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use pretty_assertions::assert_eq;
    use protocol::wire::{Exchange, Headers, Request, Side, Wire};
    use recording::tape::{Status, Tape};
    use recording::token::Key;
    use tempfile::TempDir;

    use super::*;
    use crate::tests::{config, tally};

    /// Tells which tapes were synced, in order; one of them fails.
    struct Told {
        disk: Box<dyn Disk>,
        session: Session,
        failing: Session,
        synced: Arc<Mutex<Vec<Session>>>,
    }

    impl Disk for Told {
        fn append(&mut self, unit: &[u8]) -> io::Result<()> {
            self.disk.append(unit)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.synced.lock().unwrap().push(self.session);
            if self.session == self.failing { Err(io::ErrorKind::StorageFull.into()) } else { self.disk.sync() }
        }
    }

    struct Bench {
        _folder: TempDir,
        split: Split,
        tally: Tally,
        exchanges: u64,
        failing: Session,
        synced: Arc<Mutex<Vec<Session>>>,
    }

    impl Bench {
        fn new(failing: Session) -> Self {
            let folder = TempDir::new().unwrap();
            let (output, described) = (folder.path().join("a.tape.jsonl"), crate::described(&config()).unwrap());
            let (mut tally, router) = (tally(), Router::new(Key::from_bytes([1; 32])));
            let split = Split::begin(output, described, (Keep::Nothing, None), router, &mut tally).unwrap();
            Self { _folder: folder, split, tally, exchanges: 0, failing, synced: Arc::default() }
        }

        /// A request of a session, which begins with it.
        fn ask(&mut self, session: Session) {
            self.exchanges += 1;
            let headers = Headers::new().with("Cookie", &format!("BAYEUX_BROWSER=b{session}"));
            let request = Request { method: "GET".to_owned(), target: "/".to_owned(), headers, body: Vec::new() };
            let wire = Wire::Request(Exchange(self.exchanges), request);
            let is_new = !self.split.tapes.contains_key(&session);
            let event = Event { at: Time::ZERO, what: What::Wire { conn: 1, from: Side::Client, wire } };
            self.split.take(event, &mut self.tally);
            if is_new {
                let tape = self.split.tapes.get_mut(&session).unwrap().as_mut().unwrap();
                let disk = file::reopen(&tape.path).unwrap();
                let (failing, synced) = (self.failing, Arc::clone(&self.synced));
                tape.sheet.handle(Box::new(Told { disk, session, failing, synced }));
            }
        }

        /// What is synced after a second.
        fn synced(&mut self) -> Vec<Session> {
            let due = self.split.due;
            self.split.tick(due, &mut self.tally);
            std::mem::take(&mut *self.synced.lock().unwrap())
        }
    }

    #[test]
    fn the_tape_that_has_waited_for_longest_is_synced_first() {
        let mut bench = Bench::new(NONE);
        (1..=10).for_each(|session| bench.ask(session));
        assert_eq!(bench.synced(), [1, 2, 3, 4, 5, 6, 7, 8]);
        (1..=8).for_each(|session| bench.ask(session));
        assert_eq!(bench.synced(), [9, 10, 1, 2, 3, 4, 5, 6]);
        assert_eq!((bench.synced(), bench.synced()), (vec![7, 8], Vec::new()));
    }

    #[test]
    fn a_tape_that_cannot_be_synced_ends_there() {
        let mut bench = Bench::new(1);
        (1..=2).for_each(|session| bench.ask(session));
        let tapes = bench.tally.summary.tapes.clone();
        assert_eq!(bench.synced(), [1, 2]);
        (1..=2).for_each(|session| bench.ask(session));
        bench.split.finish(&mut bench.tally);
        let [first, second] = [1, 2].map(|at| Tape::read(&std::fs::read(&tapes[at]).unwrap()).unwrap());
        assert_eq!((first.status(), first.entries().len()), (Status::Interrupted, 1));
        assert_eq!((second.status(), second.entries().len()), (Status::Complete, 2));
        let summary = &bench.tally.summary;
        assert!(summary.failed.as_deref().is_some_and(|why| why.contains("session-0001")), "{summary:?}");
        assert_eq!(summary.lost, 1);
    }
}
