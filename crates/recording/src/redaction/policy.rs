//! What stands where: for each member of a message, whether its value is kept, and as which class it is hidden if not.
//!
//! The tables fail closed: a text at a place that no row names is kept only if it is a word of the closed vocabulary.

use crate::token::Class;

/// The version of these tables, written into the header of each tape.
///
/// - 1: the first.
/// - 2: the messages of callback-polling are kept as messages, and the endings that names of files may have.
pub const POLICY_VERSION: u32 = 2;

/// The kind of object in which a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Message,
    Advice,
    Ext,
    /// `data`, in either direction, and bodies of the REST siblings.
    Data,
    Event,
    From,
    ChatError,
    /// `userData` and `eventAttributes`: names and values belong to whoever wrote them.
    UserData,
    Unknown,
}

/// How the value of a member is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A text is replaced by a token of the class; so is a number.
    Hide(Class),
    /// A text is kept if it obeys the grammar.
    Keep(Grammar),
    /// An object whose members have rules of their own; a text in its place is hidden.
    Inside(Place),
}

/// What a kept text may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// The id of a message.
    Id,
    /// A word of a protocol, known or new: letters, hyphens, few digits.
    Word,
    /// A whole number as text.
    Digits,
    /// `txt:pdf`: the endings of names of files.
    Endings,
    /// `1.0`, `1.0beta`
    Version,
    /// `2026-11-23T09:00:00.00`
    Timestamp,
    /// A channel or a pattern of channels; segments that look personal are replaced.
    Channel,
    /// `402:args:text`
    Error,
    /// Words of the server for a person, possibly with `referenceId[...]`.
    ChatAdvice,
    /// Nothing but the closed vocabulary.
    Vocabulary,
}

/// The rule for a member.
pub(super) fn rule(place: Place, name: &str) -> Rule {
    use Grammar::{Channel, ChatAdvice, Digits, Endings, Error, Id, Timestamp, Version, Vocabulary, Word};
    use Rule::{Hide, Inside, Keep};

    let own = match (place, name) {
        (Place::Message, "id") => Keep(Id),
        (Place::Message, "channel" | "subscription") => Keep(Channel),
        (Place::Message, "version" | "minimumVersion") => Keep(Version),
        (Place::Message, "connectionType" | "supportedConnectionTypes") => Keep(Word),
        (Place::Message, "error") => Keep(Error),
        (Place::Message, "timestamp") => Keep(Timestamp),
        (Place::Message, "advice") => Inside(Place::Advice),
        (Place::Message, "ext") => Inside(Place::Ext),
        (Place::Message, "data") => Inside(Place::Data),
        (Place::Advice, "reconnect") => Keep(Word),
        (Place::Ext, "transcriptPosition") => Keep(Digits),
        (Place::Data, "operation") => Keep(Word),
        (Place::Data, "transcriptPosition" | "nextPosition") => Keep(Digits),
        (Place::Data | Place::Message, "messages") => Inside(Place::Event),
        (Place::Data | Place::Message, "errors") => Inside(Place::ChatError),
        (Place::Event, "index" | "utcTime") => Keep(Digits),
        (Place::Event | Place::From, "type") => Keep(Word),
        (Place::Event, "from") => Inside(Place::From),
        (Place::From, "participantId") => Keep(Digits),
        (Place::ChatError, "advice" | "message") => Keep(ChatAdvice),
        (Place::UserData, "file-id") => Hide(Class::File),
        // What may be uploaded says nothing about anybody.
        (Place::UserData, "upload-need-agent") => Keep(Vocabulary),
        (Place::UserData, "upload-file-types") => Keep(Endings),
        (Place::UserData, name) if is_limit(name) => Keep(Digits),
        (Place::UserData, name) if is_push(name) => Hide(Class::Push),
        (Place::UserData, _) => Hide(Class::UserData),
        _ => Keep(Vocabulary),
    };
    match own {
        Keep(Vocabulary) if place != Place::UserData => anywhere(name),
        own => own,
    }
}

/// Names whose meaning does not depend on the place.
fn anywhere(name: &str) -> Rule {
    match name {
        "secureKey" => Rule::Hide(Class::SecureKey),
        "clientId" => Rule::Hide(Class::ClientId),
        "BAYEUX_BROWSER" | "cookie" | "cookies" => Rule::Hide(Class::Cookie),
        "auth" | "authentication" | "authorization" | "credentials" | "encoded" | "password" | "token" | "user" => {
            Rule::Hide(Class::Auth)
        }
        "userId" => Rule::Hide(Class::UserId),
        "chatId" => Rule::Hide(Class::ChatId),
        "alias" => Rule::Hide(Class::Alias),
        "nickname" | "firstName" | "lastName" => Rule::Hide(Class::Nickname),
        "emailAddress" => Rule::Hide(Class::Mail),
        "text" | "message" | "subject" | "pushUrl" | "messageType" => Rule::Hide(Class::Text),
        "file-id" | "fileId" => Rule::Hide(Class::File),
        "userData" | "eventAttributes" => Rule::Inside(Place::UserData),
        name if is_push(name) => Rule::Hide(Class::Push),
        _ => Rule::Inside(Place::Unknown),
    }
}

/// Members that name a device or a provider of push notifications, and not merely a switch.
fn is_push(name: &str) -> bool {
    matches!(
        name,
        "push_notification_deviceid"
            | "push_notification_provider"
            | "GCTI_GMS_PushDeviceId"
            | "GCTI_GMS_PushProvider"
            | "GCTI_GMS_NodeGroup"
    )
}

/// Members of the file limits that are numbers, and the size of a file.
fn is_limit(name: &str) -> bool {
    matches!(
        name,
        "download-attempts"
            | "file-size"
            | "upload-max-file-size"
            | "upload-max-files"
            | "upload-max-total-size"
            | "used-download-attempts"
            | "used-upload-max-files"
            | "used-upload-max-total-size"
    )
}

/// Texts that are nobody's secret, sorted.
const VOCABULARY: &[&str] = &[
    "Agent",
    "Authentication failed",
    "Client",
    "Connection types not supported",
    "CustomNotice",
    "External",
    "FileDeleted",
    "FileUploaded",
    "Forbidden channel",
    "Handshake denied",
    "IdleAlert",
    "IdleClose",
    "Invalid channel",
    "Message",
    "Missing required parameter",
    "NicknameUpdated",
    "Notice",
    "ParticipantJoined",
    "ParticipantLeft",
    "PushUrl",
    "Supervisor",
    "TypingStarted",
    "TypingStopped",
    "Unknown",
    "Unknown client",
    "callback-polling",
    "channel missing",
    "channel_create_denied",
    "channel_invalid",
    "channel_missing",
    "clientId",
    "connectionType",
    "create denied",
    "create_denied",
    "customNotice",
    "denied_by_not_granting",
    "denied_by_security_policy",
    "disconnect",
    "false",
    "file-client-cfg-get",
    "handshake",
    "handshake_denied",
    "handshake_failed",
    "iframe",
    "invalid_channel",
    "invalid_id",
    "jsonpcallback",
    "long-polling",
    "message deleted",
    "message_deleted",
    "message_id_invalid",
    "none",
    "publish denied",
    "publish_denied",
    "pushUrl",
    "requestChat",
    "requestNotifications",
    "retry",
    "sendMessage",
    "session_unknown",
    "startTyping",
    "stopTyping",
    "subscribe denied",
    "subscribe_denied",
    "subscribe_failed",
    "subscription invalid",
    "subscription missing",
    "subscription_invalid",
    "subscription_missing",
    "supportedConnectionTypes",
    "text",
    "timeout",
    "true",
    "unknown client",
    "unknown_session",
    "unsubscribe_failed",
    "updateData",
    "updateNickname",
    "version",
    "websocket",
];

/// Whether a text is of the closed vocabulary.
pub(super) fn is_vocabulary(text: &str) -> bool {
    VOCABULARY.binary_search(&text).is_ok()
}

/// Names of attached data that belong to the product and not to a person, sorted.
const USER_DATA_NAMES: &[&str] = &[
    "GCTI_Chat_AsyncMode",
    "GCTI_Chat_PushSubscribe",
    "GCTI_GMS_NodeGroup",
    "GCTI_GMS_NotifyRequestor",
    "GCTI_GMS_PushDeviceId",
    "GCTI_GMS_PushDeviceType",
    "GCTI_GMS_PushIncludePayload",
    "GCTI_GMS_PushProvider",
    "GCTI_GMS_PushResend",
    "GCTI_SYSTEM",
    "TimeZone",
    "delete-file",
    "download-attempts",
    "file-description",
    "file-id",
    "file-name",
    "file-size",
    "push_notification_debug",
    "push_notification_deviceid",
    "push_notification_language",
    "push_notification_provider",
    "push_notification_type",
    "quit-reason-code",
    "quit-reason-text",
    "upload-file-types",
    "upload-max-file-size",
    "upload-max-files",
    "upload-max-total-size",
    "upload-need-agent",
    "used-download-attempts",
    "used-upload-max-files",
    "used-upload-max-total-size",
];

/// Whether the name of a member is kept.
pub(super) fn keeps_name(place: Place, name: &str) -> bool {
    match place {
        Place::UserData => USER_DATA_NAMES.binary_search(&name).is_ok(),
        _ => is_identifier(name),
    }
}

/// A name that a program could have: letters, digits, `_`, `-` and `.`, few digits.
pub(super) fn is_identifier(name: &str) -> bool {
    (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && few_digits(name)
}

/// Whether at most three characters are digits: ids, keys and telephone numbers have more.
pub(super) fn few_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() <= 3
}

/// Whether a text obeys a grammar that needs no rewriting.
pub(super) fn obeys(grammar: Grammar, text: &str) -> bool {
    let all = |limit: usize, extra: &[u8]| {
        (1..=limit).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
    };
    match grammar {
        Grammar::Id => all(40, b"._:-"),
        Grammar::Word => is_identifier(text),
        Grammar::Digits => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            (1..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        Grammar::Endings => {
            let is_ending = |ending: &str| (1..=5).contains(&ending.len()) && few_digits(ending);
            all(200, b":") && text.split(':').all(is_ending)
        }
        Grammar::Version => all(16, b".") && text.starts_with(|c: char| c.is_ascii_digit()),
        Grammar::Timestamp => {
            (10..=32).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.TZ+".contains(&byte))
        }
        Grammar::Vocabulary => is_vocabulary(text),
        Grammar::Channel | Grammar::Error | Grammar::ChatAdvice => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        assert!(VOCABULARY.is_sorted());
        assert!(USER_DATA_NAMES.is_sorted());
    }

    #[test]
    fn sensitive_names_are_hidden_wherever_they_stand() {
        for place in [Place::Message, Place::Data, Place::Ext, Place::Event, Place::Unknown] {
            assert_eq!(rule(place, "secureKey"), Rule::Hide(Class::SecureKey), "{place:?}");
            assert_eq!(rule(place, "clientId"), Rule::Hide(Class::ClientId), "{place:?}");
        }
    }

    #[test]
    fn keys_and_numbers_are_no_identifiers() {
        assert!(is_identifier("quit-reason-code"));
        assert!(!is_identifier("a81f9c0d77e2"));
        assert!(!is_identifier("ann@example.org"));
        assert!(!is_identifier("Ann Smith"));
    }
}
