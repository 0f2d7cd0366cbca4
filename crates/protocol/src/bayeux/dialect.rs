//! How one generation of CometD servers words and times what it says, as data.
//!
//! Only what differs between generations and is implemented stands here. What all of them share is code.

use serde::{Deserialize, Serialize};

/// The dialect of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dialect {
    /// Its name, such as `cometd-3.1`.
    pub name: String,
    /// The texts of errors.
    pub errors: ErrorTexts,
    /// Whether the handshake reply carries the server's advice; else the first connect reply does.
    pub handshake_advice: bool,
    /// How long an idle connect is held, in milliseconds.
    pub timeout_ms: u64,
    /// How long clients are to wait between two connects, in milliseconds.
    pub interval_ms: u64,
    /// How long a session lives without a connect, beyond the interval, in milliseconds.
    pub max_interval_ms: u64,
    /// The interval for a second session of one browser, in milliseconds (Bayeux 8.1).
    pub multi_session_interval_ms: u64,
    /// The longest text message that a WebSocket takes, in bytes.
    pub web_socket_limit: usize,
}

/// Error texts; the first three digits are what clients may rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ErrorTexts {
    /// The session is unknown, expired or not the sender's.
    pub unknown_session: String,
    /// A publish would create a channel that clients must not create.
    pub create_denied: String,
    /// A subscription is denied by policy.
    pub subscribe_denied: String,
    /// A subscribe or unsubscribe names no channel.
    pub subscription_missing: String,
    /// A subscribe or unsubscribe names something that is no channel.
    pub subscription_invalid: String,
    /// An unsubscribe names a channel that does not exist.
    pub unsubscribe_unknown: String,
}

impl Dialect {
    /// CometD 3.1.14 with its default settings: what GMS 8.5.2 most likely embeds.
    #[must_use]
    pub fn cometd_3_1() -> Self {
        Self {
            name: "cometd-3.1".to_owned(),
            errors: ErrorTexts {
                unknown_session: "402::Unknown client".to_owned(),
                create_denied: "403:denied_by_security_policy:create denied".to_owned(),
                subscribe_denied: "403:denied_by_security_policy:subscribe_denied".to_owned(),
                subscription_missing: "403::subscription_missing".to_owned(),
                subscription_invalid: "403::subscription_invalid".to_owned(),
                unsubscribe_unknown: "400::channel_missing".to_owned(),
            },
            handshake_advice: true,
            timeout_ms: 30_000,
            interval_ms: 0,
            max_interval_ms: 10_000,
            multi_session_interval_ms: 2_000,
            web_socket_limit: 65_536,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_own_text_and_refuses_unknown_members() {
        let text = serde_json::to_string(&Dialect::cometd_3_1()).unwrap();
        assert_eq!(serde_json::from_str::<Dialect>(&text).unwrap(), Dialect::cometd_3_1());
        let odd = text.replacen('{', r#"{"time-out":1,"#, 1);
        assert!(serde_json::from_str::<Dialect>(&odd).is_err());
    }
}
