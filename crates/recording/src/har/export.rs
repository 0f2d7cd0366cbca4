//! A tape becomes a HAR.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use protocol::time::Time;
use protocol::wire::{Failure, Headers, Request, Response, Side, Wire};
use serde_json::{Value, json};

use super::original::inner_lines;
use crate::tape::{ConnLabel, Kind, Link, Located, Record, Tape};

/// Where the server is, since a tape does not tell: a name that nobody may have (RFC 6761 6.4).
const HOST: &str = "gms.invalid";

/// An entry in the making: an exchange, or a WebSocket from its upgrade on.
struct Draft {
    socket: bool,
    conn: ConnLabel,
    began: Time,
    ended: Option<Time>,
    answered: Option<Time>,
    request: Request,
    response: Option<Response>,
    failure: Option<Failure>,
    frames: Vec<Value>,
    lines: Vec<String>,
}

/// Gives the text of a HAR. Each exchange is an entry, each WebSocket is one with its messages as Chrome has them. Times are
/// those of the tape from the start that its header names. What HAR has no place for stands in members `_bx`, from which
/// [`import`](super::import()) makes the same tape again.
#[must_use]
pub fn export(tape: &Tape, version: &str) -> String {
    let start: Timestamp = tape.header().start.parse().unwrap_or_default();
    let mut located = tape.located().into_iter().map(|located| (located.line, located)).collect::<BTreeMap<_, _>>();
    let encrypted = encrypted(tape);
    let mut drafts: BTreeMap<Link, Draft> = BTreeMap::new();
    let mut order: Vec<Link> = Vec::new();
    let mut loose: Vec<String> = Vec::new();
    let mut records = tape.records().iter();
    while let Some(record) = records.next() {
        let inner: Vec<&Record> = records.by_ref().take(record.kind.carried().lines()).collect();
        let unit = link(&record.kind).zip(located.remove(&record.line));
        let Some((link, unit)) = unit else {
            loose.extend(texts(record, &inner));
            continue;
        };
        if let Wire::Request(_, request) | Wire::Upgrade(_, request) = &unit.entry.wire
            && !drafts.contains_key(&link)
        {
            order.push(link);
            drafts.insert(link, Draft::new(&unit, request.clone()));
        }
        match drafts.get_mut(&link) {
            Some(draft) => draft.take(record, &inner, &unit, start),
            // Its request is not on the tape.
            None => loose.extend(texts(record, &inner)),
        }
    }
    let entries: Vec<Value> = order
        .iter()
        .filter_map(|link| drafts.remove(link))
        .map(|draft| {
            let tls = encrypted.contains(&draft.conn);
            draft.entry(start, tls)
        })
        .collect();
    let log = json!({
        "version": "1.2",
        "creator": {"name": "tapestry", "version": version},
        "pages": [],
        "entries": entries,
        "comment": "exported from a tape: secrets and texts are tokens, and the host is no host",
        "_bx": {"header": tape.header_text(), "lines": loose},
    });
    format!("{:#}\n", json!({ "log": log }))
}

/// The connections of which the tape says that they are encrypted.
fn encrypted(tape: &Tape) -> BTreeSet<ConnLabel> {
    let opened = |record: &Record| match &record.kind {
        Kind::ConnOpen { conn, tls: true, .. } => Some(*conn),
        _ => None,
    };
    tape.records().iter().filter_map(opened).collect()
}

const fn link(kind: &Kind) -> Option<Link> {
    match kind {
        Kind::HttpReq { link, .. }
        | Kind::HttpRes { link, .. }
        | Kind::HttpErr { link, .. }
        | Kind::WsOpen { link, .. }
        | Kind::WsMsg { link, .. }
        | Kind::WsCtl { link, .. }
        | Kind::WsErr { link, .. } => Some(*link),
        _ => None,
    }
}

fn texts(record: &Record, inner: &[&Record]) -> Vec<String> {
    std::iter::once(&record).chain(inner).map(|record| record.text.clone()).collect()
}

impl Draft {
    const fn new(unit: &Located, request: Request) -> Self {
        Self {
            socket: matches!(unit.entry.wire, Wire::Upgrade(..)),
            conn: unit.conn,
            began: unit.entry.at,
            ended: None,
            answered: None,
            request,
            response: None,
            failure: None,
            frames: Vec::new(),
            lines: Vec::new(),
        }
    }

    fn take(&mut self, record: &Record, inner: &[&Record], unit: &Located, start: Timestamp) {
        let at = unit.entry.at;
        self.lines.push(record.text.clone());
        if !self.tells(record, inner, unit) {
            self.lines.extend(inner.iter().map(|record| record.text.clone()));
        }
        match &unit.entry.wire {
            Wire::Request(..) | Wire::Upgrade(..) => return,
            Wire::Response(_, response) | Wire::Refused(_, response) => {
                self.answered.get_or_insert(at);
                self.response.get_or_insert_with(|| response.clone());
            }
            Wire::Upgraded(_, headers) => {
                self.answered.get_or_insert(at);
                self.response.get_or_insert_with(|| Response {
                    status: 101,
                    headers: headers.clone(),
                    body: Vec::new(),
                });
            }
            Wire::Broken(_, failure) => self.failure = Some(failure.clone()),
            Wire::Lost(_, failure) => {
                let data = word(failure);
                self.frames.push(json!({"type": "error", "time": seconds(start, at), "opcode": -1, "data": data}));
            }
            Wire::Text(_, text) => self.frame(unit.entry.from, at, start, 1, text),
            Wire::Binary(_, bytes) => self.frame(unit.entry.from, at, start, 2, &BASE64.encode(bytes)),
            Wire::Ping(..) | Wire::Pong(..) | Wire::Close(..) => {}
        }
        self.ended = Some(at);
    }

    /// Whether the lines behind that of a unit can be made again from what the entry says.
    fn tells(&self, record: &Record, inner: &[&Record], unit: &Located) -> bool {
        let wire = &unit.entry.wire;
        let carried = wire.carried().map(String::from_utf8_lossy).unwrap_or_default();
        let has_place = match wire {
            // An entry has room for one of each, and none for emptiness.
            Wire::Request(_, request) | Wire::Upgrade(_, request) => {
                self.lines.len() == 1 && !carried.is_empty() && self.request == *request
            }
            Wire::Response(..) | Wire::Refused(..) => self.response.is_none() && !carried.is_empty(),
            _ => true,
        };
        let made = || inner_lines(&record.kind, record.n, record.t, &carried);
        has_place && made().is_some_and(|made| made.iter().eq(inner.iter().map(|record| &record.text)))
    }

    fn frame(&mut self, from: Side, at: Time, start: Timestamp, opcode: u8, data: &str) {
        let kind = if from == Side::Client { "send" } else { "receive" };
        self.frames.push(json!({"type": kind, "time": seconds(start, at), "opcode": opcode, "data": data}));
    }

    fn entry(self, start: Timestamp, tls: bool) -> Value {
        let scheme = match (self.socket, tls) {
            (true, true) => "wss",
            (true, false) => "ws",
            (false, true) => "https",
            (false, false) => "http",
        };
        let since = |at: Option<Time>| at.map(|at| milliseconds(at, self.began));
        let wait = since(self.answered.or(self.ended));
        let whole = since(self.ended);
        let receive = whole.zip(wait).map(|(whole, wait)| whole - wait);
        let mut entry = json!({
            "startedDateTime": moment(start, self.began).to_string(),
            "time": whole.unwrap_or(-1.0),
            "request": request(&self.request, &format!("{scheme}://{HOST}{}", self.request.target)),
            "response": response(self.response.as_ref(), self.failure.as_ref()),
            "cache": {},
            "timings": {"send": 0, "wait": wait.unwrap_or(-1.0), "receive": receive.unwrap_or(-1.0)},
            "_bx": {"lines": self.lines},
        });
        if self.conn != ConnLabel::default() {
            entry["connection"] = self.conn.to_string().into();
            // Where the developer tools of Chrome look for it.
            entry["_connectionId"] = self.conn.to_string().into();
        }
        if self.socket {
            entry["_resourceType"] = "websocket".into();
            entry["_webSocketMessages"] = self.frames.into();
        } else {
            entry["_resourceType"] = "xhr".into();
        }
        entry
    }
}

fn request(request: &Request, url: &str) -> Value {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let pairs: Vec<Value> =
        form_urlencoded::parse(query.as_bytes()).map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut har = json!({
        "method": request.method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": fields(&request.headers),
        "queryString": pairs,
        "headersSize": -1,
        "bodySize": request.body.len(),
    });
    if !request.body.is_empty() {
        let mime = crate::tape::mime(&request.headers);
        har["postData"] = json!({"mimeType": mime, "text": String::from_utf8_lossy(&request.body)});
    }
    har
}

fn response(response: Option<&Response>, failure: Option<&Failure>) -> Value {
    let none = Response { status: 0, headers: Headers::new(), body: Vec::new() };
    let answer = response.unwrap_or(&none);
    let mut content = json!({"size": answer.body.len(), "mimeType": crate::tape::mime(&answer.headers)});
    if !answer.body.is_empty() {
        content["text"] = String::from_utf8_lossy(&answer.body).into();
    }
    let mut har = json!({
        "status": answer.status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": fields(&answer.headers),
        "content": content,
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": answer.body.len(),
    });
    if let Some(failure) = failure {
        har["_error"] = word(failure).into();
    }
    har
}

fn fields(headers: &Headers) -> Vec<Value> {
    headers.0.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// What Chrome says of a failure.
const fn word(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unreachable => "net::ERR_CONNECTION_REFUSED",
        Failure::Reset => "net::ERR_CONNECTION_RESET",
        Failure::TimedOut => "net::ERR_TIMED_OUT",
        Failure::Aborted => "net::ERR_ABORTED",
        Failure::TooLarge => "net::ERR_RESPONSE_BODY_TOO_BIG_TO_DRAIN",
        Failure::Protocol => "net::ERR_INVALID_RESPONSE",
    }
}

fn moment(start: Timestamp, at: Time) -> Timestamp {
    let since = SignedDuration::from_micros(i64::try_from(at.as_micros()).unwrap_or(i64::MAX));
    start.saturating_add(since).unwrap_or(start)
}

/// Seconds since 1970, as Chrome has the times of WebSocket messages.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float keeps a quarter of a microsecond until far beyond this century"
)]
fn seconds(start: Timestamp, at: Time) -> f64 {
    moment(start, at).as_microsecond() as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "no exchange takes longer than a float counts microseconds")]
fn milliseconds(at: Time, began: Time) -> f64 {
    (at - began).as_micros() as f64 / 1_000.0
}
