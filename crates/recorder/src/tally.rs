//! What a recording comes to, while it grows and at its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::time::Time;
use protocol::wire::Wire;
use tracing::{error, warn};
use transport::clock::Clock;
use transport::proxy::{Event, What};

use crate::sheet::{Sheet, Times};

/// What a recording came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Connections of clients.
    pub connections: u64,
    /// HTTP requests, upgrades left out.
    pub exchanges: u64,
    /// Upgrade requests.
    pub sockets: u64,
    /// Handshakes that succeeded.
    pub sessions: u64,
    /// Bayeux messages on the tapes.
    pub messages: u64,
    /// Length of all tapes.
    pub bytes: u64,
    /// The tapes, in the order in which they were begun.
    pub tapes: Vec<PathBuf>,
    /// Bodies and messages that were too large, and directions of sockets that could not be decoded. Each is marked on its
    /// tape.
    pub gaps: u64,
    /// Requests that were answered here, since no file descriptor was left for asking the server. Each is marked on its tape.
    pub refused: u64,
    /// Units that passed and are on no tape, since no memory was left for them or the disk failed.
    pub lost: u64,
    /// What the disk said when it failed; the tape ends there.
    pub failed: Option<String>,
    /// Tapes that are not at their place as they were written, and what has become of each: somebody else has had a hand in it.
    pub astray: Vec<(PathBuf, String)>,
    /// Why a part could not be begun; the one before it went on.
    pub stuck: Option<String>,
    /// What ended the recording, if nobody else did.
    pub reached: Option<Limit>,
}

impl Summary {
    /// Whether everything that clients and server had to say passed, and is on the tapes.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.gaps == 0 && self.refused == 0 && self.lost == 0 && self.failed.is_none() && self.astray.is_empty()
    }
}

/// When a recording ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// After so long.
    pub duration: Option<Duration>,
    /// Once its tapes are so long.
    pub bytes: Option<u64>,
    /// Once so many Bayeux messages are on them.
    pub messages: Option<u64>,
}

/// What ended a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Its time was over.
    Duration,
    /// Its tapes were long enough.
    Bytes,
    /// It had enough messages.
    Messages,
}

impl Ends {
    /// Which limit is reached.
    pub(crate) fn reached(&self, now: Time, summary: &Summary) -> Option<Limit> {
        let bytes = self.bytes.filter(|bytes| summary.bytes >= *bytes).map(|_| Limit::Bytes);
        let messages = self.messages.filter(|messages| summary.messages >= *messages).map(|_| Limit::Messages);
        let duration = self.at().filter(|at| now >= *at).map(|_| Limit::Duration);
        bytes.or(messages).or(duration)
    }

    /// When the time is over.
    pub(crate) fn at(&self) -> Option<Time> {
        self.duration.map(|duration| Time::ZERO + duration)
    }
}

/// How a recording stands at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Connections of clients that are open.
    pub connections: u64,
    /// Sessions that have begun.
    pub sessions: u64,
    /// Bayeux messages on the tapes.
    pub messages: u64,
    /// Length of the tapes.
    pub bytes: u64,
    /// Units that passed and are on no tape.
    pub lost: u64,
    /// How long ago that passed which is being written; zero if nothing is.
    pub lag: Duration,
}

/// A recording that can be watched from another thread.
#[derive(Debug)]
pub struct Progress {
    clock: Clock,
    connections: AtomicU64,
    sessions: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    /// The moment of what is being written, in microseconds and one more; 0 for nothing.
    writing: AtomicU64,
}

impl Progress {
    /// How the recording stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let lag = match get(&self.writing) {
            0 => Duration::ZERO,
            at => self.clock.now() - Time::from_micros(at - 1),
        };
        Status {
            connections: get(&self.connections),
            sessions: get(&self.sessions),
            messages: get(&self.messages),
            bytes: get(&self.bytes),
            lost: get(&self.lost),
            lag,
        }
    }
}

/// The counts of a recording under way.
pub(crate) struct Tally {
    pub(crate) times: Times,
    pub(crate) summary: Summary,
    pub(crate) progress: Arc<Progress>,
}

impl Tally {
    pub(crate) fn new(times: Times) -> Self {
        let number = AtomicU64::default;
        let progress = Progress {
            clock: times.clock,
            connections: number(),
            sessions: number(),
            messages: number(),
            bytes: number(),
            lost: number(),
            writing: number(),
        };
        Self { times, summary: Summary::default(), progress: Arc::new(progress) }
    }

    /// Counts what the proxy saw, before it is written.
    pub(crate) fn see(&mut self, event: &Event) {
        self.progress.writing.store(event.at.as_micros() + 1, Ordering::Relaxed);
        let summary = &mut self.summary;
        match &event.what {
            What::Opened { .. } => {
                summary.connections += 1;
                self.progress.connections.fetch_add(1, Ordering::Relaxed);
            }
            What::Closed { .. } => {
                // The opening may have been lost.
                let less = |open: u64| open.checked_sub(1);
                let _ = self.progress.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            What::Wire { wire: Wire::Request(..), .. } => summary.exchanges += 1,
            What::Wire { wire: Wire::Upgrade(..), .. } => summary.sockets += 1,
            What::Wire { .. } | What::Note { .. } | What::Full => {}
            What::Gap { text, .. } => {
                summary.gaps += 1;
                warn!("not on the tape: {text}");
            }
            What::Refused { .. } => summary.refused += 1,
            What::Lost(units) => {
                summary.lost += units;
                error!(
                    units,
                    "no memory left (a slow disk, or long bodies at once): traffic goes on, but these units are not on the tape"
                );
            }
        }
    }

    /// Tells whoever watches that the event is dealt with.
    pub(crate) fn done(&self) {
        let put = |number: &AtomicU64, value| number.store(value, Ordering::Relaxed);
        put(&self.progress.sessions, self.summary.sessions);
        put(&self.progress.messages, self.summary.messages);
        put(&self.progress.bytes, self.summary.bytes);
        put(&self.progress.lost, self.summary.lost);
        put(&self.progress.writing, 0);
    }

    /// Whether a tape that is over is at its place as it was written; else that is told.
    pub(crate) fn look(&mut self, path: &Path, sheet: &Sheet) -> bool {
        let astray = sheet.astray(path);
        if let Some(astray) = astray {
            error!(tape = %path.display(), "the tape is not what was written: {astray}");
            self.summary.astray.push((path.to_owned(), astray.to_string()));
        }
        astray.is_none()
    }

    /// The disk has failed for one of several tapes.
    pub(crate) fn fail_at(&mut self, path: &Path, failure: &io::Error) {
        self.fail(&io::Error::new(failure.kind(), format!("`{}`: {failure}", path.display())));
    }

    /// The disk has failed.
    pub(crate) fn fail(&mut self, failure: &io::Error) {
        error!(%failure, "the tape cannot be written: traffic goes on, but nothing more is recorded on it");
        if self.summary.failed.is_none() {
            self.summary.failed = Some(failure.to_string());
        }
    }
}

/// How many units are missing where this is not on the tape. A loss that the proxy tells is counted when it tells it.
pub(crate) const fn missing(what: &What) -> u64 {
    if matches!(what, What::Lost(_)) { 0 } else { 1 }
}
