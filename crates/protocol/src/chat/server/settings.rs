//! What nobody documents about GMS, as named settings, each with the answer that is most likely.

use serde::{Deserialize, Serialize};

/// How a GMS answers the open questions of its chat API. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct GmsSettings {
    /// How long after a request its answer comes. With 0 it comes within the request: on long-polling in the response of
    /// the publish, on a WebSocket ahead of the acknowledgement.
    pub answer_delay_ms: u64,
    /// Whether an answer has no events and the event follows in a delivery of its own.
    pub split_answers: bool,
    /// Whether `requestNotifications` gives the event at the position itself too.
    pub position_inclusive: bool,
    /// Whether indexes leave gaps.
    pub index_gaps: bool,
    /// What `system` says when a chat begins; empty for nothing.
    pub welcome: String,
    /// The most characters that a message may have.
    pub message_limit: usize,
    /// What a publish for a service that does not exist gets besides its acknowledgement.
    pub unknown_service: UnknownService,
    /// Whether the failure for a key that no chat has says `chatEnded`. For the key of an ended chat it always does.
    pub unknown_key_ends: bool,
    /// How long a chat lives that no CometD session is attached to (Chat Server's `flex-disconnect-timeout`).
    pub inactivity_ms: u64,
    /// The codes of failures.
    pub codes: Codes,
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

/// Codes in `errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Codes {
    /// A parameter or the key is missing.
    pub parameter_missing: i64,
    /// The operation is missing or unknown.
    pub operation_unknown: i64,
    /// The request for a chat names nobody.
    pub name_missing: i64,
    /// A message has too many characters.
    pub message_too_long: i64,
    /// The key is wrong, or its chat has ended.
    pub not_executed: i64,
}

impl Default for GmsSettings {
    fn default() -> Self {
        Self {
            answer_delay_ms: 5,
            split_answers: false,
            position_inclusive: true,
            index_gaps: false,
            welcome: "Welcome. An agent will be with you in a moment.".to_owned(),
            message_limit: 14_700,
            unknown_service: UnknownService::Silence,
            unknown_key_ends: false,
            inactivity_ms: 45_000,
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
            message_too_long: 204,
            not_executed: 249,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_defaults_for_what_is_absent_and_refuses_what_is_unknown() {
        let settings: GmsSettings = serde_json::from_str(r#"{"index-gaps":true}"#).unwrap();
        assert_eq!(settings, GmsSettings { index_gaps: true, ..GmsSettings::default() });
        assert!(serde_json::from_str::<GmsSettings>(r#"{"index-gap":true}"#).is_err());
    }
}
