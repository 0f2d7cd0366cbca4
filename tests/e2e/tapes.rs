//! `tapestry check`, `replay` and `compare` on files: those of the fixtures, those in `recordings/`, and what is no tape.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::{root, run, shown, tapestry};

fn fixture(name: &str) -> String {
    root().join("fixtures/tape").join(name).display().to_string()
}

/// What a command says, with the path of the workspace taken out.
fn said(arguments: &[&str]) -> String {
    shown(&run(arguments)).replace(&root().display().to_string(), "ROOT")
}

#[rstest]
fn recordings_pass_the_rules_and_replay_twice_to_the_same_bytes(
    #[files("../../recordings/*.tape.jsonl")] tape: PathBuf,
) {
    let tape = tape.to_str().unwrap();
    let check = run(&["check", tape]);
    assert_eq!(check.status.code(), Some(0), "{}", shown(&check));
    let (first, second) = (run(&["replay", tape]), run(&["replay", tape]));
    assert_eq!(first.status.code(), Some(0), "{}", shown(&first));
    assert_eq!(shown(&first), shown(&second));
}

#[test]
fn the_readme_shows_what_replay_check_and_audit_say() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let tape = "recordings/cometd-8.0.11-websocket.tape.jsonl";
    for command in ["replay", "check", "audit"] {
        let output = tapestry(&[command, tape]).current_dir(root()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(readme.contains(&format!("\n{text}")), "the README does not show\n{text}");
    }
}

#[test]
fn the_recorded_chat_is_the_same_over_both_transports() {
    let tape = |transport: &str| root().join(format!("recordings/cometd-8.0.11-{transport}.tape.jsonl"));
    let (a, b) = (tape("websocket"), tape("long-polling"));
    let output = run(&["compare", a.to_str().unwrap(), b.to_str().unwrap()]);
    assert_eq!(shown(&output), "exit 0\n----- stdout\n----- stderr\n");
}

#[rstest]
fn what_is_no_tape_is_refused_with_line_and_remedy(
    #[values("check", "replay")] command: &str,
    #[values("file-garbage-in-the-middle", "line-har", "file-empty")] name: &str,
) {
    let text = said(&[command, &fixture(&format!("violation/{name}.tape.jsonl"))]);
    insta::with_settings!({snapshot_suffix => format!("{command}-{name}")}, {
        insta::assert_snapshot!("refused", text);
    });
}

#[rstest]
fn a_missing_file_is_named(#[values("check", "replay")] command: &str) {
    let output = run(&[command, "no-such.tape.jsonl"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.starts_with("error: failed to read `no-such.tape.jsonl`: "), "{text}");
}

#[rstest]
fn a_torn_tape_is_judged_to_its_last_complete_unit(#[values("check", "replay")] command: &str) {
    insta::with_settings!({snapshot_suffix => command}, {
        insta::assert_snapshot!("torn", said(&[command, &fixture("ok/torn.tape.jsonl")]));
    });
}

#[test]
fn a_tape_can_come_by_stdin() {
    let file = fs::File::open(fixture("ok/chat-websocket.tape.jsonl")).unwrap();
    let output = tapestry(&["replay", "-"]).stdin(Stdio::from(file)).output().unwrap();
    let named = run(&["replay", &fixture("ok/chat-websocket.tape.jsonl")]);
    assert_eq!(shown(&output), shown(&named));
}

#[test]
fn a_changed_message_is_a_divergence_and_a_difference() {
    let folder = TempDir::new().unwrap();
    let original = root().join("recordings/cometd-8.0.11-websocket.tape.jsonl");
    let text = fs::read_to_string(&original).unwrap();
    let (body, _) = text.split_once("{\"k\":\"end\"").unwrap();
    let changed = body.replacen(r#""operation":"sendMessage""#, r#""operation":"sentMessage""#, 1);
    assert_ne!(changed, body);
    let tape = folder.path().join("changed.tape.jsonl");
    fs::write(&tape, changed).unwrap();
    let (original, tape) = (original.to_str().unwrap(), tape.to_str().unwrap());
    let replay = run(&["replay", tape]);
    assert_eq!(replay.status.code(), Some(1), "{}", shown(&replay));
    let compare = run(&["compare", original, tape]);
    let text = String::from_utf8(compare.stdout).unwrap();
    assert!(compare.status.code() == Some(1) && text.contains("sentMessage"), "{text}");
}

#[test]
fn a_reader_who_has_gone_does_not_change_the_exit_code() {
    let file = fixture("ok/torn.tape.jsonl");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = tapestry(&["check", &file]).stdout(Stdio::from(writer)).output().unwrap();
    assert_eq!(shown(&output), "exit 3\n----- stdout\n----- stderr\n");
}
