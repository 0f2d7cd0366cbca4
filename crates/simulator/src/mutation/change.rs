//! What mutations are made of: kinds of messages, and changes to one.

use protocol::wire::{Headers, Request, Response, Wire};
use serde_json::{Value, json};

use super::Memory;

pub(super) fn is(message: &Value, channel: &str) -> bool {
    message["channel"] == channel
}

pub(super) fn is_reply(message: &Value) -> bool {
    message.get("successful").is_some()
}

pub(super) fn is_told(message: &Value) -> bool {
    message.get("data").is_some()
        && message["channel"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/"))
}

pub(super) fn is_acknowledgement(message: &Value) -> bool {
    is_reply(message) && message["channel"].as_str().is_some_and(|name| name.starts_with("/service/"))
}

/// Changes the events of a notification.
pub(super) fn events(mut message: Value, change: impl Fn(&mut Value)) -> Value {
    if is_told(&message)
        && let Some(events) = message["data"]["messages"].as_array_mut()
    {
        events.iter_mut().for_each(change);
    }
    message
}

/// Keeps the events of a notification for which a condition holds; a notification that loses its only events is lost.
pub(super) fn keep_events(mut message: Value, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
    let Some(events) = message["data"]["messages"].as_array_mut() else { return vec![message] };
    let before = events.len();
    events.retain(keep);
    if events.is_empty() && before > 0 { Vec::new() } else { vec![message] }
}

pub(super) fn has_event(message: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    is_told(message) && message["data"]["messages"].as_array().is_some_and(|events| events.iter().any(holds))
}

pub(super) fn said_by(event: &Value, kind: &str) -> bool {
    event["type"] == "Message" && event["from"]["type"] == kind
}

pub(super) fn without(mut message: Value, member: &str) -> Value {
    if let Some(members) = message.as_object_mut() {
        members.shift_remove(member);
    }
    message
}

pub(super) fn with(mut message: Value, member: &str, value: Value) -> Value {
    message[member] = value;
    message
}

/// Changes the data of a notification.
pub(super) fn data(mut message: Value, change: impl Fn(&mut Value)) -> Value {
    if is_told(&message)
        && let Some(data) = message.get_mut("data")
    {
        change(data);
    }
    message
}

/// Puts a text for another one in what goes out.
pub(super) fn replaced(wire: Wire, from: &str, to: &str) -> Wire {
    match wire {
        Wire::Response(exchange, mut response) => {
            // A file need not be text.
            if let Ok(text) = std::str::from_utf8(&response.body) {
                response.body = text.replace(from, to).into_bytes();
            }
            Wire::Response(exchange, response)
        }
        Wire::Text(socket, text) => Wire::Text(socket, text.replace(from, to)),
        other => other,
    }
}

/// The only message of an array, without the array.
pub(super) fn alone(text: &str) -> Option<String> {
    let messages: Vec<Value> = serde_json::from_str(text).ok()?;
    let [message] = messages.as_slice() else { return None };
    Some(message.to_string())
}

pub(super) fn refusal(message: &Value) -> Value {
    let mut refusal = json!({"channel": message["channel"], "successful": false, "error": "402::Unknown client"});
    if let Some(id) = message.get("id") {
        refusal["id"] = id.clone();
    }
    refusal
}

/// An event on a broadcast channel.
pub(super) fn is_event(message: &Value) -> bool {
    message.get("data").is_some()
        && !is_reply(message)
        && message["channel"].as_str().is_some_and(|name| !name.starts_with("/service/") && !name.starts_with("/meta/"))
}

pub(super) fn is_unknown_client(message: &Value) -> bool {
    message["error"].as_str().is_some_and(|error| error.starts_with("402"))
}

/// Makes a reply successful.
pub(super) fn success(message: Value) -> Value {
    let mut message = without(without(message, "error"), "advice");
    message["successful"] = true.into();
    message
}

/// Makes a reply a failure.
pub(super) fn failure(mut message: Value) -> Value {
    message["successful"] = false.into();
    message["error"] = "400::no".into();
    message
}

/// How many messages the body of an input has, as far as they have channels.
pub(super) fn how_many(wire: &Wire) -> usize {
    body(wire).map_or(0, |body| body.matches(r#""channel":"#).count())
}

/// Gives every publish to some channel another name on its way to the server, and the old one back.
pub(super) fn renamed(memory: &mut Memory, mut message: Value, wanted: fn(&str) -> bool, to: &str) -> Option<Value> {
    if let Some(name) = message["channel"].as_str().filter(|name| wanted(name)) {
        memory.kept = Some(name.into());
        message["channel"] = to.into();
    }
    Some(message)
}

pub(super) fn named_back(memory: &Memory, mut message: Value, to: &str) -> Vec<Value> {
    if let Some(name) = memory.kept.as_ref().filter(|_| is(&message, to)) {
        message["channel"] = name.clone();
    }
    vec![message]
}

/// Gives the acknowledgement of one publish the channel that it was sent to.
pub(super) fn acknowledged_as_asked(memory: &mut Memory, mut message: Value) -> Value {
    let publish = is_reply(&message) && !message["channel"].as_str().is_some_and(|name| name.starts_with("/meta/"));
    if let Some(name) = memory.kept.take_if(|_| publish) {
        message["channel"] = name;
    }
    message
}

pub(super) fn page(exchange: protocol::wire::Exchange, status: u16, body: &str) -> Vec<Wire> {
    vec![Wire::Response(exchange, Response { status, headers: Headers::new(), body: body.into() })]
}

/// Moves the last segment of a subscription from one wildcard to another.
pub(super) fn wildcard(mut message: Value, from: &str, to: &str) -> Option<Value> {
    let moved =
        message["subscription"].as_str().and_then(|name| name.strip_suffix(from)).map(|base| format!("{base}{to}"));
    if let Some(moved) = moved {
        message["subscription"] = moved.into();
    }
    Some(message)
}

/// The text of a body or a frame.
pub(super) fn body(wire: &Wire) -> Option<String> {
    match wire {
        Wire::Request(_, request) => Some(String::from_utf8_lossy(&request.body).into_owned()),
        Wire::Response(_, response) => Some(String::from_utf8_lossy(&response.body).into_owned()),
        Wire::Text(_, text) => Some(text.clone()),
        _ => None,
    }
}

/// Cuts a torn array behind its first message.
pub(super) fn mended(wire: Wire) -> Wire {
    let mend = |text: String| match text.strip_suffix(r#", {"channel":"#) {
        Some(whole) => format!("{whole}]"),
        None => text,
    };
    match wire {
        Wire::Request(exchange, request) => {
            let body = String::from_utf8(request.body)
                .map_or_else(std::string::FromUtf8Error::into_bytes, |text| mend(text).into_bytes());
            Wire::Request(exchange, Request { body, ..request })
        }
        Wire::Text(socket, text) => Wire::Text(socket, mend(text)),
        other => other,
    }
}

/// Leaves of a batch with a handshake the handshake alone.
pub(super) fn handshake_alone(wire: Wire) -> Wire {
    let alone = |text: &str| {
        let messages: Vec<Value> = serde_json::from_str(text).ok()?;
        let first = messages.first().filter(|first| is(first, "/meta/handshake"))?;
        Some(json!([first]).to_string())
    };
    match wire {
        Wire::Request(exchange, request) => {
            let first = std::str::from_utf8(&request.body).ok().and_then(alone);
            let body = first.map_or(request.body, String::into_bytes);
            Wire::Request(exchange, Request { body, ..request })
        }
        Wire::Text(socket, text) => Wire::Text(socket, alone(&text).unwrap_or(text)),
        other => other,
    }
}
