//! `check` on tapes: those under `fixtures/tape/`, and ones that hold a breach.

use std::fs;
use std::path::Path;

use conformance::check::check;
use pretty_assertions::assert_eq;
use protocol::time::Time;
use protocol::wire::Entry;
use recording::capture::{Capture, Config, Source};
use recording::redaction::Keep;
use recording::tape::{ConnLabel, Finish, Status, Tape};
use recording::token::Key;
use serde_json::Value;

use crate::conversations::conversations;
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
    let (mut capture, mut bytes) = Capture::new(config());
    for entry in entries {
        bytes.extend(capture.entry(None, entry));
    }
    let end = entries.last().map(|entry| entry.at).unwrap_or_default();
    bytes.extend(finish.map(|finish| capture.finish(end, finish)).unwrap_or_default());
    Tape::read(&bytes).expect("a tape")
}

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
