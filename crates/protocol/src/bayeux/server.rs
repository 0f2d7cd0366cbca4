//! The Bayeux server machine: what CometD does on the wire in any of its [dialects](crate::bayeux::dialect).
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
//! Broadcast channels need no application: whoever subscribed gets what is published.
//!
//! Clients come by WebSocket, long-polling and callback-polling. Events name the last two by one word, since they are
//! one way of polling over HTTP.
//!
//! What it deliberately does not have: channel listeners, which only an application inside the server could ask for; and
//! unconnected publishes, which no CometD allows.

mod channels;
mod delivery;
mod extension;
mod http;
mod malformed;
mod meta;
mod queue;
mod session;
mod settings;
mod socket;
mod subscription;
mod work;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;

use self::channels::Channels;
use self::queue::Queue;
use self::session::{Carrier, Held, HeldOn, Session};
pub use self::settings::{Bounds, Cors, Policy, Settings};
use self::work::Work;
use crate::bayeux::batch::Batch;
use crate::bayeux::channel;
use crate::bayeux::dialect::Timing;
use crate::bayeux::message::{ClientId, Message, MessageId};
use crate::machine::{Input, Machine, Output};
use crate::mint::Mint;
use crate::time::Time;
use crate::wire::{Exchange, Socket, Transport, Wire};

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
    /// A WebSocket for a page of an origin that the operator does not allow.
    Origin,
}

/// What happens to sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A handshake succeeded.
    SessionOpened(SessionId, Transport),
    /// A client disconnects with an `ext` in its message; [`Event::SessionClosed`] follows.
    Leaving(SessionId, Message),
    /// A session is gone.
    SessionClosed(SessionId, Closed),
    /// A client published; the reply is given without asking the layer above.
    Published(SessionId, Message),
    /// As many events wait for a session as the operator set, and one more came (`maxQueue`). It waits too.
    QueueMaxed(SessionId),
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
    /// Lazy events have waited long enough.
    Lazy,
    /// A WebSocket carried nothing for too long.
    Idle,
}

/// A WebSocket that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// The session whose messages it has carried.
    session: Option<SessionId>,
    /// When it last carried something.
    active_at: Time,
}

/// A Bayeux server. See the module's text.
#[derive(Clone, Debug)]
pub struct Server {
    settings: Settings,
    mint: Mint,
    /// The moment of the last input or command.
    now: Time,
    last_session: u64,
    sessions: BTreeMap<SessionId, Session>,
    by_client: BTreeMap<ClientId, SessionId>,
    channels: Channels,
    /// The bytes of events that wait for all sessions.
    waiting_bytes: usize,
    sockets: BTreeMap<Socket, Open>,
    /// The allowed origins of open exchanges, for the CORS headers of their answers.
    origins: BTreeMap<Exchange, String>,
    work: Option<Work>,
    outputs: VecDeque<Output<Event>>,
}

impl Server {
    /// Makes a server without sessions. The same seed gives the same clientIds and cookies.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let channels = Channels::new(settings.dialect.options.sweep_period_ms);
        Self {
            settings,
            mint: Mint::new(seed, 1),
            now: Time::ZERO,
            last_session: 0,
            sessions: BTreeMap::new(),
            by_client: BTreeMap::new(),
            channels,
            waiting_bytes: 0,
            sockets: BTreeMap::new(),
            origins: BTreeMap::new(),
            work: None,
            outputs: VecDeque::new(),
        }
    }

    /// Sends an event to a session, subscribed or not (BX-SVC-03).
    ///
    /// On a WebSocket it goes out at once; if the socket is gone the dialect says whether it is lost. On long-polling it
    /// goes back with the request that caused it, else with the held connect, else it waits for the next request. What
    /// must travel with connects alone always waits for one.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`]
    pub fn deliver(&mut self, now: Time, to: SessionId, channel: &str, data: Box<RawValue>) -> Result<(), Misuse> {
        self.deliver_as(now, to, channel, None, data)
    }

    /// The same with an `id`, as an application that makes its own messages may give one.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`]
    pub fn deliver_as(
        &mut self,
        now: Time,
        to: SessionId,
        channel: &str,
        id: Option<&MessageId>,
        data: Box<RawValue>,
    ) -> Result<(), Misuse> {
        if !self.sessions.contains_key(&to) {
            return Err(Misuse::NoSession);
        }
        self.now = now;
        let event = Message::draft(channel).id(id).with_raw("data", data).finish();
        let within = self.work.as_ref().and_then(|work| work.within(to));
        self.carry(now, to, event, within);
        Ok(())
    }

    /// Changes how the connects of one session are timed; with `None` as its transport's are. The reply to its next
    /// connect tells it.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`]
    pub fn retime(&mut self, id: SessionId, timing: Option<Timing>) -> Result<(), Misuse> {
        let session = self.sessions.get_mut(&id).ok_or(Misuse::NoSession)?;
        session.timing = timing;
        session.owes_advice = true;
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
        let (carrier, holds) = (session.carrier, session.held.is_some());
        self.now = now;
        let mut rest = vec![self.farewell()];
        match carrier {
            Carrier::Socket(socket) => {
                self.text(socket, &rest);
                rest.clear();
                self.leave(now, id, Vec::new());
            }
            Carrier::LongPolling | Carrier::CallbackPolling if holds => {
                self.leave(now, id, std::mem::take(&mut rest));
            }
            Carrier::LongPolling | Carrier::CallbackPolling => {}
        }
        let queued = self.remove(id, Closed::ByServer);
        if let Some(work) = self.work.as_mut().filter(|work| work.session == Some(id)) {
            work.left_over.extend(queued);
            work.left_over.extend(rest);
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
        let carrier = session.carrier;
        if let Some(held) = session.held.take() {
            let reply = [self.unknown_session(channel::CONNECT, held.answer.id.as_ref()).finish()];
            match (held.on, carrier) {
                (HeldOn::Exchange { exchange, callback, .. }, _) => {
                    self.answer(exchange, callback.as_deref(), &reply, None);
                }
                (HeldOn::Socket, Carrier::Socket(socket)) => self.text(socket, &reply),
                (HeldOn::Socket, Carrier::LongPolling | Carrier::CallbackPolling) => {}
            }
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

    /// Wall time, in milliseconds since the epoch.
    fn utc_ms(&self) -> i64 {
        self.settings.start_utc.saturating_add(i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX))
    }

    /// The messages as they go out: with the time of day, where that extension is installed.
    fn stamped(&self, messages: &[Message]) -> Vec<Message> {
        if !self.settings.dialect.options.extensions.timestamp {
            return messages.to_vec();
        }
        let timestamp = extension::timestamp(self.utc_ms());
        messages.iter().map(|message| extension::with_member(message, "timestamp", &timestamp)).collect()
    }

    /// Sends one frame if there is anything to send and the socket is there.
    fn text(&mut self, socket: Socket, messages: &[Message]) {
        if !messages.is_empty()
            && let Some(open) = self.sockets.get_mut(&socket)
        {
            open.active_at = self.now;
            let text = Batch::array(&self.stamped(messages));
            self.outputs.push_back(Output::Wire(Wire::Text(socket, text)));
        }
    }

    /// Sends events, as many in one frame as the operator allows.
    fn frames(&mut self, socket: Socket, events: &[Message]) {
        let at_once = match self.settings.dialect.options.messages_per_frame {
            0 => events.len().max(1),
            some => some,
        };
        for events in events.chunks(at_once) {
            self.text(socket, events);
        }
    }

    /// Takes a session out and gives what was still queued for it.
    fn remove(&mut self, id: SessionId, why: Closed) -> Vec<Message> {
        let Some(mut session) = self.sessions.remove(&id) else { return Vec::new() };
        self.by_client.remove(&session.client_id);
        for name in &session.subscriptions {
            self.channels.unsubscribe(name, id, self.now);
        }
        for open in self.sockets.values_mut().filter(|open| open.session == Some(id)) {
            open.session = None;
        }
        self.emit(Event::SessionClosed(id, why));
        self.waiting_bytes -= session.queue.bytes();
        session.queue.export(None)
    }

    /// Takes out of a queue what goes out with a reply that closed this batch.
    fn export(&mut self, id: SessionId, closed: Option<u64>) -> Vec<Message> {
        self.on_queue(id, |queue| queue.export(closed)).unwrap_or_default()
    }

    /// Changes a queue, and keeps account of what waits in all of them.
    fn on_queue<T>(&mut self, id: SessionId, change: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queue = &mut self.sessions.get_mut(&id)?.queue;
        let before = queue.bytes();
        let result = change(queue);
        self.waiting_bytes = self.waiting_bytes - before + queue.bytes();
        Some(result)
    }

    fn handle_due(&mut self, now: Time) {
        let period = self.settings.dialect.options.sweep_period_ms;
        let due: Vec<(SessionId, Timer)> = self
            .sessions
            .iter()
            .filter_map(|(id, session)| Some((*id, session.deadline(period)?)))
            .filter(|(_, (at, _))| *at <= now)
            .map(|(id, (_, timer))| (id, timer))
            .collect();
        for (id, timer) in due {
            match timer {
                Timer::Hold => self.release(now, id, Vec::new()),
                Timer::Expiry => self.expire(now, id),
                Timer::Lazy => self.send_lazy(now, id),
                Timer::Idle => {}
            }
        }
        self.close_idle(now);
    }

    /// A session that expires under a connect that is held takes its socket with it, or fails the exchange.
    fn expire(&mut self, now: Time, id: SessionId) {
        let session = self.sessions.get_mut(&id);
        let held = session.and_then(|session| session.held.take().map(|held| (held, session.carrier)));
        self.remove(id, Closed::Expired);
        let Some((Held { on, expires: Some(expiry), .. }, carrier)) = held else { return };
        match (on, carrier) {
            (HeldOn::Exchange { exchange, .. }, _) => {
                self.respond(exchange, http::container(self.settings.dialect.connects.superseded_status, ""));
            }
            (HeldOn::Socket, Carrier::Socket(socket)) => self.close(now, socket, 1000, &expiry.reason),
            (HeldOn::Socket, Carrier::LongPolling | Carrier::CallbackPolling) => {}
        }
    }

    /// When an open WebSocket is closed for want of traffic.
    fn idle_at(&self, open: &Open) -> Option<Time> {
        let idle = self.settings.dialect.options.web_socket_idle_ms;
        (idle > 0).then(|| open.active_at + Duration::from_millis(idle))
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
        self.now = now;
        self.handle_due(now);
        let Input::Wire(wire) = input else { return };
        if let Some(open) = wire.socket().and_then(|socket| self.sockets.get_mut(&socket)) {
            open.active_at = now;
        }
        match wire {
            Wire::Request(exchange, request) => self.handle_request(now, exchange, &request),
            Wire::Broken(exchange, _) => self.handle_broken(exchange),
            Wire::Upgrade(socket, request) => self.handle_upgrade(now, socket, &request),
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
        let period = self.settings.dialect.options.sweep_period_ms;
        let sessions = self.sessions.values().filter_map(|session| session.deadline(period));
        let sockets = self.sockets.values().filter_map(|open| Some((self.idle_at(open)?, Timer::Idle)));
        sessions.chain(sockets).min()
    }
}
