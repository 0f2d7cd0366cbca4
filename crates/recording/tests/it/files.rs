//! Requests about files: what they ask stays readable, and no byte of a file reaches a tape.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use protocol::chat::files::{FileOperation, FileRequest, Form, Upload};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Headers, Request, Response, Side, Transport, Wire};
use recording::redaction::Redactor;
use recording::tape::{Finish, Tape};
use recording::token::{self, Class, Key};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::sample::{CHANNEL, Run, pieces};

const KEY: &str = "secure-key-9+/=";

fn redactor() -> Redactor {
    Redactor::new(Key::from_bytes([7; 32]))
}

fn asked(exchange: u64, (headers, body): (Headers, Vec<u8>)) -> Entry {
    let target = "/genesys/2/chat-ntf".to_owned();
    let request = Request { method: "POST".to_owned(), target, headers, body };
    Entry { at: Time::ZERO, from: Side::Client, wire: Wire::Request(Exchange(exchange), request) }
}

fn answered(exchange: u64, media_type: &str, body: &[u8]) -> Entry {
    let headers = Headers::new().with("Content-Type", media_type);
    let response = Response { status: 200, headers, body: body.to_vec() };
    Entry { at: Time::ZERO, from: Side::Server, wire: Wire::Response(Exchange(exchange), response) }
}

fn form(operation: FileOperation) -> Form {
    FileRequest { operation, secure_key: Secret::new(KEY) }.to_form()
}

fn upload(bytes: &[u8]) -> (Headers, Vec<u8>) {
    let file =
        Upload { name: "diagnosis.txt".to_owned(), media_type: Some("text/plain".to_owned()), bytes: bytes.into() };
    let user_data =
        Map::from_iter([("file-description".to_owned(), "of my aunt".into()), ("aunt".to_owned(), "Ida".into())]);
    form(FileOperation::Upload { file, user_data, unnamed: false }).to_multipart("----WebKitFormBoundary7MA4YWxk")
}

fn download() -> (Headers, Vec<u8>) {
    form(FileOperation::Download { file_id: "file-4711".to_owned() }).to_urlencoded().expect("a form without file")
}

fn body(entry: &Entry) -> &[u8] {
    match &entry.wire {
        Wire::Request(_, request) => &request.body,
        Wire::Response(_, response) => &response.body,
        other => panic!("no exchange: {other:?}"),
    }
}

fn redacted_form(entry: &Entry) -> Form {
    let Wire::Request(_, request) = &entry.wire else { panic!("a request") };
    Form::parse(&request.headers, &request.body).expect("a redacted form is a form")
}

#[test]
fn a_form_stays_a_form_with_the_tokens_of_its_values() {
    let mut redactor = redactor();
    let read = |entry: Entry| redacted_form(&entry);
    let up = read(redactor.entry(&asked(1, upload(b"secret bytes"))).into_inner());
    let down = read(redactor.entry(&asked(2, download())).into_inner());
    let publish = json!([{"channel": CHANNEL, "data": {"secureKey": KEY, "fileId": "file-4711"}}]).to_string();
    let text = Entry { at: Time::ZERO, from: Side::Client, wire: Wire::Text(protocol::wire::Socket(1), publish) };
    let Wire::Text(_, publish) = redactor.entry(&text).into_inner().wire else { panic!("a text") };
    let publish: Value = serde_json::from_str(&publish).unwrap();
    assert_eq!((up.get("operation"), down.get("operation")), (Some("fileUpload"), Some("fileDownload")));
    assert_eq!(up.get("secureKey"), publish[0]["data"]["secureKey"].as_str());
    assert_eq!(down.get("secureKey"), publish[0]["data"]["secureKey"].as_str());
    assert_eq!(down.get("fileId"), publish[0]["data"]["fileId"].as_str());
    let names: Vec<&str> = up.fields().map(|(name, _)| name).collect();
    assert_eq!(names[..3], ["operation", "secureKey", "userData[file-description]"]);
    assert!(names[3].starts_with("userData[key_"), "{names:?}");
}

#[test]
fn of_a_file_its_size_is_kept_and_its_name_has_the_token_of_the_event() {
    let mut redactor = redactor();
    let entry = redactor.entry(&asked(1, upload(b"\xff\xfe bytes"))).into_inner();
    let file = redacted_form(&entry).take_file().expect("the file");
    let bytes = String::from_utf8(file.bytes).unwrap();
    assert!(token::whole(&bytes) == Some(Class::Text) && bytes.ends_with("~len=8~u8=8"), "{bytes}");
    assert_eq!(file.media_type.as_deref(), Some("text/plain"));
    let event = json!([{"channel": CHANNEL, "data": {"messages": [{"userData": {"file-name": "diagnosis.txt"}}]}}]);
    let event = answered(2, "application/json", event.to_string().as_bytes());
    let event: Value = serde_json::from_slice(body(&redactor.entry(&event).into_inner())).unwrap();
    assert_eq!(event[0]["data"]["messages"][0]["userData"]["file-name"], file.name.as_str());
}

#[test]
fn other_bytes_have_another_token() {
    let mut redactor = redactor();
    let mut token = |bytes: &[u8]| redacted_form(&redactor.entry(&asked(1, upload(bytes))).into_inner()).take_file();
    assert_eq!(token(b"\xff\xff"), token(b"\xff\xff"));
    assert!(token(b"\xff\xff") != token(b"\xff\xfe"));
}

/// A file may be JSON. Its names, numbers and words are nobody's business, whatever its media type.
#[rstest]
#[case("application/octet-stream", r#"{"salary":81500,"statusCode":0,"on-leave":true}"#)]
#[case("application/json", r#"{"salary":81500,"on-leave":true}"#)]
#[case("application/json", r#"[{"salary":81500,"channel":"/meta/salary"}]"#)]
#[case("text/plain", "salary 81500")]
fn a_file_that_is_downloaded_is_one_token(#[case] media_type: &str, #[case] file: &str) {
    let mut redactor = redactor();
    redactor.entry(&asked(1, download()));
    let entry = redactor.entry(&answered(1, media_type, file.as_bytes())).into_inner();
    let kept = String::from_utf8(body(&entry).to_vec()).unwrap();
    assert_eq!(token::whole(&kept), Some(Class::Text), "{kept}");
}

#[test]
fn an_envelope_is_kept_as_a_notification_is() {
    let mut redactor = redactor();
    redactor.entry(&asked(1, upload(b"x")));
    let answer = json!({"statusCode": 0, "chatEnded": false, "secureKey": KEY, "messages": [], "userData": {"file-id": "file-4711"}});
    let entry = redactor.entry(&answered(1, "application/json", answer.to_string().as_bytes())).into_inner();
    let kept: Value = serde_json::from_slice(body(&entry)).unwrap();
    let form = redacted_form(&redactor.entry(&asked(2, download())).into_inner());
    assert_eq!((kept["statusCode"].as_i64(), kept["chatEnded"].as_bool()), (Some(0), Some(false)));
    assert_eq!(kept["secureKey"].as_str(), form.get("secureKey"));
    assert_eq!(kept["userData"]["file-id"].as_str(), form.get("fileId"));
}

#[test]
fn the_numbers_of_the_limits_are_kept() {
    let mut redactor = redactor();
    redactor.entry(&asked(1, download()));
    let data = json!({"upload-max-files": "3", "upload-need-agent": "true", "upload-max-file-size": "my size"});
    let notice = json!({"type": "Notice", "text": "file-client-cfg-get", "userData": data});
    let answer = json!({"statusCode": 0, "messages": [notice]}).to_string();
    let entry = redactor.entry(&answered(1, "application/json", answer.as_bytes())).into_inner();
    let kept: Value = serde_json::from_slice(body(&entry)).unwrap();
    let notice = &kept["messages"][0];
    assert_eq!(notice["text"], "file-client-cfg-get");
    assert_eq!(
        (&notice["userData"]["upload-max-files"], &notice["userData"]["upload-need-agent"]),
        (&json!("3"), &json!("true"))
    );
    assert!(!kept.to_string().contains("my size"), "{kept}");
}

/// What is no form may be the file itself.
#[rstest]
#[case("application/json", br#"{"operation":"fileUpload","salary":81500}"#)]
#[case("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=\"salary\"\r\n\r\n81500")]
#[case("image/png", b"\x89PNG 81500")]
fn what_is_no_form_is_one_token(#[case] media_type: &str, #[case] sent: &[u8]) {
    let entry = asked(1, (Headers::new().with("Content-Type", media_type), sent.to_vec()));
    let entry = redactor().entry(&entry).into_inner();
    let kept = String::from_utf8(body(&entry).to_vec()).unwrap();
    assert_eq!(token::whole(&kept), Some(Class::Text), "{kept}");
}

fn conversation(secret: &[u8]) -> Vec<Entry> {
    let text = String::from_utf8_lossy(secret).into_owned();
    let operation = FileOperation::Upload {
        file: Upload {
            name: text.clone(),
            media_type: Some(format!("text/{text}; name={text}")),
            bytes: secret.into(),
        },
        user_data: Map::from_iter([("file-description".to_owned(), Value::from(text.clone()))]),
        unnamed: true,
    };
    let mut fields = form(operation);
    fields.put(&text, &text);
    let mut bare = Form::default();
    bare.put("fileId", &text);
    bare.put("secureKey", &text);
    let boundary = fields.free_boundary();
    vec![
        asked(1, fields.to_multipart(&boundary)),
        answered(1, "application/json", json!({"statusCode": 0, "userData": {"x": text}}).to_string().as_bytes()),
        asked(2, bare.to_urlencoded().expect("no file")),
        answered(2, "application/json", json!({"a": text, "messages": [text]}).to_string().as_bytes()),
        asked(3, bare.to_multipart("b")),
        answered(3, "application/json", secret),
    ]
}

proptest! {
    #[test]
    fn no_secret_of_a_file_request_reaches_a_tape(secret in "[A-Z][a-z0-9]{11,20}|[ -~]{9}[A-Z]{4}") {
        let run = Run::new(Transport::LongPolling);
        let tape = pieces(run, &conversation(secret.as_bytes()), Some(Finish::Complete)).concat();
        let tape = String::from_utf8(tape).unwrap();
        let escaped = json!(secret).to_string();
        prop_assert!(!tape.contains(&secret) && !tape.contains(&escaped[1..escaped.len() - 1]), "{}", tape);
    }

    #[test]
    fn redacting_a_file_request_twice_is_redacting_it_once(secret in prop::collection::vec(any::<u8>(), 1..40)) {
        let (mut first, mut second) = (redactor(), Redactor::new(Key::from_bytes([9; 32])));
        for entry in conversation(&secret) {
            let once = first.entry(&entry).into_inner();
            prop_assert_eq!(second.entry(&once).into_inner(), once);
        }
    }

    #[test]
    fn a_tape_gives_the_redacted_forms_back(secret in prop::collection::vec(any::<u8>(), 1..40)) {
        let run = Run::new(Transport::LongPolling);
        let mut redactor = Redactor::new(Key::from_bytes([run.key; 32]));
        let entries = conversation(&secret);
        let wires: Vec<Wire> = entries.iter().map(|entry| redactor.entry(entry).into_inner().wire).collect();
        let tape = Tape::read(&pieces(run, &entries, Some(Finish::Complete)).concat()).unwrap();
        let read: Vec<Wire> = tape.entries().into_iter().map(|entry| entry.wire).collect();
        prop_assert_eq!(read, wires);
    }
}
