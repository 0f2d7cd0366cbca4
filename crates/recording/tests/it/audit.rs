//! The audit finds every free text, takes none for one that is none, and repeats none.

use pretty_assertions::assert_eq;
use protocol::chat::files::{Form, Upload};
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Headers, Request, Response, Side, Socket, Transport, Wire};
use recording::audit::{Audit, audit};
use recording::capture::Capture;
use recording::redaction::Keep;
use recording::tape::Finish;
use rstest::rstest;

use crate::fixtures::written;
use crate::sample::{Run, chat, config, pieces};

const RUN: Run = Run::new(Transport::LongPolling);

/// A short tape with one line changed by hand; nothing but the words of the line can tell.
fn edited(from: &str, to: &str) -> Audit {
    let text = String::from_utf8(pieces(RUN, &chat(RUN), None).concat()).expect("the tape is text");
    assert!(text.contains(from), "{from}");
    audit(text.replacen(from, to, 1).as_bytes(), &[]).expect("a tape")
}

fn found(audit: &Audit) -> Vec<String> {
    audit.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn what_redaction_has_written_is_clean() {
    for (name, bytes) in written() {
        let audit = audit(&bytes, &["b".to_owned(), "x".to_owned(), "a".to_owned()]).unwrap();
        assert_eq!(found(&audit), Vec::<String>::new(), "{name}");
        assert!(audit.texts > 20, "{name}: {}", audit.texts);
    }
}

/// Forms are bodies with a token in each field.
#[test]
fn a_redacted_form_is_clean_and_a_field_in_it_is_found() {
    let mut form = Form::default();
    form.put("operation", "fileUpload");
    form.put("secureKey", "k-12345");
    form.put("userData[file-description]", "of my aunt");
    let urlencoded = form.to_urlencoded().expect("no file");
    let (media_type, bytes) = (Some("text/plain".to_owned()), b"of my aunt".to_vec());
    form.put_file(Upload { name: "aunt.txt".to_owned(), media_type, bytes });
    for (headers, body) in [urlencoded, form.to_multipart("b")] {
        let request = Request { method: "POST".to_owned(), target: "/genesys/2/chat-ntf".to_owned(), headers, body };
        let entry = Entry { at: Time::ZERO, from: Side::Client, wire: Wire::Request(Exchange(1), request) };
        let text = String::from_utf8(pieces(RUN, &[entry], None).concat()).unwrap();
        assert_eq!(found(&audit(text.as_bytes(), &[]).unwrap()), Vec::<String>::new(), "{text}");
        let wrong = text.replacen("fileUpload", "aunt", 1);
        assert_eq!(audit(wrong.as_bytes(), &[]).unwrap().findings.len(), 1, "{text}");
    }
}

#[rstest]
#[case::ahead("/**/unk_", "/**/Ann unk_", 18)]
#[case::behind(");\"", ") Ann Smith\"", 10)]
#[case::behind_the_semicolon(");\"", "); Ann\"", 5)]
fn what_stands_around_the_messages_of_a_call_is_found(#[case] from: &str, #[case] to: &str, #[case] characters: usize) {
    let response = Response { status: 200, headers: Headers::new(), body: b"/**/f([]);".to_vec() };
    let entry = Entry { at: Time::ZERO, from: Side::Server, wire: Wire::Response(Exchange(1), response) };
    let text = String::from_utf8(pieces(RUN, &[entry], None).concat()).unwrap();
    assert_eq!(found(&audit(text.as_bytes(), &[]).unwrap()), Vec::<String>::new(), "{text}");
    assert!(text.contains(from), "{text}");
    let found = audit(text.replacen(from, to, 1).as_bytes(), &[]).unwrap().findings;
    assert!(matches!(found.as_slice(), [only] if only.place == "text" && only.characters == characters), "{found:?}");
}

#[rstest]
#[case(
    r#""operation":"requestChat""#,
    r#""operation":"ann""#,
    "line 12: `m.data.operation` may hold a word (3 characters)"
)]
#[case(
    r#""emailAddress":"mail_"#,
    r#""emailAddress":"mail-"#,
    "line 12: `m.data.emailAddress` may hold an e-mail address (15 characters)"
)]
#[case(
    r#""subject":"txt_"#,
    r#""subject":"a text: txt_"#,
    "line 12: `m.data.subject` may hold what somebody wrote (35 characters)"
)]
#[case(r#""id":"103""#, r#""id":"4930123456789""#, "line 12: `m.id` may hold a key or an id (13 characters)")]
#[case(
    r#""TimeZone":-60"#,
    r#""TimeZone":4930123456789"#,
    "line 12: `m.data.userData.TimeZone` may hold attached data (13 characters)"
)]
#[case(
    r#""TimeZone":-60"#,
    r#""annSmith":-60"#,
    "line 12: `m.data.userData.?` may hold a name of a member (8 characters)"
)]
#[case(
    "/service/chatV2/customer-support",
    "/service/chatV2/ann@example.org",
    "line 12: `m.channel` may hold an e-mail address (15 characters)"
)]
#[case(
    r#""url":"/genesys/cometd/""#,
    r#""url":"/genesys/gms7.example.org/""#,
    "line 3: `url` may hold a host or an address (16 characters)"
)]
#[case(
    "application/json;charset=UTF-8",
    "application/json;charset=Ann-8",
    "line 3: `headers.content-type` may hold a word (5 characters)"
)]
#[case(r#""name":"Content-Type""#, r#""name":"X-Ann""#, "line 3: `headers` may hold a name of a member (5 characters)")]
#[case("BAYEUX_BROWSER=ck_", "BAYEUX_BROWSER=ck-", "line 5: `headers.set-cookie` may hold a cookie (13 characters)")]
#[case(r#""peer":"$host.1""#, r#""peer":"10.1.2.3""#, "line 2: `peer` may hold a host (8 characters)")]
#[case(r#""label":"agent leaves""#, r#""label":"Ann leaves""#, "line 45: `label` may hold a text (10 characters)")]
#[case(r#""label":"agent leaves""#, r#""label":"same leaves""#, "line 45: `label` may hold a text (11 characters)")]
#[case(
    r#""label":"agent leaves""#,
    r#""label":"asked to type it""#,
    "line 45: `label` may hold a text (16 characters)"
)]
#[case(r#""id":"103""#, r#""id":"7b3f2c""#, "line 12: `m.id` may hold a key or an id (6 characters)")]
#[case(r#""id":"103""#, r#""id":4930123456789"#, "line 12: `m.id` may hold a key or an id (13 characters)")]
#[case(
    r#""start":"2026-11-23T09:00:00Z""#,
    r#""start":"+49 30 123456""#,
    "line 1: `start` may hold a telephone number (13 characters)"
)]
#[case(
    r#""env":{"service""#,
    r#""env":{"agent":"Ann","service""#,
    "line 1: `env.agent` may hold a word (3 characters)"
)]
#[case(
    r#""env":{"service""#,
    r#""env":{"boss":"any","service""#,
    "line 1: `env` may hold a name of a member (4 characters)"
)]
#[case(r#""seed":1"#, r#""seed":"Ann""#, "line 1: `?` may hold a word (3 characters)")]
#[case(
    r#""after":"3 bytes""#,
    r#""channel":"/service/ann""#,
    "line 43: `params.channel` may hold a word (3 characters)"
)]
#[case(r#""method":"POST""#, r#""method":"ANN""#, "line 3: `method` may hold a word (3 characters)")]
#[case(r#""tls":false"#, r#""tls":false,"alpn":"ann""#, "line 2: `?` may hold a name of a member (4 characters)")]
#[case(
    r#""secureKey":"sk_"#,
    r#""secureKey":"k"#,
    "line 15: `m.data.secureKey` may hold a `secureKey` (11 characters)"
)]
#[case(r#""scenario":"short chat""#, r#""scenario":"Ann Smith""#, "line 1: `scenario` may hold a word (3 characters)")]
#[case(
    r#""scenario":"short chat""#,
    r#""scenario":"chat.schmidt""#,
    "line 1: `scenario` may hold a word (7 characters)"
)]
#[case(
    r#""after":"3 bytes""#,
    r#""AnnSmith":"3 bytes","channel":"/service/ann""#,
    "line 43: `params` may hold a word (8 characters)"
)]
fn a_free_text_is_found_where_it_stands(#[case] from: &str, #[case] to: &str, #[case] says: &str) {
    let found = found(&edited(from, to));
    assert!(found.iter().any(|finding| finding == says), "{found:#?}");
}

#[test]
fn comments_and_what_is_torn_are_in_the_file_too() {
    let text = String::from_utf8(pieces(RUN, &[], None).concat()).unwrap();
    let text = text.replacen('\n', "\n# of Ann Smith\n", 1) + r#"{"k":"mark","label":"Ann"#;
    let found = found(&audit(text.as_bytes(), &[]).unwrap());
    let last = text.lines().count();
    let expected = [
        "line 2: `#` may hold a comment (14 characters)".to_owned(),
        format!("line {last}: `end of file` may hold a torn end (24 characters)"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_word_that_is_allowed_is_no_finding() {
    let text = String::from_utf8(pieces(RUN, &chat(RUN), None).concat()).unwrap().replace("requestChat", "requestTea");
    assert_eq!(audit(text.as_bytes(), &[]).unwrap().findings.len(), 1);
    assert_eq!(audit(text.as_bytes(), &["requestTea".to_owned()]).unwrap().findings, []);
}

#[test]
fn the_service_of_the_header_is_a_segment_of_channels_and_nothing_else() {
    let text =
        String::from_utf8(pieces(RUN, &chat(RUN), None).concat()).unwrap().replace("customer-support", "tea-shop");
    assert_eq!(found(&audit(text.as_bytes(), &[]).unwrap()), Vec::<String>::new());
    let other = text.replacen("tea-shop", "coffee-shop", 1);
    assert!(!audit(other.as_bytes(), &[]).unwrap().findings.is_empty());
}

fn kept(keep: Keep) -> Audit {
    let (mut capture, mut bytes) = Capture::keeping(config(RUN), keep);
    let text = r#"{"channel":"/service/chatV2/customer-support","data":{"message":"call me","nickname":"Ann Smith"}}"#;
    let wire = Wire::Text(Socket(1), text.to_owned());
    bytes.extend(capture.entry(None, &Entry { at: Time::ZERO, from: Side::Client, wire }));
    bytes.extend(capture.finish(Time::ZERO, Finish::Complete));
    audit(&bytes, &[]).expect("a tape")
}

#[test]
fn texts_that_are_kept_on_purpose_are_counted() {
    let audit = kept(Keep::Texts);
    assert_eq!((found(&audit), audit.kept), (Vec::new(), 1));
    assert_eq!(kept(Keep::Nothing).kept, 0);
}

#[test]
fn a_tape_without_redaction_is_one_finding() {
    let audit = kept(Keep::Everything);
    assert_eq!(found(&audit), ["line 1: `redact.mode` may hold everything (4 characters)"]);
    assert!(audit.findings[0].hint().contains("--no-redact"));
}
