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

use super::archive::{self, Archive};
use super::contents::{self, Attached};
use super::file::{File, Frame, Frames, Item, Log, headers};
use super::order::{Happened, connecting, end_what_is_over, in_order, put_causes_first, put_in_turn};
use super::original;
use crate::capture::{Capture, Config, Source};
use crate::redaction::{Keep, Shift};
use crate::tape::{ConnLabel, Finish};

/// A time above this is in milliseconds: in seconds it would be the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// No exchange and no WebSocket lasts longer, in microseconds: a year. What a file says beyond that is no time.
const LONGEST: i64 = 366 * 24 * 3_600 * 1_000_000;

/// How long before the start of its entry a message of a WebSocket may have its time, since clocks are set: a day, in microseconds.
const EARLIEST: i64 = 24 * 3_600 * 1_000_000;

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
    /// HTTP Toolkit.
    HttpToolkit,
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
            ("http toolkit", Self::HttpToolkit),
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
            Self::HttpToolkit => "httptoolkit",
            Self::Tapestry => "tapestry",
            Self::Other => "other",
        }
    }
}

/// What became of a HAR.
#[derive(Clone, Debug)]
pub enum Imported {
    /// The tape that it was exported from.
    Original {
        /// Its bytes.
        bytes: Vec<u8>,
        /// What it keeps on purpose.
        keep: Keep,
    },
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
    /// The connections that those names stand for.
    pub connections: Vec<Connection>,
    /// How many entries of the file were taken.
    pub taken: usize,
    /// How many were not, and why.
    pub left_out: LeftOut,
    /// What is missing, in words for the user; free of contents.
    pub warnings: Vec<String>,
}

/// A connection by the word of a HAR, which says what it carried and neither when it came nor when it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its name on the tape.
    pub label: ConnLabel,
    /// `http/1.1`, `h2`, `h3`, or `ws`.
    pub proto: &'static str,
    /// The address of the server if the file has it, else its host.
    pub peer: String,
    /// Whether it is encrypted.
    pub tls: bool,
}

/// How many entries of a HAR were left out, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Something is missing or wrong in them; a warning names each.
    pub unreadable: usize,
    /// They never went to a server, as `data:` and `blob:`.
    pub unsent: usize,
    /// They belong to the conversation with another server than the one that was asked for.
    pub elsewhere: usize,
    /// They are the rest of the page.
    pub unrelated: usize,
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maker, entries, left_out, warnings, .. } = self;
        f.debug_struct("Traffic")
            .field("maker", maker)
            .field("entries", &entries.len())
            .field("left_out", left_out)
            .field("warnings", warnings)
            .finish_non_exhaustive()
    }
}

impl Traffic {
    /// How many messages there are, whichever transport carries them.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.entries.iter().map(|(_, entry)| Batch::carried(&entry.wire).len() as u64).sum()
    }

    /// The redacted tape. A connection opens with the first thing on it and closes with the last one, unless something was
    /// still to come. What is missing stands in marks at the end. Wall times are moved if an amount is given.
    #[must_use]
    pub fn tape(&self, config: Config, shift: Option<Shift>) -> Vec<u8> {
        let config = Config { start: self.start.clone(), source: Source::Har(self.maker), ..config };
        let (mut capture, mut tape) = Capture::shifting(config, Keep::Nothing, shift);
        let mut unopened: BTreeMap<ConnLabel, &Connection> =
            self.connections.iter().map(|connection| (connection.label, connection)).collect();
        let closed_by = self.last_on_each();
        let mut end = Time::ZERO;
        for (place, (conn, entry)) in self.entries.iter().enumerate() {
            end = entry.at;
            if let Some(connection) = conn.and_then(|label| unopened.remove(&label)) {
                let Connection { label, proto, peer, tls } = connection;
                tape.extend(capture.synthetic_conn_open(end, *label, proto, peer, *tls));
            }
            tape.extend(capture.entry(*conn, entry));
            if let Some(label) = closed_by.get(&place) {
                tape.extend(capture.synthetic_conn_close(end, *label));
            }
        }
        for warning in &self.warnings {
            // A label is words, which the audit knows.
            tape.extend(capture.mark(end, &format!("import: {}", warning.replace([',', ';'], ""))));
        }
        tape.extend(capture.finish(end, Finish::Complete));
        tape
    }

    /// The places of the entries after which nothing is to come on a connection.
    fn last_on_each(&self) -> BTreeMap<usize, ConnLabel> {
        let mut last: BTreeMap<ConnLabel, usize> = BTreeMap::new();
        let mut open: BTreeMap<ConnLabel, usize> = BTreeMap::new();
        for (place, (conn, entry)) in self.entries.iter().enumerate() {
            let Some(label) = conn else { continue };
            last.insert(*label, place);
            let open = open.entry(*label).or_default();
            match entry.wire {
                Wire::Request(..) | Wire::Upgrade(..) => *open += 1,
                Wire::Response(..) | Wire::Broken(..) | Wire::Refused(..) | Wire::Lost(..) => {
                    *open = open.saturating_sub(1);
                }
                // A HAR does not tell when a WebSocket was closed.
                Wire::Upgraded(..)
                | Wire::Text(..)
                | Wire::Binary(..)
                | Wire::Ping(..)
                | Wire::Pong(..)
                | Wire::Close(..) => {}
            }
        }
        last.into_iter().filter(|(label, _)| open.get(label) == Some(&0)).map(|(label, place)| (place, label)).collect()
    }
}

/// Why a file gives no traffic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is a ZIP archive that gives no HAR.
    #[error("it is a ZIP archive, but {reason}")]
    Zip {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It is not JSON.
    #[error("it is not JSON: {reason}")]
    NotJson {
        /// Where and why.
        reason: String,
    },
    /// It is text of two bytes a character.
    #[error("it is UTF-16, and a HAR is UTF-8")]
    Utf16,
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
        /// Which of them could not be read, in words for the user; free of contents.
        warnings: Vec<String>,
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
    /// What may be the reason, in words for the user.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Nothing { warnings, .. } => warnings,
            Self::Zip { .. }
            | Self::NotJson { .. }
            | Self::Utf16
            | Self::NotHar
            | Self::Origins { .. }
            | Self::NoSuchOrigin { .. } => &[],
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Zip { .. } => {
                "unpack it and import the `.har` file inside; files that it names are looked for beside it"
            }
            Self::NotJson { .. } => "export the HAR again; a download that was cut short ends so",
            Self::Utf16 => "save it as UTF-8, which an editor can do; some shells write UTF-16 behind `>`",
            Self::NotHar => "a HAR is a JSON object with `log.entries`",
            Self::Nothing { mute: 0, .. } => "export with contents, and begin to record before the chat starts",
            Self::Nothing { .. } => {
                "Firefox and some proxies leave the messages out: export from Chrome, or put `tapestry record` in between; \
                 Playwright may have them in files beside the HAR, which have to stay there"
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
    /// Microseconds since 1970.
    began: i64,
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

    /// The status of the answer, if there was one.
    fn status(&self) -> Option<u16> {
        u16::try_from(self.item.response.status).ok().filter(|status| *status >= 100)
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The messages of a WebSocket.
    fn frames(&self) -> &[Frame] {
        self.item.frames.as_ref().map(|frames| frames.read.as_slice()).unwrap_or_default()
    }

    /// Fetches what tells whether it is Bayeux: the messages of a WebSocket, and what was posted.
    fn fetch(&mut self, attached: &mut dyn FnMut(&str) -> Option<Vec<u8>>) {
        if self.is_socket() && self.item.frames.is_none() {
            let lines = self.item.response.content.file.as_deref().and_then(&mut *attached);
            self.item.frames = lines.map(|lines| Frames::of_lines(&lines));
        }
        // Playwright has an empty text beside the name of the file.
        if let Some(post) = &mut self.item.request.post_data
            && let Some(file) = post.file.as_deref().filter(|_| post.text.as_deref().unwrap_or_default().is_empty())
        {
            post.text = attached(file).and_then(|bytes| String::from_utf8(bytes).ok());
        }
    }

    /// Host and port of the server, if its URL names one, else the port of its scheme.
    fn host(&self) -> (&str, Option<&str>) {
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        port.map_or((host, None), |(host, port)| (host, Some(port)))
    }

    fn is_encrypted(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// What the file calls the connection. `connection` may be the port of the server, which names none.
    fn connection(&self, maker: Maker) -> Option<String> {
        let text = |value: &Value| match value {
            Value::String(name) => Some(name.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let name =
            |value: &Option<Value>| value.as_ref().and_then(text).filter(|name| !matches!(name.as_str(), "" | "0"));
        let port = self.host().1.unwrap_or_else(|| if self.is_encrypted() { "443" } else { "80" });
        let is_port = |name: &str| maker == Maker::Firefox || name == port;
        name(&self.item.connection_id).or_else(|| name(&self.item.connection).filter(|name| !is_port(name)))
    }

    /// The other end: the address, with the port of the URL.
    fn peer(&self) -> String {
        let (host, port) = self.host();
        let address = self.item.server_address.trim();
        let host = match address {
            "" => host.to_owned(),
            _ if address.contains(':') && !address.starts_with('[') => format!("[{address}]"),
            _ => address.to_owned(),
        };
        port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    fn proto(&self) -> &'static str {
        let version = self.item.request.http_version.to_ascii_lowercase();
        if self.is_socket() {
            "ws"
        } else if version.contains("h2") || version.contains("/2") {
            "h2"
        } else if version.contains("h3") || version.contains("/3") {
            "h3"
        } else {
            "http/1.1"
        }
    }
}

/// Reads a HAR, or an archive with a HAR and the files that it names. `attached` gives the bytes of such a file otherwise,
/// `origin` chooses a server by the beginning of its URL if there are several.
///
/// # Errors
///
/// [`ImportError`] if it is no HAR, or nothing in it is Bayeux. An entry that cannot be read is left out with a warning.
pub fn import(
    bytes: &[u8],
    origin: Option<&str>,
    attached: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Imported, ImportError> {
    if !archive::is_archive(bytes) {
        return import_text(bytes, origin, attached);
    }
    let archive = Archive::read(bytes).map_err(|reason| ImportError::Zip { reason })?;
    let har = archive.har().map_err(|reason| ImportError::Zip { reason })?;
    import_text(&har, origin, &mut |name| archive.file(name))
}

fn import_text(
    bytes: &[u8],
    origin: Option<&str>,
    attached: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Imported, ImportError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if is_utf16(bytes) {
        return Err(ImportError::Utf16);
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| ImportError::NotJson { reason: error.to_string() })?;
    let File { log: Log { creator, entries: values, extra } } =
        serde_json::from_value(value).map_err(|_| ImportError::NotHar)?;
    let mut warnings = Vec::new();
    let entries = values.len();
    let (mut items, mut left_out) = read_items(values, &mut warnings);
    let maker = Maker::of(&creator.name);
    if let Some(extra) = &extra {
        let items: Vec<&Item> = items.iter().map(|read| &read.item).collect();
        match original::rebuild(extra, &items) {
            Some((bytes, keep)) => return Ok(Imported::Original { bytes, keep }),
            None => warnings.push("the file was changed since it was exported from a tape".to_owned()),
        }
    }
    for read in &mut items {
        read.fetch(attached);
    }
    let ours = choose(items, origin, entries, &mut left_out, &mut warnings)?;
    let mut sequence = Sequence {
        maker,
        events: Vec::new(),
        warnings,
        names: BTreeMap::new(),
        connections: Vec::new(),
        exchanges: 0,
        sockets: 0,
        left_out: 0,
        open: Vec::new(),
        attached,
    };
    for read in &ours {
        sequence.take(read);
    }
    let Sequence { mut events, mut warnings, connections, left_out: lacking, open, .. } = sequence;
    let over = end_what_is_over(&mut events, &open);
    warnings.extend(over.into_iter().map(|number| format!("entry {number} lacks its answer")));
    left_out.unreadable += lacking;
    let taken = ours.len() - lacking;
    put_causes_first(&mut events);
    // A connection of HTTP/1.1 has one exchange at a time.
    let single = connections.iter().filter(|it| it.proto == "http/1.1").map(|it| it.label);
    let single: BTreeSet<ConnLabel> = single.collect();
    put_in_turn(&mut events, |event| event.conn.filter(|conn| single.contains(conn)).into_iter().collect());
    // Playwright names no connections, and its durations end late by up to a second.
    if maker == Maker::Playwright {
        put_in_turn(&mut events, |event| event.messages.iter().filter_map(connecting).collect());
    }
    let (start, entries) = in_order(events);
    Ok(Imported::Traffic(Traffic { maker, start, entries, connections, taken, left_out, warnings }))
}

/// By its mark of the byte order, or by half of its first character, which is one of ASCII.
fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, second, ..] => (*first == 0) != (*second == 0),
        _ => false,
    }
}

fn read_items(entries: Vec<Value>, warnings: &mut Vec<String>) -> (Vec<Read>, LeftOut) {
    let (mut items, mut left_out) = (Vec::new(), LeftOut::default());
    for (number, entry) in (1..).zip(entries) {
        // The words of an error may hold a value of the file.
        let item: Option<Item> = serde_json::from_value(entry).ok();
        let Some((item, began)) = item.and_then(|item| {
            let began = item.started_date_time.parse::<Timestamp>().ok()?;
            Some((item, began.as_microsecond()))
        }) else {
            left_out.unreadable += 1;
            warnings.push(format!("entry {number} lacks a member or has a wrong one, and is left out"));
            continue;
        };
        match split(&item.request.url) {
            Some((origin, target)) => items.push(Read { number, item, began, origin, target }),
            None => left_out.unsent += 1,
        }
    }
    (items, left_out)
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
        return read.frames().iter().any(|frame| is_bayeux(frame.data.as_bytes())).then(|| path.trim_end_matches('/'));
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
fn choose(
    items: Vec<Read>,
    origin: Option<&str>,
    entries: usize,
    left_out: &mut LeftOut,
    warnings: &mut Vec<String>,
) -> Result<Vec<Read>, ImportError> {
    let bases: BTreeSet<(String, String)> =
        items.iter().filter_map(|read| Some((read.origin.clone(), base(read)?.to_owned()))).collect();
    let belongs = |read: &Read| {
        let below = |(origin, base): &(String, String)| {
            *origin == read.origin
                && read.path().strip_prefix(base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_target(&read.target) || bases.iter().any(below)
    };
    let is_mute = |read: &&Read| read.is_socket() && read.frames().is_empty();
    let mute = items.iter().filter(is_mute).count();
    let read = items.len();
    let ours: Vec<Read> = items.into_iter().filter(belongs).collect();
    left_out.unrelated = read - ours.len();
    if ours.is_empty() {
        return Err(ImportError::Nothing { entries, mute, warnings: std::mem::take(warnings) });
    }
    let origins: Vec<String> =
        ours.iter().map(|read| read.origin.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    match origin {
        None if origins.len() > 1 => Err(ImportError::Origins { origins }),
        None => Ok(ours),
        Some(asked) => {
            let wanted = split(asked).map_or_else(|| asked.to_owned(), |(origin, _)| origin);
            let all = ours.len();
            let ours: Vec<Read> = ours.into_iter().filter(|read| read.origin == wanted).collect();
            left_out.elsewhere = all - ours.len();
            if ours.is_empty() { Err(ImportError::NoSuchOrigin { origin: wanted, origins }) } else { Ok(ours) }
        }
    }
}

struct Sequence<'a> {
    maker: Maker,
    events: Vec<Happened>,
    warnings: Vec<String>,
    /// By the name in the file; a WebSocket without one has a connection of its own, by the number of its entry.
    names: BTreeMap<Result<String, usize>, ConnLabel>,
    connections: Vec<Connection>,
    exchanges: u64,
    sockets: u64,
    /// How many entries were left out since something is missing in them.
    left_out: usize,
    /// The exchanges without an answer: the places of their requests, and the numbers of their entries.
    open: Vec<(usize, usize)>,
    attached: Attached<'a>,
}

impl Sequence<'_> {
    fn take(&mut self, read: &Read) {
        let conn = self.connection(read);
        if read.is_socket() {
            self.socket(read, conn);
        } else {
            self.exchange(read, conn);
        }
    }

    fn connection(&mut self, read: &Read) -> Option<ConnLabel> {
        let named = read.connection(self.maker).map(Ok);
        let name = named.or_else(|| read.is_socket().then_some(Err(read.number)))?;
        if let Some(label) = self.names.get(&name) {
            return Some(*label);
        }
        let label = ConnLabel(self.connections.len() as u64 + 1);
        self.names.insert(name, label);
        let (proto, peer, tls) = (read.proto(), read.peer(), read.is_encrypted());
        self.connections.push(Connection { label, proto, peer, tls });
        Some(label)
    }

    fn put(&mut self, at: i64, conn: Option<ConnLabel>, from: Side, wire: Wire) {
        self.events.push(Happened { at, conn, from, messages: Batch::carried(&wire), wire });
    }

    fn exchange(&mut self, read: &Read, conn: Option<ConnLabel>) {
        let began = read.began;
        let body = match contents::posted(&read.item.request, &read.target, self.attached) {
            Ok(body) => body,
            Err(lack) => {
                self.warnings.push(lack.says(read.number, "request"));
                self.left_out += 1;
                return;
            }
        };
        self.exchanges += 1;
        let exchange = Exchange(self.exchanges);
        let method = read.item.request.method.as_str();
        let is_posted = !body.is_empty();
        self.put(began, conn, Side::Client, Wire::Request(exchange, wire::Request { body, ..asked(read) }));
        let holds_messages = self.events.last().is_some_and(|event| !event.messages.is_empty());
        // Leave to ask, or the head alone, is no part of the conversation.
        let asks = match method {
            "GET" => holds_messages || is_target(&read.target),
            "POST" => is_posted || is_target(&read.target),
            _ => false,
        };
        let whole = read.item.time.filter(|time| *time >= 0.0);
        let took = micros(whole.unwrap_or_else(|| read.item.timings.whole()));
        if took > LONGEST {
            self.warnings.push(format!(
                "entry {} has a duration of more than a year and its answer is taken as immediate",
                read.number
            ));
        }
        let ended = began.saturating_add(if took > LONGEST { 0 } else { took });
        let response = &read.item.response;
        let says = response.error.as_ref().or(response.failure.as_ref()).map(|says| failure(says));
        let Some(status) = read.status() else {
            match says {
                Some((by, failure)) => self.put(ended, conn, by, Wire::Broken(exchange, failure)),
                None => self.open.push((self.events.len() - 1, read.number)),
            }
            return;
        };
        // Only a success holds messages.
        let matters = status == 200 && asks;
        let body = contents::answered(response, matters, self.attached);
        // The file says itself why they are missing.
        let failed = says.filter(|_| body.as_ref().map_or(matters, Vec::is_empty));
        match (failed, body) {
            (Some((by, failure)), _) => self.put(ended, conn, by, Wire::Broken(exchange, failure)),
            // What the server said is not known; that it said nothing is not true.
            (None, Err(lack)) if matters => {
                self.warnings.push(lack.says(read.number, "response"));
                self.put(ended, conn, Side::Client, Wire::Broken(exchange, Failure::Aborted));
            }
            (None, body) => {
                let (headers, body) = (headers(&response.headers), body.unwrap_or_default());
                self.put(ended, conn, Side::Server, Wire::Response(exchange, wire::Response { status, headers, body }));
            }
        }
    }

    fn socket(&mut self, read: &Read, conn: Option<ConnLabel>) {
        let began = read.began;
        self.sockets += 1;
        let socket = Socket(self.sockets);
        self.put(began, conn, Side::Client, Wire::Upgrade(socket, asked(read)));
        let frames = read.frames();
        let moment = |frame: &Frame| moment(frame).filter(|at| is_possible(*at, began));
        let first = frames.iter().filter_map(moment).next();
        let answered = began.saturating_add(micros(read.item.timings.until_response()));
        let answered = first.map_or(answered, |first| answered.min(first)).max(began);
        let fields = headers(&read.item.response.headers);
        match read.status() {
            // The answer is left out, or is that of HTTP/2, where messages prove that there was one.
            status if status == Some(101) || !frames.is_empty() => {
                self.put(answered, conn, Side::Server, Wire::Upgraded(socket, fields));
            }
            Some(status) => {
                // Why it was refused is no message.
                let body = contents::answered(&read.item.response, false, self.attached).unwrap_or_default();
                let response = wire::Response { status, headers: fields, body };
                self.put(answered, conn, Side::Server, Wire::Refused(socket, response));
                return;
            }
            None => {
                self.put(answered, conn, Side::Server, Wire::Lost(socket, Failure::Unreachable));
                return;
            }
        }
        let (unreadable, without_data) =
            read.item.frames.as_ref().map_or((0, 0), |frames| (frames.unreadable, frames.without_data));
        if frames.is_empty() && without_data == 0 {
            let says = "is a WebSocket without its messages, which the exporter left out";
            self.warnings.push(format!("entry {} {says}", read.number));
        }
        let untimed = frames.iter().filter(|frame| frame.is_message() && moment(frame).is_none()).count();
        let not_base64 = frames
            .iter()
            .filter(|frame| frame.is_message() && binary(frame).is_some_and(|bytes| bytes.is_err()))
            .count();
        for (count, says) in [
            (unreadable, "WebSocket messages that cannot be read"),
            (without_data, "WebSocket messages without data and they are left out"),
            (not_base64, "binary WebSocket messages that are not base64 and are taken as they stand"),
            (untimed, "WebSocket messages without a possible time and each is taken at that of the one before"),
        ] {
            if count > 0 {
                self.warnings.push(format!("entry {} holds {says}: {count}", read.number));
            }
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
            "send" | "receive" => match binary(frame) {
                Some(bytes) => Wire::Binary(socket, bytes.unwrap_or_else(|_| frame.data.clone().into_bytes())),
                None => Wire::Text(socket, frame.data.clone()),
            },
            "error" => Wire::Lost(socket, Failure::Reset),
            _ => {
                self.warnings
                    .push(format!("entry {number} holds a WebSocket message of an unknown type; it is left out"));
                return;
            }
        };
        self.put(at, conn, from, wire);
    }
}

/// The head of a request.
fn asked(read: &Read) -> wire::Request {
    let request = &read.item.request;
    wire::Request {
        method: request.method.clone(),
        target: read.target.clone(),
        headers: headers(&request.headers),
        body: Vec::new(),
    }
}

/// What a binary message of a WebSocket holds, an error if it is not base64; `None` of any other message.
fn binary(frame: &Frame) -> Option<Result<Vec<u8>, base64::DecodeError>> {
    ((frame.opcode - 2.0).abs() < 0.5).then(|| BASE64.decode(frame.data.as_bytes()))
}

/// Whether a message of a WebSocket may have passed then, both in microseconds since 1970.
const fn is_possible(at: i64, began: i64) -> bool {
    let since = at.saturating_sub(began);
    -EARLIEST <= since && since <= LONGEST
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
