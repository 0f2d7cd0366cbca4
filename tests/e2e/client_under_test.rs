//! `tapestry conformance --client`: our own client, started by `--command`, and what is said if nobody comes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::{run, shown, signal, tapestry, within_seconds};

/// The command that chats as a client under test.
fn chat() -> String {
    let program = env!("CARGO_BIN_EXE_tapestry");
    format!(
        "exec '{program}' chat --url \"$TAPESTRY_URL\" --service \"$TAPESTRY_SERVICE\" \
         --transport \"$TAPESTRY_TRANSPORT\" --nickname Ann"
    )
}

#[test]
fn judges_our_own_client() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report");
    let (command, report) = (chat(), report.to_str().unwrap());
    let arguments = ["conformance", "--client", "--listen", "127.0.0.1:0", "--command", &command, "--report", report];
    let scenarios = [
        "--case",
        "client.handshake.well-formed",
        "--case",
        "client.recovery.handshakes-again-after-402",
        "--case",
        "client.request.failure-with-errors",
        "--case",
        "client.end.without-events",
    ];
    let over = ["--transport", "websocket", "--transport", "long-polling", "--jobs", "8"];
    let output = tapestry(&[&arguments[..], &scenarios, &over].concat()).output().unwrap();
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("8 cases: 8 pass, 0 fail"), "{text}");
    assert!(text.contains("not seen from the wire"), "{text}");
    let tape = format!("{report}/tapes/client.end.without-events.long-polling.tape.jsonl");
    let checked = run(&["check", &tape]);
    assert_eq!(checked.status.code(), Some(0), "{}", shown(&checked));
    let replayed = run(&["replay", &tape]);
    let text = shown(&replayed);
    assert!(replayed.status.code() == Some(0) && text.contains("1 cases: 1 pass"), "{text}");
    let result = fs::read_to_string(format!("{report}/result.json")).unwrap();
    assert!(result.contains("\"client.end.without-events\""), "{result}");
}

#[test]
fn a_client_that_does_not_come_is_no_pass() {
    let arguments = ["conformance", "--client", "--listen", "127.0.0.1:0", "--case", "client.handshake.*"];
    let output = run(&[&arguments[..], &["--command", "exit 7"]].concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("the command ended before it came"), "{text}");
    assert!(text.contains("hint: no client came"), "{text}");
    let output = run(&[&arguments[..], &["--wait", "1"]].concat());
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("point a client at the URL above"), "{text}");
    assert!(text.contains("/client.handshake.stops-when-told/genesys/cometd"), "{text}");
}

#[test]
fn what_a_command_has_started_ends_with_it() {
    let folder = TempDir::new().unwrap();
    let started = folder.path().join("started");
    let command = format!("sleep 300 & echo $! > '{}'; wait; true", started.display());
    let arguments = ["conformance", "--client", "--listen", "127.0.0.1:0", "--wait", "1", "--command", &command];
    let one = ["--case", "client.handshake.well-formed", "--transport", "websocket"];
    let output = run(&[&arguments[..], &one].concat());
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
    let process = fs::read_to_string(&started).expect("the command has run");
    // Who has ended and is waited for by nobody is still listed, as `Z`.
    let ended = || {
        let listed = Command::new("ps").args(["-o", "stat=", "-p", process.trim()]).output().expect("ps starts");
        listed.stdout.trim_ascii().is_empty() || listed.stdout.trim_ascii().starts_with(b"Z")
    };
    assert!(within_seconds(5, ended), "process {process} goes on");
}

#[test]
fn the_last_words_of_a_client_that_does_not_come_are_told_and_in_no_report() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    let arguments = ["conformance", "--client", "--listen", "127.0.0.1:0", "--report", report];
    let command = ["--command", "echo 'no module named cometd' >&2; exit 7", "--case", "client.handshake.*"];
    let output = run(&[&arguments[..], &command].concat());
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let words =
        "the command ended before it came: exit status: 7; the last lines of its stderr:\n  | no module named cometd\n";
    assert_eq!(err.matches(words).count(), 1, "{err}");
    assert!(!out.contains("no module"), "{out}");
    for file in ["result.json", "junit.xml"] {
        assert!(!fs::read_to_string(folder.path().join(file)).unwrap().contains("no module"), "{file}");
    }
}

#[test]
fn whoever_interrupts_is_not_told_that_nobody_came() {
    let arguments = ["conformance", "--client", "--listen", "127.0.0.1:0", "--case", "client.handshake.*"];
    let mut suite = tapestry(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = BufReader::new(suite.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it says where it listens");
    signal(&suite, "-INT");
    let output = suite.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(!stderr.contains("no client came"), "{stderr}");
}

#[test]
fn no_report_repeats_the_command() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().to_str().unwrap();
    let arguments = ["conformance", "--client", "--listen", "127.0.0.1:0", "--report", report];
    let output =
        run(&[&arguments[..], &["--command", "true --password hunter2", "--case", "client.handshake.*"]].concat());
    let text = shown(&output);
    assert!(text.contains("--command '...'") && !text.contains("hunter2"), "{text}");
    for file in ["result.json", "junit.xml"] {
        assert!(!fs::read_to_string(folder.path().join(file)).unwrap().contains("hunter2"), "{file}");
    }
}

#[test]
fn what_is_for_servers_is_refused() {
    let output = run(&["conformance", "--client", "--target", "http://127.0.0.1:1/cometd"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    let output = run(&["conformance", "--client", "--case", "client.handshakes.*"]);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("error: no case matches `client.handshakes.*`"), "{text}");
}
