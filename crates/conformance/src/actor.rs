//! What a case asks of an agent: the step, the words for a person, and what shows on the wire that it was done.
//!
//! A run only tells what it asks for. Whether it was done it learns from the wire; what the agent says of himself is no
//! evidence.

use std::time::Duration;

use protocol::chat::notification::ParticipantType;
use protocol::wire::{self, Headers};
use serde_json::{Map, Value};

use crate::peer::Seen;

/// The name under which the agent of a case joins.
pub const AGENT: &str = "Morgan";

/// One step of an agent. The words are those of the simulator's scripts and of its control API. `Debug` shows them: a case
/// makes its texts up itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Joins the chat.
    Join,
    /// Says something.
    Say(String),
    /// Begins to type.
    Type,
    /// Shows a page to the client.
    PushUrl(String),
    /// Says something to the client's page rather than to the client.
    Notice(String),
    /// Lets another agent join under this name, and leaves.
    Transfer(String),
    /// Leaves; the chat goes on.
    Leave,
    /// Leaves and closes the chat.
    End,
}

impl Step {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Say(_) => "say",
            Self::Type => "type",
            Self::PushUrl(_) => "push-url",
            Self::Notice(_) => "notice",
            Self::Transfer(_) => "transfer",
            Self::Leave => "leave",
            Self::End => "end",
        }
    }

    /// What the step needs beside its word: the name of the member and its value.
    #[must_use]
    pub fn argument(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Join => Some(("nickname", AGENT)),
            Self::Say(text) | Self::Notice(text) => Some(("text", text)),
            Self::PushUrl(url) => Some(("url", url)),
            Self::Transfer(nickname) => Some(("nickname", nickname)),
            Self::Type | Self::Leave | Self::End => None,
        }
    }

    /// The event that shows it.
    #[must_use]
    pub const fn evidence(&self) -> &'static str {
        match self {
            Self::Join | Self::Transfer(_) => "ParticipantJoined by Agent",
            Self::Say(_) => "Message by Agent",
            Self::Type => "TypingStarted by Agent",
            Self::PushUrl(_) => "PushUrl by Agent",
            Self::Notice(_) => "CustomNotice by Agent",
            Self::Leave | Self::End => "ParticipantLeft by Agent",
        }
    }

    /// Whether an event is the one that shows it.
    pub(crate) fn is_shown_by(&self, seen: &Seen) -> bool {
        self.evidence().split_once(' ').is_some_and(|(kind, _)| seen.is(kind)) && seen.is_by(&ParticipantType::Agent)
    }

    /// The words for a person who knows which chat is meant.
    fn words(&self) -> String {
        match self {
            Self::Join => "accept the chat".to_owned(),
            Self::Say(text) => format!("say: {text}"),
            Self::Type => "begin to type, and send nothing".to_owned(),
            Self::PushUrl(url) => format!("push this page: {url}"),
            Self::Notice(text) => format!("send a custom notice: {text}"),
            Self::Transfer(nickname) => format!("transfer the chat to a second agent, such as {nickname}"),
            Self::Leave => "leave the chat without closing it".to_owned(),
            Self::End => "close the chat".to_owned(),
        }
    }

    /// What the agent did not do, if nothing shows it.
    pub(crate) const fn deed(&self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Say(_) => "say anything",
            Self::Type => "type",
            Self::PushUrl(_) => "show a page",
            Self::Notice(_) => "send a notice",
            Self::Transfer(_) => "hand the chat over",
            Self::Leave => "leave",
            Self::End => "close the chat",
        }
    }
}

/// A step that is known before it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The step.
    pub step: Step,
    /// Whether the client has to write something first; else it is due as soon as the step before it is done.
    pub once_written: bool,
}

impl Turn {
    /// A step that is due as soon as the one before it is done.
    pub(crate) const fn at_once(step: Step) -> Self {
        Self { step, once_written: false }
    }

    /// A step that is due when the client has written something behind the step before it.
    pub(crate) const fn once_written(step: Step) -> Self {
        Self { step, once_written: true }
    }
}

/// What a case asks of the agent of one chat. What is asked for earlier is done earlier.
///
/// Each step is asked for when it is due: a program does it then. A person had better be told of all of them at once: the
/// first request of a chat brings the steps that will follow, and those then say that they were announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which one of its run it is, from 1.
    pub id: u64,
    /// The name of the client in the chat that is meant; no other chat of the run has it.
    pub chat: String,
    /// What is to be done.
    pub step: Step,
    /// How long the case waits for it.
    pub within: Duration,
    /// What is going to be asked for in the same chat, as far as it is known.
    pub then: Vec<Turn>,
    /// Whether an earlier request has told of it.
    pub is_announced: bool,
}

impl Request {
    /// The words for a person who is told of all steps at once, one line each.
    #[must_use]
    pub fn briefing(&self) -> Vec<String> {
        let first = Turn::at_once(self.step.clone());
        let line = |turn: &Turn| {
            let when = if turn.once_written { "as soon as the client has written, " } else { "" };
            format!("{when}{}", turn.step.words())
        };
        [first].iter().chain(&self.then).map(line).collect()
    }

    /// The words for a person.
    #[must_use]
    pub fn wording(&self) -> String {
        let chat = &self.chat;
        match &self.step {
            Step::Join => format!("Accept the chat of {chat}."),
            Step::Say(text) => format!("In the chat of {chat}, say: {text}"),
            Step::Type => format!("In the chat of {chat}, begin to type, and send nothing."),
            Step::PushUrl(url) => format!("In the chat of {chat}, push this page: {url}"),
            Step::Notice(text) => format!("In the chat of {chat}, send a custom notice: {text}"),
            Step::Transfer(nickname) => format!("Transfer the chat of {chat} to a second agent, such as {nickname}."),
            Step::Leave => format!("Leave the chat of {chat} without closing it."),
            Step::End => format!("Close the chat of {chat}."),
        }
    }

    /// What the control API of the simulator takes: the step and the chat.
    fn to_order(&self) -> Value {
        let mut order = Map::new();
        order.insert("step".to_owned(), self.step.word().into());
        order.insert("chat".to_owned(), self.chat.as_str().into());
        if let Some((name, value)) = self.step.argument() {
            order.insert(name.to_owned(), value.into());
        }
        Value::Object(order)
    }

    /// The request that brings it to the control API.
    #[must_use]
    pub fn to_control(&self) -> wire::Request {
        let headers = Headers::new().with("Content-Type", "application/json");
        let body = self.to_order().to_string().into_bytes();
        wire::Request { method: "POST".to_owned(), target: "/agent".to_owned(), headers, body }
    }

    /// The same with all that a program or a person may want to know.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = self.to_order();
        if let Value::Object(members) = &mut value {
            members.insert("id".to_owned(), self.id.into());
            members.insert("wording".to_owned(), self.wording().into());
            members.insert("evidence".to_owned(), self.step.evidence().into());
            members.insert("withinSeconds".to_owned(), self.within.as_secs().into());
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(step: Step) -> Request {
        let (chat, within) = ("Wren-7".to_owned(), Duration::from_secs(8));
        Request { id: 3, chat, step, within, then: Vec::new(), is_announced: false }
    }

    #[test]
    fn an_order_has_the_step_the_chat_and_what_the_step_needs() {
        let shown = |step: Step| request(step).to_order().to_string();
        assert_eq!(shown(Step::Join), r#"{"step":"join","chat":"Wren-7","nickname":"Morgan"}"#);
        assert_eq!(shown(Step::Say("Hi".to_owned())), r#"{"step":"say","chat":"Wren-7","text":"Hi"}"#);
        assert_eq!(shown(Step::End), r#"{"step":"end","chat":"Wren-7"}"#);
    }

    #[test]
    fn a_person_is_told_of_all_steps_at_once() {
        let then = vec![Turn::at_once(Step::Say("Hi".to_owned())), Turn::once_written(Step::End)];
        let told = Request { then, ..request(Step::Join) }.briefing();
        assert_eq!(told, ["accept the chat", "say: Hi", "as soon as the client has written, close the chat"]);
    }

    #[test]
    fn a_person_is_told_what_to_do_and_a_program_how_it_shows() {
        let value = request(Step::Leave).to_value();
        assert_eq!(value["wording"], "Leave the chat of Wren-7 without closing it.");
        assert_eq!(value["evidence"], "ParticipantLeft by Agent");
        assert_eq!((&value["id"], &value["withinSeconds"]), (&3.into(), &8.into()));
    }
}
