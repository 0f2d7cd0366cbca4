//! Whoever says the same again has his words back where a tape has their tokens.

use pretty_assertions::assert_eq;
use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Headers, Request, Response, Side, Socket, Wire};
use recording::originals::Originals;
use recording::redaction::Redactor;
use recording::tape::Mark;
use recording::token::Key;
use rstest::rstest;
use serde_json::{Value, json};

fn redacted(redactor: &mut Redactor, from: Side, wire: &Wire) -> Wire {
    redactor.entry(&Entry { at: Time::ZERO, from, wire: wire.clone() }).into_inner().wire
}

fn redactor() -> Redactor {
    Redactor::new(Key::from_bytes([7; 32]))
}

fn frame(value: &Value) -> Wire {
    Wire::Text(Socket(1), value.to_string())
}

fn post(target: &str, body: &str) -> Wire {
    let headers = Headers::new().with("Content-Type", "application/json").with("Origin", "https://shop.example");
    let request = Request { method: "POST".to_owned(), target: target.to_owned(), headers, body: body.into() };
    Wire::Request(Exchange(1), request)
}

fn get(target: &str) -> Wire {
    let request =
        Request { method: "GET".to_owned(), target: target.to_owned(), headers: Headers::new(), body: Vec::new() };
    Wire::Request(Exchange(1), request)
}

fn answer(body: &str) -> Wire {
    Wire::Response(Exchange(1), Response { status: 200, headers: Headers::new(), body: body.into() })
}

/// Lets a client say something and its peer answer; gives what comes back to a client that says the same again.
fn echoed(said: &Wire, came: &Wire) -> Wire {
    let mut redactor = redactor();
    let taped = redacted(&mut redactor, Side::Client, said);
    let answered = redacted(&mut redactor, Side::Server, came);
    let mut live = Originals::default();
    live.learn(said, &taped).expect("it is its own redacted form");
    let marks = live.relate(came, &answered).into_iter().map(|relation| Mark {
        line: 1,
        at: Time::ZERO,
        label: relation.label.to_owned(),
        tokens: relation.tokens,
    });
    let mut offline = Originals::new(&marks.collect::<Vec<_>>());
    offline.learn(said, &taped).expect("it is its own redacted form");
    offline.restore(&answered)
}

#[test]
fn own_words_come_back_and_others_stay_hidden() {
    let said =
        json!([{"channel": "/service/chatV2/x", "data": {"operation": "sendMessage", "message": "hello there"}}]);
    let came = json!([{"channel": "/service/chatV2/x", "data": {"messages": [
        {"type": "Message", "text": "hello there", "from": {"nickname": "Morgan"}}]}}]);
    let Wire::Text(_, text) = echoed(&frame(&said), &frame(&came)) else { panic!("a frame") };
    let value: Value = serde_json::from_str(&text).unwrap();
    let event = &value[0]["data"]["messages"][0];
    assert_eq!(event["text"], "hello there");
    assert!(event["from"]["nickname"].as_str().unwrap().starts_with("nick_"), "{event}");
}

#[rstest]
#[case::among_others("You wrote: hello there", true)]
#[case::otherwise("Hello There", false)]
fn a_text_that_holds_own_words_holds_them_again(#[case] text: &str, #[case] holds: bool) {
    let said = json!([{"channel": "/service/chatV2/x", "data": {"message": "hello there"}}]);
    let came = json!([{"channel": "/service/chatV2/x", "data": {"messages": [{"type": "Message", "text": text}]}}]);
    let Wire::Text(_, text) = echoed(&frame(&said), &frame(&came)) else { panic!("a frame") };
    assert_eq!(text.contains("hello there"), holds, "{text}");
    assert!(!text.contains("wrote"), "{text}");
}

#[test]
fn a_word_comes_back_where_it_has_another_token() {
    let said = json!([{"channel": "/service/chatV2/x", "data": {"nickname": "Robin-7"}}]);
    let came = json!([{"channel": "/service/chatV2/x", "data": {"messages": [{"text": "Robin-7"}]}}]);
    let back = echoed(&frame(&said), &frame(&came));
    assert_eq!(back, frame(&came));
}

#[rstest]
#[case::channel(json!([{"channel": "/tapestry/123456"}]))]
#[case::numbers(json!([{"channel": "/a", "data": {"userId": 123_456, "list": [1, null, true]}}]))]
#[case::names(json!([{"channel": "/a", "my own name 1234": "a", "data": "text"}]))]
#[case::errors(json!([{"channel": "/meta/connect", "clientId": "nobody77", "error": "402:nobody77:Unknown client"}]))]
fn what_is_said_comes_back_as_it_was(#[case] message: Value) {
    assert_eq!(echoed(&frame(&message), &frame(&message)), frame(&message));
}

#[test]
fn half_a_character_comes_back_as_it_was() {
    let text = r#"[{"channel":"/a","data":"\ud800"}]"#;
    let wire = Wire::Text(Socket(1), text.to_owned());
    assert_eq!(echoed(&wire, &wire), wire);
}

#[test]
fn a_body_that_nobody_understands_keeps_its_size_and_the_words_in_it() {
    let said = get("/genesys/cometd/?jsonp=alert%281%29%3Bcb&message=%5B%5D");
    let page = "<script>alert(1);cb([{}])</script>";
    let Wire::Response(_, response) = echoed(&said, &answer(page)) else { panic!("a response") };
    let text = String::from_utf8(response.body).unwrap();
    assert_eq!(text.len(), page.len());
    assert!(text.contains("alert(1);cb") && !text.contains("script"), "{text}");
}

#[test]
fn a_call_of_callback_polling_comes_back_as_one() {
    let said =
        get("/genesys/cometd/handshake?jsonp=tapestry_1&message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fhandshake%22%7D%5D");
    let call = r#"/**/tapestry_1([{"channel":"/meta/handshake","successful":true}]);"#;
    assert_eq!(echoed(&said, &answer(call)), answer(call));
}

#[test]
fn a_page_of_another_origin_is_told_its_own() {
    let headers = Headers::new().with("Access-Control-Allow-Origin", "https://shop.example");
    let came = Wire::Response(Exchange(1), Response { status: 200, headers, body: Vec::new() });
    assert_eq!(echoed(&post("/genesys/cometd/", "[]"), &came), came);
}

#[rstest]
#[case::word(r#"[{"channel":"/a","data":{"operation":"sendMessage"}}]"#, "`0.data.operation` is `sendMessage`")]
#[case::length(r#"[{"channel":"/a","data":{"operation":"startTyping","text":"four"}}]"#, "`0.data` is ")]
#[case::no_batch("[{", "is `[{`")]
fn another_message_is_told_with_its_place(#[case] said: &str, #[case] expected: &str) {
    let taped = r#"[{"channel":"/a","data":{"operation":"startTyping"}}]"#;
    let taped = redacted(&mut redactor(), Side::Client, &post("/cometd/", taped));
    let told = Originals::default().learn(&post("/cometd/", said), &taped).unwrap_err().to_string();
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_text_of_another_length_is_another() {
    let message = |text: &str| frame(&json!([{"channel": "/a", "data": {"text": text}}]));
    let taped = redacted(&mut redactor(), Side::Client, &message("hello"));
    assert!(Originals::default().learn(&message("hallo"), &taped).is_ok(), "nobody can tell");
    assert!(Originals::default().learn(&message("hello!"), &taped).is_err());
}

#[test]
fn another_kind_or_another_socket_is_another() {
    let close = |socket| Wire::Close(Socket(socket), Close { code: 1000, reason: String::new() });
    let taped = redacted(&mut redactor(), Side::Client, &close(1));
    assert!(Originals::default().learn(&close(1), &taped).is_ok());
    assert!(Originals::default().learn(&close(2), &taped).is_err());
    assert!(Originals::default().learn(&Wire::Text(Socket(1), String::new()), &taped).is_err());
}

/// What a client says with the tokens that it met, and a word of its own.
fn request(key: &str, word: &str) -> Wire {
    frame(&json!([{"channel": "/service/x", "data": {"secureKey": key, "message": word}}]))
}

#[test]
fn tokens_that_were_met_stand_for_themselves() {
    let (mine, other) = ("sk_0123456789", "sk_9876543210");
    let mut originals = Originals::default();
    originals.meet(&answer(&format!(r#"[{{"data":{{"secureKey":"{mine}"}}}}]"#)));
    originals.meet_text(&format!(r#"{{"message":"{WORD}"}}"#));
    assert_eq!(originals.hold(&request(mine, WORD), &request(mine, WORD)), Ok(()));
    for (key, word) in [(other, WORD), (mine, "word"), (mine, ""), ("key", WORD)] {
        let mismatch = originals.hold(&request(key, word), &request(mine, WORD)).unwrap_err();
        assert!(mismatch.place.starts_with("0.data."), "{mismatch}");
    }
}

const WORD: &str = "txt_0123456789~len=4~u8=4";

#[test]
fn what_a_speaker_makes_up_has_one_token_and_keeps_it() {
    let call = |name: &str| get(&format!("/cometd/?jsonp={name}"));
    let mut originals = Originals::default();
    assert_eq!(originals.hold(&call("first"), &call("unk_0123456789")), Ok(()));
    assert_eq!(originals.hold(&call("first"), &call("unk_0123456789")), Ok(()));
    assert_eq!(originals.hold(&call("second"), &call("unk_9876543210")), Ok(()));
    assert!(originals.hold(&call("third"), &call("unk_0123456789")).is_err());
    assert!(originals.hold(&call("first"), &call("unk_1111111111")).is_err());
}
