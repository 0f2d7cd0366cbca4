//! What a server of sessions can do wrong, each a few lines.

use std::time::Duration;

use protocol::wire::{Headers, Response, Wire};
use serde_json::{Value, json};

use super::change::{
    body, has_event, is, is_acknowledgement, is_reply, is_told, is_unknown_client, mended, page, refusal, without,
};
use super::{Memory, Mutation};

/// Counts the sessions that subscribe to the channel of a chat service.
fn subscribed(memory: &mut Memory, message: Value) -> Option<Value> {
    if message["subscription"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/")) {
        memory.count_of(&memory.client.clone());
    }
    Some(message)
}

/// In the order of the cases that they are for.
pub(super) const SESSIONS: &[Mutation] = &[
    Mutation::named("handshake-without-version")
        .about("The handshake reply has no `version`.")
        .breaks(&["BX-HS-09", "BX-VER-01"])
        .told(|_, message| vec![if is(&message, "/meta/handshake") { without(message, "version") } else { message }]),
    Mutation::named("handshake-unanswered")
        .about("Handshakes are never answered.")
        .breaks(&["BX-HS-06"])
        .told(|_, message| if is(&message, "/meta/handshake") { Vec::new() } else { vec![message] }),
    Mutation::named("offers-no-known-type")
        .about("The handshake reply offers no connection type that anybody knows.")
        .breaks(&["BX-HS-11"])
        .told(|_, mut message| {
            if is(&message, "/meta/handshake") {
                message["supportedConnectionTypes"] = json!(["carrier-pigeon"]);
            }
            vec![message]
        }),
    Mutation::named("client-id-with-dash")
        .about("Every `clientId` has a dash in it.")
        .breaks(&["BX-CID-01"])
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
    Mutation::named("client-id-given-back")
        .about("A handshake is given the `clientId` of a session that is there already.")
        .breaks(&["BX-HS-10", "BX-CID-02", "BX-HS-50"])
        .asked(|memory, message| {
            memory.kept.take_if(|kept| is(&message, "/meta/disconnect") && *kept == message["clientId"]);
            Some(message)
        })
        .told(|memory, mut message| {
            memory.kept.take_if(|_| is_unknown_client(&message));
            if is(&message, "/meta/handshake") && message["clientId"].is_string() {
                message["clientId"] = memory.kept.get_or_insert_with(|| message["clientId"].clone()).clone();
            }
            vec![message]
        }),
    Mutation::named("first-connect-held")
        .about("The first connect of a session is held rather than answered at once.")
        .breaks(&["BX-CN-50"])
        .delay(|memory, _, wire| {
            let connect = body(wire).is_some_and(|body| body.contains(r#""channel":"/meta/connect""#));
            let first = connect && memory.count_of(&memory.addressee.clone()) == 1;
            if first { Duration::from_secs(5) } else { Duration::ZERO }
        }),
    Mutation::named("timeout-of-client-ignored")
        .about("The `timeout` that a connect asks for is ignored.")
        .breaks(&["BX-ADV-09"])
        .asked(|memory, message| {
            let connect = is(&message, "/meta/connect");
            memory.count += usize::from(connect);
            Some(if connect { without(message, "advice") } else { message })
        }),
    Mutation::named("nothing-while-connect-held")
        .about("While a connect is held, other messages wait for it.")
        .breaks(&["BX-GEN-02"])
        .delay(|memory, _, wire| {
            // Only the first reply of a session to something else is held back, until the connect is due.
            let Some(body) = body(wire) else { return Duration::ZERO };
            let sentinel = body.contains("/service/tapestry/sentinel") && !body.contains("/meta/connect");
            if sentinel && memory.count_of(&memory.addressee.clone()) == 1 {
                return Duration::from_millis(1_800);
            }
            Duration::ZERO
        }),
    Mutation::named("never-says-402").about("Unknown clients are told that all is well.").breaks(&["BX-CN-11"]).told(
        |_, mut message| {
            if message["error"].as_str().is_some_and(|error| error.starts_with("402")) {
                message = without(without(message, "error"), "advice");
                message["successful"] = true.into();
            }
            vec![message]
        },
    ),
    Mutation::named("402-without-code")
        .about("The error for an unknown client has no code.")
        .breaks(&["BX-FLD-19", "BX-FLD-18"])
        .told(|_, mut message| {
            if message["error"].as_str().is_some_and(|error| error.starts_with("402")) {
                message["error"] = "Unknown client".into();
            }
            vec![message]
        }),
    Mutation::named("402-without-advice")
        .about("Unknown clients are not advised to handshake again.")
        .breaks(&["RC-01"])
        .told(|_, message| {
            let refused = message["error"].as_str().is_some_and(|error| error.starts_with("402"));
            vec![if refused { without(message, "advice") } else { message }]
        }),
    Mutation::named("event-releases-no-connect")
        .about("Events do not release the held connect; they wait until it ends.")
        .breaks(&["BX-LP-07"])
        .delay(|memory, now, wire| match wire {
            Wire::Response(exchange, response) if String::from_utf8_lossy(&response.body).contains("\"Agent\"") => {
                memory.end_of_hold(now, *exchange)
            }
            _ => Duration::ZERO,
        }),
    Mutation::named("pushed-when-connect-ends")
        .about("On a WebSocket what an agent does waits for the end of the held connect.")
        .breaks(&["BX-WS-05"])
        .asked(|memory, message| {
            if let Some(client) = message["clientId"].as_str().filter(|_| is(&message, "/meta/connect")) {
                let hold = message["advice"]["timeout"].as_u64().unwrap_or(30_000);
                memory.lasts(client, memory.now + Duration::from_millis(hold));
            }
            Some(message)
        })
        .delay(|memory, now, wire| match wire {
            Wire::Text(_, text) if text.contains(r#""type":"Agent""#) && !text.contains(r#""successful""#) => {
                memory.end_of(&memory.addressee).map_or(Duration::ZERO, |end| end.since(now))
            }
            _ => Duration::ZERO,
        }),
    Mutation::named("connect-brings-nothing")
        .about("What happened between two connects is lost.")
        .breaks(&["CV-TR-03"])
        .input(|memory, wire| {
            if let Wire::Request(..) = &wire {
                memory.flag = body(&wire).is_some_and(|body| body.contains(r#""advice":{"timeout":0}"#));
            }
            (Some(wire), Vec::new())
        })
        .told(|memory, message| if memory.flag && is_told(&message) { Vec::new() } else { vec![message] }),
    Mutation::named("connect-brings-it-late")
        .about("What happened between two connects comes only with the second one after it.")
        .breaks(&["BX-DL-07"])
        .input(|memory, wire| {
            let Wire::Request(exchange, request) = &wire else { return (Some(wire), Vec::new()) };
            let messages: Vec<Value> = serde_json::from_slice(&request.body).unwrap_or_default();
            let Some(connect) = messages.first().filter(|first| is(first, "/meta/connect")) else {
                return (Some(wire), Vec::new());
            };
            memory.flag = connect["advice"]["timeout"] == 0;
            match memory.kept.take_if(|_| !memory.flag) {
                Some(kept) => {
                    let reply = json!({"channel": "/meta/connect", "id": connect["id"], "successful": true});
                    let back = page(*exchange, 200, &json!([kept, reply]).to_string());
                    (None, back)
                }
                None => (Some(wire), Vec::new()),
            }
        })
        .told(|memory, message| {
            let answers = |event: &Value| event["text"].as_str().is_some_and(|text| text.starts_with("You wrote"));
            if memory.flag && has_event(&message, answers) && memory.kept.is_none() {
                memory.kept = Some(message);
                return Vec::new();
            }
            vec![message]
        }),
    Mutation::named("publish-unacknowledged")
        .about("Publishes to a service are not acknowledged.")
        .breaks(&["BX-PB-05"])
        .told(|_, message| if is_acknowledgement(&message) { Vec::new() } else { vec![message] }),
    Mutation::named("acknowledged-without-id")
        .about("The acknowledgement of a publish has no `id`.")
        .breaks(&["BX-PB-05"])
        .told(|_, message| vec![if is_acknowledgement(&message) { without(message, "id") } else { message }]),
    Mutation::named("acknowledged-with-data")
        .about("The acknowledgement of a publish has `data` of its own.")
        .breaks(&["BX-SVC-05"])
        .told(|_, mut message| {
            if is_acknowledgement(&message) {
                message["data"] = json!({"statusCode": 0, "chatEnded": false, "messages": []});
            }
            vec![message]
        }),
    Mutation::named("nothing-without-subscription")
        .about("Answers of a service come only to those who subscribed to its channel.")
        .breaks(&["CV-CH-01"])
        .asked(subscribed)
        .told(|memory, message| {
            let lost = is_told(&message) && !memory.has_counted(&memory.addressee);
            if lost { Vec::new() } else { vec![message] }
        }),
    Mutation::named("subscription-refused")
        .about("Subscriptions to the channel of a chat service are refused.")
        .breaks(&["CV-CH-02"])
        .told(|_, mut message| {
            let chat = message["subscription"].as_str().is_some_and(|name| name.starts_with("/service/chatV2/"));
            if chat && is(&message, "/meta/subscribe") {
                message["successful"] = false.into();
                message["error"] = "403::subscribe_denied".into();
            }
            vec![message]
        }),
    Mutation::named("subscription-doubles")
        .about("Who subscribes to the service channel gets everything twice.")
        .breaks(&["CV-CH-03"])
        .asked(subscribed)
        .told(|memory, message| {
            let doubled = is_told(&message) && memory.has_counted(&memory.addressee);
            if doubled { vec![message.clone(), message] } else { vec![message] }
        }),
    Mutation::named("disconnect-unanswered")
        .about("Disconnects are not answered.")
        .breaks(&["BX-DC-05"])
        .told(|_, message| if is(&message, "/meta/disconnect") { Vec::new() } else { vec![message] }),
    Mutation::named("disconnect-refused")
        .about("Every disconnect is answered as unsuccessful.")
        .breaks(&["BX-DC-06"])
        .told(|_, mut message| {
            if is(&message, "/meta/disconnect") {
                message["successful"] = false.into();
                message["error"] = "500::no".into();
            }
            vec![message]
        }),
    Mutation::named("disconnect-releases-nothing")
        .about("A disconnect does not release the held connect.")
        .breaks(&["BX-DC-03"])
        .delay(|_, _, wire| {
            let released = body(wire).is_some_and(|body| body.contains(r#""reconnect":"none""#));
            if released { Duration::from_secs(20) } else { Duration::ZERO }
        }),
    Mutation::named("disconnect-advises-nothing")
        .about("The connect that a disconnect releases has no advice.")
        .breaks(&["BX-DC-50"])
        .told(|_, message| {
            let released = is(&message, "/meta/connect") && message["advice"]["reconnect"] == "none";
            vec![if released { without(message, "advice") } else { message }]
        }),
    Mutation::named("disconnect-of-nobody-successful")
        .about("A disconnect of an unknown client is called successful.")
        .breaks(&["BX-DC-05"])
        .told(|_, mut message| {
            if is(&message, "/meta/disconnect") && message["successful"] == false {
                message = without(message, "error");
                message["successful"] = true.into();
            }
            vec![message]
        }),
    Mutation::named("id-not-echoed")
        .about("Replies of meta channels do not give the `id` back.")
        .breaks(&["BX-META-04"])
        .told(|_, message| {
            let meta = message["channel"].as_str().is_some_and(|name| name.starts_with("/meta/"));
            vec![if meta { without(message, "id") } else { message }]
        }),
    Mutation::named("id-invented").about("Replies to messages without an `id` have one.").breaks(&["BX-META-04"]).told(
        |_, mut message| {
            if is_reply(&message) && message.get("id").is_none() {
                message["id"] = "x1".into();
            }
            vec![message]
        },
    ),
    Mutation::named("unknown-meta-channel-successful")
        .about("A meta channel that does not exist is answered as if it did.")
        .breaks(&["BX-META-05"])
        .told(|_, mut message| {
            if is(&message, "/meta/tapestry") {
                message = without(message, "error");
                message["successful"] = true.into();
            }
            vec![message]
        }),
    Mutation::named("batch-answered-once")
        .about("Of the messages of an array only the first one is answered.")
        .breaks(&["BX-MSG-04", "BX-SB-03"])
        .input(|memory, wire| {
            memory.count = body(&wire).map_or(0, |body| body.matches(r#""channel":"#).count());
            memory.flag = false;
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            let second =
                memory.count > 1 && is_reply(&message) && std::mem::replace(&mut memory.flag, memory.count > 1);
            if second { Vec::new() } else { vec![message] }
        }),
    Mutation::named("message-alone-refused")
        .about("A message without an array around it is refused.")
        .breaks(&["BX-MSG-05"])
        .input(|_, wire| match &wire {
            Wire::Request(exchange, request) if request.body.starts_with(b"{") => (
                None,
                vec![Wire::Response(*exchange, Response { status: 400, headers: Headers::new(), body: Vec::new() })],
            ),
            Wire::Text(_, text) if text.starts_with('{') => (None, Vec::new()),
            _ => (Some(wire), Vec::new()),
        }),
    Mutation::named("unknown-member-refused")
        .about("A message with a member that nobody knows is refused.")
        .breaks(&["BX-MSG-07"])
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
    Mutation::named("torn-array-executed")
        .about("The whole messages of a torn array are executed.")
        .breaks(&["BX-MSG-08"])
        .input(|_, wire| (Some(mended(wire)), Vec::new())),
    Mutation::named("torn-array-ends-session")
        .about("A torn array ends the session of its sender.")
        .breaks(&["BX-WS-10"])
        .input(|memory, wire| {
            if body(&wire).is_some_and(|body| body.ends_with(r#"{"channel":"#)) {
                memory.count_of(&memory.sender(&wire));
            }
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            let ended = is(&message, "/meta/subscribe") && memory.has_counted(&memory.addressee);
            vec![if ended { refusal(&message) } else { message }]
        }),
    Mutation::named("connection-is-session")
        .about("A session is over when its WebSocket breaks.")
        .breaks(&["RC-05"])
        .asked(|memory, mut message| {
            if message["clientId"].as_str().is_some_and(|client| memory.is_lost(client)) {
                message["clientId"] = "gone".into();
            }
            Some(message)
        }),
];
