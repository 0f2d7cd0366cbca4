//! Settings of a server, beside its dialect: where it stands, how much it takes, what its application and its operator
//! allow.

use crate::bayeux::batch::Limits;
use crate::bayeux::channel;
use crate::bayeux::dialect::Dialect;
use crate::wire::{Request, Response};

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the CometD servlet, such as `/genesys/cometd`.
    pub base: String,
    /// How it words and times what it says.
    pub dialect: Dialect,
    /// How much it takes from a client at once.
    pub limits: Limits,
    /// How much it keeps.
    pub bounds: Bounds,
    /// What the application denies to clients.
    pub policy: Policy,
    /// Channels and patterns whose events are lazy: they may wait for something else to be sent. In CometD the application
    /// says so of a channel.
    pub lazy: Vec<String>,
    /// Pages of which origins may open a WebSocket, `*` for any; without, every page may, as CometD lets them. Whoever names
    /// no origin is no page.
    pub web_socket_origins: Option<Vec<String>>,
    /// Whether clients come over TLS, as far as the server knows.
    pub over_tls: bool,
    /// Pages of which origins may talk to it; without, no answer carries CORS headers, as CometD's own do not.
    pub cors: Option<Cors>,
    /// Wall time at the start of virtual time, in milliseconds since the epoch; only extensions tell it.
    pub start_utc: i64,
}

impl Settings {
    /// A CometD 3.1 server with its default settings, and a start in November 2023.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            dialect: Dialect::cometd_3_1(),
            limits: Limits::default(),
            bounds: Bounds::default(),
            policy: Policy::default(),
            lazy: Vec::new(),
            web_socket_origins: None,
            over_tls: false,
            cors: None,
            start_utc: 1_700_000_000_000,
        }
    }
}

/// How much a server keeps. CometD has no such bounds: a handshake, a subscription or a publish that would go over one
/// fails as if the server itself had failed, with status 500 or close 1011, and a full queue lets go of its oldest event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Sessions at once.
    pub sessions: usize,
    /// Events that wait for one session.
    pub queue: usize,
    /// Bytes of events that wait for one session.
    pub queue_bytes: usize,
    /// Bytes of events that wait for all sessions together.
    pub all_queues_bytes: usize,
    /// Channels at once.
    pub channels: usize,
    /// Subscriptions of one session.
    pub subscriptions: usize,
}

impl Default for Bounds {
    /// 10 000 sessions and channels, for each session 1 000 subscriptions, 1 000 events and 4 MiB, and 256 MiB for all.
    fn default() -> Self {
        Self {
            sessions: 10_000,
            queue: 1_000,
            queue_bytes: 4 << 20,
            all_queues_bytes: 256 << 20,
            channels: 10_000,
            subscriptions: 1_000,
        }
    }
}

/// What the application denies to clients, by channels and patterns. By default nothing, as CometD's default policy does;
/// meta channels are never for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether handshakes are denied.
    pub deny_handshakes: bool,
    /// Channels that clients must not create, by a publish or a subscription.
    pub deny_create: Vec<String>,
    /// Channels that clients must not publish to.
    pub deny_publish: Vec<String>,
    /// Channels and patterns that clients must not subscribe to.
    pub deny_subscribe: Vec<String>,
    /// Channels whose messages a listener of the application drops.
    pub veto: Vec<String>,
    /// Members of a handshake that an extension of the application repeats in a reply that says yes.
    pub echo_in_handshake: Vec<String>,
}

/// Whether a list of channels and patterns has this name.
pub(super) fn lists(list: &[String], name: &str) -> bool {
    list.iter().any(|known| channel::matches(known, name))
}

/// CORS as an operator configures it, in the manner of Jetty's filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// The origins that are allowed, such as `https://shop.example`; `*` allows any. The answer names the very origin
    /// that asked, since clients send credentials and then `*` is not enough.
    pub origins: Vec<String>,
}

impl Cors {
    /// Whether pages of the origin may talk to the server.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        has_origin(&self.origins, origin)
    }

    /// The origin of the page that sends a request, if it may talk to the server.
    #[must_use]
    pub fn allowed<'a>(&self, request: &'a Request) -> Option<&'a str> {
        request.headers.get("origin").filter(|origin| self.allows(origin))
    }

    /// Lets a page of an origin see a response.
    pub fn let_see(origin: &str, response: &mut Response) {
        let headers = std::mem::take(&mut response.headers);
        response.headers = headers
            .with("Access-Control-Allow-Origin", origin)
            .with("Access-Control-Allow-Credentials", "true")
            .with("Vary", "Origin");
    }

    /// Whether a browser asks for a page whether it may send something.
    #[must_use]
    pub fn is_preflight(request: &Request) -> bool {
        request.method == "OPTIONS" && request.headers.get("access-control-request-method").is_some()
    }

    /// Adds to the answer to a preflight what the page may send.
    pub fn let_send(response: &mut Response) {
        let headers = std::mem::take(&mut response.headers);
        response.headers = headers
            .with("Access-Control-Max-Age", "1800")
            .with("Access-Control-Allow-Methods", "GET,POST,HEAD")
            .with("Access-Control-Allow-Headers", "X-Requested-With,Content-Type,Accept,Origin");
    }
}

/// Whether a list of origins has this one.
pub(super) fn has_origin(list: &[String], origin: &str) -> bool {
    list.iter().any(|allowed| allowed == "*" || allowed == origin)
}
