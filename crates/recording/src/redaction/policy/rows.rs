//! Every rule of redaction, one row each.

use super::Grammar::{
    Channel, ChatAdvice, Digits, Endings, Error, Id, Kind, Moment, Small, Timestamp, Version, Vocabulary, Word,
};
use super::Place::{Advice, ChatError, Data, Event, Ext, From, Message, UserData};
use super::Rule::{Hide, Inside, Keep};
use super::{Field, Row};
use crate::token::Class;
use crate::token::Class::{Alias, Auth, ChatId, ClientId, File, Mail, Nickname, Phone, Push, SecureKey, Text, UserId};

/// Names of what tells a device or a provider of push notifications.
const PUSH: &[&str] = &[
    "push_notification_deviceid",
    "push_notification_provider",
    "GCTI_GMS_PushDeviceId",
    "GCTI_GMS_PushProvider",
    "GCTI_GMS_NodeGroup",
];

/// Every rule. A row for a place goes before one without.
pub(crate) const ROWS: &[Row] = &[
    Row::Members(&[Message], &["id"], Keep(Id)),
    Row::Members(&[Message], &["channel", "subscription"], Keep(Channel)),
    Row::Members(&[Message], &["version", "minimumVersion"], Keep(Version)),
    Row::Members(&[Message], &["connectionType", "supportedConnectionTypes"], Keep(Word)),
    Row::Members(&[Message], &["error"], Keep(Error)),
    Row::Members(&[Message], &["timestamp"], Keep(Timestamp)),
    Row::Members(&[Message], &["advice"], Inside(Advice)),
    Row::Members(&[Message], &["ext"], Inside(Ext)),
    Row::Members(&[Message], &["data"], Inside(Data)),
    Row::Members(&[Advice], &["reconnect"], Keep(Word)),
    Row::Members(&[Advice], &["interval", "timeout", "maxInterval"], Keep(Digits)),
    Row::Members(&[Ext], &["timesync"], Inside(Ext)),
    // Moments and differences of moments, in milliseconds.
    Row::Members(&[Ext], &["tc", "ts"], Keep(Moment)),
    Row::Members(&[Ext], &["l", "o", "p", "a"], Keep(Digits)),
    Row::Members(&[Ext, Data], &["transcriptPosition"], Keep(Digits)),
    Row::Members(&[Data], &["operation"], Keep(Word)),
    Row::Members(&[Data], &["nextPosition"], Keep(Digits)),
    Row::Members(&[Data, Message], &["messages"], Inside(Event)),
    Row::Members(&[Data, Message], &["errors"], Inside(ChatError)),
    Row::Members(&[Event], &["index"], Keep(Digits)),
    Row::Members(&[Event], &["utcTime"], Keep(Moment)),
    Row::Members(&[Event, From], &["type"], Keep(Kind)),
    Row::Members(&[Event], &["from"], Inside(From)),
    Row::Members(&[From], &["participantId"], Keep(Digits)),
    Row::Members(&[ChatError], &["advice", "message"], Keep(ChatAdvice)),
    Row::Members(&[UserData], &["file-id"], Hide(File)),
    // What may be uploaded says nothing about anybody.
    Row::Members(&[UserData], &["TimeZone", "quit-reason-code"], Keep(Small)),
    Row::Members(&[UserData], &["upload-need-agent"], Keep(Vocabulary)),
    Row::Members(&[UserData], &["upload-file-types"], Keep(Endings)),
    Row::Members(
        &[UserData],
        &[
            "download-attempts",
            "file-size",
            "upload-max-file-size",
            "upload-max-files",
            "upload-max-total-size",
            "used-download-attempts",
            "used-upload-max-files",
            "used-upload-max-total-size",
        ],
        Keep(Digits),
    ),
    // A device or a provider of push notifications, and not merely a switch.
    Row::Members(&[UserData], PUSH, Hide(Push)),
    Row::Members(&[], PUSH, Hide(Push)),
    Row::Members(&[], &["secureKey"], Hide(SecureKey)),
    Row::Members(&[], &["clientId"], Hide(ClientId)),
    Row::Members(&[], &["BAYEUX_BROWSER", "cookie", "cookies"], Hide(Class::Cookie)),
    Row::Members(
        &[],
        &["auth", "authentication", "authorization", "credentials", "encoded", "password", "token", "user"],
        Hide(Auth),
    ),
    Row::Members(&[], &["userId"], Hide(UserId)),
    Row::Members(&[], &["chatId"], Hide(ChatId)),
    Row::Members(&[], &["alias"], Hide(Alias)),
    Row::Members(&[], &["nickname", "firstName", "lastName"], Hide(Nickname)),
    Row::Members(&[], &["email", "emailAddress"], Hide(Mail)),
    Row::Members(&[], &["phone", "phoneNumber", "mobile"], Hide(Phone)),
    Row::Members(&[], &["text", "message", "subject", "pushUrl", "messageType"], Hide(Text)),
    Row::Members(&[], &["file-id", "fileId"], Hide(File)),
    Row::Members(&[], &["userData", "eventAttributes"], Inside(UserData)),
    Row::Fields(
        &[
            "accept",
            "accept-encoding",
            "access-control-allow-credentials",
            "access-control-allow-headers",
            "access-control-allow-methods",
            "access-control-max-age",
            "allow",
            "cache-control",
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "keep-alive",
            "pragma",
            "sec-websocket-extensions",
            "sec-websocket-version",
            "server",
            "transfer-encoding",
            "upgrade",
            "vary",
        ],
        Field::Keep,
    ),
    Row::Fields(&["sec-websocket-protocol"], Field::Subprotocol),
    Row::Fields(&["expires", "retry-after"], Field::Date),
    Row::Fields(&["access-control-allow-origin", "host", "location", "origin", "referer"], Field::Host),
    Row::Fields(&["cookie"], Field::Cookie),
    Row::Fields(&["set-cookie"], Field::SetCookie),
    Row::Fields(&["authorization", "proxy-authorization"], Field::Credentials),
];
