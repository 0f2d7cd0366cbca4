//! What the header of a tape says of the client that left it: all its settings, and of its secrets whether there are any.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use protocol::bayeux::batch::Limits;
use protocol::bayeux::client::{self as bayeux, Extensions};
use protocol::chat::client::{Config, Safeguards};
use protocol::secret::Secret;
use protocol::wire::Transport;
use recording::tape::Header;

/// The member of `env` that says whose tape it is, and what it says.
const CLIENT: (&str, &str) = ("client", "tapestry chat");

/// What stands in `env` for something that is no matter of a tape.
const GIVEN: &str = "given";

/// What stands for the credentials that nobody knows any more.
const AUTH: &str = "the credentials of the tape";

/// Why the client of a tape cannot be run once more, though our client left it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The header does not say what it should.
    #[error("the header of the tape has no usable `env.{0}`, without which its client cannot run once more")]
    Missing(&'static str),
    /// The client said an `ext` of its own in handshakes, and nobody knows it any more.
    #[error("the client of the tape said an `ext` of its own in handshakes, which no tape keeps")]
    HandshakeExt,
}

/// What `env` says of a client. Durations are in microseconds.
pub(super) fn env(config: &Config) -> BTreeMap<String, String> {
    let Config { bayeux, service, answer_timeout, file_timeout, unavailable_retry, reorder_window, .. } = config;
    let transports: Vec<&str> = bayeux.transports.iter().map(|transport| transport.name()).collect();
    let micros = |duration: &Duration| duration.as_micros().to_string();
    let given = |is_given: bool| is_given.then(|| GIVEN.to_owned());
    let Extensions { ack, timestamp, timesync } = bayeux.extensions;
    let Safeguards { deduplicate, restore_after_handshake } = config.safeguards;
    let switches = [
        ("ack", ack),
        ("timestamp", timestamp),
        ("timesync", timesync),
        ("checkConnectId", bayeux.check_connect_id),
        ("legacyIds", config.legacy_ids),
        ("deduplicate", deduplicate),
        ("restoreAfterHandshake", restore_after_handshake),
    ];
    let values = [
        (CLIENT.0, CLIENT.1.to_owned()),
        ("base", bayeux.base.clone()),
        ("service", service.clone()),
        ("transports", transports.join(" ")),
        ("startUtc", bayeux.start_utc.to_string()),
        ("backoffIncrement", micros(&bayeux.backoff_increment)),
        ("maxBackoff", micros(&bayeux.max_backoff)),
        ("maxNetworkDelay", micros(&bayeux.max_network_delay)),
        ("defaultTimeout", micros(&bayeux.default_timeout)),
        ("limitBytes", bayeux.limits.bytes.to_string()),
        ("limitDepth", bayeux.limits.depth.to_string()),
        ("limitMessages", bayeux.limits.messages.to_string()),
        ("targetLimit", bayeux.target_limit.to_string()),
        ("answerTimeout", micros(answer_timeout)),
        ("fileTimeout", micros(file_timeout)),
        ("unavailableRetry", micros(unavailable_retry)),
        ("reorderWindow", micros(reorder_window)),
    ];
    let secrets = [("auth", given(config.auth.is_some())), ("handshakeExt", given(bayeux.handshake_ext.is_some()))];
    let switches = switches.into_iter().map(|(name, is_on)| (name.to_owned(), is_on.to_string()));
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value));
    let secrets = secrets.into_iter().filter_map(|(name, given)| Some((name.to_owned(), given?)));
    values.chain(switches).chain(secrets).collect()
}

/// The settings of the client that left a tape; `None` if it was none of ours.
pub(super) fn read(header: &Header) -> Result<Option<Config>, Unfit> {
    let env = Env(&header.env);
    if env.0.get(CLIENT.0).map(String::as_str) != Some(CLIENT.1) {
        return Ok(None);
    }
    if env.0.contains_key("handshakeExt") {
        return Err(Unfit::HandshakeExt);
    }
    let words = env.text("transports")?.split(' ');
    let transports: Option<Vec<Transport>> = words.map(Transport::by_name).collect();
    let transports = transports.ok_or(Unfit::Missing("transports"))?;
    let bayeux = bayeux::Config {
        base: env.text("base")?.to_owned(),
        transports,
        backoff_increment: env.micros("backoffIncrement")?,
        max_backoff: env.micros("maxBackoff")?,
        max_network_delay: env.micros("maxNetworkDelay")?,
        default_timeout: env.micros("defaultTimeout")?,
        limits: Limits {
            bytes: env.value("limitBytes")?,
            depth: env.value("limitDepth")?,
            messages: env.value("limitMessages")?,
        },
        target_limit: env.value("targetLimit")?,
        check_connect_id: env.value("checkConnectId")?,
        handshake_ext: None,
        extensions: Extensions {
            ack: env.value("ack")?,
            timestamp: env.value("timestamp")?,
            timesync: env.value("timesync")?,
        },
        start_utc: env.value("startUtc")?,
    };
    Ok(Some(Config {
        bayeux,
        service: env.text("service")?.to_owned(),
        answer_timeout: env.micros("answerTimeout")?,
        file_timeout: env.micros("fileTimeout")?,
        unavailable_retry: env.micros("unavailableRetry")?,
        reorder_window: env.micros("reorderWindow")?,
        auth: env.0.contains_key("auth").then(|| Secret::new(AUTH)),
        legacy_ids: env.value("legacyIds")?,
        safeguards: Safeguards {
            deduplicate: env.value("deduplicate")?,
            restore_after_handshake: env.value("restoreAfterHandshake")?,
        },
    }))
}

struct Env<'a>(&'a BTreeMap<String, String>);

impl Env<'_> {
    fn text(&self, name: &'static str) -> Result<&str, Unfit> {
        self.0.get(name).map(String::as_str).ok_or(Unfit::Missing(name))
    }

    fn value<T: FromStr>(&self, name: &'static str) -> Result<T, Unfit> {
        self.text(name)?.parse().map_err(|_| Unfit::Missing(name))
    }

    fn micros(&self, name: &'static str) -> Result<Duration, Unfit> {
        self.value(name).map(Duration::from_micros)
    }
}
