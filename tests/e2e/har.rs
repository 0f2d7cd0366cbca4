//! `tapestry import har` and `tapestry export har`: files, exit codes, and what they say.

use std::fs;

use tempfile::TempDir;

use crate::harness::{root, run, shown, tapestry};

fn fixture(name: &str) -> String {
    root().join("fixtures/har").join(name).display().to_string()
}

/// A name in a folder of its own.
fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[test]
fn a_har_becomes_a_tape_that_passes_the_rules() {
    let folder = TempDir::new().unwrap();
    let tape = file(&folder, "chat.tape.jsonl");
    let output = run(&["import", "har", &fixture("chrome-websocket.har"), "--output", &tape]);
    let said = shown(&output).replace(&folder.path().display().to_string(), "FOLDER");
    let expected = "exit 0\n----- stdout\n----- stderr\nFOLDER/chat.tape.jsonl: 29 messages; 2 entries of the file are no Bayeux \
                    and are left out\n";
    assert_eq!(said, expected);
    let check = run(&["check", &tape]);
    assert_eq!(check.status.code(), Some(0), "{}", shown(&check));
}

#[test]
fn a_tape_comes_back_from_its_har() {
    let folder = TempDir::new().unwrap();
    let tape = root().join("recordings/cometd-8.0.11-long-polling.tape.jsonl");
    let (har, again) = (file(&folder, "chat.har"), file(&folder, "again.tape.jsonl"));
    let exported = run(&["export", "har", tape.to_str().unwrap(), "--output", &har]);
    assert_eq!(exported.status.code(), Some(0), "{}", shown(&exported));
    let imported = run(&["import", "har", &har, "--output", &again]);
    assert_eq!(imported.status.code(), Some(0), "{}", shown(&imported));
    assert_eq!(fs::read(tape).unwrap(), fs::read(again).unwrap());
}

#[test]
fn stdin_and_stdout_will_do() {
    let har = fs::File::open(fixture("mitmproxy-websocket.har")).unwrap();
    let output = tapestry(&["import", "har", "-", "--output", "-"]).stdin(har).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("{\"k\":\"hdr\"") && text.contains("\"source\":\"har:mitmproxy\""), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let tape = file(&folder, "kept.tape.jsonl");
    fs::write(&tape, "kept").unwrap();
    let output = run(&["import", "har", &fixture("chrome-websocket.har"), "--output", &tape]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), fs::read_to_string(tape).unwrap()), (Some(2), "kept".to_owned()));
    assert!(text.contains("exists already") && text.contains("hint: give another file name"), "{text}");
}

#[test]
fn what_gives_no_tape_is_named_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let tape = file(&folder, "none.tape.jsonl");
    let output = run(&["import", "har", &fixture("firefox-websocket.har"), "--output", &tape]);
    let said = shown(&output).replace(&root().display().to_string(), "ROOT");
    insta::assert_snapshot!("sockets_without_messages", said);
    assert!(!fs::exists(tape).unwrap());
}
