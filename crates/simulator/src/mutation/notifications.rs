//! What can be wrong with the notifications of a chat, whatever they are about.

use serde_json::{Value, json};

use super::Mutation;
use super::change::{data, events, has_event, is_told, with, without};

/// In the order of the catalogue.
pub(super) const NOTIFICATIONS: &[Mutation] = &[
    Mutation::named("notification-as-text")
        .about("The `data` of a notification is a text that holds its JSON.")
        .breaks(&["CV-EN-50"])
        .told(|_, message| vec![data(message, |data| *data = data.to_string().into())]),
    Mutation::named("status-missing")
        .about("Notifications have no `statusCode`.")
        .breaks(&["CV-EN-51"])
        .told(|_, message| vec![data(message, |data| *data = without(data.take(), "statusCode"))]),
    Mutation::named("status-of-its-own").about("Failed requests have statusCode 3.").breaks(&["CV-EN-51"]).told(
        |_, message| {
            vec![data(message, |data| {
                if data["statusCode"] == 2 {
                    data["statusCode"] = 3.into();
                }
            })]
        },
    ),
    Mutation::named("chat-ended-as-text").about("`chatEnded` is a text.").breaks(&["CV-EN-52"]).told(|_, message| {
        vec![data(message, |data| {
            let text = data["chatEnded"].to_string();
            data["chatEnded"] = text.into();
        })]
    }),
    Mutation::named("messages-missing")
        .about("The transcript that a client asks for has no `messages`.")
        .breaks(&["CV-EN-53"])
        .told(|memory, message| {
            let asked = memory.operation == "requestNotifications";
            vec![data(message, |data| {
                if asked {
                    *data = without(data.take(), "messages");
                }
            })]
        }),
    Mutation::named("user-id-as-number").about("`userId` is a number.").breaks(&["CV-EN-54"]).told(|_, message| {
        vec![data(message, |data| {
            if data.get("userId").is_some() {
                data["userId"] = 7.into();
            }
        })]
    }),
    Mutation::named("failure-errors-missing")
        .about("Failures have no `errors`.")
        .breaks(&["CV-EN-56", "CV-EN-04"])
        .told(|_, message| vec![data(message, |data| *data = without(data.take(), "errors"))]),
    Mutation::named("chat-id-changes").about("Each notification has another `chatId`.").breaks(&["CV-EN-57"]).told(
        |memory, message| {
            memory.count += 1;
            let count = memory.count;
            vec![data(message, |data| {
                if let Some(id) = data["chatId"].as_str().map(|id| format!("{id}{count}")) {
                    data["chatId"] = id.into();
                }
            })]
        },
    ),
    Mutation::named("next-position-at-last-event")
        .about("`nextPosition` is the index of the last event rather than the one behind it.")
        .breaks(&["CV-EN-58"])
        .told(|_, message| {
            vec![data(message, |data| {
                let last = data["messages"].as_array().and_then(|events| events.last()?["index"].as_u64());
                if let (Some(last), true) = (last, data.get("nextPosition").is_some()) {
                    data["nextPosition"] = last.into();
                }
            })]
        }),
    Mutation::named("event-as-text")
        .about("The events of a transcript are texts that hold their JSON.")
        .breaks(&["CV-TR-50"])
        .told(|_, message| vec![events(message, |event| *event = event.to_string().into())]),
    Mutation::named("event-without-type")
        .about("The events of a transcript have no `type`.")
        .breaks(&["CV-TR-51"])
        .told(|_, message| vec![events(message, |event| *event = without(event.take(), "type"))]),
    Mutation::named("indexes-from-0")
        .about("The first event of a chat has index 0.")
        .breaks(&["CV-TR-52", "CV-RC-04"])
        .told(|_, message| {
            vec![events(message, |event| {
                if let Some(index) = event["index"].as_u64() {
                    event["index"] = index.saturating_sub(1).into();
                }
            })]
        }),
    Mutation::named("time-in-seconds").about("`utcTime` counts seconds.").breaks(&["CV-TR-53"]).told(|_, message| {
        vec![events(message, |event| {
            if let Some(time) = event["utcTime"].as_u64() {
                event["utcTime"] = (time / 1_000).into();
            }
        })]
    }),
    Mutation::named("participant-without-name")
        .about("The participants of events have no `nickname`.")
        .breaks(&["CV-TR-54"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["from"].is_object() {
                    event["from"] = without(event["from"].take(), "nickname");
                }
            })]
        }),
    Mutation::named("events-backwards")
        .about("The events of one delivery stand in the wrong order.")
        .breaks(&["CV-TR-56"])
        .told(|_, message| {
            vec![data(message, |data| {
                if let Some(events) = data.get_mut("messages").and_then(Value::as_array_mut) {
                    events.reverse();
                }
            })]
        }),
    Mutation::named("time-runs-back")
        .about("The times of events fall while their indexes rise.")
        .breaks(&["CV-TR-57"])
        .told(|_, message| {
            vec![events(message, |event| {
                if let Some(index) = event["index"].as_u64() {
                    event["utcTime"] = (1_700_000_000_000 - index.min(1_000) * 1_000).into();
                }
            })]
        }),
    Mutation::named("end-revoked")
        .about("What fails in a chat that is over says that the chat goes on.")
        .breaks(&["CV-EN-02", "CV-TR-58"])
        .told(|_, message| {
            vec![data(message, |data| {
                if data["chatEnded"] == true && data["statusCode"] == 2 {
                    data["chatEnded"] = false.into();
                }
            })]
        }),
    Mutation::named("notices-of-another-chat")
        .about("Who hears of a chat hears of the one that began before it, too.")
        .breaks(&["CV-SK-52"])
        .told(|memory, message| {
            if !is_told(&message) || !has_event(&message, |_| true) {
                return vec![message];
            }
            let key = |message: &Value| message["data"]["secureKey"].as_str().unwrap_or_default().to_owned();
            match &memory.kept {
                Some(first) if key(first) == key(&message) => vec![message],
                Some(first) if !memory.is_over(&key(first)) => vec![first.clone(), message],
                Some(_) | None => {
                    memory.kept = Some(message.clone());
                    vec![message]
                }
            }
        }),
    Mutation::named("alias-missing")
        .about("The answer to a request for a chat has no `alias`.")
        .breaks(&["CV-RC-02"])
        .told(|_, message| vec![data(message, |data| *data = without(data.take(), "alias"))]),
    Mutation::named("join-under-another-name")
        .about("The client joins under another name than it asked for.")
        .breaks(&["CV-RC-03"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["type"] == "ParticipantJoined" && event["from"]["type"] == "Client" {
                    event["from"] = with(event["from"].take(), "nickname", json!("Somebody"));
                }
            })]
        }),
];
