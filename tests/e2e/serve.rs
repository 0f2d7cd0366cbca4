//! `tapestry serve`.

use protocol::bayeux::dialect::Dialect;
use rstest::rstest;

use crate::harness::{Listening, run, shown};

const HANDSHAKE: &[u8] =
    br#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":"1"}]"#;

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

    hint: choose another address with `--listen`; port 0 takes any free one
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
