//! A tape that was tampered with diverges where it was, and a change that no client could notice does not.

use pretty_assertions::assert_eq;
use protocol::bayeux::http::{
    CALLBACK_PARAMETER, Cookies, MESSAGE_PARAMETER, callback_argument, callback_request, query_values,
};
use protocol::wire::{Entry, Side, Transport, Wire};
use recording::tape::{Finish, Tape};
use replayer::{Replay, replay};
use rstest::rstest;
use serde_json::{Value, json};
use simulator::link::{Fault, Rule, Unit};

use crate::runs::{Run, tape};

const SEED: u64 = 3;
const SERVICE: &str = "/service/chatV2/support";

/// The entries of an ordinary chat, as they stand on its tape.
fn chat(transport: Transport) -> Vec<Entry> {
    Run::new(transport, SEED).tape().entries()
}

/// Changes the messages of one side, one by one, into any number of messages.
pub(crate) fn change(entries: Vec<Entry>, side: Side, mut edit: impl FnMut(Value) -> Vec<Value>) -> Tape {
    let mut apply = |text: &str| -> String {
        let messages: Vec<Value> = serde_json::from_str(text).expect("a batch");
        Value::from(messages.into_iter().flat_map(&mut edit).collect::<Vec<_>>()).to_string()
    };
    let mut changed = Vec::new();
    for mut entry in entries {
        if entry.from == side {
            rewrite(&mut entry.wire, &mut apply);
            if matches!(&entry.wire, Wire::Text(_, text) if text == "[]") {
                continue;
            }
        }
        changed.push(entry);
    }
    tape(SEED, &changed, Some(Finish::Complete))
}

/// Changes the text of the messages that something carries, over callback-polling in the query or in the call.
pub(crate) fn rewrite(wire: &mut Wire, mut apply: impl FnMut(&str) -> String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match wire {
        Wire::Request(_, request) if request.method == "GET" => {
            let value = |name: &str| query_values(&request.target, name).concat();
            let (function, messages) = (value(CALLBACK_PARAMETER), value(MESSAGE_PARAMETER));
            let path = request.target.split('?').next().expect("a path").to_owned();
            let call = callback_request("", &[], &function, &apply(&messages), &Cookies::new()).target;
            request.target = call.replacen('/', &path, 1);
        }
        // A browser asks for leave without a word.
        Wire::Request(_, request) if request.body.is_empty() => {}
        Wire::Request(_, request) => request.body = apply(&text(&request.body)).into_bytes(),
        Wire::Response(_, response) if response.body.is_empty() => {}
        Wire::Response(_, response) => {
            let messages = text(callback_argument(&response.body));
            response.body = text(&response.body).replacen(&messages, &apply(&messages), 1).into_bytes();
        }
        Wire::Text(_, text) => *text = apply(text),
        _ => {}
    }
}

/// Changes the one message at which `wanted` says so for the time given, counting from 0.
fn change_nth(
    transport: Transport,
    side: Side,
    nth: usize,
    wanted: impl Fn(&Value) -> bool,
    edit: impl Fn(Value) -> Vec<Value>,
) -> Replay {
    let mut seen = 0;
    let tape = change(chat(transport), side, |message| {
        if wanted(&message) {
            seen += 1;
            if seen == nth + 1 {
                return edit(message);
            }
        }
        vec![message]
    });
    assert!(seen > nth, "there is no such message");
    replay(&tape)
}

pub(crate) fn asks(operation: &str) -> impl Fn(&Value) -> bool {
    move |message| message["data"]["operation"] == operation
}

pub(crate) fn brings(index: u64) -> impl Fn(&Value) -> bool {
    move |message| message["data"]["messages"][0]["index"] == index
}

fn is_reply_on(channel: &'static str) -> impl Fn(&Value) -> bool {
    move |message| message["channel"] == channel && message.get("successful").is_some()
}

fn with(pointer: &str, value: Value) -> impl Fn(Value) -> Vec<Value> {
    move |mut message| {
        *message.pointer_mut(pointer).expect("the member is there") = value.clone();
        vec![message]
    }
}

fn remove(_: Value) -> Vec<Value> {
    Vec::new()
}

/// What each divergence is, with the operation, channel or index that it is about.
pub(crate) fn kinds(replay: &Replay) -> Vec<String> {
    let about = |value: &Value| {
        let operation = value["data"]["operation"].as_str();
        operation.or_else(|| value["channel"].as_str()).map_or_else(|| value["index"].to_string(), str::to_owned)
    };
    let kind = |divergence: &replayer::Divergence| {
        let value = divergence.recorded.as_ref().or(divergence.live.as_ref());
        format!("{} {}", divergence.what.id(), value.map(about).unwrap_or_default())
    };
    replay.divergences.iter().map(kind).collect()
}

#[track_caller]
pub(crate) fn diverges(replay: &Replay, kind: &str) {
    assert!(kinds(replay).iter().any(|found| found == kind), "no `{kind}` in\n{}", replay.text(160));
    assert_eq!(replay.exit_code(), 1);
}

const ALL: [Transport; 3] = [Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling];

#[test]
fn an_untouched_tape_does_not_diverge() {
    for transport in ALL {
        let replay = replay(&change(chat(transport), Side::Server, |message| vec![message]));
        assert_eq!(replay.divergences, [], "{}", replay.text(160));
    }
}

#[test]
fn a_refused_message_is_sent_again() {
    for transport in ALL {
        let acks = |message: &Value| is_reply_on(SERVICE)(message);
        let refuse = |mut message: Value| {
            message["successful"] = json!(false);
            message["error"] = json!("403::publish denied");
            vec![message]
        };
        let replay = change_nth(transport, Side::Server, 1, acks, refuse);
        diverges(&replay, "unexpected sendMessage");
    }
}

#[test]
fn an_echo_that_says_something_else_is_noticed() {
    for transport in ALL {
        let other = json!("txt_0123456789~len=5~u8=5");
        let replay = change_nth(transport, Side::Server, 0, brings(7), with("/data/messages/0/text", other));
        assert_eq!(kinds(&replay)[0], "never-said 7", "{}", replay.text(160));
        diverges(&replay, "unexpected requestNotifications");
    }
}

#[test]
fn a_lost_echo_makes_the_client_ask() {
    for transport in ALL {
        let replay = change_nth(transport, Side::Server, 0, brings(7), remove);
        diverges(&replay, "unexpected requestNotifications");
    }
}

#[test]
fn a_message_without_its_request_is_noticed() {
    for transport in ALL {
        let replay = change_nth(transport, Side::Client, 1, asks("sendMessage"), remove);
        diverges(&replay, "never-said 7");
        if transport == Transport::WebSocket {
            diverges(&replay, "reply-to-nothing /service/chatV2/support");
        }
    }
}

#[test]
fn a_second_chat_in_a_running_one_is_refused() {
    for transport in ALL {
        let twice = |message: Value| {
            let mut chat = message.clone();
            chat["id"] = json!("1000");
            chat["data"] = json!({"operation": "requestChat", "nickname": "nick_0123456789"});
            vec![message, chat]
        };
        let replay = change_nth(transport, Side::Client, 1, asks("sendMessage"), twice);
        diverges(&replay, "refused requestChat");
    }
}

#[test]
fn messages_in_another_order_are_noticed() {
    for transport in ALL {
        let mut texts = Vec::new();
        change(chat(transport), Side::Client, |message| {
            texts.extend(message["data"]["message"].as_str().map(str::to_owned));
            vec![message]
        });
        texts.swap(0, 1);
        let mut texts = texts.into_iter();
        let replay = replay(&change(chat(transport), Side::Client, |mut message| {
            if asks("sendMessage")(&message) {
                message["data"]["message"] = json!(texts.next());
            }
            vec![message]
        }));
        diverges(&replay, "unexpected requestNotifications");
    }
}

#[rstest]
#[case("requestChat", "refused requestChat")]
#[case("startTyping", "never-said 7")]
#[case("requestNotifications", "never-said 7")]
#[case("disconnect", "never-said 7")]
fn another_operation_is_noticed(#[case] operation: &str, #[case] kind: &str) {
    for transport in ALL {
        let replay =
            change_nth(transport, Side::Client, 1, asks("sendMessage"), with("/data/operation", json!(operation)));
        diverges(&replay, kind);
    }
}

#[rstest]
#[case("/clientId", json!("cid_0123456789"), "differs sendMessage")]
#[case("/data/secureKey", json!("sk_0123456789"), "differs sendMessage")]
fn another_credential_is_noticed(#[case] pointer: &str, #[case] value: Value, #[case] kind: &str) {
    for transport in ALL {
        let replay = change_nth(transport, Side::Client, 1, asks("sendMessage"), with(pointer, value.clone()));
        diverges(&replay, kind);
        assert_eq!(replay.divergences[0].members, [pointer], "{}", replay.text(160));
    }
}

#[test]
fn another_version_in_the_handshake_is_noticed() {
    for transport in ALL {
        let handshake = |message: &Value| message["channel"] == "/meta/handshake";
        let replay = change_nth(transport, Side::Client, 0, handshake, with("/version", json!("2.0")));
        assert_eq!(kinds(&replay), ["differs /meta/handshake"], "{}", replay.text(160));
    }
}

#[test]
fn a_used_index_hides_an_event() {
    for transport in ALL {
        let replay = change_nth(transport, Side::Server, 0, brings(6), with("/data/messages/0/index", json!(4)));
        assert_eq!(kinds(&replay)[0], "not-shown 4", "{}", replay.text(160));
    }
}

#[test]
fn an_event_of_another_chat_is_not_shown() {
    for transport in ALL {
        let other = json!("chat_0123456789");
        let replay = change_nth(transport, Side::Server, 0, brings(6), with("/data/chatId", other));
        diverges(&replay, "not-shown 6");
    }
}

#[test]
fn events_in_another_order_are_lost_on_a_socket() {
    let mut held = None;
    let tape = change(chat(Transport::WebSocket), Side::Server, |message| {
        if brings(3)(&message) {
            held = Some(message);
            return Vec::new();
        }
        if brings(4)(&message) { [vec![message], held.take().into_iter().collect()].concat() } else { vec![message] }
    });
    let replay = replay(&tape);
    assert_eq!(kinds(&replay), ["not-shown 3"], "{}", replay.text(160));
}

#[test]
fn an_added_event_under_a_used_index_is_not_shown() {
    for transport in ALL {
        let add = |message: Value| {
            let mut other = message.clone();
            other["data"]["messages"][0]["text"] = json!("txt_0123456789~len=5~u8=5");
            vec![message, other]
        };
        let replay = change_nth(transport, Side::Server, 0, brings(6), add);
        diverges(&replay, "not-shown 6");
    }
}

#[test]
fn a_repeated_delivery_is_shown_once() {
    for transport in ALL {
        let replay = change_nth(transport, Side::Server, 0, brings(6), |message| vec![message.clone(), message]);
        assert_eq!(replay.divergences, [], "{}", replay.text(160));
    }
}

#[test]
fn a_repeated_reply_changes_nothing() {
    for channel in [SERVICE, "/meta/connect", "/meta/handshake"] {
        let twice = |message: Value| vec![message.clone(), message];
        let replay = change_nth(Transport::WebSocket, Side::Server, 0, is_reply_on(channel), twice);
        assert_eq!(replay.divergences, [], "{}", replay.text(160));
    }
}

#[test]
fn a_forgotten_session_makes_the_client_handshake() {
    for transport in ALL {
        let forget = |mut message: Value| {
            message["successful"] = json!(false);
            message["error"] = json!("402::Unknown client");
            message["advice"] = json!({"reconnect": "handshake", "interval": 0});
            vec![message]
        };
        let replay = change_nth(transport, Side::Server, 0, is_reply_on("/meta/connect"), forget);
        diverges(&replay, "unexpected /meta/handshake");
    }
}

#[test]
fn an_early_end_cuts_the_client_short() {
    for transport in ALL {
        let replay = change_nth(transport, Side::Server, 0, brings(6), with("/data/chatEnded", json!(true)));
        assert_eq!(kinds(&replay)[0], "refused sendMessage", "{}", replay.text(160));
    }
}

#[test]
fn another_transcript_position_is_noticed() {
    for transport in ALL {
        let rules = vec![Rule::once(Unit::Channel(Side::Server, SERVICE.to_owned()), Fault::Lose).after(5)];
        let run = Run { rules, until: 20_000, ..Run::new(transport, SEED) };
        let entries = run.tape().entries();
        let untouched = replay(&change(entries.clone(), Side::Client, |message| vec![message]));
        assert_eq!(untouched.divergences, [], "{}", untouched.text(160));
        let mut positions = Vec::new();
        let tampered = replay(&change(entries, Side::Client, |mut message| {
            if asks("requestNotifications")(&message) {
                positions.push(message["data"]["transcriptPosition"].clone());
                message["data"]["transcriptPosition"] = json!(77);
            }
            vec![message]
        }));
        assert!(!positions.is_empty(), "the client asked after the loss");
        assert_eq!(kinds(&tampered)[0], "differs requestNotifications", "{}", tampered.text(160));
    }
}

#[test]
fn a_divergence_shows_both_messages() {
    let replay = change_nth(
        Transport::WebSocket,
        Side::Client,
        1,
        asks("sendMessage"),
        with("/data/secureKey", json!("sk_0123456789")),
    );
    insta::assert_snapshot!(replay.text(100));
    insta::assert_json_snapshot!(replay.json());
}

#[test]
fn what_is_missing_is_shown_with_what_was_there() {
    let replay = change_nth(Transport::LongPolling, Side::Server, 0, brings(7), remove);
    insta::assert_snapshot!(replay.text(100));
}
