//! What `tapestry conformance` tells beforehand, how it chooses and repeats, and the commands that explain an id.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{run, shown};

fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    String::from_utf8(output.stdout).expect("stdout is text")
}

#[test]
fn lists_what_was_chosen_by_requirement() {
    let text = stdout(&["conformance", "--list", "--requirement", "RC-01"]);
    insta::assert_snapshot!(text);
}

#[test]
fn tells_beforehand_how_long_it_takes_and_what_it_opens() {
    let text = stdout(&["conformance", "--plan", "--case", "reconnect.*"]);
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    assert!(last[1].contains("chats in all, cases at once: 12"), "{text}");
    assert!(last[0].starts_with("about ") && last[0].contains(" s if the server is as quick"), "{text}");
}

#[test]
fn tells_beforehand_what_a_person_is_asked_for() {
    let target = ["conformance", "--plan", "--target", "http://127.0.0.1:1/genesys/cometd", "--service", "x"];
    let text = stdout(&[&target[..], &["--agent", "manual"]].concat());
    assert!(text.contains("\nthe agent is asked 12 times, for all that one chat needs each time\n"), "{text}");
    let asked =
        "    asked: accept the chat; say: Hello, how can I help?; as soon as the client has written, close the chat\n";
    assert!(text.contains(asked), "{text}");
    let spared = text.lines().find(|line| line.starts_with("chat.agent.closes@websocket "));
    assert!(spared.is_some_and(|line| line.ends_with("a person plays the agent, over one transport alone")), "{text}");
}

#[test]
fn tells_beforehand_what_a_shared_server_allows() {
    let text = stdout(&["conformance", "--plan", "--target", "http://gms.example/genesys/cometd", "--service", "x"]);
    assert!(text.contains("\nchats allowed: 40 in all and 1 at once; "), "{text}");
    assert!(text.contains(" cases will be blocked; `--chats-in-all "), "{text}");
    let text = stdout(&["conformance", "--plan", "--case", "chat.end.again"]);
    assert!(text.contains(" 1 chat\n") && !text.contains("chats allowed"), "{text}");
}

/// Id, transport and verdict of every entry of a report.
fn verdicts(arguments: &[&str]) -> Vec<(String, String, String)> {
    let folder = TempDir::new().expect("a folder can be made");
    let report = folder.path().join("report");
    stdout(&[arguments, &["--report", report.to_str().expect("a path of text")]].concat());
    let result: Value =
        serde_json::from_str(&fs::read_to_string(report.join("result.json")).expect("what the program wrote"))
            .expect("what the program wrote");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let cases = result["cases"].as_array().expect("a list").iter();
    cases.map(|case| (text(&case["id"]), text(&case["transport"]), text(&case["verdict"]))).collect()
}

#[test]
fn virtual_time_gives_the_verdicts_of_the_real_one() {
    let chosen = ["conformance", "--seed", "1", "--tag", "chat"];
    let live = verdicts(&chosen);
    let in_virtual_time = verdicts(&[&chosen[..], &["--virtual"]].concat());
    assert_eq!(live, in_virtual_time);
}

#[test]
fn the_same_seed_gives_the_same_tapes_in_virtual_time() {
    let tape = || {
        let folder = TempDir::new().expect("a folder can be made");
        let report = folder.path().join("report");
        let arguments = ["conformance", "--virtual", "--seed", "7", "--case", "chat.end.*", "--report"];
        stdout(&[&arguments[..], &[report.to_str().expect("a path of text")]].concat());
        fs::read(report.join("tapes/chat.end.disconnect-ends-chat.websocket.tape.jsonl"))
            .expect("what the program wrote")
    };
    let (one, other) = (tape(), tape());
    assert!(one == other && !one.is_empty());
}

#[test]
fn repetition_on_a_sound_server_changes_nothing() {
    let text = stdout(&["conformance", "--virtual", "--repeat", "3", "--case", "chat.request.*"]);
    assert!(!text.contains("not the same each time"), "{text}");
    assert!(text.ends_with("PASS: complete and as expected (exit 0)\n"), "{text}");
}

#[test]
fn repetition_runs_each_case_so_many_times() {
    let output = run(&["conformance", "--repeat", "3", "--case", "chat.request.starts@websocket"]);
    let text = shown(&output);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.matches("chat.request.starts@websocket").count(), 3, "{text}");
}

#[test]
fn virtual_time_is_for_the_simulator_alone() {
    let output = run(&["conformance", "--virtual", "--target", "http://127.0.0.1:1/genesys/cometd"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
}

#[test]
fn explains_an_entry_of_a_report() {
    insta::assert_snapshot!(stdout(&["explain", "CV-SK-01", "chat.key.wrong-refused@websocket"]));
}

#[test]
fn an_id_of_nothing_is_a_usage_error_with_the_nearest_one() {
    let output = run(&["explain", "CV-SK-0"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("error: nothing has the id `CV-SK-0`") && text.contains("`CV-SK-0"), "{text}");
}

#[test]
fn the_matrix_shows_what_each_requirement_came_to() {
    let folder = TempDir::new().expect("a folder can be made");
    let report = folder.path().join("report");
    stdout(&[
        "conformance",
        "--virtual",
        "--case",
        "reconnect.*",
        "--report",
        report.to_str().expect("a path of text"),
    ]);
    let result = report.join("result.json");
    let text = stdout(&["requirements", "RC-01", "--result", result.to_str().expect("a path of text")]);
    assert!(text.contains("pass           reconnect."), "{text}");
    let json: Value = serde_json::from_str(&stdout(&[
        "requirements",
        "RC-*",
        "--result",
        result.to_str().expect("a path of text"),
        "--format",
        "json",
    ]))
    .expect("what the program wrote");
    assert_eq!(json["requirements"][0]["verdict"], "pass");
}
