//! `tapestry conformance --agent`: whoever plays the agent, what counts is what arrives; and what becomes of the chats.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::fake_gws::FakeGws;
use crate::harness::{Listening, ask, make_program, parted, run, shown, signal, tapestry, within_seconds};

const SUITE: [&str; 3] = ["conformance", "--service", "customer-support"];

fn on<'a>(url: &'a str, agent: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&SUITE[..], &["--target", url, "--agent", agent], more].concat()
}

#[test]
fn a_simulator_is_asked_by_its_control() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let agent = format!("control=http://{control}");
    let output = run(&on(&serving.url, &agent, &["--case", "chat.agent.*", "--case", "reconnect.session.missed*"]));
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("20 cases: 20 pass, "), "{text}");
    assert!(text.contains("\nchats opened 20, ended 20, left open 0\n"), "{text}");
}

#[test]
fn a_program_is_started_for_each_step() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let folder = TempDir::new().expect("a folder can be made");
    let program = folder.path().join("agent.sh");
    let (host, port) = control.split_once(':').expect("a host and a port");
    let script = format!(
        r#"#!/bin/bash
body=$(cat)
exec 3<>/dev/tcp/{host}/{port}
printf 'POST /agent HTTP/1.1\r\nHost: t\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "${{#body}}" "$body" >&3
cat <&3 >/dev/null
"#
    );
    make_program(&program, &script);
    let agent = format!("command={}", program.display());
    let output = run(&on(&serving.url, &agent, &["--case", "chat.agent.hands-over"]));
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("2 cases: 2 pass, "), "{text}");
}

#[test]
fn an_agent_who_does_not_come_twice_is_not_waited_for_again() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--agent", "manual"]);
    // Nobody listens there.
    let agent = "control=http://127.0.0.1:1";
    // One after the other: of several at once a third may begin before the second is known to have waited in vain.
    let arguments = ["--case", "chat.agent.*", "--transport", "websocket", "--jobs", "1"];
    let output = tapestry(&on(&serving.url, agent, &arguments)).output().expect("the program starts");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("9 cases: 0 pass, ") && text.contains(" 9 blocked, "), "{text}");
    assert_eq!(text.matches("agent: join in the chat of ").count(), 2, "{text}");
}

#[test]
fn a_script_that_nobody_can_ask_leaves_its_requirements_unjudged() {
    let serving = Listening::serve();
    let output = run(&on(&serving.url, "simulated", &["--case", "chat.agent.*"]));
    let text = shown(&output);
    assert!(text.contains("18 cases: 6 pass, 0 fail, 0 deviation, 0 observed, 12 not applicable"), "{text}");
    assert!(text.contains("not judged: 6 requirements, the agent follows a script and cannot be asked"), "{text}");
}

#[test]
fn an_interrupt_ends_the_chats_that_are_open() {
    let (serving, control) = Listening::serve_controlled(&[]);
    // Nobody answers, so that the case waits.
    let arguments = on(&serving.url, "simulated", &["--case", "chat.agent.answers@websocket"]);
    let mut suite = tapestry(&arguments);
    let suite = suite.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let chats = || ask(&control, "GET", "/chats", "", b"");
    assert!(within_seconds(20, || chats().contains("chatId")), "no chat was opened");
    // Once the case has said its word in the chat, the suite knows the chat.
    for step in [r#"{"step":"join","nickname":"Morgan"}"#, r#"{"step":"say","text":"Hello"}"#] {
        assert_eq!(parted(&ask(&control, "POST", "/agent", "", step.as_bytes())).0, 200);
    }
    assert!(within_seconds(20, || chats().contains(r#""events":5"#)), "{}", chats());
    signal(&suite, "-INT");
    let output = suite.wait_with_output().expect("it ends");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("\nchats opened 1, ended 1, left open 0\n"), "{text}");
    assert!(!chats().contains("chatId"), "the chat runs on");
}

#[test]
fn no_more_chats_run_at_once_or_in_all_than_are_allowed() {
    let (serving, control) = Listening::serve_controlled(&["--agent", "scripted"]);
    let limits = ["--case", "chat.message.*", "--chats-at-once", "1", "--chats-in-all", "8"];
    let mut suite = tapestry(&on(&serving.url, "none", &limits));
    let mut suite = suite.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut most = 0;
    while suite.try_wait().expect("it can be asked").is_none() {
        most = most.max(ask(&control, "GET", "/chats", "", b"").matches("\"chatId\"").count());
    }
    let output = suite.wait_with_output().expect("it ends");
    let text = shown(&output);
    assert_eq!((most, output.status.code()), (1, Some(3)), "{text}");
    assert!(text.contains("8 in all and 1 at once are allowed, and they are used up"), "{text}");
    assert!(text.contains("\nchats opened 8, ended 8, left open 0\n"), "{text}");
}

#[test]
fn a_person_is_told_of_all_that_a_chat_needs_at_once() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--agent", "manual"]);
    let arguments = on(&serving.url, "manual", &["--case", "chat.agent.closes"]);
    let mut suite = tapestry(&arguments);
    let mut suite = suite.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut told = BufReader::new(suite.stderr.take().expect("its stderr is piped"));
    let mut text = String::new();
    while !text.contains("(press Enter when it is done)") {
        assert!(told.read_line(&mut text).expect("it is text") > 0, "{text}");
    }
    suite.kill().expect("it runs");
    suite.wait().expect("it ends");
    assert!(
        text.contains(":\n    1. accept the chat\n    2. say: Hello, how can I help?\n    3. as soon as"),
        "{text}"
    );
}

#[test]
fn an_agent_that_is_none_is_told_with_those_there_are() {
    let output = run(&on("http://127.0.0.1:1/", "nobody", &[]));
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("`control=URL`, `command=PROGRAM`, `gws=URL` or `manual`"), "{text}");
    let output = run(&on("http://127.0.0.1:1/", "command=./no-such-agent", &[]));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: there is no program `./no-such-agent`\n\nhint: "));
}

/// Runs cases with an agent at a Genesys Web Services, whose login is in the environment.
fn with_gws(target: &str, gws: &str, login: &str, more: &[&str]) -> Output {
    let agent = format!("gws={gws}");
    let arguments = [&["--agent-login", "${GWS_LOGIN}"], more].concat();
    tapestry(&on(target, &agent, &arguments)).env("GWS_LOGIN", login).output().expect("the program starts")
}

#[test]
fn an_agent_of_gws_accepts_chats_and_does_what_it_is_asked() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let gws = FakeGws::start(&control);
    let folder = TempDir::new().expect("a folder can be made");
    let report = folder.path().to_str().expect("it is text");
    let output = with_gws(&serving.url, &gws.url, "morgan:hunter2", &["--case", "chat.agent.*", "--report", report]);
    let text = shown(&output);
    // It has nobody to hand a chat over to.
    assert!(text.contains("18 cases: 16 pass, 0 fail, ") && text.contains(" 2 not applicable, "), "{text}");
    assert!(text.contains("   agent gws (rehearsed)   "), "{text}");
    let result = std::fs::read_to_string(folder.path().join("result.json")).expect("there is a result");
    assert!(result.contains(r#""agent": "gws (rehearsed)""#), "{result}");
    assert_eq!((gws.count("StartContactCenterSession"), gws.count("EndContactCenterSession")), (1, 1));
}

#[test]
fn a_login_that_gws_refuses_blocks_the_cases_that_need_an_agent_and_no_others() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let gws = FakeGws::start(&control);
    let chosen = ["--case", "chat.agent.answers", "--case", "bayeux.meta.id-echoed"];
    let output = with_gws(&serving.url, &gws.url, "morgan:swordfish", &chosen);
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("4 cases: 2 pass, ") && text.contains(" 2 blocked, "), "{text}");
    assert!(text.contains(&format!("{} refuses the agent's user and password (HTTP status 401)", gws.url)), "{text}");
    assert!(!text.contains("swordfish"), "{text}");
}

#[test]
fn an_agent_of_gws_without_a_login_is_told_where_to_put_it() {
    let output = run(&on("http://127.0.0.1:1/", "gws=http://127.0.0.1:1", &[]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--agent-login '${VARIABLE}'"), "{text}");
}

#[test]
fn a_login_on_the_command_line_is_refused_and_not_repeated() {
    let output = run(&on("http://127.0.0.1:1/", "gws=http://127.0.0.1:1", &["--agent-login", "morgan:hunter2"]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("hint: an example is `--agent-login '${LOGIN}'`") && !text.contains("hunter2"), "{text}");
}
