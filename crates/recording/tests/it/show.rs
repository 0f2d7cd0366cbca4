//! What people see of a tape: each message, the head, the numbers.

use pretty_assertions::assert_eq;
use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Headers, Response, Side, Socket, Transport, Wire};
use recording::capture::Capture;
use recording::redaction::Keep;
use recording::show::show;
use recording::stats::{Stats, head};
use recording::tape::Tape;
use serde_json::{Value, json};

use crate::sample::{Run, chat, config, odd, pieces, tape};

const LP: Run = Run::new(Transport::LongPolling);
const WS: Run = Run::new(Transport::WebSocket);

#[test]
fn each_message_is_shown_with_time_connection_and_session() {
    insta::assert_snapshot!(show(&tape(WS, &chat(WS)), 100));
}

#[test]
fn every_kind_of_record_is_shown() {
    insta::assert_snapshot!(show(&tape(LP, &odd(0)), 100));
}

#[test]
fn a_message_that_reading_would_change_is_shown_as_it_stands() {
    let shown = show(&tape(LP, &odd(0)), 40);
    assert!(shown.contains(r#"{"channel":"/a","data":{"a":1,"a":2.50,"b":70707"#), "{shown}");
}

/// A tape that keeps everything may hold what a terminal would obey.
#[test]
fn nothing_that_is_shown_moves_a_terminal() {
    let (mut capture, mut bytes) = Capture::keeping(config(LP), Keep::Everything);
    let response = Response { status: 500, headers: Headers::new(), body: b"\x1b[2J\xc2\x9b2J bell \x07".to_vec() };
    let wires = [
        Wire::Response(Exchange(1), response),
        Wire::Close(Socket(1), Close { code: 1000, reason: "\u{1b}[2J".to_owned() }),
        Wire::Text(Socket(1), "[{\"channel\":\"/\u{9b}2J\"}]".to_owned()),
    ];
    for wire in wires {
        bytes.extend(capture.entry(None, &Entry { at: Time::ZERO, from: Side::Server, wire }));
    }
    let tape = Tape::read(&bytes).unwrap();
    for text in [show(&tape, 100), head(&tape), Stats::of(&tape).text()] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn the_end_of_an_interrupted_tape_is_told() {
    let mut bytes = pieces(WS, &chat(WS), None).concat();
    bytes.extend(b"{\"k\":\"ma");
    let shown = show(&Tape::read(&bytes).unwrap(), 100);
    assert!(shown.ends_with("the tape is interrupted, 8 bytes of its end cut off\n"), "{shown}");
}

#[test]
fn the_head_tells_what_the_tape_is_and_how_it_ends() {
    insta::assert_snapshot!(head(&tape(LP, &chat(LP))));
}

#[test]
fn the_numbers_are_those_of_the_traffic() {
    let entries = chat(LP);
    let stats = Stats::of(&tape(LP, &entries));
    insta::assert_snapshot!(stats.text());
    let value = stats.json();
    assert_eq!(
        (value["connections"][0]["exchanges"].as_u64(), value["sessions"][0]["session"].as_u64()),
        (Some(8), Some(1))
    );
    let sum = |direction: &str| -> u64 {
        let channels = value["channels"].as_array().unwrap();
        channels.iter().filter_map(|channel| channel["messages"][direction].as_u64()).sum()
    };
    assert_eq!(json!({"sent": sum("sent"), "received": sum("received")}), value["sessions"][0]["messages"]);
}

/// An old tape does not tell sizes, and is not given any.
#[test]
fn what_a_tape_does_not_tell_is_not_counted() {
    let text = String::from_utf8(pieces(LP, &chat(LP), None).concat()).unwrap();
    let untold: String = text
        .lines()
        .map(|line| line.split(",\"bytes\":").next().unwrap().trim_end_matches('}').to_owned() + "\n")
        .collect();
    // Only lines of units had that member, as their last one.
    let lines: Vec<String> = text
        .lines()
        .zip(untold.lines())
        .map(|(told, untold)| if told.contains(",\"bytes\":") { format!("{untold}}}\n") } else { format!("{told}\n") })
        .collect();
    let stats = Stats::of(&Tape::read(lines.concat().as_bytes()).unwrap());
    assert_eq!(stats.json()["connections"][0]["bytes"], Value::Null);
}
