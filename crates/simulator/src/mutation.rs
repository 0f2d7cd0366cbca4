//! Mutations: named, single defects of a server, each with what it breaks.
//!
//! A mutation wraps a simulator and changes what enters or leaves it; only what cannot be done so changes its dialect. A
//! suite that is worth anything notices each of them by the requirement that it breaks. Requirements are named by the ids
//! of the catalogue, which nobody here knows: the tests of the suite hold the two together.

mod agents;
mod broadcast;
mod change;
mod chats;
mod files;
mod form;
mod known;
mod mutant;
mod notifications;
mod occasions;
mod operations;
mod sessions;

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::bayeux::dialect::Dialect;
use protocol::time::Time;
use protocol::wire::{Exchange, Socket, Wire};
use serde_json::Value;

pub use self::files::{FILES_OFF, NO_FILES};
pub use self::mutant::Mutant;

/// Every mutation, in the order in which they are listed.
pub fn mutations() -> impl Iterator<Item = &'static Mutation> {
    let all = [
        form::FORM,
        sessions::SESSIONS,
        occasions::OCCASIONS,
        broadcast::BROADCAST,
        notifications::NOTIFICATIONS,
        chats::CHATS,
        operations::OPERATIONS,
        files::FILES,
        agents::AGENTS,
        known::KNOWN,
    ];
    all.into_iter().flatten()
}

/// A mutation. What it does not change, it passes.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// Its name, never reused.
    pub name: &'static str,
    /// What the server does wrong, in one sentence.
    pub about: &'static str,
    /// The requirements that it breaks, by their ids; the one that it is for stands first.
    pub requirements: &'static [&'static str],
    asked: fn(&mut Memory, Value) -> Option<Value>,
    told: fn(&mut Memory, Value) -> Vec<Value>,
    input: fn(&mut Memory, Wire) -> Passed,
    delay: fn(&mut Memory, Time, &Wire) -> Duration,
    dialect: fn(&mut Dialect),
    output: fn(&mut Memory, Wire) -> Wire,
    apart: bool,
}

/// What a mutation lets through to the server, and what it gives back to the client itself.
pub type Passed = (Option<Wire>, Vec<Wire>);

impl Mutation {
    /// A mutation that changes nothing yet.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self {
            name,
            about: "",
            requirements: &[],
            asked: |_, message| Some(message),
            told: |_, message| vec![message],
            input: |_, wire| (Some(wire), Vec::new()),
            delay: |_, _, _| Duration::ZERO,
            dialect: |_| {},
            output: |_, wire| wire,
            apart: false,
        }
    }

    /// The mutation with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        mutations().find(|mutation| mutation.name == name)
    }

    /// Says what the server does wrong.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Says which requirements that breaks.
    #[must_use]
    pub const fn breaks(mut self, requirements: &'static [&'static str]) -> Self {
        self.requirements = requirements;
        self
    }

    /// Changes a request's message; `None` drops it.
    #[must_use]
    pub const fn asked(mut self, asked: fn(&mut Memory, Value) -> Option<Value>) -> Self {
        self.asked = asked;
        self
    }

    /// Changes a message of the server, into none or several.
    #[must_use]
    pub const fn told(mut self, told: fn(&mut Memory, Value) -> Vec<Value>) -> Self {
        self.told = told;
        self
    }

    /// Changes a whole input; what it gives back besides goes straight to the client.
    #[must_use]
    pub const fn input(mut self, input: fn(&mut Memory, Wire) -> Passed) -> Self {
        self.input = input;
        self
    }

    /// Says how much later an output leaves.
    #[must_use]
    pub const fn delay(mut self, delay: fn(&mut Memory, Time, &Wire) -> Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Changes how the server speaks, where nothing around it could.
    #[must_use]
    pub const fn dialect(mut self, dialect: fn(&mut Dialect)) -> Self {
        self.dialect = dialect;
        self
    }

    /// Changes a whole output, behind everything else.
    #[must_use]
    pub const fn output(mut self, output: fn(&mut Memory, Wire) -> Wire) -> Self {
        self.output = output;
        self
    }

    /// Gives each message on a WebSocket a frame of its own.
    #[must_use]
    pub const fn apart(mut self) -> Self {
        self.apart = true;
        self
    }
}

/// How much of each kind a mutation remembers, so that a server that runs for long stays small.
const REMEMBERED: usize = 1_024;

/// What a mutation remembers.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The keys that were given out, the oldest first.
    pub keys: Vec<String>,
    /// The clientIds that were given out, each as often as it was told.
    pub clients: Vec<String>,
    /// Whatever a mutation counts.
    pub count: usize,
    /// Whether something has happened that matters to it.
    pub flag: bool,
    /// The operation of the last publish.
    pub operation: String,
    /// The clientId of the last request.
    pub client: String,
    /// The clientIds that have subscribed to something.
    pub subscribers: Vec<String>,
    /// A message that is held back.
    pub kept: Option<Value>,
    /// What time it is.
    pub now: Time,
    /// Until when something lasts.
    pub until: Time,
    /// The clientId that asked last on each socket.
    pub sockets: BTreeMap<Socket, String>,
    /// The names of what is gone.
    pub gone: Vec<String>,
    /// The subscriptions that were changed on their way in, by the id of their message: replies give them back as they came.
    subscriptions: BTreeMap<String, Value>,
    /// When each exchange began that carries a connect, and how long it asks to be held.
    connects: BTreeMap<Exchange, (Time, u64)>,
}

impl Memory {
    fn learn(&mut self, message: &Value) {
        if let Some(key) = message["data"]["secureKey"].as_str()
            && self.keys.len() < REMEMBERED
            && !self.keys.iter().any(|known| known == key)
        {
            self.keys.push(key.to_owned());
        }
        if let Some(client) = message["clientId"].as_str()
            && self.clients.len() < REMEMBERED
        {
            self.clients.push(client.to_owned());
        }
    }

    fn ask(&mut self, message: &Value) {
        self.operation = message["data"]["operation"].as_str().unwrap_or_default().to_owned();
        if let Some(client) = message["clientId"].as_str() {
            client.clone_into(&mut self.client);
        }
        if message["channel"] == "/meta/subscribe" && self.subscribers.len() < REMEMBERED {
            self.subscribers.push(self.client.clone());
        }
    }

    fn ask_on(&mut self, socket: Socket) {
        if self.sockets.len() >= REMEMBERED {
            self.sockets.pop_first();
        }
        self.sockets.insert(socket, self.client.clone());
    }

    fn expect_echo(&mut self, before: &Value, after: &Value) {
        let (Some(asked), Some(id)) = (before.get("subscription"), before["id"].as_str()) else { return };
        if after.get("subscription").is_some_and(|changed| changed != asked) {
            if self.subscriptions.len() >= REMEMBERED {
                self.subscriptions.pop_first();
            }
            self.subscriptions.insert(id.to_owned(), asked.clone());
        }
    }

    fn echo(&mut self, mut message: Value) -> Value {
        let reply = message.get("successful").is_some() && message.get("subscription").is_some();
        let asked = message["id"].as_str().filter(|_| reply).and_then(|id| self.subscriptions.remove(id));
        if let Some(asked) = asked {
            message["subscription"] = asked;
        }
        message
    }

    fn began(&mut self, now: Time, exchange: Exchange, hold: u64) {
        if self.connects.len() >= REMEMBERED {
            self.connects.pop_first();
        }
        self.connects.insert(exchange, (now, hold));
    }

    /// When a response is due if events release nothing.
    #[must_use]
    pub fn end_of_hold(&self, now: Time, exchange: Exchange) -> Duration {
        let Some((began, hold)) = self.connects.get(&exchange) else { return Duration::ZERO };
        (*began + Duration::from_millis(*hold)).since(now)
    }
}
