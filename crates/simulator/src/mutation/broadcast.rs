//! What else a server of broadcast channels, browsers and odd requests can do wrong.

use protocol::wire::{Headers, Response, Wire};
use serde_json::{Value, json};

use super::Mutation;
use super::change::{
    acknowledged_as_asked, alone, body, failure, handshake_alone, how_many, is, is_event, is_reply, is_unknown_client,
    named_back, page, refusal, renamed, success, wildcard, with, without,
};

/// In the order of the cases that they are for.
pub(super) const BROADCAST: &[Mutation] = &[
    Mutation::named("version-of-letters")
        .about("The `version` of the handshake reply is a word.")
        .breaks(&["BX-VER-01"])
        .told(|_, mut message| {
            if is(&message, "/meta/handshake") {
                message["version"] = "one".into();
            }
            vec![message]
        }),
    Mutation::named("handshake-advises-nothing")
        .about("The handshake reply has no advice.")
        .breaks(&["BX-ADV-16"])
        .dialect(|dialect| dialect.handshake_advice = false),
    Mutation::named("advised-timeout-of-text").about("The advised timeout is a word.").breaks(&["BX-LP-06"]).told(
        |_, mut message| {
            if is(&message, "/meta/handshake") {
                message["advice"] = json!({"reconnect": "retry", "timeout": "long"});
            }
            vec![message]
        },
    ),
    Mutation::named("incomplete-handshake-refused")
        .about("A handshake without `version` is refused.")
        .breaks(&["BX-HS-07"])
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
    Mutation::named("handshake-beside-others-answered")
        .about("Of a batch with a handshake the handshake is answered, and the rest dropped.")
        .breaks(&["BX-HS-51"])
        .input(|_, wire| (Some(handshake_alone(wire)), Vec::new())),
    Mutation::named("sessions-for-ever")
        .about("Sessions that nobody uses stay for a minute.")
        .breaks(&["BX-CN-10"])
        .dialect(|dialect| dialect.max_interval_ms = 60_000),
    Mutation::named("event-lost")
        .about("Events on broadcast channels are lost.")
        .breaks(&["BX-DL-01"])
        .told(|_, message| if is_event(&message) { Vec::new() } else { vec![message] }),
    Mutation::named("event-on-another-channel")
        .about("Events come on another channel than they were sent to.")
        .breaks(&["BX-DL-01"])
        .told(|_, mut message| {
            if is_event(&message) {
                message["channel"] = "/tapestry/elsewhere".into();
            }
            vec![message]
        }),
    Mutation::named("data-in-ascii")
        .about("Every character that is not ASCII becomes a question mark.")
        .breaks(&["BX-MSG-06"])
        .told(|_, mut message| {
            let plain = |text: &str| text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>();
            if let Some(text) = message["data"].as_str().map(plain) {
                message["data"] = text.into();
            }
            vec![message]
        }),
    Mutation::named("falsehood-as-null").about("`data` that is false arrives as null.").breaks(&["BX-FLD-14"]).told(
        |_, mut message| {
            if message.get("data").is_some_and(|data| data == &json!(false)) {
                message["data"] = Value::Null;
            }
            vec![message]
        },
    ),
    Mutation::named("first-event-late")
        .about("Of several events of one sender the first comes behind the second.")
        .breaks(&["BX-DL-09"])
        .told(|memory, message| {
            if !is_event(&message) {
                return vec![message];
            }
            // Those who publish numbers begin with 1.
            if message["data"] == 1 {
                memory.kept = Some(message);
                return Vec::new();
            }
            std::iter::once(message).chain(memory.kept.take()).collect()
        }),
    Mutation::named("own-event-with-connect-alone")
        .about("Events travel with connects alone.")
        .breaks(&["BX-DL-52", "BX-DL-05", "BX-WS-50", "BX-WS-52"])
        .dialect(|dialect| dialect.options.meta_connect_deliver_only = true),
    Mutation::named("event-keeps-id")
        .about("Events keep the `id` of their publish.")
        .breaks(&["BX-DL-51"])
        .dialect(|dialect| dialect.events.keep_id = true),
    Mutation::named("star-means-all-below")
        .about("`/a/*` stands for all channels below.")
        .breaks(&["BX-CH-05"])
        .asked(|_, message| wildcard(message, "/*", "/**")),
    Mutation::named("double-star-means-one")
        .about("`/a/**` stands for one more segment alone.")
        .breaks(&["BX-CH-06"])
        .asked(|_, message| wildcard(message, "/**", "/*")),
    Mutation::named("case-does-not-matter")
        .about("The case of a channel's name does not matter.")
        .breaks(&["BX-CH-10"])
        .asked(|memory, mut message| {
            if let Some(name) = message["channel"].as_str().and_then(|name| name.strip_suffix("/NAME")) {
                memory.kept = Some(message["channel"].clone());
                message["channel"] = format!("{name}/name").into();
            }
            Some(message)
        })
        .told(|memory, message| vec![acknowledged_as_asked(memory, message)]),
    Mutation::named("meta-for-everybody")
        .about("Messages of meta channels are distributed.")
        .breaks(&["BX-META-02", "BX-META-50"])
        .told(|memory, message| {
            memory.flag |= is(&message, "/meta/disconnect");
            let meta = json!({"channel": "/meta/tapestry", "data": {}});
            if memory.flag && is_event(&message) { vec![meta, message] } else { vec![message] }
        }),
    Mutation::named("services-are-broadcast")
        .about("What is sent to a service reaches those who subscribed to a channel with a similar name.")
        .breaks(&["BX-SVC-01"])
        .asked(|memory, mut message| {
            if let Some(name) = message["channel"].as_str().and_then(|name| name.strip_prefix("/service/tapestry/room"))
            {
                memory.kept = Some(message["channel"].clone());
                message["channel"] = format!("/services/tapestry/room{name}").into();
            }
            Some(message)
        })
        .told(|memory, message| vec![acknowledged_as_asked(memory, message)]),
    Mutation::named("like-a-service-is-private")
        .about("A channel whose name only begins like that of a service brings no events.")
        .breaks(&["BX-CH-04"])
        .told(|_, message| {
            let like = message["channel"].as_str().is_some_and(|name| name.starts_with("/services/"));
            if like && is_event(&message) { Vec::new() } else { vec![message] }
        }),
    Mutation::named("private-for-everybody")
        .about("What is sent to a service goes to other clients too.")
        .breaks(&["BX-SVC-01"])
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
    Mutation::named("bad-name-accepted")
        .about("Names that no channel can have are accepted.")
        .breaks(&["BX-CH-01"])
        .asked(|memory, message| {
            renamed(memory, message, |name| name.contains("//") || name.contains('<'), "/tapestry/renamed")
        })
        .told(|memory, message| named_back(memory, message, "/tapestry/renamed")),
    Mutation::named("inner-wildcard-accepted")
        .about("A wildcard in the middle of a pattern is taken for a name.")
        .breaks(&["BX-CH-07"])
        .dialect(|dialect| dialect.validation.inner_wildcards = true),
    Mutation::named("publish-to-pattern-fails")
        .about("A publish to a pattern fails the whole request.")
        .breaks(&["BX-CH-09"])
        .dialect(|dialect| dialect.validation.publish_to_patterns = false),
    Mutation::named("publish-without-data-refused")
        .about("A publish without `data` is refused.")
        .breaks(&["BX-FLD-13"])
        .asked(|memory, message| {
            memory.flag = message["channel"].as_str().is_some_and(|name| name.starts_with("/tapestry/"))
                && message.get("data").is_none();
            Some(message)
        })
        .told(|memory, message| {
            let refused = memory.flag && message["channel"].as_str().is_some_and(|name| name.starts_with("/tapestry/"));
            vec![if refused { failure(message) } else { message }]
        }),
    Mutation::named("anybody-may-publish").about("Who has no session may publish.").breaks(&["BX-UN-01"]).told(
        |_, message| {
            let publish = message["channel"].as_str().is_some_and(|name| name.starts_with("/tapestry/"));
            vec![if publish && is_unknown_client(&message) { success(message) } else { message }]
        },
    ),
    Mutation::named("anybody-may-subscribe").about("Who has no session may subscribe.").breaks(&["BX-SB-09"]).told(
        |_, message| {
            vec![if is(&message, "/meta/subscribe") && is_unknown_client(&message) {
                success(message)
            } else {
                message
            }]
        },
    ),
    Mutation::named("anything-may-be-subscribed-to")
        .about("Every subscription is called successful.")
        .breaks(&["BX-META-51", "BX-SB-09", "BX-SEC-05", "BX-DC-08"])
        .told(|_, message| {
            vec![if is(&message, "/meta/subscribe") && message["successful"] == false {
                success(message)
            } else {
                message
            }]
        }),
    Mutation::named("list-refused-as-a-whole")
        .about("If one subscription of an array is refused, all of them are.")
        .breaks(&["BX-SB-06"])
        .asked(|_, mut message| {
            if message["subscription"].as_array().is_some_and(|list| list.len() == 3) {
                message["subscription"] = json!(["/meta/connect"]);
            }
            Some(message)
        }),
    Mutation::named("subscription-not-given-back")
        .about("The reply to an array of subscriptions names the first one alone.")
        .breaks(&["BX-FLD-16"])
        .told(|_, mut message| {
            if message["subscription"].is_array() {
                message["subscription"] = message["subscription"][0].clone();
            }
            vec![message]
        }),
    Mutation::named("subscriptions-outlive-sessions")
        .about("A new session has the subscriptions of the one before.")
        .breaks(&["BX-SB-10"])
        .asked(|memory, message| {
            memory.flag |= is(&message, "/meta/disconnect");
            if !is(&message, "/meta/subscribe") {
                return Some(message);
            }
            let inherits = std::mem::take(&mut memory.flag);
            match memory.kept.replace(message["subscription"].clone()) {
                Some(before) if inherits => {
                    let own = message["subscription"].clone();
                    Some(with(message, "subscription", json!([before, own])))
                }
                _ => Some(message),
            }
        }),
    Mutation::named("unsubscribe-does-nothing")
        .about("Events go on after an unsubscribe.")
        .breaks(&["BX-US-03"])
        .asked(|memory, mut message| {
            if is(&message, "/meta/unsubscribe") {
                memory.kept = Some(message["id"].clone());
                message["channel"] = "/meta/subscribe".into();
            }
            Some(message)
        })
        .told(|memory, mut message| {
            let asked = memory.kept.as_ref() == message.get("id") && is(&message, "/meta/subscribe");
            if asked && memory.kept.take().is_some() {
                message["channel"] = "/meta/unsubscribe".into();
            }
            vec![message]
        }),
    Mutation::named("unsubscribe-always-successful")
        .about("Every unsubscribe is called successful.")
        .breaks(&["BX-US-05"])
        .told(|_, message| {
            vec![if is(&message, "/meta/unsubscribe") && is_reply(&message) { success(message) } else { message }]
        }),
    Mutation::named("disconnect-too-late")
        .about("What stands behind a disconnect in its array is still carried out.")
        .breaks(&["BX-DC-08"])
        .input(|memory, wire| {
            let leaves = body(&wire).is_some_and(|body| body.contains("/meta/disconnect"));
            memory.count = if leaves { how_many(&wire) } else { 0 };
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            vec![if memory.count > 1 && is_unknown_client(&message) { success(message) } else { message }]
        }),
    Mutation::named("second-connect-not-held")
        .about("A connect that takes the place of another one is not held.")
        .breaks(&["BX-CN-54"])
        .asked(|memory, mut message| {
            let hold = message["advice"]["timeout"].as_u64().unwrap_or_default();
            if is(&message, "/meta/connect") && memory.flag && hold == 1_500 {
                message["advice"] = json!({"timeout": 0});
            }
            memory.flag |= hold == 3_000;
            Some(message)
        }),
    Mutation::named("odd-body-ends-session")
        .about("A body that is odd ends the session of its sender.")
        .breaks(&["BX-MSG-09", "BX-WS-10", "BX-FLD-22"])
        .input(|memory, wire| {
            if body(&wire).is_some_and(|body| body == "[]" || body == "[null]" || body.len() > 60_000) {
                memory.count_of(&memory.sender(&wire));
            }
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            let ended = is_reply(&message) && memory.has_counted(&memory.addressee);
            vec![if ended { refusal(&message) } else { message }]
        }),
    Mutation::named("timestamp-refused")
        .about("Messages with a timestamp are refused.")
        .breaks(&["BX-FLD-12"])
        .asked(|memory, message| {
            memory.flag = message.get("timestamp").is_some();
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/subscribe") { refusal(&message) } else { message }]
        }),
    Mutation::named("request-without-media-type-refused")
        .about("A request that does not say what it is gets status 400.")
        .breaks(&["BX-LP-05"])
        .input(|_, wire| match &wire {
            Wire::Request(exchange, request)
                if request.method == "POST" && request.headers.get("content-type").is_none() =>
            {
                (None, page(*exchange, 400, ""))
            }
            _ => (Some(wire), Vec::new()),
        }),
    Mutation::named("reply-without-array")
        .about("A reply that is alone in its response has no array around it.")
        .breaks(&["BX-GEN-05", "BX-MSG-03"])
        .output(|_, wire| match wire {
            Wire::Response(exchange, mut response) => {
                let body = String::from_utf8_lossy(&response.body).into_owned();
                if let Some(alone) = alone(&body).filter(|body| body.contains("/sentinel")) {
                    response.body = alone.into_bytes();
                }
                Wire::Response(exchange, response)
            }
            other => other,
        }),
    Mutation::named("long-frames-taken")
        .about("A frame of more than 64 KB is taken like any other.")
        .breaks(&["BX-WS-51"])
        .dialect(|dialect| dialect.web_socket_limit = 1 << 20),
    Mutation::named("foreign-origin-refused")
        .about("A page of another origin may not open a WebSocket.")
        .breaks(&["BX-SEC-06"])
        .input(|_, wire| match &wire {
            Wire::Upgrade(socket, request) if request.headers.get("origin").is_some() => {
                let response = Response { status: 403, headers: Headers::new(), body: Vec::new() };
                (None, vec![Wire::Refused(*socket, response)])
            }
            _ => (Some(wire), Vec::new()),
        }),
    Mutation::named("no-cookie")
        .about("Browsers are given no cookie.")
        .breaks(&["BX-MC-01"])
        .dialect(|dialect| dialect.browser.owns_sessions = false)
        .output(|_, wire| match wire {
            Wire::Response(exchange, mut response) => {
                response.headers.0.retain(|(name, _)| !name.eq_ignore_ascii_case("set-cookie"));
                Wire::Response(exchange, response)
            }
            other => other,
        }),
    Mutation::named("every-session-held")
        .about("Every session of a browser has its connect held.")
        .breaks(&["BX-MC-02"])
        .dialect(|dialect| dialect.options.max_sessions_per_browser = -1),
    Mutation::named("callback-ignored")
        .about("A GET is answered without a call of the function that it names.")
        .breaks(&["BX-CP-02"])
        .input(|_, wire| match &wire {
            Wire::Request(exchange, request) if request.method == "GET" => (None, page(*exchange, 200, "[]")),
            _ => (Some(wire), Vec::new()),
        }),
    Mutation::named("callback-by-default")
        .about("A GET that names no function gets a call of `jsonpcallback`.")
        .breaks(&["BX-CP-03"])
        .input(|_, wire| match &wire {
            Wire::Request(exchange, request) if request.method == "GET" && !request.target.contains("jsonp=") => {
                (None, page(*exchange, 200, "jsonpcallback([])"))
            }
            _ => (Some(wire), Vec::new()),
        }),
    Mutation::named("callback-brings-no-events")
        .about("Over callback-polling connects bring no events.")
        .breaks(&["BX-CP-07"])
        .output(|_, wire| match wire {
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
