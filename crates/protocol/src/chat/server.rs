//! The chat server: GMS Chat V2 and the Chat Server behind it, on top of a Bayeux server.
//!
//! It is one state for all sessions, since a chat survives the CometD session that began it. It takes publishes in and
//! gives deliveries out; what carries them is the Bayeux server's business. Answers and notifications leave in one
//! order, so that the indexes of a chat rise on the wire.
//!
//! Agents act by commands. Scripts that give those commands live elsewhere.

mod agent;
mod event;
mod files;
mod operations;
mod outage;
mod presence;
mod room;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use self::agent::{Deed, Role};
use self::event::{Occurred, Party, What};
pub use self::files::FileAnswer;
use self::room::{Room, raw};
pub use self::settings::{
    Codes, Encoded, FileSettings, GmsSettings, Handshake, Idle, LimitsSpelling, NotificationMode, Sharing, Typing,
    UnknownService,
};
use crate::bayeux::server::SessionId;
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
    /// An agent of that name is in the chat already.
    #[error("an agent of that name is in the chat already")]
    AlreadyJoined,
    /// No agent, or none of that name, is in the chat.
    #[error("no such agent is in the chat")]
    NotJoined,
    /// Chat Server is away.
    #[error("chat server is away")]
    Away,
}

/// A running chat as agents see it.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    /// Its number.
    pub number: ChatNumber,
    /// Its `chatId`.
    pub chat_id: &'a Secret,
    /// The name of its client.
    pub nickname: &'a Secret,
    /// The names of those who have joined it, the first one first.
    pub agents: Vec<&'a Secret>,
    /// How many events its transcript holds.
    pub events: usize,
    /// Whether a CometD session gets its notifications.
    pub is_attached: bool,
}

/// Who or what ended a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The client asked for it, or left.
    Client,
    /// The agent closed it.
    Agent,
    /// No CometD session was attached for too long.
    Inactivity,
    /// Nobody said anything for too long.
    Silence,
    /// Somebody came with a wrong key.
    WrongKey,
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
    /// Something happened that is pushed to the client's device.
    Pushed(ChatNumber),
    /// A chat is over.
    Ended(ChatNumber, EndedBy),
    /// A request failed with this code.
    Failed(SessionId, i64),
    /// A request about files failed with this code.
    FilesFailed(i64),
    /// Chat Server went away.
    Lost,
    /// Chat Server is back.
    Back,
}

/// What the chat server wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Deliver this to a session, on a channel.
    Deliver(SessionId, String, Delivery),
    /// Disconnect a session.
    Disconnect(SessionId),
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
    /// A chat in which nobody says anything is warned or ends.
    Idle,
}

/// The chat server. See the module's text.
#[derive(Clone, Debug)]
pub struct ChatServer {
    settings: GmsSettings,
    services: BTreeSet<String>,
    /// Wall time at the start of virtual time, in milliseconds since the epoch.
    start_utc: i64,
    mint: Mint,
    /// The same for all new chats: it names the Chat Server instance.
    alias: Secret,
    references: u64,
    away: bool,
    rooms: BTreeMap<ChatNumber, Room>,
    by_key: BTreeMap<Secret, ChatNumber>,
    /// What goes to sessions, in the order in which it was decided.
    under_way: VecDeque<(Time, Output)>,
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
            away: false,
            rooms: BTreeMap::new(),
            by_key: BTreeMap::new(),
            under_way: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.end_abandoned(now);
        self.mind_silence(now);
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
        let delivery = self.under_way.front().map(|(at, _)| (*at, Timer::Delivery));
        let rooms = self.rooms.values();
        let inactivity = rooms.clone().filter_map(|room| room.inactive_at).min().map(|at| (at, Timer::Inactivity));
        let idle = rooms.filter(|_| !self.away).filter_map(|room| room.idle_at(&self.settings.idle)).min();
        delivery.into_iter().chain(inactivity).chain(idle.map(|at| (at, Timer::Idle))).min()
    }

    /// The settings.
    #[must_use]
    pub const fn settings(&self) -> &GmsSettings {
        &self.settings
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

    /// The running chat with this `chatId`.
    #[must_use]
    pub fn chat_of_id(&self, chat_id: &str) -> Option<ChatNumber> {
        let is_it = |room: &Room| !room.ended && room.chat_id.expose() == chat_id;
        self.rooms.iter().find(|(_, room)| is_it(room)).map(|(number, _)| *number)
    }

    /// The running chats as agents see them, the oldest first.
    pub fn listed(&self) -> impl Iterator<Item = Listed<'_>> {
        self.rooms.iter().filter(|(_, room)| !room.ended).map(|(number, room)| Listed {
            number: *number,
            chat_id: &room.chat_id,
            nickname: &room.client.nickname,
            agents: room.agents.iter().map(|agent| &agent.nickname).collect(),
            events: room.length(),
            is_attached: !room.attached.is_empty(),
        })
    }

    /// The running chats, the oldest first.
    pub fn running_chats(&self) -> impl Iterator<Item = ChatNumber> {
        self.rooms.iter().filter(|(_, room)| !room.ended).map(|(number, _)| *number)
    }

    /// The session that gets the chat's notifications; of several the one that asked last.
    #[must_use]
    pub fn attached_to(&self, chat: ChatNumber) -> Option<SessionId> {
        self.rooms.get(&chat).and_then(|room| room.attached.last().copied())
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

    fn end(&mut self, now: Time, chat: ChatNumber, by: EndedBy) {
        let Some(attached) = self.rooms.get(&chat).map(|room| room.attached.clone()) else { return };
        for session in attached {
            if self.settings.repeats_end {
                self.send_success(now, now, session, chat, &[], true);
            }
            if self.settings.end_closes_session {
                self.send(now, now, Output::Disconnect(session));
            }
        }
        if let Some(room) = self.rooms.get_mut(&chat) {
            room.end();
            self.emit(Event::Ended(chat, by));
        }
    }

    /// Removes the client for a reason, which ends the chat.
    fn remove_client(&mut self, now: Time, chat: ChatNumber, reason: event::QuitReason, by: EndedBy) {
        if let Some(client) = self.rooms.get(&chat).map(|room| room.client.clone()) {
            self.occur(now, chat, &client, &What::Left(reason), true);
        }
        self.end(now, chat, by);
    }

    fn utc_ms(&self, now: Time) -> i64 {
        self.start_utc.saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    fn append(&mut self, now: Time, chat: ChatNumber, from: &Party, what: &What) -> Option<Occurred> {
        let utc_ms = self.utc_ms(now);
        let room = self.rooms.get_mut(&chat)?;
        // The first event has index 1 all the same.
        let gap = if self.settings.index_gaps && room.length() > 0 { self.mint.below(3) } else { 0 };
        let occurred = room.append(now, utc_ms, 1 + gap, from, what, &self.settings);
        let pushed = room.pushes && (room.attached.is_empty() || self.settings.push_to_active) && what.is_pushed();
        if pushed {
            self.emit(Event::Pushed(chat));
        }
        Some(occurred)
    }

    /// Answers a request with what the client did. Other sessions that are attached are told too.
    fn answer(&mut self, now: Time, from: SessionId, chat: ChatNumber, what: &What, ended: bool) {
        let Some(client) = self.rooms.get(&chat).map(|room| room.client.clone()) else { return };
        let Some(event) = self.append(now, chat, &client, what) else { return };
        if self.settings.split_answers {
            self.deliver_success(now, from, chat, &[], ended);
        }
        self.deliver_success(now, from, chat, std::slice::from_ref(&event), ended);
        let attached = self.rooms.get(&chat).map(|room| room.attached.clone());
        for other in attached.into_iter().flatten().filter(|other| *other != from) {
            self.deliver_success(now, other, chat, std::slice::from_ref(&event), ended);
        }
    }

    /// Lets something happen that no request of the client asked for, and tells the attached sessions.
    fn occur(&mut self, now: Time, chat: ChatNumber, from: &Party, what: &What, ended: bool) {
        let Some(event) = self.append(now, chat, from, what) else { return };
        let attached = self.rooms.get(&chat).map(|room| room.attached.clone());
        for session in attached.into_iter().flatten() {
            self.send_success(now, now, session, chat, std::slice::from_ref(&event), ended);
        }
    }

    fn answer_time(&self, now: Time) -> Time {
        now + Duration::from_millis(self.settings.answer_delay_ms)
    }

    fn deliver_success(&mut self, now: Time, to: SessionId, chat: ChatNumber, events: &[Occurred], ended: bool) {
        self.send_success(now, self.answer_time(now), to, chat, events, ended);
    }

    fn send_success(&mut self, now: Time, at: Time, to: SessionId, chat: ChatNumber, events: &[Occurred], ended: bool) {
        let Some(room) = self.rooms.get(&chat) else { return };
        let (channel, data) = (room.channel.clone(), room.success(now, events, ended, &self.settings));
        self.send(now, at, Output::Deliver(to, channel, Delivery(raw(&data))));
    }

    fn fail(&mut self, now: Time, to: SessionId, channel: &str, code: i64, advice: &str) {
        self.emit(Event::Failed(to, code));
        self.deliver(now, to, channel, &room::failure(false, code, advice));
    }

    fn deliver(&mut self, now: Time, to: SessionId, channel: &str, data: &Map<String, Value>) {
        let delivery = Output::Deliver(to, channel.to_owned(), Delivery(raw(data)));
        self.send(now, self.answer_time(now), delivery);
    }

    /// Puts something under way to a session, never ahead of what was decided earlier.
    fn send(&mut self, now: Time, at: Time, output: Output) {
        let last = self.under_way.back().map_or(at, |(last, _)| *last);
        self.under_way.push_back((at.max(last), output));
        self.hand_over(now);
    }

    fn hand_over(&mut self, now: Time) {
        while let Some((_, output)) = self.under_way.pop_front_if(|(at, _)| *at <= now) {
            self.outputs.push_back(output);
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
