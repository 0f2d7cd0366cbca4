//! A tape in numbers: what went over each connection, in each session and on each channel.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::callbacks::Callbacks;
use protocol::time::Time;
use protocol::wire::Side;
use serde_json::{Value, json};

use crate::compare::{self, Held};
use crate::json::{members, text_of};
use crate::show::{counted, printable};
use crate::tape::{Carried, ConnLabel, Kind, Link, Record, Tape};

/// From how many microseconds on a connect counts as held.
const HELD: u64 = 500_000;

/// Numbers of both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both {
    /// From the client.
    pub sent: u64,
    /// From the server.
    pub received: u64,
}

impl Both {
    const fn of(&mut self, side: Side) -> &mut u64 {
        match side {
            Side::Client => &mut self.sent,
            Side::Server => &mut self.received,
        }
    }
}

/// A TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// First and last moment, in microseconds.
    pub span: Option<(u64, u64)>,
    /// HTTP exchanges that were asked for.
    pub exchanges: u64,
    /// Those that have no answer.
    pub unanswered: u64,
    /// WebSockets that were asked for.
    pub sockets: u64,
    /// Bayeux messages.
    pub messages: Both,
    /// Bytes of bodies and frames before redaction; `None` if the tape does not tell (format 1.0).
    pub bytes: Option<Both>,
}

/// A Bayeux session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// First and last moment, in microseconds.
    pub span: Option<(u64, u64)>,
    /// Bayeux messages.
    pub messages: Both,
    /// `/meta/connect` requests.
    pub connects: u64,
    /// Those whose answer came after half a second or more.
    pub held: u64,
    /// Those that have no answer.
    pub open: u64,
    /// How long the answered ones waited in all, in microseconds.
    pub waited: u64,
    /// The longest wait, in microseconds.
    pub longest: u64,
}

/// The numbers of a tape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// By label; `h0` is for what nobody saw a connection of.
    pub connections: BTreeMap<ConnLabel, Connection>,
    /// By number, 0 for messages of none.
    pub sessions: BTreeMap<usize, Session>,
    /// By name; messages without a channel are under an empty name.
    pub channels: BTreeMap<String, Both>,
    /// The last moment, in microseconds.
    pub length: u64,
}

impl Stats {
    /// Counts what a tape holds.
    #[must_use]
    pub fn of(tape: &Tape) -> Self {
        let (sessions, held) = compare::sessions(tape);
        let mut counting = Counting { stats: Self::default(), unit: None, open: BTreeMap::new(), calls: calls(tape) };
        for record in tape.records() {
            counting.take(record, &sessions);
        }
        let mut stats = counting.stats;
        for conn in counting.open.values() {
            stats.connections.entry(*conn).or_default().unanswered += 1;
        }
        for connect in held {
            stats.connect(connect, tape.records());
        }
        stats
    }

    fn connect(&mut self, connect: Held, records: &[Record]) {
        let session = self.sessions.entry(connect.session).or_default();
        session.connects += 1;
        let moment =
            |line: usize| records.binary_search_by_key(&line, |record| record.line).map_or(0, |place| records[place].t);
        let Some(reply) = connect.reply else {
            session.open += 1;
            return;
        };
        let waited = moment(reply).saturating_sub(moment(connect.request));
        session.held += u64::from(waited >= HELD);
        session.waited += waited;
        session.longest = session.longest.max(waited);
    }

    /// Three tables.
    #[must_use]
    pub fn text(&self) -> String {
        let seconds = |micros: u64| Time::from_micros(micros).to_string();
        let span = |span: Option<(u64, u64)>| match span {
            Some((first, last)) => [seconds(first), seconds(last - first)],
            None => ["-".to_owned(), "-".to_owned()],
        };
        let mut text = format!("length {} s\n", seconds(self.length));
        let mut rows = vec![row([
            "connection",
            "from s",
            "for s",
            "exchanges",
            "unanswered",
            "sockets",
            "sent",
            "received",
            "bytes sent",
            "bytes received",
        ])];
        for (label, conn) in &self.connections {
            let [first, lasted] = span(conn.span);
            let bytes = |of: fn(Both) -> u64| conn.bytes.map_or_else(|| "-".to_owned(), |bytes| of(bytes).to_string());
            rows.push(vec![
                label.to_string(),
                first,
                lasted,
                conn.exchanges.to_string(),
                conn.unanswered.to_string(),
                conn.sockets.to_string(),
                conn.messages.sent.to_string(),
                conn.messages.received.to_string(),
                bytes(|bytes| bytes.sent),
                bytes(|bytes| bytes.received),
            ]);
        }
        table(&mut text, &rows);
        let mut rows = vec![row([
            "session",
            "from s",
            "for s",
            "sent",
            "received",
            "connects",
            "held",
            "unanswered",
            "longest s",
            "all s",
        ])];
        for (number, session) in &self.sessions {
            let [first, lasted] = span(session.span);
            rows.push(vec![
                if *number == 0 { "none".to_owned() } else { format!("#{number}") },
                first,
                lasted,
                session.messages.sent.to_string(),
                session.messages.received.to_string(),
                session.connects.to_string(),
                session.held.to_string(),
                session.open.to_string(),
                seconds(session.longest),
                seconds(session.waited),
            ]);
        }
        table(&mut text, &rows);
        let mut rows = vec![row(["channel", "sent", "received"])];
        for (channel, both) in &self.channels {
            let channel = if channel.is_empty() { "none" } else { channel };
            rows.push(vec![channel.to_owned(), both.sent.to_string(), both.received.to_string()]);
        }
        table(&mut text, &rows);
        printable(&text)
    }

    /// The same for a program; times in microseconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let both = |both: Both| json!({"sent": both.sent, "received": both.received});
        let span = |span: Option<(u64, u64)>| span.map(|(first, last)| json!([first, last]));
        let connections: Vec<Value> = self
            .connections
            .iter()
            .map(|(label, conn)| {
                json!({
                    "connection": label.to_string(),
                    "span": span(conn.span),
                    "exchanges": conn.exchanges,
                    "unanswered": conn.unanswered,
                    "sockets": conn.sockets,
                    "messages": both(conn.messages),
                    "bytes": conn.bytes.map(both),
                })
            })
            .collect();
        let sessions: Vec<Value> = self
            .sessions
            .iter()
            .map(|(number, session)| {
                json!({
                    "session": number,
                    "span": span(session.span),
                    "messages": both(session.messages),
                    "connects": {
                        "all": session.connects,
                        "held": session.held,
                        "unanswered": session.open,
                        "longest": session.longest,
                        "waited": session.waited,
                    },
                })
            })
            .collect();
        let channels: Vec<Value> = self
            .channels
            .iter()
            .map(|(channel, count)| json!({"channel": channel, "messages": both(*count)}))
            .collect();
        json!({"length": self.length, "connections": connections, "sessions": sessions, "channels": channels})
    }
}

struct Counting {
    stats: Stats,
    /// Connection and sender of the messages that follow.
    unit: Option<(ConnLabel, Side)>,
    /// Exchanges without an answer.
    open: BTreeMap<Link, ConnLabel>,
    /// The messages of callback-polling, which have no lines of their own, by the line of the unit.
    calls: BTreeMap<usize, Vec<(usize, String)>>,
}

/// The messages in each unit of callback-polling, with the lines that they stand on.
fn calls(tape: &Tape) -> BTreeMap<usize, Vec<(usize, String)>> {
    let located = tape.located();
    let callbacks = Callbacks::of(located.iter().map(|located| &located.entry.wire));
    let units = located.iter().filter_map(|located| match callbacks.unwrap(&located.entry) {
        Cow::Owned(entry) => Some((located, Batch::carried(&entry.wire))),
        Cow::Borrowed(_) => None,
    });
    let messages = units.map(|(located, messages)| {
        let line = |position: usize| located.inner.get(position).copied().unwrap_or(located.line);
        let messages = messages.iter().enumerate();
        (located.line, messages.map(|(position, message)| (line(position), message.text().to_owned())).collect())
    });
    messages.collect()
}

impl Counting {
    fn take(&mut self, record: &Record, sessions: &BTreeMap<usize, usize>) {
        self.stats.length = record.t;
        if record.since.is_some() {
            return self.repeated(record);
        }
        let (conn, from, carried, bytes) = match &record.kind {
            Kind::Msg { message, .. } => return self.message(record.t, record.line, message.get(), sessions),
            Kind::HttpReq { conn, link, carried, bytes, .. } => {
                self.open.insert(*link, *conn);
                let connection = self.stats.connections.entry(*conn).or_default();
                match link {
                    Link::Exchange(_) => connection.exchanges += 1,
                    Link::Socket(_) => connection.sockets += 1,
                }
                (*conn, Some(Side::Client), *carried, *bytes)
            }
            Kind::HttpRes { conn, link, carried, bytes, .. } => {
                self.open.remove(link);
                (*conn, Some(Side::Server), *carried, *bytes)
            }
            Kind::WsMsg { conn, from, carried, bytes, .. } => (*conn, Some(*from), *carried, *bytes),
            Kind::WsOpen { conn, link, .. } => {
                self.open.remove(link);
                (*conn, None, Carried::Nothing, None)
            }
            Kind::HttpErr { conn, .. } | Kind::WsCtl { conn, .. } | Kind::WsErr { conn, .. } => {
                (*conn, None, Carried::Nothing, None)
            }
            Kind::ConnOpen { conn, .. } | Kind::ConnClose { conn, .. } => (*conn, None, Carried::Nothing, None),
            _ => return,
        };
        let connection = self.stats.connections.entry(conn).or_default();
        let (first, counted) = match connection.span {
            Some((first, _)) => (first, connection.bytes),
            None => (record.t, Some(Both::default())),
        };
        connection.span = Some((first, record.t));
        // One unit of unknown size makes the sum unknown.
        let tells = carried == Carried::Nothing || bytes.is_some();
        connection.bytes = counted.filter(|_| tells);
        if let (Some(sum), Some(from)) = (&mut connection.bytes, from) {
            *sum.of(from) += bytes.unwrap_or_default();
        }
        self.unit = from.map(|from| (conn, from));
        for (line, message) in self.calls.remove(&record.line).unwrap_or_default() {
            self.message(record.t, line, &message, sessions);
        }
    }

    /// What was counted where it happened can still be without an answer.
    fn repeated(&mut self, record: &Record) {
        self.unit = None;
        match &record.kind {
            Kind::HttpReq { conn, link, .. } => drop(self.open.insert(*link, *conn)),
            Kind::WsOpen { link, .. } => drop(self.open.remove(link)),
            _ => {}
        }
    }

    fn message(&mut self, at: u64, line: usize, message: &str, sessions: &BTreeMap<usize, usize>) {
        let Some((conn, from)) = self.unit else { return };
        *self.stats.connections.entry(conn).or_default().messages.of(from) += 1;
        let session = sessions.get(&line).copied().unwrap_or_default();
        let session = self.stats.sessions.entry(session).or_default();
        *session.messages.of(from) += 1;
        session.span = Some((session.span.map_or(at, |(first, _)| first), at));
        let members = members(message).unwrap_or_default();
        let channel = text_of(&members, "channel").unwrap_or_default();
        *self.stats.channels.entry(channel).or_default().of(from) += 1;
    }
}

/// What a tape is, and how it ends: its first line and its counts.
#[must_use]
pub fn head(tape: &Tape) -> String {
    let header = tape.header();
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<10} {value}");
        }
    };
    row("format", &header.version.to_string());
    row("tool", &format!("{} (commit {})", header.tool, header.git));
    let moved = if header.is_shifted { " (wall times are moved, by how much nobody knows)" } else { "" };
    row("start", &format!("{}{moved}", header.start));
    row("source", &header.source);
    row("scenario", header.scenario.as_deref().unwrap_or_default());
    row("seed", &header.seed.map(|seed| seed.to_string()).unwrap_or_default());
    row("id", &header.id);
    row("key", &header.key_id);
    for (name, value) in &header.env {
        row(name, value);
    }
    let end = match tape.status() {
        crate::tape::Status::Interrupted => format!("interrupted, {} of its end cut off", counted(tape.torn(), "byte")),
        status => status.to_string(),
    };
    row("status", &end);
    if let Some(part) = header.part {
        row("part", &format!("{} of a recording in several files", part.number));
    }
    let length = tape.records().last().map_or(0, |record| record.t);
    row("length", &format!("{} s", Time::from_micros(length)));
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for record in tape.records() {
        let word = record.kind.word();
        *counts.entry(if word.is_empty() { "unknown" } else { word }).or_default() += 1;
    }
    let listed = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
        counts.map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
    };
    row("records", &listed(&mut counts.into_iter()));
    let replaced = tape.records().iter().rev().find_map(|record| match &record.kind {
        Kind::End { redacted, paths, .. } => Some((redacted, paths)),
        Kind::Redacted { counts, paths } => Some((counts, paths)),
        _ => None,
    });
    if let Some((counts, paths)) = replaced {
        row("replaced", &listed(&mut counts.iter().map(|(word, count)| (word.as_str(), *count))));
        row("unknown", &paths.join(", "));
    }
    printable(&text)
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// The first column to the left, numbers to the right.
fn table(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    text.push('\n');
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(text, "{cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
}
