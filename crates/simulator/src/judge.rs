//! Judges a chat client by what crossed the wire, what it told its application and what the server's transcript holds.
//!
//! It asks the client nothing, so a client that is wrong about itself is found out. Each rule is checked as soon as
//! anything has happened; what can only be said at the end is checked by [`crate::run`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::channel;
use protocol::bayeux::message::{ClientId, Message, MessageId};
use protocol::chat;
use protocol::chat::client::{Client, Event, FileJob, FileOutcome, SendId, Sent};
use protocol::chat::notification::{Event as Transcript, EventType, Notification, ParticipantType};
use protocol::chat::operation::{Operation, Request};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Headers, Side, Socket, Wire};

use crate::gms::Gms;
use crate::history::SERVICE;
use crate::pair::Pair;

/// What a correct client keeps, whatever server and network do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// Once faults have stopped, what was shown is the transcript.
    NothingLost,
    /// No index is shown twice.
    NothingTwice,
    /// Indexes rise.
    InOrder,
    /// A second `requestChat` only if the first was refused, or its outcome is told to be unknown and the application
    /// asks again.
    OneRequestChat,
    /// A message is sent again only if the server refused it.
    SentOnce,
    /// A message that is told to be delivered was shown.
    DeliveredIsShown,
    /// A message that is told to be missing is not in the transcript, unless the network delivers late or twice.
    MissingIsMissing,
    /// One connect is outstanding at most (BX-CN-04).
    OneConnect,
    /// No connect and no publish while a handshake is under way or before it succeeded.
    HandshakeFirst,
    /// A clientId is not sent after a later one was granted, nor one that was never granted.
    CurrentClientId,
    /// Requests are few for what happens.
    NoHotLoop,
    /// The machines come to rest at each moment.
    NoLivelock,
    /// The key goes into requests on the service channel alone, and no other key into those.
    KeyKept,
    /// The first request of a new session restores the chat that runs.
    RestoredFirst,
    /// No chat request follows the end of the chat.
    EndIsFinal,
    /// Each start and each message has an outcome.
    OutcomeTold,
    /// Once faults have stopped, client and server agree on whether the chat runs, and it is attached to the session.
    Converges,
    /// A chat that is ended ends on the server, and the client comes to its end.
    Closes,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingLost => "nothing-lost",
            Self::NothingTwice => "nothing-twice",
            Self::InOrder => "in-order",
            Self::OneRequestChat => "one-request-chat",
            Self::SentOnce => "sent-once",
            Self::DeliveredIsShown => "delivered-is-shown",
            Self::MissingIsMissing => "missing-is-missing",
            Self::OneConnect => "one-connect",
            Self::HandshakeFirst => "handshake-first",
            Self::CurrentClientId => "current-client-id",
            Self::NoHotLoop => "no-hot-loop",
            Self::NoLivelock => "no-livelock",
            Self::KeyKept => "key-kept",
            Self::RestoredFirst => "restored-first",
            Self::EndIsFinal => "end-is-final",
            Self::OutcomeTold => "outcome-told",
            Self::Converges => "converges",
            Self::Closes => "closes",
        })
    }
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property} is broken at {at} s: {detail}")]
pub struct Breach {
    /// Which.
    pub property: Property,
    /// When.
    pub at: Time,
    /// What was seen.
    pub detail: String,
}

impl Breach {
    pub(crate) fn new(property: Property, at: Time, detail: impl Into<String>) -> Self {
        Self { property, at, detail: detail.into() }
    }
}

/// In how long a time requests are counted.
const WINDOW: Duration = Duration::from_secs(10);
/// How many requests may go out in that time by themselves.
const REQUESTS: usize = 20;
/// How many more for each thing that happened: an action from outside, a fault that strikes, an event
/// shown, a message settled.
const REQUESTS_EACH: usize = 4;

/// What a message of the client waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Http(Exchange),
    Socket(Socket),
}

impl Carrier {
    fn of(wire: &Wire) -> Option<Self> {
        wire.exchange().map(Self::Http).or_else(|| wire.socket().map(Self::Socket))
    }
}

/// How often something may still be sent.
#[derive(Clone, Debug, Default)]
struct Allowance {
    left: usize,
    /// The requests under way that used it, so that a refusal gives it back.
    under_way: BTreeSet<MessageId>,
}

impl Allowance {
    /// Uses one; says whether there was one left.
    fn spend(&mut self, id: &MessageId) -> bool {
        self.under_way.insert(id.clone());
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }

    fn on_refused(&mut self, id: &MessageId) {
        if self.under_way.remove(id) {
            self.left += 1;
        }
    }
}

/// The judge of one client with at most one chat. See the module's text.
#[derive(Clone, Debug)]
pub struct Judge {
    channel: String,
    seen: usize,
    /// The session that the last good handshake reply granted.
    session: Option<ClientId>,
    handshake: Option<(MessageId, Carrier)>,
    connects: BTreeMap<MessageId, Carrier>,
    requests: VecDeque<Time>,
    stimuli: VecDeque<Time>,
    strikes: u64,
    starts: Allowance,
    starts_open: usize,
    words: BTreeMap<String, Allowance>,
    open_sends: BTreeMap<SendId, String>,
    /// What was done besides talking, by its word.
    open_deeds: BTreeMap<SendId, &'static str>,
    open_jobs: BTreeSet<FileJob>,
    /// The file that was uploaded last.
    file: Option<String>,
    delivered: BTreeMap<String, usize>,
    shown: BTreeMap<u64, String>,
    shown_words: BTreeMap<String, usize>,
    last_shown: u64,
    /// The keys in the last thing that the server said.
    offered: Vec<Secret>,
    keys: BTreeSet<Secret>,
    key: Option<Secret>,
    restore_due: bool,
    ended: Option<Event>,
    told: Vec<Event>,
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

impl Judge {
    /// A judge who has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            channel: chat::channel(SERVICE),
            seen: 0,
            session: None,
            handshake: None,
            connects: BTreeMap::new(),
            requests: VecDeque::new(),
            stimuli: VecDeque::new(),
            strikes: 0,
            starts: Allowance::default(),
            starts_open: 0,
            words: BTreeMap::new(),
            open_sends: BTreeMap::new(),
            open_deeds: BTreeMap::new(),
            open_jobs: BTreeSet::new(),
            file: None,
            delivered: BTreeMap::new(),
            shown: BTreeMap::new(),
            shown_words: BTreeMap::new(),
            last_shown: 0,
            offered: Vec::new(),
            keys: BTreeSet::new(),
            key: None,
            restore_due: false,
            ended: None,
            told: Vec::new(),
        }
    }

    /// The session that the client was granted last.
    #[must_use]
    pub const fn session(&self) -> Option<&ClientId> {
        self.session.as_ref()
    }

    /// The key of the chat that the client told to have started.
    #[must_use]
    pub const fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// How the client told the chat to have ended, if it did.
    #[must_use]
    pub const fn ended(&self) -> Option<&Event> {
        self.ended.as_ref()
    }

    /// The events shown, as they came on the wire, by index.
    #[must_use]
    pub const fn shown(&self) -> &BTreeMap<u64, String> {
        &self.shown
    }

    /// A word that was shown more often than it was told to be delivered.
    #[must_use]
    pub fn undelivered_but_shown(&self) -> Option<&str> {
        let delivered = |word: &str| self.delivered.get(word).copied().unwrap_or(0);
        self.shown_words.iter().find(|(word, shown)| **shown > delivered(word)).map(|(word, _)| word.as_str())
    }

    /// Everything that the client told, in order.
    #[must_use]
    pub fn told(&self) -> &[Event] {
        &self.told
    }

    /// What the application asked for and was never told about.
    #[must_use]
    pub fn untold(&self) -> Option<String> {
        if self.starts_open > 0 {
            return Some("the start of a chat".to_owned());
        }
        let message = self.open_sends.first_key_value().map(|(id, word)| format!("message {} `{word}`", id.0));
        let deed = self.open_deeds.first_key_value().map(|(id, name)| format!("{name} {}", id.0));
        message.or(deed).or_else(|| self.open_jobs.first().map(|job| format!("request {} about files", job.0)))
    }

    /// The `file-id` of the last upload that was told to have succeeded.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Something happened from outside that requests may follow.
    pub fn on_stimulus(&mut self, now: Time) {
        self.stimuli.push_back(now);
    }

    /// The application asked for a chat, and the client took it.
    pub fn on_start(&mut self) {
        self.starts.left += 1;
        self.starts_open += 1;
    }

    /// The application said something, and the client took it.
    pub fn on_send(&mut self, id: SendId, word: &str) {
        self.words.entry(word.to_owned()).or_default().left += 1;
        self.open_sends.insert(id, word.to_owned());
    }

    /// The application did something besides talking, and the client took it.
    pub fn on_deed(&mut self, id: SendId, operation: &'static str) {
        self.words.entry(operation.to_owned()).or_default().left += 1;
        self.open_deeds.insert(id, operation);
    }

    /// The application asked something about files, and the client took it.
    pub fn on_file_job(&mut self, job: FileJob) {
        self.open_jobs.insert(job);
    }

    /// Takes in what has happened since the last time.
    ///
    /// # Errors
    ///
    /// The first [`Breach`] seen.
    pub fn observe(&mut self, pair: &mut Pair<Client, Gms>) -> Result<(), Breach> {
        while self.strikes < pair.link.strikes() {
            self.strikes += 1;
            self.on_stimulus(pair.now());
        }
        while let Some(entry) = pair.entries().get(self.seen) {
            self.seen += 1;
            match entry.from {
                Side::Client => self.on_sent(entry)?,
                Side::Server => self.on_received(entry),
            }
        }
        while let Some((at, event)) = pair.client_events.pop_front() {
            self.told.push(event.clone());
            self.on_told(at, event)?;
        }
        pair.server_events.clear();
        Ok(())
    }

    fn on_sent(&mut self, entry: &Entry) -> Result<(), Breach> {
        let Some(carrier) = Carrier::of(&entry.wire) else { return Ok(()) };
        match &entry.wire {
            Wire::Broken(..) | Wire::Lost(..) | Wire::Close(..) => self.on_carrier_end(carrier),
            Wire::Request(_, request) | Wire::Upgrade(_, request) => {
                self.keep_key(entry.at, &request.target)?;
                let Headers(headers) = &request.headers;
                for (_, value) in headers {
                    self.keep_key(entry.at, value)?;
                }
                self.count(entry.at)?;
            }
            Wire::Text(..) => self.count(entry.at)?,
            _ => {}
        }
        for message in Batch::carried(&entry.wire) {
            self.on_message_sent(entry.at, carrier, &message)?;
        }
        Ok(())
    }

    fn keep_key(&self, at: Time, text: &str) -> Result<(), Breach> {
        match self.keys.iter().any(|key| text.contains(key.expose())) {
            true => Err(Breach::new(Property::KeyKept, at, "a key outside the requests of the chat")),
            false => Ok(()),
        }
    }

    fn count(&mut self, now: Time) -> Result<(), Breach> {
        self.requests.push_back(now);
        for times in [&mut self.requests, &mut self.stimuli] {
            while times.front().is_some_and(|at| now.since(*at) > WINDOW) {
                times.pop_front();
            }
        }
        let (requests, stimuli) = (self.requests.len(), self.stimuli.len());
        if requests > REQUESTS + REQUESTS_EACH * stimuli {
            let detail = format!("{requests} requests in {} s for {stimuli} things that happened", WINDOW.as_secs());
            return Err(Breach::new(Property::NoHotLoop, now, detail));
        }
        Ok(())
    }

    fn on_message_sent(&mut self, at: Time, carrier: Carrier, message: &Message) -> Result<(), Breach> {
        let name = message.channel().unwrap_or_default();
        let id = message.id().cloned().unwrap_or_else(|| MessageId::new(""));
        if name != self.channel {
            self.keep_key(at, message.text())?;
        }
        if name == channel::HANDSHAKE {
            // Whatever the session before it still waits for is given up.
            self.connects.clear();
            self.handshake = Some((id, carrier));
            return Ok(());
        }
        if self.handshake.is_some() || self.session.is_none() {
            return Err(Breach::new(Property::HandshakeFirst, at, format!("{name} is sent without a session")));
        }
        if message.client_id() != self.session.as_ref() {
            return Err(Breach::new(Property::CurrentClientId, at, format!("{name} is sent for another session")));
        }
        if name == channel::CONNECT {
            if let Some(other) = self.connects.keys().next() {
                let detail = format!("connect {id} is sent while connect {other} is outstanding");
                return Err(Breach::new(Property::OneConnect, at, detail));
            }
            self.connects.insert(id, carrier);
        } else if name == self.channel {
            let data = message.data().map_or("null", |data| data.get());
            if let Ok(request) = Request::parse(data) {
                return self.on_request(at, &id, request);
            }
        }
        Ok(())
    }

    fn on_request(&mut self, at: Time, id: &MessageId, request: Request) -> Result<(), Breach> {
        let name = request.operation.name();
        if self.ended.is_some() {
            return Err(Breach::new(Property::EndIsFinal, at, format!("{name} is sent after the end")));
        }
        if let Some(key) = request.secure_key {
            // The news that the chat started may come right behind its first request.
            if *self.key.get_or_insert_with(|| key.clone()) != key || !self.keys.contains(&key) {
                return Err(Breach::new(Property::KeyKept, at, format!("{name} is sent with the key of another chat")));
            }
        }
        let restores = matches!(request.operation, Operation::RequestNotifications { .. });
        if self.restore_due && !restores {
            return Err(Breach::new(
                Property::RestoredFirst,
                at,
                format!("{name} is the first request of a new session"),
            ));
        }
        self.restore_due = false;
        match request.operation {
            Operation::RequestChat(_) if !self.starts.spend(id) => {
                Err(Breach::new(Property::OneRequestChat, at, "requestChat is sent again without leave"))
            }
            Operation::SendMessage { message, .. } => match self.words.entry(message.clone()).or_default().spend(id) {
                true => Ok(()),
                false => Err(Breach::new(Property::SentOnce, at, format!("`{message}` is sent once too often"))),
            },
            Operation::StartTyping { .. }
            | Operation::StopTyping { .. }
            | Operation::CustomNotice { .. }
            | Operation::PushUrl { .. }
            | Operation::UpdateNickname { .. }
            | Operation::UpdateData { .. }
            | Operation::ReadReceipt { .. } => match self.words.entry(name.to_owned()).or_default().spend(id) {
                true => Ok(()),
                false => Err(Breach::new(Property::SentOnce, at, format!("{name} is sent once too often"))),
            },
            Operation::RequestChat(_) | Operation::RequestNotifications { .. } | Operation::Disconnect => Ok(()),
        }
    }

    fn on_received(&mut self, entry: &Entry) {
        let Some(carrier) = Carrier::of(&entry.wire) else { return };
        let messages = Batch::carried(&entry.wire);
        if !messages.is_empty() {
            self.offered.clear();
        }
        for message in messages {
            self.on_message_received(&message);
        }
        match &entry.wire {
            Wire::Response(..) | Wire::Broken(..) | Wire::Refused(..) | Wire::Lost(..) | Wire::Close(..) => {
                self.on_carrier_end(carrier);
            }
            _ => {}
        }
    }

    fn on_message_received(&mut self, message: &Message) {
        let good = message.successful() == Some(true);
        match message.channel() {
            Some(channel::HANDSHAKE) => {
                if self.handshake.take_if(|(id, _)| Some(&*id) == message.id()).is_some() && good {
                    self.session = message.client_id().cloned();
                    self.restore_due = self.key.is_some() && self.ended.is_none();
                }
            }
            Some(channel::CONNECT) => {
                if let Some(id) = message.id() {
                    self.connects.remove(id);
                }
            }
            Some(name) if name == self.channel => match (message.data(), message.id()) {
                (Some(data), _) => {
                    if let Some(key) = Notification::parse(data.get()).secure_key {
                        self.keys.insert(key.clone());
                        self.offered.push(key);
                    }
                }
                (None, Some(id)) if !good => {
                    self.starts.on_refused(id);
                    self.words.values_mut().for_each(|word| word.on_refused(id));
                }
                (None, _) => {}
            },
            Some(_) | None => {}
        }
    }

    fn on_carrier_end(&mut self, ended: Carrier) {
        self.handshake.take_if(|(_, carrier)| *carrier == ended);
        self.connects.retain(|_, carrier| *carrier != ended);
    }

    fn on_told(&mut self, at: Time, event: Event) -> Result<(), Breach> {
        if matches!(event, Event::Shown(_) | Event::Sent(..)) {
            self.on_stimulus(at);
        }
        match event {
            Event::Started => {
                self.starts_open = 0;
                self.key = self.key.take().or_else(|| self.offered.first().cloned());
            }
            Event::StartFailed(_) | Event::StartOutcomeUnknown => self.starts_open = 0,
            Event::Shown(shown) => self.on_shown(at, &shown)?,
            Event::Sent(id, _) if self.open_deeds.remove(&id).is_some() => {}
            Event::Files(job, outcome) => {
                if !self.open_jobs.remove(&job) {
                    let detail = format!("request {} about files has a second outcome", job.0);
                    return Err(Breach::new(Property::OutcomeTold, at, detail));
                }
                if let FileOutcome::Uploaded(Some(file)) = outcome {
                    self.file = Some(file);
                }
            }
            Event::Sent(id, sent) => {
                let Some(word) = self.open_sends.remove(&id) else {
                    let detail = format!("message {} has a second outcome", id.0);
                    return Err(Breach::new(Property::OutcomeTold, at, detail));
                };
                if sent == Sent::Delivered {
                    let delivered = self.delivered.entry(word.clone()).or_default();
                    *delivered += 1;
                    if *delivered > self.shown_words.get(&word).copied().unwrap_or(0) {
                        let detail = format!("`{word}` is told to be delivered once too often");
                        return Err(Breach::new(Property::DeliveredIsShown, at, detail));
                    }
                }
            }
            Event::Ended(_) => {
                self.starts_open = 0;
                self.restore_due = false;
                self.ended = Some(event);
            }
            Event::Passing(_)
            | Event::RequestFailed(_)
            | Event::ChatServerLost
            | Event::ChatServerBack
            | Event::ConnectionLost
            | Event::Restored
            | Event::Violated(_) => {}
        }
        Ok(())
    }

    fn on_shown(&mut self, at: Time, event: &Transcript) -> Result<(), Breach> {
        let Some(index) = event.index else {
            return Err(Breach::new(Property::InOrder, at, "an event without index is shown in order"));
        };
        if self.shown.insert(index, event.raw().get().to_owned()).is_some() {
            return Err(Breach::new(Property::NothingTwice, at, format!("event {index} is shown twice")));
        }
        if index < self.last_shown {
            let detail = format!("event {index} is shown after event {}", self.last_shown);
            return Err(Breach::new(Property::InOrder, at, detail));
        }
        self.last_shown = index;
        if event.event_type() == Some(EventType::Message)
            && event.from.as_ref().is_some_and(|from| from.kind == ParticipantType::Client)
            && let Some(text) = &event.text
        {
            *self.shown_words.entry(text.clone()).or_default() += 1;
        }
        Ok(())
    }
}
