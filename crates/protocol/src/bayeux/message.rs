//! One Bayeux message: its original text and a typed envelope (Bayeux 2.5 and 3).
//!
//! Parsing is total for any JSON object: what can be read is read, what is wrong is listed as [`Violation`]s. The text is
//! kept as it came, so unknown members, member order, duplicate keys and big numbers survive.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bayeux::advice::Advice;
use crate::secret::Secret;
use crate::violation::Violation;

/// The id of a session, opaque and secret (Bayeux 2.4, 3.5). `Debug` hides it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Secret);

impl ClientId {
    /// Wraps a clientId as it stands in a message.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Secret::new(value))
    }

    /// The text that goes into the `clientId` member.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The id of a message (Bayeux 3.8). A numeric id is held as its digits, since CometD answers `5` with `"5"` (BX-META-04).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// Wraps an id.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The id without quotation marks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One member of a message, its value as it stood in the text.
#[derive(Clone)]
struct Member {
    name: String,
    value: Box<RawValue>,
}

/// A Bayeux message. Two messages are equal if their texts are.
#[derive(Clone)]
pub struct Message {
    text: Box<RawValue>,
    members: Vec<Member>,
    channel: Option<String>,
    id: Option<MessageId>,
    client_id: Option<ClientId>,
    successful: Option<bool>,
    error: Option<String>,
    violations: Vec<Violation>,
}

impl Message {
    /// Reads a message from the text of one JSON object; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_raw(serde_json::from_str(text).ok()?)
    }

    /// Reads a message from a JSON value; `None` if that is not an object.
    #[must_use]
    pub fn from_raw(text: Box<RawValue>) -> Option<Self> {
        let Members(members) = serde_json::from_str(text.get()).ok()?;
        let mut message = Self {
            text,
            members,
            channel: None,
            id: None,
            client_id: None,
            successful: None,
            error: None,
            violations: Vec::new(),
        };
        message.read_envelope();
        Some(message)
    }

    /// Starts a message on a channel.
    #[must_use]
    pub fn draft(channel: &str) -> Draft {
        Draft::default().with("channel", channel)
    }

    fn read_envelope(&mut self) {
        let mut violations = Vec::new();
        for (position, member) in self.members.iter().enumerate() {
            if self.members[..position].iter().any(|earlier| earlier.name == member.name) {
                violations.push(Violation::MessageMemberRepeated);
            }
        }
        match self.value("channel") {
            None => violations.push(Violation::MessageChannelMissing),
            Some(Value::String(channel)) => self.channel = Some(channel),
            Some(_) => violations.push(Violation::MessageChannelNotText),
        }
        match self.value("id") {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) => self.id = Some(MessageId(id)),
            Some(Value::Number(id)) => self.id = Some(MessageId(id.to_string())),
            Some(_) => violations.push(Violation::MessageIdNotText),
        }
        match self.value("clientId") {
            None | Some(Value::Null) => {}
            Some(Value::String(id)) => self.client_id = Some(ClientId::new(id)),
            Some(_) => violations.push(Violation::MessageClientIdNotText),
        }
        match self.value("successful") {
            None => {}
            Some(Value::Bool(successful)) => self.successful = Some(successful),
            Some(_) => violations.push(Violation::ReplySuccessfulNotBoolean),
        }
        match self.value("error") {
            None => {}
            Some(Value::String(error)) => self.error = Some(error),
            Some(_) => violations.push(Violation::ReplyErrorNotText),
        }
        if matches!(self.value("advice"), Some(advice) if !advice.is_object()) {
            violations.push(Violation::AdviceNotObject);
        }
        self.violations = violations;
    }

    /// The original text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get()
    }

    /// The original text as a JSON value, for embedding it unchanged.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.text
    }

    /// What is wrong with the envelope, whatever the direction and the channel.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The names of the members, in order, repeated ones repeated.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// The text of a member's value. Of a repeated member the last one counts, as in most JSON readers.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&RawValue> {
        self.members.iter().rev().find(|member| member.name == name).map(|member| &*member.value)
    }

    /// A member as a parsed value; `None` if it is absent or nested too deeply to parse.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.member(name)?.get()).ok()
    }

    /// `channel` (Bayeux 3.1); `None` if absent or not a text.
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        self.channel.as_deref()
    }

    /// `id` (Bayeux 3.8).
    #[must_use]
    pub const fn id(&self) -> Option<&MessageId> {
        self.id.as_ref()
    }

    /// `clientId` (Bayeux 3.5).
    #[must_use]
    pub const fn client_id(&self) -> Option<&ClientId> {
        self.client_id.as_ref()
    }

    /// `successful` (Bayeux 3.12); `None` if absent or not a boolean.
    #[must_use]
    pub const fn successful(&self) -> Option<bool> {
        self.successful
    }

    /// `error` (Bayeux 3.14), as it came.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The three digits with which the error begins (Bayeux 3.14). The words behind them differ by CometD version and
    /// carry no meaning to a program (BX-FLD-19).
    #[must_use]
    pub fn error_code(&self) -> Option<u16> {
        let (digits, _) = self.error()?.split_once(':')?;
        (digits.len() == 3).then(|| digits.parse().ok()).flatten()
    }

    /// `advice` (Bayeux 3.6); `None` if absent or not an object.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        Advice::parse(self.member("advice")?.get())
    }

    /// `data` (Bayeux 3.10), unparsed.
    #[must_use]
    pub fn data(&self) -> Option<&RawValue> {
        self.member("data")
    }

    /// `ext` (Bayeux 3.15), parsed.
    #[must_use]
    pub fn ext(&self) -> Option<Value> {
        self.value("ext")
    }

    /// Whether this is a server's reply to a publish and not an event: it has `successful` and no `data` (BX-SVC-05).
    #[must_use]
    pub fn is_publish_reply(&self) -> bool {
        self.member("successful").is_some() && self.data().is_none()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Message {}

/// Shows what identifies the message and none of its contents, which may be secret.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("channel", &self.channel)
            .field("id", &self.id)
            .field("successful", &self.successful)
            .finish_non_exhaustive()
    }
}

/// A message in the making; members appear in the order in which they are given.
#[derive(Clone, Default)]
pub struct Draft {
    members: Vec<(String, Box<RawValue>)>,
}

impl Draft {
    /// Adds a member.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<Value>) -> Self {
        let value = serde_json::value::to_raw_value(&value.into()).expect("a JSON value always serialises");
        self.with_raw(name, value)
    }

    /// Adds a member whose value is already JSON text.
    #[must_use]
    pub fn with_raw(mut self, name: &str, value: Box<RawValue>) -> Self {
        self.members.push((name.to_owned(), value));
        self
    }

    /// Adds a member if there is a value for it.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds `id` if there is one.
    #[must_use]
    pub fn id(self, id: Option<&MessageId>) -> Self {
        self.with_some("id", id.map(MessageId::as_str))
    }

    /// Adds `clientId`.
    #[must_use]
    pub fn client(self, id: &ClientId) -> Self {
        self.with("clientId", id.expose())
    }

    /// Finishes the message.
    #[must_use]
    pub fn finish(self) -> Message {
        let mut text = String::from("{");
        for (position, (name, value)) in self.members.iter().enumerate() {
            if position > 0 {
                text.push(',');
            }
            text.push_str(&Value::from(name.as_str()).to_string());
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        Message::parse(&text).expect("a draft is a JSON object")
    }
}

/// The members of a JSON object with duplicates and order.
struct Members(Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    members.push(Member { name, value });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Message {
        Message::parse(text).expect("an object")
    }

    #[test]
    fn keeps_the_text_with_duplicates_big_numbers_and_order() {
        let text = r#"{"b":12345678901234567890123, "channel":"/a","b":1.0,"x":{"y":[1]}}"#;
        let message = parse(text);
        assert_eq!(message.text(), text);
        assert_eq!(message.names().collect::<Vec<_>>(), ["b", "channel", "b", "x"]);
        assert_eq!(message.member("b").map(RawValue::get), Some("1.0"));
        assert_eq!(message.violations(), [Violation::MessageMemberRepeated]);
    }

    #[test]
    fn reads_what_can_be_read_and_lists_the_rest() {
        let message = parse(r#"{"channel":7,"id":5,"clientId":[],"successful":"yes","advice":5}"#);
        assert_eq!(message.id(), Some(&MessageId::new("5")));
        assert_eq!(
            message.violations(),
            [
                Violation::MessageChannelNotText,
                Violation::MessageClientIdNotText,
                Violation::ReplySuccessfulNotBoolean,
                Violation::AdviceNotObject,
            ]
        );
    }

    #[test]
    fn takes_the_code_of_an_error_and_ignores_its_words() {
        let code = |error: &str| parse(&json!({"channel": "/meta/connect", "error": error}).to_string()).error_code();
        assert_eq!(code("402::Unknown client"), Some(402));
        assert_eq!(code("402::session_unknown"), Some(402));
        assert_eq!(code("402:: Unknown client"), Some(402));
        assert_eq!(code("Authentication failed"), None);
        assert_eq!(code("4o2::x"), None);
    }

    #[test]
    fn tells_a_publish_reply_from_an_event() {
        assert!(parse(r#"{"channel":"/service/x","id":"1","successful":true}"#).is_publish_reply());
        assert!(!parse(r#"{"channel":"/service/x","id":"1","data":{}}"#).is_publish_reply());
    }

    #[test]
    fn drafts_members_in_order() {
        let message = Message::draft("/meta/connect")
            .id(Some(&MessageId::new("2")))
            .client(&ClientId::new("c1"))
            .with("connectionType", "long-polling")
            .finish();
        assert_eq!(
            message.text(),
            r#"{"channel":"/meta/connect","id":"2","clientId":"c1","connectionType":"long-polling"}"#
        );
    }

    #[test]
    fn debug_shows_no_contents() {
        let shown = format!("{:?}", parse(r#"{"channel":"/a","clientId":"s3cret","data":{"secureKey":"s3cret"}}"#));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
