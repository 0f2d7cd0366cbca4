//! What a chat server can do wrong beside talking: typing, notices, pages, names, data, keys, positions, and what is no
//! proper request.

use std::time::Duration;

use serde_json::{Value, json};

use super::Mutation;
use super::change::{body, data, events, has_event, is, is_acknowledgement, is_told, keep_events, said_by, without};

fn operation(message: &Value) -> &str {
    message["data"]["operation"].as_str().unwrap_or_default()
}

/// Turns a request into one for an operation that nobody knows, which is refused.
fn refused(mut message: Value) -> Option<Value> {
    message["data"]["operation"] = "none".into();
    Some(message)
}

fn of_type(event: &Value, kinds: &[&str]) -> bool {
    event["type"].as_str().is_some_and(|kind| kinds.contains(&kind))
}

/// Drops events as they happen.
fn unheard(message: Value, kinds: &[&str]) -> Vec<Value> {
    if is_told(&message) { keep_events(message, |event| !of_type(event, kinds)) } else { vec![message] }
}

/// Gives a request what it lacks.
fn filled(mut message: Value, wanted: &str, parameter: &str, value: Value) -> Option<Value> {
    if operation(&message) == wanted
        && !message["data"][parameter].is_string()
        && !message["data"][parameter].is_object()
    {
        message["data"][parameter] = value;
    }
    Some(message)
}

/// In the order of the operations that they are for.
pub(super) const OPERATIONS: &[Mutation] = &[
    Mutation::named("typing-unheard")
        .about("That somebody types or stops typing is not told.")
        .breaks(&["CV-TY-01", "CV-TY-02"])
        .told(|_, message| unheard(message, &["TypingStarted", "TypingStopped"])),
    Mutation::named("typing-never-stops")
        .about("Who stops typing is told to have started again.")
        .breaks(&["CV-TY-02"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["type"] == "TypingStopped" {
                    event["type"] = "TypingStarted".into();
                }
            })]
        }),
    Mutation::named("typing-by-an-agent")
        .about("The client's typing comes back as if an agent typed.")
        .breaks(&["CV-TY-01", "CV-TY-02"])
        .told(|_, message| {
            vec![events(message, |event| {
                if of_type(event, &["TypingStarted", "TypingStopped"]) {
                    event["from"]["type"] = "Agent".into();
                }
            })]
        }),
    Mutation::named("typing-doubled")
        .about("That somebody types or stops typing is told twice.")
        .breaks(&["CV-TY-01", "CV-TY-02"])
        .told(|_, message| {
            let typing = has_event(&message, |event| of_type(event, &["TypingStarted", "TypingStopped"]));
            if typing { vec![message.clone(), message] } else { vec![message] }
        }),
    Mutation::named("typing-refused")
        .about("`startTyping` and `stopTyping` are refused.")
        .breaks(&["CV-TY-01", "CV-TY-02"])
        .asked(|_, message| if operation(&message).ends_with("Typing") { refused(message) } else { Some(message) }),
    Mutation::named("preview-lost")
        .about("TypingStarted does not have the text typed so far.")
        .breaks(&["CV-TY-03"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["type"] == "TypingStarted" {
                    *event = without(event.take(), "text");
                }
            })]
        }),
    Mutation::named("typing-with-index")
        .about("TypingStarted has an index, far above that of any other event.")
        .breaks(&["CV-TY-04", "CV-EN-58"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["type"] == "TypingStarted" {
                    event["index"] = 99.into();
                }
            })]
        }),
    Mutation::named("typing-moves-position")
        .about("`nextPosition` moves on when somebody types.")
        .breaks(&["CV-TY-05"])
        .told(|_, mut message| {
            if has_event(&message, |event| event["type"] == "TypingStarted")
                && let Some(next) = message["data"]["nextPosition"].as_u64()
            {
                message["data"]["nextPosition"] = (next + 1).into();
            }
            vec![message]
        }),
    Mutation::named("typing-kept")
        .about("The transcript keeps that somebody typed.")
        .breaks(&["CV-TY-06"])
        .asked(|memory, message| {
            if operation(&message) == "startTyping" {
                memory.count_of(&memory.key.clone());
            }
            Some(message)
        })
        .told(|memory, mut message| {
            if memory.has_counted(&memory.key)
                && is_told(&message)
                && memory.operation == "requestNotifications"
                && let Some(all) = message["data"]["messages"].as_array_mut()
                && let Some(first) = all.first().cloned()
            {
                let mut typing = without(without(first, "index"), "text");
                typing["type"] = "TypingStarted".into();
                all.push(typing);
            }
            vec![message]
        }),
    Mutation::named("notice-unheard")
        .about("A `customNotice` does not come back as an event.")
        .breaks(&["CV-CN-01"])
        .told(|_, message| unheard(message, &["CustomNotice"])),
    Mutation::named("notice-text-changed")
        .about("CustomNotice has another text than was sent.")
        .breaks(&["CV-CN-02"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["type"] == "CustomNotice" {
                    event["text"] = "something else".into();
                }
            })]
        }),
    Mutation::named("notice-label-lost").about("CustomNotice has no `messageType`.").breaks(&["CV-CN-03"]).told(
        |_, message| {
            vec![events(message, |event| {
                if event["type"] == "CustomNotice" {
                    *event = without(event.take(), "messageType");
                }
            })]
        },
    ),
    Mutation::named("notice-without-index").about("CustomNotice has no index.").breaks(&["CV-CN-04"]).told(
        |_, message| {
            vec![events(message, |event| {
                if event["type"] == "CustomNotice" {
                    *event = without(event.take(), "index");
                }
            })]
        },
    ),
    Mutation::named("notice-without-message-refused")
        .about("`customNotice` is refused without a `message`.")
        .breaks(&["CV-CN-05"])
        .asked(|_, message| {
            let bare = operation(&message) == "customNotice" && message["data"].get("message").is_none();
            if bare { refused(message) } else { Some(message) }
        }),
    Mutation::named("page-unheard")
        .about("A `pushUrl` does not come back as an event.")
        .breaks(&["CV-PU-01"])
        .told(|_, message| unheard(message, &["PushUrl"])),
    Mutation::named("page-address-cut")
        .about("The address in PushUrl ends before its first `&`.")
        .breaks(&["CV-PU-02"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["type"] == "PushUrl" {
                    event["text"] = event["text"].as_str().and_then(|url| url.split('&').next()).into();
                }
            })]
        }),
    Mutation::named("page-without-address-shown")
        .about("`pushUrl` without an address shows an empty page.")
        .breaks(&["CV-PU-03"])
        .asked(|_, message| filled(message, "pushUrl", "pushUrl", json!("about:blank"))),
    Mutation::named("name-unheard")
        .about("An `updateNickname` does not come back as an event.")
        .breaks(&["CV-UN-01"])
        .told(|_, message| unheard(message, &["NicknameUpdated"])),
    Mutation::named("name-in-text")
        .about("NicknameUpdated has the new name in `text` instead of `from`.")
        .breaks(&["CV-UN-02"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["type"] == "NicknameUpdated" {
                    event["text"] = event["from"]["nickname"].take();
                    event["from"]["nickname"] = "Wren".into();
                }
            })]
        }),
    Mutation::named("name-forgotten")
        .about("What a client says after `updateNickname` comes under neither of its names.")
        .breaks(&["CV-UN-03"])
        .asked(|memory, message| {
            if operation(&message) == "updateNickname" {
                memory.count_of(&memory.key.clone());
            }
            Some(message)
        })
        .told(|memory, message| {
            let renamed = message["data"]["secureKey"].as_str().is_some_and(|key| memory.has_counted(key));
            vec![events(message, |event| {
                if renamed && said_by(event, "Client") {
                    event["from"]["nickname"] = "nobody".into();
                }
            })]
        }),
    Mutation::named("name-missing-taken")
        .about("`updateNickname` without a `nickname` makes up a name.")
        .breaks(&["CV-UN-04"])
        .asked(|_, message| filled(message, "updateNickname", "nickname", json!("somebody"))),
    Mutation::named("data-unanswered").about("`updateData` gets no answer of the chat.").breaks(&["CV-UD-01"]).told(
        |memory, message| {
            if is_told(&message) && memory.operation == "updateData" { Vec::new() } else { vec![message] }
        },
    ),
    Mutation::named("data-refused")
        .about("`updateData` is refused.")
        .breaks(&["CV-UD-01"])
        .asked(|_, message| if operation(&message) == "updateData" { refused(message) } else { Some(message) }),
    Mutation::named("data-told-as-event")
        .about("`updateData` makes a Notice in the transcript, far above any other index.")
        .breaks(&["CV-UD-02", "CV-EN-58", "CV-TR-58"])
        .asked(|memory, message| {
            if operation(&message) == "updateData" && memory.knows_key(&memory.key) {
                memory.kept = Some(memory.key.as_str().into());
            }
            Some(message)
        })
        .told(|memory, mut message| {
            let is_answer = is_told(&message) && message["data"]["messages"].as_array().is_none_or(Vec::is_empty);
            // The refusal of a chat that is over names none.
            let named = |key: &Value| message["data"].get("secureKey").is_none_or(|told| told.is_null() || told == key);
            let answered = memory.kept.take_if(|key| is_answer && named(key));
            if let Some(count) = answered.as_ref().and_then(Value::as_str).map(|key| memory.count_of(key)) {
                message["data"]["messages"] = json!([{
                    "index": 98 + count, "type": "Notice", "text": "data-changed", "utcTime": 1_700_000_000_000_i64,
                    "from": {"nickname": "Wren", "participantId": 1, "type": "Client"},
                }]);
            }
            vec![message]
        }),
    Mutation::named("data-missing-taken")
        .about("`updateData` without `userData` succeeds.")
        .breaks(&["CV-UD-03"])
        .asked(|_, message| filled(message, "updateData", "userData", json!({}))),
    Mutation::named("receipt-known")
        .about("`readReceipt` is answered like `updateData`.")
        .breaks(&["CV-RR-01", "CV-RR-02", "CV-RR-03"])
        .asked(|_, mut message| {
            if operation(&message) == "readReceipt" {
                message["data"]["operation"] = "updateData".into();
                message["data"]["userData"] = json!({});
            }
            Some(message)
        }),
    Mutation::named("message-missing-said")
        .about("`sendMessage` without a `message` says an empty text.")
        .breaks(&["CV-SM-05"])
        .asked(|_, message| filled(message, "sendMessage", "message", json!(""))),
    Mutation::named("long-message-cut")
        .about("A message that is too long is cut instead of refused.")
        .breaks(&["CV-SM-04"])
        .asked(|_, mut message| {
            if let Some(text) = message["data"]["message"].as_str().filter(|text| text.len() > 1_000) {
                message["data"]["message"] = text[..100].into();
            }
            Some(message)
        }),
    Mutation::named("answers-in-two")
        .about("What the client says is answered without an event, and the event follows by itself.")
        .breaks(&["CV-EN-05"])
        .told(|_, message| {
            if !has_event(&message, |event| said_by(event, "Client")) {
                return vec![message];
            }
            let mut empty = message.clone();
            empty["data"]["messages"] = json!([]);
            vec![empty, message]
        }),
    Mutation::named("answers-with-id").about("Notifications have an `id` of their own.").breaks(&["CV-EN-06"]).told(
        |memory, mut message| {
            if is_told(&message) {
                memory.count += 1;
                message["id"] = format!("notification-{}", memory.count).into();
            }
            vec![message]
        },
    ),
    Mutation::named("answers-before-acknowledgement")
        .about("A request is acknowledged only behind its answer.")
        .breaks(&["CV-EN-07"])
        .delay(|_, _, wire| {
            let messages = body(wire).and_then(|body| serde_json::from_str::<Vec<Value>>(&body).ok());
            let acknowledges = messages.is_some_and(|all| !all.is_empty() && all.iter().all(is_acknowledgement));
            if acknowledges { Duration::from_millis(50) } else { Duration::ZERO }
        }),
    Mutation::named("monitored-told")
        .about("Notifications tell whether a supervisor is in the chat.")
        .breaks(&["CV-EN-08"])
        .told(|_, message| {
            vec![data(message, |data| {
                if data["statusCode"] == 0 {
                    data["monitored"] = false.into();
                }
            })]
        }),
    // What is event n of the chat has index 2n - 1 for its client.
    Mutation::named("indexes-leave-gaps")
        .about("Only every other index is given to an event.")
        .breaks(&["CV-EN-09"])
        .asked(|_, mut message| {
            if let Some(position) = message["data"]["transcriptPosition"].as_u64().filter(|position| *position > 0) {
                message["data"]["transcriptPosition"] = (position / 2 + 1).into();
            }
            Some(message)
        })
        .told(|_, message| {
            let spread = |number: &Value| number.as_u64().map(|number| (number * 2).saturating_sub(1));
            let message = events(message, |event| {
                if let Some(index) = spread(&event["index"]) {
                    event["index"] = index.into();
                }
            });
            vec![data(message, |data| {
                if let Some(next) = spread(&data["nextPosition"]) {
                    data["nextPosition"] = next.into();
                }
            })]
        }),
    Mutation::named("first-and-last-name-refused")
        .about("A request for a chat with `firstName` and `lastName` is refused for want of a name.")
        .breaks(&["CV-RC-08"])
        .asked(|_, mut message| {
            if message["data"].get("firstName").is_some() {
                message["data"] = without(message["data"].take(), "lastName");
            }
            Some(message)
        }),
    Mutation::named("user-data-refused")
        .about("A request for a chat that brings `userData` along is refused.")
        .breaks(&["CV-RC-10"])
        .asked(|_, message| {
            let with_data = operation(&message) == "requestChat" && message["data"].get("userData").is_some();
            if with_data { refused(message) } else { Some(message) }
        }),
    Mutation::named("first-words-lost")
        .about("The `text` of a request for a chat does not come into the chat.")
        .breaks(&["CV-RC-09"])
        .asked(|_, mut message| {
            if message["data"].get("text").is_some() {
                message["data"] = without(message["data"].take(), "text");
            }
            Some(message)
        }),
    Mutation::named("bad-address-taken")
        .about("A request for a chat begins one even if its `emailAddress` is none.")
        .breaks(&["CV-RC-11"])
        .asked(|_, mut message| {
            if message["data"].get("emailAddress").is_some() {
                message["data"] = without(message["data"].take(), "emailAddress");
            }
            Some(message)
        }),
    Mutation::named("second-chat-refused")
        .about("A session that has asked for a chat gets no second one.")
        .breaks(&["CV-RC-06"])
        .asked(|memory, message| {
            if operation(&message) != "requestChat" {
                return Some(message);
            }
            let client = message["clientId"].clone();
            let again = memory.kept.as_ref() == Some(&client);
            memory.kept = Some(client);
            if again { refused(message) } else { Some(message) }
        }),
    Mutation::named("old-key-taken-up")
        .about("A request for a chat with the key of one that runs takes that chat up.")
        .breaks(&["CV-RC-07"])
        .asked(|_, mut message| {
            if operation(&message) == "requestChat" && message["data"].get("secureKey").is_some() {
                message["data"]["operation"] = "requestNotifications".into();
            }
            Some(message)
        }),
    Mutation::named("legacy-members-refused")
        .about("A message with `userId` beside its `secureKey`, as older clients send it, is refused.")
        .breaks(&["CV-RQ-01"])
        .asked(|_, message| {
            let legacy = operation(&message) == "sendMessage" && message["data"].get("userId").is_some();
            if legacy { refused(message) } else { Some(message) }
        }),
    Mutation::named("unknown-members-refused")
        .about("A request with a member that nobody knows is refused.")
        .breaks(&["CV-RQ-02"])
        .asked(|_, message| {
            let unknown = message["data"].get("tapestry").is_some();
            if unknown { refused(message) } else { Some(message) }
        }),
    Mutation::named("no-object-answered")
        .about("`data` that is no object is answered by a failure.")
        .breaks(&["CV-RQ-03"])
        .asked(|_, mut message| {
            if is_told(&message) && !message["data"].is_object() {
                message["data"] = json!({"operation": "none"});
            }
            Some(message)
        }),
    Mutation::named("no-operation-executed")
        .about("A request without an `operation` counts as `startTyping`.")
        .breaks(&["CV-RQ-04"])
        .asked(|_, mut message| {
            if is_told(&message) && message["data"].is_object() && operation(&message).is_empty() {
                message["data"]["operation"] = "startTyping".into();
            }
            Some(message)
        }),
    Mutation::named("names-of-rest-known")
        .about("`send`, the name of the REST API, does what `sendMessage` does.")
        .breaks(&["CV-RQ-05"])
        .asked(|_, mut message| {
            if operation(&message) == "send" {
                message["data"]["operation"] = "sendMessage".into();
            }
            Some(message)
        }),
    Mutation::named("other-codes").about("Every failure has code 8201.").breaks(&["CV-RQ-06"]).told(
        |_, mut message| {
            if message["data"]["errors"].is_array() {
                message["data"]["errors"][0]["code"] = 8201.into();
            }
            vec![message]
        },
    ),
    Mutation::named("past-the-end-is-everything")
        .about("A position behind the end brings the whole transcript.")
        .breaks(&["CV-RN-07"])
        .asked(|_, mut message| {
            if message["data"]["transcriptPosition"].as_i64().is_some_and(|position| position > 1_000) {
                message["data"]["transcriptPosition"] = 0.into();
            }
            Some(message)
        }),
    Mutation::named("odd-position-refused")
        .about("A position that is an object is refused.")
        .breaks(&["CV-RN-10"])
        .asked(
            |_, message| {
                if message["data"]["transcriptPosition"].is_object() { refused(message) } else { Some(message) }
            },
        ),
    Mutation::named("position-needed")
        .about("`requestNotifications` without a position is refused.")
        .breaks(&["CV-RN-06"])
        .asked(|_, message| {
            let bare =
                operation(&message) == "requestNotifications" && message["data"].get("transcriptPosition").is_none();
            if bare { refused(message) } else { Some(message) }
        }),
    Mutation::named("nothing-again-for-the-attached")
        .about("A session that has the chat already gets no event again, even if its connection broke meanwhile.")
        .breaks(&["CV-RN-08", "RC-03"])
        .asked(|memory, mut message| {
            if memory.has_begun(&memory.client, &memory.key) && operation(&message) == "requestNotifications" {
                message["data"]["operation"] = "updateData".into();
                message["data"]["userData"] = json!({});
            }
            Some(message)
        }),
    Mutation::named("pages-not-kept")
        .about("The transcript does not keep the pages that were shown.")
        .breaks(&["CV-RN-09"])
        .told(|memory, message| {
            if is_told(&message) && memory.operation == "requestNotifications" {
                keep_events(message, |event| event["type"] != "PushUrl")
            } else {
                vec![message]
            }
        }),
    Mutation::named("second-end-succeeds")
        .about("`disconnect` succeeds in a chat that is over.")
        .breaks(&["CV-DC-03"])
        .told(|memory, message| {
            let ends = memory.operation == "disconnect";
            vec![data(message, |data| {
                if ends && data["statusCode"] == 2 && data["chatEnded"] == true {
                    *data = without(data.take(), "errors");
                    data["statusCode"] = 0.into();
                    data["messages"] = json!([]);
                }
            })]
        }),
    Mutation::named("end-told-twice").about("The end of a chat is told twice.").breaks(&["CV-DC-04"]).told(
        |_, message| {
            let ended = is_told(&message) && message["data"]["statusCode"] == 0 && message["data"]["chatEnded"] == true;
            if !ended {
                return vec![message];
            }
            let mut again = message.clone();
            again["data"]["messages"] = json!([]);
            vec![message, again]
        },
    ),
    Mutation::named("own-leave-unheard")
        .about("That somebody leaves the chat is not told.")
        .breaks(&["CV-DC-05"])
        .told(|_, mut message| {
            if is_told(&message)
                && let Some(events) = message["data"]["messages"].as_array_mut()
            {
                events.retain(|event| event["type"] != "ParticipantLeft");
            }
            vec![message]
        }),
    Mutation::named("key-bound-to-session")
        .about("Only the session that began the chat can say something with its `secureKey`.")
        .breaks(&["CV-SK-06"])
        .asked(|memory, message| {
            let stranger = memory.is_strange_to(&memory.client, &memory.key);
            if stranger && operation(&message) == "sendMessage" { refused(message) } else { Some(message) }
        }),
    Mutation::named("own-session-needs-no-key")
        .about("The session that began a chat needs no `secureKey` for it.")
        .breaks(&["CV-SK-07"])
        .asked(|memory, mut message| {
            let bare =
                !["", "requestChat"].contains(&operation(&message)) && message["data"].get("secureKey").is_none();
            if let Some(key) = memory.chat_of(&memory.client).filter(|_| bare) {
                message["data"]["secureKey"] = key.into();
            }
            Some(message)
        }),
    Mutation::named("key-renewed")
        .about("`requestNotifications` gives the chat a new `secureKey`.")
        .breaks(&["CV-SK-04"])
        .asked(|memory, mut message| {
            if operation(&message) == "requestNotifications" {
                let key = memory.key.clone();
                memory.count_of(key.strip_suffix("-renewed").unwrap_or(&key));
            }
            if let Some(key) = message["data"]["secureKey"].as_str().and_then(|key| key.strip_suffix("-renewed")) {
                message["data"]["secureKey"] = key.into();
            }
            Some(message)
        })
        .told(|memory, mut message| {
            if let Some(key) = message["data"]["secureKey"].as_str().filter(|key| memory.has_counted(key)) {
                message["data"]["secureKey"] = format!("{key}-renewed").into();
            }
            vec![message]
        }),
    Mutation::named("wrong-key-ends-chat")
        .about("A wrong `secureKey` beside the `chatId` of a chat ends that chat, as whoever has the key hears next.")
        .breaks(&["CV-SK-05"])
        .asked(|memory, mut message| {
            let wrong = !memory.knows_key(&memory.key) && message["data"].get("chatId").is_some();
            if let Some(key) = memory.chat_for(&memory.client).filter(|_| wrong).map(str::to_owned) {
                memory.count_of(&key);
            } else if memory.has_counted(&memory.key) {
                message["data"] = json!({"operation": "disconnect", "secureKey": memory.key});
            }
            Some(message)
        }),
    Mutation::named("second-session-not-attached")
        .about("A second session that asks for a chat is answered and neither gets it nor takes it from the first.")
        .breaks(&["CV-SH-01", "CV-RN-01"])
        .asked(|memory, mut message| {
            let stranger = memory.is_strange_to(&memory.client, &memory.key);
            if stranger && operation(&message) == "requestNotifications" {
                message["data"]["operation"] = "updateData".into();
                message["data"]["userData"] = json!({});
            }
            Some(message)
        }),
    Mutation::named("events-without-key")
        .about("Once there are two chats, what clients say comes back without a `secureKey`.")
        .breaks(&["CV-SH-02"])
        .told(|memory, mut message| {
            if memory.running().count() > 1 && has_event(&message, |event| said_by(event, "Client")) {
                message["data"] = without(message["data"].take(), "secureKey");
            }
            vec![message]
        }),
    Mutation::named("background-ends-chat")
        .about("A client that goes into the background finds its chat over.")
        .breaks(&["CV-SH-03"])
        .asked(|memory, message| {
            if is(&message, "/meta/disconnect") && message["ext"].get("transcriptPosition").is_some() {
                for key in memory.chats_of(&memory.client) {
                    memory.count_of(&key);
                }
            }
            Some(message)
        })
        .told(|memory, message| {
            let key = message["data"]["secureKey"].as_str().unwrap_or(&memory.key);
            vec![if memory.has_counted(key) { over(message) } else { message }]
        }),
    Mutation::named("expired-session-ends-chat")
        .about("A chat is over when the session that began it has asked nothing for ten seconds.")
        .breaks(&["CV-SH-04"])
        .asked(|memory, message| {
            let client = message["clientId"].as_str().unwrap_or_default();
            // Whoever is back after so long has been away; whoever has not come back may be held.
            if memory.end_of(client).is_some_and(|end| memory.now > end) {
                for key in memory.chats_of(client) {
                    memory.count_of(&format!("expired {key}"));
                }
            }
            memory.lasts(client, memory.now + Duration::from_secs(10));
            let expired = memory.has_counted(&format!("expired {}", memory.key));
            if expired && operation(&message) == "requestNotifications" && memory.is_strange_to(client, &memory.key) {
                memory.count_of(&memory.key.clone());
            }
            Some(message)
        })
        .told(|memory, message| {
            let key = message["data"]["secureKey"].as_str().unwrap_or(&memory.key);
            vec![if memory.has_counted(key) { over(message) } else { message }]
        }),
];

/// A notification that a chat is over.
fn over(mut message: Value) -> Value {
    if is_told(&message) {
        let errors = json!([{"code": 249, "advice": "no"}]);
        message["data"] = json!({"statusCode": 2, "chatEnded": true, "messages": [], "errors": errors});
    }
    message
}
