//! No secret gets through, equality does, and redacting twice is redacting once.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use protocol::bayeux::batch::Batch;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Headers, Request, Response, Side, Socket, Transport, Wire};
use recording::capture::Capture;
use recording::redaction::{Keep, Redactor};
use recording::tape::{ConnLabel, Finish, Tape};
use recording::token::{self, Class, Key};
use rstest::rstest;
use serde_json::{Value, json};

use crate::sample::{CHANNEL, Run, config, pieces, zoo};

const RUN: Run = Run::new(Transport::LongPolling);

fn redactor() -> Redactor {
    Redactor::new(Key::from_bytes([7; 32]))
}

fn message(redactor: &mut Redactor, text: &str) -> String {
    let entry = Entry { at: Time::ZERO, from: Side::Client, wire: Wire::Text(Socket(1), text.to_owned()) };
    match redactor.entry(&entry).into_inner().wire {
        Wire::Text(_, text) => text,
        other => panic!("a text stays a text: {other:?}"),
    }
}

fn value(redactor: &mut Redactor, message_value: &Value) -> Value {
    serde_json::from_str(&message(redactor, &message_value.to_string())).expect("a redacted message is JSON")
}

/// Entries with a canary in every sensitive place.
fn planted(c: &[String; 20]) -> Vec<Entry> {
    let request = json!({"operation": "requestChat", "nickname": c[0], "firstName": c[1], "lastName": c[2],
        "subject": c[3], "emailAddress": c[4], "text": c[5], "userData": {"a": c[6], c[7].as_str(): "x", "n": [c[6], {"d": c[6]}]},
        "secureKey": c[8], "auth": {"encoded": c[9]}, "pushUrl": c[10], "message": c[11], "zzz": c[12]});
    let answer = json!({"statusCode": 0, "chatEnded": false, "secureKey": c[8], "userId": c[13], "chatId": c[14],
        "alias": c[15], "messages": [{"type": "Message", "index": 1, "text": c[11], "from": {"nickname": c[0],
        "participantId": 1, "type": "Agent"}, "eventAttributes": {"x": {"y": c[6]}}, "messageType": c[5], "odd": [c[12]]}],
        "errors": [{"code": 249, "advice": format!("{} referenceId[{}]", c[11], c[12])}]});
    let body = json!([
        {"channel": CHANNEL, "id": "1", "clientId": c[16], "data": request, "ext": {"token": c[9], "deep": {"er": c[12]}}},
        {"channel": "/meta/connect", "successful": false, "error": format!("402:{},{}:{}", c[16], c[12], c[11])},
        {"channel": "/meta/connect", "successful": false, "error": c[11], "advice": {"reconnect": "none", "why": c[12]}},
        {"channel": CHANNEL, "data": answer},
        {"channel": CHANNEL, "data": c[11]},
    ]);
    let headers = Headers::new()
        .with("Cookie", &format!("BAYEUX_BROWSER={}; other={}", c[17], c[18]))
        .with("Authorization", &format!("Bearer {}", c[9]))
        .with("Referer", &format!("http://{}.example.org/{}?q={}", c[19], c[12], c[8]))
        .with("X-Other", &c[12])
        .with("Host", &format!("{}.example.org", c[19]));
    let set = Headers::new()
        .with("Set-Cookie", &format!("BAYEUX_BROWSER={}; Path=/{}; Domain={}.example.org", c[17], c[12], c[19]))
        .with("Location", &format!("/{}", c[8]))
        .with("Content-Type", &format!("text/html; x={}", c[8]));
    let target = format!("/genesys/{}/cometd?secureKey={}&{}=1", c[8], c[8], c[12]);
    let html = format!("<p>{} and {}</p>", c[0], c[8]);
    let entry = |from, wire| Entry { at: Time::ZERO, from, wire };
    let request = |body: String| Request {
        method: "POST".to_owned(),
        target: target.clone(),
        headers: headers.clone(),
        body: body.into_bytes(),
    };
    let response = |body: String| Response { status: 500, headers: set.clone(), body: body.into_bytes() };
    let callback = Request {
        method: "GET".to_owned(),
        target: format!("/genesys/cometd?jsonp={}&message={}", percent(&c[12]), percent(&body.to_string())),
        headers: headers.clone(),
        body: Vec::new(),
    };
    vec![
        entry(Side::Client, Wire::Request(Exchange(7), callback)),
        entry(Side::Server, Wire::Response(Exchange(7), response(format!("/**/{}({body});", c[12])))),
        entry(Side::Client, Wire::Request(Exchange(1), request(body.to_string()))),
        entry(Side::Server, Wire::Response(Exchange(1), response(html.clone()))),
        entry(
            Side::Client,
            Wire::Request(Exchange(2), request(format!("[{{\"channel\":\"/a\",\"data\":\"{}\"", c[8]))),
        ),
        entry(Side::Client, Wire::Upgrade(Socket(1), request(String::new()))),
        entry(Side::Server, Wire::Refused(Socket(1), response(html.clone()))),
        entry(Side::Server, Wire::Text(Socket(1), body[0].to_string())),
        entry(Side::Server, Wire::Text(Socket(1), html)),
        entry(Side::Server, Wire::Binary(Socket(1), c[8].clone().into_bytes())),
        entry(Side::Server, Wire::Ping(Socket(1), c[8].clone().into_bytes())),
        entry(Side::Server, Wire::Close(Socket(1), protocol::wire::Close { code: 1000, reason: c[8].clone() })),
    ]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |at: usize| {
        let bit = |bit: usize| bytes[bit / 8] >> (7 - bit % 8) & 1;
        char::from(DIGITS[(0..6).fold(0, |sum, place| sum * 2 + usize::from(bit(at * 6 + place)))])
    };
    (0..bytes.len() * 8 / 6).map(digit).collect()
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn assert_absent(tape: &str, canary: &str) {
    let escaped = json!(canary).to_string();
    let forms =
        [canary.to_owned(), escaped[1..escaped.len() - 1].to_owned(), percent(canary), base64(canary.as_bytes())];
    for form in forms {
        assert!(!tape.contains(&form), "`{form}` is on the tape:\n{tape}");
    }
}

#[test]
fn messages_of_callback_polling_stay_messages() {
    let message = json!([{"channel": "/a", "clientId": "abc", "data": {"text": "hello"}}]);
    let mut redactor = redactor();
    let target = format!("/genesys/cometd?jsonp=cb_1&message={}", percent(&message.to_string()));
    let request = Request { method: "GET".to_owned(), target, headers: Headers::new(), body: Vec::new() };
    let response =
        Response { status: 200, headers: Headers::new(), body: format!("/**/cb_1({message});").into_bytes() };
    let asked = Entry { at: Time::ZERO, from: Side::Client, wire: Wire::Request(Exchange(1), request) };
    let told = Entry { at: Time::ZERO, from: Side::Server, wire: Wire::Response(Exchange(1), response) };
    let (asked, told) = (redactor.entry(&asked).into_inner().wire, redactor.entry(&told).into_inner().wire);
    let texts = |wire: &Wire| Batch::carried(wire).iter().map(|message| message.text().to_owned()).collect::<Vec<_>>();
    assert_eq!((texts(&asked).len(), texts(&asked)), (1, texts(&told)));
    let (Wire::Request(_, request), Wire::Response(_, response)) = (asked, told) else {
        panic!("they stay what they are")
    };
    let function = token::token(&Key::from_bytes([7; 32]), Class::Unknown, "cb_1");
    assert!(request.target.starts_with("/genesys/cometd?jsonp=") && request.target.contains(&function));
    assert!(String::from_utf8(response.body).unwrap().starts_with(&format!("/**/{function}([")));
}

#[test]
fn the_name_of_a_service_is_kept_as_in_its_channel() {
    assert_eq!(redactor().service("we~ird!").get(), "we~ird!");
    assert!(redactor().service("a/ann@example.org").get().starts_with("a/mail_"));
}

#[test]
fn no_canary_reaches_the_tape() {
    let canaries: [String; 20] = std::array::from_fn(|number| format!("Canary \"{number:02}\" öß{}", number * 7919));
    let tape = String::from_utf8(pieces(RUN, &planted(&canaries), Some(Finish::Complete)).concat()).unwrap();
    for canary in &canaries {
        assert_absent(&tape, canary);
    }
    assert!(!tape.contains("Canary") && !tape.contains("10.1.2.3"), "{tape}");
}

proptest! {
    #[test]
    fn no_random_secret_reaches_the_tape(canaries in prop::array::uniform20("[A-Za-z0-9]{12,30}|[ -~]{12,20}[^\\x00-\\x7f]{2}")) {
        let tape = String::from_utf8(pieces(RUN, &planted(&canaries), Some(Finish::Complete)).concat()).unwrap();
        for canary in &canaries {
            assert_absent(&tape, canary);
        }
    }

    #[test]
    fn redacting_twice_is_redacting_once(canaries in prop::array::uniform20("[A-Za-z0-9]{1,30}")) {
        let (mut first, mut second) = (redactor(), Redactor::new(Key::from_bytes([9; 32])));
        for entry in planted(&canaries) {
            let once = first.entry(&entry).into_inner();
            prop_assert_eq!(second.entry(&once).into_inner(), once);
        }
    }

    #[test]
    fn any_text_is_redacted_without_panic(text in r#"[\[\]{}",:a0\\ ]{0,60}|.{0,40}"#, target in ".{0,30}") {
        let mut redactor = redactor();
        message(&mut redactor, &text);
        let headers = Headers::new().with("Cookie", &text).with("Set-Cookie", &text).with("Referer", &target);
        let request = Request { method: text.clone(), target, headers, body: text.into_bytes() };
        redactor.entry(&Entry { at: Time::ZERO, from: Side::Client, wire: Wire::Request(Exchange(1), request) });
    }
}

#[test]
fn redacting_the_zoo_twice_is_redacting_it_once() {
    let (mut first, mut second) = (redactor(), Redactor::new(Key::from_bytes([9; 32])));
    for entry in zoo() {
        let once = first.entry(&entry).into_inner();
        assert_eq!(second.entry(&once).into_inner(), once);
    }
}

/// The tape with each token replaced by its class and its number of first occurrence.
fn numbered(entries: &[Entry], key: u8) -> String {
    let tape = pieces(Run { key, ..RUN }, entries, None).concat();
    let tape = String::from_utf8(tape).expect("a tape is UTF-8");
    let (header, tape) = tape.split_once('\n').expect("a header");
    let mut seen: Vec<String> = Vec::new();
    let mut out = header.replace(&Key::from_bytes([key; 32]).id(), "<key>");
    let mut done = 0;
    for (range, class) in token::find(tape) {
        let token = &tape[range.clone()];
        let number = seen.iter().position(|known| known == token).unwrap_or_else(|| {
            seen.push(token.to_owned());
            seen.len() - 1
        });
        let shape = token.split_once('~').map_or("", |(_, shape)| shape);
        out.push_str(&format!("{}<{} {number} {shape}>", &tape[done..range.start], class.prefix()));
        done = range.end;
    }
    out + &tape[done..]
}

proptest! {
    #[test]
    fn a_tape_tells_nothing_about_the_values_of_secrets(
        one in prop::array::uniform20("[a-z]{3}[0-9]{9}"),
        other in prop::array::uniform20("[A-Z]{3}[0-9]{9}"),
    ) {
        prop_assert_eq!(numbered(&planted(&one), 7), numbered(&planted(&other), 8));
    }
}

#[test]
fn debug_of_a_redactor_shows_no_secret() {
    let mut redactor = redactor();
    for entry in zoo() {
        redactor.entry(&entry);
    }
    let shown = format!("{redactor:?}");
    for secret in ["secure-key", "Ann", "client-id", "browser-cookie", "example.org"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_name_that_is_also_a_word_of_the_protocol_spoils_nothing() {
    let mut redactor = redactor();
    let nick = json!({"channel": CHANNEL, "data": {"nickname": "application", "alias": "1000117", "firstName": "customer-support"}});
    value(&mut redactor, &nick);
    let headers = Headers::new().with("Content-Type", "application/json");
    let body = format!(r#"[{{"channel":"{CHANNEL}","id":"1000117"}}]"#).into_bytes();
    let response = Response { status: 200, headers, body };
    let entry = Entry { at: Time::ZERO, from: Side::Server, wire: Wire::Response(Exchange(1), response) };
    assert_eq!(redactor.entry(&entry).into_inner(), entry);
}

#[test]
fn a_key_is_not_on_its_tape() {
    let tape = pieces(RUN, &zoo(), Some(Finish::Complete)).concat();
    let key = "07".repeat(32);
    assert!(!String::from_utf8(tape).unwrap().contains(&key));
    assert!(!format!("{:?}", config(RUN)).contains("7, 7"));
}

#[test]
fn equal_values_stay_equal_in_every_place() {
    let mut redactor = redactor();
    let sent = value(
        &mut redactor,
        &json!({"channel": CHANNEL, "clientId": "c-12345",
            "data": {"operation": "sendMessage", "message": "hi", "secureKey": "k-12345"}}),
    );
    let heard = value(
        &mut redactor,
        &json!({"channel": CHANNEL, "error": "402:c-12345:Unknown client",
            "data": {"secureKey": "k-12345", "messages": [{"text": "hi"}], "odd": "k-12345"}}),
    );
    assert_eq!(sent["data"]["secureKey"], heard["data"]["secureKey"]);
    assert_eq!(sent["data"]["secureKey"], heard["data"]["odd"]);
    assert_eq!(sent["data"]["message"], heard["data"]["messages"][0]["text"]);
    assert_eq!(heard["error"], json!(format!("402:{}:Unknown client", sent["clientId"].as_str().unwrap())));
    assert_eq!(token::whole(sent["clientId"].as_str().unwrap()), Some(Class::ClientId));
}

#[rstest]
#[case(r#"{"channel":"/meta/connect","id":"12","successful":true}"#)]
#[case(r#"{"channel":"/service/chatV2/shop-24x7-123456","id":12}"#)]
#[case(r#"{"channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0beta","supportedConnectionTypes":["websocket"]}"#)]
#[case(r#"{"channel":"/meta/connect","error":"402::Unknown client","advice":{"reconnect":"handshake","interval":0}}"#)]
#[case(r#"{"channel":"/meta/connect","error":"402:: Unknown client"}"#)]
#[case(r#"{"channel":"/a","error":"403:/service/x:Forbidden channel"}"#)]
#[case(r#"{"channel":"/a","error":"403:denied_by_security_policy:create denied"}"#)]
#[case(r#"{"channel":"/a","error":"Authentication failed"}"#)]
#[case(r#"{"data":{"operation":"requestNotifications","transcriptPosition":"4"}}"#)]
#[case(r#"{"data":{"statusCode":2,"chatEnded":true,"errors":[{"code":249}],"nextPosition":7}}"#)]
#[case(r#"{"data":{"messages":[{"type":"SomethingNew","index":"7","utcTime":1700000000000}]}}"#)]
#[case(r#"{"data":{"userData":{"TimeZone":-480}}}"#)]
#[case(r#"{"data":{"secureKey":"","message":"","secureKey":null}}"#)]
#[case(r#"{"a":1,"a":2.50,"timestamp":1795428215999,"c":[true,null]}"#)]
fn keeps_what_says_how_the_protocol_went(#[case] kept: &str) {
    assert_eq!(message(&mut redactor(), kept), kept);
}

#[rstest]
#[case(r#"{"channel":"/a","data":{"x":"\ud800 Psst"}}"#)]
#[case(r#"{"channel":"/a","data":{"messages":[{"from":"Psst"}]}}"#)]
#[case(r#"{"channel":"/a","data":{"messages":["Psst"],"errors":"Psst"}}"#)]
#[case(r#"{"channel":"/a","data":{"operation":{"Psst":["Psst"]},"secureKey":{"Psst":"Psst"}}}"#)]
#[case(r#"{"channel":["Psst Psst"],"id":{"a":"Psst"},"advice":"Psst","ext":["Psst"]}"#)]
#[case(r#"{"channel":"/a","data":{"userData":"Psst","eventAttributes":[["Psst"]]}}"#)]
#[case(r#"{"channel":"/a","version":"Psst","timestamp":"Psst","supportedConnectionTypes":"Psst Psst"}"#)]
#[case(r#"{"channel":"/a@Psst","subscription":["/Psst11111"]}"#)]
fn a_text_where_another_type_belongs_is_hidden(#[case] text: &str) {
    let redacted = message(&mut redactor(), text);
    let values = redacted.replace(r#""Psst":"#, "");
    assert!(!values.contains("Psst"), "{redacted}");
}

#[test]
fn a_repeated_member_hides_nothing() {
    let redacted = message(&mut redactor(), r#"{"channel":"/a","secureKey":"first-one","secureKey":"second-one"}"#);
    assert!(!redacted.contains("first-one") && !redacted.contains("second-one"), "{redacted}");
    assert_eq!(redacted.matches("\"secureKey\":\"sk_").count(), 2);
}

#[test]
fn a_secret_number_stays_a_number() {
    let redacted =
        value(&mut redactor(), &json!({"data": {"secureKey": 4_711, "userData": {"phone": 4_917_012_345_678_u64}}}));
    assert!(redacted["data"]["secureKey"].is_u64() && redacted["data"]["secureKey"] != json!(4_711));
    assert!(!redacted.to_string().contains("4917012345678"));
}

/// Nobody knows what a number is where no rule names it; a short one is no key and no telephone number.
#[test]
fn a_long_number_at_an_unknown_place_is_hidden() {
    let mut redactor = redactor();
    let data = json!({"data": {"mood": 4_930_123_456_u64, "deep": [[{"x": 1_234_567}]], "few": 123_456}});
    let redacted = value(&mut redactor, &data);
    assert_eq!(redacted["data"]["few"], json!(123_456));
    assert!(!redacted.to_string().contains("4930123456") && !redacted.to_string().contains("1234567}"), "{redacted}");
    assert!(redacted["data"]["mood"].is_u64() && redacted["data"]["deep"][0][0]["x"].is_u64());
}

#[test]
fn a_known_secret_is_found_where_texts_are_kept() {
    let mut redactor = redactor();
    value(&mut redactor, &json!({"clientId": "secretclient"}));
    let redacted =
        message(&mut redactor, r#"{"channel":"/foo/secretclient","id":"x-SecretClient-1","secretclient":1}"#);
    assert!(!redacted.to_lowercase().contains("secretclient"), "{redacted}");
}

#[test]
fn html_is_one_token_that_tells_its_length() {
    let headers = Headers::new().with("Content-Type", "text/html");
    let response = Response { status: 503, headers, body: b"<h1>Bob</h1>".to_vec() };
    let entry = Entry { at: Time::ZERO, from: Side::Server, wire: Wire::Response(Exchange(1), response) };
    let Wire::Response(_, response) = redactor().entry(&entry).into_inner().wire else { panic!("a response") };
    let body = String::from_utf8(response.body).unwrap();
    assert!(body.starts_with("txt_") && body.ends_with("~len=12~u8=12"), "{body}");
}

/// What is no message may be anything that somebody wrote, even what looks like the token of a key.
#[test]
fn of_what_is_no_message_only_a_token_of_its_own_class_is_kept() {
    let mut redactor = redactor();
    let mut opaque = |class| {
        let said = redactor.token(class, "Ann").into_inner();
        let entry =
            Entry { at: Time::ZERO, from: Side::Server, wire: Wire::Binary(Socket(1), said.clone().into_bytes()) };
        let Wire::Binary(_, kept) = redactor.entry(&entry).into_inner().wire else { panic!("bytes stay bytes") };
        (said, String::from_utf8(kept).unwrap())
    };
    let (text, kept) = opaque(Class::Text);
    assert_eq!(kept, text);
    let (key, kept) = opaque(Class::SecureKey);
    assert_ne!(kept, key);
    assert_eq!(token::whole(&kept), Some(Class::Text));
}

/// A tape that keeps everything gives everything back, but for white space between the values of a message.
#[test]
fn what_is_kept_on_purpose_is_read_back() {
    let entry = |from, wire| Entry { at: Time::ZERO, from, wire };
    let request = |body: &[u8]| Request {
        method: "POST".to_owned(),
        target: "/ann?secureKey=k-12345".to_owned(),
        headers: Headers::new().with("X-Ann", "Ann").with("Authorization", "Basic QW5u"),
        body: body.to_vec(),
    };
    let entries = [
        entry(Side::Client, Wire::Request(Exchange(1), request(b"[ {\"channel\":\n\"/a\", \"data\" : \"Ann\"} ]"))),
        entry(Side::Client, Wire::Request(Exchange(2), request(b"\x89PNG of Ann"))),
        entry(Side::Server, Wire::Binary(Socket(1), b"\xff\xfe Ann".to_vec())),
        entry(Side::Server, Wire::Ping(Socket(1), b"Ann".to_vec())),
    ];
    let (mut capture, mut bytes) = Capture::keeping(config(RUN), Keep::Everything);
    for entry in &entries {
        bytes.extend(capture.entry(None, entry));
    }
    bytes.extend(capture.conn_open(Time::ZERO, ConnLabel(1), "http/1.1", "ann.example.org:80", false));
    let tape = Tape::read(&bytes).unwrap();
    assert_eq!(tape.header().keep, Keep::Everything);
    let mut expected = entries.to_vec();
    expected[0].wire = Wire::Request(Exchange(1), request(br#"[{"channel":"/a","data":"Ann"}]"#));
    assert_eq!(tape.entries(), expected);
    assert!(String::from_utf8_lossy(&bytes).contains(r#""peer":"ann.example.org:80""#));
}

#[test]
fn a_ping_that_is_no_text_is_hidden_even_then() {
    let entry = Entry { at: Time::ZERO, from: Side::Server, wire: Wire::Ping(Socket(1), vec![0xff, 0xfe]) };
    let kept = Redactor::keeping(Key::from_bytes([7; 32]), Keep::Everything).entry(&entry).into_inner();
    let Wire::Ping(_, payload) = kept.wire else { panic!("a ping") };
    assert_eq!(token::whole(&String::from_utf8(payload).unwrap()), Some(Class::Text));
}
