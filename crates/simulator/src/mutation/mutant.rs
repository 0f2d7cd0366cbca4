//! The machine that a mutation is: a simulator, and around it what changes.

use std::collections::{BTreeMap, VecDeque};

use protocol::bayeux::batch::{Batch, Limits};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Request, Response, Wire};
use serde_json::{Value, json};

use super::{Memory, Mutation};
use crate::control;
use crate::gms::{Event, Gms, Settings};

/// A simulator with a mutation.
#[derive(Clone, Debug)]
pub struct Mutant {
    gms: Gms,
    mutation: Mutation,
    memory: Memory,
    outputs: VecDeque<Output<Event>>,
    late: BTreeMap<(Time, u64), Wire>,
    launched: u64,
}

impl Mutant {
    /// Puts a mutation around a simulator; what it changes of the dialect is up to whoever made the simulator.
    #[must_use]
    pub fn new(gms: Gms, mutation: Mutation) -> Self {
        Self { gms, mutation, memory: Memory::default(), outputs: VecDeque::new(), late: BTreeMap::new(), launched: 0 }
    }

    /// Makes a simulator with a mutation.
    #[must_use]
    pub fn planted(mutation: Mutation, mut settings: Settings, seed: u64) -> Self {
        (mutation.dialect)(&mut settings.dialect);
        Self::new(Gms::new(settings, seed), mutation)
    }

    /// Does what the control API is asked for, and gives the answer. See [`control::answer`].
    #[must_use]
    pub fn control(&mut self, now: Time, request: &Request) -> Response {
        let answer = control::answer(&mut self.gms, now, request);
        self.drain(now);
        answer
    }

    fn drain(&mut self, now: Time) {
        while let Some(output) = self.gms.poll_output() {
            match output {
                Output::Event(event) => self.outputs.push_back(Output::Event(event)),
                Output::Wire(wire) => {
                    for wire in self.altered(wire) {
                        let wire = (self.mutation.output)(&mut self.memory, wire);
                        let delay = (self.mutation.delay)(&mut self.memory, now, &wire);
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
        self.memory.address(&wire);
        match wire {
            Wire::Text(socket, text) => match self.told(text.as_bytes()) {
                Some(messages) if messages.is_empty() => Vec::new(),
                Some(messages) if self.mutation.apart => {
                    messages.into_iter().map(|message| Wire::Text(socket, json!([message]).to_string())).collect()
                }
                Some(messages) => vec![Wire::Text(socket, Value::from(messages).to_string())],
                None => vec![Wire::Text(socket, text)],
            },
            Wire::Response(exchange, mut response) => {
                // An answer of the API for files is no batch.
                if response.body.starts_with(b"[")
                    && let Some(messages) = self.told(&response.body)
                {
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
            told.extend((self.mutation.told)(&mut self.memory, message).into_iter().map(|told| self.memory.echo(told)));
        }
        Some(told)
    }

    fn asked(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let messages = values(body)?;
        let mut asked = Vec::new();
        for message in messages {
            self.memory.ask(&message);
            let before = message.clone();
            let after = (self.mutation.asked)(&mut self.memory, message);
            if let Some(after) = &after {
                self.memory.expect_echo(&before, after);
            }
            asked.extend(after);
        }
        Some(Value::from(asked).to_string().into_bytes())
    }
}

fn values(body: &[u8]) -> Option<Vec<Value>> {
    let batch = Batch::parse(body, &Limits::default()).ok()?;
    batch.messages.iter().map(|message| serde_json::from_str(message.text()).ok()).collect()
}

impl Machine for Mutant {
    type Timer = ();
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.memory.now = now;
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
                    self.memory.began(now, *exchange, hold);
                }
                self.memory.hear(&wire);
                let (wire, back) = (self.mutation.input)(&mut self.memory, wire);
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
