//! The server's side of a client-side case: a right GMS, with a hand on everything that enters or leaves it.
//!
//! It is a Bayeux server and a chat server of `protocol`, and between them and the wire the faults that a case asks for:
//! messages treated on their way in, edited or put off on their way out, connections cut, requests refused or ignored. It
//! remembers what it heard and what it told, each with its frame. What that means is for the case to say.

mod faults;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::channel;
use protocol::bayeux::http;
use protocol::bayeux::message::Message;
use protocol::bayeux::server::{self as bayeux, SessionId};
use protocol::chat::server::{self as chat, ChatNumber, ChatServer, Deed, GmsSettings, Role};
use protocol::machine::{Input, Machine, Output};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Failure, Side, Socket, Transport, Wire};
use serde_json::Value;

use self::faults::{Delay, Edit, Treat};
pub(crate) use self::faults::{Fate, Gate, Treatment};
use super::{Fault, Settings, Step};
use crate::peer::Carrier;
use crate::verdict::{Frame, Judged};

/// How long an idle connect is held: shorter than real servers do, so that a client shows what it makes of a reply soon.
pub(crate) const HOLD: Duration = Duration::from_secs(2);

/// A message of the client's.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) message: Message,
    pub(crate) frame: Frame,
    pub(crate) at: Time,
    pub(crate) transport: Transport,
}

impl Heard {
    pub(crate) fn is(&self, channel: &str) -> bool {
        self.message.channel() == Some(channel)
    }

    /// The operation that it asks for, if it is for a chat service.
    pub(crate) fn operation(&self) -> Option<String> {
        self.message.channel().filter(|channel| channel.starts_with(protocol::chat::CHANNEL_PREFIX))?;
        self.member("operation")
    }

    /// Whether it asks for this operation.
    pub(crate) fn asks(&self, operation: &str) -> bool {
        self.operation().as_deref() == Some(operation)
    }

    /// A text of its `data`.
    pub(crate) fn member(&self, name: &str) -> Option<String> {
        self.message.value("data")?.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    /// The `transcriptPosition`, a number or the text of one.
    pub(crate) fn position(&self) -> Option<i64> {
        let data = self.message.value("data")?;
        let position = data.get("transcriptPosition")?;
        position.as_i64().or_else(|| position.as_str()?.parse().ok())
    }
}

/// A message of ours that went out.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) message: Message,
    pub(crate) frame: Frame,
    pub(crate) at: Time,
}

impl Told {
    pub(crate) fn is_reply_on(&self, channel: &str) -> bool {
        self.message.channel() == Some(channel) && self.message.successful().is_some()
    }

    /// The events of a notification, by their indexes.
    pub(crate) fn indexes(&self) -> Vec<i64> {
        let Some(data) = self.message.value("data") else { return Vec::new() };
        let events = data.get("messages").and_then(Value::as_array);
        events.into_iter().flatten().filter_map(|event| event.get("index")?.as_i64()).collect()
    }
}

/// Something that carries messages, as long as it is open.
#[derive(Clone, Debug)]
struct Line {
    transport: Transport,
    /// The function that a response of callback-polling calls.
    callback: Option<String>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) socket: Option<Socket>,
    /// Who ended it.
    pub(crate) by: Side,
    pub(crate) frame: Frame,
    pub(crate) at: Time,
}

/// The server's side. See the module's text.
pub(crate) struct House {
    pub(crate) now: Time,
    pub(crate) settings: Settings,
    seed: u64,
    bayeux: bayeux::Server,
    chats: ChatServer,
    pub(crate) outputs: VecDeque<Wire>,
    /// What is put off, and when each carrier may go on.
    late: BTreeMap<(Time, u64), Wire>,
    numbers: u64,
    pub(crate) entries: Vec<Entry>,
    lines: BTreeMap<Carrier, Line>,
    pub(crate) ends: Vec<End>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) told: Vec<Told>,
    /// Replies of ours that travel with the response to an exchange.
    beside: BTreeMap<Exchange, Vec<Message>>,
    pub(crate) gate: Gate,
    treat: Option<Treat>,
    edit: Option<Edit>,
    delay: Option<Delay>,
    sessions: Vec<SessionId>,
    chat: Option<ChatNumber>,
    /// How many chats began.
    pub(crate) chats_begun: usize,
    services: BTreeSet<String>,
    /// What the client's user is to do.
    pub(crate) asked: VecDeque<Step>,
    /// What was broken on purpose.
    pub(crate) faults: Vec<Fault>,
    /// What was judged so far.
    pub(crate) ledger: Vec<Judged>,
    /// When the case wants to be woken.
    pub(crate) wake: Option<Time>,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("now", &self.now).field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

impl House {
    pub(crate) fn new(settings: &Settings, seed: u64) -> Self {
        let services = BTreeSet::from([settings.service.clone()]);
        Self {
            now: Time::ZERO,
            settings: settings.clone(),
            seed,
            bayeux: bayeux_server(settings, seed, |_| {}),
            chats: ChatServer::new(GmsSettings::default(), services.clone(), settings.start_utc, seed),
            outputs: VecDeque::new(),
            late: BTreeMap::new(),
            numbers: 0,
            entries: Vec::new(),
            lines: BTreeMap::new(),
            ends: Vec::new(),
            heard: Vec::new(),
            told: Vec::new(),
            beside: BTreeMap::new(),
            gate: Gate::Open,
            treat: None,
            edit: None,
            delay: None,
            sessions: Vec::new(),
            chat: None,
            chats_begun: 0,
            services,
            asked: VecDeque::new(),
            faults: Vec::new(),
            ledger: Vec::new(),
            wake: None,
        }
    }

    /// Sets both servers up anew, before anybody has come.
    pub(crate) fn set_up(&mut self, bayeux: impl FnOnce(&mut bayeux::Settings), gms: impl FnOnce(&mut GmsSettings)) {
        let mut settings = GmsSettings::default();
        gms(&mut settings);
        self.bayeux = bayeux_server(&self.settings, self.seed, bayeux);
        self.chats = ChatServer::new(settings, self.services.clone(), self.settings.start_utc, self.seed);
    }

    /// Takes something from the wire.
    pub(crate) fn receive(&mut self, wire: Wire) {
        if matches!(wire, Wire::Ping(..) | Wire::Pong(..)) {
            return;
        }
        let entry = self.enter(Side::Client, &wire);
        self.chats.handle_timeout(self.now);
        match &wire {
            Wire::Request(exchange, request) => {
                let callback = http::query_values(&request.target, http::CALLBACK_PARAMETER).into_iter().next();
                let transport = if callback.is_some() { Transport::CallbackPolling } else { Transport::LongPolling };
                self.lines.insert(Carrier::Exchange(*exchange), Line { transport, callback });
            }
            Wire::Upgrade(socket, _) => {
                let line = Line { transport: Transport::WebSocket, callback: None };
                self.lines.insert(Carrier::Socket(*socket), line);
            }
            Wire::Broken(exchange, _) => self.ended(Carrier::Exchange(*exchange), Side::Client, entry),
            Wire::Close(socket, _) | Wire::Lost(socket, _) => {
                self.ended(Carrier::Socket(*socket), Side::Client, entry);
            }
            _ => {}
        }
        let Some(wire) = self.pass_gate(wire) else { return self.settle() };
        let messages = Batch::carried(&wire);
        let carrier = carrier_of(&wire);
        let transport = carrier.and_then(|carrier| self.lines.get(&carrier)).map(|line| line.transport);
        for (position, message) in messages.iter().enumerate() {
            self.heard.push(Heard {
                message: message.clone(),
                frame: Frame { entry, message: Some(position) },
                at: self.now,
                transport: transport.unwrap_or(Transport::WebSocket),
            });
        }
        if let Some(wire) = self.treat(wire, messages) {
            self.bayeux.handle_input(self.now, Input::Wire(wire));
        }
        self.settle();
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self) {
        self.chats.handle_timeout(self.now);
        self.bayeux.handle_input(self.now, Input::Timeout);
        self.settle();
        while let Some(((at, _), _)) = self.late.first_key_value()
            && *at <= self.now
            && let Some((_, wire)) = self.late.pop_first()
        {
            self.put(wire);
        }
    }

    /// When something is due.
    pub(crate) fn due(&self) -> Option<Time> {
        let bayeux = self.bayeux.deadline().map(|(at, _)| at);
        let chats = self.chats.deadline().map(|(at, _)| at);
        let late = self.late.keys().next().map(|(at, _)| *at);
        [bayeux, chats, late].into_iter().flatten().min()
    }

    /// Lets a message to the client's session go out on a channel.
    pub(crate) fn notify_on(&mut self, channel: &str, data: &Value) {
        let Some(session) = self.sessions.last().copied() else { return };
        let Ok(data) = serde_json::value::to_raw_value(data) else { return };
        // A session that is gone gets nothing.
        let _ = self.bayeux.deliver(self.now, session, channel, data);
        self.settle();
    }

    /// The same on the channel of the service.
    pub(crate) fn notify(&mut self, data: &Value) {
        self.notify_on(&protocol::chat::channel(&self.settings.service), data);
    }

    /// Lets the agent join.
    pub(crate) fn join(&mut self) {
        if let Some(chat) = self.chat {
            // Who is there already need not join.
            let _ = self.chats.agent_joins(self.now, chat, "Morgan", Role::Agent);
            self.settle();
        }
    }

    /// Lets the agent act.
    pub(crate) fn agent(&mut self, deed: Deed) {
        if let Some(chat) = self.chat {
            // In a chat that is over nobody acts.
            let _ = self.chats.agent_does(self.now, chat, None, deed);
            self.settle();
        }
    }

    /// Lets the agent say something.
    pub(crate) fn say(&mut self, text: &str) {
        self.agent(Deed::Say(Secret::new(text)));
    }

    /// Takes Chat Server away, or brings it back.
    pub(crate) fn chat_server(&mut self, there: bool) {
        if there {
            self.chats.come_back(self.now);
        } else {
            self.breaks("lost", "chat server", &[]);
            self.chats.lose(self.now);
        }
        self.settle();
    }

    /// Forgets every session: its connect, held or next, is answered with 402.
    pub(crate) fn forget(&mut self) {
        self.breaks("forgotten", "session", &[]);
        let sessions: Vec<SessionId> = self.bayeux.sessions().collect();
        for session in sessions {
            // It was listed a moment ago.
            let _ = self.bayeux.forget(session);
        }
        self.settle();
    }

    /// Whether a connect of the client's session is held.
    pub(crate) fn holds(&self) -> bool {
        self.sessions.last().is_some_and(|session| self.bayeux.holds_connect(*session))
    }

    /// Cuts every connection, as a failing network would.
    pub(crate) fn cut(&mut self) {
        for carrier in self.lines.keys().copied().collect::<Vec<_>>() {
            self.cut_one(carrier);
        }
        self.settle();
    }

    fn cut_one(&mut self, carrier: Carrier) {
        self.breaks("cut", &place_of(carrier), &[]);
        let wire = match carrier {
            Carrier::Exchange(exchange) => Wire::Broken(exchange, Failure::Reset),
            Carrier::Socket(socket) => Wire::Lost(socket, Failure::Reset),
        };
        self.end(carrier, wire);
    }

    /// Closes every socket in good order, and cuts what else is open.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        for carrier in self.lines.keys().copied().collect::<Vec<_>>() {
            match carrier {
                Carrier::Exchange(_) => self.cut_one(carrier),
                Carrier::Socket(socket) => {
                    self.breaks("closed", &place_of(carrier), &[("code", &code.to_string())]);
                    self.end(carrier, Wire::Close(socket, Close { code, reason: reason.to_owned() }));
                }
            }
        }
        self.settle();
    }

    /// Notes that something is broken on purpose.
    fn breaks(&mut self, kind: &'static str, place: &str, parameters: &[(&str, &str)]) {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let entries = self.entries.len();
        self.faults.push(Fault { at: self.now, entries, kind, place: place.to_owned(), parameters });
    }

    fn end(&mut self, carrier: Carrier, wire: Wire) {
        self.put(wire.clone());
        self.lines.remove(&carrier);
        self.bayeux.handle_input(self.now, Input::Wire(wire));
        // What it wanted to say on it comes to nothing.
        self.settle();
    }

    /// Whether anything is open.
    pub(crate) fn is_connected(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Hands on between the two servers until neither has anything more to say.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(output) = self.chats.poll_output() {
                self.on_chat(output);
            }
            match self.bayeux.poll_output() {
                None => return,
                Some(Output::Wire(wire)) => self.send(wire),
                Some(Output::Event(event)) => self.on_bayeux(event),
            }
        }
    }

    fn on_chat(&mut self, output: chat::Output) {
        match output {
            chat::Output::Deliver(session, channel, data) => {
                // A session that is gone gets nothing: the transcript keeps what it missed.
                let _ = self.bayeux.deliver(self.now, session, &channel, data.0);
            }
            chat::Output::Disconnect(session) => {
                // It may be gone already.
                let _ = self.bayeux.disconnect(self.now, session);
            }
            chat::Output::Event(chat::Event::Started(chat)) => {
                self.chat = Some(chat);
                self.chats_begun += 1;
            }
            chat::Output::Event(_) => {}
        }
    }

    fn on_bayeux(&mut self, event: bayeux::Event) {
        match event {
            bayeux::Event::SessionOpened(session, _) => self.sessions.push(session),
            bayeux::Event::SessionClosed(session, bayeux::Closed::Disconnected) => {
                self.chats.handle_session_left(self.now, session, false);
            }
            bayeux::Event::SessionClosed(session, _) => self.chats.handle_session_closed(self.now, session),
            bayeux::Event::Published(session, message) => {
                let data = message.data().map(|data| data.get());
                self.chats.handle_publish(self.now, session, message.channel().unwrap_or_default(), data);
            }
            bayeux::Event::Leaving(..) | bayeux::Event::QueueMaxed(_) | bayeux::Event::Rejected(..) => {}
        }
    }

    /// Puts something on the wire now, if there is anything to carry it.
    fn put(&mut self, wire: Wire) {
        let Some(carrier) = carrier_of(&wire).filter(|carrier| self.lines.contains_key(carrier)) else { return };
        let entry = self.enter(Side::Server, &wire);
        for (position, message) in Batch::carried(&wire).into_iter().enumerate() {
            let frame = Frame { entry, message: Some(position) };
            self.told.push(Told { message, frame, at: self.now });
        }
        match &wire {
            Wire::Response(..) | Wire::Refused(..) | Wire::Broken(..) | Wire::Close(..) | Wire::Lost(..) => {
                self.ended(carrier, Side::Server, entry);
            }
            _ => {}
        }
        self.outputs.push_back(wire);
    }

    fn ended(&mut self, carrier: Carrier, by: Side, entry: usize) {
        if self.lines.remove(&carrier).is_some() {
            let socket = match carrier {
                Carrier::Socket(socket) => Some(socket),
                Carrier::Exchange(_) => None,
            };
            self.ends.push(End { socket, by, frame: Frame { entry, message: None }, at: self.now });
        }
    }

    fn enter(&mut self, from: Side, wire: &Wire) -> usize {
        self.entries.push(Entry { at: self.now, from, wire: wire.clone() });
        self.entries.len() - 1
    }

    /// The key of the client's chat, as it was given out last.
    pub(crate) fn key(&self) -> Option<String> {
        self.keys().into_iter().next_back()
    }

    /// Every key that was given out on the channel of the service, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let ours = protocol::chat::channel(&self.settings.service);
        let told = self.told.iter().filter(|told| told.message.channel() == Some(&ours));
        told.filter_map(|told| Some(told.message.value("data")?.get("secureKey")?.as_str()?.to_owned())).collect()
    }

    /// The highest index that went out.
    pub(crate) fn last_index(&self) -> i64 {
        self.told.iter().flat_map(Told::indexes).max().unwrap_or(0)
    }

    /// The highest index that went out so long before something was heard.
    pub(crate) fn last_index_before(&self, heard: &Heard, lag: Duration) -> i64 {
        let told = self.told.iter();
        let told = told.filter(|told| told.frame.entry < heard.frame.entry && heard.at - told.at >= lag);
        told.flat_map(Told::indexes).max().unwrap_or(0)
    }

    /// The first handshake reply that granted a session.
    pub(crate) fn granted(&self) -> Option<&Told> {
        self.told.iter().find(|told| told.is_reply_on(channel::HANDSHAKE) && told.message.successful() == Some(true))
    }
}

fn bayeux_server(settings: &Settings, seed: u64, change: impl FnOnce(&mut bayeux::Settings)) -> bayeux::Server {
    let mut server = bayeux::Settings::new(settings.base.clone());
    server.start_utc = settings.start_utc;
    server.dialect.timeout_ms = u64::try_from(HOLD.as_millis()).unwrap_or(u64::MAX);
    change(&mut server);
    bayeux::Server::new(server, seed)
}

fn carrier_of(wire: &Wire) -> Option<Carrier> {
    wire.exchange().map(Carrier::Exchange).or_else(|| wire.socket().map(Carrier::Socket))
}

/// How a tape names what carries messages.
fn place_of(carrier: Carrier) -> String {
    match carrier {
        Carrier::Exchange(exchange) => exchange.to_string(),
        Carrier::Socket(socket) => socket.to_string(),
    }
}
