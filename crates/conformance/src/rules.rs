//! Rules: what is wrong with any conversation, whoever held it.

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::message::Message;
use protocol::chat::CHANNEL_PREFIX;
use protocol::chat::notification::Notification;
use protocol::violation::Violation;
use protocol::wire::{Entry, Side, Wire};

/// A rule that is broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// Which entry, from 0.
    pub entry: usize,
    /// Which message of its batch, from 0.
    pub message: Option<usize>,
    /// What is wrong, in one sentence without secrets.
    pub says: String,
}

/// Judges redacted entries.
#[must_use]
pub fn judge(entries: &[Entry]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (entry, seen) in entries.iter().enumerate() {
        for (position, message) in messages(&seen.wire).iter().enumerate() {
            let found = |violation: &Violation| Finding {
                rule: violation.id(),
                entry,
                message: Some(position),
                says: violation.describe().to_owned(),
            };
            findings.extend(message.violations().iter().map(found));
            if let Some(notification) = notification(seen.from, message) {
                findings.extend(notification.violations.iter().map(found));
            }
        }
    }
    findings
}

fn messages(wire: &Wire) -> Vec<Message> {
    let body = match wire {
        Wire::Request(_, request) => request.body.as_slice(),
        Wire::Response(_, response) => response.body.as_slice(),
        Wire::Text(_, text) => text.as_bytes(),
        _ => return Vec::new(),
    };
    Batch::parse(body, &Limits { bytes: usize::MAX, ..Limits::default() })
        .map(|batch| batch.messages)
        .unwrap_or_default()
}

fn notification(from: Side, message: &Message) -> Option<Notification> {
    let on_service = message.channel().is_some_and(|channel| channel.starts_with(CHANNEL_PREFIX));
    let data = message.data().filter(|_| on_service && from == Side::Server)?;
    Some(Notification::parse(data.get()))
}
