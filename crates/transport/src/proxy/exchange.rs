//! One exchange as the feed tells it: a whole request, then a whole answer or how it broke, each once.
//!
//! The request and the answer pass through futures of their own, which can end in any order or be dropped. All of them
//! report here. A request that was never whole is never told as a request.

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
    LeftOut(&'static str),
    /// Its sender broke off.
    Broken,
    /// Whoever took it lost interest.
    Dropped,
}

pub(super) struct Exchange {
    feed: Feed,
    conn: u64,
    link: Link,
    state: Mutex<State>,
}

struct State {
    request: Progress,
    /// The status of the answer, from its arrival on.
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
                        self.end(state, Side::Server, answer);
                    }
                }
                Copied::LeftOut(reason) => {
                    self.feed.gap(self.conn, format!("{} request left out: {reason}", self.link));
                    self.fail(state, Side::Client, Failure::TooLarge);
                    self.note_status(state);
                }
                // Who is to blame shows in what follows, unless the answer is there already.
                Copied::Broken | Copied::Dropped => {
                    self.note_status(state);
                    if state.early.take().is_some() {
                        self.fail(state, Side::Server, Failure::Aborted);
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
                        Progress::Passing(_) => state.early = Some(wire),
                        Progress::Told => self.end(state, Side::Server, wire),
                        Progress::LeftOut => self.fail(state, Side::Server, Failure::Aborted),
                    }
                }
                Copied::LeftOut(reason) => {
                    self.feed.gap(self.conn, format!("{} answer left out: {reason}", self.link));
                    self.note_status(state);
                    self.fail(state, Side::Server, Failure::TooLarge);
                }
                Copied::Broken => self.fail(state, Side::Server, Failure::Reset),
                Copied::Dropped => self.fail(state, Side::Client, Failure::Aborted),
            }
        });
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
            state.request = Progress::LeftOut;
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

    /// An answer without its request, or without its body, still has a status.
    fn note_status(&self, state: &State) {
        if let Some(status) = state.status {
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
