//! `tapestry serve --cors`: what a browser asks before a page may talk to the server, and what it sends then.

use rstest::rstest;

use crate::harness::{HANDSHAKE, Listening, run, shown};

/// The path of the API for files, beside the servlet.
const FILES: &str = "/genesys/2/chat-ntf";

/// Preflights as Chromium sends them for a JSON body, to the servlet and to the API for files.
fn preflights(serving: &Listening, origin: &str) -> [String; 2] {
    let fields = format!(
        "Accept: */*\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\
         Origin: {origin}\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: empty\r\n"
    );
    [serving.ask("OPTIONS", "/handshake", &fields, b""), serving.ask_at("OPTIONS", FILES, &fields, b"")]
}

/// What a page asks about files; nobody has this key.
fn file_limits(serving: &Listening, origin: &str) -> String {
    let fields = format!("Content-Type: application/x-www-form-urlencoded\r\nOrigin: {origin}\r\n");
    serving.ask_at("POST", FILES, &fields, b"operation=fileGetLimits&secureKey=nobody")
}

fn handshake(serving: &Listening, origin: &str) -> String {
    let fields = format!("Content-Type: application/json;charset=UTF-8\r\nOrigin: {origin}\r\n");
    serving.ask("POST", "/handshake", &fields, HANDSHAKE)
}

/// The value of a header field of an answer.
fn field(answer: &str, name: &str) -> Option<String> {
    let head = answer.split("\r\n\r\n").next()?;
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
}

#[rstest]
#[case::one(&["--cors", "https://shop.example"], "https://shop.example")]
#[case::another(&["--cors", "https://shop.example", "--cors", "http://localhost:3000"], "http://localhost:3000")]
#[case::any(&["--cors", "*"], "https://anywhere.example")]
fn a_page_of_an_allowed_origin_may_talk(#[case] cors: &[&str], #[case] origin: &str) {
    let serving = Listening::start(&[&["serve", "--listen", "127.0.0.1:0"], cors].concat());
    for answer in preflights(&serving, origin) {
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(field(&answer, "access-control-allow-origin").as_deref(), Some(origin), "{answer}");
        assert_eq!(field(&answer, "access-control-allow-credentials").as_deref(), Some("true"), "{answer}");
        let methods = field(&answer, "access-control-allow-methods").unwrap_or_default();
        let headers = field(&answer, "access-control-allow-headers").unwrap_or_default().to_ascii_lowercase();
        assert!(methods.contains("POST") && headers.contains("content-type"), "{answer}");
    }
    let (shaken, limits) = (handshake(&serving, origin), file_limits(&serving, origin));
    assert!(shaken.contains(r#""successful":true"#) && limits.contains(r#""statusCode":2"#), "{shaken}\n{limits}");
    for answer in [shaken, limits] {
        assert_eq!(field(&answer, "access-control-allow-origin").as_deref(), Some(origin), "{answer}");
        assert_eq!(field(&answer, "access-control-allow-credentials").as_deref(), Some("true"), "{answer}");
    }
}

#[rstest]
#[case::foreign(&["--cors", "https://shop.example"], "https://elsewhere.example")]
#[case::other_scheme(&["--cors", "https://shop.example"], "http://shop.example")]
#[case::subdomain(&["--cors", "https://shop.example"], "https://evil.shop.example")]
#[case::nobody(&[], "https://shop.example")]
fn a_page_of_another_origin_may_not(#[case] cors: &[&str], #[case] origin: &str) {
    let serving = Listening::start(&[&["serve", "--listen", "127.0.0.1:0"], cors].concat());
    let asked = [handshake(&serving, origin), file_limits(&serving, origin)];
    for answer in preflights(&serving, origin).into_iter().chain(asked) {
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control-allow"), "{answer}");
    }
}

#[test]
fn an_origin_with_a_path_is_a_usage_error() {
    let output = run(&["serve", "--cors", "https://shop.example/chat"]);
    let text = shown(&output);
    assert!(output.status.code() == Some(2) && text.contains("an origin has a scheme and a host"), "{text}");
}
