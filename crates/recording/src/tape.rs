//! The file format `*.tape.jsonl`: one JSON object per line, a header first, then records with a counter and a time.
//!
//! A *unit* is the record of something that crossed the wire, followed by one `msg` line for each Bayeux message that it
//! carried, or by one `body` line. Units are appended with one write each, so a file that ends anywhere is readable up to its
//! last complete unit; without an `end` record it counts as interrupted, which is no error. Lines that begin with `#` are
//! comments. Unknown kinds and members are kept and otherwise ignored.

mod error;
mod read;
mod record;

use std::collections::BTreeMap;
use std::fmt;

use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Headers, Request, Response, Side, Socket, Wire};
use serde_json::{Value, json};

pub use self::error::ReadError;
use crate::audit::words::tells_of_loss;
use crate::redaction::Keep;

pub(crate) use self::read::{hash_of, line_of};
pub(crate) use self::record::failure_word;
pub use self::record::{Carried, Closer, ConnLabel, Control, Finish, Kind, Link, Record};

/// The version of the format that this program writes.
///
/// A reader takes every minor version of its major one, so a minor version may add kinds and members, but no words to the
/// closed lists of a known member (such as the classes of failure). Changes:
/// - 1.0: the first.
/// - 1.1: records `call`, `timer`, `rand`, `fault`, `clock` and `redacted`; `bytes` of a unit; `redacted` and `paths` in
///   `end`; in the header's `redact` the members `keep` and `times` and the mode `none`; `b64` in `body`; `tokens` of a mark; a body that is a
///   call of callback-polling; `synthetic` of a connection; in `env`, by which settings the case of a tape ran; `part` in the header and `next` in `end`
///   of a recording in several files; `since` of a record that repeats what happened before. A tape of 1.0 has none of them.
pub const VERSION: Version = Version { major: 1, minor: 1 };

/// The longest line that is read. Tokens are longer than what they replace, so this is well above the limit of a body.
pub const MAX_LINE: usize = 16 << 20;

/// The most nested line that is read.
pub const MAX_DEPTH: usize = 100;

/// `major.minor` of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes when an old reader would misunderstand.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the format.
    pub version: Version,
    /// The version of the program that wrote the tape.
    pub tool: String,
    /// Its commit.
    pub git: String,
    /// Wall time at moment zero, RFC 3339 in UTC; moved if `is_shifted`.
    pub start: String,
    /// The name of the recording.
    pub id: String,
    /// Where the traffic came from: `live`, `proxy`, `sim`, `har`.
    pub source: String,
    /// What was played, if it was a scenario.
    pub scenario: Option<String>,
    /// The seed of a virtual run.
    pub seed: Option<u64>,
    /// What was said about the surroundings.
    pub env: BTreeMap<String, String>,
    /// Which part of a recording it is, if that goes over several files.
    pub part: Option<Part>,
    /// The name of the key behind the tokens.
    pub key_id: String,
    /// The version of the tables of redaction.
    pub policy: u32,
    /// What was kept on purpose.
    pub keep: Keep,
    /// Whether all wall times, that of the start too, are moved by one amount that nobody keeps.
    pub is_shifted: bool,
}

/// Which part of a recording a tape is. All parts have the name and the moment zero of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u64,
    /// The counter of the `end` record of the part before, by which a damaged one is noticed; 0 in the first.
    pub after: u64,
}

/// Whether a tape is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It ends with an `end` record, as intended.
    Complete,
    /// It ends with an `end` record that says in which part the recording goes on.
    GoesOn {
        /// The number of that part.
        part: u64,
    },
    /// It ends with an `end` record that says that the recording was cut short.
    Aborted,
    /// It has no `end` record: the recorder was killed, or still writes.
    Interrupted,
}

impl Status {
    /// A word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::GoesOn { .. } => "goes-on",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
        }
    }

    /// The number of the part in which the recording goes on, if it does.
    #[must_use]
    pub const fn next(self) -> Option<u64> {
        match self {
            Self::GoesOn { part } => Some(part),
            Self::Complete | Self::Aborted | Self::Interrupted => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.next() {
            Some(part) => write!(f, "goes on in part {part}"),
            None => f.write_str(self.word()),
        }
    }
}

/// An entry and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The line of the unit.
    pub line: usize,
    /// The lines of its messages, or of its body.
    pub inner: Vec<usize>,
    /// The TCP connection; `h0` if nobody saw it.
    pub conn: ConnLabel,
    /// What crossed the wire, redacted.
    pub entry: Entry,
}

/// A step of a scenario, a deed of an agent, or how tokens belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The line.
    pub line: usize,
    /// When.
    pub at: Time,
    /// Which.
    pub label: String,
    /// The tokens that it is about.
    pub tokens: Vec<String>,
}

impl Mark {
    /// The mark for a program, in reports about its tape.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"line": self.line, "says": self.label})
    }
}

/// What [`Tape::losses`] come to, in one sentence without a stop; `None` if nothing is missing.
#[must_use]
pub fn missing(losses: &[Mark]) -> Option<String> {
    const NAMED: usize = 3;
    let lines: Vec<String> = losses.iter().take(NAMED).map(|mark| mark.line.to_string()).collect();
    let (lines, more) = (lines.join(", "), losses.len().saturating_sub(NAMED));
    let where_told = match losses.len() {
        0 => return None,
        1 => format!("line {lines} says"),
        _ if more == 0 => format!("lines {lines} say"),
        _ => format!("lines {lines} and {more} more say"),
    };
    Some(format!("something is missing on the tape, as {where_told}"))
}

/// A recording that was read.
#[derive(Clone, Debug)]
pub struct Tape {
    header: Header,
    header_text: String,
    records: Vec<Record>,
    status: Status,
    torn: usize,
}

impl Tape {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if it is no tape, or not the one that was written. A torn end is no error: it is cut off.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        read::read(bytes)
    }

    /// The first line.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The first line as it stands, without its line feed.
    pub(crate) fn header_text(&self) -> &str {
        &self.header_text
    }

    /// The number of the part in which the recording goes on, if it does.
    #[must_use]
    pub const fn next(&self) -> Option<u64> {
        self.status.next()
    }

    /// Whether the tape is whole.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// How many bytes were cut off at a torn end.
    #[must_use]
    pub const fn torn(&self) -> usize {
        self.torn
    }

    /// The records behind the header, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The bytes of the tape as read, without comments and without what was torn.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n", self.header_text);
        for record in &self.records {
            bytes.push_str(&record.text);
            bytes.push('\n');
        }
        bytes.into_bytes()
    }

    /// What crossed the wire, in order, redacted.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.located().into_iter().map(|located| located.entry).collect()
    }

    /// What crossed the wire, with the lines where it stands.
    #[must_use]
    pub fn located(&self) -> Vec<Located> {
        let mut located = Vec::new();
        let mut records = self.records.iter();
        while let Some(record) = records.next() {
            let inner: Vec<&Record> = records.by_ref().take(record.kind.carried().lines()).collect();
            if let Some((conn, from, wire)) = wire(&record.kind, &inner) {
                let entry = Entry { at: Time::from_micros(record.since.unwrap_or(record.t)), from, wire };
                located.push(Located { line: record.line, inner: inner.iter().map(|r| r.line).collect(), conn, entry });
            }
        }
        located
    }

    /// The marks, in order.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let mark = |record: &Record| match &record.kind {
            Kind::Mark { label, tokens } => Some(Mark {
                line: record.line,
                at: Time::from_micros(record.t),
                label: label.clone(),
                tokens: tokens.clone(),
            }),
            _ => None,
        };
        self.records.iter().filter_map(mark).collect()
    }

    /// The marks that say that something is missing, in order: what crossed the wire and is not on the tape, or not as it was. That
    /// the tape ends early is another matter: see [`Tape::status`].
    #[must_use]
    pub fn losses(&self) -> Vec<Mark> {
        self.marks().into_iter().filter(|mark| tells_of_loss(&mark.label)).collect()
    }
}

/// The wire entry of a unit; `None` for a record that is no unit.
fn wire(kind: &Kind, inner: &[&Record]) -> Option<(ConnLabel, Side, Wire)> {
    let body = |carried: Carried| -> Vec<u8> {
        let texts: Vec<&[u8]> = inner
            .iter()
            .filter_map(|record| match &record.kind {
                Kind::Msg { message, .. } => Some(message.get().as_bytes()),
                Kind::Body { content, .. } => Some(content.as_slice()),
                _ => None,
            })
            .collect();
        match carried {
            Carried::Array(_) => [b"[", texts.join(&b',').as_slice(), b"]"].concat(),
            Carried::Nothing | Carried::Single | Carried::Body => texts.concat(),
        }
    };
    Some(match kind {
        Kind::HttpReq { conn, link, method, url, headers, carried, .. } => {
            let request =
                Request { method: method.clone(), target: url.clone(), headers: headers.clone(), body: body(*carried) };
            let wire = match link {
                Link::Exchange(number) => Wire::Request(Exchange(*number), request),
                Link::Socket(number) => Wire::Upgrade(Socket(*number), request),
            };
            (*conn, Side::Client, wire)
        }
        Kind::HttpRes { conn, link, status, headers, carried, .. } => {
            let response = Response { status: *status, headers: headers.clone(), body: body(*carried) };
            let wire = match link {
                Link::Exchange(number) => Wire::Response(Exchange(*number), response),
                Link::Socket(number) => Wire::Refused(Socket(*number), response),
            };
            (*conn, Side::Server, wire)
        }
        Kind::HttpErr { conn, link: Link::Exchange(number), by, error } => {
            (*conn, *by, Wire::Broken(Exchange(*number), error.clone()))
        }
        Kind::WsOpen { conn, link: Link::Socket(number), headers } => {
            (*conn, Side::Server, Wire::Upgraded(Socket(*number), headers.clone()))
        }
        Kind::WsMsg { conn, link: Link::Socket(number), from, opcode, carried, .. } => {
            let bytes = body(*carried);
            let wire = match opcode {
                2 => Wire::Binary(Socket(*number), bytes),
                _ => Wire::Text(Socket(*number), String::from_utf8_lossy(&bytes).into_owned()),
            };
            (*conn, *from, wire)
        }
        Kind::WsCtl { conn, link: Link::Socket(number), from, control } => {
            let wire = match control {
                Control::Close { code, reason } => {
                    Wire::Close(Socket(*number), Close { code: *code, reason: reason.clone() })
                }
                Control::Ping(payload) => Wire::Ping(Socket(*number), payload.clone().into_bytes()),
                Control::Pong(payload) => Wire::Pong(Socket(*number), payload.clone().into_bytes()),
            };
            (*conn, *from, wire)
        }
        Kind::WsErr { conn, link: Link::Socket(number), by, error } => {
            (*conn, *by, Wire::Lost(Socket(*number), error.clone()))
        }
        _ => return None,
    })
}

/// The media type that header fields name.
pub(crate) fn mime(headers: &Headers) -> String {
    headers.get("content-type").unwrap_or_default().to_owned()
}
