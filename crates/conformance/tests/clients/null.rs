//! Clients that do nothing, or little, pass nothing.

use conformance::clients::scenarios;
use conformance::verdict::Kind;
use protocol::chat::client::Client;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Headers, Request, Socket, Transport, Wire};
use rstest::rstest;

use crate::drive::{Driven, Fixed, SEED, config, judge};

fn request(body: &str) -> Request {
    let target = "/genesys/cometd/handshake".to_owned();
    Request { method: "POST".to_owned(), target, headers: Headers::new(), body: body.as_bytes().to_vec() }
}

const HANDSHAKE: &str = r#"[{"id":"1","version":"1.0","minimumVersion":"1.0","channel":"/meta/handshake","supportedConnectionTypes":["websocket","long-polling","callback-polling"]}]"#;

fn posting(bodies: &[&str]) -> Vec<Wire> {
    (0..).zip(bodies).map(|(number, body)| Wire::Request(Exchange(number), request(body))).collect()
}

fn upgrade() -> Wire {
    let headers = Headers::new();
    let target = "/genesys/cometd".to_owned();
    Wire::Upgrade(Socket(1), Request { method: "GET".to_owned(), target, headers, body: Vec::new() })
}

fn null(outputs: Vec<Wire>) -> Fixed {
    Fixed { says: |_| Vec::new(), outputs }
}

#[rstest]
#[case::says_nothing(Vec::new())]
#[case::opens_a_socket(vec![upgrade()])]
#[case::shakes_hands_and_goes(posting(&[HANDSHAKE]))]
#[case::shakes_hands_again_and_again(posting(&[HANDSHAKE; 20]))]
#[case::sends_empty_arrays(posting(&["[]"; 5]))]
#[case::sends_nonsense(posting(&["hello", "{}", "[{}]", "null"]))]
fn passes_nothing(#[case] outputs: Vec<Wire>) {
    for case in scenarios() {
        for transport in case.transports {
            let result = judge(case, *transport, null(outputs.clone()), SEED);
            let told =
                matches!(result.verdict, Kind::Inconclusive | Kind::NotApplicable | Kind::Fail | Kind::Deviation);
            assert!(told, "{}: {result:#?}", result.name());
        }
    }
}

/// A right client that falls silent when it has its chat.
struct Mute {
    inner: Client,
    dead: bool,
}

impl Machine for Mute {
    type Timer = protocol::chat::client::Timer;
    type Event = protocol::chat::client::Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        if !self.dead {
            self.inner.handle_input(now, input);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Self::Event>> {
        let output = self.inner.poll_output()?;
        self.dead |= matches!(output, Output::Event(protocol::chat::client::Event::Started));
        Some(output)
    }

    fn deadline(&self) -> Option<(Time, Self::Timer)> {
        if self.dead { None } else { self.inner.deadline() }
    }
}

impl Driven for Mute {
    fn begin(&mut self, now: Time) {
        Driven::begin(&mut self.inner, now);
    }

    fn obey(&mut self, _: Time, _: conformance::clients::Step) {}
}

/// It has shaken hands well enough, and where its chat is never granted it does not fall silent; it passes nothing else.
#[test]
fn a_client_that_falls_silent_passes_no_more_than_its_beginning() {
    let mut passed = Vec::new();
    for case in scenarios() {
        for transport in case.transports {
            let client = Mute { inner: Client::new(config(*transport)), dead: false };
            let result = judge(case, *transport, client, SEED);
            if result.verdict == Kind::Pass {
                passed.push(result.name());
            }
        }
    }
    let beginnings =
        ["client.handshake.well-formed", "client.handshake.retries-after-failure", "client.request.answer-lost"];
    let begins = |name: &String| beginnings.iter().any(|beginning| name.starts_with(beginning));
    assert!(passed.iter().all(begins), "{passed:#?}");
    assert_eq!(passed.len(), 9, "{passed:#?}");
}

/// Nobody is convicted who comes over a transport that a scenario is not about.
#[test]
fn another_transport_is_named_and_not_judged() {
    let case = conformance::cases::case("client.end.closes-its-socket").unwrap();
    let result = judge(case, Transport::WebSocket, Client::new(config(Transport::LongPolling)), SEED);
    assert_eq!(result.verdict, Kind::Inconclusive);
    let reason = result.reason.unwrap();
    assert!(reason.observed.contains("let it use websocket alone"), "{reason:?}");
}
