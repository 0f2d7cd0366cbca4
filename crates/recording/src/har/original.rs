//! What an exported HAR keeps of its tape: every line that its entries do not say. The lines of messages are made again
//! from the bodies and WebSocket messages of the HAR, unless they would not come out the same.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::bayeux::batch::{Batch, Limits};

use super::file::{Extra, Item};
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
    fits.then(|| (n + 1..).zip(&inner).map(|(n, kind)| kind.line(n, t).trim_end().to_owned()).collect())
}

fn body_mime(kind: &Kind) -> String {
    match kind {
        Kind::HttpReq { headers, .. } | Kind::HttpRes { headers, .. } => mime(headers),
        Kind::WsMsg { opcode: 2, .. } => "application/octet-stream".to_owned(),
        _ => "text/plain".to_owned(),
    }
}

/// The bytes of the tape that a HAR was exported from; `None` if it was changed since so that they are no tape any more.
pub(super) fn rebuild(log: &Extra, items: &[&Item]) -> Option<Vec<u8>> {
    let of_items =
        items.iter().flat_map(|item| item.extra.iter().flat_map(|extra| &extra.lines).map(|l| (l, Some(*item))));
    let mut lines = Vec::new();
    for (text, item) in log.lines.iter().map(|line| (line, None)).chain(of_items) {
        let record = line_of(text)?;
        lines.push((record, text, item));
    }
    lines.sort_by_key(|((n, ..), ..)| *n);
    let mut bytes = format!("{}\n", log.header);
    let mut frames_of: Vec<usize> = vec![0; items.len()];
    for (place, ((n, t, kind), text, item)) in lines.iter().enumerate() {
        bytes.push_str(text);
        bytes.push('\n');
        let frame = match (kind, item) {
            (Kind::WsMsg { .. }, Some(item)) => {
                let taken = items.iter().zip(&mut frames_of).find(|(other, _)| std::ptr::eq(**other, *item));
                let taken = taken.map(|(_, taken)| taken)?;
                *taken += 1;
                *taken - 1
            }
            _ => 0,
        };
        let written = lines.get(place + 1).is_some_and(|((next, ..), ..)| *next == n + 1);
        if kind.carried().lines() == 0 || written {
            continue;
        }
        for line in inner_lines(kind, *n, *t, &carried(kind, (*item)?, frame)?)? {
            bytes.push_str(&line);
            bytes.push('\n');
        }
    }
    let bytes = bytes.into_bytes();
    Tape::read(&bytes).ok().filter(|tape| tape.torn() == 0).map(|_| bytes)
}

/// What the entry holds of what a unit carries.
fn carried(kind: &Kind, item: &Item, frame: usize) -> Option<String> {
    match kind {
        Kind::HttpReq { .. } => item.request.post_data.as_ref()?.text.clone(),
        Kind::HttpRes { .. } => item.response.content.text.clone(),
        Kind::WsMsg { opcode, .. } => {
            let data = &item.frames.as_ref()?.get(frame)?.data;
            if *opcode == 2 { String::from_utf8(BASE64.decode(data.as_bytes()).ok()?).ok() } else { Some(data.clone()) }
        }
        _ => None,
    }
}
