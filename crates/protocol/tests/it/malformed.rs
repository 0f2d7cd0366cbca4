//! What is no proper batch or no proper message, in each dialect: one row for each row of what was seen on real servers.

use protocol::bayeux::dialect::Dialect;
use protocol::bayeux::server::Settings;
use protocol::wire::{Headers, Response, Wire};

use crate::talk::{BASE, Talk, connect, handshake, publish_message};

const JSON: &str = "application/json;charset=UTF-8";

/// A request that is somehow wrong.
enum Ask {
    /// A POST of this media type.
    Post(Option<&'static str>, fn() -> Vec<u8>),
    /// This method, with what follows the path.
    Bare(&'static str, &'static str),
}

struct Row {
    title: &'static str,
    ask: Ask,
    /// What is answered by 2.9, 3.0, 3.1, 4.0.0, 4.0.4 and 5.0: the status, then `page` for a page of the container,
    /// `empty`, `[]`, or the error of the first reply.
    answers: [&'static str; 6],
}

const fn post(title: &'static str, body: fn() -> Vec<u8>, answers: [&'static str; 6]) -> Row {
    Row { title, ask: Ask::Post(Some(JSON), body), answers }
}

/// A connect of a session that there is not: what is read is answered with 402.
fn good() -> Vec<u8> {
    connect("nobody", "1").into_bytes()
}

const READ: [&str; 6] = [
    "200 402::Unknown client",
    "200 402::Unknown client",
    "200 402::Unknown client",
    "200 402::Unknown client",
    "200 402::unknown_session",
    "200 402::session_unknown",
];

const NOT_JSON: [&str; 6] = ["400 page", "400 page", "400 page", "400 page", "400 page", "500 page"];

const HTTP: &[Row] = &[
    post("truncated JSON", || good()[..20].to_vec(), NOT_JSON),
    post("empty body", Vec::new, ["500 page", "200 empty", "200 empty", "200 empty", "200 empty", "500 page"]),
    post("[]", || b"[]".to_vec(), ["200 []", "200 []", "500 page", "500 page", "500 page", "500 page"]),
    post("null", || b"null".to_vec(), ["500 page", "200 empty", "200 empty", "200 empty", "200 empty", "200 empty"]),
    post("number", || b"123".to_vec(), NOT_JSON),
    post("text", || b"\"x\"".to_vec(), NOT_JSON),
    post("[1]", || b"[1]".to_vec(), NOT_JSON),
    post("array in an array", || [b"[", good().as_slice(), b"]"].concat(), NOT_JSON),
    post("[null]", || b"[null]".to_vec(), ["500 page"; 6]),
    post("bare object", || good()[1..good().len() - 1].to_vec(), READ),
    post("array and garbage", || [good().as_slice(), b"garbage"].concat(), {
        let mut answers = READ;
        answers[5] = "500 page";
        answers
    }),
    post("invalid UTF-8", || b"[{\"channel\":\"/meta/connect\",\"id\":\"\xff\"}]".to_vec(), ["500 page"; 6]),
    Row { title: "no media type", ask: Ask::Post(None, good), answers: READ },
    Row {
        title: "text/plain",
        ask: Ask::Post(Some("text/plain"), good),
        answers: {
            let mut answers = READ;
            answers[0] = "500 page";
            answers
        },
    },
    Row {
        title: "form",
        ask: Ask::Post(Some("application/x-www-form-urlencoded"), || {
            b"message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fconnect%22%7D%5D".to_vec()
        }),
        answers: {
            let mut answers = NOT_JSON;
            answers[0] = READ[0];
            answers
        },
    },
    post("handshake and another", || handshake_and_another().into_bytes(), ["500 page"; 6]),
    Row { title: "GET without callback", ask: Ask::Bare("GET", "/"), answers: ["400 page"; 6] },
    Row { title: "PUT", ask: Ask::Bare("PUT", "/"), answers: ["400 page"; 6] },
    Row { title: "OPTIONS", ask: Ask::Bare("OPTIONS", "/"), answers: ["200 empty"; 6] },
    Row {
        title: "callback with a bracket",
        ask: Ask::Bare("GET", "/?jsonp=a(b&message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fconnect%22%7D%5D"),
        answers: ["200 a(b(..)", "400 page", "400 page", "400 page", "400 page", "400 page"],
    },
    Row { title: "callback without message", ask: Ask::Bare("GET", "/?jsonp=cb"), answers: ["500 page"; 6] },
];

fn handshake_and_another() -> String {
    handshake("").replace("}]", r#"},{"channel":"/a"}]"#)
}

/// A frame that is somehow wrong, and what comes of it in 3.0, 3.1, 4.0.0, 4.0.4 and 5.0: a close code, the error of the
/// reply, or nothing. 2.9 offers no WebSocket.
struct Frame {
    title: &'static str,
    text: fn(&str) -> String,
    answers: [&'static str; 5],
}

const IGNORED: [&str; 5] = ["ignored"; 5];
const FAILS: [&str; 5] = ["close 1011"; 5];
const FRAME_READ: [&str; 5] = [
    "402::Unknown client",
    "402::Unknown client",
    "402::Unknown client",
    "402::unknown_session",
    "402::session_unknown",
];

const FRAMES: &[Frame] = &[
    Frame { title: "truncated JSON", text: |_| r#"[{"channel":"/a""#.to_owned(), answers: FAILS },
    Frame { title: "no JSON", text: |_| "x".to_owned(), answers: FAILS },
    Frame { title: "number", text: |_| "123".to_owned(), answers: FAILS },
    Frame { title: "[1]", text: |_| "[1]".to_owned(), answers: FAILS },
    Frame {
        title: "[]",
        text: |_| "[]".to_owned(),
        answers: ["ignored", "close 1011", "close 1011", "close 1011", "close 1011"],
    },
    Frame { title: "empty", text: |_| String::new(), answers: IGNORED },
    Frame { title: "null", text: |_| "null".to_owned(), answers: IGNORED },
    Frame {
        title: "bare object",
        text: |_| connect("nobody", "1").trim_matches(['[', ']']).to_owned(),
        answers: FRAME_READ,
    },
    Frame { title: "handshake and another", text: |_| handshake_and_another(), answers: FAILS },
    Frame {
        title: "no channel",
        text: |client| format!(r#"[{{"clientId":"{client}","data":1}}]"#),
        answers: ["close 1011", "close 1011", "400::channel_missing", "400::channel_missing", "400::channel_missing"],
    },
    Frame {
        title: "bad character in a channel",
        text: |client| format!("[{}]", publish_message(client, "2", "/a<b")),
        answers: ["close 1011", "close 1011", "405::invalid_channel", "405::invalid_channel", "405::channel_invalid"],
    },
    Frame {
        title: "wildcard inside a subscription",
        text: |client| format!(r#"[{{"channel":"/meta/subscribe","clientId":"{client}","subscription":"/a/*/b"}}]"#),
        answers: FAILS,
    },
    Frame { title: "array and garbage", text: |_| connect("nobody", "1") + "garbage", answers: FRAME_READ },
    Frame { title: "70 KB", text: |_| format!("[{}]", " ".repeat(70_000)), answers: ["close 1009"; 5] },
];

fn talk(name: &str) -> Talk {
    Talk::new(Settings { dialect: Dialect::by_name(name).expect("a known dialect"), ..Settings::new(BASE) })
}

/// The error of the first reply in an array; `ok` if it has none.
fn error_in(array: &str) -> String {
    let replies: serde_json::Value = serde_json::from_str(array).expect("an array");
    replies[0].get("error").and_then(serde_json::Value::as_str).unwrap_or("ok").to_owned()
}

fn answer_of(response: &Response) -> String {
    let body = String::from_utf8_lossy(&response.body);
    let kind = match body.as_ref() {
        "" => "empty".to_owned(),
        "[]" => "[]".to_owned(),
        page if page.starts_with("<html>") => "page".to_owned(),
        array if array.starts_with('[') => error_in(array),
        call => format!("{}(..)", call.split("([").next().unwrap_or_default()),
    };
    format!("{} {kind}", response.status)
}

#[test]
fn bodies_are_answered_as_seen_on_the_wire() {
    let names: Vec<&str> = Dialect::names().collect();
    for row in HTTP {
        for (name, expected) in names.iter().zip(row.answers) {
            let mut talk = talk(name);
            let wires = match &row.ask {
                Ask::Post(media_type, body) => {
                    let headers =
                        media_type.map_or_else(Headers::new, |kind| Headers::new().with("Content-Type", kind));
                    talk.request("POST", "/", headers, &body())
                }
                Ask::Bare(method, target) => talk.request(method, target, Headers::new(), b""),
            };
            let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response, not {wires:?}") };
            assert_eq!(answer_of(response), expected, "{} in {name}", row.title);
        }
    }
}

#[test]
fn frames_are_answered_as_seen_on_the_wire() {
    let names: Vec<&str> = Dialect::names().skip(1).collect();
    for frame in FRAMES {
        for (name, expected) in names.iter().zip(frame.answers) {
            let mut talk = talk(name);
            let (socket, client) = talk.socket_connected("A").expect("a websocket");
            let wires = talk.send(socket, &(frame.text)(&client));
            let answer = match wires.as_slice() {
                [] => {
                    let later = talk.send(socket, &format!("[{}]", publish_message(&client, "9", "/service/x")));
                    assert!(matches!(later.as_slice(), [Wire::Text(..)]), "the socket lives on: {later:?}");
                    "ignored".to_owned()
                }
                [Wire::Text(_, text)] => error_in(text),
                [Wire::Close(_, close)] => format!("close {}", close.code),
                other => panic!("one answer, not {other:?}"),
            };
            assert_eq!(answer, expected, "{} in {name}", frame.title);
        }
    }
}

/// A close by the server does not end the session: it answers on another socket.
#[test]
fn a_session_outlives_a_close_for_what_was_malformed() {
    for name in Dialect::names().skip(1) {
        let mut talk = talk(name);
        let (socket, client) = talk.socket_connected("A").expect("a websocket");
        assert!(matches!(talk.send(socket, "x").as_slice(), [Wire::Close(..)]));
        let again = talk.open().expect("a websocket");
        let wires = talk.send(again, &format!("[{}]", publish_message(&client, "9", "/service/x")));
        let [Wire::Text(_, reply)] = wires.as_slice() else { panic!("one reply, not {wires:?}") };
        assert_eq!(error_in(reply), "ok");
    }
}

#[test]
fn binary_frames_are_ignored() {
    for name in Dialect::names().skip(1) {
        let mut talk = talk(name);
        let (socket, client) = talk.socket_connected("A").expect("a websocket");
        assert_eq!(talk.send_binary(socket, &good()), []);
        let later = talk.send(socket, &format!("[{}]", publish_message(&client, "9", "/service/x")));
        assert!(matches!(later.as_slice(), [Wire::Text(..)]), "the socket lives on: {later:?}");
    }
}

#[test]
fn the_oldest_dialect_has_no_websocket() {
    assert_eq!(talk("cometd-2.9").open(), None);
}
