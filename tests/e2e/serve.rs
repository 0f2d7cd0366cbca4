//! `tapestry serve`.

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
