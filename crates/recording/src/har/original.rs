//! What an exported HAR keeps of its tape: every line that its entries do not say. The lines of messages are made again
//! from the bodies and WebSocket messages of the HAR, unless they would not come out the same.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::bayeux::batch::{Batch, Limits};

use super::file::{Extra, Item};
use crate::redaction::Keep;
use crate::tape::{Carried, Kind, MAX_LINE, Tape, line_of, mime};

/// The lines behind that of a unit, made from what its carrier holds; `None` if that is not what the unit announces.
pub(super) fn inner_lines(kind: &Kind, n: u64, t: u64, text: &str) -> Option<Vec<String>> {
    let limits = Limits { bytes: MAX_LINE, ..Limits::default() };
    let inner: Vec<Kind> = match kind.carried() {
        Carried::Nothing => Vec::new(),
        Carried::Body => vec![Kind::Body { unit: n, mime: body_mime(kind), content: text.as_bytes().to_vec() }],
        Carried::Array(_) | Carried::Single => {
            let batch = Batch::parse(text.as_bytes(), &limits).ok()?;
            let messages = batch.messages.iter().map(|message| message.raw().to_owned());
            messages.enumerate().map(|(position, message)| Kind::Msg { unit: n, position, message }).collect()
        }
    };
    let fits = inner.len() == kind.carried().lines();
    fits.then(|| (n + 1..).zip(&inner).map(|(n, kind)| kind.line(n, t, None).trim_end().to_owned()).collect())
}

fn body_mime(kind: &Kind) -> String {
    match kind {
        Kind::HttpReq { headers, .. } | Kind::HttpRes { headers, .. } => mime(headers),
        Kind::WsMsg { opcode: 2, .. } => "application/octet-stream".to_owned(),
        _ => "text/plain".to_owned(),
    }
}

/// The bytes of the tape that a HAR was exported from, and what it keeps on purpose; `None` if it was changed since so that they are no tape any more.
pub(super) fn rebuild(log: &Extra, items: &[&Item]) -> Option<(Vec<u8>, Keep)> {
    // Each line with the place of the entry that has it.
    let mut lines = Vec::new();
    for text in &log.lines {
        lines.push((line_of(text)?, text, None));
    }
    for (place, item) in items.iter().enumerate() {
        for text in item.extra.iter().flat_map(|extra| &extra.lines) {
            lines.push((line_of(text)?, text, Some(place)));
        }
    }
    lines.sort_by_key(|((n, ..), ..)| *n);
    let mut bytes = format!("{}\n", log.header);
    let mut frames_of: Vec<usize> = vec![0; items.len()];
    for (at, ((n, t, kind), text, place)) in lines.iter().enumerate() {
        bytes.push_str(text);
        bytes.push('\n');
        let is_written = lines.get(at + 1).is_some_and(|((next, ..), ..)| *next == n + 1);
        let frame = match (kind, place) {
            (Kind::WsMsg { .. }, Some(place)) => {
                frames_of[*place] += 1;
                frames_of[*place] - 1
            }
            _ => 0,
        };
        if kind.carried().lines() == 0 || is_written {
            continue;
        }
        let item = items[(*place)?];
        for line in inner_lines(kind, *n, *t, &carried(kind, item, frame)?)? {
            bytes.push_str(&line);
            bytes.push('\n');
        }
    }
    let bytes = bytes.into_bytes();
    let tape = Tape::read(&bytes).ok().filter(|tape| tape.torn() == 0)?;
    let keep = tape.header().keep;
    Some((bytes, keep))
}

/// What the entry holds of what a unit carries.
fn carried(kind: &Kind, item: &Item, frame: usize) -> Option<String> {
    match kind {
        Kind::HttpReq { .. } => item.request.post_data.as_ref()?.text.clone(),
        Kind::HttpRes { .. } => item.response.content.text.clone(),
        Kind::WsMsg { opcode, .. } => {
            let data = &item.frames.as_ref()?.messages().nth(frame)?.data;
            if *opcode == 2 { String::from_utf8(BASE64.decode(data.as_bytes()).ok()?).ok() } else { Some(data.clone()) }
        }
        _ => None,
    }
}
