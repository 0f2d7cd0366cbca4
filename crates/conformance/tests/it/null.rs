//! Peers that do nothing, or nothing right: no case passes against them.

use std::collections::VecDeque;

use conformance::report::Exit;
use conformance::verdict::Kind;
use protocol::bayeux::batch::{Batch, Limits};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Close, Exchange, Failure, Headers, Response, Socket, Wire};
use serde_json::{Value, json};

use crate::drive::{SEED, report, run_all, settings};

/// What such a peer does with everything.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// It takes connections and says nothing.
    Mute,
    /// It closes each connection as soon as it is made.
    Slam,
    /// It answers with this HTTP status and an empty body, and grants no WebSocket.
    Status(u16),
    /// It answers with this body.
    Body(&'static str),
    /// It closes each WebSocket with this code, and answers with an empty body.
    CloseWith(u16),
    /// It gives back what it gets.
    Echo,
    /// It gives each message back as a reply with these members.
    Reply(fn() -> Value),
}

fn yes() -> Value {
    json!({
        "successful": true,
        "clientId": "a1b2c3",
        "version": "1.0",
        "supportedConnectionTypes": ["websocket", "long-polling"],
    })
}

fn unknown_client() -> Value {
    json!({"successful": false, "error": "402::Unknown client", "advice": {"reconnect": "handshake", "interval": 0}})
}

/// A peer with such a habit.
#[derive(Clone, Debug)]
struct Null {
    habit: Habit,
    outputs: VecDeque<Output<()>>,
}

impl Null {
    fn put(&mut self, wire: Wire) {
        self.outputs.push_back(Output::Wire(wire));
    }

    fn respond(&mut self, exchange: Exchange, status: u16, body: Vec<u8>) {
        self.put(Wire::Response(exchange, Response { status, headers: Headers::new(), body }));
    }

    fn close(&mut self, socket: Socket, code: u16) {
        self.put(Wire::Close(socket, Close { code, reason: String::new() }));
    }

    /// What it answers to a body, if it answers.
    fn answer(&self, body: &[u8]) -> Option<Vec<u8>> {
        match self.habit {
            Habit::Mute | Habit::Slam | Habit::CloseWith(_) => None,
            Habit::Status(_) => Some(Vec::new()),
            Habit::Body(text) => Some(text.into()),
            Habit::Echo => Some(body.to_vec()),
            Habit::Reply(members) => {
                let batch = Batch::parse(body, &Limits::default()).ok()?;
                let reply = |message: &protocol::bayeux::message::Message| {
                    let mut reply = members();
                    reply["channel"] = message.channel().into();
                    if let Some(id) = message.id() {
                        reply["id"] = id.as_str().into();
                    }
                    reply
                };
                Some(Value::from(batch.messages.iter().map(reply).collect::<Vec<_>>()).to_string().into_bytes())
            }
        }
    }
}

impl Machine for Null {
    type Timer = ();
    type Event = ();

    fn handle_input(&mut self, _now: Time, input: Input) {
        let Input::Wire(wire) = input else { return };
        match (wire, self.habit) {
            (Wire::Request(exchange, _), Habit::Slam) => self.put(Wire::Broken(exchange, Failure::Reset)),
            (Wire::Upgrade(socket, _), Habit::Slam) => self.put(Wire::Lost(socket, Failure::Reset)),
            (Wire::Upgrade(socket, _), Habit::Status(status)) => {
                self.put(Wire::Refused(socket, Response { status, headers: Headers::new(), body: Vec::new() }));
            }
            (Wire::Upgrade(socket, _), _) => self.put(Wire::Upgraded(socket, Headers::new())),
            (Wire::Request(exchange, _), Habit::CloseWith(_)) => self.respond(exchange, 200, Vec::new()),
            (Wire::Text(socket, _), Habit::CloseWith(code)) => self.close(socket, code),
            (Wire::Request(exchange, request), habit) => {
                if let Some(body) = self.answer(&request.body) {
                    let status = if let Habit::Status(status) = habit { status } else { 200 };
                    self.respond(exchange, status, body);
                }
            }
            (Wire::Text(socket, text), _) => {
                if let Some(body) = self.answer(text.as_bytes()) {
                    self.put(Wire::Text(socket, String::from_utf8_lossy(&body).into_owned()));
                }
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<()>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, ())> {
        None
    }
}

const PEERS: &[(&str, Habit)] = &[
    ("mute", Habit::Mute),
    ("closes at once", Habit::Slam),
    ("404", Habit::Status(404)),
    ("500", Habit::Status(500)),
    ("200, empty", Habit::Status(200)),
    ("close 1000", Habit::CloseWith(1000)),
    ("close 1002", Habit::CloseWith(1002)),
    ("close 1011", Habit::CloseWith(1011)),
    ("echo", Habit::Echo),
    ("[]", Habit::Body("[]")),
    ("{}", Habit::Body("{}")),
    ("always successful", Habit::Reply(yes)),
    ("always 402", Habit::Reply(unknown_client)),
];

#[test]
fn no_case_passes_against_a_peer_that_does_nothing() {
    let mut table = String::new();
    for (name, habit) in PEERS {
        let server = || Null { habit: *habit, outputs: VecDeque::new() };
        let report = report(&settings(), run_all(&settings(), SEED, server), SEED);
        let passed: Vec<String> = report
            .results
            .iter()
            .filter(|result| matches!(result.verdict, Kind::Pass | Kind::Observed | Kind::Error))
            .map(conformance::conclude::CaseResult::name)
            .collect();
        assert!(passed.is_empty(), "against a peer that is `{name}`: {passed:#?}");
        let exit = report.exit().0;
        assert!(matches!(exit, Exit::Unexpected | Exit::Incomplete), "{name}: {exit:?}");
        table.push_str(&format!("{name:<18} exit {} {}\n", exit.code(), report.summary()));
    }
    insta::assert_snapshot!("null_peers", table);
}
