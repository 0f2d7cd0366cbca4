//! What a chat server can do wrong beside talking: typing, notices, pages, names, data, keys, positions, and what is no
//! proper request.

use serde_json::{Value, json};

use super::Mutation;
use super::change::{events, has_event, is, is_told, keep_events, said_by, without};

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
    Mutation::named("typing-unheard").told(|_, message| unheard(message, &["TypingStarted", "TypingStopped"])),
    Mutation::named("typing-never-stops").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "TypingStopped" {
                event["type"] = "TypingStarted".into();
            }
        })]
    }),
    Mutation::named("typing-by-an-agent").told(|_, message| {
        vec![events(message, |event| {
            if of_type(event, &["TypingStarted", "TypingStopped"]) {
                event["from"]["type"] = "Agent".into();
            }
        })]
    }),
    Mutation::named("typing-doubled").told(|_, message| {
        let typing = has_event(&message, |event| of_type(event, &["TypingStarted", "TypingStopped"]));
        if typing { vec![message.clone(), message] } else { vec![message] }
    }),
    Mutation::named("typing-refused")
        .asked(|_, message| if operation(&message).ends_with("Typing") { refused(message) } else { Some(message) }),
    Mutation::named("preview-lost").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "TypingStarted" {
                *event = without(event.take(), "text");
            }
        })]
    }),
    Mutation::named("typing-with-index").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "TypingStarted" {
                event["index"] = 99.into();
            }
        })]
    }),
    Mutation::named("notice-unheard").told(|_, message| unheard(message, &["CustomNotice"])),
    Mutation::named("notice-text-changed").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "CustomNotice" {
                event["text"] = "something else".into();
            }
        })]
    }),
    Mutation::named("notice-label-lost").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "CustomNotice" {
                *event = without(event.take(), "messageType");
            }
        })]
    }),
    Mutation::named("notice-without-index").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "CustomNotice" {
                *event = without(event.take(), "index");
            }
        })]
    }),
    Mutation::named("notice-without-message-refused").asked(|_, message| {
        let bare = operation(&message) == "customNotice" && message["data"].get("message").is_none();
        if bare { refused(message) } else { Some(message) }
    }),
    Mutation::named("page-unheard").told(|_, message| unheard(message, &["PushUrl"])),
    Mutation::named("page-address-cut").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "PushUrl" {
                event["text"] = event["text"].as_str().and_then(|url| url.split('&').next()).into();
            }
        })]
    }),
    Mutation::named("page-without-address-shown")
        .asked(|_, message| filled(message, "pushUrl", "pushUrl", json!("about:blank"))),
    Mutation::named("name-unheard").told(|_, message| unheard(message, &["NicknameUpdated"])),
    Mutation::named("name-in-text").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "NicknameUpdated" {
                event["text"] = event["from"]["nickname"].take();
                event["from"]["nickname"] = "Wren".into();
            }
        })]
    }),
    Mutation::named("name-forgotten")
        .asked(|memory, message| {
            memory.flag |= operation(&message) == "updateNickname";
            Some(message)
        })
        .told(|memory, message| {
            let renamed = memory.flag;
            vec![events(message, |event| {
                if renamed && said_by(event, "Client") {
                    event["from"]["nickname"] = "nobody".into();
                }
            })]
        }),
    Mutation::named("name-missing-taken")
        .asked(|_, message| filled(message, "updateNickname", "nickname", json!("somebody"))),
    Mutation::named("data-unanswered").told(|memory, message| {
        if is_told(&message) && memory.operation == "updateData" { Vec::new() } else { vec![message] }
    }),
    Mutation::named("data-refused")
        .asked(|_, message| if operation(&message) == "updateData" { refused(message) } else { Some(message) }),
    Mutation::named("data-told-as-event").told(|memory, mut message| {
        if is_told(&message) && memory.operation == "updateData" {
            message["data"]["messages"] = json!([{
                "index": 99, "type": "Notice", "utcTime": 1_700_000_000_000_i64,
                "from": {"nickname": "Wren", "participantId": 1, "type": "Client"},
            }]);
        }
        vec![message]
    }),
    Mutation::named("data-missing-taken").asked(|_, message| filled(message, "updateData", "userData", json!({}))),
    Mutation::named("receipt-known").asked(|_, mut message| {
        if operation(&message) == "readReceipt" {
            message["data"]["operation"] = "updateData".into();
            message["data"]["userData"] = json!({});
        }
        Some(message)
    }),
    Mutation::named("message-missing-said").asked(|_, message| filled(message, "sendMessage", "message", json!(""))),
    Mutation::named("long-message-cut").asked(|_, mut message| {
        if let Some(text) = message["data"]["message"].as_str().filter(|text| text.len() > 1_000) {
            message["data"]["message"] = text[..100].into();
        }
        Some(message)
    }),
    Mutation::named("answers-in-two").told(|_, message| {
        if !has_event(&message, |event| said_by(event, "Client")) {
            return vec![message];
        }
        let mut empty = message.clone();
        empty["data"]["messages"] = json!([]);
        vec![empty, message]
    }),
    Mutation::named("first-and-last-name-refused").asked(|_, mut message| {
        if message["data"].get("firstName").is_some() {
            message["data"] = without(message["data"].take(), "lastName");
        }
        Some(message)
    }),
    Mutation::named("user-data-refused").asked(|_, message| {
        let with_data = operation(&message) == "requestChat" && message["data"].get("userData").is_some();
        if with_data { refused(message) } else { Some(message) }
    }),
    Mutation::named("first-words-lost").asked(|_, mut message| {
        if message["data"].get("text").is_some() {
            message["data"] = without(message["data"].take(), "text");
        }
        Some(message)
    }),
    Mutation::named("bad-address-taken").asked(|_, mut message| {
        if message["data"].get("emailAddress").is_some() {
            message["data"] = without(message["data"].take(), "emailAddress");
        }
        Some(message)
    }),
    Mutation::named("second-chat-refused").asked(|memory, message| {
        if operation(&message) != "requestChat" {
            return Some(message);
        }
        let client = message["clientId"].clone();
        let again = memory.kept.as_ref() == Some(&client);
        memory.kept = Some(client);
        if again { refused(message) } else { Some(message) }
    }),
    Mutation::named("old-key-taken-up").asked(|_, mut message| {
        if operation(&message) == "requestChat" && message["data"].get("secureKey").is_some() {
            message["data"]["operation"] = "requestNotifications".into();
        }
        Some(message)
    }),
    Mutation::named("legacy-members-refused").asked(|_, message| {
        let legacy = operation(&message) == "sendMessage" && message["data"].get("userId").is_some();
        if legacy { refused(message) } else { Some(message) }
    }),
    Mutation::named("unknown-members-refused").asked(|_, message| {
        let unknown = message["data"].get("tapestry").is_some();
        if unknown { refused(message) } else { Some(message) }
    }),
    Mutation::named("no-object-answered").asked(|_, mut message| {
        if message.get("data").is_some_and(|data| !data.is_object()) {
            message["data"] = json!({"operation": "none"});
        }
        Some(message)
    }),
    Mutation::named("no-operation-executed").asked(|_, mut message| {
        if message["data"].is_object() && operation(&message).is_empty() {
            message["data"]["operation"] = "startTyping".into();
        }
        Some(message)
    }),
    Mutation::named("names-of-rest-known").asked(|_, mut message| {
        if operation(&message) == "send" {
            message["data"]["operation"] = "sendMessage".into();
        }
        Some(message)
    }),
    Mutation::named("other-codes").told(|_, mut message| {
        if message["data"]["errors"].is_array() {
            message["data"]["errors"][0]["code"] = 8201.into();
        }
        vec![message]
    }),
    Mutation::named("past-the-end-is-everything").asked(|_, mut message| {
        if message["data"]["transcriptPosition"].as_i64().is_some_and(|position| position > 1_000) {
            message["data"]["transcriptPosition"] = 0.into();
        }
        Some(message)
    }),
    Mutation::named("odd-position-refused").asked(|_, message| {
        if message["data"]["transcriptPosition"].is_object() { refused(message) } else { Some(message) }
    }),
    Mutation::named("position-needed").asked(|_, message| {
        let bare = operation(&message) == "requestNotifications" && message["data"].get("transcriptPosition").is_none();
        if bare { refused(message) } else { Some(message) }
    }),
    Mutation::named("pages-not-kept").told(|memory, message| {
        if is_told(&message) && memory.operation == "requestNotifications" {
            keep_events(message, |event| event["type"] != "PushUrl")
        } else {
            vec![message]
        }
    }),
    Mutation::named("own-leave-unheard").told(|_, mut message| {
        if is_told(&message)
            && let Some(events) = message["data"]["messages"].as_array_mut()
        {
            events.retain(|event| event["type"] != "ParticipantLeft");
        }
        vec![message]
    }),
    Mutation::named("key-bound-to-session").asked(|memory, message| {
        let stranger = memory.clients.first().is_some_and(|first| message["clientId"] != first.as_str());
        if stranger && operation(&message) == "sendMessage" { refused(message) } else { Some(message) }
    }),
    Mutation::named("key-renewed")
        .asked(|_, mut message| {
            if let Some(key) = message["data"]["secureKey"].as_str().and_then(|key| key.strip_suffix("-renewed")) {
                message["data"]["secureKey"] = key.into();
            }
            Some(message)
        })
        .told(|memory, mut message| {
            memory.flag |= is_told(&message) && memory.operation == "requestNotifications";
            if let Some(key) = message["data"]["secureKey"].as_str().filter(|_| memory.flag) {
                message["data"]["secureKey"] = format!("{key}-renewed").into();
            }
            vec![message]
        }),
    Mutation::named("wrong-key-ends-chat").asked(|memory, mut message| {
        let key = message["data"]["secureKey"].as_str().unwrap_or_default();
        let wrong = !memory.keys.iter().any(|known| known == key) && message["data"].get("chatId").is_some();
        if let Some(first) = memory.keys.first().filter(|_| wrong) {
            message["data"] = json!({"operation": "disconnect", "secureKey": first});
        }
        Some(message)
    }),
    Mutation::named("second-session-not-attached").asked(|memory, mut message| {
        let stranger = memory.clients.first().is_some_and(|first| message["clientId"] != first.as_str());
        if stranger && operation(&message) == "requestNotifications" {
            message["data"]["operation"] = "updateData".into();
            message["data"]["userData"] = json!({});
        }
        Some(message)
    }),
    Mutation::named("events-without-key").told(|memory, mut message| {
        if memory.keys.len() > 1 && has_event(&message, |event| said_by(event, "Client")) {
            message["data"] = without(message["data"].take(), "secureKey");
        }
        vec![message]
    }),
    Mutation::named("background-ends-chat")
        .asked(|memory, message| {
            memory.flag |= is(&message, "/meta/disconnect") && message["ext"].get("transcriptPosition").is_some();
            Some(message)
        })
        .told(|memory, mut message| {
            if memory.flag && is_told(&message) {
                message["data"] =
                    json!({"statusCode": 2, "chatEnded": true, "messages": [], "errors": [{"code": 249}]});
            }
            vec![message]
        }),
];
