//! What a server says on the service channel: the `data` of an event, with the envelope and the transcript's events.
//!
//! One shape serves answers and unsolicited notifications; neither carries the id of a request.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::secret::Secret;
use crate::violation::Violation;

/// `statusCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// 0: all went well.
    Ok,
    /// 1: Chat Server cannot be reached; the same request may succeed later.
    Unavailable,
    /// 2: the request failed for good; `chatEnded` says whether the chat did too.
    Failed,
}

impl Status {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Ok => 0,
            Self::Unavailable => 1,
            Self::Failed => 2,
        }
    }
}

/// `from.type`: what a participant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParticipantType {
    /// `Client`
    Client,
    /// `Agent`
    Agent,
    /// `Supervisor`
    Supervisor,
    /// `External`: the server's own automation, such as `system`.
    External,
    /// A word that this implementation does not know.
    Other(String),
}

impl ParticipantType {
    fn parse(word: &str) -> Self {
        match word {
            "Client" => Self::Client,
            "Agent" => Self::Agent,
            "Supervisor" => Self::Supervisor,
            "External" => Self::External,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client => "Client",
            Self::Agent => "Agent",
            Self::Supervisor => "Supervisor",
            Self::External => "External",
            Self::Other(word) => word,
        }
    }
}

/// The types of events that are known; a client must put up with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// `ParticipantJoined`
    ParticipantJoined,
    /// `ParticipantLeft`
    ParticipantLeft,
    /// `Message`
    Message,
    /// `TypingStarted`
    TypingStarted,
    /// `TypingStopped`
    TypingStopped,
    /// `NicknameUpdated`
    NicknameUpdated,
    /// `PushUrl`; the `text` is the URL.
    PushUrl,
    /// `FileUploaded`
    FileUploaded,
    /// `FileDeleted`
    FileDeleted,
    /// `CustomNotice`
    CustomNotice,
    /// `Notice`, of the server.
    Notice,
    /// `IdleAlert`: nothing was said for a while.
    IdleAlert,
    /// `IdleClose`: the chat ends for it.
    IdleClose,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 13] = [
        Self::ParticipantJoined,
        Self::ParticipantLeft,
        Self::Message,
        Self::TypingStarted,
        Self::TypingStopped,
        Self::NicknameUpdated,
        Self::PushUrl,
        Self::FileUploaded,
        Self::FileDeleted,
        Self::CustomNotice,
        Self::Notice,
        Self::IdleAlert,
        Self::IdleClose,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ParticipantJoined => "ParticipantJoined",
            Self::ParticipantLeft => "ParticipantLeft",
            Self::Message => "Message",
            Self::TypingStarted => "TypingStarted",
            Self::TypingStopped => "TypingStopped",
            Self::NicknameUpdated => "NicknameUpdated",
            Self::PushUrl => "PushUrl",
            Self::FileUploaded => "FileUploaded",
            Self::FileDeleted => "FileDeleted",
            Self::CustomNotice => "CustomNotice",
            Self::Notice => "Notice",
            Self::IdleAlert => "IdleAlert",
            Self::IdleClose => "IdleClose",
        }
    }

    /// The type behind a word; `None` if it is not known.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// `from`: who caused an event. `Debug` hides the name.
#[derive(Clone, PartialEq, Eq)]
pub struct Participant {
    /// `nickname`
    pub nickname: String,
    /// `participantId`, small and unique within the chat.
    pub participant_id: i64,
    /// `type`
    pub kind: ParticipantType,
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.participant_id)
    }
}

/// One event of the transcript (an element of `messages`).
#[derive(Clone)]
pub struct Event {
    raw: Box<RawValue>,
    /// `index`: the transcript position, from 1, with gaps; absent on events that are not stored.
    pub index: Option<u64>,
    /// `type`, such as `Message` or `ParticipantJoined`; an unknown one is to be ignored.
    pub kind: Option<String>,
    /// `from`
    pub from: Option<Participant>,
    /// `utcTime`, milliseconds since the epoch.
    pub utc_time: Option<i64>,
    /// `text`
    pub text: Option<String>,
    /// `messageType`, if the sender gave one.
    pub message_type: Option<String>,
}

impl Event {
    /// The text of the JSON object as it came.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.raw
    }

    /// The type, if it is a known one.
    #[must_use]
    pub fn event_type(&self) -> Option<EventType> {
        EventType::parse(self.kind.as_deref()?)
    }

    /// `userData`: what a file event says of its file. Empty if there is none.
    #[must_use]
    pub fn user_data(&self) -> Map<String, Value> {
        self.member("userData").and_then(|data| data.as_object().cloned()).unwrap_or_default()
    }

    /// `eventAttributes.GCTI_SYSTEM.quit-reason-code`: why a participant left, where the server tells.
    #[must_use]
    pub fn quit_reason(&self) -> Option<i64> {
        self.member("eventAttributes")?.get("GCTI_SYSTEM")?.get("quit-reason-code").and_then(number_or_digits)
    }

    fn member(&self, name: &str) -> Option<Value> {
        let mut object: Map<String, Value> = serde_json::from_str(self.raw.get()).ok()?;
        object.remove(name)
    }

    fn parse(raw: Box<RawValue>, violations: &mut Vec<Violation>) -> Option<Self> {
        let Ok(object) = serde_json::from_str::<Map<String, Value>>(raw.get()) else {
            violations.push(Violation::EventNotObject);
            return None;
        };
        let mut flag = |wrong: bool, violation: Violation| {
            if wrong {
                violations.push(violation);
            }
        };
        let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let index = object.get("index").and_then(number_or_digits).and_then(|index| u64::try_from(index).ok());
        let index = index.filter(|index| *index >= 1);
        flag(object.contains_key("index") && index.is_none(), Violation::EventIndexInvalid);
        let kind = text("type");
        flag(kind.is_none(), Violation::EventTypeMissing);
        let utc_time = object.get("utcTime").and_then(Value::as_i64);
        flag(object.contains_key("utcTime") && utc_time.is_none(), Violation::EventTimeInvalid);
        let from = object.get("from").and_then(Value::as_object).and_then(participant);
        flag(object.contains_key("from") && from.is_none(), Violation::EventFromInvalid);
        let (text, message_type) = (text("text"), text("messageType"));
        Some(Self { index, kind, from, utc_time, text, message_type, raw })
    }
}

/// Two events are equal if their texts are.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.raw.get() == other.raw.get()
    }
}

impl Eq for Event {}

/// Shows position, type and participant, not the text.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_deref().unwrap_or("?");
        match self.index {
            Some(index) => write!(f, "{index}:{kind}")?,
            None => write!(f, "-:{kind}")?,
        }
        self.from.as_ref().map_or(Ok(()), |from| write!(f, " by {from:?}"))
    }
}

fn participant(from: &Map<String, Value>) -> Option<Participant> {
    Some(Participant {
        nickname: from.get("nickname")?.as_str()?.to_owned(),
        participant_id: from.get("participantId").and_then(number_or_digits)?,
        kind: ParticipantType::parse(from.get("type")?.as_str()?),
    })
}

/// A whole number, as number or as text: one known client reads `index` as text.
fn number_or_digits(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// One element of `errors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatError {
    /// `code`
    pub code: Option<i64>,
    /// `advice`: words for a person, never to be matched.
    pub advice: Option<String>,
}

/// The `data` of an event on the service channel. What is absent or of a wrong type reads as `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// `statusCode`
    pub status: Option<Status>,
    /// `chatEnded`
    pub chat_ended: Option<bool>,
    /// `messages`: the events, possibly none; `None` if the member is absent.
    pub messages: Option<Vec<Event>>,
    /// `errors`
    pub errors: Vec<ChatError>,
    /// `secureKey`
    pub secure_key: Option<Secret>,
    /// `userId`
    pub user_id: Option<Secret>,
    /// `chatId`, constant for the chat.
    pub chat_id: Option<Secret>,
    /// `alias`, which may change within a chat.
    pub alias: Option<Secret>,
    /// `nextPosition`: the transcript position to ask for next.
    pub next_position: Option<i64>,
    /// What is wrong with it.
    pub violations: Vec<Violation>,
}

impl Notification {
    /// Reads the text of a `data` member. Total: what cannot be read is listed in `violations`.
    #[must_use]
    pub fn parse(data: &str) -> Self {
        let Ok(object) = serde_json::from_str::<Map<String, Value>>(data) else {
            return Self { violations: vec![Violation::NotificationNotObject], ..Self::default() };
        };
        let mut notification = Self::default();
        let mut violations = Vec::new();
        match object.get("statusCode") {
            None => violations.push(Violation::NotificationStatusMissing),
            Some(code) => {
                notification.status = match code.as_i64() {
                    Some(0) => Some(Status::Ok),
                    Some(1) => Some(Status::Unavailable),
                    Some(2) => Some(Status::Failed),
                    _ => None,
                };
                if notification.status.is_none() {
                    violations.push(Violation::NotificationStatusUnknown);
                }
            }
        }
        notification.chat_ended = object.get("chatEnded").and_then(Value::as_bool);
        if notification.chat_ended.is_none() {
            violations.push(Violation::NotificationChatEndedMissing);
        }
        notification.messages = events(data, &mut violations);
        if notification.messages.is_none() && notification.status == Some(Status::Ok) {
            violations.push(Violation::NotificationMessagesMissing);
        }
        let mut wrong_type = false;
        let mut secret = |name: &str| match object.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(value)) => Some(Secret::new(value.as_str())),
            Some(_) => {
                wrong_type = true;
                None
            }
        };
        notification.secure_key = secret("secureKey");
        notification.user_id = secret("userId");
        notification.chat_id = secret("chatId");
        notification.alias = secret("alias");
        notification.next_position = object.get("nextPosition").and_then(number_or_digits);
        wrong_type |= object.contains_key("nextPosition") && notification.next_position.is_none();
        match object.get("errors") {
            None | Some(Value::Null) => {}
            Some(Value::Array(errors)) => {
                notification.errors = errors
                    .iter()
                    .map(|error| ChatError {
                        code: error.get("code").and_then(Value::as_i64),
                        advice: error.get("advice").and_then(Value::as_str).map(str::to_owned),
                    })
                    .collect();
            }
            Some(_) => wrong_type = true,
        }
        if wrong_type {
            violations.push(Violation::NotificationMemberType);
        }
        notification.violations = violations;
        notification
    }

    /// The events, none if `messages` is absent.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        self.messages.as_deref().unwrap_or_default()
    }
}

fn events(data: &str, violations: &mut Vec<Violation>) -> Option<Vec<Event>> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(data).ok()?;
    let messages = members.remove("messages")?;
    let Ok(elements) = serde_json::from_str::<Vec<Box<RawValue>>>(messages.get()) else {
        violations.push(Violation::NotificationMemberType);
        return None;
    };
    Some(elements.into_iter().filter_map(|raw| Event::parse(raw, violations)).collect())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;

    use super::*;

    #[test]
    fn reads_an_answer() {
        let answer = Notification::parse(
            r#"{"statusCode":0,"chatEnded":false,"secureKey":"K","chatId":"C1","nextPosition":5,"messages":[
                {"index":4,"type":"Message","text":"hi","utcTime":1700000000000,
                 "from":{"nickname":"Ann","participantId":1,"type":"Client"}}]}"#,
        );
        assert_eq!(answer.violations, []);
        assert_eq!(answer.status, Some(Status::Ok));
        assert_eq!(answer.next_position, Some(5));
        let [event] = answer.events() else { panic!("one event") };
        assert_eq!((event.index, event.kind.as_deref(), event.text.as_deref()), (Some(4), Some("Message"), Some("hi")));
        assert_eq!(event.from.as_ref().map(|from| &from.kind), Some(&ParticipantType::Client));
    }

    #[rstest]
    #[case("[]", &[Violation::NotificationNotObject])]
    #[case("{}", &[Violation::NotificationStatusMissing, Violation::NotificationChatEndedMissing])]
    #[case(r#"{"statusCode":"0","chatEnded":false}"#, &[Violation::NotificationStatusUnknown])]
    #[case(r#"{"statusCode":0,"chatEnded":false}"#, &[Violation::NotificationMessagesMissing])]
    #[case(r#"{"statusCode":2,"chatEnded":true}"#, &[])]
    #[case(r#"{"statusCode":2,"chatEnded":true,"errors":5}"#, &[Violation::NotificationMemberType])]
    #[case(r#"{"statusCode":0,"chatEnded":false,"messages":[1]}"#, &[Violation::EventNotObject])]
    #[case(r#"{"statusCode":0,"chatEnded":false,"messages":[{"index":0}]}"#,
           &[Violation::EventIndexInvalid, Violation::EventTypeMissing])]
    #[case(r#"{"statusCode":0,"chatEnded":false,"messages":[{"type":"Message","utcTime":"x","from":5}]}"#,
           &[Violation::EventTimeInvalid, Violation::EventFromInvalid])]
    fn lists_what_is_wrong(#[case] data: &str, #[case] violations: &[Violation]) {
        assert_eq!(Notification::parse(data).violations, violations);
    }

    #[test]
    fn tolerates_numeric_texts_for_index() {
        let data = r#"{"statusCode":0,"chatEnded":false,"messages":[{"type":"Message","index":"7"}]}"#;
        assert_eq!(Notification::parse(data).events()[0].index, Some(7));
    }

    #[test]
    fn reads_what_some_events_carry() {
        let data = r#"{"statusCode":0,"chatEnded":false,"messages":[
            {"type":"ParticipantLeft","index":7,"eventAttributes":{"GCTI_SYSTEM":{"quit-reason-code":4}}},
            {"type":"FileUploaded","index":8,"userData":{"file-id":"f"},"eventAttributes":5},
            {"type":"Novelty","index":9}]}"#;
        let notification = Notification::parse(data);
        let [left, uploaded, novelty] = notification.events() else { panic!("three events") };
        assert_eq!((left.event_type(), left.quit_reason()), (Some(EventType::ParticipantLeft), Some(4)));
        assert_eq!(uploaded.user_data().get("file-id").and_then(Value::as_str), Some("f"));
        assert_eq!((uploaded.quit_reason(), novelty.event_type()), (None, None));
    }

    #[test]
    fn debug_shows_neither_names_nor_texts() {
        let data = r#"{"statusCode":0,"chatEnded":false,"secureKey":"kkkk","messages":[{"type":"Message","index":7,
            "text":"pssst","from":{"nickname":"Ann","participantId":2,"type":"Agent"}}]}"#;
        let shown = format!("{:?}", Notification::parse(data));
        assert!(shown.contains("7:Message by Agent 2"), "{shown}");
        for secret in ["kkkk", "pssst", "Ann"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
