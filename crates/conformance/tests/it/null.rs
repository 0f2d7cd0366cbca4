//! Peers that do nothing, or nothing right: no case passes against them. Against one that says yes to everything and does
//! nothing of it a few do, and each of them is named.

use std::collections::{BTreeSet, VecDeque};

use conformance::report::Exit;
use conformance::verdict::Kind;
use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::message::Message;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Close, Exchange, Failure, Headers, Response, Socket, Wire};
use serde_json::{Value, json};

use crate::drive::{SEED, report, run_all, settings};

/// What such a peer does with everything.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Nothing is there.
    Unreachable,
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
    /// It answers a handshake, and breaks every connection after that.
    HandshakeAlone,
    /// It gives back what it gets.
    Echo,
    /// It calls everything successful, in proper form and with sessions of its own, and does nothing.
    Yes,
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
    /// How many sessions it has given.
    sessions: u32,
    outputs: VecDeque<Output<()>>,
}

impl Null {
    const fn new(habit: Habit) -> Self {
        Self { habit, sessions: 0, outputs: VecDeque::new() }
    }

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
    fn answer(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        match self.habit {
            Habit::Unreachable | Habit::Mute | Habit::Slam | Habit::CloseWith(_) => None,
            Habit::HandshakeAlone | Habit::Yes => {
                let batch = Batch::parse(body, &Limits::default()).ok()?;
                let replies: Vec<Value> = batch.messages.iter().map(|message| self.agrees_to(message)).collect();
                Some(Value::from(replies).to_string().into_bytes())
            }
            Habit::Status(_) => Some(Vec::new()),
            Habit::Body(text) => Some(text.into()),
            Habit::Echo => Some(body.to_vec()),
            Habit::Reply(members) => {
                let batch = Batch::parse(body, &Limits::default()).ok()?;
                let reply = |message: &Message| {
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

impl Null {
    /// The reply of one who agrees, and does nothing.
    fn agrees_to(&mut self, message: &Message) -> Value {
        let mut reply = json!({"channel": message.channel(), "successful": true});
        if let Some(id) = message.id() {
            reply["id"] = id.as_str().into();
        }
        if let Some(subscription) = message.value("subscription") {
            reply["subscription"] = subscription;
        }
        if message.channel() == Some("/meta/handshake") {
            self.sessions += 1;
            reply["clientId"] = format!("yes{}", self.sessions).into();
            reply["version"] = "1.0".into();
            reply["supportedConnectionTypes"] = json!(["websocket", "long-polling", "callback-polling"]);
            reply["advice"] = json!({"reconnect": "retry", "interval": 0, "timeout": 30_000});
        }
        reply
    }

    /// Whether a connection breaks rather than bring this.
    fn breaks(&self, body: &[u8]) -> bool {
        matches!(self.habit, Habit::HandshakeAlone) && !String::from_utf8_lossy(body).contains("/meta/handshake")
    }
}

impl Machine for Null {
    type Timer = ();
    type Event = ();

    fn handle_input(&mut self, _now: Time, input: Input) {
        let Input::Wire(wire) = input else { return };
        match (wire, self.habit) {
            (Wire::Request(exchange, _), Habit::Unreachable) => self.put(Wire::Broken(exchange, Failure::Unreachable)),
            (Wire::Upgrade(socket, _), Habit::Unreachable) => self.put(Wire::Lost(socket, Failure::Unreachable)),
            (Wire::Request(exchange, request), _) if self.breaks(&request.body) => {
                self.put(Wire::Broken(exchange, Failure::Reset));
            }
            (Wire::Text(socket, text), _) if self.breaks(text.as_bytes()) => {
                self.put(Wire::Lost(socket, Failure::Reset));
            }
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
    ("not there", Habit::Unreachable),
    ("mute", Habit::Mute),
    ("closes at once", Habit::Slam),
    ("handshake alone", Habit::HandshakeAlone),
    ("400", Habit::Status(400)),
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
        let server = || Null::new(*habit);
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

/// The cases that pass against a peer that agrees to everything, and why nothing more can be asked of them.
const PASSED_BY_YES: &[(&str, &str)] = &[];

#[test]
fn few_cases_pass_against_a_peer_that_only_agrees() {
    let report = report(&settings(), run_all(&settings(), SEED, || Null::new(Habit::Yes)), SEED);
    let passed: BTreeSet<&str> = report
        .results
        .iter()
        .filter(|result| matches!(result.verdict, Kind::Pass | Kind::Observed))
        .map(|result| result.case.id)
        .collect();
    let entries = report.results.iter().filter(|result| passed.contains(result.case.id)).count();
    let known: BTreeSet<&str> = PASSED_BY_YES.iter().map(|(id, _)| *id).collect();
    assert_eq!(passed, known);
    assert!(matches!(report.exit().0, Exit::Unexpected | Exit::Incomplete), "{:?}", report.exit());
    assert!(entries * 10 < report.results.len(), "{entries} of {}", report.results.len());
    let mut table = format!("{entries} of {} entries pass: {}\n", report.results.len(), report.summary());
    for (id, why) in PASSED_BY_YES {
        table.push_str(&format!("{id}: {why}\n"));
    }
    insta::assert_snapshot!("yes_men", table);
}
