//! The defects of mutated clients, each with the requirement that it breaks.

use std::time::Duration;

use protocol::bayeux::http;
use protocol::wire::{Failure, Transport, Wire};
use serde_json::{Value, json};

use crate::mutant::{Defect, Memory};

fn is(message: &Value, channel: &str) -> bool {
    message["channel"] == channel
}

fn is_reply(message: &Value, channel: &str) -> bool {
    is(message, channel) && message.get("successful").is_some()
}

fn asks(message: &Value, operation: &str) -> bool {
    message["data"]["operation"] == operation
}

fn is_told(message: &Value) -> bool {
    message["data"].get("statusCode").is_some()
}

fn with(mut message: Value, member: &str, value: Value) -> Vec<Value> {
    message[member] = value;
    vec![message]
}

fn with_data(mut message: Value, member: &str, value: Value) -> Vec<Value> {
    message["data"][member] = value;
    vec![message]
}

fn without(mut message: Value, member: &str) -> Vec<Value> {
    if let Some(members) = message.as_object_mut() {
        members.remove(member);
    }
    vec![message]
}

fn without_advice(mut message: Value, member: &str) -> Vec<Value> {
    if let Some(advice) = message.get_mut("advice").and_then(Value::as_object_mut) {
        advice.remove(member);
    }
    vec![message]
}

/// The same request as a request for a chat.
fn as_request_chat(mut message: Value) -> Value {
    message["data"] = json!({"operation": "requestChat", "nickname": "Ann"});
    message
}

/// The same message under an id of its own.
fn again(mut message: Value) -> Value {
    message["id"] = json!(format!("{}again", message["id"].as_str().unwrap_or_default()));
    message
}

/// A message like another one, for later.
fn like(message: &Value, id: &str, channel: &str) -> Value {
    json!({"channel": channel, "id": id, "clientId": message["clientId"]})
}

fn events(message: &Value) -> &[Value] {
    message["data"]["messages"].as_array().map_or(&[], Vec::as_slice)
}

fn as_ended(message: Value, ended: bool) -> Vec<Value> {
    with_data(message, "chatEnded", json!(ended))
}

/// `one` for `two`, and the other way round.
fn exchanged(word: &str) -> String {
    match word {
        "one" => "two".to_owned(),
        "two" => "one".to_owned(),
        other => other.to_owned(),
    }
}

fn lost(memory: &mut Memory, wire: Wire) -> Option<Wire> {
    memory.dead |= matches!(wire, Wire::Lost(_, Failure::Reset) | Wire::Broken(_, Failure::Reset));
    Some(wire)
}

/// Every defect.
pub(crate) static DEFECTS: &[Defect] = &[
    Defect::new("handshake-without-version", "BX-HS-02")
        .sends(|_, message| if is(&message, "/meta/handshake") { without(message, "version") } else { vec![message] }),
    Defect::new("handshake-version-a-word", "BX-VER-01").sends(|_, message| {
        if is(&message, "/meta/handshake") { with(message, "version", json!("one")) } else { vec![message] }
    }),
    Defect::new("connection-types-of-numbers", "BX-FLD-03").sends(|_, message| {
        if is(&message, "/meta/handshake") {
            with(message, "supportedConnectionTypes", json!(["websocket", "long-polling", 3]))
        } else {
            vec![message]
        }
    }),
    Defect::new("handshake-in-company", "BX-HS-04").sends(|_, message| {
        if !is(&message, "/meta/handshake") {
            return vec![message];
        }
        let id = format!("{}beside", message["id"].as_str().unwrap_or_default());
        let beside = json!({"channel": "/meta/subscribe", "id": id, "subscription": "/service/x", "clientId": "none"});
        vec![message, beside]
    }),
    Defect::new("gives-up-after-failed-handshake", "BX-HS-16").hears(|_, message| {
        if is(&message, "/meta/handshake") && message["successful"] == false {
            return with(message, "advice", json!({"reconnect": "none"}));
        }
        vec![message]
    }),
    Defect::new("hears-no-advice-none", "BX-ADV-06").hears(|_, message| {
        if message["advice"]["reconnect"] == "none" { without(message, "advice") } else { vec![message] }
    }),
    Defect::new("shakes-hands-on-advice-none", "BX-ADV-06").hears(|_, message| {
        if message["advice"]["reconnect"] == "none" {
            return with(message, "advice", json!({"reconnect": "handshake"}));
        }
        vec![message]
    }),
    Defect::new("takes-unknown-advice-for-retry", "BX-ADV-07").hears(|_, message| {
        if message["advice"]["reconnect"] == "elsewhere" { without(message, "advice") } else { vec![message] }
    }),
    Defect::new("connects-though-advised-to-handshake", "BX-ADV-05").hears(|_, message| {
        if is(&message, "/meta/connect") && message["advice"]["reconnect"] == "handshake" {
            return with(message, "advice", json!({"reconnect": "retry"}));
        }
        vec![message]
    }),
    Defect::new("ignores-interval", "BX-ADV-10").hears(|_, message| without_advice(message, "interval")),
    Defect::new("keeps-the-longest-interval", "BX-ADV-02").hears(|memory, mut message| {
        if let Some(interval) = message["advice"]["interval"].as_i64() {
            memory.count = memory.count.max(interval);
            message["advice"]["interval"] = json!(memory.count);
        }
        vec![message]
    }),
    Defect::new("tires-of-a-long-hold", "BX-ADV-50")
        .config(|config| {
            config.bayeux.default_timeout = Duration::from_secs(5);
            config.bayeux.max_network_delay = Duration::from_secs(1);
        })
        .hears(|_, message| without_advice(message, "timeout")),
    Defect::new("connects-twice", "BX-CN-04").sends(|_, message| {
        if is(&message, "/meta/connect") { vec![message.clone(), again(message)] } else { vec![message] }
    }),
    Defect::new("one-id-for-all-connects", "BX-FLD-10")
        .sends(|memory, message| {
            if !is(&message, "/meta/connect") {
                return vec![message];
            }
            memory.ids = vec![message["id"].clone()];
            with(message, "id", json!("connect"))
        })
        .hears(|memory, message| {
            if !is_reply(&message, "/meta/connect") {
                return vec![message];
            }
            let id = memory.ids.first().cloned().unwrap_or_default();
            with(message, "id", id)
        }),
    Defect::new("connects-without-id", "BX-CN-13")
        .sends(|memory, message| {
            if !is(&message, "/meta/connect") {
                return vec![message];
            }
            memory.ids = vec![message["id"].clone()];
            without(message, "id")
        })
        .hears(|memory, message| {
            if !is_reply(&message, "/meta/connect") {
                return vec![message];
            }
            let id = memory.ids.first().cloned().unwrap_or_default();
            with(message, "id", id)
        }),
    Defect::new("names-another-connection-type", "BX-FLD-08").sends(|_, message| {
        if is(&message, "/meta/connect") {
            return with(message, "connectionType", json!("callback-polling"));
        }
        vec![message]
    }),
    Defect::new("stops-connecting", "BX-CN-12").sends(|memory, message| {
        memory.count += i64::from(is(&message, "/meta/connect"));
        if is(&message, "/meta/connect") && memory.count > 3 { Vec::new() } else { vec![message] }
    }),
    Defect::new("gives-up-on-402", "RC-51").hears(|_, message| {
        let unknown = message["error"].as_str().is_some_and(|error| error.starts_with("402"));
        if is(&message, "/meta/connect") && unknown {
            return with(message, "advice", json!({"reconnect": "none"}));
        }
        vec![message]
    }),
    Defect::new("ignores-402-on-publish", "RC-51").hears(|memory, message| {
        let unknown = message["error"].as_str().is_some_and(|error| error.starts_with("402"));
        memory.dead |= unknown && !is(&message, "/meta/connect");
        vec![message]
    }),
    Defect::new("second-chat-after-handshake", "RC-53").sends(|memory, message| {
        if asks(&message, "requestNotifications") && memory.handshakes > 1 {
            return vec![as_request_chat(message)];
        }
        vec![message]
    }),
    Defect::new("both-requests-after-handshake", "RC-53").sends(|memory, message| {
        if asks(&message, "requestNotifications") && memory.handshakes > 1 {
            return vec![message.clone(), as_request_chat(again(message))];
        }
        vec![message]
    }),
    Defect::new("no-notifications-after-handshake", "RC-52")
        .config(|config| config.safeguards.restore_after_handshake = false),
    Defect::new("notifications-without-key", "RC-52").sends(|_, mut message| {
        if asks(&message, "requestNotifications")
            && let Some(data) = message["data"].as_object_mut()
        {
            data.remove("secureKey");
        }
        vec![message]
    }),
    Defect::new("notifications-with-a-wrong-key", "RC-52").sends(|_, message| {
        if asks(&message, "requestNotifications") {
            return with_data(message, "secureKey", json!("bm90LXRoZS1rZXktb2YtdGhpcy1jaGF0LWF0LWFsbA=="));
        }
        vec![message]
    }),
    Defect::new("recovers-once", "RC-52").sends(|memory, message| {
        if asks(&message, "requestNotifications") && memory.handshakes > 2 { Vec::new() } else { vec![message] }
    }),
    Defect::new("asks-from-next-position", "RC-54").sends(|memory, message| {
        if asks(&message, "requestNotifications") {
            return with_data(message, "transcriptPosition", json!(memory.next));
        }
        vec![message]
    }),
    Defect::new("counts-events", "RC-54")
        .hears(|memory, message| {
            memory.count += i64::try_from(events(&message).len()).unwrap_or(0);
            vec![message]
        })
        .sends(|memory, message| {
            if asks(&message, "requestNotifications") {
                return with_data(message, "transcriptPosition", json!(memory.count));
            }
            vec![message]
        }),
    Defect::new("asks-for-everything", "RC-54").sends(|_, message| {
        if asks(&message, "requestNotifications") {
            return with_data(message, "transcriptPosition", json!(0));
        }
        vec![message]
    }),
    Defect::new("names-no-position", "RC-54").sends(|_, mut message| {
        if asks(&message, "requestNotifications")
            && let Some(data) = message["data"].as_object_mut()
        {
            data.remove("transcriptPosition");
        }
        vec![message]
    }),
    Defect::new("adopts-any-key", "CV-SK-50").sends(|memory, message| match memory.keys.last() {
        Some(key) if message["data"].get("secureKey").is_some() => with_data(message, "secureKey", json!(key)),
        _ => vec![message],
    }),
    Defect::new("keeps-its-first-key", "CV-SK-55").sends(|memory, message| match memory.keys.first() {
        Some(key) if asks(&message, "sendMessage") => with_data(message, "secureKey", json!(key)),
        _ => vec![message],
    }),
    Defect::new("repeats-request-chat", "RC-59").sends(|memory, message| {
        if asks(&message, "requestChat") && !memory.flag {
            memory.flag = true;
            memory.later.push((Duration::from_secs(6), again(message.clone())));
        }
        vec![message]
    }),
    Defect::new("insists-on-a-chat", "RC-59").insists(),
    Defect::new("insists-after-a-second", "CV-EV-51")
        .config(|config| config.answer_timeout = Duration::from_secs(1))
        .insists(),
    Defect::new("asks-again-if-answered-first", "CV-EV-51")
        .sends(|memory, message| {
            if asks(&message, "requestChat") {
                memory.ids = vec![message.clone()];
            }
            vec![message]
        })
        .hears(|memory, message| {
            let Some(request) = memory.ids.first().cloned() else { return vec![message] };
            if message["id"] == request["id"] && message.get("successful").is_some() {
                memory.ids.clear();
            } else if is_told(&message) {
                memory.ids.clear();
                memory.later.push((Duration::from_millis(100), again(request)));
            }
            vec![message]
        }),
    Defect::new("ends-on-status-1", "RC-57")
        .hears(|_, message| if message["data"]["statusCode"] == 1 { as_ended(message, true) } else { vec![message] }),
    Defect::new("second-chat-on-status-1", "RC-57")
        .sends(|memory, message| {
            if asks(&message, "requestChat") {
                memory.ids = vec![message.clone()];
            }
            vec![message]
        })
        .hears(|memory, message| {
            if message["data"]["statusCode"] == 1
                && let Some(request) = memory.ids.pop()
            {
                memory.later.push((Duration::from_millis(100), again(request)));
            }
            vec![message]
        }),
    Defect::new("mute-after-status-1", "RC-57")
        .hears(|memory, message| {
            memory.flag |= message["data"]["statusCode"] == 1;
            vec![message]
        })
        .sends(|memory, message| if memory.flag && asks(&message, "sendMessage") { Vec::new() } else { vec![message] }),
    Defect::new("hammers-an-absent-chat-server", "RC-58")
        .config(|config| config.unavailable_retry = Duration::from_millis(100)),
    Defect::new("misses-an-end-without-events", "CV-DC-53").hears(|_, message| {
        let empty = is_told(&message) && events(&message).is_empty() && message["data"]["statusCode"] == 0;
        if empty { as_ended(message, false) } else { vec![message] }
    }),
    Defect::new("misses-an-end-with-status-2", "CV-DC-53")
        .hears(|_, message| if message["data"]["statusCode"] == 2 { as_ended(message, false) } else { vec![message] }),
    Defect::new("never-disconnects", "BX-DC-01")
        .sends(|_, message| if is(&message, "/meta/disconnect") { Vec::new() } else { vec![message] }),
    Defect::new("asks-after-the-end", "CV-DC-51").sends(|memory, message| {
        if !is(&message, "/meta/disconnect") {
            return vec![message];
        }
        let key = memory.keys.last().cloned().unwrap_or_default();
        let data = json!({"operation": "stopTyping", "secureKey": key});
        let mut asked = like(&message, "after-the-end", "/service/chatV2/customer-support");
        asked["data"] = data;
        vec![asked, message]
    }),
    Defect::new("waits-for-the-end-for-ever", "CV-DC-52").sends(|memory, message| {
        memory.flag |= asks(&message, "disconnect");
        if memory.flag && is(&message, "/meta/disconnect") { Vec::new() } else { vec![message] }
    }),
    Defect::new("connects-after-its-disconnect", "BX-DC-10").sends(|memory, message| {
        if is(&message, "/meta/disconnect") {
            let mut connect = like(&message, "back-again", "/meta/connect");
            connect["connectionType"] = json!("websocket");
            memory.later.push((Duration::from_secs(2), connect));
        }
        vec![message]
    }),
    Defect::new("leaves-its-socket-open", "BX-WS-08").leaves(|_, wire| match wire {
        Wire::Close(..) | Wire::Lost(..) => None,
        other => Some(other),
    }),
    Defect::new("gives-up-when-cut", "RC-55").enters(lost),
    Defect::new("gives-up-when-cut-over-http", "RC-55").over(Transport::LongPolling).enters(lost),
    Defect::new("gives-up-when-closed", "RC-55").enters(|memory, wire| {
        memory.dead |= matches!(&wire, Wire::Close(_, close) if close.code == 1001);
        Some(wire)
    }),
    Defect::new("no-notifications-after-a-cut", "RC-56").sends(|memory, message| {
        if asks(&message, "requestNotifications") && memory.handshakes < 2 { Vec::new() } else { vec![message] }
    }),
    Defect::new("second-chat-after-a-cut", "RC-56").sends(|memory, message| {
        if asks(&message, "requestNotifications") && memory.handshakes < 2 {
            return vec![as_request_chat(message)];
        }
        vec![message]
    }),
    Defect::new("takes-503-for-the-end", "BX-LP-10").over(Transport::LongPolling).enters(|memory, wire| {
        memory.dead |= matches!(&wire, Wire::Response(_, response) if response.status == 503);
        Some(wire)
    }),
    Defect::new("never-backs-off", "BX-ADV-12").config(|config| config.bayeux.max_backoff = Duration::from_secs(1)),
    Defect::new("impatient-with-handshakes", "BX-HS-18")
        .over(Transport::LongPolling)
        .config(|config| config.bayeux.max_network_delay = Duration::from_secs(1)),
    Defect::new("forgets-cookies", "BX-MC-55").over(Transport::LongPolling).leaves(|memory, wire| match wire {
        Wire::Request(exchange, mut request) => {
            memory.count += 1;
            // From the third request on; a session without its cookie would not come to be.
            if memory.count > 2 {
                let cookie = http::BROWSER_COOKIE;
                request.headers.0.retain(|(name, value)| name != "Cookie" || !value.contains(cookie));
            }
            Some(Wire::Request(exchange, request))
        }
        other => Some(other),
    }),
    Defect::new("stumbles-over-unknown-channels", "BX-MSG-07").hears(|memory, message| {
        memory.dead |= is(&message, "/service/tapestry/unknown");
        vec![message]
    }),
    Defect::new("stumbles-over-unknown-members", "BX-FLD-20")
        .hears(|memory, message| {
            memory.flag |= message["ext"].get("x-tapestry").is_some();
            vec![message]
        })
        .sends(|memory, message| {
            if memory.flag && asks(&message, "sendMessage") {
                return with_data(message, "secureKey", json!("bm90LXRoZS1rZXktb2YtdGhpcy1jaGF0LWF0LWFsbA=="));
            }
            vec![message]
        }),
    Defect::new("says-two-before-one", "BX-PB-09")
        .sends(|_, message| match message["data"]["message"].as_str().map(exchanged) {
            Some(word) => with_data(message, "message", json!(word)),
            None => vec![message],
        })
        .hears(|_, mut message| {
            // So that it knows its echoes.
            for event in message.pointer_mut("/data/messages").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(word) = event["text"].as_str().map(exchanged) {
                    event["text"] = json!(word);
                }
            }
            vec![message]
        }),
    Defect::new("ends-on-errors", "CV-ER-50").hears(|_, message| {
        let has_errors = message["data"]["errors"].as_array().is_some_and(|errors| !errors.is_empty());
        if has_errors { as_ended(message, true) } else { vec![message] }
    }),
    Defect::new("mute-after-errors", "CV-ER-50")
        .hears(|memory, message| {
            memory.flag |= message["data"]["errors"].as_array().is_some_and(|errors| !errors.is_empty());
            vec![message]
        })
        .sends(|memory, message| if memory.flag && asks(&message, "sendMessage") { Vec::new() } else { vec![message] }),
    Defect::new("mute-after-a-failure-without-errors", "CV-ER-50")
        .hears(|memory, message| {
            memory.flag |= message["data"]["errors"].as_array().is_some_and(Vec::is_empty);
            vec![message]
        })
        .sends(|memory, message| if memory.flag && asks(&message, "sendMessage") { Vec::new() } else { vec![message] }),
    Defect::new("deaf-while-a-connect-has-failed", "BX-CN-15").hears(|memory, message| {
        if is_reply(&message, "/meta/connect") {
            memory.flag = message["successful"] == false;
        }
        if memory.flag && is_told(&message) { Vec::new() } else { vec![message] }
    }),
    Defect::new("takes-numbers-for-foreign-ids", "BX-FLD-50").hears(|memory, message| {
        memory.dead |= message["id"].is_number();
        vec![message]
    }),
    Defect::new("publishes-to-a-meta-channel", "BX-CH-03").sends(|memory, message| {
        if asks(&message, "requestChat") {
            let mut published = like(&message, "meta", "/meta/tapestry");
            published["data"] = json!({});
            memory.later.push((Duration::from_millis(100), published));
        }
        vec![message]
    }),
    Defect::new("subscribes-to-a-meta-channel", "BX-META-01").sends(|memory, message| {
        if asks(&message, "requestChat") {
            let mut subscribe = like(&message, "subscribe", "/meta/subscribe");
            subscribe["subscription"] = json!("/meta/connect");
            memory.later.push((Duration::from_millis(100), subscribe));
        }
        vec![message]
    }),
    Defect::new("publishes-without-data", "BX-PB-01").sends(|memory, message| {
        if asks(&message, "requestChat") {
            memory.later.push((Duration::from_millis(100), like(&message, "bare", "/service/tapestry")));
        }
        vec![message]
    }),
    Defect::new("uses-its-old-client-id", "BX-CID-04").sends(|memory, message| {
        if memory.handshakes > 1 && asks(&message, "requestNotifications") {
            let mut old = again(message.clone());
            old["clientId"] = memory.clients.first().cloned().unwrap_or_default();
            return vec![old, message];
        }
        vec![message]
    }),
];
