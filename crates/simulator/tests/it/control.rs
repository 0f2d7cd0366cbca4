//! The control API: what it does, and what it says to orders that it cannot carry out.

use pretty_assertions::assert_eq;
use protocol::chat::client::{Event, Sent};
use protocol::chat::notification::EventType;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Headers, Request, Transport, Wire};
use rstest::rstest;
use serde_json::{Value, json};
use simulator::control::{self, BODY_LIMIT};
use simulator::gms::{Gms, Settings};

use crate::chat::Talk;

fn request(method: &str, target: &str, body: &str) -> Request {
    let (method, target) = (method.to_owned(), target.to_owned());
    Request { method, target, headers: Headers::new(), body: body.as_bytes().to_vec() }
}

fn ask(talk: &mut Talk, method: &str, target: &str, body: &str) -> (u16, Value) {
    let now = talk.pair.now();
    let response = control::answer(&mut talk.pair.server, now, &request(method, target, body));
    talk.rest();
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

fn started() -> Talk {
    let mut talk = Talk::new(&[Transport::WebSocket], Settings::manual("support"));
    talk.start();
    talk.told.clear();
    talk
}

/// What the client was shown or told, by type.
fn told(talk: &mut Talk) -> Vec<Option<EventType>> {
    let events = talk.told.drain(..).filter_map(|event| match event {
        Event::Shown(event) | Event::Passing(event) => Some(event.event_type()),
        _ => None,
    });
    events.collect()
}

#[test]
fn each_step_arrives_as_its_event() {
    use EventType::{CustomNotice, Message, ParticipantJoined, ParticipantLeft, PushUrl, TypingStarted, TypingStopped};
    let mut talk = started();
    let steps = [
        (r#"{"step":"join","nickname":"Morgan"}"#, vec![ParticipantJoined]),
        (r#"{"step":"join","nickname":"Robo","role":"bot"}"#, vec![ParticipantJoined]),
        (r#"{"step":"type"}"#, vec![TypingStarted]),
        (r#"{"step":"stop-typing","as":"Robo"}"#, vec![TypingStopped]),
        (r#"{"step":"say","text":"Hello"}"#, vec![Message]),
        (r#"{"step":"push-url","url":"https://shop.example/"}"#, vec![PushUrl]),
        (r#"{"step":"notice","text":"n"}"#, vec![CustomNotice]),
        (r#"{"step":"transfer","nickname":"Robin"}"#, vec![ParticipantJoined, ParticipantLeft]),
        (r#"{"step":"leave","as":"Robo"}"#, vec![ParticipantLeft]),
        (r#"{"step":"close"}"#, vec![ParticipantLeft, ParticipantLeft]),
    ];
    for (body, expected) in steps {
        assert_eq!(ask(&mut talk, "POST", "/agent", body).0, 200, "{body}");
        assert_eq!(told(&mut talk), expected.into_iter().map(Some).collect::<Vec<_>>(), "{body}");
    }
}

#[rstest]
#[case::nickname(json!("Ann"), 200)]
#[case::number(json!(1), 200)]
#[case::another(json!("Bob"), 404)]
#[case::another_number(json!(2), 404)]
fn a_chat_is_found_by_its_name(#[case] chat: Value, #[case] status: u16) {
    let mut talk = started();
    let body = json!({"step": "join", "nickname": "Morgan", "chat": chat}).to_string();
    assert_eq!(ask(&mut talk, "POST", "/agent", &body).0, status);
}

#[test]
fn a_listed_chat_is_found_by_its_chat_id() {
    let mut talk = started();
    let (_, list) = ask(&mut talk, "GET", "/chats", "");
    let chat = &list["chats"][0];
    let expected = json!({"chat": 1, "chatId": chat["chatId"], "nickname": "Ann", "agents": [], "events": 2,
        "attached": true});
    assert_eq!(*chat, expected);
    let body = json!({"step": "join", "nickname": "Morgan", "chat": chat["chatId"]}).to_string();
    assert_eq!(ask(&mut talk, "POST", "/agent", &body), (200, json!({"done": "join", "chat": 1})));
}

#[rstest]
#[case("POST", "/agent", "", 400, "EOF while parsing")]
#[case("POST", "/agent", r#"{"step":"dance"}"#, 400, "`dance` is nothing that an agent can do")]
#[case("POST", "/agent", r#"{"step":"say"}"#, 400, "`say` needs `text`")]
#[case("POST", "/agent", r#"{"step":"leave","text":"x"}"#, 400, "`leave` has no `text`")]
#[case("POST", "/agent", r#"{"step":"join","nickname":"A","as":"B"}"#, 400, "nobody joins `as` somebody else")]
#[case("POST", "/agent", r#"{"step":"join","nickname":"A","role":"client"}"#, 400, "unknown variant `client`")]
#[case("POST", "/agent", r#"{"stop":"join"}"#, 400, "unknown field `stop`")]
#[case("POST", "/agent", r#"{"step":"leave"}"#, 409, "no such agent is in the chat")]
#[case("POST", "/agent", r#"{"step":"end","as":"Robin"}"#, 409, "no such agent is in the chat")]
#[case("POST", "/server", r#"{"happening":"chat-server off"}"#, 400, "`chat-server` needs `down`, `up` or `fail-over`")]
#[case("POST", "/server", r#"{"happening":"leave"}"#, 400, "`leave` is for an agent")]
#[case("POST", "/server", r#"{"happening":"node 2 down"}"#, 404, "there is no node 2")]
#[case("GET", "/agent", "", 405, "`GET` is nothing that can be done with `/agent`")]
#[case("GET", "/", "", 404, "there is no such path")]
fn what_cannot_be_done_is_said_with_a_remedy(
    #[case] method: &str,
    #[case] target: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] says: &str,
) {
    let mut talk = started();
    let (given, answer) = ask(&mut talk, method, target, body);
    let (error, hint) = (answer["error"].as_str().unwrap(), answer["hint"].as_str().unwrap());
    assert_eq!(given, status, "{error}");
    assert!(error.contains(says), "{error}");
    assert!(!hint.is_empty());
    assert_eq!(told(&mut talk), [], "nothing was done");
}

#[test]
fn one_of_several_chats_has_to_be_named() {
    let mut gms = Gms::new(Settings::manual("support"), 7);
    let leave = request("POST", "/agent", r#"{"step":"leave"}"#);
    let says = |gms: &mut Gms, error: &str| {
        let response = control::answer(gms, Time::ZERO, &leave);
        let answer: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(answer["error"], json!(error));
        response.status
    };
    assert_eq!(says(&mut gms, "no chat is running"), 404);
    let handshake = post(
        &mut gms,
        json!({"channel": "/meta/handshake", "version": "1.0",
        "supportedConnectionTypes": ["long-polling"]}),
    );
    for name in ["Ann", "Bob"] {
        let data = json!({"operation": "requestChat", "nickname": name});
        post(&mut gms, json!({"channel": "/service/chatV2/support", "clientId": handshake["clientId"], "data": data}));
    }
    assert_eq!(says(&mut gms, "several chats are running"), 409);
}

/// Sends one message over HTTP, from always the same browser, and gives the reply.
fn post(gms: &mut Gms, message: Value) -> Value {
    let headers = Headers::new().with("Content-Type", "application/json").with("Cookie", "BAYEUX_BROWSER=b");
    let request = Request { headers, ..request("POST", "/genesys/cometd", &json!([message]).to_string()) };
    gms.handle_input(Time::ZERO, Input::Wire(Wire::Request(Exchange(0), request)));
    loop {
        if let Output::Wire(Wire::Response(_, response)) = gms.poll_output().expect("an answer comes") {
            return serde_json::from_slice::<Value>(&response.body).unwrap()[0].clone();
        }
    }
}

#[test]
fn a_long_body_and_a_web_page_are_refused() {
    let mut talk = started();
    let long = format!(r#"{{"step":"say","text":"{}"}}"#, "x".repeat(BODY_LIMIT));
    assert_eq!(ask(&mut talk, "POST", "/agent", &long).0, 413);
    let mut page = request("POST", "/server", r#"{"happening":"chat-server down"}"#);
    page.headers = Headers::new().with("Origin", "http://127.0.0.1:3000");
    let now = talk.pair.now();
    assert_eq!(control::answer(&mut talk.pair.server, now, &page).status, 403);
}

#[test]
fn forgotten_sessions_come_back_with_their_chat() {
    let mut talk = started();
    assert_eq!(ask(&mut talk, "POST", "/server", r#"{"happening":"forget-sessions"}"#).0, 200);
    talk.say("still here");
    assert!(talk.told.iter().any(|event| matches!(event, Event::Sent(_, Sent::Delivered))));
}

#[rstest]
#[case(false, None)]
#[case(true, Some(json!("k")))]
fn a_key_in_a_handshake_is_echoed_if_the_server_is_set_so(#[case] echoes: bool, #[case] echoed: Option<Value>) {
    let mut settings = Settings::manual("support");
    settings.gms.handshake.echo_secure_key = echoes;
    let handshake = json!({"channel": "/meta/handshake", "version": "1.0", "secureKey": "k",
        "supportedConnectionTypes": ["long-polling"]});
    let reply = post(&mut Gms::new(settings, 7), handshake);
    assert_eq!(reply["successful"], json!(true));
    assert_eq!(reply.get("secureKey").cloned(), echoed);
}

#[test]
fn the_client_goes_by_its_own_key_whatever_a_handshake_reply_says() {
    let mut settings = Settings::manual("support");
    settings.gms.handshake.echo_secure_key = true;
    let mut talk = Talk::chatting_with(Transport::WebSocket, settings);
    assert_eq!(ask(&mut talk, "POST", "/server", r#"{"happening":"forget-sessions"}"#).0, 200);
    talk.say("still here");
    assert_eq!(talk.sent_operations("requestChat"), 1);
}
