//! What a server can do wrong with what agents do.

use serde_json::{Value, json};

use super::Mutation;
use super::change::{events, has_event, keep_events};

fn by_agent(event: &Value, kind: &str) -> bool {
    event["type"] == kind && event["from"]["type"] == "Agent"
}

/// In the order of the cases that they are for.
pub(super) const AGENTS: &[Mutation] = &[
    Mutation::named("typing-by-a-stranger")
        .about("That an agent types is told of a participant who never joined.")
        .breaks(&["CV-AG-04"])
        .told(|_, message| {
            vec![events(message, |event| {
                if by_agent(event, "TypingStarted") {
                    event["from"]["participantId"] = json!(99);
                }
            })]
        }),
    Mutation::named("page-without-url")
        .about("A page that an agent shows arrives with a word in place of its URL.")
        .breaks(&["CV-AG-05"])
        .told(|_, message| {
            vec![events(message, |event| {
                if by_agent(event, "PushUrl") {
                    event["text"] = "offer".into();
                }
            })]
        }),
    Mutation::named("notice-without-words")
        .about("A notice of an agent arrives without its words.")
        .breaks(&["CV-AG-06"])
        .told(|_, message| {
            vec![events(message, |event| {
                if by_agent(event, "CustomNotice") {
                    event["text"] = "".into();
                }
            })]
        }),
    Mutation::named("agent-half-heard")
        .about("Of what an agent says every third message gets lost.")
        .breaks(&["CV-AG-07"])
        .told(|memory, message| {
            if !has_event(&message, |event| by_agent(event, "Message")) {
                return vec![message];
            }
            let chat = message["data"]["secureKey"].as_str().unwrap_or_default();
            if memory.count_of(chat).is_multiple_of(3) {
                keep_events(message, |event| !by_agent(event, "Message"))
            } else {
                vec![message]
            }
        }),
    Mutation::named("agents-share-a-number")
        .about("All agents of a chat have one `participantId`.")
        .breaks(&["CV-AG-08"])
        .told(|_, message| {
            vec![events(message, |event| {
                if event["from"]["type"] == "Agent" {
                    event["from"]["participantId"] = json!(3);
                }
            })]
        }),
    Mutation::named("agent-leaves-for-all")
        .about("When an agent leaves, the client is told that the chat has ended.")
        .breaks(&["CV-AG-09", "CV-AG-08"])
        .told(|_, mut message| {
            if has_event(&message, |event| by_agent(event, "ParticipantLeft")) {
                message["data"]["chatEnded"] = true.into();
            }
            vec![message]
        }),
];
