//! The schemas of messages, embedded and compiled once: which one describes a message, and where the message departs
//! from it.
//!
//! What is said of a departure comes from the schema and never from the message, so it holds nothing personal. Redacted
//! messages fit as well as raw ones: a token is a text where a text was.

use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Registry, ValidationError, Validator};
use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::chat::CHANNEL_PREFIX;
use protocol::wire::Side;
use serde_json::Value;

/// Where the files say that they live. Nothing is ever fetched from there.
const BASE: &str = "https://tapestry.example/schemas/";

macro_rules! schemas {
    ($($(#[doc = $doc:literal])+ $name:ident = $file:literal;)+) => {
        /// A schema under `schemas/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Schema {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Schema {
            /// Every schema.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its path below `schemas/`, without `.schema.json`.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $file,)+ }
            }

            /// Its text.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../../schemas/", $file, ".schema.json")),)+
                }
            }
        }
    };
}

schemas! {
    /// What one carrier holds.
    Batch = "bayeux/batch";
    /// What every message has in common.
    Message = "bayeux/message";
    /// `advice`.
    Advice = "bayeux/advice";
    /// A refusal of what has no reply of its own kind.
    ErrorReply = "bayeux/error-reply";
    /// `/meta/handshake`, from a client.
    HandshakeRequest = "bayeux/handshake-request";
    /// `/meta/handshake`, from a server.
    HandshakeReply = "bayeux/handshake-reply";
    /// `/meta/connect`, from a client.
    ConnectRequest = "bayeux/connect-request";
    /// `/meta/connect`, from a server.
    ConnectReply = "bayeux/connect-reply";
    /// `/meta/disconnect`, from a client.
    DisconnectRequest = "bayeux/disconnect-request";
    /// `/meta/disconnect`, from a server.
    DisconnectReply = "bayeux/disconnect-reply";
    /// `/meta/subscribe`, from a client.
    SubscribeRequest = "bayeux/subscribe-request";
    /// `/meta/subscribe`, from a server.
    SubscribeReply = "bayeux/subscribe-reply";
    /// `/meta/unsubscribe`, from a client.
    UnsubscribeRequest = "bayeux/unsubscribe-request";
    /// `/meta/unsubscribe`, from a server.
    UnsubscribeReply = "bayeux/unsubscribe-reply";
    /// A publish.
    PublishRequest = "bayeux/publish-request";
    /// The acknowledgement of a publish.
    PublishReply = "bayeux/publish-reply";
    /// A message of the server's application.
    Delivery = "bayeux/delivery";
    /// The `data` of any chat operation.
    Operation = "chat/request";
    /// The `data` of `requestChat`.
    RequestChat = "chat/request-chat";
    /// The `data` of `requestNotifications`.
    RequestNotifications = "chat/request-notifications";
    /// The `data` of `sendMessage`.
    SendMessage = "chat/send-message";
    /// The `data` of `startTyping`.
    StartTyping = "chat/start-typing";
    /// The `data` of `stopTyping`.
    StopTyping = "chat/stop-typing";
    /// The `data` of `customNotice`.
    CustomNotice = "chat/custom-notice";
    /// The `data` of `pushUrl`.
    PushUrl = "chat/push-url";
    /// The `data` of `updateNickname`.
    UpdateNickname = "chat/update-nickname";
    /// The `data` of `updateData`.
    UpdateData = "chat/update-data";
    /// The `data` of `readReceipt`.
    ReadReceipt = "chat/read-receipt";
    /// The `data` of `disconnect`.
    Disconnect = "chat/disconnect";
    /// The form of any request about files.
    FileOperation = "chat/file-request";
    /// The form of `fileGetLimits`.
    FileGetLimits = "chat/file-get-limits";
    /// The form of `fileUpload`.
    FileUpload = "chat/file-upload";
    /// The form of `fileDownload`.
    FileDownload = "chat/file-download";
    /// The form of `fileDelete`.
    FileDelete = "chat/file-delete";
    /// The `data` of an answer or a notification.
    Notification = "chat/notification";
    /// The `data` of the answer to `requestChat`.
    RequestChatAnswer = "chat/request-chat-answer";
    /// The `data` of the answer to `disconnect`.
    DisconnectAnswer = "chat/disconnect-answer";
    /// The answer to `fileGetLimits`.
    FileGetLimitsAnswer = "chat/file-get-limits-answer";
    /// The answer to `fileUpload`.
    FileUploadAnswer = "chat/file-upload-answer";
    /// What may be uploaded.
    FileLimits = "chat/file-limits";
    /// An event of the transcript, judged by its type.
    Event = "chat/event";
    /// What all events have in common.
    EventCommon = "chat/event-common";
    /// `ParticipantJoined`
    ParticipantJoined = "chat/event-participant-joined";
    /// `ParticipantLeft`
    ParticipantLeft = "chat/event-participant-left";
    /// `Message`
    MessageEvent = "chat/event-message";
    /// `TypingStarted`
    TypingStarted = "chat/event-typing-started";
    /// `TypingStopped`
    TypingStopped = "chat/event-typing-stopped";
    /// `NicknameUpdated`
    NicknameUpdated = "chat/event-nickname-updated";
    /// `PushUrl`
    PushUrlEvent = "chat/event-push-url";
    /// `FileUploaded`
    FileUploaded = "chat/event-file-uploaded";
    /// `FileDeleted`
    FileDeleted = "chat/event-file-deleted";
    /// `CustomNotice`
    CustomNoticeEvent = "chat/event-custom-notice";
    /// `Notice`
    Notice = "chat/event-notice";
    /// `IdleAlert`
    IdleAlert = "chat/event-idle-alert";
    /// `IdleClose`
    IdleClose = "chat/event-idle-close";
    /// Who caused an event.
    Participant = "chat/participant";
    /// An element of `errors`.
    ChatError = "chat/error";
    /// `userData`
    UserData = "chat/user-data";
    /// `eventAttributes`
    EventAttributes = "chat/event-attributes";
}

/// The operations of the service channel.
pub const OPERATIONS: &[(&str, Schema)] = &[
    ("requestChat", Schema::RequestChat),
    ("requestNotifications", Schema::RequestNotifications),
    ("sendMessage", Schema::SendMessage),
    ("startTyping", Schema::StartTyping),
    ("stopTyping", Schema::StopTyping),
    ("customNotice", Schema::CustomNotice),
    ("pushUrl", Schema::PushUrl),
    ("updateNickname", Schema::UpdateNickname),
    ("updateData", Schema::UpdateData),
    ("readReceipt", Schema::ReadReceipt),
    ("disconnect", Schema::Disconnect),
];

/// The operations of `chat-ntf`, with the schemas of the form and of the answer; a download is answered by the file, and
/// by an envelope only if it fails.
pub const FILE_OPERATIONS: &[(&str, Schema, Schema)] = &[
    ("fileGetLimits", Schema::FileGetLimits, Schema::FileGetLimitsAnswer),
    ("fileUpload", Schema::FileUpload, Schema::FileUploadAnswer),
    ("fileDownload", Schema::FileDownload, Schema::Notification),
    ("fileDelete", Schema::FileDelete, Schema::Notification),
];

/// Where a message departs from its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The schema.
    pub schema: Schema,
    /// JSON pointer into the message.
    pub pointer: String,
    /// What is wrong there.
    pub wrong: String,
}

struct Compiled(Vec<Validator>);

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let parse = |schema: &Schema| -> Value { serde_json::from_str(schema.text()).expect("an embedded schema is JSON") };
    let mut registry = Registry::new();
    for schema in Schema::ALL {
        let uri = format!("{BASE}{}.schema.json", schema.path());
        registry = registry.add(uri, parse(schema)).expect("an embedded schema has a proper name");
    }
    let registry = registry.prepare().expect("embedded schemas refer to each other only");
    let compile = |schema: &Schema| {
        let options = jsonschema::options().with_registry(&registry);
        options.build(&parse(schema)).expect("an embedded schema is a schema")
    };
    Compiled(Schema::ALL.iter().map(compile).collect())
});

/// The schema of a message by who sent it and its channel; of an unknown meta channel what all messages share, or for a
/// server the refusal.
#[must_use]
pub fn of_message(from: Side, message: &Message) -> Schema {
    match (from, message.channel()) {
        (Side::Client, Some(channel::HANDSHAKE)) => Schema::HandshakeRequest,
        (Side::Client, Some(channel::CONNECT)) => Schema::ConnectRequest,
        (Side::Client, Some(channel::DISCONNECT)) => Schema::DisconnectRequest,
        (Side::Client, Some(channel::SUBSCRIBE)) => Schema::SubscribeRequest,
        (Side::Client, Some(channel::UNSUBSCRIBE)) => Schema::UnsubscribeRequest,
        (Side::Client, Some(name)) if !channel::is_meta(name) => Schema::PublishRequest,
        (Side::Client, _) => Schema::Message,
        (Side::Server, Some(channel::HANDSHAKE)) => Schema::HandshakeReply,
        (Side::Server, Some(channel::CONNECT)) => Schema::ConnectReply,
        (Side::Server, Some(channel::DISCONNECT)) => Schema::DisconnectReply,
        (Side::Server, Some(channel::SUBSCRIBE)) => Schema::SubscribeReply,
        (Side::Server, Some(channel::UNSUBSCRIBE)) => Schema::UnsubscribeReply,
        (Side::Server, Some(name)) if channel::is_meta(name) => Schema::ErrorReply,
        (Side::Server, Some(_)) if message.is_publish_reply() => Schema::PublishReply,
        (Side::Server, Some(_)) => Schema::Delivery,
        (Side::Server, None) => Schema::ErrorReply,
    }
}

/// The schema of the `data` of a message on a chat channel; `None` on other channels. That of a notification judges each
/// event by its type. Nothing ties a notification to a request, so the schemas of answers are for those who know it.
#[must_use]
pub fn of_data(from: Side, message: &Message) -> Option<Schema> {
    message.channel()?.strip_prefix(CHANNEL_PREFIX)?;
    let data = message.value("data")?;
    Some(match from {
        Side::Server => Schema::Notification,
        Side::Client => of_operation(data.get("operation").and_then(Value::as_str).unwrap_or_default()),
    })
}

/// The schema of an operation of the service channel; of one that nobody knows what all have in common.
#[must_use]
pub fn of_operation(operation: &str) -> Schema {
    let known = OPERATIONS.iter().find(|(name, _)| *name == operation);
    known.map_or(Schema::Operation, |(_, schema)| *schema)
}

/// Every departure of a message from its schema, and of its `data` from the schema of the chat.
#[must_use]
pub fn check(from: Side, message: &Message) -> Vec<Mismatch> {
    let schema = of_message(from, message);
    let Ok(value) = serde_json::from_str(message.text()) else {
        return vec![Mismatch { schema, pointer: String::new(), wrong: "cannot be read as JSON".to_owned() }];
    };
    let mut mismatches = validate(schema, &value);
    if let (Some(schema), Some(data)) = (of_data(from, message), value.get("data")) {
        let inside = |mismatch: Mismatch| Mismatch { pointer: format!("/data{}", mismatch.pointer), ..mismatch };
        mismatches.extend(validate(schema, data).into_iter().map(inside));
    }
    mismatches
}

/// Every departure of a value from a schema.
#[must_use]
pub fn validate(schema: Schema, value: &Value) -> Vec<Mismatch> {
    let Some(validator) = COMPILED.0.get(schema as usize) else { return Vec::new() };
    let mut mismatches: Vec<Mismatch> = Vec::new();
    for error in validator.iter_errors(value) {
        let mismatch = Mismatch { schema, pointer: error.instance_path().as_str().to_owned(), wrong: wrong(&error) };
        // A schema and the one that it builds on may find the same.
        if !mismatches.contains(&mismatch) {
            mismatches.push(mismatch);
        }
    }
    mismatches
}

/// What is wrong, in words of the schema.
fn wrong(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            format!("`{}` is missing", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } => format!("is no {wanted}"),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(wanted) } => {
            let wanted: Vec<String> = wanted.iter().map(|wanted| wanted.to_string()).collect();
            format!("is none of {}", wanted.join(", "))
        }
        ValidationErrorKind::Constant { expected_value } => format!("is not {expected_value}"),
        ValidationErrorKind::Enum { options } => format!("is none of {options}"),
        ValidationErrorKind::Pattern { pattern } => format!("does not match {pattern}"),
        ValidationErrorKind::Minimum { limit } => format!("is less than {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("is more than {limit}"),
        ValidationErrorKind::MinLength { .. } | ValidationErrorKind::MinItems { .. } => "is empty".to_owned(),
        ValidationErrorKind::FalseSchema => "must not be there".to_owned(),
        ValidationErrorKind::Not { schema } => format!("must not fit {schema}"),
        ValidationErrorKind::AnyOf { .. } => "fits none of the alternatives".to_owned(),
        kind => format!("breaks `{}`", kind.keyword()),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;

    use super::*;

    fn departures(from: Side, text: &str) -> Vec<(Schema, String, String)> {
        let message = Message::parse(text).unwrap();
        check(from, &message).into_iter().map(|m| (m.schema, m.pointer, m.wrong)).collect()
    }

    #[rstest]
    #[case(Side::Client, r#"{"channel":"/meta/connect"}"#, Schema::ConnectRequest)]
    #[case(Side::Server, r#"{"channel":"/meta/connect"}"#, Schema::ConnectReply)]
    #[case(Side::Client, r#"{"channel":"/meta/foo"}"#, Schema::Message)]
    #[case(Side::Server, r#"{"channel":"/meta/foo"}"#, Schema::ErrorReply)]
    #[case(Side::Server, r#"{"channel":"/a","successful":true}"#, Schema::PublishReply)]
    #[case(Side::Server, r#"{"channel":"/a","successful":true,"data":1}"#, Schema::Delivery)]
    #[case(Side::Client, r#"{"channel":"/a","data":1}"#, Schema::PublishRequest)]
    fn picks_by_side_and_channel(#[case] from: Side, #[case] text: &str, #[case] schema: Schema) {
        assert_eq!(of_message(from, &Message::parse(text).unwrap()), schema);
    }

    #[test]
    fn points_into_the_data_of_a_chat() {
        let text = r#"{"channel":"/service/chatV2/x","data":{"statusCode":0,"chatEnded":false,"messages":[{"index":1,
            "type":"Message","text":"hi","utcTime":1700000000,"from":{"nickname":"Ann","type":"Client","participantId":1}}]}}"#;
        let expected =
            (Schema::Notification, "/data/messages/0/utcTime".to_owned(), "is less than 1000000000000".into());
        assert_eq!(departures(Side::Server, text), [expected]);
    }

    #[test]
    fn judges_an_event_by_its_type() {
        let text = r#"{"channel":"/service/chatV2/x","data":{"statusCode":0,"chatEnded":false,"messages":[{"index":1,
            "type":"PushUrl","utcTime":1700000000000,"from":{"nickname":"Ann","type":"Client","participantId":1}}]}}"#;
        let expected = (Schema::Notification, "/data/messages/0".to_owned(), "`text` is missing".into());
        assert_eq!(departures(Side::Server, text), [expected]);
    }

    #[test]
    fn says_nothing_of_what_the_message_holds() {
        let text = r#"{"channel":"/service/chatV2/x","clientId":"s3cret","data":{"operation":"sendMessage",
            "message":["s3cret"],"secureKey":""}}"#;
        let departures = departures(Side::Client, text);
        assert_eq!(departures.len(), 2, "{departures:?}");
        assert!(!format!("{departures:?}").contains("s3cret"));
    }
}
