//! The conversations under `fixtures/conversation/`: each breaks the rule that it is named for, or none.
//!
//! The first line says what is to be found, by line of the file. Each other line is an entry: `t` in milliseconds, `>` or
//! `<` with the carrier (`e1` an HTTP exchange, `s1` a WebSocket), and what crossed: `m` an array of messages, `single` one
//! without array, `body` a text, `form` and `file` a request about files, `status` of a response, `open` an upgrade, `end`
//! the carrier's end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use conformance::rules::{judge, rules};
use pretty_assertions::assert_eq;
use protocol::chat::files::{Form, Upload};
use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Failure, Headers, Request, Response, Side, Socket, Wire};
use serde_json::{Map, Value};

use crate::schemas::files;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/conversation").join(kind)
}

/// A conversation: its name, what is to be found in it, its entries. The entry at index `n` stands on line `n + 2`.
pub(crate) struct Conversation {
    pub(crate) name: String,
    pub(crate) finds: Vec<(usize, String)>,
    pub(crate) entries: Vec<Entry>,
}

pub(crate) fn conversations(kind: &str) -> Vec<Conversation> {
    files(&folder(kind))
        .into_iter()
        .map(|(name, path)| read(&name, &std::fs::read_to_string(path).expect("readable")))
        .collect()
}

fn read(name: &str, text: &str) -> Conversation {
    let mut lines = text
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}")) });
    let head = lines.next().expect("a first line");
    let find = |find: &Value| {
        (find["line"].as_u64().expect("a line") as usize, find["rule"].as_str().expect("a rule").to_owned())
    };
    let finds = head["finds"].as_array().expect("what is to be found").iter().map(find).collect();
    // Members of a body as a text, since a value would drop repeated ones.
    let entries = lines.map(|line| entry(name, &line)).collect();
    Conversation { name: name.trim_end_matches(".jsonl").to_owned(), finds, entries }
}

fn entry(name: &str, line: &Value) -> Entry {
    let (from, carrier) = match (line[">"].as_str(), line["<"].as_str()) {
        (Some(carrier), None) => (Side::Client, carrier),
        (None, Some(carrier)) => (Side::Server, carrier),
        _ => panic!("{name}: {line}"),
    };
    let number: u64 = carrier[1..].parse().expect("a number");
    let text = |member: &str| line[member].as_str().map(str::to_owned);
    let body = match (line.get("m").or_else(|| line.get("single")), text("body")) {
        (Some(messages), None) => messages.to_string(),
        (None, body) => body.unwrap_or_default(),
        _ => panic!("{name}: {line}"),
    };
    let mut headers = Headers::new().with("Content-Type", "application/json;charset=UTF-8");
    if let Some(cookie) = text("cookie") {
        headers = headers.with("Cookie", &format!("BAYEUX_BROWSER={cookie}"));
    }
    let (exchange, socket) = (Exchange(number), Socket(number));
    if let Some(fields) = line["form"].as_object() {
        return about_files(line, exchange, text("cookie").as_deref(), fields);
    }
    let request = |method: &str| Request {
        method: method.to_owned(),
        target: text("path").unwrap_or_else(|| "/genesys/cometd/".to_owned()),
        headers: headers.clone(),
        body: body.clone().into_bytes(),
    };
    let wire = match (&carrier[..1], from) {
        ("s", _) if line.get("open").is_some() => Wire::Upgrade(socket, request("GET")),
        ("s", _) if line["end"] == "close" => Wire::Close(socket, Close { code: 1000, reason: String::new() }),
        ("s", _) if line.get("end").is_some() => Wire::Lost(socket, Failure::Reset),
        ("s", _) => Wire::Text(socket, body),
        (_, _) if line.get("end").is_some() => Wire::Broken(exchange, Failure::Aborted),
        (_, Side::Client) => Wire::Request(exchange, request("POST")),
        (_, Side::Server) => {
            let status = line["status"].as_u64().unwrap_or(200) as u16;
            Wire::Response(exchange, Response { status, headers: headers.clone(), body: body.clone().into_bytes() })
        }
    };
    Entry { at: Time::from_millis(line["t"].as_u64().expect("a moment")), from, wire }
}

/// A request about files: a form, multipart if there is a `file`, with a `query` if the line has one.
fn about_files(line: &Value, exchange: Exchange, browser: Option<&str>, fields: &Map<String, Value>) -> Entry {
    let mut form = Form::default();
    fields.iter().for_each(|(name, value)| form.put(name, value.as_str().expect("a text")));
    if let Some(name) = line["file"].as_str() {
        form.put_file(Upload { name: name.to_owned(), media_type: None, bytes: b"txt_1111111111~len=4~u8=4".to_vec() });
    }
    let (headers, body) = form.to_urlencoded().unwrap_or_else(|| form.to_multipart("b"));
    let headers = match browser {
        Some(browser) => headers.with("Cookie", &format!("BAYEUX_BROWSER={browser}")),
        None => headers,
    };
    let target = format!("/genesys/2/chat-ntf{}", line["query"].as_str().unwrap_or_default());
    let request = Request { method: "POST".to_owned(), target, headers, body };
    let at = Time::from_millis(line["t"].as_u64().expect("a moment"));
    Entry { at, from: Side::Client, wire: Wire::Request(exchange, request) }
}

fn found(entries: &[Entry]) -> Vec<(usize, String)> {
    judge(entries).into_iter().map(|finding| (finding.entry + 2, finding.rule.to_owned())).collect()
}

#[test]
fn every_rule_has_a_conversation_that_breaks_it() {
    let named: BTreeSet<String> = conversations("violation").into_iter().map(|found| found.name).collect();
    let known: BTreeSet<String> = rules().iter().map(|rule| rule.id.to_owned()).collect();
    assert_eq!(named, known);
}

#[test]
fn rules_say_whom_they_bind_and_how_much() {
    let mut table = String::new();
    for rule in rules() {
        let (binds, grade, requirements) = (rule.binds.name(), rule.kind.name(), rule.requirements.join(" "));
        let shown = if rule.by_itself { "alone" } else { "" };
        table.push_str(&format!("{:<46} {binds:<6} {grade:<9} {shown:<5} {requirements}\n", rule.id));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn each_conversation_breaks_its_rule_and_no_other() {
    for conversation in conversations("violation") {
        let mut expected = conversation.finds;
        assert_eq!(expected[0].1, conversation.name);
        expected.sort();
        assert_eq!(found(&conversation.entries), expected, "{}", conversation.name);
    }
}

#[test]
fn what_is_allowed_breaks_nothing() {
    let allowed = conversations("ok");
    assert!(allowed.len() >= 15);
    for conversation in allowed {
        assert_eq!(conversation.finds, [], "{}", conversation.name);
        assert_eq!(judge(&conversation.entries), [], "{}", conversation.name);
    }
}

#[test]
fn what_is_found_is_told_in_one_sentence_without_contents() {
    let mut sentences = String::new();
    for conversation in conversations("violation") {
        for finding in judge(&conversation.entries) {
            sentences.push_str(&format!("{}: {}\n", finding.rule, finding.says));
        }
    }
    insta::assert_snapshot!(sentences);
}
