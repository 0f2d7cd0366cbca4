//! What a server can do wrong with what agents do.

use serde_json::{Value, json};

use super::Mutation;
use super::change::{events, has_event, keep_events};

fn by_agent(event: &Value, kind: &str) -> bool {
    event["type"] == kind && event["from"]["type"] == "Agent"
}

/// In the order of the cases that they are for.
pub(super) const AGENTS: &[Mutation] = &[
    Mutation::named("typing-by-a-stranger").told(|_, message| {
        vec![events(message, |event| {
            if by_agent(event, "TypingStarted") {
                event["from"]["participantId"] = json!(99);
            }
        })]
    }),
    Mutation::named("page-without-url").told(|_, message| {
        vec![events(message, |event| {
            if by_agent(event, "PushUrl") {
                event["text"] = "".into();
            }
        })]
    }),
    Mutation::named("notice-without-words").told(|_, message| {
        vec![events(message, |event| {
            if by_agent(event, "CustomNotice") {
                event["text"] = "".into();
            }
        })]
    }),
    // Of what an agent says in a row only every other word gets through.
    Mutation::named("agent-half-heard").told(|memory, message| {
        if !has_event(&message, |event| by_agent(event, "Message")) {
            return vec![message];
        }
        memory.count += 1;
        if memory.count % 2 == 0 { keep_events(message, |event| !by_agent(event, "Message")) } else { vec![message] }
    }),
    Mutation::named("agents-share-a-number").told(|_, message| {
        vec![events(message, |event| {
            if event["from"]["type"] == "Agent" {
                event["from"]["participantId"] = json!(3);
            }
        })]
    }),
    Mutation::named("agent-leaves-for-all").told(|_, mut message| {
        if has_event(&message, |event| by_agent(event, "ParticipantLeft")) {
            message["data"]["chatEnded"] = true.into();
        }
        vec![message]
    }),
];
