//! What crosses a socket: HTTP exchanges, WebSocket upgrades, frames and closes.
//!
//! One vocabulary serves both directions and both sides: what one machine puts out, its peer takes in. The wire does not
//! know Bayeux; bodies and texts are kept as they came.

use std::fmt;

/// One HTTP request and what became of it. Unique within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange(pub u64);

/// As in `e1`.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// One WebSocket, from its upgrade request to its end. Unique within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Socket(pub u64);

/// As in `s1`.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// Who put something on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The peer that opens connections and sends requests.
    Client,
    /// The peer that listens.
    Server,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// `->` for what the client sends, `<-` for what the server sends.
    #[must_use]
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Client => "->",
            Self::Server => "<-",
        }
    }
}

/// Bayeux transport, by its name in `supportedConnectionTypes` (Bayeux 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// HTTP POST, the reply held until there is something to say (Bayeux 6.1).
    LongPolling,
    /// One WebSocket for everything (CometD extension).
    WebSocket,
    /// HTTP GET, the reply a call of a function of the page (Bayeux 6.2).
    CallbackPolling,
}

impl Transport {
    /// Every transport, in the order in which the CometD clients prefer them.
    pub const ALL: [Self; 3] = [Self::WebSocket, Self::LongPolling, Self::CallbackPolling];

    /// Those that clients outside of old browsers use.
    pub const USUAL: [Self; 2] = [Self::WebSocket, Self::LongPolling];

    /// The name on the wire: `websocket`, `long-polling`, `callback-polling`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LongPolling => "long-polling",
            Self::WebSocket => "websocket",
            Self::CallbackPolling => "callback-polling",
        }
    }

    /// The transport of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name() == name)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Header fields in the order and case in which they came; look-up ignores case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// No header fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field and gives the headers back.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first value of a field, whatever the case of its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of a field, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// An HTTP request, or the request of a WebSocket upgrade (then with an empty body).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Upper-case method, such as `POST`.
    pub method: String,
    /// Path and query, beginning with `/`.
    pub target: String,
    /// Header fields; `Host`, `Content-Length` and the upgrade fields are the transport's business.
    pub headers: Headers,
    /// The whole body, as it came.
    pub body: Vec<u8>,
}

/// A complete HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
    /// The whole body, as it came.
    pub body: Vec<u8>,
}

/// Why an exchange or a socket ended without its proper end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made.
    Unreachable,
    /// The connection broke: reset, end of stream in the middle, or a write that failed.
    Reset,
    /// Our own side gave up waiting.
    TimedOut,
    /// One side dropped it on purpose, before it was complete.
    Aborted,
    /// More bytes than the receiver takes.
    TooLarge,
    /// The peer does not speak HTTP or WebSocket properly.
    Protocol,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::TimedOut => "timed out",
            Self::Aborted => "aborted",
            Self::TooLarge => "too large",
            Self::Protocol => "protocol error",
        })
    }
}

/// One thing that crosses between client and server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// An HTTP request begins an exchange (client to server).
    Request(Exchange, Request),
    /// The response ends it (server to client).
    Response(Exchange, Response),
    /// The exchange ended without a response. From the client: it gave up. From the server: it cut the connection.
    Broken(Exchange, Failure),
    /// The client asks for a WebSocket (client to server).
    Upgrade(Socket, Request),
    /// The server grants it with status 101 (server to client).
    Upgraded(Socket, Headers),
    /// The server refuses it with an ordinary response (server to client).
    Refused(Socket, Response),
    /// A complete text message, reassembled from its fragments.
    Text(Socket, String),
    /// A complete binary message.
    Binary(Socket, Vec<u8>),
    /// A ping with its payload. Machines leave pings to the transport; tapes keep them.
    Ping(Socket, Vec<u8>),
    /// A pong with its payload.
    Pong(Socket, Vec<u8>),
    /// A close frame; the socket is of no further use to its sender.
    Close(Socket, Close),
    /// The socket ended without a close frame.
    Lost(Socket, Failure),
}

impl Wire {
    /// What could hold messages: the body of a request or response, or a text.
    #[must_use]
    pub const fn carried(&self) -> Option<&[u8]> {
        match self {
            Self::Request(_, request) | Self::Upgrade(_, request) => Some(request.body.as_slice()),
            Self::Response(_, response) | Self::Refused(_, response) => Some(response.body.as_slice()),
            Self::Text(_, text) => Some(text.as_bytes()),
            Self::Broken(..)
            | Self::Upgraded(..)
            | Self::Binary(..)
            | Self::Ping(..)
            | Self::Pong(..)
            | Self::Close(..)
            | Self::Lost(..) => None,
        }
    }

    /// The exchange that this belongs to, if it is HTTP.
    #[must_use]
    pub const fn exchange(&self) -> Option<Exchange> {
        match self {
            Self::Request(exchange, _) | Self::Response(exchange, _) | Self::Broken(exchange, _) => Some(*exchange),
            Self::Upgrade(..)
            | Self::Upgraded(..)
            | Self::Refused(..)
            | Self::Text(..)
            | Self::Binary(..)
            | Self::Ping(..)
            | Self::Pong(..)
            | Self::Close(..)
            | Self::Lost(..) => None,
        }
    }

    /// The WebSocket that this belongs to, if any.
    #[must_use]
    pub const fn socket(&self) -> Option<Socket> {
        match self {
            Self::Upgrade(socket, _)
            | Self::Upgraded(socket, _)
            | Self::Refused(socket, _)
            | Self::Text(socket, _)
            | Self::Binary(socket, _)
            | Self::Ping(socket, _)
            | Self::Pong(socket, _)
            | Self::Close(socket, _)
            | Self::Lost(socket, _) => Some(*socket),
            Self::Request(..) | Self::Response(..) | Self::Broken(..) => None,
        }
    }
}

/// What a WebSocket close frame says (RFC 6455, 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Status code; 1005 stands for a frame without one.
    pub code: u16,
    /// Reason text, possibly empty.
    pub reason: String,
}

/// Something seen on the wire: when, from whom, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was sent or arrived, as seen by whoever wrote the entry.
    pub at: crate::time::Time,
    /// Who put it on the wire.
    pub from: Side,
    /// What it was.
    pub wire: Wire,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_headers_whatever_their_case() {
        let headers = Headers::new().with("Set-Cookie", "a=1").with("set-cookie", "b=2");
        assert_eq!(headers.get("SET-COOKIE"), Some("a=1"));
        assert_eq!(headers.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    }
}
