//! `tapestry serve`.

use protocol::bayeux::dialect::Dialect;
use rstest::rstest;

use crate::harness::{HANDSHAKE, Listening, run, shown};

#[rstest]
fn ends_with_0_when_asked_to(#[values("-INT", "-TERM")] signal: &str) {
    let status = Listening::serve().signal(signal);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_busy_port_is_named_with_a_remedy() {
    let serving = Listening::serve();
    let text = shown(&run(&["serve", "--listen", serving.authority()]));
    let text = text.replace(serving.authority(), "HOST:PORT");
    insta::assert_snapshot!(text, @"
    exit 2
    ----- stdout
    ----- stderr
    error: cannot listen on `HOST:PORT`: Address already in use (os error 98)

    hint: choose another address with `--listen`, such as `127.0.0.1:8080`; port 0 takes any free one
    ");
}

#[test]
fn survives_what_is_no_bayeux() {
    let serving = Listening::serve();
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let large = vec![b'['; 3 << 20];
    let answers = [
        serving.post("/", b"{\"channel\""),
        serving.post("/", deep.as_bytes()),
        serving.post("/", &large),
        serving.post("/", b"[{\"channel\":\"/meta/nonsense\",\"clientId\":\"x\",\"id\":\"7\"}]"),
    ];
    let statuses = answers.each_ref().map(|(status, _)| *status);
    assert_eq!(statuses, [400, 500, 500, 200], "{answers:?}");
    assert!(answers[3].1.contains(r#""error":"402::Unknown client""#), "{answers:?}");
    let (status, body) = serving.post("/handshake", HANDSHAKE);
    assert!(status == 200 && body.contains(r#""successful":true"#), "{status} {body}");
}

#[test]
fn scenarios_are_listed_with_what_they_show() {
    let output = run(&["serve", "--list-scenarios"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.lines().any(|line| line.starts_with("idle ") && line.contains("IdleAlert after 3 s")), "{text}");
    assert_eq!(text.lines().count(), simulator::scenario::ALL.len());
}

#[test]
fn mutations_are_listed_with_what_they_break() {
    let output = run(&["serve", "--list-mutations"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("echo-lost ")).unwrap();
    assert!(line.contains(" CV-SM-01 ") && line.ends_with("does not come back as an event."), "{line}");
    assert_eq!(text.lines().count(), simulator::mutation::mutations().count());
}

#[test]
fn an_unknown_mutation_is_a_usage_error_with_the_nearest_name() {
    insta::assert_snapshot!(shown(&run(&["serve", "--mutation", "echo-last"])), @"
    exit 2
    ----- stdout
    ----- stderr
    error: there is no mutation `echo-last`

    hint: the nearest one is `echo-lost`; `tapestry serve --list-mutations` shows them all
    ");
}

#[test]
fn a_mutation_is_named_by_the_requirement_that_it_breaks() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--seed", "1", "--mutation", "echo-lost"]);
    let target = ["conformance", "--target", &serving.url, "--service", "customer-support", "--jobs", "1"];
    let output = run(&[&target[..], &["--case", "chat.message.echoed-once"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAIL  chat.message.echoed-once@websocket   CV-SM-01 must, specified"), "{text}");
}

#[rstest]
#[case(&["--scenario", "notification-mode-refused"], "403::Handshake denied")]
#[case(&["--scenario", "idle"], r#""successful":true"#)]
fn a_scenario_sets_the_server_up(#[case] flags: &[&str], #[case] answer: &str) {
    let serving = Listening::start(&[&["serve", "--listen", "127.0.0.1:0", "--seed", "1"], flags].concat());
    let (_, body) = serving.post("/handshake", HANDSHAKE);
    assert!(body.contains(answer), "{body}");
}

#[test]
fn a_script_that_cannot_be_read_is_named_with_its_line() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("agent.script");
    std::fs::write(&path, "0.300 join Morgan\n1.000 dance\n").unwrap();
    let text = shown(&run(&["serve", "--script", path.to_str().unwrap()]));
    insta::assert_snapshot!(text.replace(path.to_str().unwrap(), "FILE"), @"
    exit 2
    ----- stdout
    ----- stderr
    error: failed to read the script `FILE`: line 2: `dance` is nothing that can be done

    hint: a line is such as `0.300 join Morgan`, `2.000 say Hello`, `on bye +0.200 end` or `set index-gaps true`
    ");
}

#[test]
fn an_unknown_scenario_is_a_usage_error() {
    let output = run(&["serve", "--scenario", "none"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_unknown_profile_is_a_usage_error_that_names_the_known_ones() {
    let output = run(&["serve", "--profile", "cometd-9"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    for name in Dialect::names() {
        assert!(text.contains(name), "{text}");
    }
}

#[rstest]
#[case("cometd-2.9", "402::Unknown client")]
#[case("cometd-4.0.4", "402::unknown_session")]
#[case("cometd-5.0", "402::session_unknown")]
fn speaks_as_the_profile_says(#[case] profile: &str, #[case] says: &str) {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--profile", profile]);
    let (status, body) = serving.post("/connect", br#"[{"channel":"/meta/connect","clientId":"x","id":"1"}]"#);
    assert_eq!(status, 200);
    assert!(body.contains(says), "{body}");
}

#[test]
fn an_option_of_cometd_is_set_by_its_own_name() {
    let arguments =
        ["serve", "--listen", "127.0.0.1:0", "--option", "timeout=1234", "--option", "handshakeReconnect=true"];
    let (status, body) = Listening::start(&arguments).post("/handshake", HANDSHAKE);
    assert_eq!(status, 200);
    assert!(body.contains(r#""timeout":1234"#) && body.contains(r#""maxInterval":10000"#), "{body}");
}

#[test]
fn an_unknown_option_is_told_with_the_nearest() {
    insta::assert_snapshot!(shown(&run(&["serve", "--option", "maxIntervall=5"])), @"
    exit 2
    ----- stdout
    ----- stderr
    error: there is no option `maxIntervall`; the nearest is `maxInterval`

    hint: `tapestry serve --profile cometd-3.1 --list-options` shows them all
    ");
}

#[test]
fn a_value_of_another_type_is_told_with_the_type() {
    insta::assert_snapshot!(shown(&run(&["serve", "--option", "timeout=soon"])), @"
    exit 2
    ----- stdout
    ----- stderr
    error: `timeout` takes a number from 0, not `soon`

    hint: in cometd-3.1 it is `30000`
    ");
}

#[test]
fn an_option_of_another_generation_is_refused() {
    insta::assert_snapshot!(shown(&run(&["serve", "--profile", "cometd-3.0", "--option", "maxProcessing=5"])), @"
    exit 2
    ----- stdout
    ----- stderr
    error: `maxProcessing` is no option of cometd-3.0: CometD has it since 3.1

    hint: `tapestry serve --profile cometd-3.0 --list-options` shows them all
    ");
}

#[test]
fn an_option_without_a_value_is_refused() {
    insta::assert_snapshot!(shown(&run(&["serve", "--option", "timeout"])), @"
    exit 2
    ----- stdout
    ----- stderr
    error: `timeout` is not of the form NAME=VALUE

    hint: such as `timeout=5000`
    ");
}

#[rstest]
fn lists_the_options_of_a_profile(#[values("cometd-2.9", "cometd-3.1")] profile: &str) {
    let output = run(&["serve", "--profile", profile, "--list-options"]);
    insta::with_settings!({snapshot_suffix => profile}, {
        insta::assert_snapshot!("options_of", shown(&output));
    });
}

#[test]
fn an_extension_is_there_when_it_is_installed() {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--extension", "ack"]);
    let handshake = std::str::from_utf8(HANDSHAKE).unwrap().replace(r#""id":"1""#, r#""id":"1","ext":{"ack":true}"#);
    let (_, body) = serving.post("/handshake", handshake.as_bytes());
    assert!(body.contains(r#""ext":{"ack":true}"#), "{body}");
    let (_, body) = Listening::serve().post("/handshake", handshake.as_bytes());
    assert!(!body.contains("ext"), "{body}");
}

#[rstest]
#[case("acknowledge", "error: there is no extension `acknowledge`\n\nhint: there are `ack`, ")]
#[case("activity", "error: there is no extension `activity`\n\nhint: there are `ack`, ")]
#[case("activity=soon", "error: `activity` takes a number of milliseconds, not `soon`\n\nhint: such as ")]
fn a_wrong_extension_is_named(#[case] extension: &str, #[case] says: &str) {
    let output = run(&["serve", "--extension", extension]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.starts_with(says), "{text}");
}
