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
//! The machine repeats handshakes, connects and subscribes by itself; a publish is never repeated, its outcome is told
//! instead.
//!
//! Advice is obeyed on the replies to what this client sent, whatever they reply to (BX-ADV-03). On an event it is not:
//! servers broadcast the members of a publish as they came, so any publisher could stop or chase every subscriber.
//! `hosts` advice is not followed: a machine knows no other host than that of its connections (BX-ADV-14, optional).

mod carrier;
mod answer;
mod extension;
mod saved;
mod subscription;
mod version;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use self::carrier::Carrier;
pub use self::carrier::Loss;
pub use self::extension::Extensions;
use self::extension::{Ack, Timesync};
use self::saved::Hidden;
pub use self::saved::Saved;
use self::subscription::Subscriptions;
use crate::bayeux::advice::Advice;
use crate::bayeux::batch::Limits;
use crate::bayeux::channel;
use crate::bayeux::message::{ClientId, Draft, Message, MessageId};
use crate::machine::{Input, Machine, Output};
use crate::secret::Secret;
use crate::time::Time;
use crate::violation::Violation;
use crate::wire::{Exchange, Failure, Headers, Request, Transport, Wire};

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
    /// What every handshake says in its `ext`, such as credentials: the text of a JSON object (BX-HS-17). What is none is
    /// left out.
    pub handshake_ext: Option<Secret>,
    /// The extensions that are installed.
    pub extensions: Extensions,
    /// Wall time at the start of virtual time, in milliseconds since the epoch; only extensions tell it.
    pub start_utc: i64,
}

impl Config {
    /// The settings of the CometD clients: back-off 1 s to 60 s, network delay 10 s, connects of 60 s, no extension. The
    /// start is in November 2023.
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
            handshake_ext: None,
            extensions: Extensions::default(),
            start_utc: 1_700_000_000_000,
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
    /// Meta channels belong to the protocol (BX-CH-03, BX-META-01).
    #[error("a meta channel is not for applications")]
    MetaChannel,
    /// This is no name of a channel (BX-CH-01), or one is needed and this is a pattern (BX-CH-09).
    #[error("not the name of a channel")]
    NoChannel,
    /// There is no such subscription.
    #[error("there is no such subscription")]
    NotSubscribed,
}

/// What became of a publish or an unsubscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server accepted it. What the application makes of it comes apart, as an event.
    Acknowledged,
    /// The server refused it, with this error code if it gave one; it was not executed.
    Refused(Option<u16>),
    /// No reply will come. Unless the loss is [`Loss::NotSent`] or [`Loss::TooLong`], nobody knows whether it was executed.
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
    /// The server speaks a lower version of the protocol than we take (BX-VER-02).
    NoCommonVersion,
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
    /// The server no longer knows the session, or has not been reached for longer than it keeps one; a new handshake
    /// follows.
    SessionLost,
    /// A handshake failed and will be repeated.
    HandshakeFailed,
    /// A message with `data` for the application, once. See [`Client::subscriptions_of`].
    Delivered(Message),
    /// The server has a subscription to this name or pattern: after [`Client::subscribe`] and in each new session.
    Subscribed(String),
    /// The server refused a subscription, with this error code if it gave one. It is dropped.
    SubscribeRefused(String, Option<u16>),
    /// What became of an unsubscribe. Events that were on their way may still come (BX-US-04).
    Unsubscribed(String, Outcome),
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
    /// When the first of the connects failed that have failed in a row.
    lost_at: Option<Time>,
    /// Whether a connect that asked for no hold was not answered in time: the server may hold it all the same.
    patient: bool,
}

impl Session {
    /// One that is to connect now.
    const fn new(now: Time, client_id: ClientId, fresh: bool) -> Self {
        Self { client_id, connect_at: Some(now), at_once: true, connected: false, fresh, lost_at: None, patient: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Handshake,
    Connect,
    Publish,
    Subscribe,
    Unsubscribe,
    Disconnect,
}

#[derive(Clone, Debug)]
struct Pending {
    kind: Kind,
    deadline: Time,
    /// What is subscribed to or unsubscribed from; empty for the rest.
    subscription: String,
}

/// A Bayeux client. See the module's text for its states.
#[derive(Clone, Debug)]
pub struct Client {
    config: Config,
    carrier: Carrier,
    state: State,
    /// The session to go on with in place of a handshake.
    saved: Option<Saved>,
    /// The newest advice, as it counts for the transport in use.
    advice: Advice,
    /// The same as it came.
    advised: Option<String>,
    subscriptions: Subscriptions,
    ack: Option<Ack>,
    timesync: Timesync,
    /// What the disconnect says in its `ext`.
    disconnect_ext: Map<String, Value>,
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
            saved: None,
            advice: Advice::default(),
            advised: None,
            subscriptions: Subscriptions::default(),
            ack: None,
            timesync: Timesync::default(),
            disconnect_ext: Map::new(),
            failures: 0,
            last_id: 0,
            pending: BTreeMap::new(),
            wires: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Makes a client at rest that goes on with a saved session: it connects without a handshake, and handshakes only if
    /// the server no longer knows the session. A session over a transport that the settings do not have is not taken up.
    #[must_use]
    pub fn restore(config: Config, saved: Saved) -> Self {
        let mut client = Self::new(config);
        let transport = client.config.transports.iter().find(|transport| transport.name() == saved.transport);
        if let Some(transport) = transport.copied() {
            client.carrier.switch(transport);
            client.carrier.resume(&saved);
            client.last_id = saved.last_id;
            client.saved = Some(saved);
        }
        client
    }

    /// What another client needs to go on with the session; `None` if there is none. Whoever saves a session drops this
    /// client without a disconnect.
    #[must_use]
    pub fn save(&self) -> Option<Saved> {
        let State::Polling(session) = &self.state else { return None };
        let (next_exchange, next_socket) = self.carrier.next();
        Some(Saved {
            transport: self.carrier.transport().name().to_owned(),
            client_id: Hidden::of(&session.client_id),
            cookies: self.carrier.cookies(),
            advice: self.advised.clone(),
            subscriptions: self.subscriptions.counts(),
            ack: self.ack.as_ref().map(Ack::batch),
            last_id: self.last_id,
            next_exchange,
            next_socket,
        })
    }

    /// Begins: with a handshake, or with the connect of a saved session.
    ///
    /// # Errors
    ///
    /// [`Misuse::AlreadyStarted`] on every call but the first.
    pub fn start(&mut self, now: Time) -> Result<(), Misuse> {
        match self.state {
            State::Idle => {
                match self.saved.take() {
                    Some(saved) => self.resume(now, saved),
                    None => self.handshake(now),
                }
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
    /// [`Misuse::NoSession`] before a successful handshake and after the end, [`Misuse::MetaChannel`],
    /// [`Misuse::NoChannel`].
    pub fn publish(&mut self, now: Time, on: &str, data: Value) -> Result<MessageId, Misuse> {
        check_channel(on)?;
        if channel::is_pattern(on) {
            return Err(Misuse::NoChannel);
        }
        let State::Polling(_) = &self.state else { return Err(Misuse::NoSession) };
        let (id, draft) = self.draft(on);
        self.send(now, &id, Kind::Publish, "", draft.with("data", data));
        self.flush_wires();
        Ok(id)
    }

    /// Subscribes to a name or pattern; the outcome comes as an event. Only the first subscription to it reaches the
    /// server. Before the handshake is through it is kept for the session to come.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoSession`] before the start and after the end, [`Misuse::MetaChannel`], [`Misuse::NoChannel`].
    pub fn subscribe(&mut self, now: Time, to: &str) -> Result<(), Misuse> {
        check_channel(to)?;
        if matches!(self.state, State::Idle | State::Leaving { .. } | State::Closed) {
            return Err(Misuse::NoSession);
        }
        if self.subscriptions.add(to) {
            self.emit(Event::Subscribed(to.to_owned()));
        }
        self.send_subscribes(now);
        self.flush_wires();
        Ok(())
    }

    /// Takes one subscription back. The last one to a name or pattern reaches the server.
    ///
    /// # Errors
    ///
    /// [`Misuse::NotSubscribed`]
    pub fn unsubscribe(&mut self, now: Time, from: &str) -> Result<(), Misuse> {
        let last = self.subscriptions.take(from).ok_or(Misuse::NotSubscribed)?;
        if last && matches!(self.state, State::Polling(_)) {
            let (id, draft) = self.draft(channel::UNSUBSCRIBE);
            self.send(now, &id, Kind::Unsubscribe, from, draft.with("subscription", from));
            self.flush_wires();
        } else {
            self.emit(Event::Unsubscribed(from.to_owned(), Outcome::Acknowledged));
        }
        Ok(())
    }

    /// The subscriptions that an event on this channel is for: its name first, then patterns, the widest last (BX-DL-08).
    /// A service channel needs none.
    #[must_use]
    pub fn subscriptions_of(&self, channel: &str) -> Vec<String> {
        let names = std::iter::once(channel.to_owned()).chain(channel::patterns_of(channel));
        names.filter(|name| self.subscriptions.contains(name)).collect()
    }

    /// How far the server's clock is ahead, in milliseconds, as the `timesync` extension measured it.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.timesync.offset()
    }

    /// How long a message takes one way, in milliseconds, as the `timesync` extension measured it.
    #[must_use]
    pub fn network_lag(&self) -> i64 {
        self.timesync.lag()
    }

    /// Leaves the session. Does nothing if there is none to leave. What was published and has not left yet is not sent.
    pub fn disconnect(&mut self, now: Time) {
        self.disconnect_with(now, Map::new());
    }

    /// Leaves the session, with an `ext` for the server.
    pub fn disconnect_with(&mut self, now: Time, ext: Map<String, Value>) {
        match &self.state {
            State::Polling(_) => {
                self.withdraw_unsent();
                let (id, draft) = self.draft(channel::DISCONNECT);
                self.state = State::Leaving { deadline: now + self.config.max_network_delay };
                self.disconnect_ext = ext;
                self.send(now, &id, Kind::Disconnect, "", draft);
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

    /// Numbers a request to another path of the same origin, which its maker sends and awaits, and adds the cookies.
    pub fn beside(&mut self, request: Request) -> (Exchange, Request) {
        self.carrier.beside(request)
    }

    /// Takes over the cookies of the response to such a request.
    pub fn take_cookies(&mut self, headers: &Headers) {
        self.carrier.take_cookies(headers);
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

    /// Begins a message with the next id, and with the clientId of the session if there is one (BX-FLD-05).
    fn draft(&mut self, channel: &str) -> (MessageId, Draft) {
        let id = self.next_id();
        let draft = Message::draft(channel).id(Some(&id));
        match &self.state {
            State::Polling(session) => (id, draft.client(&session.client_id)),
            State::Idle
            | State::AwaitingHandshake
            | State::WaitingToHandshake { .. }
            | State::Leaving { .. }
            | State::Closed => (id, draft),
        }
    }

    /// Wall time, in milliseconds since the epoch.
    fn utc_ms(&self, now: Time) -> i64 {
        self.config.start_utc.saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    /// What the extensions add to a message of a kind.
    fn extend(&self, now: Time, kind: Kind, draft: Draft) -> Draft {
        let installed = self.config.extensions;
        let ack = match kind {
            Kind::Handshake => installed.ack.then(|| Value::from(true)),
            Kind::Connect => self.ack.as_ref().map(|ack| Value::from(ack.batch())),
            Kind::Publish | Kind::Subscribe | Kind::Unsubscribe | Kind::Disconnect => None,
        };
        let asks = installed.timesync && kind != Kind::Publish;
        let timesync = asks.then(|| self.timesync.question(self.utc_ms(now)));
        let timestamp = installed.timestamp.then(|| extension::timestamp(self.utc_ms(now)));
        let own = self.config.handshake_ext.as_ref().filter(|_| kind == Kind::Handshake);
        let mut ext: Map<String, Value> =
            own.and_then(|own| serde_json::from_str(own.expose()).ok()).unwrap_or_default();
        if kind == Kind::Disconnect {
            ext.extend(self.disconnect_ext.clone());
        }
        for (name, value) in [("ack", ack), ("timesync", timesync)] {
            if let Some(value) = value {
                ext.insert(name.to_owned(), value);
            }
        }
        draft.with_some("ext", (!ext.is_empty()).then_some(ext)).with_some("timestamp", timestamp)
    }

    fn send(&mut self, now: Time, id: &MessageId, kind: Kind, subscription: &str, draft: Draft) {
        let message = self.extend(now, kind, draft).finish();
        let hold = if kind == Kind::Connect { self.hold() } else { Duration::ZERO };
        let deadline = now + hold + self.config.max_network_delay;
        self.pending.insert(id.clone(), Pending { kind, deadline, subscription: subscription.to_owned() });
        let arrivals = self.carrier.send(message, &mut self.wires);
        for arrival in arrivals {
            self.on_arrival(now, arrival);
        }
    }

    fn handshake(&mut self, now: Time) {
        self.state = State::AwaitingHandshake;
        self.advice = Advice::default();
        self.advised = None;
        self.ack = None;
        self.subscriptions.lose_all();
        let (id, draft) = self.draft(channel::HANDSHAKE);
        let types: Vec<&str> = self.config.transports.iter().map(|transport| transport.name()).collect();
        let draft = draft
            .with("version", version::OURS)
            .with("minimumVersion", version::OURS)
            .with("supportedConnectionTypes", types)
            .with("advice", json!({"timeout": 60_000, "interval": 0}));
        self.send(now, &id, Kind::Handshake, "", draft);
    }

    /// Goes on with a saved session.
    fn resume(&mut self, now: Time, saved: Saved) {
        self.ack = saved.ack.map(Ack::resumed);
        self.subscriptions = Subscriptions::resumed(&saved.subscriptions);
        self.advised = saved.advice;
        self.read_advice();
        self.state = State::Polling(Session::new(now, saved.client_id.client_id(), false));
        self.connect(now);
    }

    fn connect(&mut self, now: Time) {
        let (id, draft) = self.draft(channel::CONNECT);
        let State::Polling(session) = &mut self.state else { return };
        session.connect_at = None;
        let draft = draft
            .with("connectionType", self.carrier.transport().name())
            .with_some("advice", session.at_once.then(|| json!({"timeout": 0})));
        if let Some(ack) = &mut self.ack {
            ack.on_connect();
        }
        self.send(now, &id, Kind::Connect, "", draft);
    }

    /// How long the server may hold the connect that is sent.
    fn hold(&self) -> Duration {
        match &self.state {
            State::Polling(session) if session.at_once && !session.patient => Duration::ZERO,
            State::Idle
            | State::AwaitingHandshake
            | State::WaitingToHandshake { .. }
            | State::Polling(_)
            | State::Leaving { .. }
            | State::Closed => self.advised_timeout(),
        }
    }

    fn advised_timeout(&self) -> Duration {
        let millis = self.advice.timeout.and_then(|timeout| u64::try_from(timeout).ok());
        millis.map_or(self.config.default_timeout, |millis| Duration::from_millis(millis).min(LONGEST))
    }

    /// Reads the newest advice for the transport in use.
    fn read_advice(&mut self) {
        let transport = self.carrier.transport();
        let advice = self.advised.as_deref().and_then(|text| Advice::parse_for(text, transport));
        self.advice = advice.unwrap_or_default();
    }

    /// Sends whatever subscriptions the server is not known to have.
    fn send_subscribes(&mut self, now: Time) {
        if !matches!(self.state, State::Polling(_)) {
            return;
        }
        for channel in self.subscriptions.ask() {
            let (id, draft) = self.draft(channel::SUBSCRIBE);
            let draft = draft.with("subscription", channel.as_str());
            self.send(now, &id, Kind::Subscribe, &channel, draft);
        }
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
            self.tell_loss(id, pending, Loss::Connection(Failure::Aborted));
        }
    }

    /// Tells the application what it asked for and will hear no more of.
    fn tell_loss(&mut self, id: MessageId, pending: Pending, loss: Loss) {
        match pending.kind {
            Kind::Publish => self.emit(Event::Published(id, Outcome::Unknown(loss))),
            Kind::Unsubscribe => self.emit(Event::Unsubscribed(pending.subscription, Outcome::Unknown(loss))),
            Kind::Subscribe => self.subscriptions.lose(&pending.subscription),
            Kind::Handshake | Kind::Connect | Kind::Disconnect => {}
        }
    }

    fn withdraw_unsent(&mut self) {
        let pending = &self.pending;
        let is_ours = |kind: Kind| matches!(kind, Kind::Publish | Kind::Subscribe | Kind::Unsubscribe);
        let unsent = self.carrier.withdraw(|id| pending.get(id).is_some_and(|pending| is_ours(pending.kind)));
        for id in unsent {
            if let Some(pending) = self.pending.remove(&id) {
                self.tell_loss(id, pending, Loss::NotSent);
            }
        }
    }

    fn close(&mut self, why: Closed, reason: &str) {
        self.forget_pending();
        self.subscriptions.clear();
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

/// Refuses what is no name or pattern. A few more characters than the specification has are taken, since CometD takes
/// them and services are named with them (BX-CH-02).
fn check_channel(name: &str) -> Result<(), Misuse> {
    if channel::is_meta(name) || name == "/meta" {
        return Err(Misuse::MetaChannel);
    }
    let plain: String = name.chars().map(|c| if " #+.{}".contains(c) { '_' } else { c }).collect();
    if channel::is_valid(&plain) { Ok(()) } else { Err(Misuse::NoChannel) }
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
