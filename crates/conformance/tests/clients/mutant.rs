//! A client with a defect: our own, with one thing changed in what leaves or enters it.

use std::collections::VecDeque;
use std::time::Duration;

use conformance::clients::Step;
use protocol::bayeux::batch::Batch;
use protocol::bayeux::http::{self, Cookies};
use protocol::bayeux::message::Message;
use protocol::chat::client::{Client, Config, Event, Timer};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Response, Socket, Transport, Wire};
use serde_json::Value;

use crate::drive::{Driven, config, request};

/// What a defect remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// Whatever a defect counts.
    pub(crate) count: i64,
    /// How many handshakes were sent.
    pub(crate) handshakes: usize,
    /// Whether something has happened that matters to it.
    pub(crate) flag: bool,
    /// From here on the client neither says nor hears anything.
    pub(crate) dead: bool,
    /// The keys that were heard, on any channel.
    pub(crate) keys: Vec<String>,
    /// Ids, by what a defect makes of them.
    pub(crate) ids: Vec<Value>,
    /// The `clientId` of each session.
    pub(crate) clients: Vec<Value>,
    /// The `nextPosition` heard last.
    pub(crate) next: i64,
    /// What is to be sent by itself, and how much later.
    pub(crate) later: Vec<(Duration, Value)>,
}

/// A defect. What it does not change, it passes.
#[derive(Clone, Copy)]
pub(crate) struct Defect {
    pub(crate) name: &'static str,
    /// The requirement that it breaks.
    pub(crate) breaks: &'static str,
    /// Over which transports it can be seen.
    pub(crate) transport: Transport,
    pub(crate) config: fn(&mut Config),
    /// Changes a message that the client sends, into none or several.
    pub(crate) sends: fn(&mut Memory, Value) -> Vec<Value>,
    /// Changes a message that it hears.
    pub(crate) hears: fn(&mut Memory, Value) -> Vec<Value>,
    /// Changes what leaves as a whole; `None` keeps it back.
    pub(crate) leaves: fn(&mut Memory, Wire) -> Option<Wire>,
    /// Changes what enters as a whole.
    pub(crate) enters: fn(&mut Memory, Wire) -> Option<Wire>,
    /// Whether the client asks for a chat again when the outcome of the first request is unknown.
    pub(crate) insists: bool,
}

impl Defect {
    pub(crate) const fn new(name: &'static str, breaks: &'static str) -> Self {
        Self {
            name,
            breaks,
            transport: Transport::WebSocket,
            config: |_| {},
            sends: |_, message| vec![message],
            hears: |_, message| vec![message],
            leaves: |_, wire| Some(wire),
            enters: |_, wire| Some(wire),
            insists: false,
        }
    }

    pub(crate) const fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    pub(crate) const fn config(mut self, config: fn(&mut Config)) -> Self {
        self.config = config;
        self
    }

    pub(crate) const fn sends(mut self, sends: fn(&mut Memory, Value) -> Vec<Value>) -> Self {
        self.sends = sends;
        self
    }

    pub(crate) const fn hears(mut self, hears: fn(&mut Memory, Value) -> Vec<Value>) -> Self {
        self.hears = hears;
        self
    }

    pub(crate) const fn leaves(mut self, leaves: fn(&mut Memory, Wire) -> Option<Wire>) -> Self {
        self.leaves = leaves;
        self
    }

    pub(crate) const fn enters(mut self, enters: fn(&mut Memory, Wire) -> Option<Wire>) -> Self {
        self.enters = enters;
        self
    }

    pub(crate) const fn insists(mut self) -> Self {
        self.insists = true;
        self
    }
}

/// A client with a defect.
pub(crate) struct Mutant {
    inner: Client,
    defect: &'static Defect,
    memory: Memory,
    now: Time,
    outputs: VecDeque<Output<Event>>,
    later: Vec<(Time, Value)>,
    socket: Option<Socket>,
    cookies: Cookies,
    exchanges: u64,
}

/// Exchanges of the mutant's own begin here.
const OWN: u64 = 1 << 40;

impl Mutant {
    pub(crate) fn new(defect: &'static Defect) -> Self {
        let mut config = config(defect.transport);
        (defect.config)(&mut config);
        Self {
            inner: Client::new(config),
            defect,
            memory: Memory::default(),
            now: Time::ZERO,
            outputs: VecDeque::new(),
            later: Vec::new(),
            socket: None,
            cookies: Cookies::new(),
            exchanges: 0,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.inner.poll_output() {
            match output {
                Output::Wire(wire) => self.send(wire),
                Output::Event(Event::StartOutcomeUnknown) if self.defect.insists => {
                    self.inner.start(self.now, request()).expect("the outcome of the first request is unknown");
                }
                Output::Event(event) => self.outputs.push_back(Output::Event(event)),
            }
        }
        let (now, later) = (self.now, std::mem::take(&mut self.memory.later));
        self.later.extend(later.into_iter().map(|(delay, message)| (now + delay, message)));
    }

    fn send(&mut self, wire: Wire) {
        if let Wire::Upgrade(socket, _) = &wire {
            self.socket = Some(*socket);
        }
        let mut changed = Vec::new();
        for message in values(&wire) {
            self.memory.handshakes += usize::from(message["channel"] == "/meta/handshake");
            changed.extend((self.defect.sends)(&mut self.memory, message));
        }
        let Some(wire) = with_values(wire, &changed) else { return };
        let Some(wire) = (self.defect.leaves)(&mut self.memory, wire) else { return };
        if !self.memory.dead {
            self.outputs.push_back(Output::Wire(wire));
        }
    }

    /// Sends something of the mutant's own.
    fn send_own(&mut self, message: &Value) {
        let parsed = Message::parse(&message.to_string()).expect("a message");
        match self.defect.transport {
            Transport::WebSocket => {
                let Some(socket) = self.socket else { return };
                self.outputs.push_back(Output::Wire(Wire::Text(socket, Batch::array([&parsed]))));
            }
            Transport::LongPolling | Transport::CallbackPolling => {
                let exchange = Exchange(OWN + self.exchanges);
                self.exchanges += 1;
                let request = http::request("/genesys/cometd", &[parsed], &self.cookies);
                self.outputs.push_back(Output::Wire(Wire::Request(exchange, request)));
            }
        }
    }
}

impl Machine for Mutant {
    type Timer = Option<Timer>;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.now = now;
        let due: Vec<Value> = self.later.iter().filter(|(at, _)| *at <= now).map(|(_, value)| value.clone()).collect();
        self.later.retain(|(at, _)| *at > now);
        due.iter().for_each(|message| self.send_own(message));
        match input {
            Input::Wire(wire) => {
                if let Wire::Response(_, response) = &wire {
                    self.cookies.absorb(&response.headers);
                }
                let own = wire.exchange().is_some_and(|exchange| exchange.0 >= OWN);
                let mut changed = Vec::new();
                for message in values(&wire) {
                    if let Some(client) = message.get("clientId") {
                        self.memory.clients.push(client.clone());
                    }
                    if let Some(key) = message["data"]["secureKey"].as_str() {
                        self.memory.keys.push(key.to_owned());
                    }
                    if let Some(next) = message["data"]["nextPosition"].as_i64() {
                        self.memory.next = next;
                    }
                    changed.extend((self.defect.hears)(&mut self.memory, message));
                }
                let wire = with_values(wire, &changed).and_then(|wire| (self.defect.enters)(&mut self.memory, wire));
                if let Some(wire) = wire.filter(|_| !own && !self.memory.dead) {
                    self.inner.handle_input(now, Input::Wire(wire));
                }
            }
            Input::Timeout => self.inner.handle_input(now, Input::Timeout),
        }
        self.drain();
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.drain();
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Option<Timer>)> {
        let own = self.later.iter().map(|(at, _)| (*at, None)).min_by_key(|(at, _)| *at);
        let inner = self.inner.deadline().map(|(at, timer)| (at, Some(timer)));
        own.into_iter().chain(inner).min_by_key(|(at, _)| *at)
    }
}

impl Driven for Mutant {
    fn begin(&mut self, now: Time) {
        self.now = now;
        Driven::begin(&mut self.inner, now);
    }

    fn obey(&mut self, now: Time, step: Step) {
        self.now = now;
        self.inner.obey(now, step);
    }
}

fn values(wire: &Wire) -> Vec<Value> {
    let messages = Batch::carried(wire);
    messages.iter().map(|message| serde_json::from_str(message.text()).expect("JSON")).collect()
}

/// The same wire with other messages; `None` if it has lost its only ones.
fn with_values(wire: Wire, values: &[Value]) -> Option<Wire> {
    let before = Batch::carried(&wire);
    let messages: Vec<Message> =
        values.iter().map(|value| Message::parse(&value.to_string()).expect("a message")).collect();
    if before.iter().map(Message::text).eq(messages.iter().map(Message::text)) {
        return Some(wire);
    }
    let array = Batch::array(&messages);
    match wire {
        Wire::Text(..) | Wire::Request(..) if values.is_empty() => None,
        Wire::Text(socket, _) => Some(Wire::Text(socket, array)),
        Wire::Request(exchange, request) => {
            Some(Wire::Request(exchange, protocol::wire::Request { body: array.into_bytes(), ..request }))
        }
        Wire::Response(exchange, response) => {
            Some(Wire::Response(exchange, Response { body: array.into_bytes(), ..response }))
        }
        other => Some(other),
    }
}
