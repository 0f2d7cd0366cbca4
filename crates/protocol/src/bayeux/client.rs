//! The Bayeux client machine: handshake, connect for ever, publish, disconnect, and what advice and losses do to them.
//!
//! ```text
//! Idle --start--> AwaitingHandshake --ok--> Polling --disconnect()--> Leaving --> Closed
//!                    ^    | failed             |  |
//!                    |    v                    |  +-- reconnect none, negative interval --> Closed
//!              WaitingToHandshake <------------+ 402, reconnect handshake
//! ```
//!
//! Within `Polling` exactly one `/meta/connect` is outstanding or due. Errors are told apart by code, never by words.
//! The machine repeats handshakes and connects by itself; a publish is never repeated, its outcome is told instead.

mod carrier;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

pub use self::carrier::Loss;
use self::carrier::{Arrival, Carrier};
use crate::bayeux::advice::{Advice, Reconnect};
use crate::bayeux::batch::Limits;
use crate::bayeux::channel;
use crate::bayeux::message::{ClientId, Message, MessageId};
use crate::machine::{Input, Machine, Output};
use crate::time::Time;
use crate::violation::Violation;
use crate::wire::{Transport, Wire};

/// The longest time that advice is followed literally: a year. Longer ones only lead to the end of [`Time`], where
/// everything is due at once.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// Path of the CometD servlet, such as `/genesys/cometd`.
    pub base: String,
    /// Transports to use, the preferred one first. A WebSocket that is refused at once makes room for the one behind it.
    pub transports: Vec<Transport>,
    /// How much longer to wait after each failure in a row.
    pub backoff_increment: Duration,
    /// The longest such wait.
    pub max_backoff: Duration,
    /// How long to wait for a reply, beyond the time that the server holds a connect.
    pub max_network_delay: Duration,
    /// How long a held connect is expected to be held when no advice says so.
    pub default_timeout: Duration,
    /// How much to take from the server at once.
    pub limits: Limits,
    /// How many bytes the target of a request of callback-polling may have, messages included (BX-CP-06).
    pub target_limit: usize,
    /// Whether a connect reply must carry the id of the outstanding connect (BX-META-04). On, but for tests that show
    /// what it is good for: off, any connect reply counts as the reply to the outstanding connect.
    pub check_connect_id: bool,
}

impl Config {
    /// The settings of the CometD clients: back-off 1 s to 60 s, network delay 10 s, connects of 60 s.
    #[must_use]
    pub fn new(base: impl Into<String>, transports: &[Transport]) -> Self {
        Self {
            base: base.into(),
            transports: transports.to_vec(),
            backoff_increment: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            max_network_delay: Duration::from_secs(10),
            default_timeout: Duration::from_secs(60),
            limits: Limits { bytes: 16 << 20, ..Limits::default() },
            target_limit: 2_000,
            check_connect_id: true,
        }
    }
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// There is no session to do it in.
    #[error("there is no session")]
    NoSession,
    /// The client was started before.
    #[error("the client was started before")]
    AlreadyStarted,
    /// Meta channels belong to the protocol (BX-CH-03).
    #[error("a meta channel cannot be published to")]
    MetaChannel,
}

/// What became of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server accepted it. What the application makes of it comes apart, as an event.
    Acknowledged,
    /// The server refused it, with this error code if it gave one; it was not executed.
    Refused(Option<u16>),
    /// No reply will come. Unless the loss is [`Loss::NotSent`], nobody knows whether it was executed.
    Unknown(Loss),
}

/// Why the client is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// We disconnected.
    Disconnected,
    /// The server disconnected us by a message of its own.
    ByServer,
    /// Advice said not to come back: `none`, an unknown word or a negative interval.
    Advised,
    /// The server offers no transport that we have.
    NoCommonTransport,
}

/// What happens to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection stands: the first good connect reply after a handshake or after a loss.
    Connected {
        /// Whether a new handshake was needed, so that the server knows nothing of an earlier session.
        new_session: bool,
    },
    /// A connect failed; the session may or may not survive on the server. Events may be lost.
    ConnectionLost,
    /// The server no longer knows the session; a new handshake follows.
    SessionLost,
    /// A handshake failed and will be repeated.
    HandshakeFailed,
    /// A message with `data` for the application.
    Delivered(Message),
    /// What became of a publish.
    Published(MessageId, Outcome),
    /// The server broke a rule of the wire format.
    Violated(Violation),
    /// The machine is at its end.
    Closed(Closed),
}

/// Why the machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A reply is overdue.
    Reply,
    /// The next handshake is due.
    Handshake,
    /// The next connect is due.
    Connect,
    /// What is left of a session that we left is to be cut.
    Leave,
}

#[derive(Clone, Debug)]
enum State {
    Idle,
    AwaitingHandshake,
    WaitingToHandshake { at: Time },
    Polling(Session),
    Leaving { deadline: Time },
    Closed,
}

/// A session that the server granted.
#[derive(Clone, Debug)]
struct Session {
    client_id: ClientId,
    /// When the next connect is due; `None` while one is outstanding.
    connect_at: Option<Time>,
    /// Whether the next connect must be answered at once, so that the application hears that it is connected.
    at_once: bool,
    /// Whether a connect succeeded since the handshake or the last loss.
    connected: bool,
    /// Whether no connect succeeded since the handshake.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Handshake,
    Connect,
    Publish,
    Disconnect,
}

#[derive(Clone, Debug)]
struct Pending {
    kind: Kind,
    deadline: Time,
}

/// A Bayeux client. See the module's text for its states.
#[derive(Clone, Debug)]
pub struct Client {
    config: Config,
    carrier: Carrier,
    state: State,
    advice: Advice,
    failures: u32,
    last_id: u64,
    pending: BTreeMap<MessageId, Pending>,
    wires: VecDeque<Wire>,
    outputs: VecDeque<Output<Event>>,
}

impl Client {
    /// Makes a client at rest.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let transport = config.transports.first().copied().unwrap_or(Transport::LongPolling);
        let carrier = Carrier::new(&config.base, transport, config.limits, config.target_limit);
        Self {
            config,
            carrier,
            state: State::Idle,
            advice: Advice::default(),
            failures: 0,
            last_id: 0,
            pending: BTreeMap::new(),
            wires: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Begins with a handshake.
    ///
    /// # Errors
    ///
    /// [`Misuse::AlreadyStarted`] on every call but the first.
    pub fn start(&mut self, now: Time) -> Result<(), Misuse> {
        match self.state {
            State::Idle => {
                self.handshake(now);
                self.flush_wires();
                Ok(())
            }
            State::AwaitingHandshake
            | State::WaitingToHandshake { .. }
            | State::Polling(_)
            | State::Leaving { .. }
            | State::Closed => Err(Misuse::AlreadyStarted),
        }
    }

    /// Publishes; the outcome comes as [`Event::Published`] under the returned id.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`] before a successful handshake and after the end, [`Misuse::MetaChannel`].
    pub fn publish(&mut self, now: Time, on: &str, data: Value) -> Result<MessageId, Misuse> {
        if channel::is_meta(on) {
            return Err(Misuse::MetaChannel);
        }
        let State::Polling(session) = &self.state else { return Err(Misuse::NoSession) };
        let client_id = session.client_id.clone();
        let id = self.next_id();
        let message = Message::draft(on).id(Some(&id)).client(&client_id).with("data", data).finish();
        self.send(now, &id, Kind::Publish, Duration::ZERO, message);
        self.flush_wires();
        Ok(id)
    }

    /// Leaves the session. Does nothing if there is none to leave. What was published and has not left yet is not sent.
    pub fn disconnect(&mut self, now: Time) {
        match &self.state {
            State::Polling(session) => {
                let client_id = session.client_id.clone();
                self.withdraw_publishes();
                let id = self.next_id();
                let message = Message::draft(channel::DISCONNECT).id(Some(&id)).client(&client_id).finish();
                self.state = State::Leaving { deadline: now + self.config.max_network_delay };
                self.send(now, &id, Kind::Disconnect, Duration::ZERO, message);
            }
            State::Idle | State::AwaitingHandshake | State::WaitingToHandshake { .. } => {
                self.close(Closed::Disconnected, "Disconnect");
            }
            State::Leaving { .. } | State::Closed => {}
        }
        self.flush_wires();
    }

    /// Whether a session stands and its last connect did not fail.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(&self.state, State::Polling(session) if session.connected)
    }

    /// Whether the machine is at its end.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// The transport in use.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.carrier.transport()
    }

    /// How many connects wait for a reply; never more than one (BX-CN-04).
    #[must_use]
    pub fn outstanding_connects(&self) -> usize {
        self.pending.values().filter(|pending| pending.kind == Kind::Connect).count()
    }

    fn next_id(&mut self) -> MessageId {
        self.last_id += 1;
        MessageId::new(self.last_id.to_string())
    }

    fn emit(&mut self, event: Event) {
        self.flush_wires();
        self.outputs.push_back(Output::Event(event));
    }

    fn flush_wires(&mut self) {
        self.outputs.extend(self.wires.drain(..).map(Output::Wire));
    }

    fn send(&mut self, now: Time, id: &MessageId, kind: Kind, hold: Duration, message: Message) {
        let deadline = now + hold + self.config.max_network_delay;
        self.pending.insert(id.clone(), Pending { kind, deadline });
        let arrivals = self.carrier.send(message, &mut self.wires);
        for arrival in arrivals {
            self.on_arrival(now, arrival);
        }
    }

    fn handshake(&mut self, now: Time) {
        let id = self.next_id();
        let types: Vec<&str> = self.config.transports.iter().map(|transport| transport.name()).collect();
        let message = Message::draft(channel::HANDSHAKE)
            .id(Some(&id))
            .with("version", "1.0")
            .with("minimumVersion", "1.0")
            .with("supportedConnectionTypes", types)
            .with("advice", json!({"timeout": 60_000, "interval": 0}))
            .finish();
        self.state = State::AwaitingHandshake;
        self.advice = Advice::default();
        self.send(now, &id, Kind::Handshake, Duration::ZERO, message);
    }

    fn connect(&mut self, now: Time) {
        let State::Polling(session) = &self.state else { return };
        let (client_id, at_once) = (session.client_id.clone(), session.at_once);
        let hold = if at_once {
            Duration::ZERO
        } else {
            self.advice
                .timeout
                .and_then(|timeout| u64::try_from(timeout).ok())
                .map_or(self.config.default_timeout, |millis| Duration::from_millis(millis).min(LONGEST))
        };
        let id = self.next_id();
        let message = Message::draft(channel::CONNECT)
            .id(Some(&id))
            .client(&client_id)
            .with("connectionType", self.carrier.transport().name())
            .with_some("advice", at_once.then(|| json!({"timeout": 0})))
            .finish();
        if let State::Polling(session) = &mut self.state {
            session.connect_at = None;
        }
        self.send(now, &id, Kind::Connect, hold, message);
    }

    fn backoff(&self) -> Duration {
        (self.config.backoff_increment * self.failures).min(self.config.max_backoff)
    }

    /// The wait that the advice asks for; `None` if it says not to come back (BX-ADV-11).
    fn interval(&self) -> Option<Duration> {
        u64::try_from(self.advice.interval.unwrap_or(0)).ok().map(|millis| Duration::from_millis(millis).min(LONGEST))
    }

    /// Forgets the session and handshakes after the advised interval, longer after failures.
    fn handshake_later(&mut self, now: Time, backoff: Duration) {
        match self.interval() {
            None => self.close(Closed::Advised, "Disconnect"),
            Some(interval) => {
                self.forget_pending();
                self.state = State::WaitingToHandshake { at: now + interval + backoff };
            }
        }
    }

    fn connect_later(&mut self, now: Time, backoff: Duration) {
        match self.interval() {
            None => self.close(Closed::Advised, "Disconnect"),
            Some(interval) => {
                if let State::Polling(session) = &mut self.state {
                    session.connect_at = Some(now + interval + backoff);
                }
            }
        }
    }

    /// Gives up on everything outstanding; publishes learn that their outcome is unknown.
    fn forget_pending(&mut self) {
        self.carrier.abandon_messages(&mut self.wires);
        for (id, pending) in std::mem::take(&mut self.pending) {
            if pending.kind == Kind::Publish {
                let loss = Loss::Connection(crate::wire::Failure::Aborted);
                self.emit(Event::Published(id, Outcome::Unknown(loss)));
            }
        }
    }

    fn withdraw_publishes(&mut self) {
        let pending = &self.pending;
        let is_publish = |id: &MessageId| pending.get(id).is_some_and(|pending| pending.kind == Kind::Publish);
        for id in self.carrier.withdraw(is_publish) {
            self.pending.remove(&id);
            self.emit(Event::Published(id, Outcome::Unknown(Loss::NotSent)));
        }
    }

    fn close(&mut self, why: Closed, reason: &str) {
        self.forget_pending();
        self.carrier.close(reason, &mut self.wires);
        self.state = State::Closed;
        self.emit(Event::Closed(why));
    }

    fn lose_session(&mut self, now: Time) {
        if matches!(self.state, State::Polling(_)) {
            self.emit(Event::SessionLost);
            let backoff = self.backoff();
            self.failures = self.failures.saturating_add(1);
            self.handshake_later(now, backoff);
        }
    }

    fn on_arrival(&mut self, now: Time, arrival: Arrival) {
        match arrival {
            Arrival::Messages(messages) => {
                for message in messages {
                    self.on_message(now, message);
                }
            }
            Arrival::Lost(ids, loss) => {
                for id in ids {
                    self.on_lost(now, &id, &loss);
                }
            }
            // Between two connects nothing waits on the socket, and yet events may be lost with it.
            Arrival::SocketGone if self.is_connected() => self.on_connect_lost(now),
            Arrival::SocketGone => {}
            Arrival::Refused(ids) => self.on_refused(now, &ids),
        }
    }

    fn on_refused(&mut self, now: Time, ids: &[MessageId]) {
        let handshaking = matches!(self.state, State::AwaitingHandshake);
        let fallback = self.config.transports.iter().find(|transport| **transport != Transport::WebSocket).copied();
        if let Some(fallback) = fallback.filter(|_| handshaking && !self.carrier.ever_open()) {
            for id in ids {
                self.pending.remove(id);
            }
            self.carrier.switch(fallback);
            self.handshake(now);
            return;
        }
        for id in ids {
            self.on_lost(now, id, &Loss::NotSent);
        }
    }

    fn on_lost(&mut self, now: Time, id: &MessageId, loss: &Loss) {
        let Some(pending) = self.pending.remove(id) else { return };
        match pending.kind {
            Kind::Handshake => {
                self.failures = self.failures.saturating_add(1);
                self.emit(Event::HandshakeFailed);
                let backoff = self.backoff();
                self.handshake_later(now, backoff);
            }
            Kind::Connect => self.on_connect_lost(now),
            Kind::Publish => self.emit(Event::Published(id.clone(), Outcome::Unknown(loss.clone()))),
            Kind::Disconnect => self.leave_if_done(true),
        }
    }

    fn on_connect_lost(&mut self, now: Time) {
        let State::Polling(session) = &mut self.state else {
            self.leave_if_done(false);
            return;
        };
        session.at_once = true;
        let was_connected = std::mem::replace(&mut session.connected, false);
        self.failures = self.failures.saturating_add(1);
        if was_connected {
            self.emit(Event::ConnectionLost);
        }
        let backoff = self.backoff();
        self.connect_later(now, backoff);
    }

    fn on_message(&mut self, now: Time, message: Message) {
        for violation in message.violations() {
            self.emit(Event::Violated(*violation));
        }
        if let Some(advice) = message.advice() {
            // The newest advice replaces every earlier one (BX-ADV-02).
            self.advice = advice;
        }
        match message.channel() {
            Some(channel::HANDSHAKE) => self.on_handshake_reply(now, &message),
            Some(channel::CONNECT) => self.on_connect_reply(now, &message),
            Some(channel::DISCONNECT) => self.on_disconnect_message(&message),
            Some(_) if message.is_publish_reply() => self.on_publish_reply(now, &message),
            Some(_) if message.data().is_some() => {
                if matches!(self.state, State::Polling(_) | State::Leaving { .. }) {
                    self.emit(Event::Delivered(message));
                }
            }
            Some(_) | None => {}
        }
    }

    /// Takes the message that a reply answers, if it is one of this kind that is still waited for.
    fn answered(&mut self, reply: &Message, kind: Kind) -> Option<MessageId> {
        let id = reply.id()?;
        self.pending.get(id).filter(|pending| pending.kind == kind)?;
        self.pending.remove(id);
        Some(id.clone())
    }

    fn on_handshake_reply(&mut self, now: Time, reply: &Message) {
        if self.answered(reply, Kind::Handshake).is_none() {
            return;
        }
        match (reply.successful(), reply.client_id()) {
            (Some(true), Some(client_id)) => {
                let offered = reply.value("supportedConnectionTypes");
                let offered = offered.as_ref().and_then(Value::as_array);
                let is_offered = |transport: &Transport| {
                    offered.is_none_or(|types| types.iter().any(|name| name.as_str() == Some(transport.name())))
                };
                let current = self.carrier.transport();
                let chosen = std::iter::once(&current).chain(&self.config.transports).find(|t| is_offered(t)).copied();
                let Some(chosen) = chosen else {
                    self.close(Closed::NoCommonTransport, "Disconnect");
                    return;
                };
                if chosen != current {
                    self.carrier.close("Disconnect", &mut self.wires);
                    self.carrier.switch(chosen);
                }
                self.state = State::Polling(Session {
                    client_id: client_id.clone(),
                    connect_at: None,
                    at_once: true,
                    connected: false,
                    fresh: true,
                });
                self.connect(now);
            }
            _ => {
                self.emit(Event::HandshakeFailed);
                match self.advice.reconnect {
                    Some(Reconnect::None | Reconnect::Unknown(_)) => self.close(Closed::Advised, "Disconnect"),
                    Some(Reconnect::Retry | Reconnect::Handshake) | None => {
                        self.failures = self.failures.saturating_add(1);
                        let backoff = self.backoff();
                        self.handshake_later(now, backoff);
                    }
                }
            }
        }
    }

    fn on_connect_reply(&mut self, now: Time, reply: &Message) {
        if self.config.check_connect_id {
            if self.answered(reply, Kind::Connect).is_none() {
                return;
            }
        } else {
            self.pending.retain(|_, pending| pending.kind != Kind::Connect);
        }
        let State::Polling(session) = &mut self.state else {
            self.leave_if_done(false);
            return;
        };
        if reply.successful() == Some(true) {
            match self.advice.reconnect {
                Some(Reconnect::None | Reconnect::Unknown(_)) => self.close(Closed::Advised, "Disconnect"),
                Some(Reconnect::Handshake) => self.lose_session(now),
                Some(Reconnect::Retry) | None => {
                    session.at_once = false;
                    let new_session = std::mem::replace(&mut session.fresh, false);
                    let was_connected = std::mem::replace(&mut session.connected, true);
                    if !new_session {
                        // A session has to outlive its first connect before the server counts as well again: one that
                        // dies at once after each handshake must not make a hot loop.
                        self.failures = 0;
                    }
                    self.connect_later(now, Duration::ZERO);
                    if !was_connected {
                        self.emit(Event::Connected { new_session });
                    }
                }
            }
            return;
        }
        let unknown_session = reply.error_code() == Some(402);
        match reply.advice().and_then(|advice| advice.reconnect) {
            Some(Reconnect::Handshake) => self.lose_session(now),
            Some(Reconnect::None | Reconnect::Unknown(_)) => self.close(Closed::Advised, "Disconnect"),
            None if unknown_session => self.lose_session(now),
            Some(Reconnect::Retry) | None => self.on_connect_lost(now),
        }
    }

    fn on_publish_reply(&mut self, now: Time, reply: &Message) {
        let Some(id) = self.answered(reply, Kind::Publish) else { return };
        if reply.successful() == Some(true) {
            self.emit(Event::Published(id, Outcome::Acknowledged));
            return;
        }
        let code = reply.error_code();
        self.emit(Event::Published(id, Outcome::Refused(code)));
        if code == Some(402) {
            // Only connect replies carry the advice to handshake (CometD); waiting for the held connect to fail would
            // lose up to its whole timeout.
            self.lose_session(now);
        }
    }

    fn on_disconnect_message(&mut self, message: &Message) {
        if self.answered(message, Kind::Disconnect).is_some() {
            self.leave_if_done(true);
        } else if message.id().is_none() && matches!(self.state, State::Polling(_)) {
            self.close(Closed::ByServer, "Disconnect");
        }
    }

    /// Closes once both the disconnect and the held connect are answered. A disconnect that cannot be answered any more
    /// counts as answered.
    fn leave_if_done(&mut self, disconnect_answered: bool) {
        let State::Leaving { .. } = self.state else { return };
        let waiting = |kind: Kind| self.pending.values().any(|pending| pending.kind == kind);
        let disconnect_answered = disconnect_answered || !waiting(Kind::Disconnect);
        if disconnect_answered && !waiting(Kind::Connect) {
            self.close(Closed::Disconnected, "Disconnect");
        }
    }

    fn on_timeout(&mut self, now: Time) {
        let overdue: Vec<MessageId> =
            self.pending.iter().filter(|(_, pending)| pending.deadline <= now).map(|(id, _)| id.clone()).collect();
        for id in overdue {
            if self.pending.contains_key(&id) {
                let arrivals = self.carrier.give_up(&id, &mut self.wires);
                for arrival in arrivals {
                    self.on_arrival(now, arrival);
                }
                // The carrier may have lost it before, with a reply that did not fit.
                self.on_lost(now, &id, &Loss::Unanswered);
            }
        }
        match &self.state {
            State::WaitingToHandshake { at } if *at <= now => self.handshake(now),
            State::Polling(session) if session.connect_at.is_some_and(|at| at <= now) => self.connect(now),
            State::Leaving { deadline } if *deadline <= now => self.close(Closed::Disconnected, "Disconnect"),
            State::Idle
            | State::AwaitingHandshake
            | State::WaitingToHandshake { .. }
            | State::Polling(_)
            | State::Leaving { .. }
            | State::Closed => {}
        }
    }
}

impl Machine for Client {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        match input {
            Input::Wire(wire) => {
                let arrivals = self.carrier.receive(wire, &mut self.wires);
                if !matches!(self.state, State::Closed | State::Idle) {
                    for arrival in arrivals {
                        self.on_arrival(now, arrival);
                    }
                }
            }
            Input::Timeout => self.on_timeout(now),
        }
        self.flush_wires();
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        let replies = self.pending.values().map(|pending| (pending.deadline, Timer::Reply));
        let state = match &self.state {
            State::WaitingToHandshake { at } => Some((*at, Timer::Handshake)),
            State::Polling(session) => session.connect_at.map(|at| (at, Timer::Connect)),
            State::Leaving { deadline } => Some((*deadline, Timer::Leave)),
            State::Idle | State::AwaitingHandshake | State::Closed => None,
        };
        replies.chain(state).min()
    }
}

#[cfg(test)]
mod tests;
