//! `tapestry doctor`: planted faults are named, right servers raise no alarm, and no chat is opened unasked.

mod proxy;
mod table;
mod web;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::{Listening, ask, make_program, root, run, shown, signal, tapestry};

/// The ids of what was found, with their levels, and the exit code.
fn found(arguments: &[&str]) -> (Vec<String>, i32) {
    let output = run(&[&["doctor", "--format", "json"], arguments].concat());
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    let findings = report["findings"].as_array().expect("a list").iter();
    let ids = findings.map(|finding| {
        assert!(!finding["remedy"].as_str().expect("a text").is_empty());
        format!("{} {}", finding["level"].as_str().expect("a text"), finding["id"].as_str().expect("a text"))
    });
    (ids.collect(), output.status.code().unwrap_or(-1))
}

#[rstest]
#[case("cometd-3.1", &["--extension", "ack", "--extension", "timestamp", "--extension", "timesync"])]
#[case("cometd-5.0", &["--option", "timeout=2000", "--option", "maxInterval=3000", "--base", "/a/prefix/cometd"])]
fn a_right_server_gives_no_finding_worse_than_a_note(#[case] profile: &str, #[case] options: &[&str]) {
    let arguments = [&["serve", "--listen", "127.0.0.1:0", "--seed", "1", "--profile", profile], options].concat();
    let serving = Listening::start(&arguments);
    let (ids, exit) = found(&["--target", &serving.url, "--service", "customer-support", "--open-chat"]);
    assert!(ids.iter().all(|id| id.starts_with("note ")), "{ids:?}");
    assert_eq!(exit, 0);
}

/// What the simulator says on stderr while the doctor looks at it.
fn log_of(more: &[&str]) -> (String, String) {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--seed", "1"];
    let mut child = tapestry(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it prints a line");
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    let output = run(&[&["doctor", "--target", &url, "--service", "customer-support"], more].concat());
    child.kill().expect("it runs");
    let mut log = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut log).expect("a text");
    child.wait().expect("it ends");
    (log, shown(&output))
}

#[test]
fn no_chat_is_opened_unasked() {
    let (log, said) = log_of(&[]);
    assert!(log.contains("failed") && !log.contains("chat 1"), "{log}\n{said}");
    assert!(said.starts_with("exit 0\n") && !said.contains("opening a chat"), "{said}");
}

#[test]
fn a_chat_that_is_asked_for_is_told_of_and_ended() {
    let (log, said) = log_of(&["--open-chat"]);
    assert!(said.contains("opening a chat on the service"), "{said}");
    assert!(log.contains("chat 1 started") && log.contains("chat 1 ended"), "{log}\n{said}");
}

#[test]
fn an_interrupt_ends_the_chat_that_was_opened() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let arguments = ["doctor", "--target", &serving.url, "--service", "customer-support", "--open-chat"];
    let mut doctor = tapestry(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(doctor.stderr.take().expect("it is piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it says something");
    assert!(line.starts_with("opening a chat on the service"), "{line}");
    signal(&doctor, "-INT");
    let status = doctor.wait().expect("it ends");
    stderr.read_to_string(&mut line).expect("a text");
    assert_eq!(status.code(), Some(130), "{line}");
    assert!(line.ends_with("interrupted\n"), "{line}");
    let chats = ask(&control, "GET", "/chats", "", b"");
    assert!(chats.contains("200 OK") && !chats.contains("chatId"), "the chat runs on: {chats}");
}

#[test]
fn tells_what_the_target_is() {
    let serving = Listening::serve();
    let output = run(&["doctor", "--target", &serving.url, "--service", "customer-support"]);
    let port = serving.authority().rsplit(':').next().expect("a port");
    // The server's `Date` has whole seconds.
    let said = shown(&output).replace(port, "PORT").replace("-1 s against", "+0 s against");
    insta::assert_snapshot!(said.replace("+1 s against", "+0 s against"));
}

#[test]
fn tells_a_fault_with_what_it_means_and_what_to_do() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--scenario", "notification-mode-off"]);
    let output = run(&["doctor", "--target", &serving.url, "--service", "customer-support"]);
    let port = serving.authority().rsplit(':').next().expect("a port");
    let said = shown(&output).replace(port, "PORT").replace("-1 s against", "+0 s against");
    insta::assert_snapshot!(said.replace("+1 s against", "+0 s against"));
}

#[test]
fn a_run_is_refused_by_what_the_doctor_finds() {
    let url = web::always("200 OK", "Content-Type: text/html\r\n", "<html><title>Guest network</title></html>");
    let output = run(&["conformance", "--target", &url]);
    let port = url.split([':', '/']).nth(4).expect("a port").to_owned();
    let said = shown(&output).replace(&port, "PORT");
    assert!(said.starts_with("exit 4\n"), "{said}");
    assert!(said.contains("preflight refused: http.page: the handshake was answered with status 200"), "{said}");
    assert!(said.contains("\nhint: log in to the network first"), "{said}");
}

#[test]
fn a_declared_web_socket_that_is_not_there_is_told() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--profile", "cometd-2.9"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tapestry.toml");
    fs::write(&file, format!("[target.uat]\nurl = \"{}\"\ntransports = [\"websocket\"]\n", serving.url)).unwrap();
    let (ids, exit) = found(&["--target", "uat", "--config", file.to_str().unwrap()]);
    assert_eq!((ids, exit), (vec!["note websocket.not-offered".to_owned(), "fault websocket.declared".to_owned()], 3));
}

#[test]
fn a_target_in_the_configuration_brings_its_service_and_header() {
    let serving = Listening::serve();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("token"), "Bearer canary-9\n").unwrap();
    let text = format!(
        "[target.uat]\nurl = \"{}\"\nservice = \"customer-support\"\nheaders = {{ Authorization = \"file:token\" }}\n",
        serving.url
    );
    fs::write(folder.path().join("tapestry.toml"), text).unwrap();
    let in_folder = |arguments: &[&str]| tapestry(arguments).current_dir(folder.path()).output().unwrap();
    let output = in_folder(&["doctor", "--target", "uat", "-vv"]);
    let said = shown(&output);
    assert!(said.starts_with("exit 0\n") && said.contains("service customer-support"), "{said}");
    assert!(!said.contains("canary-9"), "{said}");
    let output = in_folder(&["conformance", "--target", "uat", "--case", "chat.end.session-stays"]);
    let said = shown(&output);
    assert!(said.starts_with("exit 0\n") && said.contains("2 cases: 2 pass"), "{said}");
    let output = in_folder(&["doctor", "--target", "prod"]);
    insta::assert_snapshot!("unknown_target", shown(&output));
}

#[test]
fn the_agent_of_a_target_is_looked_for_beside_its_configuration() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--agent", "manual"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tapestry.toml");
    let text = format!(
        "[target.uat]\nurl = \"{}\"\nservice = \"customer-support\"\nagent = \"command=./agent.sh\"\n",
        serving.url
    );
    fs::write(&file, text).unwrap();
    let agent = folder.path().join("agent.sh");
    make_program(&agent, "#!/bin/sh\n");
    let arguments = ["conformance", "--target", "uat", "--config", file.to_str().unwrap()];
    let output = run(&[&arguments[..], &["--case", "chat.end.session-stays"]].concat());
    let said = shown(&output);
    assert!(said.starts_with("exit 0\n"), "{said}");
}

#[rstest]
#[case("unknown-key", "[target.uat]\nurl = \"http://127.0.0.1:1/\"\nservcie = \"x\"\n")]
#[case("no-toml", "[target.uat\n")]
#[case("password", "[target.uat]\nurl = \"http://127.0.0.1:1/\"\nheaders = { Authorization = \"Bearer hunter2\" }\n")]
fn a_mistake_in_the_configuration_is_a_usage_error(#[case] name: &str, #[case] text: &str) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tapestry.toml"), text).unwrap();
    let output = tapestry(&["conformance", "--target", "uat"]).current_dir(folder.path()).output().unwrap();
    insta::with_settings!({snapshot_suffix => name}, {
        insta::assert_snapshot!("configuration", shown(&output));
    });
}

#[test]
fn a_name_without_a_configuration_is_a_usage_error() {
    let folder = TempDir::new().unwrap();
    let output = tapestry(&["doctor", "--target", "uat"]).current_dir(folder.path()).output().unwrap();
    insta::assert_snapshot!(shown(&output));
}

#[test]
fn every_finding_stands_in_the_documentation() {
    let page = fs::read_to_string(root().join("docs/doctor.md")).expect("the page is there");
    for kind in conformance::doctor::finding::kinds() {
        let row = format!("| `{}` | {} | {} | {} |", kind.id, kind.level.word(), kind.means, kind.remedy);
        assert!(page.contains(&row), "docs/doctor.md lacks\n{row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, conformance::doctor::finding::kinds().len(), "docs/doctor.md has rows that are no findings");
}
