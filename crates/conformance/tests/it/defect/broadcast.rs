//! What else a server of broadcast channels, browsers and odd requests can do wrong.

use protocol::wire::{Headers, Response, Wire};
use serde_json::{Value, json};

use super::Defect;
use super::change::{
    acknowledged_as_asked, body, failure, handshake_alone, how_many, is, is_event, is_reply, is_unknown_client,
    named_back, page, refusal, renamed, success, wildcard, without,
};

/// In the order of the cases that they are for.
pub(super) const BROADCAST: &[Defect] = &[
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
