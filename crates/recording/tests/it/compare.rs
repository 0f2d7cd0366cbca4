//! Two runs of one scenario are equal whatever carried them; every change of what was said is found.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use protocol::wire::{Entry, Exchange, Response, Side, Transport, Wire};
use recording::compare::{Canonical, Difference, compare, render};
use recording::tape::Tape;
use rstest::rstest;
use serde_json::{Value, json};

use crate::sample::{Builder, CHANNEL, Run, chat, tape};

const BASE: Run = Run::new(Transport::LongPolling);
const OTHER: Run = Run { transport: Transport::LongPolling, key: 8, salt: 42, ack_first: false };

/// The messages of a carrier changed, one by one; `None` removes one.
fn change(run: Run, edit: impl Fn(Value) -> Vec<Value>) -> Tape {
    let apply = |text: &str| {
        let messages: Vec<Value> = serde_json::from_str(text).expect("a batch");
        Value::from(messages.into_iter().flat_map(&edit).collect::<Vec<_>>()).to_string()
    };
    let entries: Vec<Entry> = chat(run)
        .into_iter()
        .map(|mut entry| {
            match &mut entry.wire {
                Wire::Request(_, request) => {
                    request.body = apply(&String::from_utf8_lossy(&request.body)).into_bytes();
                }
                Wire::Response(_, response) => {
                    response.body = apply(&String::from_utf8_lossy(&response.body)).into_bytes();
                }
                Wire::Text(_, text) => *text = apply(text),
                _ => {}
            }
            entry
        })
        .collect();
    tape(run, &entries)
}

fn base() -> Tape {
    tape(BASE, &chat(BASE))
}

/// The event of the transcript that a message brings, by index.
fn brings(message: &Value, index: u64) -> bool {
    message["data"]["messages"][0]["index"] == json!(index)
}

/// One line per difference: what is there on each side, and where they differ.
fn summary(differences: &[Difference]) -> Vec<String> {
    differences
        .iter()
        .map(|difference| {
            let side = |present: bool| if present { "message" } else { "nothing" };
            format!(
                "{} / {} {}",
                side(difference.before.is_some()),
                side(difference.after.is_some()),
                difference.members.join(" ")
            )
        })
        .collect()
}

#[rstest]
fn two_runs_of_a_scenario_are_equal(
    #[values(Transport::LongPolling, Transport::WebSocket)] first: Transport,
    #[values(Transport::LongPolling, Transport::WebSocket)] second: Transport,
    #[values(false, true)] ack_first: bool,
) {
    let (one, two) = (Run { transport: first, ..BASE }, Run { transport: second, key: 9, salt: 10_002, ack_first });
    let differences = compare(&tape(one, &chat(one)), &tape(two, &chat(two)));
    assert!(differences.is_empty(), "{}", differences[0]);
}

#[test]
fn the_golden_text_is_the_same_for_both_transports_and_any_salt() {
    let golden = Canonical::of(&base()).to_string();
    let other = Run { transport: Transport::WebSocket, ..OTHER };
    assert_eq!(Canonical::of(&tape(other, &chat(other))).to_string(), golden);
}

#[test]
fn a_golden_text_reads_like_the_conversation() {
    insta::assert_snapshot!(Canonical::of(&base()).to_string());
}

#[test]
fn a_tape_reads_like_the_traffic() {
    let entries = chat(BASE);
    let bytes = tape(BASE, &entries[..8]).to_bytes();
    insta::assert_snapshot!(String::from_utf8(bytes).expect("a tape is UTF-8"));
}

#[test]
fn a_changed_status_is_found() {
    let changed = change(OTHER, |mut message| {
        if brings(&message, 3) {
            message["data"]["statusCode"] = json!(2);
        }
        vec![message]
    });
    assert_eq!(summary(&compare(&base(), &changed)), ["message / message /data/statusCode"]);
}

#[test]
fn a_missing_event_is_found_and_nothing_else() {
    for index in 1..=5 {
        let changed = change(OTHER, |message| if brings(&message, index) { vec![] } else { vec![message] });
        assert_eq!(summary(&compare(&base(), &changed)), ["message / nothing "], "event {index}");
    }
}

#[test]
fn an_extra_message_is_found_and_nothing_else() {
    let changed = change(OTHER, |message| {
        let again = brings(&message, 4);
        let mut messages = vec![message.clone()];
        messages.extend(again.then_some(message));
        messages
    });
    let differences = compare(&base(), &changed);
    assert_eq!(summary(&differences), ["nothing / message "]);
}

#[test]
fn a_changed_type_is_found_in_its_member() {
    let changed = change(OTHER, |mut message| {
        if brings(&message, 2) {
            message["data"]["messages"][0]["utcTime"] = json!("1700000000000");
            message["data"]["messages"][0]["index"] = json!("2");
        }
        vec![message]
    });
    let differences = compare(&base(), &changed);
    assert_eq!(summary(&differences), ["message / message /data/messages/0/index /data/messages/0/utcTime"]);
}

#[rstest]
#[case::seconds_for_milliseconds("/data/messages/0/utcTime", json!(1_700_000_000))]
#[case::another_event_type("/data/messages/0/type", json!("Notice"))]
#[case::another_index("/data/messages/0/index", json!(0))]
#[case::a_stuck_cursor("/data/nextPosition", json!(4))]
#[case::the_end_too_soon("/data/chatEnded", json!(true))]
#[case::another_secret("/data/secureKey", json!("another-key"))]
#[case::another_participant("/data/messages/0/from/participantId", json!(3))]
#[case::another_text("/data/messages/0/from/nickname", json!("Ann Smith"))]
#[case::a_new_member("/data/monitored", json!(true))]
fn a_changed_member_is_found_where_it_is(#[case] pointer: &str, #[case] value: Value) {
    let changed = change(OTHER, |mut message| {
        if brings(&message, 4) {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            message.pointer_mut(parent).expect("a member")[name] = value.clone();
        }
        vec![message]
    });
    assert_eq!(summary(&compare(&base(), &changed)), [format!("message / message {pointer}")]);
}

#[test]
fn two_names_that_become_one_are_found_where_it_happens() {
    let changed = change(OTHER, |mut message| {
        if brings(&message, 2) || brings(&message, 4) {
            message["data"]["messages"][0]["from"]["nickname"] = json!("Ann Smith");
        }
        vec![message]
    });
    let found: Vec<Value> = compare(&base(), &changed)
        .iter()
        .filter_map(|difference| Some(difference.before.as_ref()?.value["data"]["messages"][0]["index"].clone()))
        .collect();
    assert_eq!(found, [json!(2), json!(4)]);
}

#[test]
fn deliveries_that_overtake_each_other_are_equal() {
    let order = |swapped: bool| {
        let mut builder = Builder::new(BASE);
        let mut events: Vec<Value> = [1, 2]
            .into_iter()
            .map(|index| {
                let event = builder.event(index, "Message", ("Bob Agent", 2, "Agent"), Some("hello"));
                json!({"channel": CHANNEL, "data": builder.envelope(index + 1, false, &[event])})
            })
            .collect();
        if swapped {
            events.reverse();
        }
        builder.connect(false, &events);
        tape(BASE, &builder.entries)
    };
    assert_eq!(compare(&order(false), &order(true)), []);
}

#[rstest]
#[case("1234567890", "1234567891", 1)]
#[case("1", "1.0", 1)]
#[case("1.50", "1.5", 0)]
#[case(r#"{"a":1,"b":2}"#, r#"{ "b":2, "a":1 }"#, 0)]
#[case(r#"{"a":1,"a":2}"#, r#"{"a":2}"#, 1)]
fn values_are_compared_and_not_their_spelling(#[case] one: &str, #[case] other: &str, #[case] differences: usize) {
    let with = |value: &str| {
        let text = format!(r#"[{{"channel":"/a","advice":{{"maxInterval":{value}}}}}]"#);
        let wire = Wire::Text(protocol::wire::Socket(1), text);
        tape(BASE, &[Entry { at: protocol::time::Time::ZERO, from: Side::Server, wire }])
    };
    assert_eq!(compare(&with(one), &with(other)).len(), differences);
}

#[test]
fn typing_is_independent_of_the_transcript() {
    let order = |late: bool| {
        let mut builder = Builder::new(BASE);
        let event = builder.event(1, "Message", ("Bob Agent", 2, "Agent"), Some("hello"));
        let typing =
            json!({"type": "TypingStarted", "from": {"nickname": "Bob Agent", "participantId": 2, "type": "Agent"}});
        let mut events = vec![
            json!({"channel": CHANNEL, "data": builder.envelope(2, false, &[event])}),
            json!({"channel": CHANNEL, "data": builder.envelope(2, false, &[typing])}),
        ];
        if late {
            events.reverse();
        }
        builder.connect(false, &events);
        tape(BASE, &builder.entries)
    };
    assert_eq!(compare(&order(false), &order(true)), []);
}

#[test]
fn what_a_held_connect_answers_after_the_disconnect_is_set_aside() {
    let run = Run { transport: Transport::WebSocket, ..OTHER };
    let mut entries = chat(run);
    let close = entries.pop().expect("entries");
    let late = json!([{"channel": "/meta/connect", "successful": false, "advice": {"reconnect": "none"}}]);
    let wire = Wire::Text(protocol::wire::Socket(1), late.to_string());
    let held = json!([{"channel": "/meta/connect", "id": "7", "clientId": Builder::new(run).client_id()}]);
    let held = Wire::Text(protocol::wire::Socket(1), held.to_string());
    let disconnect = entries.len() - 2;
    entries.insert(disconnect, Entry { at: close.at, from: Side::Client, wire: held });
    entries.push(Entry { at: close.at, from: Side::Server, wire });
    let differences = compare(&base(), &tape(run, &entries));
    assert!(differences.is_empty(), "{}", differences[0]);
}

#[test]
fn connection_types_are_compared_as_a_set() {
    let changed = |types: &Value| {
        change(OTHER, |mut message| {
            if message["channel"] == "/meta/handshake" && message["successful"] == true {
                message["supportedConnectionTypes"] = types.clone();
            }
            vec![message]
        })
    };
    assert_eq!(compare(&base(), &changed(&json!(["websocket", "long-polling"]))), []);
    let without = compare(&base(), &changed(&json!(["long-polling"])));
    assert_eq!(summary(&without), ["message / message /supportedConnectionTypes/1"]);
}

#[test]
fn events_in_another_order_are_found_even_if_they_are_alike() {
    let order = |first: u64, second: u64| {
        let mut builder = Builder::new(BASE);
        let events: Vec<Value> = [first, second]
            .into_iter()
            .map(|member| json!({"channel": CHANNEL, "data": {"statusCode": 0, "chatEnded": false, "typing": member}}))
            .collect();
        builder.connect(false, &events);
        tape(BASE, &builder.entries)
    };
    assert_eq!(compare(&order(1, 2), &order(1, 2)), []);
    assert_eq!(summary(&compare(&order(1, 2), &order(2, 1))).len(), 2);
}

#[test]
fn an_acknowledgement_under_another_id_is_found() {
    let changed = change(OTHER, |mut message| {
        if message["channel"] == "/meta/disconnect" && message["successful"] == true {
            message["id"] = json!("999");
        }
        vec![message]
    });
    assert_eq!(compare(&base(), &changed).len(), 2);
}

#[test]
fn a_failed_connect_is_found() {
    let changed = change(OTHER, |mut message| {
        if message["channel"] == "/meta/connect" && message["advice"]["timeout"] == 30_000 {
            message["successful"] = json!(false);
            message["error"] = json!("402::Unknown client");
        }
        vec![message]
    });
    assert_eq!(summary(&compare(&base(), &changed)), ["message / message /error /successful"]);
}

#[test]
fn an_error_page_in_place_of_replies_is_found() {
    let mut entries = chat(OTHER);
    let last = entries.last_mut().expect("entries");
    last.wire = Wire::Response(
        Exchange(8),
        Response { status: 502, headers: Default::default(), body: b"<h1>bad gateway</h1>".to_vec() },
    );
    let differences = compare(&base(), &tape(OTHER, &entries));
    assert_eq!(summary(&differences), ["message / nothing ", "nothing / message "]);
}

#[test]
fn a_difference_is_shown_with_its_member_marked() {
    let changed = change(OTHER, |mut message| {
        if message["channel"] == "/meta/disconnect" && message["successful"] == true {
            message["successful"] = json!(false);
        }
        vec![message]
    });
    let shown = compare(&base(), &changed)[0].to_string();
    insta::assert_snapshot!(shown, @r#"
    session 1: /successful differs
      - line 39 <- {"channel":"/meta/disconnect","id":"id#5",>>"successful":true<<}
      + line 43 <- {"channel":"/meta/disconnect","id":"id#5",>>"successful":false<<}
    "#);
}

#[test]
fn differences_are_printed_for_a_terminal_and_for_a_program() {
    let changed = change(OTHER, |mut message| {
        if brings(&message, 4) {
            message["data"]["statusCode"] = json!(2);
            message["data"]["messages"][0]["type"] = json!("Notice");
        }
        if brings(&message, 3) || message["channel"] == "/meta/disconnect" { vec![] } else { vec![message] }
    });
    let differences = compare(&base(), &changed);
    insta::assert_snapshot!(render::text(&differences, 100));
    insta::assert_json_snapshot!(render::json(&differences));
}

#[test]
fn nothing_is_printed_for_equal_tapes() {
    let differences = compare(&base(), &tape(OTHER, &chat(OTHER)));
    assert_eq!(render::text(&differences, 100), "");
    assert_eq!(render::json(&differences), json!({"differences": []}));
}

#[rstest]
#[case(20)]
#[case(100)]
#[case(usize::MAX)]
fn lines_are_broken_between_members_only(#[case] width: usize) {
    let changed = change(OTHER, |message| if brings(&message, 4) { vec![] } else { vec![message] });
    let differences = compare(&base(), &changed);
    let text = render::text(&differences, width);
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    assert!(width < 100 || longest <= width, "{text}");
    let whole: String = text.lines().skip(1).map(str::trim_start).collect();
    let shown = differences[0].before.as_ref().expect("a message is missing");
    assert_eq!(whole, format!("- line {} <- {}1 difference", shown.line, shown.value));
}

#[test]
fn sessions_are_paired_in_the_order_of_their_handshakes() {
    let two = |run: Run| {
        let mut entries = chat(run);
        let shift = entries.last().expect("entries").at;
        let again = Run { salt: run.salt + 1_000, transport: Transport::LongPolling, ..run };
        entries.extend(chat(again).into_iter().map(|mut entry| {
            entry.at = entry.at + shift.since(protocol::time::Time::ZERO);
            if let Wire::Request(exchange, _) | Wire::Response(exchange, _) = &mut entry.wire {
                exchange.0 += 1_000;
            }
            entry
        }));
        tape(run, &entries)
    };
    let ws = Run { transport: Transport::WebSocket, ..OTHER };
    let differences = compare(&two(BASE), &two(ws));
    assert!(differences.is_empty(), "{}", differences[0]);
    assert_eq!(Canonical::of(&two(BASE)).to_string().matches("session ").count(), 2);
}

#[test]
fn messages_outside_of_any_session_are_compared_too() {
    let lone = |error: &str| {
        let mut builder = Builder::new(BASE);
        builder.exchange(
            &json!({"channel": CHANNEL, "id": "1", "clientId": "nobody", "data": {"operation": "disconnect"}}),
            &[json!({"channel": CHANNEL, "id": "1", "successful": false, "error": error})],
        );
        tape(BASE, &builder.entries)
    };
    assert_eq!(compare(&lone("402::Unknown client"), &lone("402::Unknown client")), []);
    assert_eq!(
        summary(&compare(&lone("402::Unknown client"), &lone("402::session_unknown"))),
        ["message / message /error"]
    );
}

proptest! {
    #[test]
    fn a_tape_equals_itself_under_any_split_of_the_answers(cuts in prop::collection::vec(any::<bool>(), 40)) {
        let run = Run { transport: Transport::WebSocket, ..OTHER };
        let mut cuts = cuts.into_iter().cycle();
        let mut entries: Vec<Entry> = Vec::new();
        for entry in chat(run) {
            let merged = match (entries.last_mut().map(|last| (last.from, &mut last.wire)), &entry.wire) {
                (Some((Side::Server, Wire::Text(_, last))), Wire::Text(_, text))
                    if entry.from == Side::Server && cuts.next() == Some(true) =>
                {
                    *last = format!("{},{}", &last[..last.len() - 1], &text[1..]);
                    true
                }
                _ => false,
            };
            if !merged {
                entries.push(entry);
            }
        }
        let differences = compare(&base(), &tape(run, &entries));
        prop_assert!(differences.is_empty(), "{}", differences[0]);
    }

    #[test]
    fn any_tapes_are_compared_without_panic(keep in prop::collection::vec(any::<bool>(), 40), swap in any::<bool>()) {
        let some: Vec<Entry> =
            chat(OTHER).into_iter().zip(keep.iter().cycle()).filter(|(_, keep)| **keep).map(|(entry, _)| entry).collect();
        let (a, b) = (base(), tape(OTHER, &some));
        let differences = if swap { compare(&b, &a) } else { compare(&a, &b) };
        for difference in differences {
            prop_assert!(difference.before.is_some() || difference.after.is_some());
            prop_assert!(!difference.to_string().is_empty());
        }
    }
}
