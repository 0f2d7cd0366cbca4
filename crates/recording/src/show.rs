//! A tape for a person to read: one line for each carrier, below it one for each message, with time, connection and session.

use std::collections::BTreeMap;
use std::fmt::Write;

use protocol::time::Time;
use protocol::wire::Side;
use serde_json::Value;

use crate::compare::{self, render};
use crate::tape::{Carried, Control, Kind, Link, Record, Status, Tape, failure_word};

/// The columns before a message.
const LEAD: usize = 10;

/// The text of a tape, each line at most `width` columns wide where messages allow it.
///
/// A carrier has its time in seconds, an arrow (`->` from the client), the connection and the exchange or socket. A message has
/// the line where it stands, the arrow, and `#` with the number of its session, 0 for none.
#[must_use]
pub fn show(tape: &Tape, width: usize) -> String {
    let mut shown =
        Shown { width, text: header(tape), sessions: compare::sessions(tape).0, asked: BTreeMap::new(), from: None };
    for record in tape.records() {
        shown.record(record);
    }
    if tape.status() == Status::Interrupted {
        // Writing to a text cannot fail.
        let _ = writeln!(shown.text, "the tape is interrupted, {} of its end cut off", counted(tape.torn(), "byte"));
    }
    printable(&shown.text)
}

/// A text without characters that a terminal would obey: a tape that keeps texts may hold any.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => printable.push(c),
            c if c.is_control() => printable.extend(c.escape_unicode()),
            c => printable.push(c),
        }
    }
    printable
}

fn header(tape: &Tape) -> String {
    let header = tape.header();
    let mut line = format!("tape {} of {}", header.version, header.start);
    for (name, value) in [("source", &header.source), ("tool", &header.tool)] {
        if !value.is_empty() {
            let _ = write!(line, ", {name} {value}");
        }
    }
    if let Some(scenario) = &header.scenario {
        let _ = write!(line, ", scenario {scenario}");
    }
    if let Some(part) = header.part {
        let _ = write!(line, ", part {}", part.number);
    }
    line + "\n"
}

struct Shown {
    width: usize,
    text: String,
    sessions: BTreeMap<usize, usize>,
    /// When each exchange or upgrade was asked for.
    asked: BTreeMap<Link, u64>,
    /// Who sent the carrier of the messages that follow.
    from: Option<Side>,
}

impl Shown {
    fn record(&mut self, record: &Record) {
        let at = Time::from_micros(record.t);
        match &record.kind {
            Kind::Msg { message, .. } => return self.message(record.line, message.get()),
            Kind::Body { mime, content, .. } => {
                // A form has lines of its own.
                let text = String::from_utf8_lossy(content).replace("\r\n", " ").replace('\n', " ");
                let mime = if mime.is_empty() { "no media type" } else { mime };
                let _ = writeln!(self.text, "{:>LEAD$} {}   {mime}: {text}", record.line, arrow(self.from));
                return;
            }
            Kind::HttpReq { link, .. } => drop(self.asked.insert(*link, record.since.unwrap_or(record.t))),
            _ => {}
        }
        self.from = side(&record.kind);
        let (place, mut what) = self.carrier(record);
        if let Some(since) = record.since {
            let _ = write!(what, ", told again: it came at {} s", Time::from_micros(since));
        }
        let place = if place.is_empty() { place } else { format!("{place} ") };
        let _ = writeln!(self.text, "{:>LEAD$} {} {place}{what}", at.to_string(), arrow(self.from));
    }

    fn message(&mut self, line: usize, message: &str) {
        let session = self.sessions.get(&line).copied().unwrap_or_default();
        let lead = format!("{line:>LEAD$} {}   #{session} ", arrow(self.from));
        // A message that would be changed by reading it, such as one with a repeated member, is shown as it stands.
        match serde_json::from_str::<Value>(message).ok().filter(|value| *value.to_string() == *message) {
            Some(value) => self.text.push_str(&render::marked(&lead, &value, &[], self.width)),
            None => {
                let _ = writeln!(self.text, "{lead}{message}");
            }
        }
    }

    /// Where it is, and what.
    fn carrier(&self, record: &Record) -> (String, String) {
        let after = |link: &Link| match self.asked.get(link) {
            Some(asked) => {
                format!(" after {} s", Time::from_micros(record.since.unwrap_or(record.t).saturating_sub(*asked)))
            }
            None => String::new(),
        };
        match &record.kind {
            Kind::ConnOpen { conn, proto, peer, tls, synthetic } => {
                let tls = if *tls { " over TLS" } else { "" };
                (conn.to_string(), format!("opened by {peer}, {proto}{tls}{}", unseen(*synthetic)))
            }
            Kind::ConnClose { conn, by, error, synthetic } => {
                let why = error.as_ref().map(|error| format!(": {}", failure_word(error))).unwrap_or_default();
                (conn.to_string(), format!("closed by {}{why}{}", by.word(), unseen(*synthetic)))
            }
            Kind::HttpReq { conn, link, method, url, carried, .. } => {
                let upgrade = if matches!(link, Link::Socket(_)) { ", asks for a WebSocket" } else { "" };
                (format!("{conn} {link}"), format!("{method} {url}{upgrade}{}", carries(*carried)))
            }
            Kind::HttpRes { conn, link, status, carried, .. } => {
                (format!("{conn} {link}"), format!("{status}{}{}", after(link), carries(*carried)))
            }
            Kind::HttpErr { conn, link, by, error } => (
                format!("{conn} {link}"),
                format!("broken by the {}{}: {}", by_word(*by), after(link), failure_word(error)),
            ),
            Kind::WsOpen { conn, link, .. } => (format!("{conn} {link}"), format!("WebSocket opened{}", after(link))),
            Kind::WsMsg { conn, link, opcode, carried, .. } => {
                let kind = if *opcode == 2 { "binary frame" } else { "frame" };
                (format!("{conn} {link}"), format!("{kind}{}", carries(*carried)))
            }
            Kind::WsCtl { conn, link, control, .. } => {
                let what = match control {
                    Control::Close { code, reason } if reason.is_empty() => format!("close {code}"),
                    Control::Close { code, reason } => format!("close {code}: {reason}"),
                    Control::Ping(payload) => format!("ping {payload}"),
                    Control::Pong(payload) => format!("pong {payload}"),
                };
                (format!("{conn} {link}"), what)
            }
            Kind::WsErr { conn, link, by, error } => {
                (format!("{conn} {link}"), format!("lost by the {}: {}", by_word(*by), failure_word(error)))
            }
            Kind::Mark { label, tokens } => {
                (String::new(), [&[format!("mark: {label}")], tokens.as_slice()].concat().join(" "))
            }
            Kind::Call { operation, arguments } => (String::new(), format!("call: {operation} {arguments}")),
            Kind::Timer { name, due } => {
                let due = due.map(|due| format!(", due at {} s", Time::from_micros(due))).unwrap_or_default();
                (String::new(), format!("timer: {name}{due}"))
            }
            Kind::Rand { purpose, value } => (String::new(), format!("random number: {value} for {purpose}")),
            Kind::Fault { fault, place, parameters } => {
                (String::new(), format!("fault: {fault} at {place} {parameters}"))
            }
            Kind::Clock { wall, step } => (String::new(), format!("the wall clock moved by {step} us to {wall}")),
            Kind::Redacted { counts, .. } => {
                (String::new(), format!("replaced so far: {}", counted(counts.values().sum::<u64>(), "value")))
            }
            Kind::End { next: Some(next), .. } => (String::new(), format!("end: goes on in part {next}")),
            Kind::End { status, .. } => (String::new(), format!("end: {}", status.word())),
            Kind::Unknown | Kind::Msg { .. } | Kind::Body { .. } => (String::new(), record.text.clone()),
        }
    }
}

/// Who sent it, if it was sent.
const fn side(kind: &Kind) -> Option<Side> {
    match kind {
        Kind::HttpReq { .. } => Some(Side::Client),
        Kind::HttpRes { .. } | Kind::WsOpen { .. } => Some(Side::Server),
        Kind::WsMsg { from, .. } | Kind::WsCtl { from, .. } => Some(*from),
        _ => None,
    }
}

fn arrow(from: Option<Side>) -> &'static str {
    from.map_or("--", Side::arrow)
}

const fn by_word(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// Nobody saw a connection come or go that follows from what it carried.
const fn unseen(synthetic: bool) -> &'static str {
    if synthetic { " (synthetic)" } else { "" }
}

fn carries(carried: Carried) -> String {
    match carried {
        Carried::Nothing => ", empty".to_owned(),
        Carried::Array(messages) => format!(", {}", counted(messages, "message")),
        Carried::Single => ", 1 message without an array".to_owned(),
        Carried::Body => ", no messages".to_owned(),
    }
}

/// `1 byte`, `2 bytes`
pub(crate) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
