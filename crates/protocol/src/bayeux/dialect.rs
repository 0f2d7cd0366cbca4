//! How one generation of CometD servers words, orders and times what it says, as data.
//!
//! A dialect differs from another in its values alone: what all generations share is code, and no code asks for a name or
//! a version. The values of the six named dialects stand in a table of their own. [`Options`] are what an operator can
//! switch; [`Dialect::set`] takes any setting by the name that CometD gives it.

mod options;
mod setting;
mod table;

use serde::{Deserialize, Serialize};

pub use self::options::{Activity, Extensions, Options, Timing, TransportTiming};
pub use self::setting::{Invalid, Kind, Setting, distance};
use crate::wire::Transport;

/// The dialect of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dialect {
    /// Its name, such as `cometd-3.1`.
    pub name: String,
    /// The transports that it offers, in the order of `supportedConnectionTypes`. What is not named is refused.
    pub transports: Vec<String>,
    /// The texts of errors.
    pub errors: ErrorTexts,
    /// Which envelopes it takes, and what it gives back of them.
    pub validation: Validation,
    /// Whether the handshake reply carries the server's advice; else the first connect reply does.
    pub handshake_advice: bool,
    /// Whether `multiple-clients` advice names the timeout too.
    pub multiple_clients_timeout: bool,
    /// Whose a session is, and what a browser may do.
    pub browser: Browser,
    /// Connects that meet other connects or other messages.
    pub connects: Connects,
    /// What becomes of events on their way.
    pub events: Events,
    /// How sessions end.
    pub disconnects: Disconnects,
    /// What it answers to bodies that are no proper batch.
    pub malformed: MalformedInput,
    /// How long an idle connect is held, in milliseconds.
    pub timeout_ms: u64,
    /// How long clients are to wait between two connects, in milliseconds.
    pub interval_ms: u64,
    /// How long a session lives without a connect, beyond the interval, in milliseconds.
    pub max_interval_ms: u64,
    /// The interval for a second session of one browser, in milliseconds (Bayeux 8.1). With 0 its connects fail.
    pub multi_session_interval_ms: u64,
    /// The longest text message that a WebSocket takes, in bytes.
    pub web_socket_limit: usize,
    /// What an operator may switch.
    pub options: Options,
    /// The names of the settings that the generation does not have, so that [`Dialect::set`] refuses them.
    pub lacks: Vec<String>,
}

/// Error texts; the first three digits are what clients may rely on. Where a text is absent, the generation has no such
/// error and does what is said there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ErrorTexts {
    /// The session is unknown, expired or not the sender's.
    pub unknown_session: String,
    /// A message has no channel. Absent: the whole request fails.
    pub channel_missing: Option<String>,
    /// A channel has a character that no channel has. Absent: the whole request fails.
    pub channel_invalid: Option<String>,
    /// A message id has a character that no id has. Absent: the whole request fails.
    pub message_id_invalid: Option<String>,
    /// The application refused a publish. Absent: the publish is acknowledged all the same.
    pub message_deleted: Option<String>,
    /// The policy denies a handshake.
    pub handshake_denied: String,
    /// A publish would create a channel that clients must not create.
    pub create_denied: String,
    /// A subscription would create a channel that clients must not create.
    pub subscription_create_denied: String,
    /// A publish is denied by policy.
    pub publish_denied: String,
    /// A subscription is denied by policy.
    pub subscribe_denied: String,
    /// A subscribe or unsubscribe names no channel.
    pub subscription_missing: String,
    /// A subscribe or unsubscribe names something that is no channel.
    pub subscription_invalid: String,
    /// An unsubscribe names a channel that does not exist.
    pub unsubscribe_unknown: String,
    /// A channel does not let go of its subscribers.
    pub unsubscribe_failed: String,
}

/// Which envelopes a server takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Validation {
    /// The characters of message ids (BX-FLD-09).
    pub message_ids: MessageIds,
    /// Whether a channel without a slash in front, or with nothing else, is an invalid channel. Otherwise the server
    /// fails over it later, and with it the whole request.
    pub first_slash: bool,
    /// Whether invalid names in `subscription` are answered with an error; else the whole request fails.
    pub subscriptions_answered: bool,
    /// Whether elements of a `subscription` array that are no texts are read as texts; else the whole request fails.
    pub subscriptions_as_texts: bool,
    /// Whether `/a/*/b` is an ordinary name; else the whole request fails (BX-CH-07).
    pub inner_wildcards: bool,
    /// Whether a publish to a pattern reaches the subscribers of that very pattern; else the whole request fails
    /// (BX-CH-09).
    pub publish_to_patterns: bool,
    /// Whether every reply gives `subscription` back; else only those to subscriptions that were looked into.
    pub subscription_always_echoed: bool,
    /// Which sessions the messages of one HTTP request speak for.
    pub batch_session: BatchSession,
}

/// The characters of message ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageIds {
    /// Those of channels.
    AsChannels,
    /// Letters and digits, at least one.
    Alphanumeric,
}

/// Which session a message of an HTTP request speaks for, when the request has several messages (BX-SEC-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchSession {
    /// The first session that a message named, whatever later ones say.
    First,
    /// The sender's session that the message names, else the one of the message before it.
    Latest,
    /// The session of the first message, and it must be named by the others too.
    Named,
}

/// Whose a session is, and what a browser may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Browser {
    /// Whether over HTTP a session answers only to the cookie that it began with; else its clientId is enough, as with
    /// `trustClientSession`.
    pub owns_sessions: bool,
    /// Whether a connect with neither cookie nor `Origin` is sent away to poll, as without
    /// `allowMultiSessionsNoBrowser`.
    pub needed_to_hold: bool,
    /// The cookie that names the browser.
    pub cookie: Cookie,
}

/// The cookie that names the browser (Bayeux 8.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its `Domain`, if any.
    pub domain: Option<String>,
    /// Its `Path`.
    pub path: String,
    /// Whether it is `HttpOnly`.
    pub http_only: bool,
    /// Whether it is `Secure`, as long as it is set over TLS.
    pub secure: bool,
    /// Its `SameSite`, if any.
    pub same_site: Option<String>,
}

impl Cookie {
    /// The attributes as they stand behind the value, in the order of CometD.
    #[must_use]
    pub fn attributes(&self, over_tls: bool) -> String {
        let mut text = String::new();
        if let Some(domain) = &self.domain {
            text += &format!("; Domain={domain}");
        }
        text += &format!("; Path={}", self.path);
        if self.http_only {
            text += "; HttpOnly";
        }
        if self.secure && over_tls {
            text += "; Secure";
        }
        if let Some(same_site) = &self.same_site {
            text += &format!("; SameSite={same_site}");
        }
        text
    }
}

/// Connects that meet other connects or other messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Connects {
    /// The status of a held connect over HTTP that another one supersedes.
    pub superseded_status: u16,
    /// A connect among other messages, over HTTP.
    pub batched_http: BatchedHttp,
    /// A connect among other messages that is held on a WebSocket.
    pub batched_socket: BatchedSocket,
    /// Whether a session on a WebSocket expires under a connect that superseded another one; the value is the reason in
    /// the close frame.
    pub superseding_expires: Option<String>,
    /// Whether a session on a WebSocket expires under a connect that came among other messages; the value is the reason
    /// in the close frame.
    pub batched_expires: Option<String>,
    /// Whether the old WebSocket is closed when a connect on another one takes the session over.
    pub cancels_old_socket: bool,
    /// The reason in the close frame of a WebSocket whose session is swept under a held connect (`maxProcessing`).
    pub swept_reason: String,
}

/// What becomes of a connect among other messages, over HTTP (BX-CN-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchedHttp {
    /// The request fails at the connect.
    Fails,
    /// It is held like any other, and the other replies are lost.
    Held,
    /// It is answered at once, with the others.
    Answered,
}

/// What becomes of the replies to the messages that came with a connect that is held on a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchedSocket {
    /// They are never sent.
    Lost,
    /// They are sent at once.
    Sent,
    /// They wait for the connect.
    Withheld,
}

/// What becomes of events on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Events {
    /// Whether an event keeps the id of the publish (BX-DL-04).
    pub keep_id: bool,
    /// Since when events are sent on a WebSocket as they come up.
    pub pushed_since: PushedSince,
    /// Whether on a WebSocket any reply takes along what waits; else it waits for the next push or connect.
    pub replies_take_along: bool,
    /// What becomes of events whose WebSocket is gone.
    pub without_socket: WithoutSocket,
}

/// Since when a WebSocket pushes the events that come up outside of requests of their own session (BX-WS-05). Until
/// then they wait for a connect, or for a reply that takes them along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushedSince {
    /// Since the handshake.
    Handshake,
    /// Since the first message behind the handshake.
    FirstMessage,
    /// Since the first connect that was held on the WebSocket.
    FirstHold,
}

/// What becomes of events while the WebSocket of their session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutSocket {
    /// They wait for the next connect.
    Kept,
    /// They are lost.
    Lost,
    /// The first is lost, the others wait.
    FirstLost,
}

/// How sessions end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Disconnects {
    /// Whether on a WebSocket the held connect is answered before the disconnect; else behind it.
    pub connect_first: bool,
    /// Whether the disconnect that a server sends by itself has `successful` (BX-DC-09).
    pub by_server_successful: bool,
    /// Whether messages other than connects put the expiry off.
    pub messages_put_expiry_off: bool,
}

/// What a server answers to HTTP bodies that are no proper batch. On a WebSocket all generations agree but for the empty
/// array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MalformedInput {
    /// The status for what is no JSON, or no batch of messages.
    pub not_json_status: u16,
    /// An empty body.
    pub empty: Empty,
    /// A body of `null`.
    pub null: Empty,
    /// Whether an empty array is given back, and ignored on a WebSocket; else the server fails over it.
    pub empty_array_echoed: bool,
    /// Whether what follows the first JSON value is not looked at.
    pub trailing_ignored: bool,
    /// Whether a form with `message` parameters is read (BX-LP-02).
    pub forms: bool,
    /// Whether any media type is read as JSON; else the server fails over an unknown one.
    pub any_media_type: bool,
    /// Whether a callback name is taken as it comes; else it must be a harmless one (BX-CP-05).
    pub any_callback: bool,
}

/// What a body that says nothing leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Empty {
    /// Status 200 without a body.
    Nothing,
    /// Status 500.
    Fails,
}

/// The name of callback-polling in `supportedConnectionTypes` (Bayeux 6.2).
pub const CALLBACK_POLLING: &str = Transport::CallbackPolling.name();

impl Dialect {
    /// The names of the known dialects, the oldest first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        table::ALL.iter().map(|(name, _)| *name)
    }

    /// The dialect of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        table::ALL.iter().find(|(known, _)| *known == name).map(|(_, dialect)| dialect())
    }

    /// CometD 3.1.14 with its default settings: what GMS 8.5.2 most likely embeds.
    #[must_use]
    pub fn cometd_3_1() -> Self {
        table::cometd_3_1()
    }

    /// Whether it offers a transport, by its name in `supportedConnectionTypes`.
    #[must_use]
    pub fn offers(&self, transport: &str) -> bool {
        self.transports.iter().any(|offered| offered == transport)
    }

    /// How connects over a transport are timed, by its name in `supportedConnectionTypes`.
    #[must_use]
    pub fn timing(&self, transport: &str) -> Timing {
        let own = Timing { timeout_ms: self.timeout_ms, interval_ms: self.interval_ms };
        let Some(transport) = self.options.timing.get(transport) else { return own };
        Timing {
            timeout_ms: transport.timeout_ms.unwrap_or(own.timeout_ms),
            interval_ms: transport.interval_ms.unwrap_or(own.interval_ms),
        }
    }
}

/// The transports in the order of CometD 3.0 and later.
fn all_transports() -> Vec<String> {
    Transport::ALL.iter().map(|transport| transport.name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn names_six_generations() {
        let names: Vec<&str> = Dialect::names().collect();
        assert_eq!(names, ["cometd-2.9", "cometd-3.0", "cometd-3.1", "cometd-4.0.0", "cometd-4.0.4", "cometd-5.0"]);
        for name in names {
            assert_eq!(Dialect::by_name(name).map(|dialect| dialect.name).as_deref(), Some(name));
        }
        assert_eq!(Dialect::by_name("cometd-9"), None);
        assert_eq!(Dialect::by_name("cometd-3.1"), Some(Dialect::cometd_3_1()));
    }

    #[rstest]
    fn survives_its_own_text_and_refuses_unknown_members(
        #[values("cometd-2.9", "cometd-3.0", "cometd-3.1", "cometd-4.0.0", "cometd-4.0.4", "cometd-5.0")] name: &str,
    ) {
        let dialect = Dialect::by_name(name).unwrap();
        let text = serde_json::to_string(&dialect).unwrap();
        assert_eq!(serde_json::from_str::<Dialect>(&text).unwrap(), dialect);
        let odd = text.replacen('{', r#"{"time-out":1,"#, 1);
        assert!(serde_json::from_str::<Dialect>(&odd).is_err());
    }

    #[test]
    fn times_a_transport_by_its_own_values_if_it_has_any() {
        let mut dialect = Dialect::cometd_3_1();
        let own = TransportTiming { timeout_ms: Some(5_000), interval_ms: None };
        dialect.options.timing.insert("websocket".to_owned(), own);
        dialect.interval_ms = 100;
        assert_eq!(dialect.timing("websocket"), Timing { timeout_ms: 5_000, interval_ms: 100 });
        assert_eq!(dialect.timing("long-polling"), Timing { timeout_ms: 30_000, interval_ms: 100 });
    }

    #[test]
    fn a_cookie_is_secure_over_tls_alone() {
        let cookie = Cookie {
            domain: Some("example.com".to_owned()),
            secure: true,
            same_site: Some("Lax".to_owned()),
            ..Dialect::cometd_3_1().browser.cookie
        };
        assert_eq!(cookie.attributes(true), "; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax");
        assert_eq!(cookie.attributes(false), "; Domain=example.com; Path=/; HttpOnly; SameSite=Lax");
    }
}
