//! What an operator can switch, beside what a generation does by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an operator may switch in any generation, with CometD's names and defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// `broadcastToPublisher`: whether a publisher gets its own event.
    pub broadcast_to_publisher: bool,
    /// `metaConnectDeliverOnly`: whether events travel with connect replies alone.
    pub meta_connect_deliver_only: bool,
    /// `maxSessionsPerBrowser`: how many long polls one browser may have; negative means any number.
    pub max_sessions_per_browser: i64,
    /// `handshakeReconnect`: whether advice names `maxInterval` (BX-ADV-16).
    pub handshake_reconnect: bool,
    /// `allowMessageDeliveryDuringHandshake`: whether events ride in the handshake response, counted by `x-messages`.
    pub deliver_during_handshake: bool,
    /// `ws.messagesPerFrame`: how many events one frame carries at the most; 0 means any number.
    pub messages_per_frame: usize,
    /// `ws.requireHandshakePerConnection`: whether a session answers only on the WebSocket of its handshake.
    pub handshake_per_socket: bool,
    /// `ws.protocol`: the sub-protocol that an upgrade must ask for.
    pub web_socket_protocol: Option<String>,
    /// `ws.idleTimeout`: after how long without traffic a WebSocket is closed, in milliseconds; 0 means never.
    pub web_socket_idle_ms: u64,
    /// `callbackParameter`: the name of the parameter that names the callback.
    pub callback_parameter: String,
    /// `callbackParameterMaxLength`: how long the name of a callback may be.
    pub callback_limit: usize,
    /// `validateMessageFields`: whether the characters of channels and ids are looked at.
    pub validate_fields: bool,
    /// `maxMessageSize`: the longest HTTP body, in bytes.
    pub max_message_size: Option<usize>,
    /// `maxQueue`: from how many waiting events on the application is asked about each further one. By itself this drops
    /// nothing. Negative means that it is never asked.
    pub max_queue: i64,
    /// `maxLazyTimeout`: how long lazy messages wait at the most, in milliseconds; with 0 no message is lazy.
    pub max_lazy_ms: u64,
    /// `maxProcessing`, and `maxServerInterval` before: how long a session with a connect in work may send nothing, in
    /// milliseconds.
    pub max_processing_ms: Option<u64>,
    /// `sweepPeriod`: how often expired sessions and unused channels are swept, in milliseconds. With 0 sessions go on
    /// the moment, and channels after three seconds.
    pub sweep_period_ms: u64,
    /// Timing of single transports, by name, in place of the dialect's.
    pub timing: BTreeMap<String, TransportTiming>,
    /// The server's extensions.
    pub extensions: Extensions,
}

/// How connects are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timing {
    /// How long an idle connect is held, in milliseconds.
    pub timeout_ms: u64,
    /// How long clients are to wait between two connects, in milliseconds.
    pub interval_ms: u64,
}

/// How connects over one transport are timed, as far as it differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TransportTiming {
    /// How long an idle connect is held, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How long clients are to wait between two connects, in milliseconds.
    pub interval_ms: Option<u64>,
}

/// The extensions that a server has installed. None is by default. What the `binary` extension adds is handed on by every
/// server, whether it has it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Extensions {
    /// Events are sent again until the client has acknowledged them.
    pub ack: bool,
    /// Every message to a client carries the server's time of day.
    pub timestamp: bool,
    /// Clients can measure how far their clock is off.
    pub timesync: bool,
    /// Sessions that do nothing are disconnected.
    pub activity: Option<Activity>,
}

/// When a session counts as inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Activity {
    /// Whether what the server sends counts as activity too.
    pub server_counts: bool,
    /// For how long a session may be inactive, in milliseconds.
    pub max_inactivity_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            broadcast_to_publisher: true,
            meta_connect_deliver_only: false,
            max_sessions_per_browser: 1,
            handshake_reconnect: false,
            deliver_during_handshake: false,
            messages_per_frame: 1,
            handshake_per_socket: false,
            web_socket_protocol: None,
            web_socket_idle_ms: 300_000,
            callback_parameter: "jsonp".to_owned(),
            callback_limit: 64,
            validate_fields: true,
            max_message_size: None,
            max_queue: -1,
            max_lazy_ms: 5_000,
            max_processing_ms: None,
            sweep_period_ms: 0,
            timing: BTreeMap::new(),
            extensions: Extensions::default(),
        }
    }
}
