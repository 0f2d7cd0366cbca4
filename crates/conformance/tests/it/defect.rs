//! Small defects around a simulator: each changes what enters or leaves it.

mod agents;
mod broadcast;
mod change;
mod known;
mod list;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::dialect::Dialect;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Request, Wire};
use serde_json::{Value, json};
use simulator::control;
use simulator::gms::{Event, Gms};

use crate::drive::speaking;

/// What a defect remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// The keys that were given out, the oldest first.
    pub(crate) keys: Vec<String>,
    /// The clientIds that were given out.
    pub(crate) clients: Vec<String>,
    /// Whatever a defect counts.
    pub(crate) count: usize,
    /// Whether something has happened that matters to it.
    pub(crate) flag: bool,
    /// The operation of the last publish.
    pub(crate) operation: String,
    /// The clientId of the last request.
    pub(crate) client: String,
    /// When each exchange began that carries a connect, and how long it asks to be held.
    connects: BTreeMap<Exchange, (Time, u64)>,
    /// A message that is held back.
    pub(crate) kept: Option<Value>,
}

/// Every defect.
pub(crate) fn defects() -> impl Iterator<Item = &'static Defect> {
    [list::COMMON, known::KNOWN, broadcast::BROADCAST, agents::AGENTS].into_iter().flatten()
}

/// What a defect lets through to the server, and what it gives back to the client itself.
pub(crate) type Passed = (Option<Wire>, Vec<Wire>);

/// A defect. What it does not change, it passes.
#[derive(Clone, Copy)]
pub(crate) struct Defect {
    pub(crate) name: &'static str,
    /// Changes a request's message; `None` drops it.
    pub(crate) asked: fn(&mut Memory, Value) -> Option<Value>,
    /// Changes a message of the server, into none or several.
    pub(crate) told: fn(&mut Memory, Value) -> Vec<Value>,
    /// Changes a whole input; what it gives back besides goes straight to the client.
    pub(crate) input: fn(&mut Memory, Wire) -> Passed,
    /// How much later an output leaves.
    pub(crate) delay: fn(&mut Memory, Time, &Wire) -> Duration,
    /// Changes how the server speaks, where nothing around it could.
    pub(crate) dialect: fn(&mut Dialect),
    /// Changes a whole output, behind everything else.
    pub(crate) output: fn(Wire) -> Wire,
    /// Whether each message on a WebSocket has a frame of its own.
    pub(crate) apart: bool,
}

impl Defect {
    pub(crate) const fn named(name: &'static str) -> Self {
        Self {
            name,
            asked: |_, message| Some(message),
            told: |_, message| vec![message],
            input: |_, wire| (Some(wire), Vec::new()),
            delay: |_, _, _| Duration::ZERO,
            dialect: |_| {},
            output: |wire| wire,
            apart: false,
        }
    }

    pub(crate) const fn dialect(mut self, dialect: fn(&mut Dialect)) -> Self {
        self.dialect = dialect;
        self
    }

    pub(crate) const fn output(mut self, output: fn(Wire) -> Wire) -> Self {
        self.output = output;
        self
    }

    pub(crate) const fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    pub(crate) const fn asked(mut self, asked: fn(&mut Memory, Value) -> Option<Value>) -> Self {
        self.asked = asked;
        self
    }

    pub(crate) const fn told(mut self, told: fn(&mut Memory, Value) -> Vec<Value>) -> Self {
        self.told = told;
        self
    }

    pub(crate) const fn input(mut self, input: fn(&mut Memory, Wire) -> Passed) -> Self {
        self.input = input;
        self
    }

    pub(crate) const fn delay(mut self, delay: fn(&mut Memory, Time, &Wire) -> Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A simulator with a defect.
pub(crate) struct Defective {
    gms: Gms,
    defect: Defect,
    memory: Memory,
    outputs: VecDeque<Output<Event>>,
    late: BTreeMap<(Time, u64), Wire>,
    launched: u64,
}

impl Defective {
    pub(crate) fn new(gms: Gms, defect: Defect) -> Self {
        Self { gms, defect, memory: Memory::default(), outputs: VecDeque::new(), late: BTreeMap::new(), launched: 0 }
    }

    /// The simulator of the other tests with a defect.
    pub(crate) fn planted(defect: Defect, seed: u64) -> Self {
        let mut dialect = Dialect::cometd_3_1();
        (defect.dialect)(&mut dialect);
        Self::new(speaking(dialect, seed), defect)
    }

    /// Lets the agent do something.
    pub(crate) fn act(&mut self, now: Time, asked: &Request) {
        let _ = control::answer(&mut self.gms, now, asked);
        self.drain(now);
    }

    fn drain(&mut self, now: Time) {
        while let Some(output) = self.gms.poll_output() {
            match output {
                Output::Event(event) => self.outputs.push_back(Output::Event(event)),
                Output::Wire(wire) => {
                    for wire in self.altered(wire) {
                        let wire = (self.defect.output)(wire);
                        let delay = (self.defect.delay)(&mut self.memory, now, &wire);
                        if delay.is_zero() {
                            self.outputs.push_back(Output::Wire(wire));
                        } else {
                            self.launched += 1;
                            self.late.insert((now + delay, self.launched), wire);
                        }
                    }
                }
            }
        }
    }

    fn altered(&mut self, wire: Wire) -> Vec<Wire> {
        match wire {
            Wire::Text(socket, text) => match self.told(text.as_bytes()) {
                Some(messages) if messages.is_empty() => Vec::new(),
                Some(messages) if self.defect.apart => {
                    messages.into_iter().map(|message| Wire::Text(socket, json!([message]).to_string())).collect()
                }
                Some(messages) => vec![Wire::Text(socket, Value::from(messages).to_string())],
                None => vec![Wire::Text(socket, text)],
            },
            Wire::Response(exchange, mut response) => {
                if let Some(messages) = self.told(&response.body) {
                    response.body = Value::from(messages).to_string().into_bytes();
                }
                vec![Wire::Response(exchange, response)]
            }
            other => vec![other],
        }
    }

    fn told(&mut self, body: &[u8]) -> Option<Vec<Value>> {
        let messages = values(body)?;
        let mut told = Vec::new();
        for message in messages {
            self.memory.learn(&message);
            told.extend((self.defect.told)(&mut self.memory, message));
        }
        Some(told)
    }

    fn asked(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let messages = values(body)?;
        let mut asked = Vec::new();
        for message in messages {
            self.memory.operation = message["data"]["operation"].as_str().unwrap_or_default().to_owned();
            if let Some(client) = message["clientId"].as_str() {
                self.memory.client = client.to_owned();
            }
            asked.extend((self.defect.asked)(&mut self.memory, message));
        }
        Some(Value::from(asked).to_string().into_bytes())
    }
}

impl Memory {
    fn learn(&mut self, message: &Value) {
        if let Some(key) = message["data"]["secureKey"].as_str()
            && !self.keys.iter().any(|known| known == key)
        {
            self.keys.push(key.to_owned());
        }
        if let Some(client) = message["clientId"].as_str() {
            self.clients.push(client.to_owned());
        }
    }

    /// When a response is due if events release nothing.
    pub(crate) fn end_of_hold(&self, now: Time, exchange: Exchange) -> Duration {
        let Some((began, hold)) = self.connects.get(&exchange) else { return Duration::ZERO };
        (*began + Duration::from_millis(*hold)).since(now)
    }
}

fn values(body: &[u8]) -> Option<Vec<Value>> {
    let batch = Batch::parse(body, &Limits::default()).ok()?;
    batch.messages.iter().map(|message| serde_json::from_str(message.text()).ok()).collect()
}

impl Machine for Defective {
    type Timer = ();
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        while let Some(first) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            self.outputs.push_back(Output::Wire(first.remove()));
        }
        let input = match input {
            Input::Timeout => Some(Input::Timeout),
            Input::Wire(wire) => {
                if let Wire::Request(exchange, request) = &wire
                    && let Some(connect) = values(&request.body)
                        .and_then(|messages| messages.into_iter().find(|message| message["channel"] == "/meta/connect"))
                {
                    let hold = connect["advice"]["timeout"].as_u64().unwrap_or(30_000);
                    self.memory.connects.insert(*exchange, (now, hold));
                }
                let (wire, back) = (self.defect.input)(&mut self.memory, wire);
                self.outputs.extend(back.into_iter().map(Output::Wire));
                wire.map(|wire| match wire {
                    Wire::Request(exchange, request) => {
                        let body = self.asked(&request.body).unwrap_or_else(|| request.body.clone());
                        Input::Wire(Wire::Request(exchange, Request { body, ..request }))
                    }
                    Wire::Text(socket, text) => {
                        let text = self
                            .asked(text.as_bytes())
                            .map_or(text, |body| String::from_utf8_lossy(&body).into_owned());
                        Input::Wire(Wire::Text(socket, text))
                    }
                    other => Input::Wire(other),
                })
            }
        };
        if let Some(input) = input {
            self.gms.handle_input(now, input);
        }
        self.drain(now);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, ())> {
        let late = self.late.first_key_value().map(|((at, _), _)| *at);
        let gms = self.gms.deadline().map(|(at, _)| at);
        late.into_iter().chain(gms).min().map(|at| (at, ()))
    }
}
