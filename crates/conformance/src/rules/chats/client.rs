//! What a client asks of its chats.

use std::time::Duration;

use protocol::bayeux::message::Message;
use protocol::secret::Secret;
use protocol::violation::Violation;
use serde_json::Value;

use super::Book;
use crate::rules::Findings;
use crate::rules::conversation::{Carrier, Seen};

/// How long what the client sends may still be from before it knew of the end.
const GRACE: Duration = Duration::from_secs(1);

/// How many good connects a client may do before it asks for the notifications of its chat in a new session.
const CONNECTS: u32 = 2;

impl Book<'_> {
    pub(super) fn on_operation(&mut self, seen: &Seen, findings: &mut Findings) {
        let text = |name: &str| member(&seen.message, name);
        let operation = text("operation").unwrap_or_default();
        if operation == "requestChat" {
            // Nobody says what a key does here; some servers go by it.
            let key = text("secureKey").map(Secret::new);
            self.sessions.entry(seen.session).or_default().keys.extend(key);
            return self.on_request_chat(seen, findings);
        }
        let Some(key) = text("secureKey").map(Secret::new) else { return };
        self.sessions.entry(seen.session).or_default().keys.insert(key.clone());
        let Some(chat) = self.by_key.get(&key).copied() else { return };
        let known = &self.chats[chat];
        let names_another =
            text("chatId").is_some_and(|id| !known.ids.is_empty() && !known.ids.contains(&Secret::new(id)));
        if known.channel != seen.channel() || names_another {
            let says = format!("the `secureKey` of {operation} was issued for another chat");
            findings.add(seen, Violation::OperationKeyForeign, says);
        }
        if known.ended.as_ref().is_some_and(|ending| seen.at - ending.at > GRACE) {
            let says = format!("{operation} follows `chatEnded` of its chat");
            findings.add(seen, Violation::OperationAfterEnd, says);
        }
        self.restoring(seen, &operation, chat, findings);
    }

    /// In another session than the one that started the chat, its notifications have to be asked for; only to end the
    /// chat they are not needed.
    fn restoring(&mut self, seen: &Seen, operation: &str, chat: usize, findings: &mut Findings) {
        let (whole, ended) = (self.is_whole(seen.session), self.has_ended(chat));
        let origin = self.chats[chat].origin;
        let attachment = self.sessions.entry(seen.session).or_default();
        if operation == "requestNotifications" {
            self.chats[chat].last_asked = Some(seen.entry);
            attachment.asked.insert(chat);
            attachment.running.insert(chat);
            return;
        }
        let foreign = origin != seen.session && !attachment.asked.contains(&chat);
        if whole && foreign && !ended && operation != "disconnect" {
            let says = format!("{operation} in a new session before requestNotifications");
            findings.add(seen, Violation::RequestNotificationsMissing, says);
        }
    }

    fn on_request_chat(&mut self, seen: &Seen, findings: &mut Findings) {
        let running = self.sessions.get(&seen.session).filter(|_| seen.session.is_some());
        let second = running.into_iter().flat_map(|attachment| &attachment.running).any(|chat| {
            !self.has_ended(*chat) && self.chats[*chat].last.as_ref().is_some_and(|last| self.was_received(last, seen))
        });
        if second {
            findings.add(seen, Violation::RequestChatWhileRunning, "a chat of this client runs already");
        }
        self.sessions.entry(seen.session).or_default().requested += 1;
    }

    /// Whether a delivery reached the client: its socket was still open when the client sent something else.
    fn was_received(&self, delivery: &Seen, next: &Seen) -> bool {
        match delivery.carrier {
            Carrier::Exchange(_) => true,
            Carrier::Socket(_) => {
                let end = self.conversation.lives.get(&delivery.carrier).and_then(|life| life.ended);
                end.is_none_or(|(entry, ..)| entry > next.entry) || next.session != delivery.session
            }
        }
    }

    /// A client that goes on connecting in a new session has left its chat without notifications.
    pub(super) fn on_connect(&self, seen: &Seen, findings: &mut Findings) {
        let Some(session) = seen.session else { return };
        let before = self.conversation.sessions.get(session).and_then(|session| session.before);
        let (Some(before), Some(attachment)) = (before, self.sessions.get(&Some(session))) else { return };
        if attachment.connected != CONNECTS {
            return;
        }
        let inherited = self.sessions.get(&Some(before)).map(|before| &before.running);
        let left =
            inherited.into_iter().flatten().any(|chat| !self.has_ended(*chat) && !attachment.asked.contains(chat));
        if left {
            let says = format!("{CONNECTS} connects after a new handshake, requestNotifications was not sent");
            findings.add(seen, Violation::RequestNotificationsMissing, says);
        }
    }
}

fn member(message: &Message, name: &str) -> Option<String> {
    message.value("data")?.get(name).and_then(Value::as_str).map(str::to_owned)
}
