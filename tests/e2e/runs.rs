//! How runs of the suite are kept, repeated and interrupted.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::thread;

use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{run, shown, signal, tapestry, within_seconds};

fn start(arguments: &[&str]) -> Child {
    tapestry(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn result(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("result.json")).expect("the result is there"))
        .expect("the result is JSON")
}

/// The names of the tapes in a report, and of what else is visible there.
fn tapes(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("tapes")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it is there").file_name().into_string().expect("it is there")).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

fn last(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_report_tells_of_one_run_alone_and_leaves_other_files() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    let first = run(&["conformance", "--virtual", "--case", "bayeux.m*", "--report", report]);
    assert!(tapes(folder.path()).len() > 2, "{}", shown(&first));
    for other in ["notes.txt", "tapes/mine.tape.jsonl", "tapes/notes.txt"] {
        fs::write(folder.path().join(other), "mine").unwrap();
    }
    run(&["conformance", "--virtual", "--case", "bayeux.handshake.succeeds@websocket", "--report", report]);
    let left = ["bayeux.handshake.succeeds.websocket.tape.jsonl", "mine.tape.jsonl", "notes.txt"];
    assert_eq!(tapes(folder.path()), left);
    assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_wrong_command_line_costs_no_earlier_report() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    let arguments = ["conformance", "--case", "bayeux.meta.id-echoed", "--report", report];
    run(&[&arguments[..], &["--virtual"]].concat());
    let before = (result(folder.path()), tapes(folder.path()));
    let output = run(&[&arguments[..], &["--insecure"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert_eq!((result(folder.path()), tapes(folder.path())), before);
}

#[test]
fn that_a_report_cannot_be_written_is_noticed_before_the_run() {
    for taken in ["result.json", "junit.xml", "tapes/bayeux.meta.id-echoed.websocket.tape.jsonl"] {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join(taken)).unwrap();
        let report = folder.path().to_str().unwrap();
        let output = run(&["conformance", "--virtual", "--case", "bayeux.meta.id-echoed", "--report", report]);
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(output.stdout.is_empty() && text.contains(&format!("{taken}` is a directory\n\nhint: ")), "{text}");
    }
}

#[test]
fn what_cannot_be_written_at_the_end_is_told_and_makes_it_incomplete() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("report");
    let case = ["--case", "bayeux.meta.id-echoed", "--repeat", "200", "--report", path.to_str().unwrap()];
    let suite = start(&[&["conformance"], &case[..]].concat());
    assert!(within_seconds(30, || !tapes(&path).is_empty()), "no tape is written while it runs");
    fs::remove_file(path.join("result.json")).unwrap();
    fs::create_dir(path.join("result.json")).unwrap();
    let output = suite.wait_with_output().unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("2 cases: 2 pass, "), "{text}");
    let last = last(&output);
    assert!(last.starts_with("INCOMPLETE: failed to write `") && last.ends_with("(exit 3)"), "{last}");
}

#[test]
fn an_interrupt_in_virtual_time_leaves_a_marked_result() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    let suite = start(&["conformance", "--virtual", "--repeat", "1000", "--report", report]);
    assert!(within_seconds(30, || !tapes(folder.path()).is_empty()), "no tape is written while it runs");
    signal(&suite, "-INT");
    let output = suite.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    assert_eq!(last(&output), "INCOMPLETE: interrupted (exit 130)");
    let result = result(folder.path());
    assert_eq!(result["cut"], "interrupted");
    let cases = result["cases"].as_array().unwrap().iter();
    let name = |case: &Value| Some(format!("{}.{}.tape.jsonl", case["id"].as_str()?, case["transport"].as_str()?));
    // What does not apply did not run.
    let ran = cases.filter(|case| case["verdict"] != "not-applicable").map(|case| name(case).expect("it is named"));
    let ran: BTreeSet<String> = ran.collect();
    assert!(!ran.is_empty());
    assert_eq!(BTreeSet::from_iter(tapes(folder.path())), ran);
}

/// Interrupts a suite as soon as something crosses the wire, so many times.
fn interrupt_under_way(mut suite: Child, times: usize) -> Output {
    let mut stderr = BufReader::new(suite.stderr.take().expect("it is piped"));
    let (mut line, mut seen) = (String::new(), String::new());
    while !line.contains("-> ") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("it is text"), 0, "it ended before: {seen}");
        seen.push_str(&line);
    }
    // Whoever does not read it, stops it.
    let rest = thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    for _ in 0..times {
        signal(&suite, "-INT");
    }
    let output = suite.wait_with_output().expect("it ends");
    rest.join().expect("it does not panic").expect("it can be read");
    output
}

#[rstest]
#[case::once(1)]
#[case::twice(2)]
fn what_an_interrupt_cuts_short_is_named_and_keeps_its_tape(#[case] times: usize) {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    // It waits for twelve seconds.
    let case = "bayeux.session.outlives-held-connect@long-polling";
    let output = interrupt_under_way(start(&["-v", "conformance", "--case", case, "--report", report]), times);
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    assert_eq!(result(folder.path())["shortfalls"][0], format!("{case} was cut short"));
    let tape = folder.path().join("tapes").join(case.replace('@', ".") + ".tape.jsonl");
    assert!(fs::read_to_string(&tape).unwrap().contains("\"status\":\"aborted\""), "{}", tape.display());
}

#[test]
fn a_scenario_that_an_interrupt_cuts_short_keeps_its_tape() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    let program = env!("CARGO_BIN_EXE_tapestry");
    let command = format!(
        "exec '{program}' chat --url \"$TAPESTRY_URL\" --service \"$TAPESTRY_SERVICE\" --transport long-polling --nickname Ann"
    );
    let arguments = ["-v", "conformance", "--client", "--listen", "127.0.0.1:0", "--command", &command];
    let case = ["--case", "client.end.without-events", "--transport", "long-polling", "--report", report];
    let output = interrupt_under_way(start(&[&arguments[..], &case].concat()), 1);
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    assert_eq!(result(folder.path())["shortfalls"][0], "client.end.without-events@long-polling was cut short");
    assert_eq!(tapes(folder.path()), ["client.end.without-events.long-polling.tape.jsonl"]);
}
