//! What can be wrong with a set-up: the closed list of findings, each with what it means to chats and what to do.

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing can be judged before it is mended.
    Refusal,
    /// Something that chats need does not work; the rest can be judged.
    Fault,
    /// Worth knowing, and nothing need be done.
    Note,
}

impl Level {
    /// Every level, the gravest first.
    pub const ALL: [Self; 3] = [Self::Refusal, Self::Fault, Self::Note];

    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            Self::Fault => "fault",
            Self::Note => "note",
        }
    }

    /// The exit code of a diagnosis whose gravest finding has this level.
    #[must_use]
    pub const fn exit(self) -> u8 {
        match self {
            Self::Refusal => 4,
            Self::Fault => 3,
            Self::Note => 0,
        }
    }
}

/// A kind of finding.
#[derive(Debug)]
pub struct Kind {
    /// Its name, never reused.
    pub id: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What it means to chats.
    pub means: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Two kinds are the same if their ids are.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Kind {}

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: &'static Kind,
    /// What was seen.
    pub seen: String,
    /// What to do, if the target told more than the kind knows.
    pub better: Option<String>,
}

impl Finding {
    /// Something of a kind.
    #[must_use]
    pub fn new(kind: &'static Kind, seen: impl Into<String>) -> Self {
        Self { kind, seen: seen.into(), better: None }
    }

    /// The same with a remedy that fits better.
    #[must_use]
    pub fn remedied(self, remedy: impl Into<String>) -> Self {
        Self { better: Some(remedy.into()), ..self }
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &str {
        self.better.as_deref().unwrap_or(self.kind.remedy)
    }
}

/// Every kind, in the order in which they can be met.
#[must_use]
pub const fn kinds() -> &'static [&'static Kind] {
    KINDS
}

macro_rules! kinds {
    ($($name:ident: $id:literal, $level:ident, $means:literal, $remedy:literal;)*) => {
        $(
            #[doc = concat!("`", $id, "`")]
            pub static $name: Kind = Kind { id: $id, level: Level::$level, means: $means, remedy: $remedy };
        )*

        static KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    NAME_UNKNOWN: "target.name-unknown", Refusal,
        "no client that resolves names like this machine finds the server",
        "correct the host in the URL, or ask who runs the DNS; in a private network the VPN may be missing";
    NOT_LISTENING: "target.not-listening", Refusal,
        "the host is there, and nothing accepts connections on this port",
        "correct the port in the URL, start the server, or open the port in the firewall";
    NO_CONNECTION: "target.no-connection", Refusal,
        "packets to the server get lost: a firewall drops them, or the host is down",
        "let this machine through the firewall, or name a host that it may reach";
    NO_TUNNEL: "target.no-tunnel", Refusal,
        "the proxy between this machine and the server lets nothing through",
        "correct `HTTPS_PROXY`, or add the host to `NO_PROXY` if it is reached without a proxy";
    MANY_ADDRESSES: "target.many-addresses", Note,
        "each address may be another node; a chat lives on one node, and a client that changes address loses it",
        "put a load balancer with sticky sessions in front, or name one node";
    TLS_NOT_SPOKEN: "tls.not-spoken", Refusal,
        "the port does not speak TLS, so that no `https` or `wss` client gets through",
        "begin the URL with `http://`, or name the port for `https`";
    TLS_WANTED: "tls.wanted", Refusal,
        "the port speaks TLS, so that no client without it gets through",
        "begin the URL with `https://`";
    TLS_UNTRUSTED: "tls.untrusted", Refusal,
        "browsers and apps that do not know the authority refuse the server",
        "name the certificate of its authority with `--ca FILE`; if it is a public one, the server must send the chain too";
    TLS_WRONG_HOST: "tls.wrong-host", Refusal,
        "browsers refuse a server that shows the certificate of another",
        "name the server in the URL as its certificate does, or give it a certificate for this host";
    TLS_EXPIRED: "tls.expired", Refusal,
        "browsers refuse the server since the certificate ran out",
        "renew the server's certificate";
    TLS_NOT_YET_VALID: "tls.not-yet-valid", Refusal,
        "the certificate begins to be valid later, or a clock is wrong",
        "compare the clocks of server and client, then look at the dates of the certificate";
    TLS_UNFIT: "tls.unfit", Refusal,
        "the certificate is not one that clients take from a server",
        "give the server another certificate; one that `openssl req -x509` makes must not call itself an authority";
    TLS_FAILED: "tls.failed", Refusal,
        "server and client do not agree on TLS",
        "let the server speak TLS 1.2 or 1.3; if the port is one for plain HTTP, begin the URL with `http://`";
    MUTE: "http.mute", Refusal,
        "connections are accepted and requests are not answered: the server hangs, or a firewall swallows what comes behind",
        "look at the server's threads and log; name the node itself in the URL to leave out what stands between";
    HANGS_UP: "http.hangs-up", Refusal,
        "the connection is cut as soon as a request is sent",
        "look at what listens on the port: it may want TLS, allow other addresses only, or be no HTTP server";
    ENDLESS: "http.endless", Refusal,
        "an answer has no end, or is larger than anything that a CometD says; Tapestry has stopped to read it",
        "correct the path in the URL: what answers there is a download or a stream";
    NOT_HTTP: "http.not-spoken", Refusal,
        "what listens there is no HTTP server",
        "correct the port in the URL";
    TO_HTTPS: "redirect.to-https", Refusal,
        "CometD clients send their handshake by POST and do not follow redirects",
        "begin the URL with `https://`, in the chat client too";
    ELSEWHERE: "redirect.elsewhere", Refusal,
        "something sends every request to another page, mostly a login, and no chat client follows",
        "let the path of the servlet through without a login, or send credentials with `--header 'Authorization=${TOKEN}'`";
    UNAUTHORIZED: "gateway.unauthorized", Refusal,
        "a gateway wants credentials that chat clients do not send",
        "send them with `--header 'Authorization=${TOKEN}'`, and see that the chat client does so too";
    FORBIDDEN: "gateway.forbidden", Refusal,
        "a gateway or a firewall for web applications keeps the request out",
        "allow POST with JSON to the path of the servlet and below it, from this address";
    TOO_MANY: "gateway.too-many", Refusal,
        "a gateway limits how often clients may ask; long-polling asks often",
        "raise the limit for the path of the servlet";
    NO_UPSTREAM: "gateway.no-upstream", Refusal,
        "the proxy is there and does not get through to GMS",
        "start GMS, or correct the upstream in the proxy's configuration";
    UNAVAILABLE: "gateway.unavailable", Refusal,
        "GMS is starting or stopping, or the proxy has taken the node out of service",
        "wait until the node is up; look at the health check of the proxy";
    FAILED: "server.failed", Refusal,
        "the server fails at the first message of every client",
        "look at the log of GMS at this moment";
    WRONG_PATH: "path.wrong", Refusal,
        "no chat client finds the servlet at this path",
        "correct the path in the URL";
    NO_PATH: "path.not-found", Refusal,
        "nothing is served at this path, and no CometD at the usual ones",
        "correct the path; behind a proxy its prefix comes first, such as `/prefix/genesys/cometd`";
    NO_POST: "path.method-refused", Refusal,
        "the path belongs to something that takes no POST, such as a folder of files",
        "correct the path in the URL, or allow POST for it";
    ODD_STATUS: "http.status", Refusal,
        "the handshake of every client gets this status instead of an answer",
        "look at the log of the server, and of what stands between";
    PAGE: "http.page", Refusal,
        "a page comes instead of an answer: a portal of the network, a login, or a web server's page for everything",
        "log in to the network first; if it is the web server, correct the path in the URL";
    CODED: "http.coded", Refusal,
        "something compresses answers though nobody asked for it, and CometD clients outside of browsers cannot read them",
        "switch compression off for the path of the servlet";
    NOT_BAYEUX: "bayeux.not-spoken", Refusal,
        "an HTTP server answers, and it is no CometD",
        "correct the path: the servlet of GMS is at `/genesys/cometd`";
    CUT_SHORT: "bayeux.cut-short", Refusal,
        "answers are JSON that ends too early: something cuts bodies",
        "look for a limit on the size of responses in the proxy";
    HANDSHAKE_REFUSED: "bayeux.handshake-refused", Refusal,
        "the server speaks Bayeux and lets no client in",
        "switch the API on with `enable_notification_mode=true` in section `chat` of GMS and restart the node; if that is so, \
         look at its security policy";
    YES_TO_ALL: "bayeux.yes-to-everything", Refusal,
        "what answers says yes to a client that it cannot know: a stub, or a cache, and no CometD",
        "name the real server";
    SAME_ANSWER: "gateway.repeats-answers", Refusal,
        "two handshakes got the same `clientId`: a cache answers, and clients would share a session",
        "switch caching off for the path of the servlet";
    LONG_POLLING_CLOSED: "long-polling.closed", Fault,
        "clients whose network has no WebSocket cannot chat",
        "allow POST to the path of the servlet and below it";
    NOT_STICKY: "balancer.not-sticky", Refusal,
        "a session lives on one node, and requests of one client reach several: chats break off with 402",
        "make the balancer sticky, by the cookie `BAYEUX_BROWSER` or one of its own; or name one node";
    COOKIE_PATH: "cookie.path-elsewhere", Fault,
        "browsers return the cookie only below its path, so that the server does not know them again",
        "let the proxy rewrite the path of cookies as it rewrites that of requests (`ProxyPassReverseCookiePath`, `proxy_cookie_path`)";
    COOKIE_SECURE: "cookie.secure-over-http", Fault,
        "browsers return a `Secure` cookie over `https` alone, so that the server does not know them again",
        "begin the URL with `https://` in the chat client, or switch `Secure` off";
    COOKIE_DOMAIN: "cookie.foreign-domain", Fault,
        "browsers refuse a cookie for a domain that is not the server's, so that the server does not know them again",
        "let the proxy rewrite the domain of cookies (`ProxyPassReverseCookieDomain`, `proxy_cookie_domain`)";
    HELD_CUT: "gateway.cuts-held-requests", Fault,
        "a proxy ends requests that the server holds, so that clients over long-polling break off again and again",
        "raise the proxy's time-out for responses above the `timeout` that the server advises (30 s by default)";
    HELD_LOST: "gateway.loses-held-answers", Fault,
        "a connect that is held is never answered: what is on the way forgets a connection on which nothing is said, or keeps \
         the answer back",
        "raise the time after which firewall or proxy forget an idle connection above the `timeout` that the server advises \
         (30 s by default), and switch buffering off for the path of the servlet";
    NOT_HELD: "connect.not-held", Fault,
        "connects come back at once, so that clients over long-polling ask without end",
        "look at `timeout` of the CometD servlet, and for a proxy that answers in its place";
    UPGRADE_STRIPPED: "websocket.upgrade-stripped", Fault,
        "the server offers WebSocket and does not get to see upgrades: a proxy on the way takes `Upgrade` off",
        "pass `Upgrade` and `Connection` on and speak HTTP/1.1 upstream (nginx: `proxy_http_version 1.1` and two `proxy_set_header`)";
    UPGRADE_FORBIDDEN: "websocket.forbidden", Fault,
        "a gateway keeps WebSocket out; clients try it first and lose time",
        "allow upgrades on the path of the servlet, or have clients leave WebSocket out";
    UPGRADE_CUT: "websocket.cut", Fault,
        "the connection is cut when a client asks for WebSocket; clients try it first and lose time",
        "allow upgrades on the path of the servlet, or have clients leave WebSocket out";
    UPGRADE_MUTE: "websocket.mute", Fault,
        "an upgrade to WebSocket is not answered: clients wait for their time-out before they try long-polling",
        "pass upgrades on, or let the proxy refuse them at once";
    UPGRADE_ODD: "websocket.bad-answer", Fault,
        "the answer to an upgrade is no proper one: something on the way has changed it",
        "pass the answer to an upgrade on unchanged";
    NOTHING_PASSES: "websocket.nothing-passes", Fault,
        "the WebSocket is granted and nothing comes through: clients hang in their handshake",
        "look for a proxy that buffers or inspects, and pass WebSocket frames through";
    SOCKET_REFUSED: "websocket.handshake-refused", Fault,
        "the WebSocket is open and the server lets no client in on it",
        "look at the log of GMS: its WebSocket and its HTTP answers should be the same";
    IDLE_CUT: "websocket.idle-cut", Fault,
        "an idle WebSocket is cut, so that every quiet moment in a chat ends in a reconnect",
        "raise the proxy's time-out for idle connections above the `timeout` that the server advises (30 s by default)";
    NO_WEBSOCKET: "websocket.not-offered", Note,
        "clients chat over long-polling; cases over WebSocket do not apply",
        "nothing, if the server is not meant to have WebSocket";
    WEBSOCKET_DECLARED: "websocket.declared", Fault,
        "the configuration says that the target has WebSocket, and it has not",
        "correct `transports` in the configuration, or switch WebSocket on";
    ORIGIN_REFUSED: "websocket.origin-refused", Note,
        "pages of the server's own origin may not open a WebSocket; those of origins on its list may",
        "see that the origin of the pages with the chat is on the server's list (`allowedOrigins`)";
    CLOCK: "clock.skew", Note,
        "times in transcripts and logs do not fit those of this machine",
        "let both clocks follow a time server";
    SLOW: "target.slow", Fault,
        "answers take so long that the examination could not be finished",
        "look at the load of the server, and name the node itself in the URL to leave out what stands between";
    CHAT_SILENT: "chat.no-answer", Refusal,
        "requests of the chat are acknowledged and never answered: the API is switched off, or there is no such service",
        "set `enable_notification_mode=true` in section `chat` of GMS and restart the node; then compare the service with the \
         name of its section, `chat.NAME`";
    CHAT_UNKNOWN: "chat.unknown-service", Fault,
        "the service is answered like one that does not exist",
        "compare `--service` with the name of its section in GMS, `chat.NAME`";
    CHAT_REFUSED: "chat.publish-refused", Refusal,
        "the server does not let clients write to the channel of the service",
        "look at the security policy of GMS, and at the name of the service";
    CHAT_AWAY: "chat.server-away", Refusal,
        "GMS is there and has no connection to Chat Server: no chat begins, and running ones stand still",
        "start Chat Server, and look at the connections of the GMS application";
    CHAT_NOT_STARTED: "chat.not-started", Refusal,
        "no chat can be opened on this service",
        "look at the routing and the end point of the service in GMS";
    CHAT_LEFT_OPEN: "chat.left-open", Fault,
        "the chat that was opened was not seen to end, and an agent may be waiting in it",
        "have an agent end the chat of `Tapestry doctor`, or wait until GMS ends it for inactivity";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_plain() {
        let ids: BTreeSet<&str> = kinds().iter().map(|kind| kind.id).collect();
        assert_eq!(ids.len(), kinds().len());
        assert!(
            ids.iter()
                .all(|id| id.split_once('.').is_some()
                    && id.bytes().all(|b| b.is_ascii_lowercase() || b"-.".contains(&b)))
        );
    }

    #[test]
    fn texts_fit_behind_their_label() {
        for kind in kinds() {
            for text in [kind.means, kind.remedy] {
                assert!(
                    !text.ends_with('.')
                        && text.chars().next().is_some_and(|c| !c.is_uppercase()
                            || text.starts_with("GMS")
                            || text.starts_with("CometD")),
                    "{text}"
                );
            }
        }
    }
}
