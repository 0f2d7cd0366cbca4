//! What a server of chats can do wrong, each a few lines.

use serde_json::{Value, json};

use super::Mutation;
use super::change::{events, has_event, is, is_told, keep_events, refusal, said_by, without};

/// In the order of the cases that they are for.
pub(super) const CHATS: &[Mutation] = &[
    Mutation::named("chat-refused").about("Every request for a chat fails.").breaks(&["CV-RC-01"]).told(
        |memory, mut message| {
            if is_told(&message) && memory.operation == "requestChat" && message["data"]["statusCode"] == 0 {
                message["data"] =
                    json!({"statusCode": 2, "chatEnded": false, "messages": [], "errors": [{"code": 240, "advice": ""}]});
            }
            vec![message]
        },
    ),
    Mutation::named("chat-without-ids")
        .about("The answer to a request for a chat has no `userId`.")
        .breaks(&["CV-RC-02"])
        .told(|_, mut message| {
            if is_told(&message) {
                message["data"] = without(message["data"].take(), "userId");
            }
            vec![message]
        }),
    Mutation::named("own-join-lost")
        .about("The client's own join is not in the transcript.")
        .breaks(&["CV-RC-03"])
        .told(|_, message| {
            if !is_told(&message) {
                return vec![message];
            }
            vec![{
                let mut message = message;
                if let Some(events) = message["data"]["messages"].as_array_mut() {
                    events.retain(|event| event["type"] != "ParticipantJoined" || event["from"]["type"] != "Client");
                }
                message
            }]
        }),
    Mutation::named("indexes-from-11")
        .about("The first event of a chat has index 11.")
        .breaks(&["CV-RC-04"])
        .told(|_, mut message| {
            if let Some(next) = message["data"]["nextPosition"].as_u64() {
                message["data"]["nextPosition"] = (next + 10).into();
            }
            vec![events(message, |event| {
                if let Some(index) = event["index"].as_u64() {
                    event["index"] = (index + 10).into();
                }
            })]
        }),
    Mutation::named("name-not-needed").about("A chat that names nobody is begun.").breaks(&["CV-RC-05"]).asked(
        |_, mut message| {
            if message["data"]["operation"] == "requestChat" && message["data"].get("nickname").is_none() {
                message["data"]["nickname"] = "Nobody".into();
            }
            Some(message)
        },
    ),
    Mutation::named("any-service-will-do")
        .about("A service that does not exist takes chats all the same.")
        .breaks(&["CV-CH-04"])
        .asked(|memory, mut message| {
            if message["channel"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/tapestry")) {
                memory.kept = Some(message["channel"].clone());
                message["channel"] = "/service/chatV2/customer-support".into();
            } else if is(&message, "/service/chatV2/customer-support") {
                memory.kept = None;
            }
            Some(message)
        })
        .told(|memory, mut message| {
            if let Some(channel) = &memory.kept
                && message["channel"] == "/service/chatV2/customer-support"
            {
                message["channel"] = channel.clone();
            }
            vec![message]
        }),
    Mutation::named("unknown-operation-ignored")
        .about("An operation that does not exist gets no answer of the chat.")
        .breaks(&["CV-EN-03"])
        .asked(|_, message| {
            if message["data"]["operation"] == "tapestryNoSuchOperation" {
                let mut message = message;
                message["channel"] = "/service/chatV2/nowhere".into();
                return Some(message);
            }
            Some(message)
        })
        .told(|_, mut message| {
            if is(&message, "/service/chatV2/nowhere") {
                message["channel"] = "/service/chatV2/customer-support".into();
            }
            vec![message]
        }),
    Mutation::named("echo-lost")
        .about("What the client says does not come back as an event.")
        .breaks(&["CV-SM-01"])
        .told(
            |_, message| {
                if is_told(&message) { keep_events(message, |event| !said_by(event, "Client")) } else { vec![message] }
            },
        ),
    Mutation::named("echo-doubled").about("What the client says comes back twice.").breaks(&["CV-SM-02"]).told(
        |_, message| {
            if has_event(&message, |event| said_by(event, "Client")) {
                vec![message.clone(), message]
            } else {
                vec![message]
            }
        },
    ),
    Mutation::named("echo-by-external")
        .about("What the client says comes back as if another party had said it.")
        .breaks(&["CV-SM-01"])
        .told(|_, message| {
            vec![events(message, |event| {
                if said_by(event, "Client") {
                    event["from"]["type"] = "External".into();
                }
            })]
        }),
    Mutation::named("label-lost").about("The event of a message has no `messageType`.").breaks(&["CV-SM-03"]).told(
        |_, message| {
            vec![events(message, |event| {
                *event = without(event.take(), "messageType");
            })]
        },
    ),
    Mutation::named("index-stands-still")
        .about("Everything that the client says has one index.")
        .breaks(&["CV-TR-55"])
        .told(|_, message| {
            vec![events(message, |event| {
                if said_by(event, "Client") {
                    event["index"] = 3.into();
                }
            })]
        }),
    Mutation::named("echoes-swapped")
        .about("What the client says first comes back only behind what it says next.")
        .breaks(&["CV-TR-02", "CV-SM-01"])
        .told(|memory, message| {
            if !has_event(&message, |event| said_by(event, "Client")) {
                return vec![message];
            }
            let key = message["data"]["secureKey"].clone();
            match memory.kept.take().filter(|kept| kept["data"]["secureKey"] == key) {
                None if memory.count_of(key.as_str().unwrap_or_default()) == 1 => {
                    memory.kept = Some(message);
                    Vec::new()
                }
                None => vec![message],
                Some(kept) => vec![message, kept],
            }
        }),
    Mutation::named("next-position-behind")
        .about("`nextPosition` stays where the chat began.")
        .breaks(&["CV-EN-58", "CV-TR-05"])
        .told(|_, mut message| {
            if is_told(&message) && message["data"].get("nextPosition").is_some() {
                message["data"]["nextPosition"] = 1.into();
            }
            vec![message]
        }),
    Mutation::named("transcript-forgets")
        .about("One event is missing when the transcript is asked for again.")
        .breaks(&["CV-RN-01"])
        .told(|memory, message| {
            if is_told(&message) && memory.operation == "requestNotifications" {
                keep_events(message, |event| event["index"] != 4)
            } else {
                vec![message]
            }
        }),
    Mutation::named("transcript-rewritten")
        .about("The transcript has other words than the event had at first.")
        .breaks(&["CV-TR-55", "CV-TR-01"])
        .told(|memory, message| {
            if !is_told(&message) || memory.operation != "requestNotifications" {
                return vec![message];
            }
            vec![events(message, |event| {
                if said_by(event, "Client") {
                    event["text"] = "something else".into();
                }
            })]
        }),
    Mutation::named("transcript-empty")
        .about("Who asks for the transcript again gets none of it.")
        .breaks(&["CV-RN-01"])
        .told(|memory, mut message| {
            if is_told(&message) && memory.operation == "requestNotifications" {
                message["data"]["messages"] = json!([]);
            }
            vec![message]
        }),
    Mutation::named("position-ignored")
        .about("The whole transcript comes, whatever position is asked for.")
        .breaks(&["CV-RN-02"])
        .asked(|_, mut message| {
            if message["data"].get("transcriptPosition").is_some() {
                message["data"]["transcriptPosition"] = 0.into();
            }
            Some(message)
        }),
    Mutation::named("position-exclusive")
        .about("The event at the position that was asked for is left out.")
        .breaks(&["CV-RN-05"])
        .asked(|_, mut message| {
            if let Some(position) = message["data"]["transcriptPosition"].as_i64().filter(|position| *position > 0) {
                message["data"]["transcriptPosition"] = (position + 1).into();
            }
            Some(message)
        }),
    Mutation::named("negative-position-refused").about("Position -1 is refused.").breaks(&["CV-RN-03"]).asked(
        |_, mut message| {
            if message["data"]["transcriptPosition"] == -1 {
                message["data"]["operation"] = "none".into();
            }
            Some(message)
        },
    ),
    Mutation::named("position-as-text-refused")
        .about("A position that is a text is refused.")
        .breaks(&["CV-RN-04"])
        .asked(|_, mut message| {
            if message["data"]["transcriptPosition"].is_string() {
                message["data"]["operation"] = "none".into();
            }
            Some(message)
        }),
    Mutation::named("wrong-key-accepted").about("Any `secureKey` opens the last chat of the session.").breaks(&["CV-SK-01"]).asked(
        |memory, mut message| {
            let wrong = message["data"]["secureKey"].as_str().is_some_and(|key| !memory.knows_key(key));
            if let Some(key) = memory.chat_for(&memory.client).filter(|_| wrong) {
                message["data"]["secureKey"] = key.into();
            }
            Some(message)
        },
    ),
    Mutation::named("missing-key-accepted")
        .about("A request without `secureKey` is carried out in the last chat of the session.")
        .breaks(&["CV-SK-02"])
        .asked(|memory, mut message| {
            let operation = message["data"]["operation"].as_str().unwrap_or_default();
            let needs = !operation.is_empty() && operation != "requestChat";
            let needs = needs && message["data"].get("secureKey").is_none();
            if let Some(key) = memory.chat_for(&memory.client).filter(|_| needs) {
                message["data"]["secureKey"] = key.into();
            }
            Some(message)
        }),
    Mutation::named("key-of-another-chat")
        .about("Every chat is given the `secureKey` of the first one that runs.")
        .breaks(&["CV-SK-03", "CV-TR-55"])
        .told(|memory, mut message| {
            if let Some(first) = memory.running().next()
                && is_told(&message)
                && message["data"].get("secureKey").is_some()
            {
                message["data"]["secureKey"] = first.into();
            }
            vec![message]
        }),
    Mutation::named("words-of-another-chat")
        .about("What was said before comes again with what is said next, whoever said it.")
        .breaks(&["CV-SK-03", "CV-SK-52"])
        .told(|memory, message| {
            if !has_event(&message, |event| said_by(event, "Client")) {
                return vec![message];
            }
            let before = memory.kept.replace(message.clone());
            before.into_iter().chain([message]).collect()
        }),
    Mutation::named("end-not-said")
        .about("The end of a chat is never told: `chatEnded` stays false.")
        .breaks(&["CV-DC-01", "CV-AG-03"])
        .told(|_, mut message| {
            if is_told(&message) {
                message["data"]["chatEnded"] = false.into();
            }
            vec![message]
        }),
    Mutation::named("event-after-end")
        .about("The last events of a chat come again when it is over.")
        .breaks(&["CV-TR-04"])
        .told(|_, message| {
            let ended = is_told(&message) && message["data"]["chatEnded"] == true && message["data"]["statusCode"] == 0;
            if ended { vec![message.clone(), message] } else { vec![message] }
        }),
    Mutation::named("session-ends-with-chat")
        .about("The end of a chat ends the CometD session too.")
        .breaks(&["CV-DC-02"])
        .told(|memory, message| {
            if is_told(&message) && message["data"]["chatEnded"] == true {
                memory.count_of(&memory.addressee.clone());
            }
            let ended = is(&message, "/meta/subscribe") && memory.has_counted(&memory.addressee);
            vec![if ended { refusal(&message) } else { message }]
        }),
    Mutation::named("ended-chat-answers")
        .about("Requests into a chat that is over are answered with statusCode 0.")
        .breaks(&["CV-EN-02"])
        .told(|_, mut message| {
            if is_told(&message) && message["data"]["chatEnded"] == true && message["data"]["statusCode"] == 2 {
                message["data"]["statusCode"] = 0.into();
            }
            vec![message]
        }),
    Mutation::named("failure-without-errors").about("Failures name no error.").breaks(&["CV-EN-04", "CV-EN-56"]).told(
        |_, mut message| {
            if is_told(&message) && message["data"].get("errors").is_some() {
                message["data"]["errors"] = json!([]);
            }
            vec![message]
        },
    ),
    Mutation::named("failure-unanswered").about("Requests that fail get no answer.").breaks(&["CV-EN-02", "CV-RC-05", "CV-SK-01", "CV-SK-02"]).told(
        |_, message| {
            if is_told(&message) && message["data"]["statusCode"] == 2 { Vec::new() } else { vec![message] }
        },
    ),
    Mutation::named("agent-join-lost").about("An agent's join is not told.").breaks(&["CV-AG-01"]).told(
        |memory, message| {
            if is_told(&message) && memory.operation != "requestNotifications" {
                keep_events(message, |event| event["type"] != "ParticipantJoined" || event["from"]["type"] != "Agent")
            } else {
                vec![message]
            }
        },
    ),
    Mutation::named("agent-greeting-first")
        .about("An agent's join is told under an index far behind the agent's first words.")
        .breaks(&["CV-AG-01", "CV-TR-56"])
        .told(|_, mut message| {
            let joins = |event: &Value| event["type"] == "ParticipantJoined" && event["from"]["type"] == "Agent";
            if has_event(&message, joins) && message["data"].get("nextPosition").is_some() {
                message["data"]["nextPosition"] = 200.into();
            }
            vec![events(message, |event| {
                if joins(event) {
                    // A second agent's join is another event.
                    event["index"] = (99 + event["from"]["participantId"].as_i64().unwrap_or_default()).into();
                }
            })]
        }),
    Mutation::named("agent-unheard").about("Nothing that an agent does is told.").breaks(&["CV-TR-03"]).told(
        |memory, message| {
            if is_told(&message) && memory.operation != "requestNotifications" {
                keep_events(message, |event| event["from"]["type"] != "Agent")
            } else {
                vec![message]
            }
        },
    ),
    Mutation::named("answer-doubled").about("An agent's answer comes twice.").breaks(&["CV-AG-02"]).told(
        |_, message| {
            let answers = |event: &Value| event["text"].as_str().is_some_and(|text| text.starts_with("You wrote"));
            if has_event(&message, answers) { vec![message.clone(), message] } else { vec![message] }
        },
    ),
    Mutation::named("chat-ends-with-session")
        .about("A chat is over when its CometD session is.")
        .breaks(&["RC-02"])
        .asked(|memory, message| {
            if is(&message, "/meta/disconnect") {
                for key in memory.chats_of(&memory.client) {
                    memory.count_of(&key);
                }
            }
            Some(message)
        })
        .told(|memory, mut message| {
            let over = memory.operation == "requestNotifications" && memory.has_counted(&memory.key);
            if over && is_told(&message) {
                message["data"] =
                    json!({"statusCode": 2, "chatEnded": true, "messages": [], "errors": [{"code": 249, "advice": ""}]});
            }
            vec![message]
        }),
    Mutation::named("restored-and-silent")
        .about("A chat that was taken up again by `requestNotifications` brings nothing new.")
        .breaks(&["RC-04"])
        .asked(|memory, message| {
            if memory.operation == "requestNotifications" && memory.knows_key(&memory.key) {
                memory.count_of(&memory.key.clone());
            }
            Some(message)
        })
        .told(|memory, message| {
            let restored = message["data"]["secureKey"].as_str().is_some_and(|key| memory.has_counted(key));
            if is_told(&message) && restored && memory.operation != "requestNotifications" {
                keep_events(message, |event| !said_by(event, "Client"))
            } else {
                vec![message]
            }
        }),
    Mutation::named("time-as-text")
        .about("`utcTime` is a text.")
        .breaks(&["CV-TR-53"])
        .told(|_, message| vec![events(message, |event| event["utcTime"] = "2023-11-14T22:13:20Z".into())]),
    Mutation::named("chat-ended-missing")
        .about("Notifications do not say whether the chat has ended.")
        .breaks(&["CV-EN-52"])
        .told(|_, mut message| {
            if is_told(&message) {
                message["data"] = without(message["data"].take(), "chatEnded");
            }
            vec![message]
        }),
];
