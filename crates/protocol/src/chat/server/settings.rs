//! What nobody documents about GMS, as named settings, each with the answer that is most likely.
//!
//! A question and its number are those of the list of open questions in `docs/chat-operations.md`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a GMS answers the open questions of its chat API. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct GmsSettings {
    /// How long after a request its answer comes (Q3). With 0 it comes within the request: on long-polling in the
    /// response of the publish, on a WebSocket ahead of the acknowledgement.
    pub answer_delay_ms: u64,
    /// Whether an answer has no events and the event follows in a delivery of its own (Q1).
    pub split_answers: bool,
    /// Whether a delivery has a Bayeux `id` (Q2).
    pub delivery_ids: bool,
    /// Whether `updateData` makes an event, a `Notice` (Q4).
    pub update_data_event: bool,
    /// Whether `requestNotifications` gives the event at the position itself too (Q5).
    pub position_inclusive: bool,
    /// Whether a `transcriptPosition` may be a numeric text (Q6). If not, the request fails.
    pub text_positions: bool,
    /// Whether typing takes a place in the transcript's count (Q7, Q9).
    pub typing: Typing,
    /// Whether a `CustomNotice` has an `index` and is kept (Q7).
    pub notices_indexed: bool,
    /// Whether indexes leave gaps (Q8).
    pub index_gaps: bool,
    /// Whether `requestNotifications` issues a new `secureKey` (Q10). The old one is good until the new one is used.
    pub key_renewal: bool,
    /// What the CometD session has to do with chats.
    pub handshake: Handshake,
    /// Whether the failure for a key that no chat has says `chatEnded` (Q12). For the key of an ended chat it always does.
    pub unknown_key_ends: bool,
    /// Whether a wrong key beside the `chatId` or `userId` of a chat removes the client of that chat (Q13).
    pub wrong_key_removes: bool,
    /// What a publish for a service that does not exist gets besides its acknowledgement (Q15).
    pub unknown_service: UnknownService,
    /// Whether the API is switched on, and how it is off (Q16, `enable_notification_mode`).
    pub notification_mode: NotificationMode,
    /// Whether the loss of Chat Server and its return are told without a request (Q17).
    pub tells_outage: bool,
    /// Whether an answer with `statusCode` 1 names the chat: its key, its ids and the next position (Q18).
    pub outage_names_chat: bool,
    /// Whether a second `disconnect` succeeds like the first (Q19).
    pub repeated_end_succeeds: bool,
    /// Whether the end of a chat ends the CometD sessions that got its notifications (Q20).
    pub end_closes_session: bool,
    /// Whether `/meta/disconnect` ends the chat (Q21).
    pub disconnect_ends: bool,
    /// Whether the loss of the CometD session ends the chat (Q22).
    pub expiry_ends: bool,
    /// How long a chat lives that no CometD session is attached to (Q23, Chat Server's `flex-disconnect-timeout`; before
    /// 8.5.301.06 it was 300 s).
    pub inactivity_ms: u64,
    /// How long it lives if its client has subscribed to pushes (Q21, `flex-push-timeout`).
    pub push_timeout_ms: u64,
    /// Who gets notifications if two sessions ask for them with one key (Q24).
    pub sharing: Sharing,
    /// Whether `requestNotifications` repeats events to a session that gets the notifications already (Q25).
    pub repeats_to_attached: bool,
    /// Whether a session that has a running chat is refused a second one (Q26).
    pub one_chat_per_session: bool,
    /// Whether `readReceipt` is known (Q32).
    pub read_receipts: bool,
    /// Whether `monitored` is told: whether a supervisor is in the chat (Q33).
    pub tells_monitored: bool,
    /// Whether `idleTimerExpire` is told, in seconds (Q33).
    pub tells_idle_timer: bool,
    /// Whether events have `eventAttributes`: quit reasons and the style of bots (Q33).
    pub event_attributes: bool,
    /// The most characters that a message may have (Q34).
    pub message_limit: usize,
    /// Whether a client gets pushes while it gets notifications too (Q38, `push_notification_to_active_client`).
    pub push_to_active: bool,
    /// Whether `requestChat` with the key of a running chat gives that chat again (Q39).
    pub old_key_resumes: bool,
    /// Whether `utcTime` is a text in ISO 8601 instead of milliseconds since the epoch (Q40).
    pub iso_time: bool,
    /// Whether a `NicknameUpdated` has the old name in `from` and the new one in `text`, instead of the new one in `from`
    /// (Q41).
    pub new_name_in_text: bool,
    /// What `system` says when a chat begins; empty for nothing.
    pub welcome: String,
    /// Whether it says so when the first agent has joined (Q42).
    pub welcome_after_join: bool,
    /// Whether `/meta/disconnect` with `ext.transcriptPosition` puts a client into the background: its chat lives on as
    /// with a push subscription (Q43).
    pub background_mode: bool,
    /// Whether the end of a chat is told twice (Q44).
    pub repeats_end: bool,
    /// What every request must have in `auth.encoded`: the base64 of `user:password`. Without it, `auth` is ignored.
    pub auth: Option<Encoded>,
    /// When Chat Server warns of silence in a chat, and when it ends the chat for it.
    pub idle: Idle,
    /// What may be done with files, and how the refusals look.
    pub files: FileSettings,
    /// The codes of failures.
    pub codes: Codes,
}

/// What the CometD session has to do with chats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Handshake {
    /// Whether a `secureKey` in a handshake is echoed in its reply, where the published sample looks for it (Q11).
    pub echo_secure_key: bool,
}

/// Whether typing takes a place in the transcript's count. It is never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Typing {
    /// It has no index, and `nextPosition` does not move.
    Passing,
    /// It has no index, but `nextPosition` moves.
    Counted,
    /// It has an index.
    Indexed,
}

/// What a publish for a service that does not exist gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownService {
    /// Nothing.
    Silence,
    /// A failure with `statusCode` 2.
    Failure,
}

/// Whether the API is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotificationMode {
    /// It is.
    On,
    /// It is off: publishes are acknowledged and nothing else comes.
    Silent,
    /// It is off: handshakes are refused.
    Refused,
}

/// Who gets notifications if two sessions ask for them with one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// The last one that asked.
    Last,
    /// All of them.
    All,
}

/// The base64 of `user:password`. `Debug` shows its length alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Encoded(pub String);

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.0.len())
    }
}

/// Chat Server's control of idle chats. The defaults are those of its documentation; 0 switches a step off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Idle {
    /// How long nothing may be said before the first alert (`timeout-alert`); 0 means that silence is never minded.
    pub alert_ms: u64,
    /// How long after the first alert the second comes (`timeout-alert2`).
    pub alert2_ms: u64,
    /// How long after the last alert the chat ends (`timeout-close`).
    pub close_ms: u64,
    /// What an alert says.
    pub alert_text: String,
    /// What the last event but one says.
    pub close_text: String,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            alert_ms: 255_000,
            alert2_ms: 0,
            close_ms: 45_000,
            alert_text: "Nobody has said anything for a while. This chat will end soon.".to_owned(),
            close_text: "This chat ends, since nobody has said anything.".to_owned(),
        }
    }
}

/// What may be done with files. The limits are Chat Server's defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileSettings {
    /// How many files a chat may have (`upload-max-files`).
    pub max_files: u64,
    /// How many bytes a file may have (`upload-max-file-size`).
    pub max_file_size: u64,
    /// How many bytes all files of a chat may have together (`upload-max-total-size`).
    pub max_total_size: u64,
    /// How often each file may be downloaded (`download-attempts`).
    pub download_attempts: u64,
    /// Whether an agent must be in the chat (`upload-need-agent`).
    pub need_agent: bool,
    /// The endings that a file name may have, with colons between them (`upload-file-types`); empty for any.
    pub types: String,
    /// The word of `delete-file`, which nobody explains.
    pub delete_file: String,
    /// The HTTP status of a failure (Q27).
    pub failure_status: u16,
    /// Whether a failed `fileDownload` has no body (Q28).
    pub bare_download_failure: bool,
    /// Which spellings of `fileGetLimits` are known (Q29).
    pub limits_spelling: LimitsSpelling,
    /// Whether an upload must say `operation` (Q30).
    pub upload_needs_operation: bool,
    /// Whether a request must have a browser cookie (Q31).
    pub need_cookie: bool,
}

/// Which spellings of `fileGetLimits` are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitsSpelling {
    /// `fileGetLimits` and `fileGetsLimits`.
    Both,
    /// `fileGetLimits`
    Get,
    /// `fileGetsLimits`
    Gets,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            max_files: 3,
            max_file_size: 2_097_152,
            max_total_size: 5_242_880,
            download_attempts: 2,
            need_agent: false,
            types: "bmp:csv:doc:docx:gif:htm:jpg:jpeg:pdf:png:ppt:txt:tif:tiff:xls:xlsx:zip".to_owned(),
            delete_file: "odd".to_owned(),
            failure_status: 200,
            bare_download_failure: false,
            limits_spelling: LimitsSpelling::Both,
            upload_needs_operation: false,
            need_cookie: false,
        }
    }
}

/// Codes in `errors` (Q12, Q14, Q34).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Codes {
    /// A parameter or the key is missing, or has a wrong type.
    pub parameter_missing: i64,
    /// The operation is missing or unknown.
    pub operation_unknown: i64,
    /// The request for a chat names nobody.
    pub name_missing: i64,
    /// There are too many files.
    pub too_many_files: i64,
    /// A file, or all of them together, have too many bytes.
    pub file_too_large: i64,
    /// A file is of a type that is not allowed.
    pub file_type: i64,
    /// A message has too many characters.
    pub message_too_long: i64,
    /// A chat cannot be started now.
    pub cannot_start: i64,
    /// The key is wrong, or its chat has ended, or there is no such file.
    pub not_executed: i64,
    /// The e-mail address is none.
    pub email_invalid: i64,
    /// `auth` is missing or wrong.
    pub unauthorized: i64,
}

impl Default for GmsSettings {
    fn default() -> Self {
        Self {
            answer_delay_ms: 5,
            split_answers: false,
            delivery_ids: false,
            update_data_event: false,
            position_inclusive: true,
            text_positions: true,
            typing: Typing::Passing,
            notices_indexed: true,
            index_gaps: false,
            key_renewal: false,
            handshake: Handshake::default(),
            unknown_key_ends: false,
            wrong_key_removes: false,
            unknown_service: UnknownService::Silence,
            notification_mode: NotificationMode::On,
            tells_outage: true,
            outage_names_chat: false,
            repeated_end_succeeds: false,
            end_closes_session: false,
            disconnect_ends: false,
            expiry_ends: false,
            inactivity_ms: 45_000,
            push_timeout_ms: 86_400_000,
            sharing: Sharing::Last,
            repeats_to_attached: true,
            one_chat_per_session: false,
            read_receipts: false,
            tells_monitored: false,
            tells_idle_timer: false,
            event_attributes: true,
            message_limit: 14_700,
            push_to_active: false,
            old_key_resumes: false,
            iso_time: false,
            new_name_in_text: false,
            welcome: "Welcome. An agent will be with you in a moment.".to_owned(),
            welcome_after_join: false,
            background_mode: false,
            repeats_end: false,
            auth: None,
            idle: Idle::default(),
            files: FileSettings::default(),
            codes: Codes::default(),
        }
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            parameter_missing: 100,
            operation_unknown: 100,
            name_missing: 161,
            too_many_files: 201,
            file_too_large: 202,
            file_type: 203,
            message_too_long: 204,
            cannot_start: 240,
            not_executed: 249,
            email_invalid: 364,
            unauthorized: 401,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_defaults_for_what_is_absent_and_refuses_what_is_unknown() {
        let settings: GmsSettings = serde_json::from_str(r#"{"index-gaps":true,"files":{"max-files":1}}"#).unwrap();
        let files = FileSettings { max_files: 1, ..FileSettings::default() };
        assert_eq!(settings, GmsSettings { index_gaps: true, files, ..GmsSettings::default() });
        assert!(serde_json::from_str::<GmsSettings>(r#"{"index-gap":true}"#).is_err());
        assert!(serde_json::from_str::<GmsSettings>(r#"{"idle":{"alert":1}}"#).is_err());
    }

    #[test]
    fn debug_hides_the_password() {
        let settings = GmsSettings { auth: Some(Encoded("dTpw".to_owned())), ..GmsSettings::default() };
        assert!(!format!("{settings:?}").contains("dTpw"));
    }
}
