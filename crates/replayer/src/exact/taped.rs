//! The chat client together with the tape of all that it does.

use std::collections::VecDeque;

use protocol::bayeux::client as bayeux;
use protocol::chat::client::{Client, Config, Event, Misuse, Timer};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Side};
use recording::capture::{self, Capture};
use recording::tape::Finish;
use recording::token::Key;
use serde_json::Value;

use super::call::{Call, Done};
use super::setup;

/// A chat client whose calls, timers and wire go to a tape, if there is one: each before what the client makes of it. What it
/// does is what the client does, only that time never runs backwards.
#[derive(Clone, Debug)]
pub struct Taped {
    client: Client,
    scribe: Option<Scribe>,
    now: Time,
    outputs: VecDeque<Output<Event>>,
}

/// Who writes the tape.
#[derive(Clone, Debug)]
struct Scribe {
    capture: Capture,
    key: Key,
    /// What was written and nobody has taken yet.
    bytes: Vec<u8>,
}

impl Taped {
    /// Makes a client at rest and begins its tape. Its settings go into `env` beside what stands there.
    #[must_use]
    pub fn new(config: Config, mut tape: capture::Config) -> Self {
        tape.env.extend(setup::env(&config));
        let key = tape.key.clone();
        let (capture, bytes) = Capture::new(tape);
        Self { scribe: Some(Scribe { capture, key, bytes }), ..Self::without_tape(config) }
    }

    /// Makes a client at rest that leaves no tape.
    #[must_use]
    pub fn without_tape(config: Config) -> Self {
        Self { client: Client::new(config), scribe: None, now: Time::ZERO, outputs: VecDeque::new() }
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a call.
    ///
    /// # Errors
    ///
    /// [`Misuse`] as the client says. The tape has such a call too.
    pub fn call(&mut self, now: Time, call: Call) -> Result<Done, Misuse> {
        let now = self.at(now);
        self.write(|Scribe { capture, key, .. }| {
            let arguments = Value::Object(call.arguments(key)).to_string();
            capture.call(now, call.operation(), &arguments)
        });
        let done = call.make(&mut self.client, now);
        self.drain();
        done
    }

    /// Takes the bytes that are to be appended to the tape: whole units.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.scribe.as_mut().map(|scribe| std::mem::take(&mut scribe.bytes)).unwrap_or_default()
    }

    /// Ends the tape; what happens from here on is on none.
    pub fn finish(&mut self, now: Time, status: Finish) -> Vec<u8> {
        let now = self.at(now);
        let Some(Scribe { mut capture, mut bytes, .. }) = self.scribe.take() else { return Vec::new() };
        bytes.extend(capture.finish(now, status));
        bytes
    }

    /// The moment, which is never before the last one.
    fn at(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }

    fn write(&mut self, unit: impl FnOnce(&mut Scribe) -> Vec<u8>) {
        if let Some(scribe) = &mut self.scribe {
            let unit = unit(scribe);
            scribe.bytes.extend(unit);
        }
    }

    /// Takes everything out of the client at the moment at which it was decided.
    fn drain(&mut self) {
        let at = self.now;
        while let Some(output) = self.client.poll_output() {
            if let Output::Wire(wire) = &output {
                let entry = Entry { at, from: Side::Client, wire: wire.clone() };
                self.write(|scribe| scribe.capture.entry(None, &entry));
            }
            self.outputs.push_back(output);
        }
    }
}

impl Machine for Taped {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        let at = self.at(now);
        match &input {
            Input::Wire(wire) => {
                let entry = Entry { at, from: Side::Server, wire: wire.clone() };
                self.write(|scribe| scribe.capture.entry(None, &entry));
            }
            Input::Timeout => {
                let (name, due) = timer(self.client.deadline());
                self.write(|scribe| scribe.capture.timer(at, name, due));
            }
        }
        self.client.handle_input(at, input);
        self.drain();
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.client.deadline()
    }
}

/// How a tape calls the timer that is due next, and when that is.
pub(super) const fn timer(deadline: Option<(Time, Timer)>) -> (&'static str, Option<Time>) {
    let Some((due, timer)) = deadline else { return ("none", None) };
    let name = match timer {
        Timer::Bayeux(bayeux::Timer::Reply) => "bayeux.reply",
        Timer::Bayeux(bayeux::Timer::Handshake) => "bayeux.handshake",
        Timer::Bayeux(bayeux::Timer::Connect) => "bayeux.connect",
        Timer::Bayeux(bayeux::Timer::Leave) => "bayeux.leave",
        Timer::Answer => "chat.answer",
        Timer::Unavailable => "chat.unavailable",
        Timer::Gap => "chat.gap",
    };
    (name, Some(due))
}
