//! The defects, each a few lines.

use std::time::Duration;

use protocol::bayeux::dialect::{BatchedHttp, BatchedSocket, PushedSince};
use protocol::wire::{Close, Headers, Request, Response, Wire};
use serde_json::{Value, json};

use super::{Defect, Memory};

fn is(message: &Value, channel: &str) -> bool {
    message["channel"] == channel
}

fn is_reply(message: &Value) -> bool {
    message.get("successful").is_some()
}

fn is_told(message: &Value) -> bool {
    message.get("data").is_some()
        && message["channel"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/"))
}

fn is_acknowledgement(message: &Value) -> bool {
    is_reply(message) && message["channel"].as_str().is_some_and(|name| name.starts_with("/service/"))
}

/// Changes the events of a notification.
fn events(mut message: Value, change: impl Fn(&mut Value)) -> Value {
    if is_told(&message)
        && let Some(events) = message["data"]["messages"].as_array_mut()
    {
        events.iter_mut().for_each(change);
    }
    message
}

/// Keeps the events of a notification for which a condition holds; a notification that loses its only events is lost.
fn keep_events(mut message: Value, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
    let Some(events) = message["data"]["messages"].as_array_mut() else { return vec![message] };
    let before = events.len();
    events.retain(keep);
    if events.is_empty() && before > 0 { Vec::new() } else { vec![message] }
}

fn has_event(message: &Value, holds: impl Fn(&Value) -> bool) -> bool {
    is_told(message) && message["data"]["messages"].as_array().is_some_and(|events| events.iter().any(holds))
}

fn said_by(event: &Value, kind: &str) -> bool {
    event["type"] == "Message" && event["from"]["type"] == kind
}

fn without(mut message: Value, member: &str) -> Value {
    if let Some(members) = message.as_object_mut() {
        members.shift_remove(member);
    }
    message
}

fn refusal(message: &Value) -> Value {
    let mut refusal = json!({"channel": message["channel"], "successful": false, "error": "402::Unknown client"});
    if let Some(id) = message.get("id") {
        refusal["id"] = id.clone();
    }
    refusal
}

/// An event on a broadcast channel.
fn is_event(message: &Value) -> bool {
    message.get("data").is_some()
        && !is_reply(message)
        && message["channel"].as_str().is_some_and(|name| !name.starts_with("/service/") && !name.starts_with("/meta/"))
}

fn is_unknown_client(message: &Value) -> bool {
    message["error"].as_str().is_some_and(|error| error.starts_with("402"))
}

/// Makes a reply successful.
fn success(message: Value) -> Value {
    let mut message = without(without(message, "error"), "advice");
    message["successful"] = true.into();
    message
}

/// Makes a reply a failure.
fn failure(mut message: Value) -> Value {
    message["successful"] = false.into();
    message["error"] = "400::no".into();
    message
}

/// How many messages the body of an input has, as far as they have channels.
fn how_many(wire: &Wire) -> usize {
    body(wire).map_or(0, |body| body.matches(r#""channel":"#).count())
}

/// Gives every publish to some channel another name on its way to the server, and the old one back.
fn renamed(memory: &mut Memory, mut message: Value, wanted: fn(&str) -> bool, to: &str) -> Option<Value> {
    if let Some(name) = message["channel"].as_str().filter(|name| wanted(name)) {
        memory.kept = Some(name.into());
        message["channel"] = to.into();
    }
    Some(message)
}

fn named_back(memory: &Memory, mut message: Value, to: &str) -> Vec<Value> {
    if let Some(name) = memory.kept.as_ref().filter(|_| is(&message, to)) {
        message["channel"] = name.clone();
    }
    vec![message]
}

/// Gives the acknowledgement of one publish the channel that it was sent to.
fn acknowledged_as_asked(memory: &mut Memory, mut message: Value) -> Value {
    let publish = is_reply(&message) && !message["channel"].as_str().is_some_and(|name| name.starts_with("/meta/"));
    if let Some(name) = memory.kept.take_if(|_| publish) {
        message["channel"] = name;
    }
    message
}

fn page(exchange: protocol::wire::Exchange, status: u16, body: &str) -> Vec<Wire> {
    vec![Wire::Response(exchange, Response { status, headers: Headers::new(), body: body.into() })]
}

/// Moves the last segment of a subscription from one wildcard to another.
fn wildcard(mut message: Value, from: &str, to: &str) -> Option<Value> {
    let moved =
        message["subscription"].as_str().and_then(|name| name.strip_suffix(from)).map(|base| format!("{base}{to}"));
    if let Some(moved) = moved {
        message["subscription"] = moved.into();
    }
    Some(message)
}

/// The defects, in the order of the cases that they are for.
pub(crate) const DEFECTS: &[Defect] = &[
    Defect::named("handshake-without-version")
        .told(|_, message| vec![if is(&message, "/meta/handshake") { without(message, "version") } else { message }]),
    Defect::named("handshake-unanswered")
        .told(|_, message| if is(&message, "/meta/handshake") { Vec::new() } else { vec![message] }),
    Defect::named("offers-no-known-type").told(|_, mut message| {
        if is(&message, "/meta/handshake") {
            message["supportedConnectionTypes"] = json!(["carrier-pigeon"]);
        }
        vec![message]
    }),
    Defect::named("client-id-with-dash")
        .told(|_, mut message| {
            if let Some(client) = message["clientId"].as_str() {
                message["clientId"] = format!("{client}-x").into();
            }
            vec![message]
        })
        .asked(|_, mut message| {
            if let Some(client) = message["clientId"].as_str().and_then(|client| client.strip_suffix("-x")) {
                message["clientId"] = client.into();
            }
            Some(message)
        }),
    Defect::named("client-id-given-back").told(|memory, mut message| {
        if is(&message, "/meta/handshake") {
            message["clientId"] = memory.clients[0].as_str().into();
        }
        vec![message]
    }),
    Defect::named("first-connect-held").delay(|memory, _, wire| {
        let first = body(wire).is_some_and(|body| body.contains(r#""channel":"/meta/connect""#) && !memory.flag);
        memory.flag |= first;
        if first { Duration::from_secs(5) } else { Duration::ZERO }
    }),
    Defect::named("timeout-of-client-ignored").asked(|memory, message| {
        let connect = is(&message, "/meta/connect");
        memory.count += usize::from(connect);
        Some(if connect { without(message, "advice") } else { message })
    }),
    Defect::named("nothing-while-connect-held").delay(|memory, now, wire| {
        // Only a reply to something else is held back, until the connect is due.
        let Some(body) = body(wire) else { return Duration::ZERO };
        if body.contains("/service/tapestry/sentinel") && !body.contains("/meta/connect") && memory.count < 1 {
            memory.count += 1;
            let _ = now;
            return Duration::from_millis(1_800);
        }
        Duration::ZERO
    }),
    Defect::named("never-says-402").told(|_, mut message| {
        if message["error"].as_str().is_some_and(|error| error.starts_with("402")) {
            message = without(without(message, "error"), "advice");
            message["successful"] = true.into();
        }
        vec![message]
    }),
    Defect::named("402-without-code").told(|_, mut message| {
        if message["error"].as_str().is_some_and(|error| error.starts_with("402")) {
            message["error"] = "Unknown client".into();
        }
        vec![message]
    }),
    Defect::named("402-without-advice").told(|_, message| {
        let refused = message["error"].as_str().is_some_and(|error| error.starts_with("402"));
        vec![if refused { without(message, "advice") } else { message }]
    }),
    Defect::named("event-releases-no-connect").delay(|memory, now, wire| match wire {
        Wire::Response(exchange, response) if String::from_utf8_lossy(&response.body).contains("\"Agent\"") => {
            memory.end_of_hold(now, *exchange)
        }
        Wire::Text(_, text) if text.contains("You wrote") => Duration::from_millis(2_400),
        _ => Duration::ZERO,
    }),
    Defect::named("connect-brings-nothing")
        .input(|memory, wire| {
            if let Wire::Request(..) = &wire {
                memory.flag = body(&wire).is_some_and(|body| body.contains(r#""advice":{"timeout":0}"#));
            }
            (Some(wire), Vec::new())
        })
        .told(|memory, message| if memory.flag && is_told(&message) { Vec::new() } else { vec![message] }),
    Defect::named("publish-unacknowledged").told(
        |_, message| {
            if is_acknowledgement(&message) { Vec::new() } else { vec![message] }
        },
    ),
    Defect::named("acknowledged-without-id")
        .told(|_, message| vec![if is_acknowledgement(&message) { without(message, "id") } else { message }]),
    Defect::named("acknowledged-with-data").told(|_, mut message| {
        if is_acknowledgement(&message) {
            message["data"] = json!({"statusCode": 0, "chatEnded": false, "messages": []});
        }
        vec![message]
    }),
    Defect::named("nothing-without-subscription")
        .asked(|memory, message| {
            memory.flag |= message["subscription"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/"));
            Some(message)
        })
        .told(|memory, message| if is_told(&message) && !memory.flag { Vec::new() } else { vec![message] }),
    Defect::named("subscription-refused").told(|_, mut message| {
        if is(&message, "/meta/subscribe") {
            message["successful"] = false.into();
            message["error"] = "403::subscribe_denied".into();
        }
        vec![message]
    }),
    Defect::named("subscription-doubles")
        .asked(|memory, message| {
            memory.flag |= message["subscription"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/"));
            Some(message)
        })
        .told(
            |memory, message| {
                if is_told(&message) && memory.flag { vec![message.clone(), message] } else { vec![message] }
            },
        ),
    Defect::named("disconnect-unanswered")
        .told(|_, message| if is(&message, "/meta/disconnect") { Vec::new() } else { vec![message] }),
    Defect::named("disconnect-refused").told(|_, mut message| {
        if is(&message, "/meta/disconnect") {
            message["successful"] = false.into();
            message["error"] = "500::no".into();
        }
        vec![message]
    }),
    Defect::named("disconnect-releases-nothing").told(|_, message| {
        let released = is(&message, "/meta/connect") && message["advice"]["reconnect"] == "none";
        if released { Vec::new() } else { vec![message] }
    }),
    Defect::named("disconnect-advises-nothing").told(|_, message| {
        let released = is(&message, "/meta/connect") && message["advice"]["reconnect"] == "none";
        vec![if released { without(message, "advice") } else { message }]
    }),
    Defect::named("disconnect-of-nobody-successful").told(|_, mut message| {
        if is(&message, "/meta/disconnect") && message["successful"] == false {
            message = without(message, "error");
            message["successful"] = true.into();
        }
        vec![message]
    }),
    Defect::named("id-not-echoed").told(|_, message| {
        let meta = message["channel"].as_str().is_some_and(|name| name.starts_with("/meta/"));
        vec![if meta { without(message, "id") } else { message }]
    }),
    Defect::named("id-invented").told(|_, mut message| {
        if is_reply(&message) && message.get("id").is_none() {
            message["id"] = "x1".into();
        }
        vec![message]
    }),
    Defect::named("unknown-meta-channel-successful").told(|_, mut message| {
        if is(&message, "/meta/tapestry") {
            message = without(message, "error");
            message["successful"] = true.into();
        }
        vec![message]
    }),
    Defect::named("batch-answered-once")
        .input(|memory, wire| {
            memory.count = body(&wire).map_or(0, |body| body.matches(r#""channel":"#).count());
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            let second =
                memory.count > 1 && is_reply(&message) && std::mem::replace(&mut memory.flag, memory.count > 1);
            if second { Vec::new() } else { vec![message] }
        }),
    Defect::named("message-alone-refused").input(|_, wire| match &wire {
        Wire::Request(exchange, request) if request.body.starts_with(b"{") => {
            (None, vec![Wire::Response(*exchange, Response { status: 400, headers: Headers::new(), body: Vec::new() })])
        }
        Wire::Text(_, text) if text.starts_with('{') => (None, Vec::new()),
        _ => (Some(wire), Vec::new()),
    }),
    Defect::named("unknown-member-refused")
        .asked(|memory, message| {
            memory.flag = message.get("tapestry").is_some();
            Some(message)
        })
        .told(|memory, mut message| {
            if memory.flag && is(&message, "/meta/connect") {
                message["successful"] = false.into();
                message["error"] = "400::member_unknown".into();
            }
            vec![message]
        }),
    Defect::named("torn-array-executed").input(|_, wire| (Some(mended(wire)), Vec::new())),
    Defect::named("torn-array-ends-session")
        .input(|memory, wire| {
            memory.flag |= body(&wire).is_some_and(|body| body.ends_with(r#"{"channel":"#));
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/subscribe") { refusal(&message) } else { message }]
        }),
    Defect::named("torn-array-kills").input(|memory, wire| {
        memory.flag |= body(&wire).is_some_and(|body| body.ends_with(r#"{"channel":"#));
        if memory.flag { (None, Vec::new()) } else { (Some(wire), Vec::new()) }
    }),
    Defect::named("chat-refused").told(|memory, mut message| {
        if is_told(&message) && memory.operation == "requestChat" && message["data"]["statusCode"] == 0 {
            message["data"] = json!({"statusCode": 2, "chatEnded": false, "messages": [], "errors": [{"code": 240}]});
        }
        vec![message]
    }),
    Defect::named("chat-without-ids").told(|_, mut message| {
        if is_told(&message) {
            message["data"] = without(message["data"].take(), "userId");
        }
        vec![message]
    }),
    Defect::named("own-join-lost").told(|_, message| {
        if !is_told(&message) {
            return vec![message];
        }
        vec![{
            let mut message = message;
            if let Some(events) = message["data"]["messages"].as_array_mut() {
                events.retain(|event| event["type"] != "ParticipantJoined" || event["from"]["type"] != "Client");
            }
            message
        }]
    }),
    Defect::named("indexes-from-11").told(|_, message| {
        vec![events(message, |event| {
            if let Some(index) = event["index"].as_u64() {
                event["index"] = (index + 10).into();
            }
        })]
    }),
    Defect::named("name-not-needed").asked(|_, mut message| {
        if message["data"]["operation"] == "requestChat" && message["data"].get("nickname").is_none() {
            message["data"]["nickname"] = "Nobody".into();
        }
        Some(message)
    }),
    Defect::named("any-service-will-do")
        .asked(|memory, mut message| {
            if message["channel"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/tapestry")) {
                memory.kept = Some(message["channel"].clone());
                message["channel"] = "/service/chatV2/customer-support".into();
            }
            Some(message)
        })
        .told(|memory, mut message| {
            if let Some(channel) = &memory.kept
                && message["channel"] == "/service/chatV2/customer-support"
            {
                message["channel"] = channel.clone();
            }
            vec![message]
        }),
    Defect::named("unknown-operation-ignored")
        .asked(|_, message| {
            if message["data"]["operation"] == "tapestryNoSuchOperation" {
                let mut message = message;
                message["channel"] = "/service/chatV2/nowhere".into();
                return Some(message);
            }
            Some(message)
        })
        .told(|_, mut message| {
            if is(&message, "/service/chatV2/nowhere") {
                message["channel"] = "/service/chatV2/customer-support".into();
            }
            vec![message]
        }),
    Defect::named("echo-lost").told(|_, message| {
        if is_told(&message) { keep_events(message, |event| !said_by(event, "Client")) } else { vec![message] }
    }),
    Defect::named("echo-doubled").told(|_, message| {
        if has_event(&message, |event| said_by(event, "Client")) {
            vec![message.clone(), message]
        } else {
            vec![message]
        }
    }),
    Defect::named("echo-by-external").told(|_, message| {
        vec![events(message, |event| {
            if said_by(event, "Client") {
                event["from"]["type"] = "External".into();
            }
        })]
    }),
    Defect::named("label-lost").told(|_, message| {
        vec![events(message, |event| {
            *event = without(event.take(), "messageType");
        })]
    }),
    Defect::named("index-stands-still").told(|_, message| {
        vec![events(message, |event| {
            if said_by(event, "Client") {
                event["index"] = 3.into();
            }
        })]
    }),
    Defect::named("echoes-swapped").told(|memory, message| {
        if !has_event(&message, |event| said_by(event, "Client")) {
            return vec![message];
        }
        match memory.kept.take() {
            None if memory.count == 0 => {
                memory.count += 1;
                memory.kept = Some(message);
                Vec::new()
            }
            None => vec![message],
            Some(kept) => vec![message, kept],
        }
    }),
    Defect::named("next-position-behind").told(|_, mut message| {
        if is_told(&message) && message["data"].get("nextPosition").is_some() {
            message["data"]["nextPosition"] = 1.into();
        }
        vec![message]
    }),
    Defect::named("transcript-forgets").told(|memory, message| {
        if is_told(&message) && memory.operation == "requestNotifications" {
            keep_events(message, |event| event["index"] != 4)
        } else {
            vec![message]
        }
    }),
    Defect::named("transcript-rewritten").told(|memory, message| {
        if !is_told(&message) || memory.operation != "requestNotifications" {
            return vec![message];
        }
        vec![events(message, |event| {
            if said_by(event, "Client") {
                event["text"] = "something else".into();
            }
        })]
    }),
    Defect::named("transcript-empty").told(|memory, mut message| {
        if is_told(&message) && memory.operation == "requestNotifications" {
            message["data"]["messages"] = json!([]);
        }
        vec![message]
    }),
    Defect::named("position-ignored").asked(|_, mut message| {
        if message["data"].get("transcriptPosition").is_some() {
            message["data"]["transcriptPosition"] = 0.into();
        }
        Some(message)
    }),
    Defect::named("position-exclusive").asked(|_, mut message| {
        if let Some(position) = message["data"]["transcriptPosition"].as_i64().filter(|position| *position > 0) {
            message["data"]["transcriptPosition"] = (position + 1).into();
        }
        Some(message)
    }),
    Defect::named("negative-position-refused").asked(|_, mut message| {
        if message["data"]["transcriptPosition"] == -1 {
            message["data"]["operation"] = "none".into();
        }
        Some(message)
    }),
    Defect::named("position-as-text-refused").asked(|_, mut message| {
        if message["data"]["transcriptPosition"].is_string() {
            message["data"]["operation"] = "none".into();
        }
        Some(message)
    }),
    Defect::named("wrong-key-accepted").asked(|memory, mut message| {
        let key = message["data"]["secureKey"].as_str().map(str::to_owned);
        if let (Some(key), Some(first)) = (key, memory.keys.first())
            && !memory.keys.contains(&key)
        {
            message["data"]["secureKey"] = first.as_str().into();
        }
        Some(message)
    }),
    Defect::named("missing-key-accepted").asked(|memory, mut message| {
        let operation = message["data"]["operation"].as_str().unwrap_or_default();
        let needs = !operation.is_empty() && operation != "requestChat";
        if let (true, None, Some(first)) = (needs, message["data"].get("secureKey"), memory.keys.first()) {
            message["data"]["secureKey"] = first.as_str().into();
        }
        Some(message)
    }),
    Defect::named("key-of-another-chat").told(|memory, mut message| {
        if is_told(&message) && message["data"].get("secureKey").is_some() {
            message["data"]["secureKey"] = memory.keys[0].as_str().into();
        }
        vec![message]
    }),
    Defect::named("words-of-another-chat").told(|memory, message| {
        if !has_event(&message, |event| said_by(event, "Client")) {
            return vec![message];
        }
        let before = memory.kept.replace(message.clone());
        before.into_iter().chain([message]).collect()
    }),
    Defect::named("end-not-said").told(|_, mut message| {
        if is_told(&message) {
            message["data"]["chatEnded"] = false.into();
        }
        vec![message]
    }),
    Defect::named("event-after-end").told(|_, message| {
        let ended = is_told(&message) && message["data"]["chatEnded"] == true && message["data"]["statusCode"] == 0;
        if ended { vec![message.clone(), message] } else { vec![message] }
    }),
    Defect::named("session-ends-with-chat").told(|memory, message| {
        memory.flag |= is_told(&message) && message["data"]["chatEnded"] == true;
        vec![if memory.flag && is(&message, "/meta/subscribe") { refusal(&message) } else { message }]
    }),
    Defect::named("ended-chat-answers").told(|_, mut message| {
        if is_told(&message) && message["data"]["chatEnded"] == true && message["data"]["statusCode"] == 2 {
            message["data"]["statusCode"] = 0.into();
        }
        vec![message]
    }),
    Defect::named("failure-without-errors").told(|_, mut message| {
        if is_told(&message) && message["data"].get("errors").is_some() {
            message["data"]["errors"] = json!([]);
        }
        vec![message]
    }),
    Defect::named("failure-unanswered").told(|_, message| {
        if is_told(&message) && message["data"]["statusCode"] == 2 { Vec::new() } else { vec![message] }
    }),
    Defect::named("agent-join-lost").told(|memory, message| {
        if is_told(&message) && memory.operation != "requestNotifications" {
            keep_events(message, |event| event["type"] != "ParticipantJoined" || event["from"]["type"] != "Agent")
        } else {
            vec![message]
        }
    }),
    Defect::named("agent-greeting-first").told(|_, message| {
        vec![events(message, |event| {
            if event["type"] == "ParticipantJoined" && event["from"]["type"] == "Agent" {
                event["index"] = 99.into();
            }
        })]
    }),
    Defect::named("agent-unheard").told(|memory, message| {
        if is_told(&message) && memory.operation != "requestNotifications" {
            keep_events(message, |event| event["from"]["type"] != "Agent")
        } else {
            vec![message]
        }
    }),
    Defect::named("answer-doubled").told(|_, message| {
        let answers = |event: &Value| event["text"].as_str().is_some_and(|text| text.starts_with("You wrote"));
        if has_event(&message, answers) { vec![message.clone(), message] } else { vec![message] }
    }),
    Defect::named("chat-ends-with-session")
        .asked(|memory, message| {
            memory.flag |= is(&message, "/meta/disconnect");
            Some(message)
        })
        .told(|memory, mut message| {
            if memory.flag && is_told(&message) && memory.operation == "requestNotifications" {
                message["data"] =
                    json!({"statusCode": 2, "chatEnded": true, "messages": [], "errors": [{"code": 249}]});
            }
            vec![message]
        }),
    Defect::named("restored-and-silent")
        .told(|memory, message| {
            let attached = memory.clients.len() > 1 || memory.flag;
            if is_told(&message) && attached && memory.operation != "requestNotifications" {
                keep_events(message, |event| !said_by(event, "Client"))
            } else {
                vec![message]
            }
        })
        .input(|memory, wire| {
            memory.flag |= matches!(wire, Wire::Broken(..) | Wire::Lost(..));
            (Some(wire), Vec::new())
        }),
    Defect::named("connection-is-session")
        .input(|memory, wire| {
            memory.flag |= matches!(wire, Wire::Broken(..) | Wire::Lost(..));
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            let refused = memory.flag && is_reply(&message) && !is(&message, "/meta/handshake");
            vec![if refused { refusal(&message) } else { message }]
        }),
    Defect::named("time-as-text")
        .told(|_, message| vec![events(message, |event| event["utcTime"] = "2023-11-14T22:13:20Z".into())]),
    Defect::named("chat-ended-missing").told(|_, mut message| {
        if is_told(&message) {
            message["data"] = without(message["data"].take(), "chatEnded");
        }
        vec![message]
    }),
    Defect::named("socket-closed-early").input(|memory, wire| {
        memory.count += 1;
        match &wire {
            Wire::Text(socket, _) if memory.count == 4 => {
                (None, vec![Wire::Close(*socket, Close { code: 1001, reason: String::new() })])
            }
            _ => (Some(wire), Vec::new()),
        }
    }),
    // Known bugs of CometD, by their numbers, where the docs name them.
    Defect::named("119-copy-for-each-subscription")
        .asked(|memory, message| {
            memory.count += usize::from(is(&message, "/meta/subscribe"));
            Some(message)
        })
        .told(
            |memory, message| {
                if is_event(&message) && memory.count > 3 { vec![message.clone(), message] } else { vec![message] }
            },
        ),
    Defect::named("122-first-message-alone-checked")
        .input(|memory, wire| {
            memory.count = how_many(&wire);
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            vec![if memory.count > 1 && is_unknown_client(&message) { success(message) } else { message }]
        }),
    Defect::named("167-second-hurried-connect-held").delay(|memory, _, wire| {
        memory.count += usize::from(body(wire).is_some_and(|body| body.contains(r#""channel":"/meta/connect""#)));
        if memory.count == 3 { Duration::from_secs(3) } else { Duration::ZERO }
    }),
    Defect::named("414-told-never-to-come-back").told(|_, mut message| {
        if is(&message, "/meta/connect") && is_unknown_client(&message) {
            message["advice"] = json!({"reconnect": "none"});
        }
        vec![message]
    }),
    Defect::named("481-told-of-others-that-are-not-there").told(|_, mut message| {
        if is(&message, "/meta/connect") && message["successful"] == true {
            message["advice"] = json!({"reconnect": "retry", "interval": 0, "multiple-clients": true});
        }
        vec![message]
    }),
    Defect::named("511-acknowledged-unasked").asked(|_, mut message| {
        if message["ext"]["ack"].is_number() {
            message["ext"]["ack"] = 1_000.into();
        }
        Some(message)
    }),
    Defect::named("520-replies-one-by-one").apart(),
    Defect::named("529-events-beside-handshake-reply").told(|_, message| {
        let event = json!({"channel": "/tapestry/early", "data": "x"});
        if is(&message, "/meta/handshake") { vec![message, event] } else { vec![message] }
    }),
    Defect::named("546-callback-as-it-comes").dialect(|dialect| dialect.malformed.any_callback = true),
    Defect::named("560-connect-among-others-fails")
        .dialect(|dialect| dialect.connects.batched_http = BatchedHttp::Fails),
    Defect::named("560-replies-beside-connect-lost")
        .dialect(|dialect| dialect.connects.batched_socket = BatchedSocket::Lost),
    Defect::named("595-unacknowledged-waits").delay(|memory, _, wire| {
        let again = body(wire).is_some_and(|body| body.contains(r#""ack":3"#));
        memory.count += usize::from(again);
        if again { Duration::from_millis(2_500) } else { Duration::ZERO }
    }),
    Defect::named("608-client-id-alone-suffices").dialect(|dialect| dialect.browser.owns_sessions = false),
    Defect::named("650-messages-keep-nothing-alive")
        .dialect(|dialect| dialect.disconnects.messages_put_expiry_off = false),
    Defect::named("691-reply-before-event").told(|memory, message| {
        if is_event(&message) && memory.kept.is_none() {
            memory.kept = Some(message);
            return Vec::new();
        }
        let publish = is_reply(&message) && !message["channel"].as_str().is_some_and(|name| name.starts_with("/meta/"));
        let kept = memory.kept.take_if(|_| publish);
        std::iter::once(message).chain(kept).collect()
    }),
    Defect::named("721-connect-among-others-held").dialect(|dialect| dialect.connects.batched_http = BatchedHttp::Held),
    Defect::named("849-no-events-before-first-connect")
        .dialect(|dialect| dialect.events.pushed_since = PushedSince::FirstHold),
    Defect::named("883-superseded-with-408").dialect(|dialect| dialect.connects.superseded_status = 408),
    Defect::named("937-resumed-session-forgotten")
        .input(|memory, wire| {
            memory.flag |= matches!(wire, Wire::Lost(..));
            if memory.flag && body(&wire).is_some_and(|body| body.contains(r#""channel":"/meta/connect""#)) {
                memory.count = usize::from(body(&wire).is_some_and(|body| body.contains(r#""timeout":12500"#)));
            }
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            vec![if memory.count > 0 && is(&message, "/meta/connect") { refusal(&message) } else { message }]
        }),
    Defect::named("970-expires-under-held-connect")
        .asked(|memory, message| {
            if is(&message, "/meta/connect") {
                memory.flag = message["advice"]["timeout"].as_u64().is_some_and(|timeout| timeout > 10_000);
            }
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/connect") { refusal(&message) } else { message }]
        }),
    Defect::named("1006-connect-ends-with-old-socket")
        .dialect(|dialect| dialect.connects.cancels_old_socket = false)
        .input(|memory, wire| {
            memory.flag |= matches!(wire, Wire::Close(..));
            (Some(wire), Vec::new())
        })
        .told(|memory, message| if memory.flag && is(&message, "/meta/connect") { Vec::new() } else { vec![message] }),
    Defect::named("1097-events-to-the-dead-socket")
        .input(|memory, wire| {
            memory.count += usize::from(matches!(wire, Wire::Upgrade(..)));
            (Some(wire), Vec::new())
        })
        .told(|memory, message| if memory.count > 2 && is_event(&message) { Vec::new() } else { vec![message] }),
    Defect::named("lab-1-expires-under-second-connect")
        .dialect(|dialect| dialect.connects.superseding_expires = Some("Destroy".to_owned())),
    Defect::named("lab-3-replies-wait-for-connect")
        .dialect(|dialect| dialect.connects.batched_socket = BatchedSocket::Withheld),
    // What else a server of broadcast channels, browsers and odd requests can do wrong.
    Defect::named("version-of-letters").told(|_, mut message| {
        if is(&message, "/meta/handshake") {
            message["version"] = "one".into();
        }
        vec![message]
    }),
    Defect::named("handshake-advises-nothing").dialect(|dialect| dialect.handshake_advice = false),
    Defect::named("advised-timeout-of-text").told(|_, mut message| {
        if is(&message, "/meta/handshake") {
            message["advice"] = json!({"reconnect": "retry", "timeout": "long"});
        }
        vec![message]
    }),
    Defect::named("incomplete-handshake-refused")
        .asked(|memory, message| {
            memory.flag = is(&message, "/meta/handshake")
                && (message.get("version").is_none_or(|version| version != "1.0")
                    || message.get("supportedConnectionTypes").is_none());
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/handshake") {
                without(failure(message), "clientId")
            } else {
                message
            }]
        }),
    Defect::named("handshake-beside-others-answered").input(|_, wire| (Some(handshake_alone(wire)), Vec::new())),
    Defect::named("sessions-for-ever").dialect(|dialect| dialect.max_interval_ms = 60_000),
    Defect::named("event-lost").told(|_, message| if is_event(&message) { Vec::new() } else { vec![message] }),
    Defect::named("event-on-another-channel").told(|_, mut message| {
        if is_event(&message) {
            message["channel"] = "/tapestry/elsewhere".into();
        }
        vec![message]
    }),
    Defect::named("data-in-ascii").told(|_, mut message| {
        let plain = |text: &str| text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>();
        if let Some(text) = message["data"].as_str().map(plain) {
            message["data"] = text.into();
        }
        vec![message]
    }),
    Defect::named("falsehood-as-null").told(|_, mut message| {
        if message.get("data").is_some_and(|data| data == &json!(false)) {
            message["data"] = Value::Null;
        }
        vec![message]
    }),
    Defect::named("first-event-late").told(|memory, message| {
        if !is_event(&message) {
            return vec![message];
        }
        memory.count += 1;
        match memory.count {
            1 => {
                memory.kept = Some(message);
                Vec::new()
            }
            2 => std::iter::once(message).chain(memory.kept.take()).collect(),
            _ => vec![message],
        }
    }),
    Defect::named("own-event-with-connect-alone").dialect(|dialect| dialect.options.meta_connect_deliver_only = true),
    Defect::named("event-keeps-id").dialect(|dialect| dialect.events.keep_id = true),
    Defect::named("star-means-all-below").asked(|_, message| wildcard(message, "/*", "/**")),
    Defect::named("double-star-means-one").asked(|_, message| wildcard(message, "/**", "/*")),
    Defect::named("case-does-not-matter")
        .asked(|memory, mut message| {
            if let Some(name) = message["channel"].as_str().and_then(|name| name.strip_suffix("/NAME")) {
                memory.kept = Some(message["channel"].clone());
                message["channel"] = format!("{name}/name").into();
            }
            Some(message)
        })
        .told(|memory, message| vec![acknowledged_as_asked(memory, message)]),
    Defect::named("meta-for-everybody").told(|memory, message| {
        memory.flag |= is(&message, "/meta/disconnect");
        let meta = json!({"channel": "/meta/connect", "data": {}});
        if memory.flag && is_event(&message) { vec![meta, message] } else { vec![message] }
    }),
    Defect::named("services-are-broadcast")
        .asked(|memory, mut message| {
            if let Some(name) = message["channel"].as_str().and_then(|name| name.strip_prefix("/service/tapestry/room"))
            {
                memory.kept = Some(message["channel"].clone());
                message["channel"] = format!("/services/tapestry/room{name}").into();
            }
            Some(message)
        })
        .told(|memory, message| vec![acknowledged_as_asked(memory, message)]),
    Defect::named("private-for-everybody")
        .told(|memory, message| {
            let private = json!({"channel": "/service/tapestry/private", "data": memory.kept});
            if is_event(&message) && memory.kept.is_some() { vec![private, message] } else { vec![message] }
        })
        .asked(|memory, message| {
            if is(&message, "/service/tapestry/private") {
                memory.kept = Some(message["data"].clone());
            }
            Some(message)
        }),
    Defect::named("bad-name-accepted")
        .asked(|memory, message| {
            renamed(memory, message, |name| name.contains("//") || name.contains('<'), "/tapestry/renamed")
        })
        .told(|memory, message| named_back(memory, message, "/tapestry/renamed")),
    Defect::named("inner-wildcard-accepted").dialect(|dialect| dialect.validation.inner_wildcards = true),
    Defect::named("publish-to-pattern-fails").dialect(|dialect| dialect.validation.publish_to_patterns = false),
    Defect::named("publish-without-data-refused")
        .asked(|memory, message| {
            memory.flag = message["channel"].as_str().is_some_and(|name| name.starts_with("/tapestry/"))
                && message.get("data").is_none();
            Some(message)
        })
        .told(|memory, message| {
            let refused = memory.flag && message["channel"].as_str().is_some_and(|name| name.starts_with("/tapestry/"));
            vec![if refused { failure(message) } else { message }]
        }),
    Defect::named("anybody-may-publish").told(|_, message| {
        let publish = message["channel"].as_str().is_some_and(|name| name.starts_with("/tapestry/"));
        vec![if publish && is_unknown_client(&message) { success(message) } else { message }]
    }),
    Defect::named("anybody-may-subscribe").told(|_, message| {
        vec![if is(&message, "/meta/subscribe") && is_unknown_client(&message) { success(message) } else { message }]
    }),
    Defect::named("anything-may-be-subscribed-to").told(|_, message| {
        vec![if is(&message, "/meta/subscribe") && message["successful"] == false { success(message) } else { message }]
    }),
    Defect::named("list-refused-as-a-whole").asked(|_, mut message| {
        if message["subscription"].as_array().is_some_and(|list| list.len() == 3) {
            message["subscription"] = json!(["/meta/connect"]);
        }
        Some(message)
    }),
    Defect::named("subscription-not-given-back").told(|_, mut message| {
        if message["subscription"].is_array() {
            message["subscription"] = message["subscription"][0].clone();
        }
        vec![message]
    }),
    Defect::named("subscriptions-outlive-sessions").asked(|memory, message| {
        if is(&message, "/meta/disconnect") {
            memory.flag = true;
        } else if is(&message, "/meta/subscribe") && !memory.flag {
            memory.kept = Some(message["subscription"].clone());
        } else if is(&message, "/meta/subscribe") && memory.flag && memory.kept.is_some() {
            let mut message = message;
            message["subscription"] = json!([memory.kept.take(), message["subscription"]]);
            return Some(message);
        }
        Some(message)
    }),
    Defect::named("unsubscribe-does-nothing")
        .asked(|_, mut message| {
            if is(&message, "/meta/unsubscribe") {
                message["channel"] = "/meta/subscribe".into();
            }
            Some(message)
        })
        .told(|memory, mut message| {
            memory.count += usize::from(is(&message, "/meta/subscribe"));
            if is(&message, "/meta/subscribe") && memory.count == 2 {
                message["channel"] = "/meta/unsubscribe".into();
            }
            vec![message]
        }),
    Defect::named("unsubscribe-always-successful").told(|_, message| {
        vec![if is(&message, "/meta/unsubscribe") && is_reply(&message) { success(message) } else { message }]
    }),
    Defect::named("disconnect-too-late")
        .input(|memory, wire| {
            memory.count = how_many(&wire);
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            vec![if memory.count > 1 && is_unknown_client(&message) { success(message) } else { message }]
        }),
    Defect::named("second-connect-not-held").asked(|memory, mut message| {
        if is(&message, "/meta/connect") {
            memory.count += 1;
            if memory.count == 3 {
                message["advice"] = json!({"timeout": 0});
            }
        }
        Some(message)
    }),
    Defect::named("odd-body-ends-session")
        .input(|memory, wire| {
            memory.flag |= body(&wire).is_some_and(|body| body == "[]" || body == "[null]" || body.len() > 60_000);
            (Some(wire), Vec::new())
        })
        .told(|memory, message| vec![if memory.flag && is_reply(&message) { refusal(&message) } else { message }]),
    Defect::named("timestamp-refused")
        .asked(|memory, message| {
            memory.flag = message.get("timestamp").is_some();
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/subscribe") { refusal(&message) } else { message }]
        }),
    Defect::named("request-without-media-type-refused").input(|_, wire| match &wire {
        Wire::Request(exchange, request)
            if request.method == "POST" && request.headers.get("content-type").is_none() =>
        {
            (None, page(*exchange, 400, ""))
        }
        _ => (Some(wire), Vec::new()),
    }),
    Defect::named("reply-without-array").output(|wire| match wire {
        Wire::Response(exchange, mut response) => {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            let alone = body.strip_prefix('[').and_then(|body| body.strip_suffix(']')).map(str::to_owned);
            response.body = alone.filter(|body| body.contains("/sentinel")).unwrap_or(body).into_bytes();
            Wire::Response(exchange, response)
        }
        other => other,
    }),
    Defect::named("long-frames-taken").dialect(|dialect| dialect.web_socket_limit = 1 << 20),
    Defect::named("foreign-origin-refused").input(|_, wire| match &wire {
        Wire::Upgrade(socket, request) if request.headers.get("origin").is_some() => {
            let response = Response { status: 403, headers: Headers::new(), body: Vec::new() };
            (None, vec![Wire::Refused(*socket, response)])
        }
        _ => (Some(wire), Vec::new()),
    }),
    Defect::named("no-cookie").dialect(|dialect| dialect.browser.owns_sessions = false).output(|wire| match wire {
        Wire::Response(exchange, response) => {
            Wire::Response(exchange, Response { headers: Headers::new(), ..response })
        }
        other => other,
    }),
    Defect::named("every-session-held").dialect(|dialect| dialect.options.max_sessions_per_browser = -1),
    Defect::named("callback-ignored").input(|_, wire| match &wire {
        Wire::Request(exchange, request) if request.method == "GET" => (None, page(*exchange, 200, "[]")),
        _ => (Some(wire), Vec::new()),
    }),
    Defect::named("callback-by-default").input(|_, wire| match &wire {
        Wire::Request(exchange, request) if request.method == "GET" && !request.target.contains("jsonp=") => {
            (None, page(*exchange, 200, "jsonpcallback([])"))
        }
        _ => (Some(wire), Vec::new()),
    }),
    Defect::named("callback-brings-no-events").output(|wire| match wire {
        Wire::Response(exchange, mut response) => {
            let body = String::from_utf8_lossy(&response.body).into_owned();
            let argument = body.strip_prefix("tapestry_2(").and_then(|rest| rest.strip_suffix(')'));
            let messages: Option<Vec<Value>> = argument.and_then(|argument| serde_json::from_str(argument).ok());
            if let Some(mut messages) = messages {
                messages.retain(is_reply);
                response.body = format!("tapestry_2({})", Value::from(messages)).into_bytes();
            }
            Wire::Response(exchange, response)
        }
        other => other,
    }),
];

/// The text of a body or a frame.
fn body(wire: &Wire) -> Option<String> {
    match wire {
        Wire::Request(_, request) => Some(String::from_utf8_lossy(&request.body).into_owned()),
        Wire::Response(_, response) => Some(String::from_utf8_lossy(&response.body).into_owned()),
        Wire::Text(_, text) => Some(text.clone()),
        _ => None,
    }
}

/// Cuts a torn array behind its first message.
fn mended(wire: Wire) -> Wire {
    let mend = |text: String| match text.strip_suffix(r#", {"channel":"#) {
        Some(whole) => format!("{whole}]"),
        None => text,
    };
    match wire {
        Wire::Request(exchange, request) => {
            let body = mend(String::from_utf8_lossy(&request.body).into_owned()).into_bytes();
            Wire::Request(exchange, Request { body, ..request })
        }
        Wire::Text(socket, text) => Wire::Text(socket, mend(text)),
        other => other,
    }
}

/// Leaves of a batch with a handshake the handshake alone.
fn handshake_alone(wire: Wire) -> Wire {
    let alone = |text: &str| {
        let messages: Vec<Value> = serde_json::from_str(text).ok()?;
        let first = messages.first().filter(|first| is(first, "/meta/handshake"))?;
        Some(json!([first]).to_string())
    };
    match wire {
        Wire::Request(exchange, request) => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let body = alone(&text).unwrap_or(text).into_bytes();
            Wire::Request(exchange, Request { body, ..request })
        }
        Wire::Text(socket, text) => Wire::Text(socket, alone(&text).unwrap_or(text)),
        other => other,
    }
}
