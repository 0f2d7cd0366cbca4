//! Recordings that go over several tapes, and that end by themselves.

use std::fs;
use std::time::Duration;

use pretty_assertions::assert_eq;
use recorder::{Ends, Error, Every, Limit, Recorder};
use recording::join::join;
use recording::tape::{Kind, Status, Tape};
use tokio::net::TcpStream;

use crate::record::{Recording, config, post, receive};

const HANDSHAKE: &str = r#"[{"id":"1","channel":"/meta/handshake","version":"1.0"}]"#;

/// A request with a cookie, if there is one.
fn ask(cookie: &str, body: &str) -> String {
    let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: BAYEUX_BROWSER={cookie}\r\n") };
    format!(
        "POST /genesys/cometd HTTP/1.1\r\nHost: h\r\n{cookie}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer that gives out a cookie, if there is one.
fn answer(cookie: &str, body: &str) -> String {
    let cookie =
        if cookie.is_empty() { String::new() } else { format!("Set-Cookie: BAYEUX_BROWSER={cookie}; Path=/\r\n") };
    format!("HTTP/1.1 200 OK\r\n{cookie}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn joined(id: &str) -> String {
    format!(r#"[{{"id":"1","channel":"/meta/handshake","clientId":"{id}","successful":true}}]"#)
}

fn connect(id: &str) -> String {
    format!(r#"[{{"id":"2","channel":"/meta/connect","clientId":"{id}"}}]"#)
}

fn connected(id: &str) -> String {
    format!(r#"[{{"id":"2","channel":"/meta/connect","clientId":"{id}","successful":true}}]"#)
}

fn words(tape: &Tape) -> Vec<&'static str> {
    tape.records().iter().map(|record| record.kind.word()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_in_parts_is_one_recording() {
    let every = Every { bytes: Some(1), time: None };
    let mut recording = Recording::with(|config| Recorder::in_parts(config, every).unwrap()).await;
    let mut server = None;
    recording.exchange(&mut server, &ask("", HANDSHAKE), &answer("b1", &joined("client-1"))).await;
    for _ in 0..3 {
        recording.exchange(&mut server, &ask("b1", &connect("client-1")), &answer("", &connected("client-1"))).await;
    }
    let (summary, tapes) = recording.tapes().await;
    // Opened, eight halves of exchanges, closed: a part for each, and one that only ends.
    let names: Vec<&String> = tapes.keys().collect();
    assert_eq!(
        (names.len(), names[0].as_str(), names[9].as_str()),
        (11, "chat.0001.tape.jsonl", "chat.0010.tape.jsonl")
    );
    assert_eq!((summary.tapes.len(), summary.messages, summary.sessions), (11, 8, 1));
    let parts: Vec<Tape> = tapes.into_values().collect();
    let whole = Tape::read(&join(&parts).unwrap().bytes).unwrap();
    let exchange = ["http.req", "msg", "http.res", "msg"];
    let expected = [&["conn.open"], exchange.repeat(4).as_slice(), &["conn.close", "end"]].concat();
    assert_eq!((whole.status(), words(&whole)), (Status::Complete, expected));
    let bytes: usize = parts.iter().map(|part| part.to_bytes().len()).sum();
    assert_eq!(summary.bytes, bytes as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_ends_after_a_time_if_it_holds_anything() {
    let every = Every { bytes: None, time: Some(Duration::from_millis(1)) };
    let recording = Recording::with(|config| Recorder::in_parts(config, every).unwrap()).await;
    let second = recording.directory.path().join("chat.0002.tape.jsonl");
    // The connection of the test is opened, and nothing follows.
    let there = async {
        while !second.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), there).await.expect("in time");
    let (_, tapes) = recording.tapes().await;
    assert_eq!(words(&tapes["chat.0001.tape.jsonl"]), ["conn.open", "end"]);
    assert_eq!(words(&tapes["chat.0002.tape.jsonl"])[0], "conn.open");
    assert!(tapes.len() <= 3, "{:?}", tapes.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_next_part_the_recording_goes_on_in_the_one_it_has() {
    let every = Every { bytes: Some(1), time: None };
    let mut recording = Recording::with(|config| Recorder::in_parts(config, every).unwrap()).await;
    // It was not there when the recording began.
    let name = |number: u64| recording.directory.path().join(format!("chat.{number:04}.tape.jsonl"));
    let taken = (2..100).find(|number| fs::create_dir(name(*number)).is_ok());
    let mut server = None;
    recording.exchange(&mut server, &ask("", HANDSHAKE), &answer("b1", &joined("client-1"))).await;
    let (summary, tapes) = recording.tapes().await;
    assert!(summary.is_complete() && summary.stuck.as_deref().is_some_and(|why| why.contains("is no file")));
    assert_eq!(Some(tapes.len() as u64 + 1), taken);
    let parts: Vec<Tape> = tapes.into_values().collect();
    let whole = Tape::read(&join(&parts).unwrap().bytes).unwrap();
    assert_eq!(whole.records().iter().filter(|record| record.kind.word() == "msg").count(), 2);
}

#[test]
fn parts_of_an_older_recording_are_not_mixed_with_new_ones() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("chat.0007.tape.jsonl");
    fs::write(&old, "precious").unwrap();
    let config = config(&directory.path().join("chat.tape.jsonl"));
    let error = Recorder::in_parts(config, Every::default()).err().unwrap();
    assert!(matches!(&error, Error::Exists { path } if *path == old), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_has_a_tape_of_its_own_though_they_share_a_connection() {
    let mut recording = Recording::with(|config| Recorder::by_session(config).unwrap()).await;
    let mut server = None;
    recording.exchange(&mut server, &ask("", "hello"), &answer("", "[]")).await;
    for (cookie, id) in [("b1", "client-1"), ("b2", "client-2")] {
        recording.exchange(&mut server, &ask("", HANDSHAKE), &answer(cookie, &joined(id))).await;
    }
    for (cookie, id) in [("b2", "client-2"), ("b1", "client-1"), ("", "client-2")] {
        recording.exchange(&mut server, &ask(cookie, &connect(id)), &answer("", &connected(id))).await;
    }
    let (summary, tapes) = recording.tapes().await;
    let exchange = ["http.req", "msg", "http.res", "msg"];
    let expected = |exchanges| [&["conn.open"], exchange.repeat(exchanges).as_slice(), &["conn.close", "end"]].concat();
    assert_eq!(words(&tapes["chat.session-0001.tape.jsonl"]), expected(2));
    assert_eq!(words(&tapes["chat.session-0002.tape.jsonl"]), expected(3));
    let rest = ["conn.open", "http.req", "body", "http.res", "conn.close", "end"];
    assert_eq!(words(&tapes["chat.other.tape.jsonl"]), rest);
    assert!(tapes.values().all(|tape| tape.status() == Status::Complete && tape.header().env["split"] == "session"));
    let ids = |name: &str| {
        let text = String::from_utf8(tapes[name].to_bytes()).unwrap();
        text.match_indices(r#""clientId":""#).map(|(at, _)| text[at + 12..at + 26].to_owned()).collect::<Vec<_>>()
    };
    let (first, second) = (ids("chat.session-0001.tape.jsonl"), ids("chat.session-0002.tape.jsonl"));
    assert!(first.iter().all(|id| *id == first[0]) && second.iter().all(|id| *id == second[0] && *id != first[0]));
    assert_eq!((summary.sessions, summary.tapes.len()), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tape_that_nothing_belongs_to_is_not_left() {
    let mut recording = Recording::with(|config| Recorder::by_session(config).unwrap()).await;
    let mut server = None;
    recording.exchange(&mut server, &ask("", HANDSHAKE), &answer("b1", &joined("client-1"))).await;
    let (_, tapes) = recording.tapes().await;
    assert_eq!(tapes.keys().collect::<Vec<_>>(), ["chat.session-0001.tape.jsonl"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_sessions_than_files_can_be_open_lose_nothing() {
    let mut recording = Recording::with(|config| Recorder::by_session(config).unwrap()).await;
    let mut server = None;
    for _ in 0..2 {
        for number in 0..150 {
            let (cookie, id) = (format!("b{number}"), format!("client-{number}"));
            recording.exchange(&mut server, &ask(&cookie, &connect(&id)), &answer("", &connected(&id))).await;
        }
    }
    let (summary, tapes) = recording.tapes().await;
    assert!(summary.is_complete() && tapes.len() == 150);
    assert!(tapes.values().all(|tape| tape.status() == Status::Complete && tape.entries().len() == 4));
    let bytes: usize = tapes.values().map(|tape| tape.to_bytes().len()).sum();
    assert_eq!(summary.bytes, bytes as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_left_has_its_end_while_others_go_on() {
    let mut recording = Recording::with(|config| Recorder::by_session(config).unwrap()).await;
    let mut server = None;
    recording.exchange(&mut server, &ask("", HANDSHAKE), &answer("b1", &joined("client-1"))).await;
    let leave = |rest: &str| format!(r#"[{{"id":"3","channel":"/meta/disconnect","clientId":"client-1"{rest}}}]"#);
    recording.exchange(&mut server, &ask("b1", &leave("")), &answer("", &leave(r#","successful":true"#))).await;
    let other = TcpStream::connect(recording.client.peer_addr().unwrap()).await.unwrap();
    drop(std::mem::replace(&mut recording.client, other));
    let path = recording.directory.path().join("chat.session-0001.tape.jsonl");
    let ended = async {
        let is_ended = || Tape::read(&fs::read(&path).ok()?).ok().filter(|tape| tape.status() == Status::Complete);
        while is_ended().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it ends");
    let (_, tapes) = recording.tapes().await;
    assert!(matches!(tapes["chat.session-0001.tape.jsonl"].records().last().unwrap().kind, Kind::End { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_by_itself_once_a_limit_is_reached() {
    for (ends, limit) in [
        (Ends { messages: Some(2), ..Ends::default() }, Limit::Messages),
        (Ends { bytes: Some(1_000), ..Ends::default() }, Limit::Bytes),
    ] {
        let mut recording = Recording::with(|config| Recorder::create(config).unwrap().until(ends)).await;
        recording.exchange(&mut None, &post("/", HANDSHAKE), &answer("b1", &joined("client-1"))).await;
        let summary = tokio::time::timeout(Duration::from_secs(10), recording.running).await.expect("it ends");
        let summary = summary.unwrap().unwrap();
        assert_eq!((summary.reached, summary.is_complete()), (Some(limit), true));
        let tape = Tape::read(&fs::read(recording.directory.path().join("chat.tape.jsonl")).unwrap()).unwrap();
        assert_eq!(tape.status(), Status::Complete);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_after_its_time_and_cuts_what_is_held() {
    let ends = Ends { duration: Some(Duration::from_millis(200)), ..Ends::default() };
    let mut recording = Recording::with(|config| Recorder::create(config).unwrap().until(ends)).await;
    recording.send(post("/", &connect("client-1"))).await;
    let (mut server, _) = recording.server.accept().await.unwrap();
    receive(&mut server, &connect("client-1")).await;
    let summary = tokio::time::timeout(Duration::from_secs(10), recording.running).await.expect("it ends");
    assert_eq!(summary.unwrap().unwrap().reached, Some(Limit::Duration));
    let tape = Tape::read(&fs::read(recording.directory.path().join("chat.tape.jsonl")).unwrap()).unwrap();
    assert_eq!(words(&tape), ["conn.open", "http.req", "msg", "conn.close", "end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_sees_what_is_open_and_what_is_written() {
    let mut progress = None;
    let mut recording = Recording::with(|config| {
        let recorder = Recorder::create(config).unwrap();
        progress = Some(recorder.progress());
        recorder
    })
    .await;
    recording.exchange(&mut None, &ask("", HANDSHAKE), &answer("b1", &joined("client-1"))).await;
    let progress = progress.unwrap();
    let seen = async {
        loop {
            let status = progress.status();
            if (status.connections, status.sessions, status.messages) == (1, 1, 2) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(10), seen).await.expect("in time");
    assert!(status.bytes > 500 && status.lost == 0, "{status:?}");
    let (summary, _) = recording.tapes().await;
    let status = progress.status();
    assert_eq!((status.connections, status.bytes, status.lag), (0, summary.bytes, Duration::ZERO));
}
