//! Settings by the names that CometD gives them, from text: what an operator writes in a servlet's init parameters.
//!
//! It knows which generation has which, and what is a setting of CometD but would change nothing here.

use std::fmt;

use super::{CALLBACK_POLLING, Dialect};
use crate::wire::Transport;

/// A version of CometD, as `[major, minor, patch]`.
pub(super) type Version = [u8; 3];

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number, from the least to the greatest that is taken.
    Number(i64, i64),
    /// A text for a header field or a URL: printable ASCII, without `;`, not empty.
    Text,
    /// Names of transports, separated by commas.
    Transports,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Number(least, i64::MAX) => write!(f, "a number from {least}"),
            Self::Number(least, greatest) => write!(f, "a number from {least} to {greatest}"),
            Self::Text => f.write_str("a plain text"),
            Self::Transports => f.write_str("offered transports, by commas"),
        }
    }
}

/// Something that an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in CometD.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it is for, in one line.
    pub about: &'static str,
    since: Version,
    until: Option<Version>,
    get: fn(&Dialect) -> String,
    set: fn(&mut Dialect, Value),
}

impl Setting {
    /// Its value in a dialect, as text; empty where there is none.
    #[must_use]
    pub fn value(&self, dialect: &Dialect) -> String {
        (self.get)(dialect)
    }

    /// The first version of CometD that has it, such as `3.1.13`. 2.9 stands for that or an older one.
    #[must_use]
    pub fn since(&self) -> String {
        shown(self.since)
    }

    fn is_in(&self, version: Version) -> bool {
        self.since <= version && self.until.is_none_or(|until| version <= until)
    }
}

/// Why something cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// CometD has no such setting.
    #[error("there is no option `{name}`; the nearest is `{nearest}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// A setting that there is.
        nearest: &'static str,
    },
    /// Another generation has it.
    #[error("`{name}` is no option of {dialect}: {when}")]
    OtherGeneration {
        /// The setting.
        name: &'static str,
        /// The dialect that does not have it.
        dialect: String,
        /// When CometD had it.
        when: String,
    },
    /// CometD has it, but it would change nothing here.
    #[error("`{name}` has no effect here: {why}")]
    NoEffect {
        /// The setting.
        name: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The value is not of its type.
    #[error("`{name}` takes {kind}, not `{value}`")]
    Value {
        /// The setting.
        name: &'static str,
        /// What it takes.
        kind: Kind,
        /// What was given.
        value: String,
    },
}

impl Dialect {
    /// Sets something by CometD's name for it.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if there is no such setting in this generation, or the value is not of its type.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        if let Some((name, why)) = NO_EFFECT.iter().find(|(known, _)| *known == name) {
            return Err(Invalid::NoEffect { name, why });
        }
        let Some(setting) = ALL.iter().find(|setting| setting.name == name) else {
            return Err(Invalid::Unknown { name: name.to_owned(), nearest: nearest(name) });
        };
        if self.lacks.iter().any(|lacking| lacking == name) {
            let when = match setting.until {
                Some(until) => format!("CometD has it up to {}", shown(until)),
                None => format!("CometD has it since {}", setting.since()),
            };
            return Err(Invalid::OtherGeneration { name: setting.name, dialect: self.name.clone(), when });
        }
        let parsed = self.parse(setting.kind, value.trim()).ok_or_else(|| Invalid::Value {
            name: setting.name,
            kind: setting.kind,
            value: value.to_owned(),
        })?;
        (setting.set)(self, parsed);
        Ok(())
    }

    /// What can be set in this generation, in the order of CometD's handbook.
    pub fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        ALL.iter().filter(|setting| !self.lacks.iter().any(|lacking| lacking == setting.name))
    }

    fn parse(&self, kind: Kind, text: &str) -> Option<Value> {
        match kind {
            Kind::Flag => text.parse().ok().map(Value::Flag),
            Kind::Number(least, greatest) => {
                text.parse().ok().filter(|number| (least..=greatest).contains(number)).map(Value::Number)
            }
            Kind::Text => {
                let plain = !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b';');
                plain.then(|| Value::Text(text.to_owned()))
            }
            Kind::Transports => {
                let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
                names.iter().all(|name| self.offers(name)).then_some(Value::Names(names))
            }
        }
    }
}

/// A value of the right type.
enum Value {
    Flag(bool),
    Number(i64),
    Text(String),
    Names(Vec<String>),
}

impl Value {
    const fn flag(&self) -> bool {
        matches!(self, Self::Flag(true))
    }

    const fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Flag(_) | Self::Text(_) | Self::Names(_) => 0,
        }
    }

    /// What is not negative, as milliseconds or a size.
    fn size(&self) -> u64 {
        u64::try_from(self.number()).unwrap_or(0)
    }

    fn count(&self) -> usize {
        usize::try_from(self.number()).unwrap_or(0)
    }

    /// A limit of which -1 means none.
    fn limit(&self) -> Option<usize> {
        usize::try_from(self.number()).ok()
    }

    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Flag(_) | Self::Number(_) | Self::Names(_) => String::new(),
        }
    }

    fn names(self) -> Vec<String> {
        match self {
            Self::Names(names) => names,
            Self::Flag(_) | Self::Number(_) | Self::Text(_) => Vec::new(),
        }
    }
}

/// The names of the settings that a version does not have.
pub(super) fn lacking(version: Version) -> Vec<String> {
    ALL.iter().filter(|setting| !setting.is_in(version)).map(|setting| setting.name.to_owned()).collect()
}

fn shown(version: Version) -> String {
    match version {
        // The last patch of a line counts as the line.
        [major, minor, 0 | 255] => format!("{major}.{minor}"),
        [major, minor, patch] => format!("{major}.{minor}.{patch}"),
    }
}

/// The setting whose name takes the fewest changes of letters to come to.
fn nearest(name: &str) -> &'static str {
    ALL.iter().map(|setting| setting.name).min_by_key(|known| distance(name, known)).unwrap_or_default()
}

/// How many letters must be put in, taken out or changed (Levenshtein). Case does not count.
#[must_use]
pub fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.to_lowercase().chars().take(100).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

const FROM_0: Kind = Kind::Number(0, i64::MAX);
const FROM_MINUS_1: Kind = Kind::Number(-1, i64::MAX);
const OLD: Version = [2, 9, 0];

const fn setting(
    name: &'static str,
    kind: Kind,
    since: Version,
    get: fn(&Dialect) -> String,
    set: fn(&mut Dialect, Value),
    about: &'static str,
) -> Setting {
    Setting { name, kind, about, since, until: None, get, set }
}

const fn until(version: Version, setting: Setting) -> Setting {
    Setting { until: Some(version), ..setting }
}

/// A text or a number that may be absent.
fn or_none<T: fmt::Display>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn or_minus_1<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-1".to_owned(), |value| value.to_string())
}

fn transport_timeout(dialect: &Dialect, transport: &str) -> String {
    dialect.timing(transport).timeout_ms.to_string()
}

fn transport_interval(dialect: &Dialect, transport: &str) -> String {
    dialect.timing(transport).interval_ms.to_string()
}

fn set_timeout(dialect: &mut Dialect, transports: &[&str], value: &Value) {
    for transport in transports {
        dialect.options.timing.entry((*transport).to_owned()).or_default().timeout_ms = Some(value.size());
    }
}

fn set_interval(dialect: &mut Dialect, transports: &[&str], value: &Value) {
    for transport in transports {
        dialect.options.timing.entry((*transport).to_owned()).or_default().interval_ms = Some(value.size());
    }
}

const HTTP: &str = Transport::LongPolling.name();
const SOCKET: &str = Transport::WebSocket.name();

const ALL: &[Setting] = &[
    setting(
        "timeout",
        FROM_0,
        OLD,
        |d| d.timeout_ms.to_string(),
        |d, v| d.timeout_ms = v.size(),
        "how long an idle connect is held, in ms",
    ),
    setting(
        "interval",
        FROM_0,
        OLD,
        |d| d.interval_ms.to_string(),
        |d, v| d.interval_ms = v.size(),
        "how long clients wait between two connects, in ms",
    ),
    setting(
        "maxInterval",
        FROM_0,
        OLD,
        |d| d.max_interval_ms.to_string(),
        |d, v| d.max_interval_ms = v.size(),
        "how long a session lives without a connect, beyond the interval, in ms",
    ),
    setting(
        "maxProcessing",
        FROM_MINUS_1,
        [3, 1, 0],
        |d| or_minus_1(d.options.max_processing_ms),
        |d, v| d.options.max_processing_ms = v.limit().and_then(|ms| u64::try_from(ms).ok()),
        "how long a session with a connect in work may send nothing, in ms; -1: without end",
    ),
    until(
        [3, 0, 255],
        setting(
            "maxServerInterval",
            FROM_MINUS_1,
            OLD,
            |d| or_minus_1(d.options.max_processing_ms),
            |d, v| d.options.max_processing_ms = v.limit().and_then(|ms| u64::try_from(ms).ok()),
            "how long a connect may be in work, in ms; -1: without end",
        ),
    ),
    setting(
        "maxLazyTimeout",
        FROM_0,
        OLD,
        |d| d.options.max_lazy_ms.to_string(),
        |d, v| d.options.max_lazy_ms = v.size(),
        "how long lazy messages wait at the most, in ms",
    ),
    setting(
        "metaConnectDeliverOnly",
        Kind::Flag,
        OLD,
        |d| d.options.meta_connect_deliver_only.to_string(),
        |d, v| d.options.meta_connect_deliver_only = v.flag(),
        "whether events travel with connect replies alone",
    ),
    setting(
        "maxQueue",
        FROM_MINUS_1,
        OLD,
        |d| d.options.max_queue.to_string(),
        |d, v| d.options.max_queue = v.number(),
        "from how many waiting events on the application is told; drops nothing",
    ),
    setting(
        "maxMessageSize",
        FROM_MINUS_1,
        [3, 1, 2],
        |d| or_minus_1(d.options.max_message_size),
        |d, v| {
            d.options.max_message_size = v.limit();
            d.web_socket_limit = v.limit().unwrap_or(d.web_socket_limit);
        },
        "the longest HTTP body or WebSocket message, in bytes; -1: the container's",
    ),
    setting(
        "validateMessageFields",
        Kind::Flag,
        [2, 9, 0],
        |d| d.options.validate_fields.to_string(),
        |d, v| d.options.validate_fields = v.flag(),
        "whether the characters of channels and ids are looked at",
    ),
    setting(
        "broadcastToPublisher",
        Kind::Flag,
        [3, 0, 1],
        |d| d.options.broadcast_to_publisher.to_string(),
        |d, v| d.options.broadcast_to_publisher = v.flag(),
        "whether a publisher gets its own event",
    ),
    setting(
        "handshakeReconnect",
        Kind::Flag,
        [3, 1, 0],
        |d| d.options.handshake_reconnect.to_string(),
        |d, v| d.options.handshake_reconnect = v.flag(),
        "whether advice names `maxInterval`",
    ),
    setting(
        "allowMessageDeliveryDuringHandshake",
        Kind::Flag,
        [3, 1, 0],
        |d| d.options.deliver_during_handshake.to_string(),
        |d, v| d.options.deliver_during_handshake = v.flag(),
        "whether events ride in the handshake response, counted by `x-messages`",
    ),
    setting(
        "allowedTransports",
        Kind::Transports,
        [3, 0, 0],
        |d| d.transports.join(","),
        |d, v| d.transports = v.names(),
        "the transports that are offered, in this order",
    ),
    setting(
        "sweepPeriod",
        FROM_0,
        [3, 0, 0],
        |d| d.options.sweep_period_ms.to_string(),
        |d, v| d.options.sweep_period_ms = v.size(),
        "how often what expired is swept, in ms; 0: at once (CometD itself: 997)",
    ),
    until(
        [2, 9, 255],
        setting(
            "sweepIntervalMs",
            FROM_0,
            OLD,
            |d| d.options.sweep_period_ms.to_string(),
            |d, v| d.options.sweep_period_ms = v.size(),
            "how often what expired is swept, in ms; 0: at once (CometD itself: 997)",
        ),
    ),
    setting(
        "trustClientSession",
        Kind::Flag,
        [3, 0, 10],
        |d| (!d.browser.owns_sessions).to_string(),
        |d, v| d.browser.owns_sessions = !v.flag(),
        "whether over HTTP the clientId is enough, whatever the cookie says",
    ),
    setting(
        "duplicateMetaConnectHttpResponseCode",
        Kind::Number(400, 599),
        [3, 1, 13],
        |d| d.connects.superseded_status.to_string(),
        |d, v| d.connects.superseded_status = u16::try_from(v.number()).unwrap_or(500),
        "the status of a held connect that another one supersedes",
    ),
    setting(
        "maxSessionsPerBrowser",
        FROM_MINUS_1,
        OLD,
        |d| d.options.max_sessions_per_browser.to_string(),
        |d, v| d.options.max_sessions_per_browser = v.number(),
        "how many long polls one browser may have; -1: any number",
    ),
    setting(
        "multiSessionInterval",
        FROM_0,
        OLD,
        |d| d.multi_session_interval_ms.to_string(),
        |d, v| d.multi_session_interval_ms = v.size(),
        "the interval for a browser's further sessions, in ms; 0: they are refused",
    ),
    until(
        [3, 0, 255],
        setting(
            "allowMultiSessionsNoBrowser",
            Kind::Flag,
            OLD,
            |d| (!d.browser.needed_to_hold).to_string(),
            |d, v| d.browser.needed_to_hold = !v.flag(),
            "whether connects without a browser cookie are held",
        ),
    ),
    setting(
        "browserCookieName",
        Kind::Text,
        OLD,
        |d| d.browser.cookie.name.clone(),
        |d, v| d.browser.cookie.name = v.text(),
        "the name of the cookie",
    ),
    setting(
        "browserCookieDomain",
        Kind::Text,
        OLD,
        |d| or_none(d.browser.cookie.domain.as_ref()),
        |d, v| d.browser.cookie.domain = Some(v.text()),
        "the `Domain` of the cookie",
    ),
    setting(
        "browserCookiePath",
        Kind::Text,
        OLD,
        |d| d.browser.cookie.path.clone(),
        |d, v| d.browser.cookie.path = v.text(),
        "the `Path` of the cookie",
    ),
    setting(
        "browserCookieSecure",
        Kind::Flag,
        [3, 0, 0],
        |d| d.browser.cookie.secure.to_string(),
        |d, v| d.browser.cookie.secure = v.flag(),
        "whether the cookie is `Secure` when it is set over TLS",
    ),
    setting(
        "browserCookieHttpOnly",
        Kind::Flag,
        [3, 0, 4],
        |d| d.browser.cookie.http_only.to_string(),
        |d, v| d.browser.cookie.http_only = v.flag(),
        "whether the cookie is `HttpOnly`",
    ),
    setting(
        "browserCookieSameSite",
        Kind::Text,
        [3, 1, 12],
        |d| or_none(d.browser.cookie.same_site.as_ref()),
        |d, v| d.browser.cookie.same_site = Some(v.text()),
        "the `SameSite` of the cookie",
    ),
    setting(
        "callbackParameter",
        Kind::Text,
        OLD,
        |d| d.options.callback_parameter.clone(),
        |d, v| d.options.callback_parameter = v.text(),
        "the parameter that names the callback",
    ),
    setting(
        "callbackParameterMaxLength",
        FROM_0,
        [3, 0, 2],
        |d| d.options.callback_limit.to_string(),
        |d, v| d.options.callback_limit = v.count(),
        "how long the name of a callback may be",
    ),
    setting(
        "long-polling.timeout",
        FROM_0,
        OLD,
        |d| transport_timeout(d, HTTP),
        |d, v| set_timeout(d, &[HTTP, CALLBACK_POLLING], &v),
        "`timeout` over HTTP",
    ),
    setting(
        "long-polling.interval",
        FROM_0,
        OLD,
        |d| transport_interval(d, HTTP),
        |d, v| set_interval(d, &[HTTP, CALLBACK_POLLING], &v),
        "`interval` over HTTP",
    ),
    setting(
        "ws.timeout",
        FROM_0,
        [3, 0, 0],
        |d| transport_timeout(d, SOCKET),
        |d, v| set_timeout(d, &[SOCKET], &v),
        "`timeout` on a WebSocket",
    ),
    setting(
        "ws.interval",
        FROM_0,
        [3, 0, 0],
        |d| transport_interval(d, SOCKET),
        |d, v| set_interval(d, &[SOCKET], &v),
        "`interval` on a WebSocket",
    ),
    setting(
        "ws.protocol",
        Kind::Text,
        [3, 0, 0],
        |d| or_none(d.options.web_socket_protocol.as_ref()),
        |d, v| d.options.web_socket_protocol = Some(v.text()),
        "the sub-protocol that an upgrade must ask for",
    ),
    setting(
        "ws.messagesPerFrame",
        FROM_0,
        [3, 0, 0],
        |d| d.options.messages_per_frame.to_string(),
        |d, v| d.options.messages_per_frame = v.count(),
        "how many events one frame carries at the most; 0: any number",
    ),
    setting(
        "ws.maxMessageSize",
        Kind::Number(1, i64::MAX),
        [3, 0, 0],
        |d| d.web_socket_limit.to_string(),
        |d, v| d.web_socket_limit = v.count(),
        "the longest message that a WebSocket takes, in bytes",
    ),
    setting(
        "ws.idleTimeout",
        FROM_0,
        [3, 0, 0],
        |d| d.options.web_socket_idle_ms.to_string(),
        |d, v| d.options.web_socket_idle_ms = v.size(),
        "after how long without traffic a WebSocket is closed, in ms; 0: never",
    ),
    setting(
        "ws.requireHandshakePerConnection",
        Kind::Flag,
        [3, 0, 6],
        |d| d.options.handshake_per_socket.to_string(),
        |d, v| d.options.handshake_per_socket = v.flag(),
        "whether a session answers only on the WebSocket of its handshake",
    ),
];

/// Settings of CometD that would change nothing here.
const NO_EFFECT: &[(&str, &str)] = &[
    ("http2MaxSessionsPerBrowser", "this server speaks HTTP/1.1 alone"),
    ("autoBatch", "it changed how CometD's threads take turns"),
    ("jsonContext", "it names a Java class"),
    ("jsonDebug", "it logs; `record` shows what is on the wire"),
    ("transports", "it names Java classes; `allowedTransports` is what you want"),
    ("browserCookieMaxAge", "no CometD up to 5.0 has it"),
    ("ws.bufferSize", "it sizes the container's buffers"),
    ("ws.enableExtension.permessage-deflate", "this server never agrees to compress"),
];

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_setting_takes_its_own_value_in_every_dialect_that_has_it() {
        for name in Dialect::names() {
            let before = Dialect::by_name(name).unwrap();
            for setting in before.settings() {
                let value = setting.value(&before);
                let mut dialect = before.clone();
                match dialect.set(setting.name, &value) {
                    Ok(()) => assert_eq!(setting.value(&dialect), value, "{name} {}", setting.name),
                    Err(error) => assert!(value.is_empty(), "{error}"),
                }
            }
        }
    }

    #[test]
    fn every_setting_changes_what_it_says() {
        let before = Dialect::cometd_3_1();
        for setting in before.settings() {
            let mut dialect = before.clone();
            let value = match setting.kind {
                Kind::Flag => (setting.value(&dialect) != "true").to_string(),
                Kind::Number(..) => "432".to_owned(),
                Kind::Text => "other".to_owned(),
                Kind::Transports => "callback-polling,websocket".to_owned(),
            };
            dialect.set(setting.name, &value).unwrap();
            assert_eq!(setting.value(&dialect), value, "{}", setting.name);
            assert_ne!(dialect, before, "{} changes nothing", setting.name);
        }
    }

    #[rstest]
    #[case("timeuot", "1", "there is no option `timeuot`; the nearest is `timeout`")]
    #[case("maxqueue", "1", "there is no option `maxqueue`; the nearest is `maxQueue`")]
    #[case("timeout", "soon", "`timeout` takes a number from 0, not `soon`")]
    #[case("timeout", "-1", "`timeout` takes a number from 0, not `-1`")]
    #[case("trustClientSession", "yes", "`trustClientSession` takes true or false, not `yes`")]
    #[case(
        "duplicateMetaConnectHttpResponseCode",
        "200",
        "`duplicateMetaConnectHttpResponseCode` takes a number from 400 to 599, not `200`"
    )]
    #[case("browserCookieName", "a;b", "`browserCookieName` takes a plain text, not `a;b`")]
    #[case("browserCookieDomain", "\u{fc}", "`browserCookieDomain` takes a plain text, not `\u{fc}`")]
    #[case("browserCookiePath", "/\nX: y", "`browserCookiePath` takes a plain text, not `/\nX: y`")]
    #[case("allowedTransports", "pigeon", "`allowedTransports` takes offered transports, by commas, not `pigeon`")]
    #[case("browserCookieName", "", "`browserCookieName` takes a plain text, not ``")]
    #[case("maxServerInterval", "1", "`maxServerInterval` is no option of cometd-3.1: CometD has it up to 3.0")]
    #[case("ws.bufferSize", "1", "`ws.bufferSize` has no effect here: it sizes the container's buffers")]
    fn says_what_is_wrong(#[case] name: &str, #[case] value: &str, #[case] says: &str) {
        let mut dialect = Dialect::cometd_3_1();
        assert_eq!(dialect.set(name, value).unwrap_err().to_string(), says);
        assert_eq!(dialect, Dialect::cometd_3_1(), "nothing is changed");
    }

    #[rstest]
    #[case("maxProcessing", [false, false, true, true, true, true])]
    #[case("maxServerInterval", [true, true, false, false, false, false])]
    #[case("sweepIntervalMs", [true, false, false, false, false, false])]
    #[case("handshakeReconnect", [false, false, true, true, true, true])]
    #[case("allowMessageDeliveryDuringHandshake", [false, false, true, true, true, true])]
    #[case("trustClientSession", [false, true, true, true, true, true])]
    #[case("duplicateMetaConnectHttpResponseCode", [false, false, true, true, true, true])]
    #[case("ws.idleTimeout", [false, true, true, true, true, true])]
    #[case("browserCookieSameSite", [false, false, true, true, true, true])]
    #[case("allowMultiSessionsNoBrowser", [true, true, false, false, false, false])]
    #[case("maxMessageSize", [false, false, true, true, true, true])]
    #[case("validateMessageFields", [true; 6])]
    fn a_generation_refuses_what_it_did_not_have(#[case] name: &str, #[case] has: [bool; 6]) {
        let seen: Vec<bool> = Dialect::names()
            .map(|dialect| Dialect::by_name(dialect).unwrap().settings().any(|setting| setting.name == name))
            .collect();
        assert_eq!(seen, has);
    }
}
