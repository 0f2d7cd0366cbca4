//! A HAR of anybody becomes traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use jiff::Timestamp;
use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::http::query_values;
use protocol::chat::files::is_target;
use protocol::time::Time;
use protocol::wire::{self, Entry, Exchange, Failure, Side, Socket, Wire};
use serde_json::Value;

use super::file::{Content, File, Frame, Item, Log, PostData, headers};
use super::original;
use crate::capture::{Capture, Config, Source};
use crate::redaction::{Keep, Shift};
use crate::tape::{ConnLabel, Finish};

/// A time above this is in milliseconds: in seconds it would be the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// Who made a HAR, as far as that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The developer tools of Chrome, Chromium or Edge.
    Chrome,
    /// Those of Firefox.
    Firefox,
    /// Playwright.
    Playwright,
    /// mitmproxy.
    Mitmproxy,
    /// This program, from a tape.
    Tapestry,
    /// Any other program.
    Other,
}

impl Maker {
    fn of(creator: &str) -> Self {
        let creator = creator.to_ascii_lowercase();
        let known = [
            ("webinspector", Self::Chrome),
            ("firefox", Self::Firefox),
            ("playwright", Self::Playwright),
            ("mitmproxy", Self::Mitmproxy),
            ("tapestry", Self::Tapestry),
        ];
        known.into_iter().find(|(word, _)| creator.contains(word)).map_or(Self::Other, |(_, maker)| maker)
    }

    /// The word behind `har:` in the header of a tape.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Firefox => "firefox",
            Self::Playwright => "playwright",
            Self::Mitmproxy => "mitmproxy",
            Self::Tapestry => "tapestry",
            Self::Other => "other",
        }
    }
}

/// What became of a HAR.
#[derive(Clone, Debug)]
pub enum Imported {
    /// The bytes of the tape that it was exported from.
    Original(Vec<u8>),
    /// Traffic that is not redacted yet.
    Traffic(Traffic),
}

/// What crossed the wire by the word of a HAR, raw. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Traffic {
    /// Who made the file.
    pub maker: Maker,
    /// Wall time at moment zero, RFC 3339 in UTC.
    pub start: String,
    /// What crossed the wire, with its connection if the file names one. What has the same time stands in the order of
    /// the file.
    pub entries: Vec<(Option<ConnLabel>, Entry)>,
    /// How many entries of the file are no Bayeux and were left out.
    pub left_out: usize,
    /// What is missing, in words for the user; free of contents.
    pub warnings: Vec<String>,
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maker, entries, left_out, warnings, start: _ } = self;
        f.debug_struct("Traffic")
            .field("maker", maker)
            .field("entries", &entries.len())
            .field("left_out", left_out)
            .field("warnings", warnings)
            .finish_non_exhaustive()
    }
}

impl Traffic {
    /// The redacted tape, and how many messages it holds. What is missing stands in marks at its end. Wall times are moved if
    /// an amount is given.
    #[must_use]
    pub fn tape(&self, config: Config, shift: Option<Shift>) -> (Vec<u8>, u64) {
        let config = Config { start: self.start.clone(), source: Source::Har(self.maker), ..config };
        let (mut capture, mut tape) = Capture::shifting(config, Keep::Nothing, shift);
        let mut end = Time::ZERO;
        for (conn, entry) in &self.entries {
            tape.extend(capture.entry(*conn, entry));
            end = entry.at;
        }
        for warning in &self.warnings {
            tape.extend(capture.mark(end, &format!("import: {warning}")));
        }
        let messages = capture.count("msg");
        tape.extend(capture.finish(end, Finish::Complete));
        (tape, messages)
    }
}

/// Why a file gives no traffic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is a ZIP archive.
    #[error("it is a ZIP archive")]
    Zip,
    /// It is not JSON.
    #[error("it is not JSON: {reason}")]
    NotJson {
        /// Where and why.
        reason: String,
    },
    /// It is JSON and no HAR.
    #[error("it is JSON and no HAR")]
    NotHar,
    /// Nothing in it is Bayeux.
    #[error("none of its {entries} entries is a Bayeux conversation or a request about files of a chat{}", without_messages(*mute))]
    Nothing {
        /// How many entries there are.
        entries: usize,
        /// How many of them are WebSockets without messages.
        mute: usize,
    },
    /// It holds conversations with several servers.
    #[error("it holds conversations with several servers: {}", .origins.join(", "))]
    Origins {
        /// Their origins.
        origins: Vec<String>,
    },
    /// Nothing in it goes to the server that was asked for.
    #[error("nothing in it goes to {origin}; there is {}", .origins.join(", "))]
    NoSuchOrigin {
        /// Which was asked for.
        origin: String,
        /// Which there are.
        origins: Vec<String>,
    },
}

fn without_messages(mute: usize) -> String {
    match mute {
        0 => String::new(),
        1 => "; one is a WebSocket without messages".to_owned(),
        several => format!("; {several} are WebSockets without messages"),
    }
}

impl ImportError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Zip => "unpack it and import the `.har` file inside; files that it names are looked for beside it",
            Self::NotJson { .. } => "export the HAR again; a download that was cut short ends so",
            Self::NotHar => "a HAR is a JSON object with `log.entries`",
            Self::Nothing { mute: 0, .. } => "export with contents, and begin to record before the chat starts",
            Self::Nothing { .. } => {
                "Firefox and some proxies leave the messages out: export from Chrome, or put `tapestry record` in between"
            }
            Self::Origins { .. } | Self::NoSuchOrigin { .. } => "choose one with `--origin URL`",
        }
    }
}

/// An entry of the file that could be read.
struct Read {
    /// Its place in the file, from 1.
    number: usize,
    item: Item,
    origin: String,
    target: String,
}

impl Read {
    fn is_socket(&self) -> bool {
        let upgraded = || {
            self.item.response.status == 101
                && headers(&self.item.request.headers)
                    .get("upgrade")
                    .is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
        };
        self.item.resource_type.as_deref() == Some("websocket") || self.item.frames.is_some() || upgraded()
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Reads a HAR. `attached` gives the bytes of a file that the HAR names, `origin` chooses a server by the beginning of its
/// URL if there are several.
///
/// # Errors
///
/// [`ImportError`] if it is no HAR, or nothing in it is Bayeux. An entry that cannot be read is left out with a warning.
pub fn import(
    bytes: &[u8],
    origin: Option<&str>,
    attached: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Imported, ImportError> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(ImportError::Zip);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| ImportError::NotJson { reason: error.to_string() })?;
    let File { log: Log { creator, entries: values, extra } } =
        serde_json::from_value(value).map_err(|_| ImportError::NotHar)?;
    let mut warnings = Vec::new();
    let entries = values.len();
    let items = read_items(values, &mut warnings);
    let maker = Maker::of(&creator.name);
    if let Some(extra) = &extra {
        let items: Vec<&Item> = items.iter().map(|read| &read.item).collect();
        match original::rebuild(extra, &items) {
            Some(tape) => return Ok(Imported::Original(tape)),
            None => warnings.push("the file was changed since it was exported from a tape".to_owned()),
        }
    }
    let ours = choose(items, origin, entries)?;
    let left_out = entries - ours.len();
    let connections = BTreeMap::new();
    let mut sequence = Sequence { events: Vec::new(), warnings, connections, exchanges: 0, sockets: 0, attached };
    for read in &ours {
        sequence.take(read);
    }
    let (start, entries) = in_order(sequence.events);
    Ok(Imported::Traffic(Traffic { maker, start, entries, left_out, warnings: sequence.warnings }))
}

fn read_items(entries: Vec<Value>, warnings: &mut Vec<String>) -> Vec<Read> {
    let mut items = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        let item: Item = match serde_json::from_value(entry) {
            Ok(item) => item,
            Err(_) => {
                // The words of the error may hold a value of the file.
                warnings.push(format!("entry {number} lacks a member or has a wrong one, and is left out"));
                continue;
            }
        };
        // Others load what is written in the page itself, such as `data:`.
        if let Some((origin, target)) = split(&item.request.url) {
            items.push(Read { number, item, origin, target });
        }
    }
    items
}

/// Origin and target of a URL; the origin of a WebSocket is that of its page.
fn split(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => "http",
        "wss" | "https" => "https",
        _ => return None,
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    let host = host.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    (!host.is_empty()).then(|| (format!("{scheme}://{host}"), target))
}

/// Whether bytes are Bayeux messages: a batch with a channel.
fn is_bayeux(bytes: &[u8]) -> bool {
    Batch::parse(bytes, &Limits::default())
        .is_ok_and(|batch| batch.messages.iter().any(|message| message.channel().is_some_and(|c| c.starts_with('/'))))
}

/// The path of the servlet that a request or socket goes to, if what it carries is Bayeux.
fn base(read: &Read) -> Option<&str> {
    let path = read.path();
    if read.is_socket() {
        let mut frames = read.item.frames.iter().flatten();
        return frames.any(|frame| is_bayeux(frame.data.as_bytes())).then(|| path.trim_end_matches('/'));
    }
    let post = read.item.request.post_data.as_ref().and_then(|post| post.text.as_deref()).unwrap_or_default();
    let asked = || query_values(&read.target, "message").iter().any(|message| is_bayeux(message.as_bytes()));
    let told = || read.item.response.content.text.as_deref().is_some_and(|text| is_bayeux(text.as_bytes()));
    if !(is_bayeux(post.as_bytes()) || asked() || read.item.request.method == "POST" && told()) {
        return None;
    }
    let end = ["/handshake", "/connect", "/disconnect"].into_iter().find_map(|end| path.strip_suffix(end));
    Some(end.unwrap_or(path).trim_end_matches('/'))
}

/// The entries that belong to a conversation with the one server.
fn choose(items: Vec<Read>, origin: Option<&str>, entries: usize) -> Result<Vec<Read>, ImportError> {
    let bases: BTreeSet<(String, String)> =
        items.iter().filter_map(|read| Some((read.origin.clone(), base(read)?.to_owned()))).collect();
    let belongs = |read: &Read| {
        let below = |(origin, base): &(String, String)| {
            *origin == read.origin
                && read.path().strip_prefix(base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_target(&read.target) || bases.iter().any(below)
    };
    let is_mute = |read: &&Read| read.is_socket() && read.item.frames.as_ref().is_none_or(Vec::is_empty);
    let mute = items.iter().filter(is_mute).count();
    let ours: Vec<Read> = items.into_iter().filter(belongs).collect();
    if ours.is_empty() {
        return Err(ImportError::Nothing { entries, mute });
    }
    let origins: Vec<String> =
        ours.iter().map(|read| read.origin.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    match origin {
        None if origins.len() > 1 => Err(ImportError::Origins { origins }),
        None => Ok(ours),
        Some(asked) => {
            let wanted = split(asked).map_or_else(|| asked.to_owned(), |(origin, _)| origin);
            let ours: Vec<Read> = ours.into_iter().filter(|read| read.origin == wanted).collect();
            if ours.is_empty() { Err(ImportError::NoSuchOrigin { origin: wanted, origins }) } else { Ok(ours) }
        }
    }
}

/// Something that crossed the wire, at microseconds since 1970.
struct Happened {
    at: i64,
    conn: Option<ConnLabel>,
    from: Side,
    wire: Wire,
}

struct Sequence<'a> {
    events: Vec<Happened>,
    warnings: Vec<String>,
    connections: BTreeMap<String, u64>,
    exchanges: u64,
    sockets: u64,
    attached: &'a mut dyn FnMut(&str) -> Option<Vec<u8>>,
}

impl Sequence<'_> {
    fn take(&mut self, read: &Read) {
        let Ok(began) = read.item.started_date_time.parse::<Timestamp>() else {
            self.warnings.push(format!("entry {} has no readable start and is left out", read.number));
            return;
        };
        let began = began.as_microsecond();
        let conn = self.connection(read);
        if read.is_socket() {
            self.socket(read, began, conn);
        } else {
            self.exchange(read, began, conn);
        }
    }

    fn connection(&mut self, read: &Read) -> Option<ConnLabel> {
        let name = match read.item.connection.as_ref()? {
            Value::String(name) if !name.is_empty() && name != "0" => name.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let next = self.connections.len() as u64 + 1;
        Some(ConnLabel(*self.connections.entry(name).or_insert(next)))
    }

    fn put(&mut self, at: i64, conn: Option<ConnLabel>, from: Side, wire: Wire) {
        self.events.push(Happened { at, conn, from, wire });
    }

    fn request(&mut self, read: &Read) -> wire::Request {
        let body = match &read.item.request.post_data {
            Some(post) => self.posted(post, read.number),
            None => Vec::new(),
        };
        wire::Request {
            method: read.item.request.method.clone(),
            target: read.target.clone(),
            headers: headers(&read.item.request.headers),
            body,
        }
    }

    fn response(&mut self, read: &Read, status: u16) -> wire::Response {
        let body = self.content(&read.item.response.content, read.number);
        wire::Response { status, headers: headers(&read.item.response.headers), body }
    }

    fn exchange(&mut self, read: &Read, began: i64, conn: Option<ConnLabel>) {
        self.exchanges += 1;
        let exchange = Exchange(self.exchanges);
        let request = self.request(read);
        self.put(began, conn, Side::Client, Wire::Request(exchange, request));
        let whole = read.item.time.filter(|time| *time >= 0.0);
        let ended = began + micros(whole.unwrap_or_else(|| read.item.timings.whole()));
        let says = read.item.response.error.as_ref().or(read.item.response.failure.as_ref());
        match (u16::try_from(read.item.response.status).ok().filter(|status| *status >= 100), says) {
            (Some(status), _) => {
                let response = self.response(read, status);
                self.put(ended, conn, Side::Server, Wire::Response(exchange, response));
            }
            (None, Some(says)) => {
                let (by, failure) = failure(says);
                self.put(ended, conn, by, Wire::Broken(exchange, failure));
            }
            // Still held when the file was written.
            (None, None) => {}
        }
    }

    fn socket(&mut self, read: &Read, began: i64, conn: Option<ConnLabel>) {
        self.sockets += 1;
        let socket = Socket(self.sockets);
        let request = wire::Request { body: Vec::new(), ..self.request(read) };
        self.put(began, conn, Side::Client, Wire::Upgrade(socket, request));
        let frames = read.item.frames.as_deref().unwrap_or_default();
        let first = frames.iter().filter_map(moment).next();
        let answered = began + micros(read.item.timings.until_response());
        let answered = first.map_or(answered, |first| answered.min(first)).max(began);
        match u16::try_from(read.item.response.status).ok().filter(|status| *status >= 100) {
            Some(101) => {
                let fields = headers(&read.item.response.headers);
                self.put(answered, conn, Side::Server, Wire::Upgraded(socket, fields));
            }
            // The answer is left out where messages prove that there was one.
            None if !frames.is_empty() => {
                self.put(answered, conn, Side::Server, Wire::Upgraded(socket, wire::Headers::new()));
            }
            Some(status) => {
                let response = self.response(read, status);
                self.put(answered, conn, Side::Server, Wire::Refused(socket, response));
                return;
            }
            None => {
                self.put(answered, conn, Side::Server, Wire::Lost(socket, Failure::Unreachable));
                return;
            }
        }
        if frames.is_empty() {
            let says = "is a WebSocket without its messages, which the exporter left out";
            self.warnings.push(format!("entry {} {says}", read.number));
        }
        let mut latest = answered;
        for frame in frames {
            latest = moment(frame).unwrap_or(latest).max(latest);
            self.frame(frame, latest, conn, socket, read.number);
        }
    }

    fn frame(&mut self, frame: &Frame, at: i64, conn: Option<ConnLabel>, socket: Socket, number: usize) {
        let from = if frame.kind == "send" { Side::Client } else { Side::Server };
        let wire = match frame.kind.as_str() {
            "send" | "receive" if (frame.opcode - 2.0).abs() < 0.5 => match BASE64.decode(frame.data.as_bytes()) {
                Ok(bytes) => Wire::Binary(socket, bytes),
                Err(_) => Wire::Binary(socket, frame.data.clone().into_bytes()),
            },
            "send" | "receive" => Wire::Text(socket, frame.data.clone()),
            "error" => Wire::Lost(socket, Failure::Reset),
            _ => {
                self.warnings
                    .push(format!("entry {number} holds a WebSocket message of an unknown type; it is left out"));
                return;
            }
        };
        self.put(at, conn, from, wire);
    }

    fn posted(&mut self, post: &PostData, number: usize) -> Vec<u8> {
        if let Some(text) = &post.text {
            return decoded(text, post.encoding.as_deref());
        }
        if let Some(file) = &post.file {
            return self.attachment(file, number);
        }
        let pairs = post.params.iter().map(|param| (param.name.as_str(), param.value.as_str()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
    }

    fn content(&mut self, content: &Content, number: usize) -> Vec<u8> {
        match (&content.text, &content.file) {
            (Some(text), _) => decoded(text, content.encoding.as_deref()),
            (None, Some(file)) => self.attachment(file, number),
            (None, None) => {
                if content.size.is_some_and(|size| size > 0.0) {
                    self.warnings.push(format!("entry {number} lacks the contents of its response"));
                }
                Vec::new()
            }
        }
    }

    fn attachment(&mut self, file: &str, number: usize) -> Vec<u8> {
        (self.attached)(file).unwrap_or_else(|| {
            self.warnings.push(format!("entry {number} has its contents in a file that is not there"));
            Vec::new()
        })
    }
}

/// Text or, if it says so, base64. What is not is taken as it stands.
fn decoded(text: &str, encoding: Option<&str>) -> Vec<u8> {
    let bytes = || BASE64.decode(text.as_bytes()).ok();
    encoding.filter(|encoding| *encoding == "base64").and_then(|_| bytes()).unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Microseconds in milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range saturates, and is nonsense in the file")]
fn micros(milliseconds: f64) -> i64 {
    (milliseconds.max(0.0) * 1_000.0).round() as i64
}

/// When a message of a WebSocket passed, in microseconds since 1970.
fn moment(frame: &Frame) -> Option<i64> {
    let milliseconds = if frame.time > MILLISECONDS_FROM { frame.time } else { frame.time * 1_000.0 };
    (frame.time > 0.0).then(|| micros(milliseconds))
}

/// Whose doing it was, and what, by the word of a browser.
fn failure(says: &str) -> (Side, Failure) {
    let says = says.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| says.contains(word));
    if has(&["abort", "cancel"]) {
        (Side::Client, Failure::Aborted)
    } else if has(&["timed_out", "timed out", "timeout"]) {
        (Side::Client, Failure::TimedOut)
    } else if has(&["refused", "name_not_resolved", "unreachable", "internet_disconnected"]) {
        (Side::Client, Failure::Unreachable)
    } else {
        (Side::Server, Failure::Reset)
    }
}

/// Everything by its time; what has the same time stands in the order of the file. Gives the moment of the first.
fn in_order(mut events: Vec<Happened>) -> (String, Vec<(Option<ConnLabel>, Entry)>) {
    events.sort_by_key(|event| event.at);
    let zero = events.first().map_or(0, |event| event.at);
    let start = Timestamp::from_microsecond(zero).unwrap_or_default().to_string();
    let since = |at: i64| Time::from_micros(u64::try_from(at - zero).unwrap_or_default());
    let entry = |event: Happened| (event.conn, Entry { at: since(event.at), from: event.from, wire: event.wire });
    (start, events.into_iter().map(entry).collect())
}
