//! Differences for a person at a terminal and for a program: pairs of messages with the differing members marked.

use serde_json::{Value, json};

use super::{Difference, Shown};
use crate::json::quoted;

/// Where a line may be broken; no JSON text holds this character.
const BREAK: char = '\0';

/// The text of all differences, each line at most `width` columns wide where members allow it. Empty if there are none.
#[must_use]
pub fn text(differences: &[Difference], width: usize) -> String {
    let mut text = String::new();
    for difference in differences {
        text.push_str(&block(difference, width));
    }
    match differences.len() {
        0 => {}
        1 => text.push_str("1 difference\n"),
        many => text.push_str(&format!("{many} differences\n")),
    }
    text
}

/// All differences as JSON, in order.
#[must_use]
pub fn json(differences: &[Difference]) -> Value {
    let shown = |shown: &Option<Shown>| {
        shown.as_ref().map(|shown| {
            let from = match shown.from {
                protocol::wire::Side::Client => "client",
                protocol::wire::Side::Server => "server",
            };
            json!({"line": shown.line, "from": from, "message": shown.value})
        })
    };
    let difference = |difference: &Difference| {
        json!({
            "session": difference.session,
            "members": difference.members,
            "before": shown(&difference.before),
            "after": shown(&difference.after),
        })
    };
    json!({ "differences": differences.iter().map(difference).collect::<Vec<_>>() })
}

/// Where a difference is, and both messages with the differing members between `>>` and `<<`.
pub(super) fn block(difference: &Difference, width: usize) -> String {
    let session = match difference.session {
        0 => "outside any session".to_owned(),
        session => format!("session {session}"),
    };
    let what = match (&difference.before, &difference.after) {
        (Some(_), None) => "a message is missing".to_owned(),
        (None, _) => "a message was added".to_owned(),
        (Some(_), Some(_)) => differ(&difference.members),
    };
    let mut block = format!("{session}: {what}\n");
    for (side, shown) in [("-", &difference.before), ("+", &difference.after)] {
        if let Some(shown) = shown {
            let lead = format!("  {side} line {} {} ", shown.line, shown.from.arrow());
            block.push_str(&marked(&lead, &shown.value, &difference.members, width));
        }
    }
    block
}

/// Which members differ, as words.
#[must_use]
pub fn differ(members: &[String]) -> String {
    format!("{} {}", members.join(", "), if members.len() == 1 { "differs" } else { "differ" })
}

/// A value behind a lead, with marks around what the JSON pointers point to, broken between members so that a line has at
/// most `width` columns; what does not fit on one line goes on under the value's beginning.
#[must_use]
pub fn marked(lead: &str, value: &Value, members: &[String], width: usize) -> String {
    let mut flat = String::new();
    push_marked(&mut flat, value, "", members);
    let mut pieces = flat.split(BREAK);
    let indent = " ".repeat(lead.chars().count() + 1);
    let mut line = format!("{lead}{}", pieces.next().unwrap_or_default());
    let mut text = String::new();
    for piece in pieces {
        if line.chars().count() + piece.chars().count() > width {
            text.push_str(&line);
            text.push('\n');
            line = format!("{indent}{piece}");
        } else {
            line.push_str(piece);
        }
    }
    text.push_str(&line);
    text.push('\n');
    text
}

fn push_marked(text: &mut String, value: &Value, at: &str, members: &[String]) {
    let entry = |text: &mut String, position: usize, name: Option<&str>, pointer: &str, value: &Value| {
        if position > 0 {
            text.push(',');
            text.push(BREAK);
        }
        let is_marked = members.iter().any(|member| member == pointer);
        text.push_str(if is_marked { ">>" } else { "" });
        if let Some(name) = name {
            text.push_str(&quoted(name));
            text.push(':');
        }
        push_marked(text, value, pointer, members);
        text.push_str(if is_marked { "<<" } else { "" });
    };
    match value {
        Value::Object(object) => {
            text.push('{');
            for (position, (name, value)) in object.iter().enumerate() {
                let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                entry(text, position, Some(name), &pointer, value);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (position, value) in items.iter().enumerate() {
                entry(text, position, None, &format!("{at}/{position}"), value);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
