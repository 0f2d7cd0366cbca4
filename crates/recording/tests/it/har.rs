//! HAR files in and out. Those in the fixtures were written by the programs that they are named after while a client talked to
//! `tapestry serve`: the ones of Chrome and Firefox by the developer tools of Chromium 156 and Firefox 153, the ones of Playwright
//! from the same chats as those of Chrome. What the page loads besides, and the stacks of `_initiator`, are left out of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use protocol::bayeux::batch::Batch;
use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Side, Wire};
use recording::audit::audit;
use recording::capture::{Capture, Config, Source};
use recording::compare::compare;
use recording::har::{ImportError, Imported, LeftOut, Maker, Traffic, export, import};
use recording::stats::Stats;
use recording::tape::{Closer, Kind, Tape};
use recording::token::Key;
use rstest::rstest;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    fs::read(root().join("fixtures/har").join(name)).expect("the fixture is there")
}

fn config() -> Config {
    Config {
        version: "0.1.0".to_owned(),
        git: "0123abc".to_owned(),
        start: String::new(),
        id: "0".repeat(32),
        key: Key::from_bytes([1; 32]),
        source: Source::Har(Maker::Other),
        scenario: None,
        seed: None,
        env: BTreeMap::new(),
    }
}

pub(crate) fn nothing_beside(_: &str) -> Option<Vec<u8>> {
    None
}

fn traffic(har: &[u8]) -> Traffic {
    match import(har, None, &mut nothing_beside) {
        Ok(Imported::Traffic(traffic)) => traffic,
        other => panic!("no traffic: {other:?}"),
    }
}

pub(crate) fn tape(har: &[u8]) -> Tape {
    Tape::read(&traffic(har).tape(config(), None)).expect("a tape")
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
#[case::chrome_over_callbacks("chrome-callback-polling.har", "har:chrome")]
#[case::firefox_over_http("firefox-long-polling.har", "har:firefox")]
#[case::playwright_over_http("playwright-long-polling.har", "har:playwright")]
#[case::playwright_over_callbacks("playwright-callback-polling.har", "har:playwright")]
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
    assert_eq!(error, ImportError::Nothing { entries: 3, mute: 1, warnings: Vec::new() });
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
    let tape = Tape::read(&traffic.tape(config(), None)).unwrap();
    let labels: Vec<String> = tape.marks().into_iter().map(|mark| mark.label).collect();
    assert_eq!(labels, ["import: entry 2 is a WebSocket without its messages which the exporter left out"]);
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
            Ok(Imported::Original { bytes: again, .. }) => {
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
    assert!(matches!(import(value.to_string().as_bytes(), None, &mut nothing_beside), Ok(Imported::Original { .. })));
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

/// A connect that is held, and what the session does then.
fn unanswered(then: &str) -> (Vec<Wire>, Vec<String>) {
    let har = exchanges(
        |number, entry| {
            let message = [r#"[{"channel":"/meta/connect","id":"2","clientId":"a"}]"#, then][number];
            entry["request"]["postData"]["text"] = message.into();
            if number == 0 {
                entry["response"] = json!({"status": 0, "headers": [], "content": {"size": 0}});
            }
        },
        2,
    );
    (wires(&har).into_iter().map(|(.., wire)| wire).collect(), traffic(&har).warnings)
}

#[test]
fn an_answer_is_missing_where_the_client_went_on_without_it() {
    let (wires, warnings) = unanswered(r#"[{"channel":"/meta/connect","id":"3","clientId":"a"}]"#);
    assert_eq!(warnings, ["entry 1 lacks its answer"]);
    assert!(wires.iter().any(|wire| matches!(wire, Wire::Broken(_, Failure::Aborted))), "{wires:?}");
}

#[rstest]
#[case::something_else(r#"[{"channel":"/service/a","id":"3","clientId":"a","data":{}}]"#)]
#[case::of_another(r#"[{"channel":"/meta/connect","id":"3","clientId":"b"}]"#)]
fn a_connect_is_held_while_other_things_happen(#[case] then: &str) {
    let (wires, warnings) = unanswered(then);
    assert_eq!((wires.len(), warnings.len()), (3, 0), "{wires:?} {warnings:?}");
}

/// What the file says itself about an answer is no riddle.
#[rstest]
#[case::cut("_error", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", 0, Side::Server, Failure::Reset)]
#[case::given_up("_failureText", "net::ERR_ABORTED", -1, Side::Client, Failure::Aborted)]
fn an_answer_that_failed_behind_its_head_says_why(
    #[case] member: &str,
    #[case] says: &str,
    #[case] size: i64,
    #[case] by: Side,
    #[case] failure: Failure,
) {
    let har =
        exchanges(|_, entry| entry["response"] = json!({"status": 200, member: says, "content": {"size": size}}), 1);
    assert_eq!(traffic(&har).warnings, [""; 0]);
    let (_, from, wire) = wires(&har).remove(1);
    assert_eq!((from, wire), (by, Wire::Broken(wire_exchange(&har), failure)));
}

fn wire_exchange(har: &[u8]) -> Exchange {
    wires(har)[0].2.exchange().expect("an exchange")
}

#[test]
fn a_refusal_without_its_contents_is_a_refusal() {
    let har = exchanges(|_, entry| entry["response"] = json!({"status": 503, "content": {"size": -1}}), 1);
    assert_eq!(traffic(&har).warnings, [""; 0]);
    assert!(matches!(&wires(&har)[1].2, Wire::Response(_, response) if response.status == 503));
}

#[test]
fn what_can_carry_no_message_lacks_nothing() {
    let har = exchanges(
        |number, entry| {
            if number == 1 {
                entry["request"] =
                    json!({"method": "GET", "url": "https://gms.example/genesys/cometd/handshake/a.png"});
                entry["response"]["content"] = json!({"size": 1234, "mimeType": "image/png"});
            }
        },
        2,
    );
    assert_eq!((traffic(&har).warnings.len(), traffic(&har).taken), (0, 2));
}

#[rstest]
#[case::half(json!({"text": r#"[{"channel":"/meta/hand"#}), "https://gms.example/genesys/cometd/handshake", "holds a part of")]
#[case::of_a_form(json!(null), "https://gms.example/genesys/2/chat-ntf", "lacks")]
fn what_was_posted_is_held_against_its_length(#[case] post: Value, #[case] url: &str, #[case] says: &str) {
    let har = exchanges(
        |number, entry| {
            if number == 1 {
                entry["request"]["url"] = url.into();
                entry["request"]["postData"] = post.clone();
                entry["request"]["headers"] = json!([{"name": "Content-Length", "value": "40"}]);
            }
        },
        2,
    );
    assert_eq!(traffic(&har).warnings, [format!("entry 2 {says} the contents of its request")]);
}

#[test]
fn a_file_beside_is_held_against_the_size() {
    let har = exchanges(|_, entry| entry["response"]["content"] = json!({"_file": "a.json", "size": 9}), 1);
    let Ok(Imported::Traffic(traffic)) = import(&har, None, &mut |_| Some(b"[{".to_vec())) else { panic!() };
    assert_eq!(traffic.warnings, ["entry 1 holds a part of the contents of its response"]);
}

/// Over HTTP/2 an upgrade is answered with 200 (RFC 8441, 5).
#[test]
fn messages_prove_a_socket_whatever_its_status_is() {
    let mut har: Value = serde_json::from_slice(&fixture("chrome-websocket.har")).unwrap();
    for entry in har["log"]["entries"].as_array_mut().unwrap() {
        if entry["_webSocketMessages"].is_array() {
            entry["response"]["status"] = 200.into();
        }
    }
    let over_two = traffic(har.to_string().as_bytes());
    assert_eq!(over_two.entries, traffic(&fixture("chrome-websocket.har")).entries);
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
    const WHOLE: &str = r#"[{"channel":"/meta/connect"}]"#;
    let bodies = |entry: fn(&mut Value)| {
        let har = exchanges(|_, it| entry(it), 1);
        let mut beside = |name: &str| (name == "a.json").then(|| b"[ ]".to_vec());
        match import(&har, None, &mut beside) {
            Ok(Imported::Traffic(traffic)) => match &traffic.entries[1].1.wire {
                Wire::Response(_, response) => (Some(response.body.clone()), traffic.warnings),
                // That the answer was empty would be a lie.
                Wire::Broken(_, Failure::Aborted) => (None, traffic.warnings),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let encoded = bodies(|entry| entry["response"]["content"] = json!({"text": "W10=", "encoding": "base64"}));
    assert_eq!(encoded, (Some(b"[]".to_vec()), Vec::new()));
    let in_lines = bodies(|entry| entry["response"]["content"] = json!({"text": "W1\r\n0=", "encoding": "base64"}));
    assert_eq!(in_lines, encoded);
    let beside = bodies(|entry| entry["response"]["content"] = json!({"_file": "a.json"}));
    assert_eq!(beside, (Some(b"[ ]".to_vec()), Vec::new()));
    let (body, warnings) = bodies(|entry| entry["response"]["content"] = json!({"_file": "b.json"}));
    assert_eq!(
        (body, warnings.as_slice()),
        (None, &["entry 1 has its contents in a file that is not there".to_owned()][..])
    );
    let (body, warnings) = bodies(|entry| entry["response"]["content"] = json!({"size": 40}));
    assert_eq!((body, warnings.as_slice()), (None, &["entry 1 lacks the contents of its response".to_owned()][..]));
    let (body, _) = bodies(|entry| entry["response"]["content"] = json!({"text": "[{\"chan", "size": 40}));
    assert_eq!(body, None);
    let (body, _) = bodies(|entry| entry["response"]["content"] = json!({"text": WHOLE, "size": 40}));
    assert_eq!(body.as_deref(), Some(WHOLE.as_bytes()));
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
    assert_eq!((traffic.entries.len(), traffic.left_out.elsewhere), (4, 1));
    let nowhere = ImportError::NoSuchOrigin { origin: "https://nowhere.example".to_owned(), origins };
    assert_eq!(chosen(Some("https://nowhere.example")).unwrap_err(), nowhere);
}

#[rstest]
#[case::zip(b"PK\x03\x04rest".as_slice(), "it is a ZIP archive, but it is cut off or damaged")]
#[case::json(b"{\"log\":".as_slice(), "it is not JSON: EOF while parsing a value at line 1 column 7")]
#[case::utf_16(b"\xff\xfe{\0}\0".as_slice(), "it is UTF-16, and a HAR is UTF-8")]
#[case::utf_16_without_a_mark(b"\0{\0}".as_slice(), "it is UTF-16, and a HAR is UTF-8")]
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

#[test]
fn where_nothing_is_left_it_is_told_what_could_not_be_read() {
    let har = exchanges(|_, entry| entry["startedDateTime"] = "yesterday".into(), 2);
    let error = import(&har, None, &mut nothing_beside).unwrap_err();
    let says = |number| format!("entry {number} lacks a member or has a wrong one, and is left out");
    assert_eq!(error.warnings(), [says(1), says(2)]);
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
    let text = String::from_utf8(traffic(&har).tape(config(), None)).unwrap();
    assert!(!text.contains("canary") && !text.contains("corp.example"), "{text}");
}

/// The same as over long-polling: what the query asks and what the function is called with.
#[test]
fn a_call_gives_its_messages() {
    let messages = |name: &str| traffic(&fixture(name)).messages();
    assert_eq!(messages("chrome-callback-polling.har"), messages("playwright-callback-polling.har"));
    assert!(messages("chrome-callback-polling.har") > 40);
}

#[test]
fn what_is_left_out_is_counted_by_its_reason() {
    let har = exchanges(
        |number, entry| match number {
            1 => entry["request"]["url"] = "blob:https://gms.example/1".into(),
            2 => entry["request"] = json!({"method": "GET", "url": "https://gms.example/page", "headers": []}),
            3 => entry["startedDateTime"] = "yesterday".into(),
            _ => {}
        },
        5,
    );
    let traffic = traffic(&har);
    let left_out = LeftOut { unreadable: 1, unsent: 1, elsewhere: 0, unrelated: 1 };
    assert_eq!((traffic.taken, traffic.left_out), (2, left_out));
    assert_eq!(traffic.warnings, ["entry 4 lacks a member or has a wrong one, and is left out"]);
}

/// Opened and closed connections with their peers, and what lies between.
fn connections(har: &[u8]) -> Vec<String> {
    let line = |kind: &Kind| match kind {
        Kind::ConnOpen { conn, proto, tls, synthetic: true, .. } => format!("{conn} {proto} {tls}"),
        Kind::ConnClose { conn, by: Closer::Net, error: None, synthetic: true } => format!("{conn} closed"),
        Kind::HttpReq { conn, .. } => format!("{conn} asks"),
        other => other.word().to_owned(),
    };
    tape(har).records().iter().map(|record| line(&record.kind)).filter(|line| line.starts_with('h')).collect()
}

#[test]
fn a_connection_lasts_from_its_first_use_to_its_last() {
    let har = exchanges(
        |number, entry| {
            entry["_connectionId"] = ["7", "9", "7"][number].into();
            entry["connection"] = "443".into();
            if number == 2 {
                entry["response"] = json!({"status": 0});
            }
        },
        3,
    );
    let expected = [
        "h1 http/1.1 true",
        "h1 asks",
        "http.res",
        "h2 http/1.1 true",
        "h2 asks",
        "http.res",
        "h2 closed",
        // Something is still to come on the other.
        "h1 asks",
    ];
    assert_eq!(connections(&har), expected);
}

#[rstest]
#[case::number(json!({"connection": "52034"}), Some(1))]
#[case::port_of_the_server(json!({"connection": "443"}), None)]
#[case::none(json!({"connection": ""}), None)]
#[case::of_chrome(json!({"connection": "443", "_connectionId": "31"}), Some(1))]
fn the_port_of_the_server_names_no_connection(#[case] members: Value, #[case] label: Option<u64>) {
    let har = exchanges(|_, entry| entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone()), 1);
    assert_eq!(traffic(&har).entries[0].0.map(|label| label.0), label);
}

#[test]
fn a_socket_has_a_connection_of_its_own() {
    let traffic = traffic(&fixture("playwright-websocket.har"));
    let [connection] = traffic.connections.as_slice() else { panic!("{:?}", traffic.connections) };
    assert_eq!((connection.proto, connection.tls, connection.peer.as_str()), ("ws", false, "127.0.0.1:36885"));
    assert!(traffic.entries.iter().all(|(conn, _)| *conn == Some(connection.label)));
}

#[rstest]
#[case::null(json!({"response": {"status": 200, "headers": null, "content": {"text": "[]", "encoding": null}}}))]
#[case::timings(json!({"timings": null, "connection": null, "serverIPAddress": 7}))]
fn what_is_null_counts_as_left_out(#[case] members: Value) {
    let har = exchanges(|_, entry| entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone()), 1);
    let traffic = traffic(&har);
    assert_eq!((traffic.entries.len(), traffic.warnings.len()), (2, 0), "{:?}", traffic.warnings);
}

#[test]
fn a_mark_of_the_byte_order_and_fields_as_pairs_do_not_matter() {
    let har = exchanges(|_, entry| entry["request"]["headers"] = json!([["X-Side", "left"]]), 1);
    let wires = wires(&[b"\xef\xbb\xbf".as_slice(), &har].concat());
    let (.., Wire::Request(_, request)) = &wires[0] else { panic!("{wires:?}") };
    assert_eq!(request.headers.get("x-side"), Some("left"));
}

/// HTTP Toolkit writes its clock's offset, and neither a connection nor why something was aborted.
#[test]
fn http_toolkit_is_known() {
    let har = exchanges(|_, entry| entry["startedDateTime"] = "2026-11-28T11:00:00.250+01:00".into(), 1);
    let har = String::from_utf8(har).unwrap().replace("WebInspector", "HTTP Toolkit");
    assert_eq!(traffic(har.as_bytes()).start, "2026-11-28T10:00:00.25Z");
    assert_eq!(tape(har.as_bytes()).header().source, "har:httptoolkit");
}

/// A HAR with a socket and such messages.
fn socket(messages: &Value) -> Vec<u8> {
    exchanges(
        |_, entry| {
            entry["request"] = json!({"method": "GET", "url": "wss://gms.example/genesys/cometd", "headers": []});
            entry["response"] = json!({"status": 101, "headers": []});
            entry["_webSocketMessages"] = messages.clone();
        },
        1,
    )
}

#[test]
fn a_message_that_cannot_be_read_takes_no_other_with_it() {
    let sent =
        json!({"type": "send", "time": 1_795_860_000.5, "opcode": 1, "data": r#"[{"channel":"/meta/handshake"}]"#});
    let har = socket(&json!([sent, {"type": "send", "data": 7}, {"opcode": 1, "data": ""}, sent]));
    let traffic = traffic(&har);
    assert_eq!(traffic.warnings, ["entry 1 holds WebSocket messages that cannot be read: 2"]);
    assert_eq!(traffic.messages(), 2);
}

/// A message that was sent, changed as wanted, behind one as it should be, and what is warned of.
fn second_message(members: &Value) -> (Traffic, Vec<String>) {
    let sent =
        json!({"type": "send", "time": 1_795_860_000.5, "opcode": 1, "data": r#"[{"channel":"/meta/handshake"}]"#});
    let mut second = sent.clone();
    for (name, value) in members.as_object().expect("an object") {
        match value {
            Value::Null => drop(second.as_object_mut().expect("an object").remove(name)),
            value => second[name] = value.clone(),
        }
    }
    let traffic = traffic(&socket(&json!([sent, second, sent])));
    let warnings = traffic.warnings.clone();
    (traffic, warnings)
}

#[test]
fn a_message_without_data_is_missed() {
    let (traffic, warnings) = second_message(&json!({"data": null}));
    assert_eq!(warnings, ["entry 1 holds WebSocket messages without data and they are left out: 1"]);
    assert_eq!(traffic.messages(), 2);
}

/// It may be a text that was marked as binary.
#[test]
fn a_binary_message_that_is_not_base64_is_told() {
    let (traffic, warnings) = second_message(&json!({"opcode": 2, "data": "[{"}));
    let says = "entry 1 holds binary WebSocket messages that are not base64 and are taken as they stand: 1";
    assert_eq!(warnings, [says]);
    assert!(traffic.entries.iter().any(|(_, entry)| matches!(&entry.wire, Wire::Binary(_, bytes) if bytes == b"[{")));
}

#[rstest]
#[case::left_out(json!({"time": null}))]
#[case::beyond_any_calendar(json!({"time": 1e308}))]
#[case::years_ahead(json!({"time": 1_995_860_000}))]
#[case::years_ago(json!({"time": 7}))]
fn a_message_without_a_possible_time_is_told_and_moves_no_other(#[case] members: Value) {
    let (traffic, warnings) = second_message(&members);
    let says =
        "entry 1 holds WebSocket messages without a possible time and each is taken at that of the one before: 1";
    assert_eq!(warnings, [says]);
    let frames = traffic.entries.iter().filter(|(_, entry)| matches!(entry.wire, Wire::Text(..)));
    let times: Vec<Time> = frames.map(|(_, entry)| entry.at).collect();
    assert!(times.len() == 3 && times.iter().all(|time| *time == times[0]), "{times:?}");
}

#[rstest]
#[case::nothing(json!(null), json!(-1), true)]
#[case::size_alone(json!(null), json!(40), true)]
#[case::empty(json!({"mimeType": "application/json"}), json!(0), true)]
#[case::empty_text(json!({"text": ""}), json!(40), true)]
#[case::text(json!({"text": "[]"}), json!(40), false)]
#[case::parameters(json!({"params": [{"name": "message", "value": "[]"}]}), json!(40), false)]
fn what_was_posted_is_missed(#[case] post: Value, #[case] size: Value, #[case] is_missed: bool) {
    let har = exchanges(
        |number, entry| {
            if number == 1 {
                entry["request"]["postData"] = post.clone();
                entry["request"]["bodySize"] = size.clone();
            }
        },
        2,
    );
    let traffic = traffic(&har);
    let expected: &[&str] = if is_missed { &["entry 2 lacks the contents of its request"] } else { &[] };
    assert_eq!(traffic.warnings, expected);
    // Without what was asked an answer means nothing.
    assert_eq!((traffic.taken, traffic.left_out.unreadable), if is_missed { (1, 1) } else { (2, 0) });
}

/// Some cut long contents off, and sizes are not always those of the contents.
#[rstest]
#[case::whole(json!({"text": "[ ]", "size": 3}), "", "")]
#[case::with_a_mark_of_the_byte_order(json!({"text": "[ ]", "size": 6}), "", "")]
#[case::unknown(json!({"text": "[ ]", "size": -1}), "", "")]
#[case::not_fetched(json!({"size": -1}), "", "lacks the contents of its response")]
#[case::not_told(json!({}), "", "lacks the contents of its response")]
#[case::none(json!({"size": 0}), "", "")]
#[case::miscounted(json!({"text": "[ ]", "size": 7}), "", "")]
#[case::cut(json!({"text": "[ {", "size": 7}), "", "holds a part of the contents of its response")]
#[case::cut_base64(json!({"text": "W3s=", "encoding": "base64", "size": 7}), "", "holds a part of the contents of its response")]
#[case::compressed(json!({"text": "[ ]", "size": 23}), "gzip", "")]
#[case::empty(json!({"text": "", "size": 7}), "gzip", "lacks the contents of its response")]
#[case::plain_all_the_same(json!({"text": "[ ]", "encoding": "base64", "size": 7}), "", "")]
#[case::a_call_all_the_same(json!({"text": "f([ ])", "encoding": "base64", "size": 9}), "", "")]
#[case::no_base64(json!({"text": "[ {", "encoding": "base64", "size": 7}), "", "holds contents of its response that are not base64")]
fn contents_are_held_against_their_size(#[case] content: Value, #[case] coding: &str, #[case] says: &str) {
    let har = exchanges(
        |_, entry| {
            entry["response"]["content"] = content.clone();
            entry["response"]["headers"] = match coding {
                "" => json!([{"name": "Content-Type", "value": "application/json"}]),
                coding => json!([{"name": "Content-Encoding", "value": coding}]),
            };
        },
        1,
    );
    let expected = if says.is_empty() { Vec::new() } else { vec![format!("entry 1 {says}")] };
    assert_eq!(traffic(&har).warnings, expected);
}

#[rstest]
#[case::no_content(204, "POST", json!([]))]
#[case::redirection(302, "POST", json!([]))]
#[case::asking_for_leave(200, "OPTIONS", json!([]))]
#[case::by_its_length(200, "POST", json!([{"name": "Content-Length", "value": "0"}]))]
fn an_answer_that_has_no_contents_lacks_none(#[case] status: u16, #[case] method: &str, #[case] headers: Value) {
    let har = exchanges(
        |number, entry| {
            if number == 1 {
                entry["request"]["method"] = method.into();
                entry["response"] = json!({"status": status, "headers": headers, "content": {"size": -1}});
            }
        },
        2,
    );
    assert_eq!(traffic(&har).warnings, [""; 0]);
}

#[test]
fn a_text_of_another_encoding_is_not_held_against_its_size() {
    let har = exchanges(
        |_, entry| {
            entry["response"]["content"] = json!({"text": "[ ]", "size": 8});
            entry["response"]["headers"] =
                json!([{"name": "Content-Type", "value": "application/json;charset=UTF-16"}]);
        },
        1,
    );
    assert_eq!(traffic(&har).warnings, [""; 0]);
}

#[test]
fn an_exchange_that_took_more_than_a_year_is_told() {
    let har = exchanges(|_, entry| entry["time"] = json!(1e308), 1);
    assert_eq!(
        traffic(&har).warnings,
        ["entry 1 has a duration of more than a year and its answer is taken as immediate"]
    );
    assert_eq!(wires(&har)[1].0, Time::ZERO);
}

/// With attached contents Playwright writes the messages of a socket into a file, one in a line.
#[test]
fn messages_of_a_socket_may_stand_in_a_file_beside() {
    let mut har: Value = serde_json::from_slice(&fixture("playwright-websocket.har")).unwrap();
    let mut lines = String::new();
    for entry in har["log"]["entries"].as_array_mut().unwrap() {
        if let Some(messages) = entry.as_object_mut().unwrap().remove("_webSocketMessages") {
            lines = messages.as_array().unwrap().iter().map(|message| format!("{message}\n")).collect();
            entry["response"]["content"]["_file"] = "socket.jsonl".into();
        }
    }
    let mut beside = |name: &str| (name == "socket.jsonl").then(|| lines.clone().into_bytes());
    let Ok(Imported::Traffic(traffic)) = import(har.to_string().as_bytes(), None, &mut beside) else { panic!() };
    assert_eq!(traffic.entries, self::traffic(&fixture("playwright-websocket.har")).entries);
}

/// As Playwright wrote them, with contents attached.
#[rstest]
#[case::socket("playwright-websocket.zip")]
#[case::polling("playwright-long-polling.zip")]
fn an_archive_holds_the_contents_of_its_har(#[case] name: &str) {
    let imported = tape(&fixture(name));
    assert_eq!(compare(&tape(&fixture("playwright-websocket.har")), &imported), []);
}

#[test]
fn no_archive_is_believed_beyond_its_end() {
    let whole = fixture("playwright-websocket.zip");
    for end in (0..whole.len()).step_by(97) {
        if let Ok(Imported::Traffic(traffic)) = import(&whole[..end], None, &mut nothing_beside) {
            panic!("{end} bytes gave {} entries", traffic.entries.len());
        }
    }
}

#[rstest]
#[case::deep(format!("{{\"log\":{}", "[".repeat(100_000)), "it is not JSON: recursion limit exceeded at line 1 column 134")]
#[case::entries("{\"log\":{\"entries\":{}}}".to_owned(), "it is JSON and no HAR")]
#[case::text("{\"log\":\"entries\"}".to_owned(), "it is JSON and no HAR")]
#[case::empty(String::new(), "it is not JSON: EOF while parsing a value at line 1 column 0")]
fn what_is_hostile_is_refused(#[case] text: String, #[case] says: &str) {
    let error = import(text.as_bytes(), None, &mut nothing_beside).unwrap_err().to_string();
    assert!(error.starts_with(says.split(" at ").next().unwrap()), "{error}");
}

#[test]
fn times_beyond_any_calendar_give_a_tape() {
    let har = exchanges(
        |number, entry| {
            entry["startedDateTime"] = ["-009999-01-02T01:59:59Z", "9999-12-30T22:00:00.9Z"][number].into();
            entry["time"] = json!(f64::MAX);
            entry["timings"] = json!({"wait": f64::MAX, "send": -f64::MAX});
        },
        2,
    );
    assert_eq!(tape(&har).entries().len(), 4);
}

/// Some exporters count until long after the page had the contents.
#[test]
fn a_response_comes_before_what_is_made_of_it() {
    let har = exchanges(
        |number, entry| match number {
            0 => {
                entry["time"] = 1_800.into();
                let reply = r#"[{"channel":"/meta/handshake","clientId":"c1","successful":true}]"#;
                entry["response"]["content"]["text"] = reply.into();
            }
            _ => {
                let connect = r#"[{"channel":"/meta/connect","clientId":"c1"}]"#;
                entry["request"]["postData"]["text"] = connect.into();
            }
        },
        2,
    );
    let order: Vec<(u64, Side)> = wires(&har).into_iter().map(|(at, from, _)| (at.as_micros(), from)).collect();
    let (client, server) = (Side::Client, Side::Server);
    assert_eq!(order, [(0, client), (1_000_000, server), (1_000_000, client), (1_025_500, server)]);
}

/// Durations end late, above all in files of Playwright, which names no connections; elsewhere two connects at once are what the
/// client did, if they went over two connections or over one of HTTP/2.
#[rstest]
#[case::of_playwright("Playwright", &[], "http/1.1", false)]
#[case::of_others("WebInspector", &[], "http/1.1", true)]
#[case::over_two("WebInspector", &["71", "72"], "http/1.1", true)]
#[case::over_one("WebInspector", &["71", "71"], "http/1.1", false)]
#[case::over_one_of_http_2("WebInspector", &["71", "71"], "h2", true)]
fn the_next_connect_comes_after_the_answer(
    #[case] maker: &str,
    #[case] connections: &[&str],
    #[case] version: &str,
    #[case] at_once: bool,
) {
    let har = exchanges(
        |number, entry| {
            entry["time"] = 1_300.into();
            let connect = format!(r#"[{{"id":"{number}","channel":"/meta/connect","clientId":"c1"}}]"#);
            entry["request"]["postData"]["text"] = connect.into();
            entry["request"]["httpVersion"] = version.into();
            if let Some(name) = connections.get(number) {
                entry["connection"] = (*name).into();
            }
        },
        2,
    );
    let har = String::from_utf8(har).unwrap().replace("WebInspector", maker);
    let order: Vec<Side> = wires(har.as_bytes()).into_iter().map(|(_, from, _)| from).collect();
    let (client, server) = (Side::Client, Side::Server);
    let expected = if at_once { [client, client, server, server] } else { [client, server, client, server] };
    assert_eq!(order, expected);
}

/// The marks of what is missing are words that the audit takes.
#[test]
fn what_is_missing_passes_the_audit() {
    let har = exchanges(
        |number, entry| match number {
            0 => entry["request"]["method"] = Value::Null,
            1 => entry["response"]["content"] = json!({"size": 40}),
            2 => entry["response"]["content"] = json!({"_file": "b.json"}),
            3 => {
                entry["request"] = json!({"method": "GET", "url": "wss://gms.example/genesys/cometd", "headers": []});
                entry["response"] = json!({"status": 101, "headers": []});
                entry["_webSocketMessages"] = json!([
                    {"type": "telegram", "data": ""},
                    {"type": 7},
                    {"type": "send", "time": 1e308, "data": ""},
                    {"type": "send", "opcode": 2, "time": 1_795_860_003, "data": "["},
                    {"type": "send", "time": 1_795_860_003},
                ]);
            }
            4 => {
                entry["_resourceType"] = "websocket".into();
                entry["request"] = json!({"method": "GET", "url": "wss://gms.example/genesys/cometd", "headers": []});
                entry["response"] = json!({"status": 101, "headers": []});
            }
            5 => entry["request"]["postData"] = Value::Null,
            6 => entry["request"]["postData"] = json!({"text": "[", "encoding": "base64"}),
            7 => entry["response"]["content"] = json!({"text": "[", "encoding": "base64"}),
            8 => {
                entry["time"] = json!(1e308);
                entry["response"]["content"] = json!({"text": "[", "size": 9});
            }
            _ => {}
        },
        10,
    );
    let mut har: Value = serde_json::from_slice(&har).unwrap();
    har["log"]["_bx"] = json!({"lines": ["of no tape"]});
    let traffic = traffic(har.to_string().as_bytes());
    assert_eq!(traffic.warnings.len(), 15, "{:#?}", traffic.warnings);
    let findings = audit(&traffic.tape(config(), None), &[]).expect("a tape").findings;
    assert!(findings.is_empty(), "{}", findings.iter().map(|finding| format!("{finding}\n")).collect::<String>());
}

#[test]
fn a_recorder_counts_the_messages_of_any_transport() {
    for transport in ["callback-polling", "long-polling"] {
        let entries = tape(&fixture(&format!("chrome-{transport}.har"))).entries();
        let (mut capture, _) = Capture::new(config());
        for entry in &entries {
            let _ = capture.entry(None, entry);
        }
        let carried: usize = entries.iter().map(|entry| Batch::carried(&entry.wire).len()).sum();
        assert_eq!((capture.messages(), carried > 40), (carried as u64, true), "{transport}");
    }
}

/// The messages of callback-polling have no lines of their own, and count all the same.
#[test]
fn numbers_are_those_of_the_conversation_over_any_transport() {
    for maker in ["chrome", "playwright"] {
        let stats = |transport: &str| Stats::of(&tape(&fixture(&format!("{maker}-{transport}.har"))));
        let (called, posted) = (stats("callback-polling"), stats("long-polling"));
        assert_eq!(called.channels, posted.channels);
        let session = |stats: &Stats| stats.sessions.get(&1).map(|session| (session.messages, session.connects));
        assert_eq!((called.sessions.len(), session(&called)), (posted.sessions.len(), session(&posted)));
        let sum = |stats: &Stats| -> (u64, u64) {
            let both = stats.connections.values().map(|connection| connection.messages);
            both.fold((0, 0), |(sent, received), both| (sent + both.sent, received + both.received))
        };
        assert_eq!(sum(&called), sum(&posted));
        assert_eq!(called.sessions[&1].span.map(|(first, _)| first), Some(0));
    }
}
