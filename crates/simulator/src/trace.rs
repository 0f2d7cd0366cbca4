//! Prints what was seen on the wire, one line for each unit and each message, with symbols in place of all that is secret
//! or personal.
//!
//! A symbol stands for one value throughout a trace, so that `clientId#1` in a reply and in a later request are the same.
//! Texts are symbols unless the member is known to hold a word of the protocol.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::http::BROWSER_COOKIE;
use protocol::wire::{Entry, Headers, Wire};
use serde_json::Value;

/// Prints entries, in order.
#[must_use]
pub fn render(entries: &[Entry]) -> String {
    let mut symbols = Symbols::default();
    let mut trace = String::new();
    for entry in entries {
        let head = symbols.head(&entry.wire);
        // Writing to a text cannot fail.
        let _ = writeln!(trace, "{:>9} {} {head}", entry.at.to_string(), entry.from.arrow());
        for message in Batch::carried(&entry.wire) {
            let shown = match serde_json::from_str(message.text()) {
                Ok(value) => symbols.value("", value).to_string(),
                Err(_) => format!("<{} bytes>", message.text().len()),
            };
            let _ = writeln!(trace, "{:>12} {shown}", "");
        }
    }
    trace
}

/// Members whose texts are words of the protocol and stay as they are.
const WORDS: &[&str] = &[
    "channel",
    "connectionType",
    "error",
    "id",
    "minimumVersion",
    "operation",
    "reconnect",
    "subscription",
    "supportedConnectionTypes",
    "type",
    "version",
];

/// Members whose texts have a class of symbols of their own.
const CLASSES: &[&str] = &["alias", "chatId", "clientId", "nickname", "secureKey", "userId"];

/// The symbols given so far, by class and value.
#[derive(Default)]
struct Symbols(BTreeMap<String, BTreeMap<String, usize>>);

impl Symbols {
    fn of(&mut self, class: &str, value: &str) -> String {
        let known = self.0.entry(class.to_owned()).or_default();
        let next = known.len() + 1;
        format!("{class}#{}", known.entry(value.to_owned()).or_insert(next))
    }

    fn value(&mut self, member: &str, value: Value) -> Value {
        match value {
            Value::String(text) if WORDS.contains(&member) => Value::String(text),
            Value::String(text) if CLASSES.contains(&member) => Value::String(self.of(member, &text)),
            Value::String(text) => Value::String(self.of("text", &text)),
            Value::Array(values) => values.into_iter().map(|value| self.value(member, value)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, value)| (name.clone(), self.value(&name, value))).collect()
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }

    fn head(&mut self, wire: &Wire) -> String {
        match wire {
            Wire::Request(exchange, request) => {
                format!(
                    "{} {} exchange {}{}",
                    request.method,
                    path(&request.target),
                    exchange.0,
                    self.cookies(&request.headers)
                )
            }
            Wire::Response(exchange, response) => {
                format!("{} exchange {}{}", response.status, exchange.0, self.cookies(&response.headers))
            }
            Wire::Broken(exchange, failure) => format!("broken exchange {}: {failure}", exchange.0),
            Wire::Upgrade(socket, request) => {
                format!("upgrade {} socket {}{}", path(&request.target), socket.0, self.cookies(&request.headers))
            }
            Wire::Upgraded(socket, _) => format!("101 socket {}", socket.0),
            Wire::Refused(socket, response) => format!("{} socket {}", response.status, socket.0),
            Wire::Text(socket, _) => format!("text socket {}", socket.0),
            Wire::Binary(socket, bytes) => format!("binary socket {}: {} bytes", socket.0, bytes.len()),
            Wire::Ping(socket, _) => format!("ping socket {}", socket.0),
            Wire::Pong(socket, _) => format!("pong socket {}", socket.0),
            Wire::Close(socket, close) => format!("close socket {}: {} {}", socket.0, close.code, close.reason),
            Wire::Lost(socket, failure) => format!("lost socket {}: {failure}", socket.0),
        }
    }

    /// The browser cookie, set or sent back; no other cookie is shown.
    fn cookies(&mut self, headers: &Headers) -> String {
        let mut shown = String::new();
        for (name, value) in &headers.0 {
            let set = name.eq_ignore_ascii_case("set-cookie");
            if !set && !name.eq_ignore_ascii_case("cookie") {
                continue;
            }
            let pairs = value.split(';').take(if set { 1 } else { usize::MAX });
            for (_, value) in pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(n, _)| *n == BROWSER_COOKIE)
            {
                let verb = if set { "set" } else { "with" };
                let _ = write!(shown, " {verb} {}", self.of("cookie", value));
            }
        }
        shown
    }
}

/// A target without its query, which may hold anything.
fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}
