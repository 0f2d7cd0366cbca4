//! The writer of a tape: takes raw traffic, gives back the bytes to append.
//!
//! Everything passes the redactor before it becomes bytes. What one call returns is one unit and is to be appended with one
//! write, so that a reader of a torn file finds whole units only. The caller opens the file and decides when to sync it.
//!
//! A recording may go over several files ([`Capture::in_parts`]). One memory of known values serves all of them.

mod open;

use std::collections::BTreeMap;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::message::Message;
use protocol::bayeux::{channel, http};
use protocol::time::Time;
use protocol::wire::{Entry, Failure, Headers, Request, Side, Wire};
use serde_json::value::RawValue;

use self::open::Open;
use crate::har::Maker;
use crate::json::quoted;
use crate::redaction::{Keep, POLICY_VERSION, Redacted, Redactor, Shift};
use crate::tape::{Carried, Closer, ConnLabel, Control, Finish, Kind, Link, VERSION, mime};
use crate::token::{Class, Key};

/// Where the traffic comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Our own client or server on a real network.
    Live,
    /// The recording proxy.
    Proxy,
    /// A virtual run.
    Sim,
    /// An imported HAR file.
    Har(Maker),
}

impl Source {
    fn word(self) -> String {
        match self {
            Self::Live => "live".to_owned(),
            Self::Proxy => "proxy".to_owned(),
            Self::Sim => "sim".to_owned(),
            Self::Har(maker) => format!("har:{}", maker.word()),
        }
    }
}

/// What goes into the header of a tape.
#[derive(Clone, Debug)]
pub struct Config {
    /// The version of the program.
    pub version: String,
    /// Its commit.
    pub git: String,
    /// Wall time at moment zero, RFC 3339 in UTC.
    pub start: String,
    /// The name of the recording: random, or from the seed in virtual runs.
    pub id: String,
    /// The key behind the tokens; it is never written.
    pub key: Key,
    /// Where the traffic comes from.
    pub source: Source,
    /// What is played, if it is a scenario.
    pub scenario: Option<String>,
    /// The seed of a virtual run.
    pub seed: Option<u64>,
    /// What else is known about the surroundings: service, profile, transports. Addresses are replaced; a path is kept as
    /// that of a request is, and the name of the service as in its channel.
    pub env: BTreeMap<String, String>,
}

/// A tape in the making.
#[derive(Clone, Debug)]
pub struct Capture {
    redactor: Redactor,
    /// The first line before and behind the place where the number of a part stands.
    header: (String, String),
    /// In which part the recording is, if it is one of several, and what is open there.
    part: Option<(u64, Open)>,
    hasher: blake3::Hasher,
    counts: BTreeMap<String, u64>,
    n: u64,
    t: u64,
    /// Lines since the last one that told what was replaced.
    untold: u64,
    messages: u64,
    sessions: u64,
}

/// How many lines there are at most between two that tell what was replaced.
const TELL_AFTER: u64 = 1_000;

/// Where one part of a recording ends and the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seam {
    /// The last line of the part before.
    pub end: Vec<u8>,
    /// The first lines of the part that follows.
    pub begin: Vec<u8>,
}

impl Capture {
    /// Starts a tape and gives its first line.
    #[must_use]
    pub fn new(config: Config) -> (Self, Vec<u8>) {
        Self::keeping(config, Keep::Nothing)
    }

    /// Starts a tape on which something is kept on purpose, as its first line says, and gives that line.
    #[must_use]
    pub fn keeping(config: Config, keep: Keep) -> (Self, Vec<u8>) {
        Self::shifting(config, keep, None)
    }

    /// The same, and all wall times are moved by one amount, if one is given. The first line says that they are.
    #[must_use]
    pub fn shifting(config: Config, keep: Keep, shift: Option<Shift>) -> (Self, Vec<u8>) {
        let mut redactor = Redactor::keeping(config.key.clone(), keep);
        if let Some(shift) = shift {
            redactor = redactor.shifting(shift, &config.start);
        }
        Self::with(config, redactor, keep)
    }

    /// Starts a recording that goes over several tapes, and gives the first line of the first. [`Capture::rotate`] goes on to
    /// the next.
    #[must_use]
    pub fn in_parts(config: Config, keep: Keep, shift: Option<Shift>) -> (Self, Vec<u8>) {
        let (mut capture, _) = Self::shifting(config, keep, shift);
        capture.part = Some((1, Open::default()));
        let header = capture.begin(0);
        (capture, header)
    }

    pub(crate) fn with(config: Config, mut redactor: Redactor, keep: Keep) -> (Self, Vec<u8>) {
        let start = quoted(redactor.moment(&config.start).get());
        let mut label = |text: &str| quoted(redactor.label(text).get());
        let mut header = format!(
            r#"{{"k":"hdr","v":"{VERSION}","tool":{{"name":"tapestry","version":{},"git":{}}},"start":{start},"clock":"monotonic","id":{}"#,
            label(&config.version),
            label(&config.git),
            label(&config.id),
        );
        header.push_str(&format!(r#","source":"{}""#, config.source.word()));
        if let Some(scenario) = &config.scenario {
            header.push_str(&format!(r#","scenario":{}"#, label(scenario)));
        }
        if let Some(seed) = config.seed {
            header.push_str(&format!(r#","seed":{seed}"#));
        }
        if !config.env.is_empty() {
            let mut pair = |name: &str, said: &str| {
                let kept = match name {
                    "service" => redactor.service(said),
                    _ if said.starts_with('/') => redactor.path(said),
                    _ => redactor.label(said),
                };
                format!("{}:{}", quoted(redactor.label(name).get()), quoted(kept.get()))
            };
            let env: Vec<String> = config.env.iter().map(|(name, said)| pair(name, said)).collect();
            header.push_str(&format!(r#","env":{{{}}}"#, env.join(",")));
        }
        let mode = match keep {
            Keep::Nothing => r#""mode":"hmac""#,
            Keep::Texts => r#""mode":"hmac","keep":"texts""#,
            Keep::Everything => r#""mode":"none""#,
        };
        let redact = format!(
            r#","redact":{{"policy":"chatv2","version":{POLICY_VERSION},"keyId":"{}",{mode}{}}}}}"#,
            redactor.key_id(),
            if redactor.is_shifting() { r#","times":"shifted""# } else { "" },
        );
        let mut capture = Self {
            redactor,
            header: (header, redact + "\n"),
            part: None,
            hasher: blake3::Hasher::new(),
            counts: BTreeMap::new(),
            n: 0,
            t: 0,
            untold: 0,
            messages: 0,
            sessions: 0,
        };
        let header = capture.begin(0);
        (capture, header)
    }

    /// Begins a tape and gives its first line; the part before it ended with the line `after`.
    fn begin(&mut self, after: u64) -> Vec<u8> {
        let (before, behind) = &self.header;
        let part = match &self.part {
            Some((number, _)) => format!(r#","part":{{"number":{number},"after":{after}}}"#),
            None => String::new(),
        };
        let header = format!("{before}{part}{behind}");
        self.hasher = blake3::Hasher::new();
        self.hasher.update(header.as_bytes());
        self.counts.clear();
        self.n = 0;
        header.into_bytes()
    }

    /// Ends the part that is being written and begins the next, which tells once more what is open: connections, exchanges
    /// and sockets, each with the moment when it came. `None` if the recording was not begun with [`Capture::in_parts`].
    pub fn rotate(&mut self) -> Option<Seam> {
        let (number, open) = self.part.take()?;
        let end = self.end(self.t, Finish::Aborted, Some(number + 1));
        let (after, repeated) = (self.n, open.in_order());
        self.part = Some((number + 1, open));
        let mut begin = self.begin(after);
        for told in repeated {
            let unit = self.n + 1;
            for kind in &told.kinds {
                begin.extend(self.repeat(told.at, &open::of_unit(kind, unit)).into_bytes());
            }
        }
        Some(Seam { end, begin })
    }

    /// Takes something that crossed the wire and gives the bytes of its unit.
    ///
    /// Without a known TCP connection the symbol `h0` stands in its place.
    pub fn entry(&mut self, conn: Option<ConnLabel>, entry: &Entry) -> Vec<u8> {
        let entry = self.redact(entry);
        self.redacted(conn, &entry)
    }

    /// Redacts an entry without writing it, for a live judge that must see what the tape says.
    pub fn redact(&mut self, entry: &Entry) -> Redacted<Entry> {
        self.redactor.entry(entry)
    }

    /// Whether nothing stands behind the first line of the tape.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// How many Bayeux messages the recording holds so far, in all its parts.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// How many sessions have begun so far: handshakes that succeeded.
    #[must_use]
    pub const fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Takes an entry that was redacted before, with [`Capture::redact`].
    pub fn redacted(&mut self, conn: Option<ConnLabel>, entry: &Redacted<Entry>) -> Vec<u8> {
        let bytes = entry.bytes();
        let entry = entry.get();
        let conn = conn.unwrap_or_default();
        let (link, from) = (link(&entry.wire), entry.from);
        let mut inner = Inner::default();
        let kind = match &entry.wire {
            Wire::Request(_, request) | Wire::Upgrade(_, request) => Kind::HttpReq {
                conn,
                link,
                method: request.method.clone(),
                url: request.target.clone(),
                headers: request.headers.clone(),
                carried: inner.read(&request.body, &request.headers),
                bytes: bytes.filter(|bytes| *bytes > 0),
            },
            Wire::Response(_, response) | Wire::Refused(_, response) => Kind::HttpRes {
                conn,
                link,
                status: response.status,
                headers: response.headers.clone(),
                carried: inner.read(&response.body, &response.headers),
                bytes: bytes.filter(|bytes| *bytes > 0),
            },
            Wire::Broken(_, error) => Kind::HttpErr { conn, link, by: from, error: error.clone() },
            Wire::Upgraded(_, headers) => Kind::WsOpen { conn, link, headers: headers.clone() },
            Wire::Text(_, text) => {
                let carried = inner.read_frame(text.as_bytes());
                Kind::WsMsg { conn, link, from, opcode: 1, carried, bytes }
            }
            Wire::Binary(_, message) => {
                let carried = inner.keep(message, "application/octet-stream");
                Kind::WsMsg { conn, link, from, opcode: 2, carried, bytes }
            }
            Wire::Ping(_, payload) => Kind::WsCtl { conn, link, from, control: Control::Ping(text(payload)) },
            Wire::Pong(_, payload) => Kind::WsCtl { conn, link, from, control: Control::Pong(text(payload)) },
            Wire::Close(_, close) => {
                let control = Control::Close { code: close.code, reason: close.reason.clone() };
                Kind::WsCtl { conn, link, from, control }
            }
            Wire::Lost(_, error) => Kind::WsErr { conn, link, by: from, error: error.clone() },
        };
        self.messages += inner.count;
        if let Wire::Request(_, Request { method, .. }) = &entry.wire
            && method == "GET"
        {
            // Callback-polling asks with a query.
            self.messages += Batch::carried(&entry.wire).len() as u64;
        }
        if from == Side::Server {
            self.sessions += inner.sessions;
        }
        let unit = self.n + 1;
        let messages = inner.messages.into_iter().enumerate();
        let mut kinds = vec![kind];
        kinds.extend(messages.map(|(position, message)| Kind::Msg { unit, position, message }));
        kinds.extend(inner.body.map(|(mime, content)| Kind::Body { unit, mime, content }));
        let mut lines: String = kinds.iter().map(|kind| self.line(entry.at, kind)).collect();
        if let Some((_, open)) = &mut self.part {
            open.take(self.t, kinds);
        }
        if self.untold >= TELL_AFTER {
            let kind = Kind::Redacted { counts: self.redactor.replaced(), paths: self.redactor.unknown_places() };
            lines.push_str(&self.line(entry.at, &kind));
            self.untold = 0;
        }
        lines.into_bytes()
    }

    /// A TCP connection is there. `peer` is a host with or without a port.
    pub fn conn_open(&mut self, at: Time, conn: ConnLabel, proto: &str, peer: &str, tls: bool) -> Vec<u8> {
        let kind = self.opened(conn, proto, peer, tls, false);
        self.remember(at, kind)
    }

    /// The same for a connection that was there before this tape had to do with it.
    pub fn conn_known(&mut self, since: Time, conn: ConnLabel, proto: &str, peer: &str, tls: bool) -> Vec<u8> {
        if since.as_micros() >= self.t {
            return self.conn_open(since, conn, proto, peer, tls);
        }
        let kind = self.opened(conn, proto, peer, tls, false);
        self.repeat(since.as_micros(), &kind).into_bytes()
    }

    /// A TCP connection is gone.
    pub fn conn_close(&mut self, at: Time, conn: ConnLabel, by: Closer, error: Option<Failure>) -> Vec<u8> {
        self.remember(at, Kind::ConnClose { conn, by, error, synthetic: false })
    }

    /// A TCP connection must have been there from now on, by what it carries. Nobody saw it come.
    pub fn synthetic_conn_open(&mut self, at: Time, conn: ConnLabel, proto: &str, peer: &str, tls: bool) -> Vec<u8> {
        let kind = self.opened(conn, proto, peer, tls, true);
        self.line(at, &kind).into_bytes()
    }

    /// A TCP connection carries nothing from now on. Nobody saw it go.
    pub fn synthetic_conn_close(&mut self, at: Time, conn: ConnLabel) -> Vec<u8> {
        let kind = Kind::ConnClose { conn, by: Closer::Net, error: None, synthetic: true };
        self.line(at, &kind).into_bytes()
    }

    fn opened(&mut self, conn: ConnLabel, proto: &str, peer: &str, tls: bool, synthetic: bool) -> Kind {
        let proto = self.redactor.label(proto).into_inner();
        let peer = self.redactor.host(peer).into_inner();
        Kind::ConnOpen { conn, proto, peer, tls, synthetic }
    }

    /// How many lines of a kind, such as `msg`, there are so far.
    #[must_use]
    pub fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or_default()
    }

    /// A step of a scenario or a deed of an agent.
    pub fn mark(&mut self, at: Time, label: &str) -> Vec<u8> {
        self.mark_of(at, label, &[])
    }

    /// The same about tokens, such as those of the words that an agent is asked to say.
    pub fn mark_of(&mut self, at: Time, label: &str, tokens: &[String]) -> Vec<u8> {
        let label = self.redactor.label(label).into_inner();
        let tokens = tokens.iter().map(|token| self.redactor.pseudonym(token).into_inner()).collect();
        self.line(at, &Kind::Mark { label, tokens }).into_bytes()
    }

    /// The token that stands for a value of a class on this tape.
    pub fn token(&mut self, class: Class, value: &str) -> Redacted<String> {
        self.redactor.token(class, value)
    }

    /// What the application asks the client to do: an operation, and its arguments as the text of a JSON object.
    pub fn call(&mut self, at: Time, operation: &str, arguments: &str) -> Vec<u8> {
        let operation = self.redactor.label(operation).into_inner();
        let arguments = self.redactor.arguments(arguments).into_inner();
        self.line(at, &Kind::Call { operation, arguments }).into_bytes()
    }

    /// A timer of the client has run out, and when it was due.
    pub fn timer(&mut self, at: Time, name: &str, due: Option<Time>) -> Vec<u8> {
        let name = self.redactor.label(name).into_inner();
        self.line(at, &Kind::Timer { name, due: due.map(Time::as_micros) }).into_bytes()
    }

    /// A random number is given to the client, and what for. It must not be a secret: it is written as it is.
    pub fn rand(&mut self, at: Time, purpose: &str, value: u64) -> Vec<u8> {
        let purpose = self.redactor.label(purpose).into_inner();
        self.line(at, &Kind::Rand { purpose, value }).into_bytes()
    }

    /// Something is broken on purpose: what, where, and its parameters.
    pub fn fault(&mut self, at: Time, fault: &str, place: &str, parameters: &BTreeMap<String, String>) -> Vec<u8> {
        let mut label = |text: &str| self.redactor.label(text).into_inner();
        let (fault, place) = (label(fault), label(place));
        let parameters: Vec<String> = parameters
            .iter()
            .map(|(name, value)| {
                let value = self.redactor.channel_or_label(value).into_inner();
                format!("{}:{}", quoted(self.redactor.label(name).get()), quoted(&value))
            })
            .collect();
        let parameters = RawValue::from_string(format!("{{{}}}", parameters.join(",")))
            .expect("quoted names and values make an object");
        self.line(at, &Kind::Fault { fault, place, parameters }).into_bytes()
    }

    /// The wall clock has moved otherwise than the clock of the tape: wall time now (RFC 3339 in UTC), and by how many
    /// microseconds since it was last told.
    pub fn clock(&mut self, at: Time, wall: &str, step: i64) -> Vec<u8> {
        let wall = self.redactor.moment(wall).into_inner();
        self.remember(at, Kind::Clock { wall, step })
    }

    /// Ends the tape and gives its last line, which nothing may follow.
    #[must_use]
    pub fn finish(&mut self, at: Time, status: Finish) -> Vec<u8> {
        self.t = self.t.max(at.as_micros());
        self.end(self.t, status, None)
    }

    fn end(&mut self, t: u64, status: Finish, next: Option<u64>) -> Vec<u8> {
        let hash = format!("blake3:{}", self.hasher.finalize().to_hex());
        let counts = std::mem::take(&mut self.counts);
        let (redacted, paths) = (self.redactor.replaced(), self.redactor.unknown_places());
        self.n += 1;
        Kind::End { status, counts, redacted, paths, next, hash }.line(self.n, t, None).into_bytes()
    }

    /// The next line, of something that may have to be told once more in the next part.
    fn remember(&mut self, at: Time, kind: Kind) -> Vec<u8> {
        let line = self.line(at, &kind).into_bytes();
        if let Some((_, open)) = &mut self.part {
            open.take(self.t, vec![kind]);
        }
        line
    }

    /// The next line. The time of a line is never before that of the line above.
    fn line(&mut self, at: Time, kind: &Kind) -> String {
        self.t = self.t.max(at.as_micros());
        self.untold += 1;
        self.counted(kind, None)
    }

    /// The next line, of something that happened before.
    fn repeat(&mut self, since: u64, kind: &Kind) -> String {
        self.counted(kind, Some(since))
    }

    fn counted(&mut self, kind: &Kind, since: Option<u64>) -> String {
        self.n += 1;
        let line = kind.line(self.n, self.t, since);
        self.hasher.update(line.as_bytes());
        *self.counts.entry(kind.word().to_owned()).or_default() += 1;
        line
    }
}

/// The lines that follow that of a unit.
#[derive(Default)]
struct Inner {
    messages: Vec<Box<RawValue>>,
    body: Option<(String, Vec<u8>)>,
    /// How many messages there are, those of a call too, which have no lines of their own.
    count: u64,
    /// Handshakes among the messages that succeeded, if the server sent them.
    sessions: u64,
}

impl Inner {
    fn read(&mut self, body: &[u8], headers: &Headers) -> Carried {
        if body.is_empty() { Carried::Nothing } else { self.carrier(body, &mime(headers)) }
    }

    /// A frame is a carrier even when it is empty: emptiness is what is wrong with it.
    fn read_frame(&mut self, text: &[u8]) -> Carried {
        self.carrier(text, "text/plain")
    }

    fn carrier(&mut self, bytes: &[u8], mime: &str) -> Carried {
        // Tokens are longer than what they replace, by less than a factor of sixteen.
        let limits = Limits { bytes: 16 << 20, ..Limits::default() };
        match Batch::parse(bytes, &limits) {
            Ok(batch) => {
                self.messages = batch.messages.iter().map(|message| message.raw().to_owned()).collect();
                self.tally(&batch.messages);
                if batch.single { Carried::Single } else { Carried::Array(batch.messages.len()) }
            }
            Err(_) => {
                if let Some(Ok(batch)) = http::call(bytes).map(|call| Batch::parse(call.argument, &limits)) {
                    self.tally(&batch.messages);
                }
                self.keep(bytes, mime)
            }
        }
    }

    fn tally(&mut self, messages: &[Message]) {
        self.count = messages.len() as u64;
        self.sessions = messages.iter().filter(|message| has_begun(message)).count() as u64;
    }

    fn keep(&mut self, bytes: &[u8], mime: &str) -> Carried {
        self.body = Some((mime.to_owned(), bytes.to_vec()));
        Carried::Body
    }
}

/// Whether a reply says that a handshake succeeded.
fn has_begun(message: &Message) -> bool {
    message.channel() == Some(channel::HANDSHAKE) && message.successful() == Some(true)
}

/// Redacted bytes are text: messages or one token.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn link(wire: &Wire) -> Link {
    match (wire.exchange(), wire.socket()) {
        (Some(exchange), _) => Link::Exchange(exchange.0),
        (None, Some(socket)) => Link::Socket(socket.0),
        (None, None) => Link::Exchange(0),
    }
}
