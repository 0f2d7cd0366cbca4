//! The kinds of lines on a tape, as stored. They are the format's own: a change of the wire vocabulary does not change them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use protocol::wire::{Failure, Headers, Side};
use serde_json::value::RawValue;

use crate::json::quoted;

/// One line behind the header.
#[derive(Clone, Debug)]
pub struct Record {
    /// The line of the file, from 1.
    pub line: usize,
    /// The counter, from 1 and without gaps.
    pub n: u64,
    /// Microseconds since the start, never less than on the line before.
    pub t: u64,
    /// When it happened, if that was earlier: a fact that this tape only repeats, so that what follows can be understood.
    pub since: Option<u64>,
    /// What the line says.
    pub kind: Kind,
    /// The line as it stands, with members that this version does not know.
    pub text: String,
}

/// A TCP connection, `h1` on the tape. `h0` stands for one that nobody saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnLabel(pub u64);

impl fmt::Display for ConnLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}", self.0)
    }
}

/// What a unit belongs to: an HTTP exchange (`e1`) or a WebSocket (`s1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// An HTTP exchange.
    Exchange(u64),
    /// A WebSocket, from its upgrade request on.
    Socket(u64),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(number) => write!(f, "e{number}"),
            Self::Socket(number) => write!(f, "s{number}"),
        }
    }
}

/// Who closed a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The client.
    Client,
    /// The server.
    Server,
    /// Neither: the network, or our own side.
    Net,
}

impl Closer {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Net => "net",
        }
    }
}

/// What a unit carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carried {
    /// Nothing.
    #[default]
    Nothing,
    /// An array of so many messages.
    Array(usize),
    /// One message without an array around it.
    Single,
    /// Something else; a `body` line follows.
    Body,
}

impl Carried {
    /// How many lines follow the line of the unit.
    #[must_use]
    pub const fn lines(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Array(messages) => messages,
            Self::Single | Self::Body => 1,
        }
    }
}

/// How a recording ended, as its last line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// As intended.
    Complete,
    /// Cut short on purpose.
    Aborted,
}

impl Finish {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Aborted => "aborted",
        }
    }
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A TCP connection is there.
    ConnOpen {
        /// Which.
        conn: ConnLabel,
        /// `http/1.1` or `ws`.
        proto: String,
        /// The symbol of the peer, `$host.1`.
        peer: String,
        /// Whether it is encrypted.
        tls: bool,
        /// Whether nobody saw it come: it follows from what it carried.
        synthetic: bool,
    },
    /// A TCP connection is gone.
    ConnClose {
        /// Which.
        conn: ConnLabel,
        /// Who closed it.
        by: Closer,
        /// Why, if not in order.
        error: Option<Failure>,
        /// Whether nobody saw it go: it follows from what it carried.
        synthetic: bool,
    },
    /// A request, or the upgrade request of a WebSocket if the link is one.
    HttpReq {
        /// On which connection.
        conn: ConnLabel,
        /// Of which exchange or socket.
        link: Link,
        /// Such as `POST`.
        method: String,
        /// Path and query.
        url: String,
        /// The redacted fields.
        headers: Headers,
        /// What the body is.
        carried: Carried,
        /// Bytes of the body before redaction, from format 1.1 on.
        bytes: Option<u64>,
    },
    /// A response, or the refusal of an upgrade.
    HttpRes {
        /// On which connection.
        conn: ConnLabel,
        /// Of which exchange or socket.
        link: Link,
        /// The status code.
        status: u16,
        /// The redacted fields.
        headers: Headers,
        /// What the body is.
        carried: Carried,
        /// Bytes of the body before redaction, from format 1.1 on.
        bytes: Option<u64>,
    },
    /// An exchange that ended without a response.
    HttpErr {
        /// On which connection.
        conn: ConnLabel,
        /// Which exchange.
        link: Link,
        /// Whose doing it was.
        by: Side,
        /// What happened.
        error: Failure,
    },
    /// A granted upgrade.
    WsOpen {
        /// On which connection.
        conn: ConnLabel,
        /// Which socket.
        link: Link,
        /// The redacted fields of the 101 response.
        headers: Headers,
    },
    /// A complete text (opcode 1) or binary (opcode 2) message.
    WsMsg {
        /// On which connection.
        conn: ConnLabel,
        /// Which socket.
        link: Link,
        /// From whom.
        from: Side,
        /// 1 or 2.
        opcode: u8,
        /// What it is.
        carried: Carried,
        /// Bytes of the message before redaction, from format 1.1 on.
        bytes: Option<u64>,
    },
    /// A close (opcode 8), ping (9) or pong (10).
    WsCtl {
        /// On which connection.
        conn: ConnLabel,
        /// Which socket.
        link: Link,
        /// From whom.
        from: Side,
        /// What it is.
        control: Control,
    },
    /// A socket that ended without a close frame.
    WsErr {
        /// On which connection.
        conn: ConnLabel,
        /// Which socket.
        link: Link,
        /// Whose doing it was.
        by: Side,
        /// What happened.
        error: Failure,
    },
    /// One message of the unit before.
    Msg {
        /// The counter of the unit.
        unit: u64,
        /// The place in the unit, from 0.
        position: usize,
        /// The message as it stands.
        message: Box<RawValue>,
    },
    /// What a unit carries that is no batch of messages.
    Body {
        /// The counter of the unit.
        unit: u64,
        /// The media type as the unit's headers have it, possibly empty.
        mime: String,
        /// A token in place of the contents, or a redacted form; the contents themselves if everything was kept.
        content: Vec<u8>,
    },
    /// A step of a scenario, a deed of the agent, or how tokens belong together.
    Mark {
        /// Which.
        label: String,
        /// The tokens that it is about.
        tokens: Vec<String>,
    },
    /// What the application asked the client to do.
    Call {
        /// The operation, such as `sendMessage`.
        operation: String,
        /// Its redacted arguments, an object.
        arguments: Box<RawValue>,
    },
    /// A timer of the client ran out.
    Timer {
        /// Which.
        name: String,
        /// When it was due, in microseconds since the start.
        due: Option<u64>,
    },
    /// A random number that the client was given.
    Rand {
        /// What for.
        purpose: String,
        /// The number.
        value: u64,
    },
    /// Something that was broken on purpose.
    Fault {
        /// What, such as `reset`.
        fault: String,
        /// Where in the conversation, such as `e2`.
        place: String,
        /// How much of it, an object.
        parameters: Box<RawValue>,
    },
    /// The wall clock, when it has moved otherwise than the clock of the tape.
    Clock {
        /// Wall time at the moment of the line, RFC 3339 in UTC.
        wall: String,
        /// By how many microseconds it has moved against the clock of the tape since the start or the last such line.
        step: i64,
    },
    /// How much was replaced so far, from time to time.
    Redacted {
        /// How many values of each class, by the prefix of its tokens.
        counts: BTreeMap<String, u64>,
        /// Where texts stood that no rule knows; at most [`PATHS`](crate::redaction::PATHS).
        paths: Vec<String>,
    },
    /// The last line.
    End {
        /// How the recording ended.
        status: Finish,
        /// How many lines there were of each kind, the header and this one left out.
        counts: BTreeMap<String, u64>,
        /// As in the last `redacted` record; empty before format 1.1.
        redacted: BTreeMap<String, u64>,
        /// As in the last `redacted` record; empty before format 1.1.
        paths: Vec<String>,
        /// The number of the part in which the recording goes on, if it does.
        next: Option<u64>,
        /// BLAKE3 of all bytes before this line.
        hash: String,
    },
    /// A kind that this version does not know.
    Unknown,
}

/// A control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Opcode 8.
    Close {
        /// Status code; 1005 for none.
        code: u16,
        /// Redacted reason.
        reason: String,
    },
    /// Opcode 9, with a token in place of its payload.
    Ping(String),
    /// Opcode 10, likewise.
    Pong(String),
}

/// The word for a failure.
pub(crate) const fn failure_word(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unreachable => "unreachable",
        Failure::Reset => "reset",
        Failure::TimedOut => "timeout",
        Failure::Aborted => "aborted",
        Failure::TooLarge => "too-large",
        Failure::Protocol => "protocol",
    }
}

pub(super) const FAILURES: [Failure; 6] =
    [Failure::Unreachable, Failure::Reset, Failure::TimedOut, Failure::Aborted, Failure::TooLarge, Failure::Protocol];

pub(super) const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

const fn direction(from: Side) -> &'static str {
    match from {
        Side::Client => "send",
        Side::Server => "receive",
    }
}

impl Kind {
    /// The word in the member `k`; empty for an unknown kind.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ConnOpen { .. } => "conn.open",
            Self::ConnClose { .. } => "conn.close",
            Self::HttpReq { .. } => "http.req",
            Self::HttpRes { .. } => "http.res",
            Self::HttpErr { .. } => "http.err",
            Self::WsOpen { .. } => "ws.open",
            Self::WsMsg { .. } => "ws.msg",
            Self::WsCtl { .. } => "ws.ctl",
            Self::WsErr { .. } => "ws.err",
            Self::Msg { .. } => "msg",
            Self::Body { .. } => "body",
            Self::Mark { .. } => "mark",
            Self::Call { .. } => "call",
            Self::Timer { .. } => "timer",
            Self::Rand { .. } => "rand",
            Self::Fault { .. } => "fault",
            Self::Clock { .. } => "clock",
            Self::Redacted { .. } => "redacted",
            Self::End { .. } => "end",
            Self::Unknown => "",
        }
    }

    /// What the unit carries, if the line is one.
    #[must_use]
    pub const fn carried(&self) -> Carried {
        match self {
            Self::HttpReq { carried, .. } | Self::HttpRes { carried, .. } | Self::WsMsg { carried, .. } => *carried,
            _ => Carried::Nothing,
        }
    }

    /// The line with its counter, its time and when it happened if that was earlier; line feed included.
    pub(crate) fn line(&self, n: u64, t: u64, since: Option<u64>) -> String {
        let mut line = Line(format!(r#"{{"k":"{}","n":{n},"t":{t}"#, self.word()));
        if let Some(since) = since {
            line.raw("since", since);
        }
        match self {
            Self::ConnOpen { conn, proto, peer, tls, synthetic } => {
                line.text("c", conn).text("proto", proto).text("peer", peer).raw("tls", tls).synthetic(*synthetic);
            }
            Self::ConnClose { conn, by, error, synthetic } => {
                line.text("c", conn).text("by", by.word());
                if let Some(error) = error {
                    line.error(error);
                }
                line.synthetic(*synthetic);
            }
            Self::HttpReq { conn, link, method, url, headers, carried, bytes } => {
                line.text("c", conn).text("x", link).text("method", method).text("url", url);
                line.headers(headers).carried(*carried).bytes(*bytes);
            }
            Self::HttpRes { conn, link, status, headers, carried, bytes } => {
                line.text("c", conn).text("x", link).raw("status", status).headers(headers).carried(*carried);
                line.bytes(*bytes);
            }
            Self::HttpErr { conn, link, by, error } | Self::WsErr { conn, link, by, error } => {
                line.text("c", conn).text("x", link).text("by", side_word(*by)).error(error);
            }
            Self::WsOpen { conn, link, headers } => {
                line.text("c", conn).text("x", link).raw("status", 101).headers(headers);
            }
            Self::WsMsg { conn, link, from, opcode, carried, bytes } => {
                line.text("c", conn).text("x", link).text("type", direction(*from)).raw("opcode", opcode);
                line.carried(*carried).bytes(*bytes);
            }
            Self::WsCtl { conn, link, from, control } => {
                line.text("c", conn).text("x", link).text("type", direction(*from));
                match control {
                    Control::Close { code, reason } => {
                        line.raw("opcode", 8).raw("code", code).text("reason", reason);
                    }
                    Control::Ping(payload) => {
                        line.raw("opcode", 9).text("payload", payload);
                    }
                    Control::Pong(payload) => {
                        line.raw("opcode", 10).text("payload", payload);
                    }
                }
            }
            Self::Msg { unit, position, message } => {
                line.raw("u", unit).raw("j", position).raw("m", message);
            }
            Self::Body { unit, mime, content } => {
                line.raw("u", unit).text("mime", mime);
                match std::str::from_utf8(content) {
                    Ok(text) => line.text("text", text),
                    Err(_) => line.text("b64", BASE64_STANDARD.encode(content)),
                };
            }
            Self::Mark { label, tokens } => {
                line.text("label", label);
                if !tokens.is_empty() {
                    let tokens: Vec<String> = tokens.iter().map(|token| quoted(token)).collect();
                    line.raw("tokens", format_args!("[{}]", tokens.join(",")));
                }
            }
            Self::Call { operation, arguments } => {
                line.text("op", operation).raw("args", arguments);
            }
            Self::Timer { name, due } => {
                line.text("name", name);
                if let Some(due) = due {
                    line.raw("due", due);
                }
            }
            Self::Rand { purpose, value } => {
                line.text("use", purpose).raw("value", value);
            }
            Self::Fault { fault, place, parameters } => {
                line.text("kind", fault).text("where", place).raw("params", parameters);
            }
            Self::Clock { wall, step } => {
                line.text("wall", wall).raw("step", step);
            }
            Self::Redacted { counts, paths } => {
                line.counts("counts", counts).paths(paths);
            }
            Self::End { status, counts, redacted, paths, next, hash } => {
                line.text("status", status.word()).counts("counts", counts);
                if !redacted.is_empty() {
                    line.counts("redacted", redacted).paths(paths);
                }
                if let Some(next) = next {
                    line.raw("next", next);
                }
                line.text("hash", hash);
            }
            Self::Unknown => {}
        }
        line.0 + "}\n"
    }
}

/// A line in the making.
struct Line(String);

impl Line {
    fn raw(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.0.push_str(&format!(r#","{name}":{value}"#));
        self
    }

    fn text(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.raw(name, quoted(&value.to_string()))
    }

    fn error(&mut self, failure: &Failure) -> &mut Self {
        self.raw("error", format_args!(r#"{{"class":"{}"}}"#, failure_word(failure)))
    }

    fn synthetic(&mut self, synthetic: bool) -> &mut Self {
        if synthetic { self.raw("synthetic", true) } else { self }
    }

    fn headers(&mut self, headers: &Headers) -> &mut Self {
        let fields: Vec<String> = headers
            .0
            .iter()
            .map(|(name, value)| format!(r#"{{"name":{},"value":{}}}"#, quoted(name), quoted(value)))
            .collect();
        self.raw("headers", format_args!("[{}]", fields.join(",")))
    }

    fn counts(&mut self, name: &str, counts: &BTreeMap<String, u64>) -> &mut Self {
        let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{}:{count}", quoted(word))).collect();
        self.raw(name, format_args!("{{{}}}", counts.join(",")))
    }

    fn paths(&mut self, paths: &[String]) -> &mut Self {
        if paths.is_empty() {
            return self;
        }
        let paths: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
        self.raw("paths", format_args!("[{}]", paths.join(",")))
    }

    fn bytes(&mut self, bytes: Option<u64>) -> &mut Self {
        match bytes {
            Some(bytes) => self.raw("bytes", bytes),
            None => self,
        }
    }

    fn carried(&mut self, carried: Carried) -> &mut Self {
        match carried {
            Carried::Nothing => self.raw("msgs", 0),
            Carried::Array(messages) => self.text("batch", "array").raw("msgs", messages),
            Carried::Single => self.text("batch", "single").raw("msgs", 1),
            Carried::Body => self.raw("msgs", 0).raw("body", true),
        }
    }
}
