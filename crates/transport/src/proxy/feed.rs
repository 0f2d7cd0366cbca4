//! What the proxy saw, in order, on its way to whoever writes it down.
//!
//! Events and the copies of bodies share a limited number of bytes. What does not fit is dropped and counted. While half of
//! them are taken and the reader works them off, the traffic is slowed to the reader's pace, so that a busy machine loses
//! nothing; it never waits for a reader that stands still, such as before a disk that does not answer. Moments are taken under
//! the lock that also orders the events.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Headers, Side, Socket, Wire};

use super::{Limits, coding};
use crate::clock::Clock;

/// Something that the proxy saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
}

/// What the proxy saw. Connections are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A client connected.
    Opened {
        /// Which connection.
        conn: u64,
        /// The client's address, without its port.
        peer: String,
    },
    /// A connection of a client is gone.
    Closed {
        /// Which.
        conn: u64,
        /// Who ended it; nobody if the proxy was stopped.
        by: Option<Side>,
        /// Why, if not in order.
        error: Option<Failure>,
    },
    /// Something crossed the wire. Numbers of exchanges and sockets are unique over the whole feed.
    Wire {
        /// On which connection.
        conn: u64,
        /// From whom.
        from: Side,
        /// What.
        wire: Wire,
    },
    /// More about what crossed the wire than [`Wire`] can say.
    Note {
        /// On which connection.
        conn: u64,
        /// What.
        text: String,
    },
    /// Something passed that the feed leaves out.
    Gap {
        /// On which connection.
        conn: u64,
        /// Why and what.
        text: String,
    },
    /// A request was answered here, since there was no file descriptor for asking the server.
    Refused {
        /// On which connection.
        conn: u64,
        /// Which.
        text: String,
    },
    /// New clients wait from here on, since there is no file descriptor for them.
    Full,
    /// So many events were dropped here, since nobody took the ones before them.
    Lost(u64),
}

/// An event and its share of the memory.
type Item = (Event, usize);

/// Memory that one event takes besides its contents, about.
const OVERHEAD: usize = 256;

/// How often it is looked whether the reader works: one that takes nothing for so long stands still.
const STEP: Duration = Duration::from_millis(20);

/// How many steps one piece of traffic waits at most.
const STEPS: usize = 5;

pub(super) fn feed(clock: Clock, limits: Limits) -> (Feed, Events) {
    let (sender, receiver) = mpsc::channel();
    let held = Arc::new(AtomicUsize::new(0));
    let state = State {
        sender: Some(sender),
        open: BTreeSet::new(),
        owed: BTreeMap::new(),
        conns: 0,
        exchanges: 0,
        sockets: 0,
        lost: 0,
    };
    let taken = Arc::new(AtomicU64::new(0));
    let inner = Inner {
        clock,
        limit: limits.memory,
        held: Arc::clone(&held),
        taken: Arc::clone(&taken),
        stalled: AtomicU64::new(u64::MAX),
        state: Mutex::new(state),
    };
    (Feed(Arc::new(inner)), Events { receiver, held, taken, body: limits.body, next: Cell::new(None) })
}

/// Where events are put in.
#[derive(Clone)]
pub(super) struct Feed(Arc<Inner>);

struct Inner {
    clock: Clock,
    limit: usize,
    held: Arc<AtomicUsize>,
    /// How many events the reader has taken.
    taken: Arc<AtomicU64>,
    /// How many it had when it was last seen to stand still.
    stalled: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// `None` once the proxy was stopped.
    sender: Option<mpsc::Sender<Item>>,
    open: BTreeSet<u64>,
    /// What has passed on a connection and cannot be told yet, and how its loss is told.
    owed: BTreeMap<u64, String>,
    conns: u64,
    exchanges: u64,
    sockets: u64,
    /// Dropped since the last event that fitted.
    lost: u64,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("held", &self.0.held).finish_non_exhaustive()
    }
}

impl Feed {
    pub(super) fn opened(&self, peer: String) -> u64 {
        self.with(|feed, state| {
            state.conns += 1;
            state.open.insert(state.conns);
            feed.put(state, What::Opened { conn: state.conns, peer });
            state.conns
        })
    }

    pub(super) fn closed(&self, conn: u64, by: Option<Side>, error: Option<Failure>) {
        self.with(|feed, state| {
            state.open.remove(&conn);
            feed.put(state, What::Closed { conn, by, error });
        });
    }

    pub(super) fn next_exchange(&self) -> Exchange {
        self.with(|_, state| {
            state.exchanges += 1;
            Exchange(state.exchanges)
        })
    }

    pub(super) fn next_socket(&self) -> Socket {
        self.with(|_, state| {
            state.sockets += 1;
            Socket(state.sockets)
        })
    }

    pub(super) fn wire(&self, conn: u64, from: Side, wire: Wire) {
        self.with(|feed, state| feed.put(state, What::Wire { conn, from, wire }));
    }

    pub(super) fn note(&self, conn: u64, text: String) {
        self.with(|feed, state| feed.put(state, What::Note { conn, text }));
    }

    pub(super) fn gap(&self, conn: u64, text: String) {
        self.with(|feed, state| feed.put(state, What::Gap { conn, text }));
    }

    /// Something has passed that is told later. If the proxy is stopped before, it is a gap.
    pub(super) fn owe(&self, conn: u64, text: String) {
        self.with(|_, state| state.owed.insert(conn, text));
    }

    /// It is told, one way or the other.
    pub(super) fn settle(&self, conn: u64) {
        self.with(|_, state| state.owed.remove(&conn));
    }

    pub(super) fn full(&self) {
        self.with(|feed, state| feed.put(state, What::Full));
    }

    pub(super) fn refused(&self, conn: u64, text: String) {
        self.with(|feed, state| feed.put(state, What::Refused { conn, text }));
    }

    /// Waits while there is little room and the reader makes more of it, for a tenth of a second at most.
    pub(super) async fn room(&self) {
        let Inner { taken, stalled, .. } = &*self.0;
        for _ in 0..STEPS {
            let before = taken.load(Ordering::Relaxed);
            let is_tight = self.0.held.load(Ordering::Relaxed) > self.0.limit / 2;
            if !is_tight || stalled.load(Ordering::Relaxed) == before {
                return;
            }
            tokio::time::sleep(STEP).await;
            if taken.load(Ordering::Relaxed) == before {
                stalled.store(before, Ordering::Relaxed);
            }
        }
    }

    /// Memory for a copy in the making.
    pub(super) fn reserve(&self) -> Reservation {
        Reservation { held: Arc::clone(&self.0.held), limit: self.0.limit, bytes: 0 }
    }

    /// Says of every open connection that it is cut, and takes nothing from then on.
    pub(super) fn stop(&self) {
        self.with(|feed, state| {
            for (conn, text) in std::mem::take(&mut state.owed) {
                feed.put(state, What::Gap { conn, text });
            }
            for conn in std::mem::take(&mut state.open) {
                feed.put(state, What::Closed { conn, by: None, error: Some(Failure::Aborted) });
            }
            feed.admit_loss(state);
            state.sender = None;
        });
    }

    fn with<T>(&self, act: impl FnOnce(&Inner, &mut State) -> T) -> T {
        act(&self.0, &mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn put(&self, state: &mut State, what: What) {
        if state.sender.is_none() {
            return;
        }
        let size = OVERHEAD + size(&what);
        if !take(&self.held, size, self.limit) {
            state.lost += 1;
            return;
        }
        self.admit_loss(state);
        self.send(state, what, size);
    }

    /// The confession of a loss has room always.
    fn admit_loss(&self, state: &mut State) {
        if state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            self.send(state, What::Lost(lost), 0);
        }
    }

    fn send(&self, state: &mut State, what: What, size: usize) {
        let event = Event { at: self.clock.now(), what };
        let sent = state.sender.as_ref().is_some_and(|sender| sender.send((event, size)).is_ok());
        if !sent {
            // Nobody will ever take anything again.
            self.held.fetch_sub(size, Ordering::Relaxed);
            state.sender = None;
        }
    }
}

/// Takes memory; `false` if there is no room.
fn take(held: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    let has_room = held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= limit;
    if !has_room {
        held.fetch_sub(bytes, Ordering::Relaxed);
    }
    has_room
}

fn size(what: &What) -> usize {
    let fields = |headers: &Headers| headers.0.iter().map(|(name, value)| name.len() + value.len() + 48).sum::<usize>();
    match what {
        What::Opened { .. } | What::Closed { .. } | What::Full | What::Lost(_) => 0,
        What::Note { text, .. } | What::Gap { text, .. } | What::Refused { text, .. } => text.len(),
        What::Wire { wire, .. } => match wire {
            Wire::Request(_, request) | Wire::Upgrade(_, request) => {
                request.target.len() + fields(&request.headers) + request.body.len()
            }
            Wire::Response(_, response) | Wire::Refused(_, response) => fields(&response.headers) + response.body.len(),
            Wire::Upgraded(_, headers) => fields(headers),
            Wire::Text(_, text) => text.len(),
            Wire::Binary(_, bytes) | Wire::Ping(_, bytes) | Wire::Pong(_, bytes) => bytes.len(),
            Wire::Close(_, close) => close.reason.len(),
            Wire::Broken(..) | Wire::Lost(..) => 0,
        },
    }
}

/// Memory that a copy takes while it grows; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    held: Arc<AtomicUsize>,
    limit: usize,
    bytes: usize,
}

impl Reservation {
    /// Asks for more; `false` if there is no room.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let is_taken = take(&self.held, bytes, self.limit);
        self.bytes += if is_taken { bytes } else { 0 };
        is_taken
    }

    /// Takes as much as that from now on; `false` if there is no room for more.
    pub(super) fn set(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Where events are taken out.
pub struct Events {
    receiver: mpsc::Receiver<Item>,
    held: Arc<AtomicUsize>,
    taken: Arc<AtomicU64>,
    /// How long a body may be.
    body: usize,
    /// What comes before anything else.
    next: Cell<Option<Event>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("held", &self.held).finish_non_exhaustive()
    }
}

/// What waiting for an event gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event.
    Event(Event),
    /// Nothing within the time.
    Idle,
    /// Nothing any more: the proxy was stopped.
    End,
}

impl Events {
    /// Waits for the next event and blocks the thread meanwhile. Bodies come without their content codings (gzip, deflate, br,
    /// zstd), taken off here to spare the traffic. One that stays coded is followed by a gap.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Next {
        if let Some(event) = self.next.take() {
            return Next::Event(event);
        }
        match self.receiver.recv_timeout(wait) {
            Ok((mut event, size)) => {
                self.held.fetch_sub(size, Ordering::Relaxed);
                self.taken.fetch_add(1, Ordering::Relaxed);
                if let What::Wire { conn, wire, .. } = &mut event.what
                    && let Some(text) = coding::decode(wire, self.body)
                {
                    self.next.set(Some(Event { at: event.at, what: What::Gap { conn: *conn, text } }));
                }
                Next::Event(event)
            }
            Err(RecvTimeoutError::Timeout) => Next::Idle,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use pretty_assertions::assert_eq;

    use super::*;

    fn taken(events: &Events) -> Vec<What> {
        std::iter::from_fn(|| match events.next(Duration::ZERO) {
            Next::Event(event) => Some(event.what),
            Next::Idle | Next::End => None,
        })
        .collect()
    }

    fn feed_of(memory: usize) -> (Feed, Events) {
        feed(Clock::start(), Limits { memory, ..Limits::default() })
    }

    fn text(length: usize) -> Wire {
        Wire::Text(Socket(1), "x".repeat(length))
    }

    #[test]
    fn says_how_much_was_lost_where_it_was_lost() {
        let (feed, events) = feed_of(2_000);
        feed.wire(1, Side::Client, text(1_000));
        feed.wire(1, Side::Client, text(1_000));
        feed.wire(1, Side::Server, text(1_000));
        let wire = |from, length| What::Wire { conn: 1, from, wire: text(length) };
        assert_eq!(taken(&events), [wire(Side::Client, 1_000)]);
        feed.wire(1, Side::Server, text(1));
        assert_eq!(taken(&events), [What::Lost(2), wire(Side::Server, 1)]);
    }

    #[test]
    fn a_loss_at_the_end_is_told_too() {
        let (feed, events) = feed_of(500);
        let conn = feed.opened("127.0.0.1".to_owned());
        feed.wire(conn, Side::Client, text(1_000));
        feed.stop();
        feed.wire(conn, Side::Client, text(1));
        // The close does not fit either.
        let opened = What::Opened { conn: 1, peer: "127.0.0.1".to_owned() };
        assert_eq!(taken(&events), [opened, What::Lost(2)]);
        assert_eq!(events.next(Duration::ZERO), Next::End);
    }

    #[test]
    fn copies_and_events_share_the_memory() {
        let (feed, events) = feed_of(1_000);
        let mut copy = feed.reserve();
        assert!(copy.grow(900) && !copy.grow(101));
        feed.note(1, "no room".to_owned());
        drop(copy);
        feed.note(1, "room".to_owned());
        assert_eq!(taken(&events), [What::Lost(1), What::Note { conn: 1, text: "room".to_owned() }]);
        assert_eq!(feed.0.held.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn traffic_waits_for_a_reader_who_works() {
        let (feed, events) = feed_of(10_000);
        for _ in 0..7 {
            feed.wire(1, Side::Client, text(1_000));
        }
        let mut waiting = pin!(feed.room());
        assert_eq!((&mut waiting).now_or_never(), None);
        for _ in 0..4 {
            assert!(matches!(events.next(Duration::ZERO), Next::Event(_)));
        }
        waiting.await;
        assert!(feed.0.held.load(Ordering::Relaxed) <= 5_000);
        assert_eq!(feed.room().now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn traffic_does_not_wait_for_a_reader_who_stands_still() {
        let (feed, events) = feed_of(10_000);
        for _ in 0..7 {
            feed.wire(1, Side::Client, text(1_000));
        }
        // That it stands still shows by waiting, but only once.
        feed.room().await;
        assert_eq!(feed.room().now_or_never(), Some(()));
        assert!(matches!(events.next(Duration::ZERO), Next::Event(_)));
        assert_eq!(feed.room().now_or_never(), None);
    }

    #[test]
    fn goes_on_without_a_reader() {
        let (feed, events) = feed_of(1_000);
        drop(events);
        feed.note(1, "nobody".to_owned());
        assert_eq!(feed.0.held.load(Ordering::Relaxed), 0);
    }
}
