//! The Bayeux server machine: what CometD 3.1 does on the wire, without an application.
//!
//! ```text
//! handshake --> session --first connect, answered at once--> connected --next connect--> held
//!                  |                                             ^                        |
//!                  | interval + maxInterval without a connect    +--event, timeout--------+
//!                  v                                                                      |
//!               expired (402 from then on)                  disconnect --> gone <---------+
//! ```
//!
//! The layer above is an application such as the chat server. It takes [`Event::Published`] out and answers with
//! [`Server::deliver`] while it is still draining: the messages of one request are worked off one by one, each only when
//! the outputs of the one before it are drained, so that the events that a request causes go back with its replies.
//!
//! What it deliberately does not have: broadcast channels. The chat API uses service channels alone, so a subscription to
//! anything else is refused by policy, and a publish to anything else is acknowledged and reaches nobody.

mod http;
mod malformed;
mod meta;
mod session;
mod socket;
mod work;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;

use self::session::{Carrier, HeldOn, Session};
use self::work::Work;
use crate::bayeux::batch::{Batch, Limits};
use crate::bayeux::channel;
use crate::bayeux::dialect::Dialect;
use crate::bayeux::http::response;
use crate::bayeux::message::{ClientId, Message};
use crate::machine::{Input, Machine, Output};
use crate::mint::Mint;
use crate::time::Time;
use crate::wire::{Exchange, Response, Socket, Transport, Wire};

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the CometD servlet, such as `/genesys/cometd`.
    pub base: String,
    /// How it words and times what it says.
    pub dialect: Dialect,
    /// How much it takes from a client at once.
    pub limits: Limits,
}

impl Settings {
    /// A CometD 3.1 server with its default settings.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self { base: base.into(), dialect: Dialect::cometd_3_1(), limits: Limits::default() }
    }
}

/// Names a session towards the layer above and in logs. Never reused, and no secret, unlike the clientId.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.0)
    }
}

/// What the layer above did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// There is no such session any more.
    #[error("there is no such session")]
    NoSession,
}

/// Why a session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The client disconnected.
    Disconnected,
    /// It did not connect in time.
    Expired,
    /// The layer above disconnected it.
    ByServer,
    /// It was made to be forgotten, as by a restart.
    Forgotten,
}

/// Why something from a client was thrown out whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// A path that is not below the base path.
    Path,
    /// A method that no Bayeux transport uses.
    Method,
    /// A body or frame that is no batch of messages, or is over a limit.
    Malformed,
    /// A batch that breaks the protocol, such as a message without a channel.
    Protocol,
}

/// What happens to sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A handshake succeeded.
    SessionOpened(SessionId, Transport),
    /// A session is gone.
    SessionClosed(SessionId, Closed),
    /// A client published; the reply is given without asking the layer above.
    Published(SessionId, Message),
    /// Something was thrown out whole.
    Rejected(Transport, Rejected),
}

/// Why the machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A held connect is to be answered.
    Hold,
    /// A session expires.
    Expiry,
}

/// A Bayeux server. See the module's text.
#[derive(Clone, Debug)]
pub struct Server {
    settings: Settings,
    mint: Mint,
    last_session: u64,
    sessions: BTreeMap<SessionId, Session>,
    by_client: BTreeMap<ClientId, SessionId>,
    /// The open WebSockets and the session whose messages each has carried.
    sockets: BTreeMap<Socket, Option<SessionId>>,
    work: Option<Work>,
    outputs: VecDeque<Output<Event>>,
}

impl Server {
    /// Makes a server without sessions. The same seed gives the same clientIds and cookies.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            mint: Mint::new(seed, 1),
            last_session: 0,
            sessions: BTreeMap::new(),
            by_client: BTreeMap::new(),
            sockets: BTreeMap::new(),
            work: None,
            outputs: VecDeque::new(),
        }
    }

    /// Sends an event to a session, subscribed or not (BX-SVC-03).
    ///
    /// On a WebSocket it goes out at once, and is lost if the socket is gone. On long-polling it goes back with the
    /// request that caused it, else with the held connect, else it waits for the next request.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`]
    pub fn deliver(&mut self, now: Time, to: SessionId, channel: &str, data: Box<RawValue>) -> Result<(), Misuse> {
        let event = Message::draft(channel).with_raw("data", data).finish();
        let session = self.sessions.get_mut(&to).ok_or(Misuse::NoSession)?;
        let working = self.work.as_ref().filter(|work| work.session == Some(to));
        let socket = match (working.and_then(Work::socket), session.carrier) {
            (Some(socket), _) | (None, Carrier::Socket(socket)) => socket,
            (None, Carrier::Http) => {
                session.queue.push(event);
                if working.is_none() {
                    self.release(now, to, Vec::new());
                }
                return Ok(());
            }
        };
        self.text(socket, &[event]);
        Ok(())
    }

    /// Ends a session from this side (BX-DC-09). If nothing can carry the message, the client learns of it by the 402
    /// that its next message gets.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`]
    pub fn disconnect(&mut self, now: Time, id: SessionId) -> Result<(), Misuse> {
        let session = self.sessions.get(&id).ok_or(Misuse::NoSession)?;
        let message = Message::draft(channel::DISCONNECT).with("successful", true).finish();
        match session.carrier {
            Carrier::Socket(socket) => {
                self.text(socket, &[message]);
                self.leave(now, id, Vec::new());
            }
            Carrier::Http if session.held.is_some() => self.leave(now, id, vec![message]),
            Carrier::Http => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.queue.push(message);
                }
            }
        }
        let left_over = self.remove(id, Closed::ByServer);
        if let Some(work) = self.work.as_mut().filter(|work| work.session == Some(id)) {
            work.left_over.extend(left_over);
        }
        Ok(())
    }

    /// Forgets a session, as a restart or a sweep would: its next message gets 402. A held connect gets it at once.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`]
    pub fn forget(&mut self, id: SessionId) -> Result<(), Misuse> {
        let session = self.sessions.get_mut(&id).ok_or(Misuse::NoSession)?;
        if let Some(held) = session.held.take() {
            let reply = self.unknown_session(channel::CONNECT, held.id.as_ref()).finish();
            self.answer_connect(id, held.on, vec![reply]);
        }
        self.remove(id, Closed::Forgotten);
        Ok(())
    }

    /// The session of a clientId, if there is one.
    #[must_use]
    pub fn session(&self, client_id: &ClientId) -> Option<SessionId> {
        self.by_client.get(client_id).copied()
    }

    /// Every session that there is, the oldest first.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.keys().copied()
    }

    /// Whether a connect of the session is held.
    #[must_use]
    pub fn holds_connect(&self, id: SessionId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.held.is_some())
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn respond(&mut self, exchange: Exchange, response: Response) {
        self.outputs.push_back(Output::Wire(Wire::Response(exchange, response)));
    }

    /// Sends one frame, unless the socket is gone: then what was to be sent is lost (CometD 3.1).
    fn text(&mut self, socket: Socket, messages: &[Message]) {
        if self.sockets.contains_key(&socket) {
            let text = Batch::array(messages);
            self.outputs.push_back(Output::Wire(Wire::Text(socket, text)));
        }
    }

    /// Answers a connect where it is held, the reply last.
    fn answer_connect(&mut self, id: SessionId, on: HeldOn, messages: Vec<Message>) {
        match on {
            HeldOn::Exchange { exchange, .. } => self.respond(exchange, response(&messages)),
            HeldOn::Socket => {
                if let Some(Carrier::Socket(socket)) = self.sessions.get(&id).map(|session| session.carrier) {
                    self.text(socket, &messages);
                }
            }
        }
    }

    /// Answers the held connect, if there is one, with what is queued and `before` ahead of the reply.
    fn release(&mut self, now: Time, id: SessionId, before: Vec<Message>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(held) = session.held.take() else { return };
        let mut messages = std::mem::take(&mut session.queue);
        messages.extend(before);
        messages.push(held.reply());
        session.expires = Some(now + session.grace);
        self.answer_connect(id, held.on, messages);
    }

    /// Releases the held connect of a session that ends (BX-DC-03).
    fn leave(&mut self, now: Time, id: SessionId, before: Vec<Message>) {
        if let Some(held) = self.sessions.get_mut(&id).and_then(|session| session.held.as_mut()) {
            held.advice = Some(meta::advice_to_stop());
        }
        self.release(now, id, before);
    }

    /// Takes a session out and gives what was still queued for it.
    fn remove(&mut self, id: SessionId, why: Closed) -> Vec<Message> {
        let Some(session) = self.sessions.remove(&id) else { return Vec::new() };
        self.by_client.remove(&session.client_id);
        for bound in self.sockets.values_mut().filter(|bound| **bound == Some(id)) {
            *bound = None;
        }
        self.emit(Event::SessionClosed(id, why));
        session.queue
    }

    fn handle_due(&mut self, now: Time) {
        let due: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.deadline().is_some_and(|(at, _)| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            match self.sessions.get(&id).and_then(Session::deadline) {
                Some((_, Timer::Hold)) => self.release(now, id, Vec::new()),
                Some((_, Timer::Expiry)) => drop(self.remove(id, Closed::Expired)),
                None => {}
            }
        }
    }

    fn default_grace(&self) -> Duration {
        Duration::from_millis(self.settings.dialect.interval_ms.saturating_add(self.settings.dialect.max_interval_ms))
    }
}

impl Machine for Server {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        // Whoever did not drain the last request gives up the chance to answer within it.
        while self.work.is_some() {
            self.step();
        }
        self.handle_due(now);
        let Input::Wire(wire) = input else { return };
        match wire {
            Wire::Request(exchange, request) => self.handle_request(now, exchange, &request),
            Wire::Broken(exchange, _) => self.handle_broken(exchange),
            Wire::Upgrade(socket, request) => self.handle_upgrade(socket, &request),
            Wire::Text(socket, text) => self.handle_text(now, socket, &text),
            Wire::Close(socket, _) | Wire::Lost(socket, _) => self.handle_socket_gone(now, socket),
            // CometD ignores binary messages; pings are the transport's business; the rest only a server sends.
            Wire::Binary(..)
            | Wire::Ping(..)
            | Wire::Pong(..)
            | Wire::Response(..)
            | Wire::Upgraded(..)
            | Wire::Refused(..) => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            self.work.as_ref()?;
            self.step();
        }
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.sessions.values().filter_map(Session::deadline).min()
    }
}
