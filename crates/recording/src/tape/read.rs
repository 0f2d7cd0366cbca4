//! The reader: lines to records, and every reason to refuse.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use protocol::wire::{Failure, Headers, Side};
use serde_json::Value;
use serde_json::value::RawValue;

use super::record::{FAILURES, failure_word, side_word};
use super::{
    Carried, Closer, ConnLabel, Control, Finish, Header, Kind, Link, MAX_DEPTH, MAX_LINE, Part, ReadError, Record,
    Status, Tape, VERSION, Version,
};
use crate::json::{member, members, text_of};
use crate::redaction::Keep;

/// How a tape's first line begins.
const HEADER_START: &[u8] = br#"{"k":"hdr""#;

pub(super) fn read(bytes: &[u8]) -> Result<Tape, ReadError> {
    let mut lines = Lines { bytes, at: 0, number: 0 };
    let (header, header_text) = read_header(bytes, &mut lines)?;
    let mut reader = Reader::default();
    let mut whole = lines.at;
    while let Some(line) = lines.next() {
        if line.bytes.starts_with(b"#") || line.bytes.is_empty() {
            continue;
        }
        reader.take(&line, &bytes[..line.start])?;
        if reader.open.is_none() {
            whole = lines.at;
        }
    }
    let records = reader.finish();
    let torn = if records.status == Status::Interrupted { bytes.len() - whole } else { 0 };
    if records.status != Status::Interrupted && lines.at < bytes.len() {
        return Err(ReadError::AfterEnd { line: lines.number + 1 });
    }
    Ok(Tape { header, header_text, records: records.records, status: records.status, torn })
}

/// The complete lines of a file.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

struct Line<'a> {
    bytes: &'a [u8],
    /// Where it begins in the file.
    start: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line that ends with a line feed; `None` at the end and before a torn line.
    fn next(&mut self) -> Option<Line<'a>> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        let line = Line { bytes: &rest[..length], start: self.at, number: self.number + 1 };
        self.at += length + 1;
        self.number += 1;
        Some(line)
    }
}

impl<'a> Line<'a> {
    fn members(&self) -> Result<(&'a str, Members<'a>), ReadError> {
        let garbage = |what| ReadError::Garbage { line: self.number, what };
        if self.bytes.len() > MAX_LINE {
            return Err(garbage("the line is longer than 16 MiB"));
        }
        let text = std::str::from_utf8(self.bytes).map_err(|_| garbage("the line is not UTF-8"))?;
        if too_deep(text) {
            return Err(garbage("the line nests deeper than 100 levels"));
        }
        let members = members(text).ok_or_else(|| garbage("the line is not a JSON object"))?;
        Ok((text, Members(members)))
    }
}

fn read_header(bytes: &[u8], lines: &mut Lines<'_>) -> Result<(Header, String), ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    if !bytes.starts_with(HEADER_START) {
        if HEADER_START.starts_with(bytes) {
            return Err(ReadError::HeaderTorn);
        }
        return Err(ReadError::NotATape { found: looks_like(bytes) });
    }
    let line = lines.next().ok_or(ReadError::HeaderTorn)?;
    let (text, header) = line.members()?;
    let missing = |member| ReadError::Header { member };
    let version = header.text("v").ok_or_else(|| missing("v"))?;
    let version = parse_version(&version).ok_or_else(|| missing("v"))?;
    if version.major != VERSION.major {
        return Err(ReadError::NewerVersion { found: version.to_string() });
    }
    let tool = header.object("tool").ok_or_else(|| missing("tool"))?;
    let redact = header.object("redact").ok_or_else(|| missing("redact"))?;
    let env = match header.0.iter().find(|(name, _)| name == "env") {
        None => BTreeMap::new(),
        Some((_, env)) => serde_json::from_str(env.get()).map_err(|_| missing("env"))?,
    };
    let header = Header {
        version,
        tool: tool.text("version").ok_or_else(|| missing("tool"))?,
        git: tool.text("git").unwrap_or_default(),
        start: header.text("start").ok_or_else(|| missing("start"))?,
        id: header.text("id").ok_or_else(|| missing("id"))?,
        source: header.text("source").unwrap_or_default(),
        scenario: header.text("scenario"),
        seed: header.whole("seed"),
        env,
        part: match header.raw("part") {
            None => None,
            Some(_) => Some(part(&header).ok_or_else(|| missing("part"))?),
        },
        key_id: redact.text("keyId").ok_or_else(|| missing("redact"))?,
        policy: redact.whole("version").and_then(|version| u32::try_from(version).ok()).unwrap_or(1),
        keep: match (redact.text("mode").as_deref(), redact.text("keep").as_deref()) {
            (Some("none"), _) => Keep::Everything,
            (_, None) => Keep::Nothing,
            (_, Some("texts")) => Keep::Texts,
            // What a later version keeps is not known here.
            (_, Some(_)) => return Err(missing("redact")),
        },
        is_shifted: redact.text("times").is_some(),
    };
    Ok((header, text.to_owned()))
}

fn part(header: &Members<'_>) -> Option<Part> {
    let part = header.object("part")?;
    let number = part.whole("number").filter(|number| *number > 0)?;
    Some(Part { number, after: part.whole("after")? })
}

/// What a foreign file seems to be.
fn looks_like(bytes: &[u8]) -> &'static str {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]);
    let start = start.trim_start_matches('\u{feff}').trim_start();
    let squeezed: String = start.chars().filter(|c| !c.is_whitespace()).collect();
    if squeezed.starts_with(r#"{"log":{"#) {
        "it looks like a HAR file"
    } else if start.starts_with('<') {
        "it looks like HTML or XML"
    } else if start.starts_with('{') {
        "it begins with a JSON object that is no header"
    } else if start.starts_with('[') {
        "it begins with a JSON array"
    } else {
        "it does not begin with JSON"
    }
}

fn parse_version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some(Version { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

fn too_deep(text: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A unit whose inner lines have not all come.
#[derive(Clone, Copy)]
struct Open {
    n: u64,
    line: usize,
    carried: Carried,
    found: usize,
    /// How many records stood before the unit.
    before: usize,
}

#[derive(Default)]
struct Reader {
    records: Vec<Record>,
    counts: BTreeMap<String, u64>,
    n: u64,
    t: u64,
    open: Option<Open>,
    end: Option<Status>,
}

struct Finished {
    records: Vec<Record>,
    status: Status,
}

impl Reader {
    fn take(&mut self, line: &Line<'_>, before: &[u8]) -> Result<(), ReadError> {
        if self.end.is_some() {
            return Err(ReadError::AfterEnd { line: line.number });
        }
        let (text, members) = line.members()?;
        let garbage = |what| ReadError::Garbage { line: line.number, what };
        let word = members.text("k").ok_or_else(|| garbage("the line has no kind `k`"))?;
        let n = members.whole("n").ok_or_else(|| garbage("the line has no counter `n`"))?;
        let t = members.whole("t").ok_or_else(|| garbage("the line has no time `t`"))?;
        if n != self.n + 1 {
            return Err(ReadError::Counter { line: line.number, expected: self.n + 1, found: n });
        }
        if t < self.t {
            return Err(ReadError::Time { line: line.number, previous: self.t, found: t });
        }
        let member = |member| ReadError::Member { line: line.number, kind: word.clone(), member };
        let kind = kind(&word, &members).map_err(member)?;
        self.check_unit(line.number, &kind)?;
        if let Kind::End { status, counts, next, hash, .. } = &kind {
            if *hash != hash_of(before) {
                return Err(ReadError::Hash { line: line.number });
            }
            if *counts != self.counts {
                return Err(ReadError::Counts { line: line.number });
            }
            // The end of a part has a word that readers who know of no parts take for less than complete.
            self.end = Some(match (next, status) {
                (Some(part), _) => Status::GoesOn { part: *part },
                (None, Finish::Complete) => Status::Complete,
                (None, Finish::Aborted) => Status::Aborted,
            });
        }
        if kind.carried().lines() > 0 {
            let before = self.records.len();
            self.open = Some(Open { n, line: line.number, carried: kind.carried(), found: 0, before });
        }
        let since = members.optional("since").map_err(member)?;
        *self.counts.entry(word).or_default() += 1;
        (self.n, self.t) = (n, t);
        self.records.push(Record { line: line.number, n, t, since, kind, text: text.to_owned() });
        Ok(())
    }

    /// Holds the line against the unit that is open.
    fn check_unit(&mut self, line: usize, kind: &Kind) -> Result<(), ReadError> {
        let Some(open) = &mut self.open else {
            return match kind {
                Kind::Msg { .. } => {
                    Err(ReadError::Garbage { line, what: "a `msg` record without a unit that announces it" })
                }
                Kind::Body { .. } => {
                    Err(ReadError::Garbage { line, what: "a `body` record without a unit that announces it" })
                }
                _ => Ok(()),
            };
        };
        let fits = match (kind, open.carried) {
            (Kind::Msg { unit, position, .. }, Carried::Array(_) | Carried::Single) => {
                *unit == open.n && *position == open.found
            }
            (Kind::Body { unit, .. }, Carried::Body) => *unit == open.n,
            _ => false,
        };
        let expected = open.carried.lines();
        if !fits {
            return Err(ReadError::MessageCount { line, unit: open.line, expected, found: open.found });
        }
        open.found += 1;
        if open.found == expected {
            self.open = None;
        }
        Ok(())
    }

    fn finish(mut self) -> Finished {
        if let Some(open) = self.open {
            self.records.truncate(open.before);
        }
        Finished { records: self.records, status: self.end.unwrap_or(Status::Interrupted) }
    }
}

/// Counter, time and meaning of a line by itself; `None` if it is no record.
pub(crate) fn line_of(text: &str) -> Option<(u64, u64, Kind)> {
    let members = Members(members(text)?);
    let kind = kind(&members.text("k")?, &members).ok()?;
    Some((members.whole("n")?, members.whole("t")?, kind))
}

/// The hash of the bytes before the last line, as the `end` record has it.
pub(crate) fn hash_of(bytes: &[u8]) -> String {
    format!("blake3:{}", blake3::hash(bytes).to_hex())
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        member(&self.0, name)
    }

    fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        text_of(&self.0, name)
    }

    fn whole(&self, name: &str) -> Option<u64> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// Whether a member says `true`.
    fn flag(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| raw.get() == "true")
    }

    /// A number that may be missing but must be right if it is there.
    fn optional(&self, name: &'static str) -> Result<Option<u64>, &'static str> {
        self.raw(name).map(|raw| serde_json::from_str(raw.get()).map_err(|_| name)).transpose()
    }

    /// The text of an object as it stands.
    fn raw_object(&self, name: &str) -> Option<Box<RawValue>> {
        self.raw(name).filter(|raw| raw.get().starts_with('{')).map(ToOwned::to_owned)
    }

    /// Counts that may be missing.
    fn counts(&self, name: &'static str) -> Result<BTreeMap<String, u64>, &'static str> {
        self.raw(name).map_or_else(|| Ok(BTreeMap::new()), |raw| serde_json::from_str(raw.get()).map_err(|_| name))
    }

    /// Texts that may be missing.
    fn texts(&self, name: &'static str) -> Result<Vec<String>, &'static str> {
        self.raw(name).map_or_else(|| Ok(Vec::new()), |raw| serde_json::from_str(raw.get()).map_err(|_| name))
    }

    fn object(&self, name: &str) -> Option<Self> {
        members(self.raw(name)?.get()).map(Members)
    }
}

/// The record of a line, or the name of the member that is missing or wrong.
fn kind(word: &str, members: &Members<'_>) -> Result<Kind, &'static str> {
    let conn = || members.text("c").as_deref().and_then(|c| number_behind(c, 'h')).map(ConnLabel).ok_or("c");
    let link = || members.text("x").as_deref().and_then(parse_link).ok_or("x");
    let socket = || link().and_then(|link| if matches!(link, Link::Socket(_)) { Ok(link) } else { Err("x") });
    let exchange = || link().and_then(|link| if matches!(link, Link::Exchange(_)) { Ok(link) } else { Err("x") });
    let text = |name: &'static str| members.text(name).ok_or(name);
    let by = || match members.text("by").as_deref() {
        Some(word) if word == side_word(Side::Client) => Ok(Side::Client),
        Some(word) if word == side_word(Side::Server) => Ok(Side::Server),
        _ => Err("by"),
    };
    let from = || match members.text("type").as_deref() {
        Some("send") => Ok(Side::Client),
        Some("receive") => Ok(Side::Server),
        _ => Err("type"),
    };
    let unit = || members.whole("u").ok_or("u");
    Ok(match word {
        "conn.open" => Kind::ConnOpen {
            conn: conn()?,
            proto: text("proto")?,
            peer: text("peer")?,
            tls: members.value("tls").and_then(|tls| tls.as_bool()).ok_or("tls")?,
            synthetic: members.flag("synthetic"),
        },
        "conn.close" => Kind::ConnClose {
            conn: conn()?,
            by: match text("by")?.as_str() {
                "client" => Closer::Client,
                "server" => Closer::Server,
                "net" => Closer::Net,
                _ => return Err("by"),
            },
            error: if members.raw("error").is_some() { Some(failure(members)?) } else { None },
            synthetic: members.flag("synthetic"),
        },
        "http.req" => Kind::HttpReq {
            conn: conn()?,
            link: link()?,
            method: text("method")?,
            url: text("url")?,
            headers: headers(members)?,
            carried: carried(members)?,
            bytes: members.optional("bytes")?,
        },
        "http.res" => Kind::HttpRes {
            conn: conn()?,
            link: link()?,
            status: small(members, "status")?,
            headers: headers(members)?,
            carried: carried(members)?,
            bytes: members.optional("bytes")?,
        },
        "http.err" => Kind::HttpErr { conn: conn()?, link: exchange()?, by: by()?, error: failure(members)? },
        "ws.open" => Kind::WsOpen { conn: conn()?, link: socket()?, headers: headers(members)? },
        "ws.msg" => Kind::WsMsg {
            conn: conn()?,
            link: socket()?,
            from: from()?,
            opcode: match members.whole("opcode") {
                Some(1) => 1,
                Some(2) => 2,
                _ => return Err("opcode"),
            },
            carried: carried(members)?,
            bytes: members.optional("bytes")?,
        },
        "ws.ctl" => Kind::WsCtl {
            conn: conn()?,
            link: socket()?,
            from: from()?,
            control: match members.whole("opcode") {
                Some(8) => Control::Close { code: small(members, "code")?, reason: text("reason")? },
                Some(9) => Control::Ping(text("payload")?),
                Some(10) => Control::Pong(text("payload")?),
                _ => return Err("opcode"),
            },
        },
        "ws.err" => Kind::WsErr { conn: conn()?, link: socket()?, by: by()?, error: failure(members)? },
        "msg" => Kind::Msg {
            unit: unit()?,
            position: members.whole("j").and_then(|j| usize::try_from(j).ok()).ok_or("j")?,
            message: members.raw_object("m").ok_or("m")?,
        },
        "body" => Kind::Body {
            unit: unit()?,
            mime: text("mime")?,
            content: match members.text("b64") {
                Some(digits) => BASE64_STANDARD.decode(digits).map_err(|_| "b64")?,
                None => text("text")?.into_bytes(),
            },
        },
        "mark" => Kind::Mark {
            label: text("label")?,
            tokens: match members.raw("tokens") {
                Some(raw) => serde_json::from_str(raw.get()).map_err(|_| "tokens")?,
                None => Vec::new(),
            },
        },
        "call" => Kind::Call { operation: text("op")?, arguments: members.raw_object("args").ok_or("args")? },
        "timer" => Kind::Timer { name: text("name")?, due: members.optional("due")? },
        "rand" => Kind::Rand { purpose: text("use")?, value: members.whole("value").ok_or("value")? },
        "fault" => Kind::Fault {
            fault: text("kind")?,
            place: text("where")?,
            parameters: members.raw_object("params").ok_or("params")?,
        },
        "clock" => Kind::Clock {
            wall: text("wall")?,
            step: members.raw("step").and_then(|raw| serde_json::from_str(raw.get()).ok()).ok_or("step")?,
        },
        "redacted" => Kind::Redacted { counts: members.counts("counts")?, paths: members.texts("paths")? },
        "end" => Kind::End {
            status: match text("status")?.as_str() {
                "complete" => Finish::Complete,
                "aborted" => Finish::Aborted,
                _ => return Err("status"),
            },
            counts: members.raw("counts").and_then(|raw| serde_json::from_str(raw.get()).ok()).ok_or("counts")?,
            redacted: members.counts("redacted")?,
            paths: members.texts("paths")?,
            next: members.optional("next")?,
            hash: text("hash")?,
        },
        "hdr" => return Err("k"),
        _ => Kind::Unknown,
    })
}

fn small(members: &Members<'_>, name: &'static str) -> Result<u16, &'static str> {
    members.whole(name).and_then(|number| u16::try_from(number).ok()).ok_or(name)
}

fn number_behind(text: &str, letter: char) -> Option<u64> {
    let digits = text.strip_prefix(letter)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn parse_link(text: &str) -> Option<Link> {
    number_behind(text, 'e').map(Link::Exchange).or_else(|| number_behind(text, 's').map(Link::Socket))
}

fn carried(members: &Members<'_>) -> Result<Carried, &'static str> {
    let messages = members.whole("msgs").and_then(|count| usize::try_from(count).ok()).ok_or("msgs")?;
    let body = members.value("body").is_some_and(|body| body == Value::Bool(true));
    Ok(match (members.text("batch").as_deref(), messages, body) {
        (Some("array"), messages, false) => Carried::Array(messages),
        (Some("single"), 1, false) => Carried::Single,
        (None, 0, true) => Carried::Body,
        (None, 0, false) => Carried::Nothing,
        _ => return Err("batch"),
    })
}

fn headers(members: &Members<'_>) -> Result<Headers, &'static str> {
    let Some(raw) = members.raw("headers") else { return Ok(Headers::new()) };
    let fields: Vec<Value> = serde_json::from_str(raw.get()).map_err(|_| "headers")?;
    let field =
        |field: &Value| Some((field.get("name")?.as_str()?.to_owned(), field.get("value")?.as_str()?.to_owned()));
    let fields: Option<Vec<(String, String)>> = fields.iter().map(field).collect();
    fields.map(Headers).ok_or("headers")
}

fn failure(members: &Members<'_>) -> Result<Failure, &'static str> {
    let class = members.object("error").and_then(|error| error.text("class")).ok_or("error")?;
    FAILURES.into_iter().find(|failure| failure_word(failure) == class).ok_or("error")
}
