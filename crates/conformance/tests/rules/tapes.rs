//! `check` on tapes: those under `fixtures/tape/`, and ones that hold a breach.

use std::fs;
use std::path::Path;

use conformance::check::check;
use conformance::rules::rule;
use conformance::verdict::Kind;
use pretty_assertions::assert_eq;
use protocol::time::Time;
use protocol::wire::Entry;
use recording::capture::{Capture, Config, Source};
use recording::har::{Imported, import};
use recording::redaction::Keep;
use recording::tape::{ConnLabel, Finish, Status, Tape};
use recording::token::Key;
use rstest::rstest;
use serde_json::{Value, json};

use crate::conversations::{Conversation, conversations};
use crate::schemas::{files, root};

fn good_tapes() -> Vec<(String, Tape)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tape/ok");
    let read = |path: &Path| Tape::read(&fs::read(path).expect("readable")).expect("a tape");
    files(&folder).into_iter().map(|(name, path)| (name, read(&path))).collect()
}

fn config() -> Config {
    Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: "2026-11-23T09:00:00Z".to_owned(),
        id: "00000000000000000000000000000007".to_owned(),
        key: Key::from_bytes([7; 32]),
        source: Source::Sim,
        scenario: None,
        seed: Some(7),
        env: Default::default(),
    }
}

/// A tape that holds these entries.
fn taped(entries: &[Entry], finish: Option<Finish>) -> Tape {
    marked(entries, &[], finish)
}

/// A tape that holds these entries, and marks at its end.
fn marked(entries: &[Entry], marks: &[&str], finish: Option<Finish>) -> Tape {
    let (mut capture, mut bytes) = Capture::new(config());
    for entry in entries {
        bytes.extend(capture.entry(None, entry));
    }
    let end = entries.last().map(|entry| entry.at).unwrap_or_default();
    for mark in marks {
        bytes.extend(capture.mark(end, mark));
    }
    bytes.extend(finish.map(|finish| capture.finish(end, finish)).unwrap_or_default());
    Tape::read(&bytes).expect("a tape")
}

/// What the recorder says of something that it had no room for.
const LEFT_OUT: &str = "e1 answer left out: over the limit of 1 MiB";

/// Each line of the tapes in a folder, with the name of its file.
fn lines(folder: &str) -> Vec<(String, usize, Value)> {
    let mut lines = Vec::new();
    for (name, path) in files(&root().join(folder)) {
        let text = fs::read_to_string(path).expect("readable");
        let values = text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, serde_json::from_str(line).ok()?)));
        lines.extend(values.map(|(at, value)| (name.clone(), at, value)));
    }
    lines
}

fn schema() -> jsonschema::Validator {
    let schema = serde_json::from_str(include_str!("../../../../schemas/tape.schema.json")).expect("a schema");
    jsonschema::validator_for(&schema).expect("a schema")
}

#[test]
fn every_line_of_a_good_tape_obeys_the_schema() {
    let schema = schema();
    for folder in ["fixtures/tape/1.0", "fixtures/tape/ok", "fixtures/tape/parts", "recordings"] {
        for (name, at, line) in lines(folder) {
            let wrong = schema.validate(&line).err().map(|error| error.to_string());
            assert_eq!(wrong, None, "{folder}/{name}, line {at}");
        }
    }
}

#[test]
fn every_line_of_a_tape_that_keeps_everything_obeys_the_schema() {
    let schema = schema();
    for conversation in conversations("ok") {
        let (mut capture, mut bytes) = Capture::keeping(config(), Keep::Everything);
        bytes.extend(capture.conn_open(Time::ZERO, ConnLabel(1), "http/1.1", "10.1.2.3:8080", false));
        for entry in &conversation.entries {
            bytes.extend(capture.entry(Some(ConnLabel(1)), entry));
        }
        bytes.extend(capture.finish(Time::ZERO, Finish::Complete));
        for line in String::from_utf8(bytes).unwrap().lines() {
            let wrong = schema.validate(&serde_json::from_str(line).unwrap()).err().map(|error| error.to_string());
            assert_eq!(wrong, None, "{}: {line}", conversation.name);
        }
    }
}

/// Files whose name begins with `line` have one line that breaks the schema; what is wrong with the others concerns several.
#[test]
fn a_wrong_line_breaks_the_schema() {
    let schema = schema();
    for (file, _) in files(&root().join("fixtures/tape/violation")) {
        let lines = lines("fixtures/tape/violation");
        let wrong = lines.iter().filter(|(name, _, line)| *name == file && !schema.is_valid(line)).count();
        assert_eq!(wrong, usize::from(file.starts_with("line-")), "{file}");
    }
}

fn broken(rule: &str) -> Vec<Entry> {
    conversations("violation").into_iter().find(|conversation| conversation.name == rule).expect(rule).entries
}

#[test]
fn good_tapes_break_no_rule() {
    for (name, tape) in good_tapes() {
        assert_eq!(check(&tape).breaches, [], "{name}");
    }
}

#[test]
fn a_tape_tells_what_was_judged_and_how_it_ends() {
    let told: Vec<String> = good_tapes()
        .into_iter()
        .map(|(name, tape)| {
            let report = check(&tape);
            format!("{name}: {} (exit {})", report.summary(), report.exit_code())
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_breach_is_told_with_its_line() {
    let tape = taped(&broken("bayeux.reply.id-not-echoed"), Some(Finish::Complete));
    let report = check(&tape);
    assert_eq!(report.exit_code(), 1);
    insta::assert_snapshot!(report.text("chat.tape.jsonl"));
    insta::assert_json_snapshot!(report.json("chat.tape.jsonl"));
}

#[test]
fn every_rule_is_found_on_a_tape_at_the_line_of_its_message() {
    for conversation in conversations("violation") {
        let tape = taped(&conversation.entries, Some(Finish::Complete));
        let report = check(&tape);
        let breach = report.breaches.iter().find(|breach| breach.rule.id == conversation.name);
        let breach = breach.unwrap_or_else(|| panic!("{}: {report:#?}", conversation.name));
        let located = tape.located();
        let unit = &located[conversation.finds[0].0 - 2];
        assert!(breach.line == unit.line || unit.inner.contains(&breach.line), "{}", conversation.name);
    }
}

#[test]
fn what_nobody_documents_is_no_failure() {
    let entries = broken("chat.event.time-falling");
    assert_eq!(check(&taped(&entries, Some(Finish::Complete))).exit_code(), 0);
}

#[test]
fn an_interrupted_tape_is_judged_and_says_so() {
    let entries = broken("chat.event.time-falling");
    let report = check(&taped(&entries, None));
    assert_eq!((report.status, report.exit_code()), (Status::Interrupted, 3));
    let report = check(&taped(&broken("chat.event.index-reused"), None));
    assert_eq!((report.status, report.exit_code()), (Status::Interrupted, 1));
}

#[test]
fn a_tape_without_messages_passes_nothing() {
    let report = check(&taped(&[], Some(Finish::Complete)));
    assert_eq!(report.exit_code(), 3);
    assert_eq!(report.summary(), "nothing to judge: no Bayeux message; the tape is complete");
}

#[test]
fn what_is_missing_is_held_against_nobody() {
    for Conversation { name, entries, .. } in conversations("ok") {
        for lost in 0..entries.len() {
            let rest = [&entries[..lost], &entries[lost + 1..]].concat();
            let report = check(&marked(&rest, &[LEFT_OUT], Some(Finish::Complete)));
            let blamed = report.count(Kind::Fail) + report.count(Kind::Deviation);
            assert_eq!((blamed, report.exit_code()), (0, 3), "{name}, line {}: {report:#?}", lost + 2);
        }
    }
}

#[test]
fn what_one_message_shows_is_wrong_whatever_is_missing() {
    for Conversation { name, entries, .. } in conversations("violation") {
        let rule = rule(&name).expect("a rule");
        let kind = match rule.kind {
            Kind::Fail | Kind::Deviation if !rule.by_itself => Kind::Inconclusive,
            kind => kind,
        };
        let report = check(&marked(&entries, &[LEFT_OUT], Some(Finish::Complete)));
        let breach = report.breaches.iter().find(|breach| breach.rule == rule).expect(&name);
        assert_eq!(breach.kind, kind, "{name}");
    }
}

#[test]
fn what_one_entry_shows_needs_no_other() {
    for Conversation { name, entries, finds } in conversations("violation") {
        let rule = rule(&name).expect("a rule");
        let place = finds[0].0 - 2;
        let alone = check(&taped(&entries[place..=place], Some(Finish::Complete)));
        let shows = alone.breaches.iter().any(|breach| breach.rule == rule);
        assert!(rule.by_itself || !shows || IN_CONTEXT.contains(&rule.id), "{name}");
    }
}

/// What only seems to stand on one message: it may have been cut, or be no reply.
const IN_CONTEXT: [&str; 3] =
    ["bayeux.batch.malformed", "bayeux.reply.successful-missing", "bayeux.disconnect.reply-shape"];

#[rstest]
#[case::of_the_recorder(LEFT_OUT, 1)]
#[case::never_whole("e1 request left out: it was never whole", 0)]
#[case::with_a_word_that_is_a_secret("e1 nick_0123456789 left out: over the limit of 1 MiB", 1)]
#[case::units("3 units lost here: no memory left for them", 1)]
#[case::of_an_import("import: entry 2 lacks the contents of its response", 1)]
#[case::an_agent("agent leaves", 0)]
#[case::of_somebody_else("the answer was left out", 0)]
fn a_mark_may_say_that_something_is_missing(#[case] label: &str, #[case] losses: usize) {
    assert_eq!(marked(&[], &[label], Some(Finish::Complete)).losses().len(), losses);
}

#[test]
fn what_may_come_of_something_missing_is_told_as_inconclusive() {
    let entries = broken("bayeux.reply.id-not-echoed");
    let report = check(&marked(&entries, &[LEFT_OUT], Some(Finish::Complete)));
    insta::assert_snapshot!(report.text("chat.tape.jsonl"));
    insta::assert_json_snapshot!(report.json("chat.tape.jsonl"));
    let ends: Vec<String> = (2..=4)
        .map(|marks| check(&marked(&entries, &vec![LEFT_OUT; marks], Some(Finish::Complete))).summary())
        .map(|says| says.split_once("; ").map(|(_, end)| end.to_owned()).unwrap_or_default())
        .collect();
    insta::assert_snapshot!(ends.join("\n"));
}

/// Each way in which an entry of a HAR may lack something: none of them makes anybody guilty.
#[test]
fn what_a_har_lacks_is_held_against_nobody() {
    let mut tried = 0;
    for (name, path) in files(&root().join("fixtures/har")).into_iter().filter(|(name, _)| name.ends_with(".har")) {
        let har: Value = serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON");
        for (place, entry) in har["log"]["entries"].as_array().expect("entries").iter().enumerate() {
            for poorer in poorer(entry) {
                let mut har = har.clone();
                har["log"]["entries"][place] = poorer;
                let Ok(Imported::Traffic(traffic)) = import(har.to_string().as_bytes(), None, &mut |_| None) else {
                    continue;
                };
                let report = check(&Tape::read(&traffic.tape(config(), None)).expect("a tape"));
                let blamed = report.count(Kind::Fail) + report.count(Kind::Deviation);
                let is_told = report.losses.len() == traffic.warnings.len();
                assert!(blamed == 0 && is_told, "{name}, entry {}: {report:#?}", place + 1);
                tried += usize::from(!traffic.warnings.is_empty());
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

/// An entry that lacks what a Bayeux message came with, one thing after the other.
fn poorer(entry: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    let mut without = |change: &dyn Fn(&mut Value)| {
        let mut poorer = entry.clone();
        change(&mut poorer);
        all.push(poorer);
    };
    if let Some(text) = entry["response"]["content"]["text"].as_str().filter(|text| text.contains("channel")) {
        without(&|entry| entry["response"]["content"] = json!({"size": -1}));
        // Without a `Content-Length` that tells of them.
        without(&|entry| entry["response"] = json!({"status": 200, "headers": [], "content": {"size": -1}}));
        without(&|entry| entry["response"]["content"] = json!({"size": text.len()}));
        let half = text.chars().take(text.chars().count() / 2).collect::<String>();
        without(&|entry| entry["response"]["content"]["text"] = half.as_str().into());
        without(&|entry| entry["response"] = json!({"status": 0}));
        without(&|entry| {
            entry["response"] = json!({"status": 200, "_error": "net::ERR_ABORTED", "content": {"size": 0}})
        });
        let length = text.len().to_string();
        let streamed =
            json!({"status": 200, "headers": [{"name": "Content-Length", "value": length}], "content": {"size": 0}});
        without(&|entry| entry["response"] = streamed.clone());
    }
    if let Some(text) = entry["request"]["postData"]["text"].as_str() {
        without(&|entry| entry["request"]["postData"] = Value::Null);
        without(&|entry| {
            entry["request"]["postData"]["text"] = text[..text.len() / 2].into();
            entry["request"]["bodySize"] = text.len().into();
        });
    }
    for frame in 0..entry["_webSocketMessages"].as_array().map_or(0, Vec::len) {
        without(&|entry| entry["_webSocketMessages"][frame]["data"] = Value::Null);
    }
    all
}
