//! The six dialects: what was seen on the wire of CometD 2.9.1, 3.0.10, 3.1.14, 4.0.9 and 5.0.17 with default settings.
//!
//! Each is its predecessor with what changed, so that reading downwards is reading the history.

use super::setting::lacking;
use super::{
    BatchSession, BatchedHttp, BatchedSocket, Browser, CALLBACK_POLLING, Connects, Cookie, Dialect, Disconnects, Empty,
    ErrorTexts, Events, MalformedInput, MessageIds, Options, PushedSince, Validation, WithoutSocket, all_transports,
};
use crate::bayeux::http::BROWSER_COOKIE;
use crate::wire::Transport;

/// A name and how to make its dialect.
type Row = (&'static str, fn() -> Dialect);

/// Every dialect, the oldest first.
pub(super) const ALL: &[Row] = &[
    ("cometd-2.9", cometd_2_9),
    ("cometd-3.0", cometd_3_0),
    ("cometd-3.1", cometd_3_1),
    ("cometd-4.0.0", cometd_4_0_0),
    ("cometd-4.0.4", cometd_4_0_4),
    ("cometd-5.0", cometd_5_0),
];

/// CometD 2.9.1. Its WebSocket transport is off by default and was not looked at: what concerns it is as in 3.0.
fn cometd_2_9() -> Dialect {
    Dialect {
        name: "cometd-2.9".to_owned(),
        transports: vec![CALLBACK_POLLING.to_owned(), Transport::LongPolling.name().to_owned()],
        errors: ErrorTexts {
            unknown_session: "402::Unknown client".to_owned(),
            channel_missing: None,
            channel_invalid: None,
            message_id_invalid: None,
            message_deleted: None,
            handshake_denied: "403::Handshake denied".to_owned(),
            create_denied: "403:denied_by_security_policy:create denied".to_owned(),
            subscription_create_denied: "403:denied_by_security_policy:create_denied".to_owned(),
            publish_denied: "403:denied_by_security_policy:publish denied".to_owned(),
            subscribe_denied: "403:denied_by_security_policy:subscribe_denied".to_owned(),
            subscription_missing: "403::subscription_missing".to_owned(),
            subscription_invalid: "403::subscription_invalid".to_owned(),
            unsubscribe_unknown: "400::channel_missing".to_owned(),
            unsubscribe_failed: "403::unsubscribe_failed".to_owned(),
        },
        validation: Validation {
            message_ids: MessageIds::AsChannels,
            first_slash: false,
            subscriptions_answered: false,
            subscriptions_as_texts: false,
            inner_wildcards: true,
            publish_to_patterns: false,
            subscription_always_echoed: false,
            batch_session: BatchSession::First,
        },
        handshake_advice: false,
        multiple_clients_timeout: true,
        browser: Browser {
            owns_sessions: false,
            needed_to_hold: true,
            cookie: Cookie {
                name: BROWSER_COOKIE.to_owned(),
                domain: None,
                path: "/".to_owned(),
                http_only: false,
                secure: false,
                same_site: None,
            },
        },
        connects: Connects {
            superseded_status: 408,
            batched_http: BatchedHttp::Fails,
            batched_socket: BatchedSocket::Lost,
            superseding_expires: None,
            batched_expires: None,
            cancels_old_socket: true,
            swept_reason: "Cancel".to_owned(),
        },
        events: Events {
            keep_id: true,
            pushed_since: PushedSince::Handshake,
            replies_take_along: false,
            without_socket: WithoutSocket::Kept,
        },
        disconnects: Disconnects { connect_first: true, by_server_successful: true, messages_put_expiry_off: false },
        malformed: MalformedInput {
            not_json_status: 400,
            empty: Empty::Fails,
            null: Empty::Fails,
            empty_array_echoed: true,
            trailing_ignored: true,
            forms: true,
            any_media_type: false,
            any_callback: true,
        },
        timeout_ms: 30_000,
        interval_ms: 0,
        max_interval_ms: 10_000,
        multi_session_interval_ms: 2_000,
        web_socket_limit: 65_536,
        options: Options::default(),
        lacks: lacking([2, 9, 1]),
    }
}

/// CometD 3.0.10.
fn cometd_3_0() -> Dialect {
    let mut dialect = cometd_2_9();
    dialect.name = "cometd-3.0".to_owned();
    dialect.lacks = lacking([3, 0, 10]);
    dialect.transports = all_transports();
    dialect.validation.inner_wildcards = false;
    dialect.validation.batch_session = BatchSession::Latest;
    dialect.browser.owns_sessions = true;
    dialect.browser.needed_to_hold = false;
    dialect.browser.cookie.http_only = true;
    dialect.connects.batched_http = BatchedHttp::Held;
    dialect.events.keep_id = false;
    dialect.disconnects.by_server_successful = false;
    dialect.malformed.empty = Empty::Nothing;
    dialect.malformed.null = Empty::Nothing;
    dialect.malformed.forms = false;
    dialect.malformed.any_media_type = true;
    dialect.malformed.any_callback = false;
    dialect
}

/// CometD 3.1.14. What 3.1.3 did otherwise is `superseded-status` 408 (until 3.1.10).
pub(super) fn cometd_3_1() -> Dialect {
    let mut dialect = cometd_3_0();
    dialect.name = "cometd-3.1".to_owned();
    dialect.lacks = lacking([3, 1, 14]);
    dialect.errors.message_deleted = Some("404::message deleted".to_owned());
    dialect.validation.publish_to_patterns = true;
    dialect.validation.subscription_always_echoed = true;
    dialect.validation.batch_session = BatchSession::Named;
    dialect.handshake_advice = true;
    dialect.connects.superseded_status = 500;
    dialect.connects.batched_http = BatchedHttp::Answered;
    dialect.connects.batched_socket = BatchedSocket::Sent;
    dialect.connects.batched_expires = Some("Cancel".to_owned());
    dialect.events.without_socket = WithoutSocket::Lost;
    dialect.disconnects.by_server_successful = true;
    dialect.disconnects.messages_put_expiry_off = true;
    dialect.malformed.empty_array_echoed = false;
    dialect
}

/// CometD 4.0.9 with the texts of 4.0.0 to 4.0.3.
fn cometd_4_0_0() -> Dialect {
    let mut dialect = cometd_3_1();
    dialect.name = "cometd-4.0.0".to_owned();
    dialect.lacks = lacking([4, 0, 9]);
    dialect.errors.channel_missing = Some("400::channel_missing".to_owned());
    dialect.errors.channel_invalid = Some("405::invalid_channel".to_owned());
    dialect.errors.message_id_invalid = Some("405::invalid_id".to_owned());
    dialect.errors.message_deleted = Some("404::message_deleted".to_owned());
    dialect.errors.handshake_denied = "403::handshake_denied".to_owned();
    dialect.errors.create_denied = "403:denied_by_security_policy:channel_create_denied".to_owned();
    dialect.validation.subscriptions_answered = true;
    dialect.multiple_clients_timeout = false;
    dialect.connects.batched_socket = BatchedSocket::Withheld;
    dialect.connects.superseding_expires = Some("Destroy".to_owned());
    dialect.connects.batched_expires = None;
    dialect.connects.cancels_old_socket = false;
    dialect.connects.swept_reason = "Destroy".to_owned();
    dialect.events.pushed_since = PushedSince::FirstHold;
    dialect.events.replies_take_along = true;
    dialect.events.without_socket = WithoutSocket::Kept;
    dialect
}

/// CometD 4.0.9.
fn cometd_4_0_4() -> Dialect {
    let mut dialect = cometd_4_0_0();
    dialect.name = "cometd-4.0.4".to_owned();
    dialect.errors.unknown_session = "402::unknown_session".to_owned();
    dialect.errors.publish_denied = "403:denied_by_security_policy:publish_denied".to_owned();
    dialect
}

/// CometD 5.0.17.
fn cometd_5_0() -> Dialect {
    let mut dialect = cometd_4_0_4();
    dialect.name = "cometd-5.0".to_owned();
    dialect.lacks = lacking([5, 0, 17]);
    dialect.errors.unknown_session = "402::session_unknown".to_owned();
    dialect.errors.channel_invalid = Some("405::channel_invalid".to_owned());
    dialect.errors.message_id_invalid = Some("405::message_id_invalid".to_owned());
    dialect.validation.message_ids = MessageIds::Alphanumeric;
    dialect.validation.first_slash = true;
    dialect.validation.subscriptions_as_texts = true;
    dialect.connects.superseding_expires = None;
    dialect.events.pushed_since = PushedSince::FirstMessage;
    dialect.events.without_socket = WithoutSocket::FirstLost;
    dialect.disconnects.connect_first = false;
    dialect.malformed.not_json_status = 500;
    dialect.malformed.empty = Empty::Fails;
    dialect.malformed.trailing_ignored = false;
    dialect
}
