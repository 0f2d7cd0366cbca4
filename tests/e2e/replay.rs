//! `tapestry replay` on the tape of a conformance case: the verdict of the run, without the server.

use std::fs;
use std::path::Path;
use std::process::Output;

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::{Listening, run, shown, tapestry};

const CASE: &str = "chat.message.echoed-once";

/// Runs a case over a transport against a simulator that may be at fault, and keeps its tape.
fn judged(folder: &Path, case: &str, transport: &str, mutation: Option<&str>) -> (Output, String) {
    let mut serve = vec!["serve", "--listen", "127.0.0.1:0", "--seed", "1"];
    serve.extend(mutation.into_iter().flat_map(|name| ["--mutation", name]));
    let serving = Listening::start(&serve);
    let report = folder.join("report");
    let output = run(&[
        "conformance",
        "--target",
        &serving.url,
        "--service",
        "customer-support",
        "--case",
        case,
        "--transport",
        transport,
        "--report",
        report.to_str().expect("the path is text"),
    ]);
    let tape = report.join(format!("tapes/{case}.{transport}.tape.jsonl"));
    (output, tape.to_str().expect("the path is text").to_owned())
}

/// What a report says of an entry, but for how to see it again.
fn block(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).expect("it is text");
    let lines = text.lines().skip_while(|line| !line.is_empty()).skip(1).take_while(|line| !line.is_empty());
    let again = |line: &&str| ["again", "offline"].iter().any(|label| line.trim_start().starts_with(label));
    lines.filter(|line| !again(line)).map(str::to_owned).collect()
}

/// The lines of a tape without those for which something holds, and without its end.
fn cut(tape: &str, gone: impl Fn(usize, &str) -> bool) {
    let text = fs::read_to_string(tape).expect("it is there");
    let kept =
        text.lines().enumerate().filter(|(number, line)| !line.starts_with(r#"{"k":"end""#) && !gone(*number, line));
    fs::write(tape, kept.map(|(_, line)| format!("{line}\n")).collect::<String>()).expect("it can be written");
}

#[rstest]
fn the_tape_of_a_failed_case_comes_to_the_same_verdict(#[values("websocket", "long-polling")] transport: &str) {
    let folder = TempDir::new().unwrap();
    let (live, tape) = judged(folder.path(), CASE, transport, Some("echo-lost"));
    assert_eq!(live.status.code(), Some(1), "{}", shown(&live));
    let offline = run(&["replay", &tape]);
    assert_eq!(offline.status.code(), Some(1), "{}", shown(&offline));
    assert!(block(&live).len() > 4, "{}", shown(&live));
    assert_eq!(block(&offline), block(&live));
    let last = |output: &Output| String::from_utf8_lossy(&output.stdout).lines().last().map(str::to_owned);
    assert_eq!(last(&offline), last(&live));
}

#[test]
fn the_report_names_the_command_that_judges_the_tape() {
    let folder = TempDir::new().unwrap();
    let (live, tape) = judged(folder.path(), CASE, "websocket", Some("echo-lost"));
    let text = shown(&live);
    assert!(text.contains(&format!("      offline    tapestry replay {tape}\n")), "{text}");
}

#[test]
fn an_entry_reads_for_programs_as_in_the_result_of_the_run() {
    let folder = TempDir::new().unwrap();
    let (_, tape) = judged(folder.path(), CASE, "long-polling", Some("echo-lost"));
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let live = read(&fs::read_to_string(folder.path().join("report/result.json")).unwrap());
    let offline = read(&String::from_utf8(run(&["replay", "--format", "json", &tape]).stdout).unwrap());
    assert_eq!(offline["cases"], live["cases"]);
    assert_eq!(offline["exit"], live["exit"]);
}

#[test]
fn the_tape_of_a_case_that_passed_ends_with_0() {
    let folder = TempDir::new().unwrap();
    let (live, tape) = judged(folder.path(), CASE, "websocket", None);
    assert_eq!(live.status.code(), Some(0), "{}", shown(&live));
    let offline = run(&["replay", &tape]);
    assert_eq!(offline.status.code(), Some(0), "{}", shown(&offline));
}

#[test]
fn expected_departures_of_the_embedded_simulator_are_expected_offline_too() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    let case = "bayeux.subscribe.to-nothing-answered";
    let live = run(&["conformance", "--virtual", "--case", case, "--transport", "websocket", "--report", report]);
    assert_eq!(live.status.code(), Some(0), "{}", shown(&live));
    let offline = run(&["replay", &format!("{report}/tapes/{case}.websocket.tape.jsonl")]);
    let text = shown(&offline);
    assert!(offline.status.code() == Some(0) && text.contains("1 deviation"), "{text}");
}

#[test]
fn a_tape_that_breaks_off_is_judged_as_far_as_it_goes() {
    let folder = TempDir::new().unwrap();
    let (_, tape) = judged(folder.path(), CASE, "websocket", None);
    cut(&tape, |number, _| number > 9);
    let offline = run(&["replay", &tape]);
    let text = shown(&offline);
    assert_eq!(offline.status.code(), Some(3), "{text}");
    assert!(
        text.contains("incomplete: the tape is interrupted\nincomplete: the tape ends before the case\n"),
        "{text}"
    );
}

#[test]
fn a_case_that_parts_from_its_tape_says_where_and_is_not_judged() {
    let folder = TempDir::new().unwrap();
    let (_, tape) = judged(folder.path(), CASE, "long-polling", None);
    let text = fs::read_to_string(&tape).unwrap();
    let changed = text.replacen(r#""operation":"sendMessage""#, r#""operation":"startTyping""#, 1);
    assert_ne!(changed, text);
    fs::write(&tape, changed).unwrap();
    cut(&tape, |_, _| false);
    let offline = run(&["replay", &tape]);
    let text = shown(&offline);
    assert_eq!(offline.status.code(), Some(3), "{text}");
    assert!(text.contains("`0.data.operation` is `sendMessage`, and the tape has `startTyping`"), "{text}");
}

#[test]
fn a_tape_that_does_not_say_how_its_case_ran_is_refused_with_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let (_, tape) = judged(folder.path(), CASE, "long-polling", None);
    let text = fs::read_to_string(&tape).unwrap();
    fs::write(&tape, text.replacen(r#""agent":"none","#, "", 1)).unwrap();
    cut(&tape, |_, _| false);
    let offline = run(&["replay", &tape]);
    let text = String::from_utf8(offline.stderr).unwrap();
    assert_eq!(offline.status.code(), Some(2), "{text}");
    assert!(text.contains("has no usable `env.agent`") && text.contains("\nhint: run the case again"), "{text}");
}

#[test]
fn expectations_are_for_tapes_of_cases() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("known.toml");
    fs::write(&file, "").unwrap();
    let tape = crate::harness::root().join("recordings/cometd-8.0.11-websocket.tape.jsonl");
    let mut command = tapestry(&["replay", tape.to_str().unwrap(), "--expect", file.to_str().unwrap()]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
}
