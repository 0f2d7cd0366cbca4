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
mod memory;
mod mutant;
mod notifications;
mod occasions;
mod operations;
mod sessions;

use std::time::Duration;

use protocol::bayeux::dialect::Dialect;
use protocol::time::Time;
use protocol::wire::Wire;
use serde_json::Value;

pub use self::files::{FILES_OFF, NO_FILES};
pub use self::memory::Memory;
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
