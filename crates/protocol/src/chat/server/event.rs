//! What happens in a chat, and how it reads on the wire as an element of `messages`.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::chat::notification::{EventType, ParticipantType};
use crate::chat::server::settings::{GmsSettings, Typing};
use crate::secret::Secret;
use crate::time::date;

/// A participant, as it stands in `from`.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) nickname: Secret,
    pub(super) participant_id: i64,
    pub(super) kind: ParticipantType,
}

/// An event, ready for the wire.
#[derive(Clone)]
pub(super) struct Occurred {
    /// Its place in the transcript, if it has one.
    pub(super) index: Option<u64>,
    pub(super) event: Value,
}

/// Shows the position alone, since the rest is personal.
impl fmt::Debug for Occurred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{index}"),
            None => f.write_str("-"),
        }
    }
}

/// Why a participant left, by the number in `eventAttributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuitReason {
    /// By itself.
    Logout,
    /// Another participant ended the chat.
    RemovedByOther,
    /// Somebody came with a wrong key.
    WrongKey,
    /// Nobody said anything.
    SessionInactivity,
    /// Another Chat Server took the chat over.
    Restoration,
}

impl QuitReason {
    /// The number, if it is delivered: that of a logout is not.
    const fn code(self) -> Option<u8> {
        match self {
            Self::Logout => None,
            Self::RemovedByOther => Some(4),
            Self::WrongKey => Some(6),
            Self::SessionInactivity => Some(7),
            Self::Restoration => Some(8),
        }
    }
}

/// Whether an event takes a place in the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has an index and is kept.
    Kept,
    /// It has an index and is not kept.
    Indexed,
    /// It has no index, but takes one.
    Counted,
    /// It has none.
    None,
}

/// What kind of event it is, with what it carries.
#[derive(Clone, Debug)]
pub(super) enum What {
    Joined { bot: bool },
    Left(QuitReason),
    Said { text: Secret, message_type: Option<String> },
    TypingStarted { preview: Option<Secret> },
    TypingStopped { preview: Option<Secret> },
    Noticed { text: Option<Secret>, message_type: Option<String> },
    ShownUrl(Secret),
    Renamed { new_name: Option<Secret> },
    DataUpdated,
    FileUploaded(Attached),
    FileDeleted(Attached),
    IdleAlert(String),
    IdleClose(String),
}

/// `userData` of an event. `Debug` shows how much there is.
#[derive(Clone)]
pub(super) struct Attached(pub(super) Map<String, Value>);

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attached({} members)", self.0.len())
    }
}

impl What {
    pub(super) const fn kind(&self) -> EventType {
        match self {
            Self::Joined { .. } => EventType::ParticipantJoined,
            Self::Left(_) => EventType::ParticipantLeft,
            Self::Said { .. } => EventType::Message,
            Self::TypingStarted { .. } => EventType::TypingStarted,
            Self::TypingStopped { .. } => EventType::TypingStopped,
            Self::Noticed { .. } => EventType::CustomNotice,
            Self::ShownUrl(_) => EventType::PushUrl,
            Self::Renamed { .. } => EventType::NicknameUpdated,
            Self::DataUpdated => EventType::Notice,
            Self::FileUploaded(_) => EventType::FileUploaded,
            Self::FileDeleted(_) => EventType::FileDeleted,
            Self::IdleAlert(_) => EventType::IdleAlert,
            Self::IdleClose(_) => EventType::IdleClose,
        }
    }

    pub(super) const fn place(&self, settings: &GmsSettings) -> Place {
        match self {
            Self::TypingStarted { .. } | Self::TypingStopped { .. } => match settings.typing {
                Typing::Passing => Place::None,
                Typing::Counted => Place::Counted,
                Typing::Indexed => Place::Indexed,
            },
            Self::Noticed { .. } if !settings.notices_indexed => Place::None,
            Self::Joined { .. }
            | Self::Left(_)
            | Self::Said { .. }
            | Self::Noticed { .. }
            | Self::ShownUrl(_)
            | Self::Renamed { .. }
            | Self::DataUpdated
            | Self::FileUploaded(_)
            | Self::FileDeleted(_)
            | Self::IdleAlert(_)
            | Self::IdleClose(_) => Place::Kept,
        }
    }

    /// Whether it breaks the silence that Chat Server minds.
    pub(super) const fn breaks_silence(&self) -> bool {
        match self {
            Self::Joined { .. }
            | Self::Said { .. }
            | Self::Noticed { .. }
            | Self::ShownUrl(_)
            | Self::FileUploaded(_)
            | Self::FileDeleted(_) => true,
            Self::Left(_)
            | Self::TypingStarted { .. }
            | Self::TypingStopped { .. }
            | Self::Renamed { .. }
            | Self::DataUpdated
            | Self::IdleAlert(_)
            | Self::IdleClose(_) => false,
        }
    }

    /// Whether it is pushed to a device.
    pub(super) const fn is_pushed(&self) -> bool {
        !matches!(self.kind(), EventType::FileDeleted | EventType::CustomNotice | EventType::Notice)
    }

    /// The event on the wire.
    pub(super) fn to_value(&self, index: Option<u64>, from: &Party, utc_ms: i64, settings: &GmsSettings) -> Value {
        let mut event = Map::new();
        let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
        if let Some(index) = index {
            put("index", index.into());
        }
        put("type", self.kind().as_str().into());
        let (text, message_type) = self.words();
        if let Some(text) = text {
            put("text", text.into());
        }
        if let Some(label) = message_type {
            put("messageType", label.into());
        }
        if let Self::FileUploaded(data) | Self::FileDeleted(data) = self {
            put("userData", Value::Object(data.0.clone()));
        }
        if let Some(attributes) = self.attributes().filter(|_| settings.event_attributes) {
            put("eventAttributes", json!({"GCTI_SYSTEM": attributes}));
        }
        put("from", from.to_value());
        put("utcTime", time(utc_ms, settings.iso_time));
        Value::Object(event)
    }

    fn words(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Said { text, message_type } => (Some(text.expose()), message_type.as_deref()),
            Self::Noticed { text, message_type } => (text.as_ref().map(Secret::expose), message_type.as_deref()),
            Self::TypingStarted { preview } | Self::TypingStopped { preview } => {
                (preview.as_ref().map(Secret::expose), None)
            }
            Self::ShownUrl(url) => (Some(url.expose()), None),
            Self::Renamed { new_name } => (new_name.as_ref().map(Secret::expose), None),
            Self::IdleAlert(text) | Self::IdleClose(text) => (Some(text), None),
            Self::DataUpdated => (Some("user-data-updated"), None),
            Self::Joined { .. } | Self::Left(_) | Self::FileUploaded(_) | Self::FileDeleted(_) => (None, None),
        }
    }

    fn attributes(&self) -> Option<Value> {
        match self {
            Self::Left(reason) => Some(json!({"quit-reason-code": reason.code()?})),
            Self::Joined { bot: true } => Some(json!({"party-info": {"style": "BOT"}})),
            Self::Joined { bot: false }
            | Self::Said { .. }
            | Self::TypingStarted { .. }
            | Self::TypingStopped { .. }
            | Self::Noticed { .. }
            | Self::ShownUrl(_)
            | Self::Renamed { .. }
            | Self::DataUpdated
            | Self::FileUploaded(_)
            | Self::FileDeleted(_)
            | Self::IdleAlert(_)
            | Self::IdleClose(_) => None,
        }
    }
}

impl Party {
    pub(super) fn to_value(&self) -> Value {
        json!({
            "nickname": self.nickname.expose(),
            "participantId": self.participant_id,
            "type": self.kind.as_str(),
        })
    }
}

/// `utcTime`, as a number or in ISO 8601.
pub(super) fn time(utc_ms: i64, iso: bool) -> Value {
    if !iso {
        return utc_ms.into();
    }
    let seconds = utc_ms.div_euclid(1_000);
    let ((year, month, day), second) = (date(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
    let (hour, minute, second, millis) = (second / 3_600, second / 60 % 60, second % 60, utc_ms.rem_euclid(1_000));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_moment_in_either_form() {
        assert_eq!(time(1_709_251_199_007, false), json!(1_709_251_199_007_i64));
        assert_eq!(time(1_709_251_199_007, true), json!("2024-02-29T23:59:59.007Z"));
    }
}
