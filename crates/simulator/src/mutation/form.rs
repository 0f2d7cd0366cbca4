//! What can be wrong with single messages of Bayeux, whatever they are about.

use protocol::wire::Wire;
use serde_json::{Value, json};

use super::Mutation;
use super::change::{
    alone, is, is_acknowledgement, is_event, is_reply, is_told, is_unknown_client, replaced, with, without,
};

/// In the order of the catalogue.
pub(super) const FORM: &[Mutation] = &[
    Mutation::named("member-twice")
        .about("Replies have `successful` twice.")
        .breaks(&["BX-MSG-01"])
        .output(|_, wire| replaced(wire, r#""successful":true"#, r#""successful":true,"successful":true"#)),
    Mutation::named("frame-without-array")
        .about("A message that is alone in its frame has no array around it.")
        .breaks(&["BX-WS-03", "BX-MSG-03"])
        .output(|_, wire| match wire {
            Wire::Text(socket, text) => {
                let alone = alone(&text).unwrap_or(text);
                Wire::Text(socket, alone)
            }
            other => other,
        }),
    Mutation::named("acknowledged-without-channel")
        .about("The acknowledgement of a publish to a service has no `channel`.")
        .breaks(&["BX-MSG-02"])
        .told(|_, message| vec![if is_acknowledgement(&message) { without(message, "channel") } else { message }]),
    Mutation::named("id-of-an-object")
        .about("Notifications have an object for their `id`.")
        .breaks(&["BX-FLD-09"])
        .told(|_, message| vec![if is_told(&message) { with(message, "id", json!({"n": 1})) } else { message }]),
    Mutation::named("successful-as-text")
        .about("Replies to subscribers have a text for `successful`.")
        .breaks(&["BX-FLD-15"])
        .told(|_, message| {
            vec![if is(&message, "/meta/subscribe") && message["successful"] == true {
                with(message, "successful", "true".into())
            } else {
                message
            }]
        }),
    Mutation::named("advice-as-text")
        .about("The advice of a handshake reply is a word rather than an object.")
        .breaks(&["BX-ADV-01"])
        .told(|_, message| {
            vec![if is(&message, "/meta/handshake") { with(message, "advice", "retry".into()) } else { message }]
        }),
    Mutation::named("reply-to-nobody")
        .about("Connects bring replies to requests that nobody made.")
        .breaks(&["BX-META-50", "BX-META-03"])
        .told(|_, message| {
            let stray = json!({
                "channel": "/meta/subscribe", "successful": true, "id": "999999", "subscription": "/stray",
            });
            if is(&message, "/meta/connect") { vec![message, stray] } else { vec![message] }
        }),
    Mutation::named("acknowledged-elsewhere")
        .about("Over HTTP the acknowledgement of a publish comes in the response to another request.")
        .breaks(&["BX-GEN-09", "BX-META-50"])
        .input(|memory, wire| {
            memory.flag = matches!(wire, Wire::Request(..));
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            if memory.flag && is_acknowledgement(&message) && memory.kept.is_none() {
                memory.kept = Some(message);
                return Vec::new();
            }
            let kept = memory.kept.take_if(|_| is(&message, "/meta/connect"));
            std::iter::once(message).chain(kept).collect()
        }),
    Mutation::named("reply-names-another-client")
        .about("The reply to a subscribe names the `clientId` of somebody else.")
        .breaks(&["BX-FLD-06"])
        .told(|_, message| {
            vec![if is(&message, "/meta/subscribe") {
                with(message, "clientId", "somebodyelse1".into())
            } else {
                message
            }]
        }),
    Mutation::named("event-names-its-sender")
        .about("Events tell the `clientId` of whoever published.")
        .breaks(&["BX-FLD-07"])
        .told(|memory, message| {
            let sender = memory.client.clone().into();
            vec![if is_event(&message) { with(message, "clientId", sender) } else { message }]
        }),
    Mutation::named("error-without-form")
        .about("Errors, but that for unknown clients, are mere words.")
        .breaks(&["BX-FLD-18"])
        .told(|_, message| {
            let other = message["error"].is_string() && !is_unknown_client(&message);
            vec![if other { with(message, "error", "something went wrong".into()) } else { message }]
        }),
    Mutation::named("handshake-refused-without-error")
        .about("A handshake that shares no connection type is refused without an error.")
        .breaks(&["BX-HS-14"])
        .asked(|memory, message| {
            memory.flag = is(&message, "/meta/handshake")
                && message["supportedConnectionTypes"]
                    .as_array()
                    .is_some_and(|types| !types.iter().any(|name| name == "long-polling" || name == "websocket"));
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/handshake") {
                with(without(message, "clientId"), "successful", false.into())
            } else {
                message
            }]
        }),
    Mutation::named("subscribe-reply-without-subscription")
        .about("The reply to a subscribe does not name the subscription.")
        .breaks(&["BX-SB-04", "BX-FLD-16"])
        .told(|_, message| {
            vec![if is(&message, "/meta/subscribe") { without(message, "subscription") } else { message }]
        }),
    Mutation::named("unsubscribe-reply-without-subscription")
        .about("The reply to an unsubscribe does not name the subscription.")
        .breaks(&["BX-US-02"])
        .told(|_, message| {
            vec![if is(&message, "/meta/unsubscribe") { without(message, "subscription") } else { message }]
        }),
    Mutation::named("acknowledged-twice")
        .about("Publishes to a service are acknowledged twice.")
        .breaks(&["BX-PB-50"])
        .told(|_, message| if is_acknowledgement(&message) { vec![message.clone(), message] } else { vec![message] }),
    Mutation::named("event-without-data")
        .about("Behind an event comes another one without `data`.")
        .breaks(&["BX-DL-03"])
        .told(|_, message| {
            let empty = json!({"channel": message["channel"]});
            if is_event(&message) && message["data"] == 1 { vec![message, empty] } else { vec![message] }
        }),
    Mutation::named("event-after-disconnect")
        .about("A session that has disconnected still gets an event.")
        .breaks(&["BX-DL-10"])
        .told(|memory, message| {
            let event = json!({"channel": "/tapestry/late", "data": "late"});
            let late = memory.has_counted(&memory.addressee) && is_reply(&message) && !is(&message, "/meta/handshake");
            if is(&message, "/meta/disconnect") {
                memory.count_of(&memory.addressee.clone());
            }
            if late { vec![message, event] } else { vec![message] }
        }),
    Mutation::named("connection-types-as-text")
        .about("The handshake reply has one text for its connection types.")
        .breaks(&["BX-FLD-03"])
        .told(|_, message| {
            vec![if is(&message, "/meta/handshake") {
                with(message, "supportedConnectionTypes", "websocket, long-polling".into())
            } else {
                message
            }]
        }),
    Mutation::named("long-polling-not-offered")
        .about("The handshake reply does not offer long-polling.")
        .breaks(&["BX-GEN-04", "BX-HS-11"])
        .told(|_, message| vec![without_type(message, "long-polling")]),
    Mutation::named("callback-polling-not-offered")
        .about("The handshake reply does not offer callback-polling.")
        .breaks(&["BX-FLD-04"])
        .told(|_, message| vec![without_type(message, "callback-polling")]),
    Mutation::named("timestamp-of-words")
        .about("Replies have a timestamp that is no time.")
        .breaks(&["BX-FLD-11"])
        .told(|_, message| {
            vec![if is_reply(&message) { with(message, "timestamp", "yesterday".into()) } else { message }]
        }),
    Mutation::named("obsolete-connection-id")
        .about("Connect replies have the obsolete member `connectionId`.")
        .breaks(&["BX-FLD-21"])
        .told(|_, message| {
            vec![if is(&message, "/meta/connect") { with(message, "connectionId", "1".into()) } else { message }]
        }),
    Mutation::named("media-type-of-text")
        .about("Responses say that they are plain text.")
        .breaks(&["BX-LP-04"])
        .output(|_, wire| match wire {
            Wire::Response(exchange, mut response) => {
                let fields = response.headers.0.iter_mut();
                fields
                    .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
                    .for_each(|(_, value)| "text/plain".clone_into(value));
                Wire::Response(exchange, response)
            }
            other => other,
        }),
];

fn without_type(mut message: Value, name: &str) -> Value {
    if let Some(types) = message.get_mut("supportedConnectionTypes").and_then(Value::as_array_mut) {
        types.retain(|offered| offered != name);
    }
    message
}
