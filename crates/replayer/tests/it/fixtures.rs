//! Chats of the official client in real browsers, as HAR files have them: they replay, and what is planted in them is noticed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;
use protocol::bayeux::batch::Batch;
use protocol::wire::{Entry, Side, Wire};
use recording::capture::{Config, Source};
use recording::har::{Imported, Maker, import};
use recording::tape::{Finish, Tape};
use recording::token::Key;
use replayer::{Replay, replay};
use rstest::rstest;
use serde_json::{Value, json};

use crate::runs;
use crate::tamper::{asks, brings, change, diverges, kinds};

const LET_IN: &str = "the client waits for the answer to its connect, as the one on the tape does not";

/// Over HTTP a browser sends the first operation before the first connect.
const OVER_HTTP: [&str; 5] = [
    "chrome-long-polling",
    "firefox-long-polling",
    "playwright-long-polling",
    "chrome-callback-polling",
    "playwright-callback-polling",
];

pub(crate) fn tape(name: &str) -> Tape {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/har").join(name).with_extension("har");
    let har = fs::read(path).expect("the fixture is there");
    let Ok(Imported::Traffic(traffic)) = import(&har, None, &mut |_| None) else { panic!("no traffic in {name}") };
    let config = Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: String::new(),
        id: "0".repeat(32),
        key: Key::from_bytes([1; 32]),
        source: Source::Har(Maker::Other),
        scenario: None,
        seed: None,
        env: BTreeMap::new(),
    };
    Tape::read(&traffic.tape(config, None)).expect("a written tape is readable")
}

/// Replays with each message of one side made into any number of messages.
fn changed(name: &str, side: Side, edit: impl FnMut(Value) -> Vec<Value>) -> Replay {
    replay(&change(tape(name).entries(), side, edit))
}

/// The same for the messages at which `wanted` says so, of which there must be some.
fn changed_where(
    name: &str,
    side: Side,
    wanted: impl Fn(&Value) -> bool,
    edit: impl Fn(Value) -> Vec<Value>,
) -> Replay {
    let mut seen = 0;
    let replay = changed(name, side, |message| {
        if !wanted(&message) {
            return vec![message];
        }
        seen += 1;
        edit(message)
    });
    assert!(seen > 0, "{name} has no such message");
    replay
}

fn notes(replay: &Replay) -> Vec<&str> {
    let notes = replay.notes.iter().filter(|note| note.client > 0);
    notes.map(|note| note.text.as_str()).collect()
}

#[rstest]
#[case("chrome-websocket", &[])]
#[case("chrome-long-polling", &[LET_IN])]
#[case("chrome-callback-polling", &[LET_IN])]
#[case("firefox-long-polling", &[LET_IN])]
#[case("playwright-websocket", &[])]
#[case("playwright-long-polling", &[LET_IN])]
#[case("playwright-callback-polling", &[LET_IN])]
#[case("mitmproxy-websocket", &[])]
#[case("mitmproxy-long-polling", &[])]
fn a_chat_in_a_browser_replays(#[case] name: &str, #[case] noted: &[&str]) {
    let replay = replay(&tape(name));
    assert_eq!(replay.divergences, [], "{}", replay.text(160));
    assert_eq!(notes(&replay), noted);
    let statistics = &replay.statistics;
    assert_eq!((statistics.messages, statistics.events, replay.exit_code()), (7, 11, 0), "{}", replay.text(160));
}

/// Nothing of the tape makes the client wait: all comes at its recorded time, to the last word of the client.
#[test]
fn a_chat_in_a_browser_takes_as_long_as_on_the_tape() {
    for name in OVER_HTTP {
        let tape = tape(name);
        let entries = tape.entries();
        let (first, last) = (entries.first().expect("the first").at, entries.last().expect("the last").at);
        let says = |entry: &&Entry| entry.from == Side::Client && !Batch::carried(&entry.wire).is_empty();
        let said = entries.iter().rfind(says).expect("the client's last").at;
        let took = replay(&tape).statistics.time;
        assert!((said - first..=last - first).contains(&took), "{name}: {took:?} for {:?}", last - first);
    }
}

#[test]
fn a_lost_event_is_noticed() {
    for name in OVER_HTTP {
        for index in [1, 3, 5] {
            let replay = changed_where(name, Side::Server, brings(index), |_| Vec::new());
            diverges(&replay, "unexpected requestNotifications");
        }
    }
}

#[test]
fn a_lost_message_of_the_client_is_noticed() {
    for name in OVER_HTTP {
        let mut said = 0;
        let replay = changed(name, Side::Client, |message| {
            said += usize::from(asks("sendMessage")(&message));
            if asks("sendMessage")(&message) && said == 2 { Vec::new() } else { vec![message] }
        });
        diverges(&replay, "never-said 7");
    }
}

#[test]
fn an_index_used_for_two_events_is_noticed() {
    for name in OVER_HTTP {
        let replay = changed_where(name, Side::Server, brings(6), |message| {
            let mut other = message.clone();
            other["data"]["messages"][0]["text"] = json!("txt_0123456789~len=5~u8=5");
            vec![message, other]
        });
        diverges(&replay, "not-shown 6");
    }
}

#[test]
fn echoes_in_another_order_are_noticed() {
    for name in OVER_HTTP {
        let text = |tape: &Tape, index: u64| {
            let mut found = None;
            change(tape.entries(), Side::Server, |message| {
                if brings(index)(&message) {
                    found = Some(message["data"]["messages"][0]["text"].clone());
                }
                vec![message]
            });
            found.expect("the event is there")
        };
        let tape = tape(name);
        let (five, seven) = (text(&tape, 5), text(&tape, 7));
        let replay = changed(name, Side::Server, |mut message| {
            for (index, other) in [(5, &seven), (7, &five)] {
                if brings(index)(&message) {
                    message["data"]["messages"][0]["text"] = other.clone();
                }
            }
            vec![message]
        });
        diverges(&replay, "unexpected requestNotifications");
    }
}

/// The connect that the client would be let in with is refused: it has to do something about it.
#[test]
fn a_refused_first_connect_is_not_passed_over() {
    for name in OVER_HTTP {
        let mut connects = 0;
        let replay = changed(name, Side::Server, |mut message| {
            if message["channel"] == "/meta/connect" {
                connects += 1;
                if connects == 1 {
                    message["successful"] = json!(false);
                    message["error"] = json!("402::Unknown client");
                    message["advice"] = json!({"reconnect": "handshake", "interval": 0});
                }
            }
            vec![message]
        });
        assert_eq!(kinds(&replay)[0], "not-sent requestChat", "{}", replay.text(160));
        assert_eq!(replay.exit_code(), 1);
    }
}

/// The client takes nothing from it, as the one on the tape: it is no answer.
#[test]
fn what_calls_no_function_is_lost_on_the_client() {
    let mut entries = tape("chrome-callback-polling").entries();
    let asked = entries.iter().find_map(|entry| match &entry.wire {
        Wire::Request(exchange, request) if request.target.contains("sendMessage") => Some(*exchange),
        _ => None,
    });
    for entry in &mut entries {
        if let Wire::Response(exchange, response) = &mut entry.wire
            && Some(*exchange) == asked
        {
            response.body = protocol::bayeux::http::callback_argument(&response.body).to_vec();
        }
    }
    let replay = replay(&runs::tape(1, &entries, Some(Finish::Complete)));
    let asks = "after a loss the client asks for the transcript, as the one on the tape does not";
    assert_eq!(notes(&replay), [LET_IN, asks], "{}", replay.text(160));
}
