//! What befalls messages and connections on a case's wish.

use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::http;
use protocol::bayeux::message::Message;
use protocol::wire::{Headers, Response, Wire};
use serde_json::Value;

use super::{House, carrier_of, place_of};
use crate::peer::Carrier;

/// What becomes of a message of the client's.
#[derive(Debug)]
pub(crate) enum Treatment {
    /// The server gets it.
    Pass,
    /// Nobody gets it.
    Swallow,
    /// It gets these replies, and the server learns nothing of it.
    Answer(Vec<Value>),
}

/// What becomes of a message of ours.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It goes out.
    Pass,
    /// It does not.
    Drop,
    /// These go in its place.
    Instead(Vec<Value>),
}

/// What becomes of requests as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// They are answered.
    Open,
    /// They get this status, and so do upgrades.
    Status(u16),
}

pub(super) type Treat = Box<dyn FnMut(&Message) -> Treatment + Send>;
pub(super) type Edit = Box<dyn FnMut(&Message) -> Fate + Send>;
pub(super) type Delay = Box<dyn FnMut(&Message) -> Duration + Send>;

impl House {
    /// Treats the client's messages from here on.
    pub(crate) fn treat_messages(&mut self, treat: impl FnMut(&Message) -> Treatment + Send + 'static) {
        self.treat = Some(Box::new(treat));
    }

    /// Edits our messages from here on.
    pub(crate) fn edit_messages(&mut self, edit: impl FnMut(&Message) -> Fate + Send + 'static) {
        self.edit = Some(Box::new(edit));
    }

    /// Puts off what carries certain messages of ours from here on.
    pub(crate) fn delay_messages(&mut self, delay: impl FnMut(&Message) -> Duration + Send + 'static) {
        self.delay = Some(Box::new(delay));
    }

    /// Leaves everything as it is from here on. What is put off goes out at its time.
    pub(crate) fn behave(&mut self) {
        self.gate = Gate::Open;
        (self.treat, self.edit, self.delay) = (None, None, None);
    }

    /// Lets a request pass, or answers it at once.
    pub(super) fn pass_gate(&mut self, wire: Wire) -> Option<Wire> {
        let Gate::Status(status) = self.gate else { return Some(wire) };
        let refusal = Response { status, headers: Headers::new(), body: Vec::new() };
        let (place, answer) = match wire {
            Wire::Request(exchange, _) => (exchange.to_string(), Wire::Response(exchange, refusal)),
            Wire::Upgrade(socket, _) => (socket.to_string(), Wire::Refused(socket, refusal)),
            other => return Some(other),
        };
        self.breaks("refused", &place, &[("status", &status.to_string())]);
        self.put(answer);
        None
    }

    /// Treats the messages of a wire; gives what is left of it for the server.
    pub(super) fn treat(&mut self, wire: Wire, messages: Vec<Message>) -> Option<Wire> {
        let (Some(treat), Some(carrier)) = (&mut self.treat, carrier_of(&wire)) else { return Some(wire) };
        let (mut left, mut answers, count) = (Vec::new(), Vec::new(), messages.len());
        let mut broken = Vec::new();
        for message in messages {
            let channel = message.channel().unwrap_or_default().to_owned();
            match treat(&message) {
                Treatment::Pass => left.push(message),
                Treatment::Swallow => broken.push(("swallowed", channel)),
                Treatment::Answer(replies) => {
                    broken.push(("answered", channel));
                    answers.extend(replies.iter().filter_map(message_of));
                }
            }
        }
        self.break_messages(carrier, broken);
        if left.len() == count {
            return Some(wire);
        }
        match carrier {
            _ if answers.is_empty() => {}
            Carrier::Exchange(exchange) if left.is_empty() => {
                self.send(Wire::Response(exchange, http::response(&answers)));
            }
            Carrier::Exchange(exchange) => drop(self.beside.insert(exchange, answers)),
            Carrier::Socket(socket) => self.send(Wire::Text(socket, Batch::array(&answers))),
        }
        (!left.is_empty()).then(|| with_messages(wire, &left))
    }

    /// Sends something of the server's, edited and perhaps later.
    pub(super) fn send(&mut self, wire: Wire) {
        let Some(carrier) = carrier_of(&wire) else { return };
        let mut messages = Batch::carried(&wire);
        if let Wire::Response(exchange, _) = &wire {
            messages.extend(self.beside.remove(exchange).unwrap_or_default());
        }
        let is_batch = match &wire {
            Wire::Text(..) => true,
            Wire::Response(_, response) => response.status == 200,
            _ => false,
        };
        if !is_batch || messages.is_empty() {
            return self.put(wire);
        }
        if let Some(edit) = &mut self.edit {
            let mut broken = Vec::new();
            let edited = messages.iter().flat_map(|message| {
                let channel = || message.channel().unwrap_or_default().to_owned();
                match edit(message) {
                    Fate::Pass => vec![message.clone()],
                    Fate::Drop => {
                        broken.push(("dropped", channel()));
                        Vec::new()
                    }
                    Fate::Instead(values) => {
                        broken.push(("replaced", channel()));
                        values.iter().filter_map(message_of).collect()
                    }
                }
            });
            messages = edited.collect();
            self.break_messages(carrier, broken);
            if messages.is_empty() && matches!(wire, Wire::Text(..)) {
                return;
            }
        }
        let later = match &mut self.delay {
            Some(delay) => messages.iter().map(delay).max().unwrap_or_default(),
            None => Duration::ZERO,
        };
        if !later.is_zero() {
            self.breaks("delayed", &place_of(carrier), &[("millis", &later.as_millis().to_string())]);
        }
        let wire = self.carrying(wire, &messages);
        // On one socket nothing overtakes.
        let before = self.late.iter().filter(|(_, late)| carrier_of(late) == Some(carrier)).map(|((at, _), _)| *at);
        let at = before.chain([self.now + later]).max().unwrap_or(self.now);
        if at <= self.now {
            return self.put(wire);
        }
        self.numbers += 1;
        self.late.insert((at, self.numbers), wire);
    }

    fn break_messages(&mut self, carrier: Carrier, broken: Vec<(&'static str, String)>) {
        for (kind, channel) in broken {
            self.breaks(kind, &place_of(carrier), &[("channel", &channel)]);
        }
    }

    /// The same wire with other messages of ours.
    fn carrying(&self, wire: Wire, messages: &[Message]) -> Wire {
        match wire {
            Wire::Text(socket, _) => Wire::Text(socket, Batch::array(messages)),
            Wire::Response(exchange, response) => {
                let line = self.lines.get(&Carrier::Exchange(exchange));
                let made = match line.and_then(|line| line.callback.as_deref()) {
                    Some(callback) => http::callback_response(callback, messages),
                    None => http::response(messages),
                };
                Wire::Response(exchange, Response { body: made.body, ..response })
            }
            other => other,
        }
    }
}

/// The same wire with other messages of the client's.
fn with_messages(wire: Wire, messages: &[Message]) -> Wire {
    let array = Batch::array(messages);
    match wire {
        Wire::Text(socket, _) => Wire::Text(socket, array),
        Wire::Request(exchange, mut request) if request.method == "GET" => {
            let path = request.target.split('?').next().unwrap_or_default().to_owned();
            let callback = http::query_values(&request.target, http::CALLBACK_PARAMETER).concat();
            let made = http::callback_request("", &[], &callback, &array, &http::Cookies::new());
            let query = made.target.split_once('?').map_or("", |(_, query)| query);
            request.target = format!("{path}?{query}");
            Wire::Request(exchange, request)
        }
        Wire::Request(exchange, mut request) => {
            request.body = array.into_bytes();
            Wire::Request(exchange, request)
        }
        other => other,
    }
}

fn message_of(value: &Value) -> Option<Message> {
    Message::parse(&value.to_string())
}
