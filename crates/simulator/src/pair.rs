//! Two machines joined by the virtual network: one steps from wake-up to wake-up, and a 30-second hold costs nothing.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Side, Wire};

use crate::link::{Link, Network};

/// The machines went on for ever without time passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machines do not come to rest at {at} s")]
pub struct Livelock {
    /// When.
    pub at: Time,
}

/// How many steps may happen at one moment.
const STEPS_AT_ONCE: u32 = 10_000;

/// A client-side machine and a server-side machine with the network between them.
///
/// Commands may be given to either machine at any time, at [`Pair::now`]; what they cause goes out with the next step.
#[derive(Clone, Debug)]
pub struct Pair<A: Machine, B: Machine> {
    /// The machine that opens connections.
    pub client: A,
    /// The machine that listens.
    pub server: B,
    /// The network.
    pub link: Link,
    /// What the client told and nobody has taken yet.
    pub client_events: VecDeque<(Time, A::Event)>,
    /// What the server told and nobody has taken yet.
    pub server_events: VecDeque<(Time, B::Event)>,
    now: Time,
    entries: Option<Vec<Entry>>,
}

impl<A: Machine, B: Machine> Pair<A, B> {
    /// Joins two machines at [`Time::ZERO`].
    #[must_use]
    pub fn new(client: A, server: B, network: Network, seed: u64) -> Self {
        Self {
            client,
            server,
            link: Link::new(network, seed),
            client_events: VecDeque::new(),
            server_events: VecDeque::new(),
            now: Time::ZERO,
            entries: Some(Vec::new()),
        }
    }

    /// Keeps no entries, for long runs that nobody will look at.
    #[must_use]
    pub fn without_entries(mut self) -> Self {
        self.entries = None;
        self
    }

    /// The moment.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// What the client saw on the wire: when it sent, and when what it got arrived.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// When something happens next, if nobody gives a command.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        let deadlines = [self.client.deadline().map(|(at, _)| at), self.server.deadline().map(|(at, _)| at)];
        self.link.next_arrival().into_iter().chain(deadlines.into_iter().flatten()).min()
    }

    /// Sends out what commands have caused, jumps to the next wake-up and lets one thing happen. Says whether anything
    /// did.
    pub fn step(&mut self) -> bool {
        self.flush();
        let Some(at) = self.next_wake() else { return false };
        self.now = self.now.max(at);
        if let Some((to, wire)) = self.link.take(self.now) {
            self.feed(to, Input::Wire(wire));
        } else if self.client.deadline().is_some_and(|(at, _)| at <= self.now) {
            self.feed(Side::Client, Input::Timeout);
        } else if self.server.deadline().is_some_and(|(at, _)| at <= self.now) {
            self.feed(Side::Server, Input::Timeout);
        }
        self.flush();
        true
    }

    /// Steps until a condition holds, but not beyond a moment. Says whether it holds.
    ///
    /// # Errors
    ///
    /// [`Livelock`]
    pub fn drive_until(&mut self, limit: Time, mut done: impl FnMut(&mut Self) -> bool) -> Result<bool, Livelock> {
        let (mut moment, mut steps) = (self.now, 0);
        loop {
            self.flush();
            if done(self) {
                return Ok(true);
            }
            if self.next_wake().is_none_or(|at| at > limit) {
                self.now = self.now.max(limit);
                return Ok(false);
            }
            self.step();
            steps = if self.now > moment { 0 } else { steps + 1 };
            moment = self.now;
            if steps > STEPS_AT_ONCE {
                return Err(Livelock { at: self.now });
            }
        }
    }

    /// Lets this much time pass.
    ///
    /// # Errors
    ///
    /// [`Livelock`]
    pub fn drive_for(&mut self, duration: Duration) -> Result<(), Livelock> {
        self.drive_until(self.now + duration, |_| false).map(drop)
    }

    /// Steps until nothing is going to happen for this long, at most for an hour. Says whether that came to be.
    ///
    /// # Errors
    ///
    /// [`Livelock`]
    pub fn settle(&mut self, quiet: Duration) -> Result<bool, Livelock> {
        let limit = self.now + Duration::from_secs(3_600);
        self.drive_until(limit, |pair| pair.next_wake().is_none_or(|at| at > pair.now + quiet))
    }

    fn feed(&mut self, to: Side, input: Input) {
        match to {
            Side::Client => {
                if let Input::Wire(wire) = &input {
                    self.enter(Side::Server, wire);
                }
                self.client.handle_input(self.now, input);
            }
            Side::Server => self.server.handle_input(self.now, input),
        }
    }

    /// Drains both machines.
    fn flush(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Wire(wire) => {
                    self.enter(Side::Client, &wire);
                    self.link.send(self.now, Side::Client, wire);
                }
                Output::Event(event) => self.client_events.push_back((self.now, event)),
            }
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Wire(wire) => self.link.send(self.now, Side::Server, wire),
                Output::Event(event) => self.server_events.push_back((self.now, event)),
            }
        }
    }

    fn enter(&mut self, from: Side, wire: &Wire) {
        if let Some(entries) = &mut self.entries {
            entries.push(Entry { at: self.now, from, wire: wire.clone() });
        }
    }
}
