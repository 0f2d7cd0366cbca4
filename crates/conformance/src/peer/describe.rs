//! Says what a message is in words of the protocol and numbers alone: nothing that a person wrote, no key, no id.

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::message::Message;
use protocol::chat::notification::{Event, EventType, Notification, ParticipantType};

use super::notification;

/// One line about a message.
pub(super) fn describe(message: &Message) -> String {
    match notification(message) {
        Some(notification) => describe_notification(&notification),
        None => describe_reply(message),
    }
}

fn describe_reply(message: &Message) -> String {
    let mut parts = vec![match message.successful() {
        Some(successful) => format!("`successful` {successful}"),
        None => "no boolean `successful`".to_owned(),
    }];
    match (message.error_code(), message.error()) {
        (Some(code), _) => parts.push(format!("error {code}")),
        (None, Some(_)) => parts.push("an error without a code".to_owned()),
        (None, None) => {}
    }
    if let Some(reconnect) = message.advice().and_then(|advice| advice.reconnect) {
        parts.push(match reconnect {
            Reconnect::Unknown(_) => "advice `reconnect` of an unknown word".to_owned(),
            known => format!("advice `reconnect` {}", known.as_str()),
        });
    }
    let named: Vec<&str> = ["id", "clientId", "version", "supportedConnectionTypes"]
        .into_iter()
        .filter(|name| message.member(name).is_some())
        .collect();
    parts.push(if named.is_empty() { "no id".to_owned() } else { format!("with {}", named.join(", ")) });
    parts.join(", ")
}

/// One line about a notification.
pub(super) fn describe_notification(notification: &Notification) -> String {
    let mut parts = vec![match notification.status {
        Some(status) => format!("statusCode {}", status.code()),
        None => "no known statusCode".to_owned(),
    }];
    parts.push(match notification.chat_ended {
        Some(ended) => format!("chatEnded {ended}"),
        None => "no boolean chatEnded".to_owned(),
    });
    parts.push(match notification.messages.as_deref() {
        None => "no messages".to_owned(),
        Some([]) => "no event".to_owned(),
        Some(events) => events.iter().map(describe_event).collect::<Vec<_>>().join(" "),
    });
    let codes: Vec<String> = notification
        .errors
        .iter()
        .map(|error| error.code.map_or_else(|| "without code".to_owned(), |code| code.to_string()))
        .collect();
    if !codes.is_empty() {
        parts.push(format!("errors {}", codes.join(" ")));
    }
    parts.join(", ")
}

/// `4:Message by Client`; the word of an unknown type is the peer's own.
pub(super) fn describe_event(event: &Event) -> String {
    let index = event.index.map_or_else(|| "-".to_owned(), |index| index.to_string());
    let kind = event.event_type().map_or("?", EventType::as_str);
    let by = match event.from.as_ref().map(|from| &from.kind) {
        Some(ParticipantType::Other(_)) => " by ?",
        Some(ParticipantType::Client) => " by Client",
        Some(ParticipantType::Agent) => " by Agent",
        Some(ParticipantType::Supervisor) => " by Supervisor",
        Some(ParticipantType::External) => " by External",
        None => "",
    };
    format!("{index}:{kind}{by}")
}
