//! One exchange as the feed tells it: a whole request, then a whole answer or how it broke, each once.
//!
//! The request and the answer pass through futures of their own, which can end in any order or be dropped. All of them
//! report here. A request that was never whole is never told as a request. A mark says so, and its answer, which belongs to
//! nothing then, is a gap.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::wire::{self, Failure, Headers, Request, Response, Side, Socket, Wire};

use super::feed::Feed;

/// An exchange, or the socket that it is to become. Displayed as on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Exchange(wire::Exchange),
    Socket(Socket),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(exchange) => write!(f, "e{}", exchange.0),
            Self::Socket(socket) => write!(f, "s{}", socket.0),
        }
    }
}

/// What became of the copy of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// All of it passed, and here it is.
    Whole(Vec<u8>),
    /// All of it may pass, but nothing is kept, for this reason.
    LeftOut(String),
    /// Its sender broke off after so many bytes.
    Broken(usize),
    /// Whoever took it lost interest after so many bytes.
    Dropped(usize),
}

pub(super) struct Exchange {
    feed: Feed,
    conn: u64,
    link: Link,
    state: Mutex<State>,
}

struct State {
    request: Progress,
    /// The status of the answer, from its arrival until it is told on its own.
    status: Option<u16>,
    /// The head of the answer, from its arrival until its body is through.
    answer: Option<Response>,
    /// An answer that was whole before the request was.
    early: Option<Wire>,
    over: bool,
}

enum Progress {
    Passing(Request),
    Told,
    /// It never was whole, or is too large to tell.
    LeftOut,
}

impl Exchange {
    pub(super) fn begin(feed: Feed, conn: u64, link: Link, request: Request) -> Arc<Self> {
        let state = State { request: Progress::Passing(request), status: None, answer: None, early: None, over: false };
        Arc::new(Self { feed, conn, link, state: Mutex::new(state) })
    }

    pub(super) const fn link(&self) -> Link {
        self.link
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The body of the request is through, or will never be.
    pub(super) fn request_body(&self, copied: Copied) {
        self.with(|state| {
            let Progress::Passing(head) = std::mem::replace(&mut state.request, Progress::LeftOut) else { return };
            match copied {
                Copied::Whole(body) => {
                    let request = Request { body, ..head };
                    let wire = match self.link {
                        Link::Exchange(exchange) => Wire::Request(exchange, request),
                        Link::Socket(socket) => Wire::Upgrade(socket, request),
                    };
                    state.request = Progress::Told;
                    self.tell(Side::Client, wire);
                    if let Some(answer) = state.early.take() {
                        self.feed.settle(self.conn);
                        self.end(state, Side::Server, answer);
                    }
                }
                Copied::LeftOut(reason) => {
                    self.feed.gap(self.conn, format!("{} request left out: {reason}", self.link));
                    self.fail(state, Side::Client, Failure::TooLarge);
                    self.note_status(state);
                    self.lose_early(state);
                }
                // Who is to blame shows in what follows, unless the answer is there already.
                Copied::Broken(_) | Copied::Dropped(_) => {
                    self.note_half_request(state);
                    if self.lose_early(state) {
                        self.fail(state, Side::Client, Failure::Aborted);
                    }
                }
            }
        });
    }

    /// The head of the answer is there.
    pub(super) fn answer(&self, head: Response) {
        self.with(|state| {
            state.status = Some(head.status);
            state.answer = Some(head);
            if matches!(state.request, Progress::LeftOut) {
                self.note_status(state);
            }
        });
    }

    /// The body of the answer is through, or will never be.
    pub(super) fn answer_body(&self, copied: Copied) {
        self.with(|state| {
            let Some(head) = state.answer.take() else { return };
            match copied {
                Copied::Whole(body) => {
                    let response = Response { body, ..head };
                    let wire = match self.link {
                        Link::Exchange(exchange) => Wire::Response(exchange, response),
                        Link::Socket(socket) => Wire::Refused(socket, response),
                    };
                    match state.request {
                        Progress::Passing(_) => {
                            self.feed.owe(self.conn, self.orphan());
                            state.early = Some(wire);
                        }
                        Progress::Told => self.end(state, Side::Server, wire),
                        Progress::LeftOut => {
                            self.feed.gap(self.conn, self.orphan());
                            self.fail(state, Side::Client, Failure::Aborted);
                        }
                    }
                }
                Copied::LeftOut(reason) => {
                    self.feed.gap(self.conn, format!("{} answer left out: {reason}", self.link));
                    self.note_status(state);
                    self.fail(state, Side::Server, Failure::TooLarge);
                }
                Copied::Broken(passed) => self.break_off(state, passed, Side::Server, Failure::Reset),
                Copied::Dropped(passed) => self.break_off(state, passed, Side::Client, Failure::Aborted),
            }
        });
    }

    /// The answer ends in the middle. What came of it has reached the client and may hold whole messages.
    fn break_off(&self, state: &mut State, passed: usize, by: Side, failure: Failure) {
        self.leave_request(state);
        self.note_status(state);
        if passed > 0 {
            self.feed.gap(self.conn, format!("{} answer left out: it broke off after {passed} bytes", self.link));
        }
        self.fail(state, by, failure);
    }

    /// The connection of the client ends: nothing can be told of the exchange any more.
    pub(super) fn close(&self) {
        self.with(|state| {
            let is_answered = self.leave_request(state);
            state.answer = None;
            if is_answered {
                self.fail(state, Side::Client, Failure::Aborted);
            }
            state.over = true;
        });
    }

    pub(super) fn is_over(&self) -> bool {
        self.with(|state| state.over)
    }

    /// The upgrade is granted; what follows belongs to the socket.
    pub(super) fn upgraded(&self, granted: Headers) {
        self.with(|state| {
            if let Link::Socket(socket) = self.link {
                self.end(state, Side::Server, Wire::Upgraded(socket, granted));
            }
        });
    }

    /// There will be no answer.
    pub(super) fn broken(&self, by: Side, failure: Failure) {
        self.with(|state| {
            self.leave_request(state);
            self.fail(state, by, failure);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self, state: &mut State, by: Side, failure: Failure) {
        let wire = match self.link {
            Link::Exchange(exchange) => Wire::Broken(exchange, failure),
            Link::Socket(socket) => Wire::Lost(socket, failure),
        };
        self.end(state, by, wire);
    }

    fn end(&self, state: &mut State, from: Side, wire: Wire) {
        if !std::mem::replace(&mut state.over, true) {
            self.tell(from, wire);
        }
    }

    fn tell(&self, from: Side, wire: Wire) {
        self.feed.wire(self.conn, from, wire);
    }

    /// A request that is not whole by now never will be. Says whether its answer is there, and lost with it.
    fn leave_request(&self, state: &mut State) -> bool {
        if matches!(state.request, Progress::Passing(_)) {
            state.request = Progress::LeftOut;
            self.note_half_request(state);
        }
        self.lose_early(state)
    }

    fn lose_early(&self, state: &mut State) -> bool {
        let Some(_answer) = state.early.take() else { return false };
        self.feed.settle(self.conn);
        self.feed.gap(self.conn, self.orphan());
        true
    }

    /// How the loss of an answer is told that has passed and has no request.
    fn orphan(&self) -> String {
        format!("{} answer left out: its request was never whole", self.link)
    }

    fn note_half_request(&self, state: &mut State) {
        self.feed.note(self.conn, format!("{} request left out: it was never whole", self.link));
        self.note_status(state);
    }

    /// An answer without its request, or without its body, still has a status. It is told once.
    fn note_status(&self, state: &mut State) {
        if let Some(status) = state.status.take() {
            self.feed.note(self.conn, format!("{} answered with status {status}", self.link));
        }
    }
}

/// Watches over an exchange while its answer is awaited: if this is dropped, the client has gone.
pub(super) struct Held(Option<Arc<Exchange>>);

impl Held {
    pub(super) const fn new(exchange: Arc<Exchange>) -> Self {
        Self(Some(exchange))
    }

    /// The answer is there, or the exchange is over.
    pub(super) fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            exchange.broken(Side::Client, Failure::Aborted);
        }
    }
}
