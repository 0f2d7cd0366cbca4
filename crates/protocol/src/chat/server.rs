//! The chat server: GMS Chat V2 and the Chat Server behind it, on top of a Bayeux server.
//!
//! It is one state for all sessions, since a chat survives the CometD session that began it. It takes publishes in and
//! gives deliveries out; what carries them is the Bayeux server's business. Answers and notifications leave in one
//! order, so that the indexes of a chat rise on the wire.
//!
//! Agents act by commands. Scripts that give those commands live elsewhere.

mod room;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use self::room::{Party, QuitReason, Room, Stored, What};
pub use self::settings::{Codes, GmsSettings, UnknownService};
use crate::bayeux::server::SessionId;
use crate::chat::CHANNEL_PREFIX;
use crate::chat::operation::{Invalid, Operation, Request, RequestChat};
use crate::mint::Mint;
use crate::secret::Secret;
use crate::time::Time;

/// Names a chat towards agents and in logs. Never reused, and no secret, unlike `chatId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatNumber(pub u64);

impl fmt::Display for ChatNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chat {}", self.0)
    }
}

/// What an agent did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// There is no such chat, or it has ended.
    #[error("no such chat is running")]
    NoChat,
    /// An agent is in the chat already.
    #[error("an agent is in the chat already")]
    AlreadyJoined,
    /// No agent is in the chat.
    #[error("no agent is in the chat")]
    NotJoined,
}

/// Who or what ended a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The client asked for it.
    Client,
    /// The agent closed it.
    Agent,
    /// No CometD session was attached for too long.
    Inactivity,
}

/// What happens to chats, for agents and for a log. Words are secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A chat began.
    Started(ChatNumber),
    /// A session gets a chat's notifications from here on.
    Attached(ChatNumber, SessionId),
    /// The client said something.
    ClientSaid(ChatNumber, Secret),
    /// An agent joined.
    AgentJoined(ChatNumber),
    /// An agent left, and the chat goes on.
    AgentLeft(ChatNumber),
    /// A chat is over.
    Ended(ChatNumber, EndedBy),
    /// A request failed with this code.
    Failed(SessionId, i64),
}

/// What the chat server wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Deliver this to a session, on a channel.
    Deliver(SessionId, String, Delivery),
    /// Tell whoever embeds the chat server.
    Event(Event),
}

/// The `data` of a delivery. `Debug` shows only its length.
#[derive(Clone)]
pub struct Delivery(pub Box<RawValue>);

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({} bytes)", self.0.get().len())
    }
}

/// Why the chat server wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A delivery is due.
    Delivery,
    /// A chat without a session ends.
    Inactivity,
}

/// The chat server. See the module's text.
#[derive(Clone, Debug)]
pub struct ChatServer {
    settings: GmsSettings,
    services: BTreeSet<String>,
    /// Wall time at the start of virtual time, in milliseconds since the epoch.
    start_utc: i64,
    mint: Mint,
    /// The same for all chats: it names the Chat Server instance.
    alias: Secret,
    references: u64,
    rooms: BTreeMap<ChatNumber, Room>,
    by_key: BTreeMap<Secret, ChatNumber>,
    /// Deliveries under way, in the order in which they were decided.
    under_way: VecDeque<(Time, SessionId, String, Delivery)>,
    outputs: VecDeque<Output>,
}

impl ChatServer {
    /// Makes a chat server without chats. `start_utc` is the wall time of [`Time::ZERO`], in milliseconds since the
    /// epoch. The same seed gives the same keys and ids.
    #[must_use]
    pub fn new(settings: GmsSettings, services: BTreeSet<String>, start_utc: i64, seed: u64) -> Self {
        let mut mint = Mint::new(seed, 2);
        let alias = Secret::new(mint.digits(3));
        Self {
            settings,
            services,
            start_utc,
            mint,
            alias,
            references: 0,
            rooms: BTreeMap::new(),
            by_key: BTreeMap::new(),
            under_way: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes a publish in: the channel and the text of `data`. What is no channel of the API is not its business.
    pub fn handle_publish(&mut self, now: Time, from: SessionId, channel: &str, data: Option<&str>) {
        let Some(service) = channel.strip_prefix(CHANNEL_PREFIX) else { return };
        if !self.services.contains(service) {
            if self.settings.unknown_service == UnknownService::Failure {
                let reference = self.next_reference();
                let code = self.settings.codes.not_executed;
                self.fail(now, from, channel, code, &room::not_executed_advice(reference));
            }
            return;
        }
        let codes = &self.settings.codes;
        let (code, advice) = match Request::parse(data.unwrap_or("null")) {
            Ok(request) => return self.handle_operation(now, from, channel, request),
            // Nothing that could be answered.
            Err(Invalid::NotAnObject) => return,
            Err(error @ (Invalid::OperationMissing | Invalid::ParameterMissing(_) | Invalid::SecureKeyMissing)) => {
                (codes.parameter_missing, error.to_string())
            }
            Err(Invalid::OperationUnknown(_)) => (codes.operation_unknown, "the operation is unknown".to_owned()),
            Err(error @ Invalid::NameMissing) => (codes.name_missing, error.to_string()),
        };
        self.fail(now, from, channel, code, &advice);
    }

    /// The CometD session is gone. Its chats live on for a while.
    pub fn handle_session_closed(&mut self, now: Time, session: SessionId) {
        let until = now + Duration::from_millis(self.settings.inactivity_ms);
        for room in self.rooms.values_mut().filter(|room| room.attached == Some(session)) {
            room.attached = None;
            room.inactive_at = Some(until);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        let inactive: Vec<ChatNumber> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.inactive_at.is_some_and(|at| at <= now))
            .map(|(number, _)| *number)
            .collect();
        for number in inactive {
            self.end(number, EndedBy::Inactivity);
        }
        self.hand_over(now);
    }

    /// Gives the next output, in order; `None` means drained.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`ChatServer::handle_timeout`], and why.
    #[must_use]
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        let delivery = self.under_way.front().map(|(at, ..)| (*at, Timer::Delivery));
        let inactivity =
            self.rooms.values().filter_map(|room| room.inactive_at).min().map(|at| (at, Timer::Inactivity));
        delivery.into_iter().chain(inactivity).min()
    }

    /// The running chat of the client with this nickname; of several the youngest.
    #[must_use]
    pub fn chat_of(&self, nickname: &str) -> Option<ChatNumber> {
        let is_hers = |room: &Room| !room.ended && room.client.nickname.expose() == nickname;
        self.rooms.iter().rev().find(|(_, room)| is_hers(room)).map(|(number, _)| *number)
    }

    /// The chat that a key belongs to, running or ended.
    #[must_use]
    pub fn chat_of_key(&self, secure_key: &Secret) -> Option<ChatNumber> {
        self.by_key.get(secure_key).copied()
    }

    /// The session that gets the chat's notifications.
    #[must_use]
    pub fn attached_to(&self, chat: ChatNumber) -> Option<SessionId> {
        self.rooms.get(&chat).and_then(|room| room.attached)
    }

    /// The events of a running chat as they read on the wire, with their indexes.
    pub fn transcript(&self, chat: ChatNumber) -> impl Iterator<Item = (u64, &Value)> {
        self.rooms.get(&chat).into_iter().flat_map(Room::events)
    }

    /// Whether the chat runs.
    #[must_use]
    pub fn is_running(&self, chat: ChatNumber) -> bool {
        self.rooms.get(&chat).is_some_and(|room| !room.ended)
    }

    /// How many events the transcript of a running chat holds.
    #[must_use]
    pub fn transcript_length(&self, chat: ChatNumber) -> usize {
        self.rooms.get(&chat).map_or(0, Room::length)
    }

    /// An agent joins.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`], [`Misuse::AlreadyJoined`]
    pub fn agent_joins(&mut self, now: Time, chat: ChatNumber, nickname: &str) -> Result<(), Misuse> {
        let room = self.running(chat)?;
        if room.agent.is_some() {
            return Err(Misuse::AlreadyJoined);
        }
        let agent = room.admit_agent(nickname);
        self.notify(now, chat, &agent, &What::Joined);
        self.emit(Event::AgentJoined(chat));
        Ok(())
    }

    /// The agent says something.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`], [`Misuse::NotJoined`]
    pub fn agent_says(&mut self, now: Time, chat: ChatNumber, text: &str) -> Result<(), Misuse> {
        let agent = self.running(chat)?.agent.clone().ok_or(Misuse::NotJoined)?;
        self.notify(now, chat, &agent, &What::Said { text: Secret::new(text), message_type: None });
        Ok(())
    }

    /// The agent leaves; the chat goes on.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`], [`Misuse::NotJoined`]
    pub fn agent_leaves(&mut self, now: Time, chat: ChatNumber) -> Result<(), Misuse> {
        let agent = self.running(chat)?.agent.take().ok_or(Misuse::NotJoined)?;
        self.notify(now, chat, &agent, &What::Left(QuitReason::Logout));
        self.emit(Event::AgentLeft(chat));
        Ok(())
    }

    /// The agent leaves and closes the chat: the client is removed.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`], [`Misuse::NotJoined`]
    pub fn agent_ends(&mut self, now: Time, chat: ChatNumber) -> Result<(), Misuse> {
        self.agent_leaves(now, chat)?;
        let room = self.running(chat)?;
        let (client, attached) = (room.client.clone(), room.attached);
        let Some(left) = self.append(now, chat, &client, &What::Left(QuitReason::RemovedByOther)) else {
            return Ok(());
        };
        if let Some(session) = attached {
            self.send_success(now, now, session, chat, &[left], true);
        }
        self.end(chat, EndedBy::Agent);
        Ok(())
    }

    fn running(&mut self, chat: ChatNumber) -> Result<&mut Room, Misuse> {
        self.rooms.get_mut(&chat).filter(|room| !room.ended).ok_or(Misuse::NoChat)
    }

    fn handle_operation(&mut self, now: Time, from: SessionId, channel: &str, request: Request) {
        if let Operation::RequestChat(request) = request.operation {
            return self.start(now, from, channel, request);
        }
        let known = request.secure_key.and_then(|key| self.by_key.get(&key).copied());
        let found = known.and_then(|chat| self.rooms.get(&chat).map(|room| (chat, room)));
        // A key is good for the service that issued it.
        let Some((chat, room)) = found.filter(|(_, room)| room.channel == channel) else {
            let reference = self.next_reference();
            let code = self.settings.codes.not_executed;
            let data = room::failure(self.settings.unknown_key_ends, code, &room::not_executed_advice(reference));
            self.emit(Event::Failed(from, code));
            return self.deliver(now, from, channel, data);
        };
        if room.ended {
            self.references += 1;
            let data = room.over(&self.settings.codes, self.references);
            self.emit(Event::Failed(from, self.settings.codes.not_executed));
            return self.deliver(now, from, channel, data);
        }
        self.put_off_inactivity(now, chat);
        match request.operation {
            Operation::RequestNotifications { transcript_position } => {
                self.attach(chat, from);
                let position = transcript_position.unwrap_or(0);
                let inclusive = self.settings.position_inclusive;
                let events = self.rooms.get(&chat).map(|room| room.events_from(position, inclusive));
                self.deliver_success(now, from, chat, &events.unwrap_or_default(), false);
            }
            Operation::SendMessage { message, message_type } => {
                if message.chars().count() > self.settings.message_limit {
                    let code = self.settings.codes.message_too_long;
                    let advice = format!("a message may have {} characters", self.settings.message_limit);
                    return self.fail(now, from, channel, code, &advice);
                }
                let text = Secret::new(message);
                self.answer(now, from, chat, &What::Said { text: text.clone(), message_type }, false);
                self.emit(Event::ClientSaid(chat, text));
            }
            Operation::Disconnect => {
                self.answer(now, from, chat, &What::Left(QuitReason::Logout), true);
                self.end(chat, EndedBy::Client);
            }
            Operation::RequestChat(_) => {}
        }
    }

    fn start(&mut self, now: Time, from: SessionId, channel: &str, request: RequestChat) {
        let nickname = request.nickname.unwrap_or_else(|| {
            [request.first_name, request.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ")
        });
        let room = Room::new(channel, &nickname, &mut self.mint, &self.alias);
        let chat = ChatNumber(self.rooms.keys().next_back().map_or(1, |last| last.0 + 1));
        self.by_key.insert(room.secure_key.clone(), chat);
        let system = room.system.clone();
        self.rooms.insert(chat, room);
        self.emit(Event::Started(chat));
        self.attach(chat, from);
        self.answer(now, from, chat, &What::Joined, false);
        if !self.settings.welcome.is_empty() {
            let text = Secret::new(self.settings.welcome.clone());
            self.notify(now, chat, &system, &What::Said { text, message_type: None });
        }
    }

    /// The last session that asks gets the notifications.
    fn attach(&mut self, chat: ChatNumber, session: SessionId) {
        if let Some(room) = self.rooms.get_mut(&chat) {
            room.attached = Some(session);
            room.inactive_at = None;
            self.emit(Event::Attached(chat, session));
        }
    }

    fn put_off_inactivity(&mut self, now: Time, chat: ChatNumber) {
        let until = now + Duration::from_millis(self.settings.inactivity_ms);
        if let Some(at) = self.rooms.get_mut(&chat).and_then(|room| room.inactive_at.as_mut()) {
            *at = until;
        }
    }

    fn end(&mut self, chat: ChatNumber, by: EndedBy) {
        if let Some(room) = self.rooms.get_mut(&chat) {
            room.end();
            self.emit(Event::Ended(chat, by));
        }
    }

    fn append(&mut self, now: Time, chat: ChatNumber, from: &Party, what: &What) -> Option<Stored> {
        let utc_time = self.start_utc.saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        let room = self.rooms.get_mut(&chat)?;
        // The first event has index 1 all the same.
        let gap = if self.settings.index_gaps && room.length() > 0 { self.mint.below(3) } else { 0 };
        Some(room.append(utc_time, 1 + gap, from, what))
    }

    /// Adds what the client did to the transcript and answers with it. If another session is attached, it is told too.
    fn answer(&mut self, now: Time, from: SessionId, chat: ChatNumber, what: &What, ended: bool) {
        let Some(client) = self.rooms.get(&chat).map(|room| room.client.clone()) else { return };
        let Some(event) = self.append(now, chat, &client, what) else { return };
        if self.settings.split_answers {
            self.deliver_success(now, from, chat, &[], ended);
        }
        self.deliver_success(now, from, chat, std::slice::from_ref(&event), ended);
        if let Some(other) = self.rooms.get(&chat).and_then(|room| room.attached).filter(|other| *other != from) {
            self.deliver_success(now, other, chat, &[event], ended);
        }
    }

    /// Adds an event to the transcript and tells the attached session.
    fn notify(&mut self, now: Time, chat: ChatNumber, from: &Party, what: &What) {
        let Some(event) = self.append(now, chat, from, what) else { return };
        if let Some(session) = self.rooms.get(&chat).and_then(|room| room.attached) {
            self.send_success(now, now, session, chat, &[event], false);
        }
    }

    fn answer_time(&self, now: Time) -> Time {
        now + Duration::from_millis(self.settings.answer_delay_ms)
    }

    fn deliver_success(&mut self, now: Time, to: SessionId, chat: ChatNumber, events: &[Stored], ended: bool) {
        self.send_success(now, self.answer_time(now), to, chat, events, ended);
    }

    fn send_success(&mut self, now: Time, at: Time, to: SessionId, chat: ChatNumber, events: &[Stored], ended: bool) {
        let Some(room) = self.rooms.get(&chat) else { return };
        let (channel, data) = (room.channel.clone(), room.success(events, ended));
        self.send(now, at, to, &channel, data);
    }

    fn fail(&mut self, now: Time, to: SessionId, channel: &str, code: i64, advice: &str) {
        self.emit(Event::Failed(to, code));
        self.deliver(now, to, channel, room::failure(false, code, advice));
    }

    fn deliver(&mut self, now: Time, to: SessionId, channel: &str, data: Box<RawValue>) {
        self.send(now, self.answer_time(now), to, channel, data);
    }

    /// Puts a delivery under way, never ahead of an earlier one.
    fn send(&mut self, now: Time, at: Time, to: SessionId, channel: &str, data: Box<RawValue>) {
        let last = self.under_way.back().map_or(at, |(last, ..)| *last);
        self.under_way.push_back((at.max(last), to, channel.to_owned(), Delivery(data)));
        self.hand_over(now);
    }

    fn hand_over(&mut self, now: Time) {
        while let Some((_, to, channel, data)) = self.under_way.pop_front_if(|(at, ..)| *at <= now) {
            self.outputs.push_back(Output::Deliver(to, channel, data));
        }
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    const fn next_reference(&mut self) -> u64 {
        self.references += 1;
        self.references
    }
}
