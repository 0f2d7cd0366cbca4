//! What a server of sessions and chats can do wrong, each a few lines.

use std::time::Duration;

use protocol::wire::{Close, Headers, Response, Wire};
use serde_json::{Value, json};

use super::Defect;
use super::change::{
    body, events, has_event, is, is_acknowledgement, is_reply, is_told, keep_events, mended, refusal, said_by, without,
};

/// In the order of the cases that they are for.
pub(super) const COMMON: &[Defect] = &[
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
];
