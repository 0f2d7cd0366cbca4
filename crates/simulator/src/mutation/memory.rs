//! What a mutation remembers: of chats, of sessions and their connections, and what it counts itself.
//!
//! A server lives longer than whoever looks for its fault. So a mutation acts on the chat or the session that is concerned,
//! never on the first one that there was, and what it does to one it does not do to others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::time::Time;
use protocol::wire::{Exchange, Socket, Wire};
use serde_json::Value;

/// How much of each kind is remembered, so that a server that runs for long stays small. A list forgets its oldest first, a
/// map whatever it has first.
const REMEMBERED: usize = 1_024;

/// A chat as a mutation knows it.
#[derive(Clone, Debug)]
struct Chat {
    key: String,
    begun_by: String,
    is_over: bool,
}

/// What carries messages of one client: an exchange, or a socket.
type Line = (Option<Exchange>, Option<Socket>);

/// What a mutation remembers.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The clientIds that were given out, each as often as it was told.
    pub clients: Vec<String>,
    /// Whatever a mutation counts.
    pub count: usize,
    /// Whether something has happened that matters to it.
    pub flag: bool,
    /// The operation of the last publish.
    pub operation: String,
    /// The `secureKey` of the last publish.
    pub key: String,
    /// The clientId of the last request.
    pub client: String,
    /// The clientId of whoever is told something: it was the last to ask over this connection.
    pub addressee: String,
    /// The clientIds that have subscribed to something.
    pub subscribers: Vec<String>,
    /// A message that is held back.
    pub kept: Option<Value>,
    /// What time it is.
    pub now: Time,
    /// The chats that have begun, the oldest first.
    chats: Vec<Chat>,
    /// In which chat each file was announced.
    files: BTreeMap<String, String>,
    /// How often each thing was counted that a mutation counts apart.
    counts: BTreeMap<String, usize>,
    /// Until when each thing lasts that a mutation has put an end to.
    ends: BTreeMap<String, Time>,
    /// The clientId that asked last over each connection.
    lines: BTreeMap<Line, String>,
    /// The socket that each client was on first.
    sockets: BTreeMap<String, Socket>,
    /// The clientIds that were seen on a second socket.
    moved: BTreeSet<String>,
    /// The clientIds whose socket was lost.
    lost: BTreeSet<String>,
    /// The subscriptions that were changed on their way in, by the id of their message: replies give them back as they came.
    subscriptions: BTreeMap<String, Value>,
    /// When each exchange began that carries a connect, and how long it asks to be held.
    connects: BTreeMap<Exchange, (Time, u64)>,
}

/// The clientId in a body or a frame, which need not be whole.
fn client_in(wire: &Wire) -> Option<String> {
    let text = match wire {
        Wire::Request(_, request) => String::from_utf8_lossy(&request.body).into_owned(),
        Wire::Text(_, text) => text.clone(),
        _ => return None,
    };
    let (_, behind) = text.split_once("\"clientId\"")?;
    behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)
}

fn line(wire: &Wire) -> Line {
    (wire.exchange(), wire.socket())
}

fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    if map.len() >= REMEMBERED {
        map.pop_first();
    }
    map.insert(key, value);
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= REMEMBERED {
        list.remove(0);
    }
    list.push(item);
}

fn add(set: &mut BTreeSet<String>, item: String) {
    if set.len() >= REMEMBERED {
        set.pop_first();
    }
    set.insert(item);
}

impl Memory {
    /// Learns whose connection something came over, and which connections end.
    pub(super) fn hear(&mut self, wire: &Wire) {
        let line = line(wire);
        match wire {
            Wire::Request(..) | Wire::Text(..) => {
                let Some(client) = client_in(wire) else { return };
                if let Some(socket) = line.1
                    && *self.sockets.entry(client.clone()).or_insert(socket) != socket
                {
                    add(&mut self.moved, client.clone());
                }
                if self.sockets.len() > REMEMBERED {
                    self.sockets.pop_first();
                }
                insert(&mut self.lines, line, client);
            }
            Wire::Upgrade(..) | Wire::Broken(..) => {
                self.lines.remove(&line);
            }
            Wire::Lost(..) => {
                if let Some(client) = self.lines.remove(&line) {
                    add(&mut self.lost, client);
                }
            }
            _ => {}
        }
    }

    /// Learns whom something is told.
    pub(super) fn address(&mut self, wire: &Wire) {
        let line = line(wire);
        let client =
            if matches!(wire, Wire::Response(..)) { self.lines.remove(&line) } else { self.lines.get(&line).cloned() };
        self.addressee = client.unwrap_or_default();
    }

    /// The clientId of whoever sent something: the one in it, the one that was on this connection before, or the last one.
    #[must_use]
    pub fn sender(&self, wire: &Wire) -> String {
        let known = client_in(wire).or_else(|| self.lines.get(&line(wire)).cloned());
        known.unwrap_or_else(|| self.client.clone())
    }

    /// Learns from a message of the server's.
    pub(super) fn learn(&mut self, message: &Value) {
        let data = &message["data"];
        if let Some(key) = data["secureKey"].as_str() {
            let is_over = data["chatEnded"] == true;
            match self.chats.iter_mut().find(|chat| chat.key == key) {
                Some(chat) => chat.is_over |= is_over,
                None => {
                    let begun_by = self.client.clone();
                    push(&mut self.chats, Chat { key: key.to_owned(), begun_by, is_over });
                }
            }
            for event in
                data["messages"].as_array().into_iter().flatten().filter(|event| event["type"] == "FileUploaded")
            {
                if let Some(file) = event["userData"]["file-id"].as_str() {
                    insert(&mut self.files, file.to_owned(), key.to_owned());
                }
            }
        }
        if let Some(client) = message["clientId"].as_str() {
            push(&mut self.clients, client.to_owned());
        }
    }

    /// Learns from a message of a client's.
    pub(super) fn ask(&mut self, message: &Value) {
        self.operation = message["data"]["operation"].as_str().unwrap_or_default().to_owned();
        self.key = message["data"]["secureKey"].as_str().unwrap_or_default().to_owned();
        if let Some(client) = message["clientId"].as_str() {
            client.clone_into(&mut self.client);
        }
        if message["channel"] == "/meta/subscribe" {
            let client = self.client.clone();
            push(&mut self.subscribers, client);
        }
    }

    /// Whether a key was ever given out.
    #[must_use]
    pub fn knows_key(&self, key: &str) -> bool {
        self.chats.iter().any(|chat| chat.key == key)
    }

    /// The keys of the chats that run, the oldest first.
    pub fn running(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.chats.iter().filter(|chat| !chat.is_over).map(|chat| chat.key.as_str())
    }

    /// The key of the youngest chat that a session has begun and that runs.
    #[must_use]
    pub fn chat_of(&self, client: &str) -> Option<&str> {
        let own = self.chats.iter().rev().find(|chat| !chat.is_over && chat.begun_by == client);
        own.map(|chat| chat.key.as_str())
    }

    /// The same, or the youngest chat of all that runs.
    #[must_use]
    pub fn chat_for(&self, client: &str) -> Option<&str> {
        self.chat_of(client).or_else(|| self.running().next_back())
    }

    /// The keys of the chats that a session has begun and that run.
    #[must_use]
    pub fn chats_of(&self, client: &str) -> Vec<String> {
        let own = self.chats.iter().filter(|chat| !chat.is_over && chat.begun_by == client);
        own.map(|chat| chat.key.clone()).collect()
    }

    /// Whether a session has begun the chat of a key.
    #[must_use]
    pub fn has_begun(&self, client: &str, key: &str) -> bool {
        self.chats.iter().any(|chat| chat.key == key && chat.begun_by == client)
    }

    /// Whether another session than this one has begun the chat of a key.
    #[must_use]
    pub fn is_strange_to(&self, client: &str, key: &str) -> bool {
        self.knows_key(key) && !self.has_begun(client, key)
    }

    /// Whether the chat of a key is over.
    #[must_use]
    pub fn is_over(&self, key: &str) -> bool {
        self.chats.iter().any(|chat| chat.key == key && chat.is_over)
    }

    /// The key of the chat in which a file was announced.
    #[must_use]
    pub fn chat_of_file(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }

    /// Whether a session has lost a socket.
    #[must_use]
    pub fn is_lost(&self, client: &str) -> bool {
        self.lost.contains(client)
    }

    /// Whether a session was seen on a second socket.
    #[must_use]
    pub fn has_moved(&self, client: &str) -> bool {
        self.moved.contains(client)
    }

    /// Counts something, and says how often it has been counted.
    pub fn count_of(&mut self, what: &str) -> usize {
        if self.counts.len() >= REMEMBERED && !self.counts.contains_key(what) {
            self.counts.pop_first();
        }
        let count = self.counts.entry(what.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// Whether something was counted.
    #[must_use]
    pub fn has_counted(&self, what: &str) -> bool {
        self.counts.contains_key(what)
    }

    /// Says until when something lasts.
    pub fn lasts(&mut self, what: &str, until: Time) {
        self.ends.remove(what);
        insert(&mut self.ends, what.to_owned(), until);
    }

    /// Until when something lasts, if that was said.
    #[must_use]
    pub fn end_of(&self, what: &str) -> Option<Time> {
        self.ends.get(what).copied()
    }

    /// Expects a reply to a subscription that was changed.
    pub(super) fn expect_echo(&mut self, before: &Value, after: &Value) {
        let (Some(asked), Some(id)) = (before.get("subscription"), before["id"].as_str()) else { return };
        if after.get("subscription").is_some_and(|changed| changed != asked) {
            insert(&mut self.subscriptions, id.to_owned(), asked.clone());
        }
    }

    pub(super) fn echo(&mut self, mut message: Value) -> Value {
        let reply = message.get("successful").is_some() && message.get("subscription").is_some();
        let asked = message["id"].as_str().filter(|_| reply).and_then(|id| self.subscriptions.remove(id));
        if let Some(asked) = asked {
            message["subscription"] = asked;
        }
        message
    }

    pub(super) fn began(&mut self, now: Time, exchange: Exchange, hold: u64) {
        insert(&mut self.connects, exchange, (now, hold));
    }

    /// When a response is due if events release nothing.
    #[must_use]
    pub fn end_of_hold(&self, now: Time, exchange: Exchange) -> Duration {
        let Some((began, hold)) = self.connects.get(&exchange) else { return Duration::ZERO };
        (*began + Duration::from_millis(*hold)).since(now)
    }
}
