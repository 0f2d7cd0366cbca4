//! HAR files under mutation, and tapes of everything that may be on one: no input makes the importer panic, and a tape comes
//! back from its HAR whatever it holds.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Failure, Headers, Request, Response, Side, Socket, Transport, Wire};
use recording::capture::Capture;
use recording::har::{Imported, export, import};
use recording::redaction::Keep;
use recording::tape::{Closer, ConnLabel, Finish, Tape};
use serde_json::{Value, json};

use crate::har::{fixture, nothing_beside};
use crate::sample::{Run, config};

const RUN: Run = Run::new(Transport::WebSocket);

/// A line of a tape, or a unit.
#[derive(Clone, Debug)]
enum Step {
    Wire(Wire),
    Open,
    Close(bool),
    Synthetic,
    Mark(String),
    Call,
    Timer(bool),
    Rand(u64),
    Fault,
    Clock(i64),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("[]".to_owned()),
        Just(r#"[{"channel":"/meta/connect","id":"1"},{"channel":"/a","data":{"a":1,"a":2.50}}]"#.to_owned()),
        Just(r#"{ "channel" : "/meta/handshake", "ext": 1e400 }"#.to_owned()),
        Just(r#"f([{"channel":"/meta/connect"}])"#.to_owned()),
        ".{0,20}",
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text().prop_map(String::into_bytes), vec(any::<u8>(), 0..12)]
}

fn headers() -> impl Strategy<Value = Headers> {
    let field = ("[A-Za-z-]{1,8}", ".{0,8}");
    vec(field, 0..3).prop_map(Headers)
}

fn failure() -> impl Strategy<Value = Failure> {
    proptest::sample::select(vec![
        Failure::Unreachable,
        Failure::Reset,
        Failure::TimedOut,
        Failure::Aborted,
        Failure::TooLarge,
        Failure::Protocol,
    ])
}

/// Few links, so that exchanges and sockets have several of everything, in any order.
fn wire() -> impl Strategy<Value = Wire> {
    let exchange = || (0..3_u64).prop_map(Exchange);
    let socket = || (0..2_u64).prop_map(Socket);
    let request = || {
        let target =
            prop_oneof![Just("/genesys/cometd".to_owned()), Just("/c?message=[]&jsonp=f".to_owned()), "/.{0,6}"];
        let method = proptest::sample::select(vec!["GET", "POST", "OPTIONS"]).prop_map(str::to_owned);
        (method, target, headers(), bytes()).prop_map(|(method, target, headers, body)| Request {
            method,
            target,
            headers,
            body,
        })
    };
    let response =
        || (any::<u16>(), headers(), bytes()).prop_map(|(status, headers, body)| Response { status, headers, body });
    prop_oneof![
        (exchange(), request()).prop_map(|(link, request)| Wire::Request(link, request)),
        (exchange(), response()).prop_map(|(link, response)| Wire::Response(link, response)),
        (exchange(), failure()).prop_map(|(link, failure)| Wire::Broken(link, failure)),
        (socket(), request()).prop_map(|(link, request)| Wire::Upgrade(link, request)),
        (socket(), headers()).prop_map(|(link, headers)| Wire::Upgraded(link, headers)),
        (socket(), response()).prop_map(|(link, response)| Wire::Refused(link, response)),
        (socket(), text()).prop_map(|(link, text)| Wire::Text(link, text)),
        (socket(), bytes()).prop_map(|(link, bytes)| Wire::Binary(link, bytes)),
        (socket(), bytes()).prop_map(|(link, bytes)| Wire::Ping(link, bytes)),
        (socket(), bytes()).prop_map(|(link, bytes)| Wire::Pong(link, bytes)),
        (socket(), any::<u16>(), ".{0,6}").prop_map(|(link, code, reason)| Wire::Close(link, Close { code, reason })),
        (socket(), failure()).prop_map(|(link, failure)| Wire::Lost(link, failure)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => wire().prop_map(Step::Wire),
        1 => Just(Step::Open),
        1 => any::<bool>().prop_map(Step::Close),
        1 => Just(Step::Synthetic),
        1 => ".{0,10}".prop_map(Step::Mark),
        1 => Just(Step::Call),
        1 => any::<bool>().prop_map(Step::Timer),
        1 => any::<u64>().prop_map(Step::Rand),
        1 => Just(Step::Fault),
        1 => any::<i64>().prop_map(Step::Clock),
    ]
}

/// A tape of all these steps, whole or without its end.
fn tape(steps: &[(Step, bool)], keep: Keep, end: Option<Finish>) -> Vec<u8> {
    let (mut capture, mut bytes) = Capture::keeping(config(RUN), keep);
    let mut at = Time::ZERO;
    for (number, (step, is_client)) in (0_u64..).zip(steps) {
        at = Time::from_micros(number / 2 * 7);
        let conn = ConnLabel(number % 3);
        let from = if *is_client { Side::Client } else { Side::Server };
        bytes.extend(match step {
            Step::Wire(wire) => {
                capture.entry(Some(conn).filter(|_| number % 4 > 0), &Entry { at, from, wire: wire.clone() })
            }
            Step::Open => capture.conn_open(at, conn, "http/1.1", "gms.example:8080", *is_client),
            Step::Close(cut) => capture.conn_close(at, conn, Closer::Server, cut.then_some(Failure::Reset)),
            Step::Synthetic => capture.synthetic_conn_close(at, conn),
            Step::Mark(label) => capture.mark(at, label),
            Step::Call => capture.call(at, "sendMessage", r#"{"message":"words"}"#),
            Step::Timer(due) => capture.timer(at, "retry", due.then_some(at)),
            Step::Rand(value) => capture.rand(at, "jitter", *value),
            Step::Fault => {
                capture.fault(at, "reset", "e2", &BTreeMap::from([("after".to_owned(), "3 bytes".to_owned())]))
            }
            Step::Clock(step) => capture.clock(at, "2026-11-23T09:00:01Z", *step),
        });
    }
    bytes.extend(end.map(|end| capture.finish(at, end)).unwrap_or_default());
    bytes
}

/// Whatever comes of a file: nothing, or a tape that can be read.
fn outcome(har: &[u8]) -> Result<(), TestCaseError> {
    match import(har, None, &mut nothing_beside) {
        Ok(Imported::Traffic(traffic)) => {
            let read = Tape::read(&traffic.tape(config(RUN), None));
            prop_assert!(read.is_ok(), "{:?}", read.err());
        }
        Ok(Imported::Original { .. }) => {}
        Err(error) => prop_assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
    Ok(())
}

/// Puts something else in the place of the node with this number, counted in depth.
fn replace(value: &mut Value, number: &mut usize, by: &Value) -> bool {
    if *number == 0 {
        *value = by.clone();
        return true;
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, number, by)),
        Value::Object(members) => members.values_mut().any(|member| replace(member, number, by)),
        _ => false,
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}

fn other() -> impl Strategy<Value = Value> {
    proptest::sample::select(vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e308),
        json!(""),
        json!("2"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"name": 1}),
        json!("ws://[::1]:x/?#"),
        json!("-009999-01-02T01:59:59Z"),
    ])
}

/// The shortest of each kind.
const FIXTURES: [&str; 3] = ["chrome-websocket.har", "firefox-websocket.har", "playwright-websocket.har"];

proptest! {
    #[test]
    fn any_tape_comes_back_from_its_har(
        steps in vec((step(), any::<bool>()), 0..40),
        keep in proptest::sample::select(vec![Keep::Nothing, Keep::Texts, Keep::Everything]),
        end in proptest::sample::select(vec![None, Some(Finish::Complete), Some(Finish::Aborted)]),
    ) {
        let bytes = tape(&steps, keep, end);
        let read = Tape::read(&bytes).expect("what the writer writes is a tape");
        match import(export(&read, "0.1.0").as_bytes(), None, &mut nothing_beside) {
            Ok(Imported::Original { bytes: again, .. }) => {
                prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&bytes));
            }
            other => prop_assert!(false, "{:?}", other.map(|_| "traffic")),
        }
    }

    #[test]
    fn no_change_of_a_member_makes_the_importer_panic(
        name in proptest::sample::select(FIXTURES.to_vec()),
        changes in vec((any::<proptest::sample::Index>(), other()), 1..4),
    ) {
        let mut har: Value = serde_json::from_slice(&fixture(name)).expect("a fixture is JSON");
        for (place, by) in &changes {
            let mut number = place.index(nodes(&har));
            prop_assert!(replace(&mut har, &mut number, by));
        }
        outcome(har.to_string().as_bytes())?;
    }

    #[test]
    fn no_change_of_our_own_members_makes_the_importer_panic(
        change in any::<proptest::sample::Index>(),
        by in other(),
        steps in vec((step(), any::<bool>()), 1..8),
    ) {
        let read = Tape::read(&tape(&steps, Keep::Nothing, Some(Finish::Complete))).expect("a tape");
        let mut har: Value = serde_json::from_str(&export(&read, "0.1.0")).expect("a HAR is JSON");
        let mut number = change.index(nodes(&har));
        prop_assert!(replace(&mut har, &mut number, &by));
        outcome(har.to_string().as_bytes())?;
    }

    #[test]
    fn no_change_of_bytes_makes_the_importer_panic(
        name in proptest::sample::select([FIXTURES.as_slice(), &["playwright-websocket.zip"]].concat()),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        end in any::<proptest::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = fixture(name);
        for (place, by) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *by;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        outcome(&bytes)?;
    }
}
