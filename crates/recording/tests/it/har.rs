//! HAR files in and out. Those of Playwright and mitmproxy in the fixtures were written by them while a client talked to
//! `tapestry serve`, without the header fields that browsers add; those of Chrome and Firefox hold the same conversation in
//! the form of their developer tools.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use protocol::time::Time;
use protocol::wire::{Failure, Side, Wire};
use recording::capture::{Config, Source};
use recording::compare::compare;
use recording::har::{ImportError, Imported, Maker, Traffic, export, import};
use recording::tape::Tape;
use recording::token::Key;
use rstest::rstest;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(root().join("fixtures/har").join(name)).expect("the fixture is there")
}

fn config() -> Config {
    Config {
        version: "0.1.0".to_owned(),
        git: "test".to_owned(),
        start: String::new(),
        id: "0".repeat(32),
        key: Key::from_bytes([1; 32]),
        source: Source::Har(Maker::Other),
        scenario: None,
        seed: None,
        env: BTreeMap::new(),
    }
}

fn nothing_beside(_: &str) -> Option<Vec<u8>> {
    None
}

fn traffic(har: &[u8]) -> Traffic {
    match import(har, None, &mut nothing_beside) {
        Ok(Imported::Traffic(traffic)) => traffic,
        other => panic!("no traffic: {other:?}"),
    }
}

fn tape(har: &[u8]) -> Tape {
    Tape::read(&traffic(har).tape(config(), None).0).expect("a tape")
}

/// A HAR of exchanges that each carry a handshake, changed as wanted.
fn exchanges(change: impl Fn(usize, &mut Value), count: usize) -> Vec<u8> {
    let entries: Vec<Value> = (0..count)
        .map(|number| {
            let mut entry = json!({
                "startedDateTime": format!("2026-11-28T10:00:0{number}.000Z"),
                "time": 25.5,
                "request": {
                    "method": "POST",
                    "url": "https://gms.example/genesys/cometd/handshake",
                    "headers": [],
                    "postData": {"text": r#"[{"channel":"/meta/handshake","id":"1"}]"#},
                },
                "response": {"status": 200, "headers": [], "content": {"text": "[]"}},
            });
            change(number, &mut entry);
            entry
        })
        .collect();
    json!({"log": {"version": "1.2", "creator": {"name": "WebInspector"}, "entries": entries}}).to_string().into_bytes()
}

fn wires(har: &[u8]) -> Vec<(Time, Side, Wire)> {
    traffic(har).entries.into_iter().map(|(_, entry)| (entry.at, entry.from, entry.wire)).collect()
}

#[rstest]
#[case::mitmproxy("mitmproxy-websocket.har", "har:mitmproxy")]
#[case::mitmproxy_over_http("mitmproxy-long-polling.har", "har:mitmproxy")]
#[case::chrome("chrome-websocket.har", "har:chrome")]
#[case::chrome_over_http("chrome-long-polling.har", "har:chrome")]
#[case::firefox_over_http("firefox-long-polling.har", "har:firefox")]
fn whoever_wrote_it_the_conversation_is_the_same(#[case] name: &str, #[case] source: &str) {
    let imported = tape(&fixture(name));
    assert_eq!(imported.header().source, source);
    let differences = compare(&tape(&fixture("playwright-websocket.har")), &imported);
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(imported.records().len() > 30);
}

/// Seconds and milliseconds come to the same moments.
#[test]
fn times_of_frames_are_seconds_or_milliseconds() {
    let at = |name: &str| -> Vec<u64> {
        let frames = wires(&fixture(name)).into_iter().filter(|(.., wire)| matches!(wire, Wire::Text(..)));
        frames.map(|(at, ..)| at.as_micros() / 1_000).collect()
    };
    let (chrome, playwright) = (at("chrome-websocket.har"), at("playwright-websocket.har"));
    assert_eq!((chrome.len(), playwright.len()), (29, 29));
    // The start has only milliseconds in one of them.
    assert!(chrome.iter().zip(&playwright).all(|(one, other)| one.abs_diff(*other) <= 1), "{chrome:?} {playwright:?}");
}

#[test]
fn sockets_without_messages_are_told_apart_from_nothing() {
    let error = import(&fixture("firefox-websocket.har"), None, &mut nothing_beside).unwrap_err();
    assert_eq!(error, ImportError::Nothing { entries: 3, mute: 1 });
    assert!(error.hint().contains("Firefox"), "{}", error.hint());
}

#[test]
fn a_socket_without_messages_beside_a_conversation_is_missed() {
    let har = exchanges(
        |number, entry| {
            if number == 1 {
                entry["_resourceType"] = "websocket".into();
                entry["request"] = json!({"method": "GET", "url": "wss://gms.example/genesys/cometd", "headers": []});
                entry["response"]["status"] = 101.into();
            }
        },
        2,
    );
    let traffic = traffic(&har);
    assert_eq!(traffic.warnings, ["entry 2 is a WebSocket without its messages, which the exporter left out"]);
    let tape = Tape::read(&traffic.tape(config(), None).0).unwrap();
    assert_eq!(tape.marks().len(), 1);
}

fn tapes() -> Vec<(String, Vec<u8>)> {
    let mut tapes = Vec::new();
    for folder in ["recordings", "fixtures/tape/ok"] {
        for file in fs::read_dir(root().join(folder)).expect("the folder is there") {
            let path = file.expect("the folder can be read").path();
            if path.to_string_lossy().ends_with(".tape.jsonl") {
                tapes.push((path.display().to_string(), fs::read(path).expect("the tape is there")));
            }
        }
    }
    assert!(tapes.len() > 5);
    tapes
}

#[test]
fn a_tape_becomes_a_har_and_the_same_tape_again() {
    for (name, bytes) in tapes() {
        let tape = Tape::read(&bytes).unwrap();
        match import(export(&tape, "0.1.0").as_bytes(), None, &mut nothing_beside) {
            Ok(Imported::Original(again)) => {
                assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&tape.to_bytes()), "{name}")
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn without_own_members(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(name, _)| name != "_bx")
                .map(|(name, value)| (name, without_own_members(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_own_members).collect()),
        other => other,
    }
}

#[test]
fn without_our_own_members_the_conversation_is_left() {
    for (name, bytes) in tapes().into_iter().filter(|(name, _)| name.contains("recordings")) {
        let recorded = Tape::read(&bytes).unwrap();
        let har: Value = serde_json::from_str(&export(&recorded, "0.1.0")).unwrap();
        let imported = tape(without_own_members(har).to_string().as_bytes());
        assert_eq!(compare(&recorded, &imported), [], "{name}");
        assert_eq!(imported.header().source, "har:tapestry");
    }
}

/// Whoever lays the file out anew changes nothing; whoever changes a message gets no tape that claims to be the old one.
#[test]
fn a_har_that_was_edited_is_no_tape_any_more() {
    let bytes = fs::read(root().join("recordings/cometd-8.0.11-websocket.tape.jsonl")).unwrap();
    let har = export(&Tape::read(&bytes).unwrap(), "0.1.0");
    let value: Value = serde_json::from_str(&har).unwrap();
    assert!(matches!(import(value.to_string().as_bytes(), None, &mut nothing_beside), Ok(Imported::Original(_))));
    let edited = har.replacen(r#"\"successful\":true"#, r#"\"successful\":false"#, 1);
    assert!(edited != har);
    let traffic = traffic(edited.as_bytes());
    assert_eq!(traffic.warnings, ["the file was changed since it was exported from a tape"]);
}

/// What the developer tools of Chrome read of a WebSocket.
#[test]
fn a_har_has_its_frames_as_chrome_has_them() {
    let bytes = fs::read(root().join("recordings/cometd-8.0.11-websocket.tape.jsonl")).unwrap();
    let har: Value = serde_json::from_str(&export(&Tape::read(&bytes).unwrap(), "0.1.0")).unwrap();
    let entry = &har["log"]["entries"][0];
    assert_eq!(entry["_resourceType"], "websocket");
    assert_eq!(entry["response"]["status"], 101);
    let frame = &entry["_webSocketMessages"][0];
    let members: Vec<&String> = frame.as_object().unwrap().keys().collect();
    assert_eq!(members, ["type", "time", "opcode", "data"]);
    assert_eq!((frame["type"].as_str(), frame["opcode"].as_i64()), (Some("send"), Some(1)));
    assert!(frame["time"].as_f64().is_some_and(|time| (1.7e9..1e10).contains(&time)), "{frame}");
}

#[rstest]
#[case::gone("net::ERR_ABORTED", Side::Client, Failure::Aborted)]
#[case::late("net::ERR_TIMED_OUT", Side::Client, Failure::TimedOut)]
#[case::closed("net::ERR_CONNECTION_REFUSED", Side::Client, Failure::Unreachable)]
#[case::cut("net::ERR_CONNECTION_RESET", Side::Server, Failure::Reset)]
fn an_exchange_without_an_answer_says_why(#[case] says: &str, #[case] by: Side, #[case] failure: Failure) {
    let har = exchanges(|_, entry| entry["response"] = json!({"status": 0, "_error": says}), 1);
    let wires = wires(&har);
    let (at, from, Wire::Broken(_, why)) = &wires[1] else { panic!("{wires:?}") };
    assert_eq!((at.as_micros(), *from, why), (25_500, by, &failure));
}

/// A connect that was held when the file was written is there, and has no answer.
#[test]
fn an_exchange_that_is_not_over_stays_open() {
    let har = exchanges(|_, entry| entry["response"] = json!({"status": -1}), 1);
    assert!(matches!(wires(&har)[..], [(_, Side::Client, Wire::Request(..))]));
}

#[test]
fn what_has_the_same_time_stands_in_the_order_of_the_file() {
    let har = exchanges(
        |number, entry| {
            entry["startedDateTime"] = "2026-11-28T10:00:00.000Z".into();
            entry["request"]["postData"]["text"] =
                format!(r#"[{{"channel":"/meta/handshake","id":"{number}"}}]"#).into();
        },
        5,
    );
    let ids: Vec<String> = wires(&har)
        .iter()
        .filter_map(|(.., wire)| match wire {
            Wire::Request(_, request) => Some(String::from_utf8_lossy(&request.body).into_owned()),
            _ => None,
        })
        .collect();
    assert!(ids.is_sorted() && ids.len() == 5, "{ids:?}");
}

#[test]
fn contents_are_text_base64_or_a_file_beside() {
    let bodies = |entry: fn(&mut Value)| {
        let har = exchanges(|_, it| entry(it), 1);
        let mut beside = |name: &str| (name == "a.json").then(|| b"[ ]".to_vec());
        match import(&har, None, &mut beside) {
            Ok(Imported::Traffic(traffic)) => match &traffic.entries[1].1.wire {
                Wire::Response(_, response) => (response.body.clone(), traffic.warnings),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let encoded = bodies(|entry| entry["response"]["content"] = json!({"text": "W10=", "encoding": "base64"}));
    assert_eq!(encoded, (b"[]".to_vec(), Vec::new()));
    let beside = bodies(|entry| entry["response"]["content"] = json!({"_file": "a.json"}));
    assert_eq!(beside, (b"[ ]".to_vec(), Vec::new()));
    let (_, warnings) = bodies(|entry| entry["response"]["content"] = json!({"_file": "b.json"}));
    assert_eq!(warnings, ["entry 1 has its contents in a file that is not there"]);
    let (_, warnings) = bodies(|entry| entry["response"]["content"] = json!({"size": 40}));
    assert_eq!(warnings, ["entry 1 lacks the contents of its response"]);
}

#[test]
fn of_several_servers_one_is_chosen() {
    let har = exchanges(
        |number, entry| {
            if number == 1 {
                entry["request"]["url"] = "https://other.example:8443/genesys/cometd/handshake".into();
            }
        },
        3,
    );
    let origins = vec!["https://gms.example".to_owned(), "https://other.example:8443".to_owned()];
    let chosen = |origin: Option<&str>| import(&har, origin, &mut nothing_beside);
    assert_eq!(chosen(None).unwrap_err(), ImportError::Origins { origins: origins.clone() });
    let Ok(Imported::Traffic(traffic)) = chosen(Some("https://gms.example/genesys/cometd")) else { panic!() };
    assert_eq!((traffic.entries.len(), traffic.left_out), (4, 1));
    let nowhere = ImportError::NoSuchOrigin { origin: "https://nowhere.example".to_owned(), origins };
    assert_eq!(chosen(Some("https://nowhere.example")).unwrap_err(), nowhere);
}

#[rstest]
#[case::zip(b"PK\x03\x04rest".as_slice(), "it is a ZIP archive")]
#[case::json(b"{\"log\":".as_slice(), "it is not JSON: EOF while parsing a value at line 1 column 7")]
#[case::other(b"[1,2]".as_slice(), "it is JSON and no HAR")]
#[case::no_entries(b"{\"log\":{}}".as_slice(), "it is JSON and no HAR")]
#[case::tape(b"{\"k\":\"hdr\"}\n{\"k\":\"end\"}".as_slice(), "it is not JSON: trailing characters at line 2 column 1")]
fn what_is_no_har_is_refused(#[case] bytes: &[u8], #[case] says: &str) {
    assert_eq!(import(bytes, None, &mut nothing_beside).unwrap_err().to_string(), says);
}

#[test]
fn an_entry_that_cannot_be_read_is_left_out_with_a_warning() {
    let har = exchanges(
        |number, entry| {
            if number == 0 {
                entry["request"]["method"] = Value::Null;
            }
        },
        2,
    );
    let traffic = traffic(&har);
    assert_eq!(traffic.warnings, ["entry 1 lacks a member or has a wrong one, and is left out"]);
    assert_eq!(traffic.entries.len(), 2);
}

/// Redaction is that of every tape; that it is applied is what is tested here.
#[test]
fn no_secret_of_a_har_reaches_the_tape() {
    let har = exchanges(
        |_, entry| {
            entry["request"]["url"] = "https://gms-node-7.corp.example/genesys/cometd/handshake".into();
            let fields = json!([
                {"name": "Cookie", "value": "BAYEUX_BROWSER=canarycookie12345"},
                {"name": "Authorization", "value": "Basic canaryauth12345"},
            ]);
            entry["request"]["headers"] = fields;
            let body = r#"[{"channel":"/service/chatV2/x","clientId":"canaryclient12345","data":{"secureKey":"canarykey12345"}}]"#;
            entry["request"]["postData"]["text"] = body.into();
        },
        1,
    );
    let text = String::from_utf8(traffic(&har).tape(config(), None).0).unwrap();
    assert!(!text.contains("canary") && !text.contains("corp.example"), "{text}");
}
