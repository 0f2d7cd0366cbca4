//! The HTTP API for files.

use pretty_assertions::assert_eq;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::bayeux::http::BROWSER_COOKIE;
use crate::chat::files::{FileOperation, FileRequest, Form, Upload};
use crate::wire::{Headers, Request, Response};

fn files(change: impl FnOnce(&mut FileSettings)) -> Desk {
    desk_with(|settings| change(&mut settings.files))
}

impl Desk {
    fn post(&mut self, (headers, body): (Headers, Vec<u8>)) -> Response {
        let request = Request { method: "POST".to_owned(), target: "/genesys/2/chat-ntf".to_owned(), headers, body };
        self.server.handle_file_request(self.now, &request)
    }

    fn form(&mut self, key: &str, operation: FileOperation) -> Response {
        let form = FileRequest { operation, secure_key: Secret::new(key) }.to_form();
        let form = form.to_urlencoded().unwrap_or_else(|| form.to_multipart("b0"));
        self.post(form)
    }

    fn upload(&mut self, key: &str, name: &str, bytes: &[u8]) -> Value {
        let file = Upload { name: name.to_owned(), media_type: None, bytes: bytes.to_vec() };
        let user_data = json!({"file-description": "d"}).as_object().cloned().unwrap();
        json_of(&self.form(key, FileOperation::Upload { file, user_data, unnamed: false }))
    }
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

fn limits(misspelt: bool) -> FileOperation {
    FileOperation::GetLimits { misspelt }
}

fn download(file_id: &str) -> FileOperation {
    FileOperation::Download { file_id: file_id.to_owned() }
}

fn delete(file_id: &str) -> FileOperation {
    FileOperation::Delete { file_id: file_id.to_owned() }
}

#[test]
fn a_file_is_uploaded_downloaded_and_deleted() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let answer = desk.upload(&key, "a.txt", b"abc");
    let file_id = answer["userData"]["file-id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&answer["statusCode"], &answer["secureKey"], &answer["messages"]),
        (&json!(0), &json!(key), &json!([]))
    );
    let told = desk.wait(10);
    let event = &told[0].1["messages"][0];
    assert_eq!((told.len(), &event["type"], &event["index"]), (1, &json!("FileUploaded"), &json!(2)));
    assert_eq!(
        event["userData"],
        json!({"file-description": "d", "file-id": file_id, "file-name": "a.txt", "file-size": "3"})
    );
    for _ in 0..2 {
        assert_eq!(desk.form(&key, download(&file_id)).body, b"abc");
    }
    assert_eq!(code(&json_of(&desk.form(&key, download(&file_id)))), (2, false, 249), "no attempt is left");
    assert_eq!(json_of(&desk.form(&key, delete(&file_id)))["statusCode"], 0);
    let told = desk.wait(10);
    let event = &told[0].1["messages"][0];
    assert_eq!((&event["type"], &event["userData"]["file-id"]), (&json!("FileDeleted"), &json!(file_id)));
    assert_eq!(code(&json_of(&desk.form(&key, delete(&file_id)))), (2, false, 249));
}

#[rstest]
fn limits_are_told_without_index_and_key(#[values(false, true)] misspelt: bool) {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.upload(&key, "a.txt", b"abc");
    let answer = json_of(&desk.form(&key, limits(misspelt)));
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["statusCode", "chatEnded", "messages"]);
    let notice = &answer["messages"][0];
    assert_eq!((&notice["type"], &notice["text"]), (&json!("Notice"), &json!("file-client-cfg-get")));
    assert_eq!((notice.get("index"), &notice["from"]["nickname"]), (None, &json!("Ann")));
    let limit = |name: &str| notice["userData"][name].as_str().unwrap().to_owned();
    let seen =
        ["upload-max-files", "upload-max-file-size", "upload-max-total-size", "used-upload-max-files"].map(limit);
    assert_eq!(seen, ["3", "2097152", "5242880", "1"]);
    assert_eq!((limit("used-upload-max-total-size"), limit("upload-need-agent")), ("3".into(), "false".into()));
}

#[test]
fn every_limit_has_its_code() {
    let mut desk = files(|files| {
        files.max_files = 3;
        files.max_file_size = 4;
        files.max_total_size = 6;
    });
    let key = desk.start(1, "Ann");
    assert_eq!(code(&desk.upload(&key, "a.txt", b"12345")), (2, false, 202));
    assert_eq!(code(&desk.upload(&key, "a.exe", b"1")), (2, false, 203));
    assert_eq!(code(&desk.upload(&key, "no ending", b"1")), (2, false, 203));
    let first = desk.upload(&key, "a.TXT", b"1234");
    assert_eq!(code(&desk.upload(&key, "a.txt", b"123")), (2, false, 202));
    desk.upload(&key, "a.txt", b"1");
    desk.upload(&key, "a.txt", b"1");
    assert_eq!(code(&desk.upload(&key, "a.txt", b"")), (2, false, 201));
    desk.form(&key, delete(first["userData"]["file-id"].as_str().unwrap()));
    assert_eq!(desk.upload(&key, "a.txt", b"12")["statusCode"], 0, "a deleted file gives its room back");
}

#[test]
fn an_agent_may_have_to_be_there() {
    let mut desk = files(|files| files.need_agent = true);
    let key = desk.start(1, "Ann");
    assert_eq!(code(&desk.upload(&key, "a.txt", b"1")), (2, false, 249));
    desk.joins(ChatNumber(1), "Mia").unwrap();
    assert_eq!(desk.upload(&key, "a.txt", b"1")["statusCode"], 0);
}

#[test]
fn a_file_needs_the_key_of_its_own_running_chat() {
    let mut desk = Desk::new();
    let (ann, bob) = (desk.start(1, "Ann"), desk.start(2, "Bob"));
    let file_id = desk.upload(&ann, "a.txt", b"private")["userData"]["file-id"].as_str().unwrap().to_owned();
    for key in ["guess", &bob] {
        for operation in [download(&file_id), delete(&file_id)] {
            let answer = json_of(&desk.form(key, operation));
            assert_eq!((code(&answer), answer.get("chatId")), ((2, false, 249), None));
        }
    }
    desk.publish(1, &end(&ann));
    assert_eq!(code(&json_of(&desk.form(&ann, download(&file_id)))), (2, true, 249));
}

#[rstest]
#[case(LimitsSpelling::Get, [0, 2])]
#[case(LimitsSpelling::Gets, [2, 0])]
fn one_spelling_may_be_unknown(#[case] spelling: LimitsSpelling, #[case] expected: [i64; 2]) {
    let mut desk = files(|files| files.limits_spelling = spelling);
    let key = desk.start(1, "Ann");
    let status =
        [false, true].map(|misspelt| json_of(&desk.form(&key, limits(misspelt)))["statusCode"].as_i64().unwrap());
    assert_eq!(status, expected);
}

#[rstest]
#[case(false, 0)]
#[case(true, 2)]
fn an_upload_may_have_to_say_what_it_is(#[case] needs_operation: bool, #[case] expected: i64) {
    let mut desk = files(|files| files.upload_needs_operation = needs_operation);
    let key = desk.start(1, "Ann");
    let file = Upload { name: "a.txt".to_owned(), media_type: None, bytes: Vec::new() };
    let operation = FileOperation::Upload { file, user_data: Map::new(), unnamed: true };
    assert_eq!(json_of(&desk.form(&key, operation))["statusCode"], expected);
}

#[test]
fn failures_may_look_otherwise() {
    let mut desk = files(|files| {
        files.failure_status = 400;
        files.bare_download_failure = true;
    });
    let failed = desk.form("guess", limits(false));
    assert_eq!((failed.status, code(&json_of(&failed))), (400, (2, false, 249)));
    let failed = desk.form("guess", download("x"));
    assert_eq!((failed.status, failed.body.len()), (404, 0));
}

#[test]
fn a_cookie_may_be_needed() {
    let mut desk = files(|files| files.need_cookie = true);
    let key = desk.start(1, "Ann");
    let form = FileRequest { operation: limits(false), secure_key: Secret::new(key) }.to_form();
    let (headers, body) = form.to_urlencoded().unwrap();
    assert_eq!(desk.post((headers.clone(), body.clone())).status, 401);
    assert_eq!(desk.post((headers.with("Cookie", &format!("{BROWSER_COOKIE}=b")), body)).status, 200);
}

#[test]
fn chat_server_must_be_there() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.server.lose(desk.now);
    assert_eq!(json_of(&desk.form(&key, limits(false)))["statusCode"], 1);
}

#[test]
fn what_is_no_form_is_refused() {
    let mut desk = Desk::new();
    let refused = json_of(&desk.post((Headers::new().with("Content-Type", "application/json"), b"{}".to_vec())));
    assert_eq!(code(&refused), (2, false, 100));
    let mut form = Form::default();
    form.put("operation", "fileCopy");
    assert_eq!(code(&json_of(&desk.post(form.to_urlencoded().unwrap()))), (2, false, 100));
    let get = Request { method: "GET".to_owned(), target: "/".to_owned(), headers: Headers::new(), body: Vec::new() };
    assert_eq!(desk.server.handle_file_request(desk.now, &get).status, 405);
}
