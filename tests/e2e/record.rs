//! `tapestry record`: what it refuses, and what survives.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::harness::{Listening, run, shown, tapestry, within_seconds};

const HANDSHAKE: &[u8] =
    br#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":"1"}]"#;

fn recording(upstream: &str, tape: &Path) -> Listening {
    let tape = tape.to_str().expect("a plain path");
    Listening::start(&["record", "--listen", "127.0.0.1:0", "--upstream", upstream, "--output", tape])
}

/// What the command says without what differs from run to run.
fn refusal(arguments: &[&str], folder: &TempDir) -> String {
    shown(&run(arguments)).replace(folder.path().to_str().expect("a plain path"), "FOLDER")
}

#[test]
fn writes_a_whole_tape_and_ends_with_0() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let tape = folder.path().join("a.tape.jsonl");
    let recorder = recording(&serving.url, &tape);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    let text = fs::read_to_string(&tape).unwrap();
    assert!(text.contains(r#""channel":"/meta/handshake""#), "{text}");
    assert!(text.trim_end().lines().last().unwrap().contains(r#""status":"complete""#), "{text}");
}

#[test]
fn what_was_recorded_survives_a_kill() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let tape = folder.path().join("a.tape.jsonl");
    let recorder = recording(&serving.url, &tape);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    // The tape is written behind the traffic.
    assert!(within_seconds(10, || fs::read_to_string(&tape).unwrap().contains(r#""clientId":"cid_"#)));
    recorder.signal("-KILL");
    let output = run(&["check", tape.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(3) && text.contains("the tape is interrupted"), "{:?} {text}", output.status);
    assert!(text.contains("2 messages of 1 session"), "{text}");
}

/// Records a request for a chat with some options, and gives what the tape and the audit say.
fn taped(options: &[&str], key: &str) -> (String, String) {
    const REQUEST: &[u8] = br#"[{"id":"2","channel":"/service/chatV2/tea-shop","clientId":"c-12345",
        "data":{"operation":"requestChat","nickname":"Ann Smith","subject":"Ann Smith likes tea"}}]"#;
    let (folder, serving) = (TempDir::new().expect("a folder"), Listening::serve());
    let path = folder.path().join("a.tape.jsonl");
    let tape = path.to_str().expect("the path is text");
    let arguments = ["record", "--listen", "127.0.0.1:0", "--upstream", &serving.url, "-o", tape];
    let recorder = Listening::start_with(&[&arguments, options].concat(), "TAPE_KEY", key);
    assert_eq!(recorder.post("/", REQUEST).0, 200);
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    (fs::read_to_string(&path).expect("it is there"), shown(&run(&["audit", tape])).replace(tape, "TAPE"))
}

#[test]
fn texts_are_kept_where_that_is_asked_for() {
    let (tape, audit) = taped(&["--keep-text", "--service", "tea-shop"], "");
    assert!(tape.contains(r#""subject":"nick_"#) && tape.contains(r#" likes tea""#), "{tape}");
    assert!(tape.contains(r#""keep":"texts""#) && !tape.contains("Ann"), "{tape}");
    assert!(audit.starts_with("exit 0\n") && audit.contains("kept on purpose"), "{audit}");
}

#[test]
fn nothing_is_replaced_where_that_is_asked_for_and_the_audit_refuses_it() {
    let (tape, audit) = taped(&["--no-redact"], "");
    assert!(
        tape.contains("c-12345") && tape.contains("Ann Smith likes tea") && tape.contains(r#""mode":"none""#),
        "{tape}"
    );
    assert!(audit.starts_with("exit 1\n") && audit.contains("--no-redact"), "{audit}");
}

#[test]
fn a_key_of_the_project_makes_the_tokens_of_two_tapes_comparable() {
    let digits = "0a".repeat(32);
    let token = |(tape, _): (String, String)| {
        let (_, behind) = tape.split_once(r#""nickname":""#).expect("a nickname");
        behind.split('"').next().unwrap_or_default().to_owned()
    };
    let option = ["--key", "${TAPE_KEY}"];
    assert_eq!(token(taped(&option, &digits)), token(taped(&option, &digits)));
    assert_ne!(token(taped(&[], "")), token(taped(&[], "")));
}

#[test]
fn a_key_that_is_none_is_refused_and_not_repeated() {
    let arguments = ["record", "--upstream", "http://127.0.0.1:1/x", "-o", "x", "--key"];
    let output = run(&[&arguments[..], &["hunter2"]].concat());
    assert!(output.status.code() == Some(2) && !shown(&output).contains("hunter2"), "{}", shown(&output));
    let output = tapestry(&[&arguments[..], &["${TAPE_KEY}"]].concat()).env("TAPE_KEY", "hunter2").output().unwrap();
    let text = shown(&output);
    assert!(
        text.starts_with("exit 2\n") && !text.contains("hunter2") && text.contains("openssl rand -hex 32"),
        "{text}"
    );
}

#[test]
fn nobody_upstream_is_told_to_the_client_and_to_the_tape() {
    let folder = TempDir::new().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    let recorder = recording("http://127.0.0.1:1/genesys/cometd", &tape);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 502);
    recorder.signal("-INT");
    assert!(fs::read_to_string(&tape).unwrap().contains(r#""error":{"class":"unreachable"}"#));
}

#[test]
fn a_tape_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    fs::write(&tape, "precious").unwrap();
    let arguments =
        ["record", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1/x", "-o", tape.to_str().unwrap()];
    insta::assert_snapshot!(refusal(&arguments, &folder));
    assert_eq!(fs::read_to_string(&tape).unwrap(), "precious");
}

#[test]
fn a_missing_directory_is_named() {
    let folder = TempDir::new().unwrap();
    let tape = folder.path().join("nowhere/a.tape.jsonl");
    let arguments =
        ["record", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1/x", "-o", tape.to_str().unwrap()];
    insta::assert_snapshot!(refusal(&arguments, &folder));
}

#[test]
fn an_upstream_that_is_no_url_is_a_usage_error() {
    let folder = TempDir::new().unwrap();
    insta::assert_snapshot!(refusal(&["record", "--upstream", "gms:8080", "-o", "x"], &folder));
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    for url in ["http://ann:hunter2@gms/x", "ftp://ann:hunter2@gms/x", "ann:hunter2@gms"] {
        let output = run(&["record", "--upstream", url, "-o", "x"]);
        let text = shown(&output);
        assert!(output.status.code() == Some(2) && !text.contains("hunter2"), "{text}");
    }
}
