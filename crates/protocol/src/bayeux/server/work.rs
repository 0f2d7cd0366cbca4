//! A request in work: its messages one by one, then its replies in one piece.
//!
//! The order inside is CometD's: events before the replies to what caused them, on long-polling in one array, on a
//! WebSocket one frame for each event and then one for all replies.

use std::collections::VecDeque;

use crate::bayeux::channel;
use crate::bayeux::http;
use crate::bayeux::message::Message;
use crate::bayeux::server::http::container;
use crate::bayeux::server::{Event, Rejected, Server, SessionId, malformed};
use crate::secret::Secret;
use crate::time::Time;
use crate::wire::{Exchange, Socket, Transport};

/// How a request came.
#[derive(Clone, Debug)]
pub(super) enum Via {
    Http {
        exchange: Exchange,
        /// The browser cookie of the request.
        browser: Option<Secret>,
    },
    Socket(Socket),
}

impl Via {
    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::Http { .. } => Transport::LongPolling,
            Self::Socket(_) => Transport::WebSocket,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) now: Time,
    pub(super) via: Via,
    /// Whether the request held more than one message; then a connect over HTTP is not held (CometD #721).
    pub(super) batched: bool,
    waiting: VecDeque<Message>,
    /// Whose request it is, by its first message that named a session of the sender.
    pub(super) session: Option<SessionId>,
    /// What was queued for a session that the request ended.
    pub(super) left_over: Vec<Message>,
    pub(super) replies: Vec<Message>,
    /// The browser cookie to set.
    pub(super) new_browser: Option<Secret>,
    /// Whether a connect of this request is held, so that the exchange stays open.
    pub(super) held: bool,
}

impl Work {
    pub(super) fn new(now: Time, via: Via, messages: Vec<Message>) -> Self {
        Self {
            now,
            via,
            batched: messages.len() > 1,
            waiting: messages.into(),
            session: None,
            left_over: Vec::new(),
            replies: Vec::new(),
            new_browser: None,
            held: false,
        }
    }

    pub(super) const fn socket(&self) -> Option<Socket> {
        match self.via {
            Via::Socket(socket) => Some(socket),
            Via::Http { .. } => None,
        }
    }
}

impl Server {
    /// Works off the next message of the request in work, or ends it.
    pub(super) fn step(&mut self) {
        let Some(mut work) = self.work.take() else { return };
        let Some(message) = work.waiting.pop_front() else { return self.finish(work) };
        match self.process(&mut work, &message) {
            Ok(reply) => {
                work.replies.extend(reply);
                self.work = Some(work);
            }
            Err(Fault) => self.fail(&work),
        }
    }

    fn process(&mut self, work: &mut Work, message: &Message) -> Result<Option<Message>, Fault> {
        let Some(name) = message.channel().filter(|_| !malformed::is_faulty(message)) else { return Err(Fault) };
        if name == channel::HANDSHAKE {
            return Ok(Some(self.handshake(work, message)));
        }
        let Some(session) = self.own_session(work, message) else {
            return Ok(Some(self.unknown_session_of(message)));
        };
        if !malformed::is_routable(name) {
            return Err(Fault);
        }
        Ok(match name {
            channel::CONNECT => self.connect(work, session, message),
            channel::DISCONNECT => Some(self.end(work, session, message)),
            channel::SUBSCRIBE => Some(self.subscribe(message)?),
            channel::UNSUBSCRIBE => Some(self.unsubscribe(message)?),
            _ => Some(self.publish(session, name, message)),
        })
    }

    /// The session that a message names, if it is the sender's own: over HTTP the browser cookie must match (CometD
    /// #608), on a WebSocket no other live session may have used the socket, and one request speaks for one session.
    fn own_session(&mut self, work: &mut Work, message: &Message) -> Option<SessionId> {
        let id = self.session(message.client_id()?)?;
        let session = self.sessions.get(&id)?;
        let own = match &work.via {
            Via::Http { browser, .. } => session.browser.is_some() && session.browser == *browser,
            Via::Socket(socket) => match self.sockets.get_mut(socket) {
                Some(Some(bound)) => *bound == id,
                Some(free) => {
                    *free = Some(id);
                    true
                }
                None => false,
            },
        };
        if !own || work.session.is_some_and(|other| other != id) {
            return None;
        }
        work.session = Some(id);
        Some(id)
    }

    fn finish(&mut self, mut work: Work) {
        let mut messages = std::mem::take(&mut work.left_over);
        if work.held
            && matches!(work.via, Via::Http { .. })
            && let Some(id) = work.session
        {
            if self.sessions.get(&id).is_some_and(|session| !session.queue.is_empty()) {
                self.release(work.now, id, Vec::new());
            }
            return;
        }
        if let Some(session) = work.session.and_then(|id| self.sessions.get_mut(&id)) {
            messages.extend(std::mem::take(&mut session.queue));
            session.touch(work.now);
        }
        match work.via {
            Via::Http { exchange, .. } => {
                messages.extend(work.replies);
                let mut response = http::response(&messages);
                if let Some(browser) = &work.new_browser {
                    let cookie = format!("{}={};Path=/;HttpOnly", http::BROWSER_COOKIE, browser.expose());
                    response.headers = response.headers.with("Set-Cookie", &cookie);
                }
                self.respond(exchange, response);
            }
            Via::Socket(socket) => {
                for message in messages {
                    self.text(socket, &[message]);
                }
                if !work.replies.is_empty() {
                    self.text(socket, &work.replies);
                }
            }
        }
    }

    /// Ends the whole request as CometD does when its own code throws. What was executed stays executed.
    fn fail(&mut self, work: &Work) {
        self.emit(Event::Rejected(work.via.transport(), Rejected::Protocol));
        match work.via {
            Via::Http { exchange, .. } => self.respond(exchange, container(500, "Server Error")),
            Via::Socket(socket) => self.close(work.now, socket, 1011, "protocol violation"),
        }
    }
}

/// A message that makes CometD throw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault;
