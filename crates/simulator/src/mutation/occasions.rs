//! What else a server can do wrong on one occasion: connects, browsers, extensions, subscriptions.

use protocol::wire::Wire;
use serde_json::{Value, json};

use super::Mutation;
use super::change::{
    body, failure, handshake_alone, how_many, is, is_event, is_reply, is_unknown_client, named_back, refusal, renamed,
    replaced, success, with, without,
};

/// In the order of the catalogue.
pub(super) const OCCASIONS: &[Mutation] = &[
    Mutation::named("connect-unanswered")
        .about("Connects are never answered.")
        .breaks(&["BX-CN-06"])
        .told(|_, message| if is(&message, "/meta/connect") { Vec::new() } else { vec![message] }),
    Mutation::named("connect-refused")
        .about("Connects of sessions that are there are called unsuccessful.")
        .breaks(&["BX-CN-08"])
        .told(|_, message| {
            vec![if is(&message, "/meta/connect") && message["successful"] == true {
                failure(message)
            } else {
                message
            }]
        }),
    Mutation::named("event-ends-socket-hold")
        .about("On a WebSocket an event ends the held connect.")
        .breaks(&["BX-WS-07"])
        .asked(|_, mut message| {
            // Held for less than an agent takes to answer.
            if message["advice"]["timeout"] == 2_500 {
                message["advice"]["timeout"] = 900.into();
            }
            Some(message)
        }),
    Mutation::named("unknown-client-unanswered")
        .about("Publishes without a session are not answered.")
        .breaks(&["BX-UN-02"])
        .told(|_, message| {
            let publish = message["channel"].as_str().is_some_and(|name| !name.starts_with("/meta/"));
            if publish && is_unknown_client(&message) { Vec::new() } else { vec![message] }
        }),
    Mutation::named("strangers-unanswered")
        .about("Subscriptions without a session are not answered.")
        .breaks(&["BX-UN-03", "BX-SB-03"])
        .told(
            |_, message| {
                if is(&message, "/meta/subscribe") && is_unknown_client(&message) { Vec::new() } else { vec![message] }
            },
        ),
    Mutation::named("unknown-client-may-publish")
        .about("A publish with a `clientId` that nobody has is called successful.")
        .breaks(&["BX-SEC-03"])
        .told(|_, message| {
            let service = message["channel"].as_str().is_some_and(|name| name.starts_with("/service/"));
            vec![if service && is_unknown_client(&message) { success(message) } else { message }]
        }),
    Mutation::named("disconnect-ends-nothing")
        .about("A disconnect is answered and ends nothing.")
        .breaks(&["BX-DC-07", "BX-CN-11"])
        .asked(|memory, mut message| {
            if is(&message, "/meta/disconnect") {
                memory.kept = Some(message["clientId"].clone());
                message["channel"] = "/meta/subscribe".into();
                message["subscription"] = "/service/left".into();
            }
            Some(message)
        })
        .told(|_, message| {
            vec![if message["subscription"] == "/service/left" {
                with(without(message, "subscription"), "channel", "/meta/disconnect".into())
            } else {
                message
            }]
        }),
    Mutation::named("subscribe-unanswered")
        .about("Subscriptions to services are not answered.")
        .breaks(&["BX-SB-03"])
        .told(|_, message| {
            let service = message["subscription"].as_str().is_some_and(|name| name.starts_with("/service/"));
            if is(&message, "/meta/subscribe") && service { Vec::new() } else { vec![message] }
        }),
    Mutation::named("unknown-ext-refused")
        .about("A message with an extension that nobody knows is refused.")
        .breaks(&["BX-FLD-20"])
        .asked(|memory, message| {
            memory.flag = message["ext"].get("tapestry").is_some();
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/connect") { failure(message) } else { message }]
        }),
    Mutation::named("old-version-refused")
        .about("A handshake of another version than 1.0 is refused.")
        .breaks(&["BX-VER-02"])
        .asked(|memory, message| {
            memory.flag = message.get("version").is_some_and(|version| version != "1.0");
            Some(message)
        })
        .told(|memory, message| vec![if memory.flag { refused_handshake(message) } else { message }]),
    Mutation::named("handshake-without-types-refused")
        .about("A handshake without `supportedConnectionTypes` is refused.")
        .breaks(&["BX-HS-08"])
        .asked(|memory, message| {
            memory.flag = message.get("supportedConnectionTypes").is_none();
            Some(message)
        })
        .told(|memory, message| vec![if memory.flag { refused_handshake(message) } else { message }]),
    Mutation::named("beside-handshake-executed")
        .about("What stands beside a handshake is carried out.")
        .breaks(&["BX-HS-05"])
        .input(|memory, wire| {
            let messages: Vec<Value> =
                body(&wire).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            if let [first, other] = messages.as_slice()
                && is(first, "/meta/handshake")
            {
                memory.kept = Some(other.clone());
                return (Some(handshake_alone(wire)), Vec::new());
            }
            let publish = messages.first().filter(|first| first["channel"].as_str().is_some_and(is_room));
            let (Some(publish), Some(kept)) = (publish, memory.kept.take_if(|_| publish.is_some())) else {
                return (Some(wire), Vec::new());
            };
            let kept = with(with(kept, "clientId", publish["clientId"].clone()), "id", "smuggled".into());
            let whole = publish.to_string();
            (Some(asked_instead(wire, &whole, &format!("{kept},{whole}"))), Vec::new())
        })
        .told(|_, message| if message["id"] == "smuggled" { Vec::new() } else { vec![message] }),
    Mutation::named("function-called-with-nothing")
        .about("The function of a callback is called with an empty array.")
        .breaks(&["BX-CP-04"])
        .output(|_, wire| match wire {
            Wire::Response(exchange, mut response) => {
                if response.body.starts_with(b"tapestry_1(") {
                    response.body = b"tapestry_1([])".to_vec();
                }
                Wire::Response(exchange, response)
            }
            other => other,
        }),
    Mutation::named("everything-is-shallow")
        .about("A subscription to `/**` brings nothing of channels with more than three segments.")
        .breaks(&["BX-CH-08"])
        .asked(|_, mut message| {
            if message["subscription"] == "/**" {
                message["subscription"] = "/tapestry/room/*".into();
            }
            Some(message)
        }),
    Mutation::named("bad-character-accepted")
        .about("A channel may have any character in its name.")
        .breaks(&["BX-CH-02", "BX-CH-01"])
        .asked(|memory, message| renamed(memory, message, |name| name.contains('<'), "/tapestry/renamed"))
        .told(|memory, message| named_back(memory, message, "/tapestry/renamed")),
    Mutation::named("service-subscribers-served")
        .about("Who subscribes to a service gets what others send to it.")
        .breaks(&["BX-SVC-02", "BX-SVC-01"])
        .asked(|_, mut message| {
            for member in ["channel", "subscription"] {
                let open = message[member].as_str().and_then(|name| name.strip_prefix("/service/tapestry/room"));
                if let Some(open) = open.map(|rest| format!("/servants/tapestry/room{rest}")) {
                    message[member] = open.into();
                }
            }
            Some(message)
        })
        .output(|_, wire| replaced(wire, "/servants/", "/service/")),
    Mutation::named("second-subscription-refused")
        .about("Who subscribes again to the same channel is refused.")
        .breaks(&["BX-SB-07"])
        .asked(|memory, message| {
            memory.flag = false;
            if is(&message, "/meta/subscribe") && message["subscription"].as_str().is_some_and(is_room) {
                let this = json!([message["clientId"], message["subscription"]]);
                memory.flag = memory.kept.as_ref() == Some(&this);
                memory.kept = Some(this);
            }
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/subscribe") { failure(message) } else { message }]
        }),
    Mutation::named("denial-without-error")
        .about("A subscription that is denied is answered without an error.")
        .breaks(&["BX-SB-08"])
        .told(|_, message| {
            vec![if is(&message, "/meta/subscribe") && message["successful"] == false {
                without(message, "error")
            } else {
                message
            }]
        }),
    Mutation::named("subscription-of-nothing-taken")
        .about("A subscribe that names no channel is called successful.")
        .breaks(&["BX-SB-51", "BX-SB-04"])
        .told(|_, message| {
            let nothing = message["error"].as_str().is_some_and(|error| error.contains("subscription"));
            vec![if is(&message, "/meta/subscribe") && nothing { success(message) } else { message }]
        }),
    Mutation::named("lists-subscribe-to-nothing")
        .about("An array of subscriptions is answered, and subscribes to its first element alone.")
        .breaks(&["BX-SB-02"])
        .asked(|memory, mut message| {
            if is(&message, "/meta/subscribe") && message["subscription"].is_array() {
                memory.kept = Some(message["subscription"].clone());
                message["subscription"] = message["subscription"][0].clone();
            }
            Some(message)
        })
        .told(|memory, message| {
            let list = memory.kept.take_if(|_| is(&message, "/meta/subscribe"));
            vec![match list {
                Some(list) => with(message, "subscription", list),
                None => message,
            }]
        }),
    Mutation::named("subscribed-after-the-batch")
        .about("A subscribe does not yet count for the publish behind it in its array.")
        .breaks(&["BX-SB-05"])
        .input(|memory, wire| {
            memory.flag =
                body(&wire).is_some_and(|text| text.contains("/meta/subscribe") && text.contains(r#""data":"#));
            (Some(wire), Vec::new())
        })
        .told(|memory, message| if memory.flag && is_event(&message) { Vec::new() } else { vec![message] }),
    Mutation::named("unsubscribe-list-refused")
        .about("An unsubscribe from several channels is refused.")
        .breaks(&["BX-US-06"])
        .asked(|memory, message| {
            memory.flag = is(&message, "/meta/unsubscribe") && message["subscription"].is_array();
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/unsubscribe") {
                with(failure(message), "error", "409::no".into())
            } else {
                message
            }]
        }),
    Mutation::named("publish-refused")
        .about("Publishes to broadcast channels are refused with an odd error.")
        .breaks(&["BX-PB-06", "BX-PB-03"])
        .told(|_, message| {
            let room = message["channel"].as_str().is_some_and(is_room);
            vec![if room && is_reply(&message) { failure(message) } else { message }]
        }),
    Mutation::named("own-event-with-next-connect")
        .about("Over HTTP a client's own event does not come with the reply to its publish.")
        .breaks(&["BX-DL-05"])
        .input(|memory, wire| {
            memory.flag = matches!(&wire, Wire::Request(..)) && how_many(&wire) == 1;
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            if memory.flag && is_event(&message) && memory.kept.is_none() {
                memory.kept = Some(message);
                return Vec::new();
            }
            let kept = memory.kept.take_if(|_| is(&message, "/meta/connect"));
            kept.into_iter().chain([message]).collect()
        }),
    Mutation::named("several-clients-not-told")
        .about("Sessions that are not held are not told that there are several of one browser.")
        .breaks(&["BX-ADV-13"])
        .told(|_, mut message| {
            if message["advice"].get("multiple-clients").is_some() {
                message["advice"] = without(message["advice"].take(), "multiple-clients");
            }
            vec![message]
        }),
    Mutation::named("first-session-polls-too")
        .about("Of several sessions of one browser none is held.")
        .breaks(&["BX-MC-03", "BX-ADV-13"])
        .input(|memory, wire| {
            memory.flag = matches!(&wire, Wire::Request(..));
            (Some(wire), Vec::new())
        })
        .asked(|memory, mut message| {
            if memory.flag && message["advice"]["timeout"] == 2_500 {
                message["advice"]["timeout"] = 100.into();
            }
            Some(message)
        }),
    Mutation::named("heirs-poll-for-ever")
        .about("A session that was told to poll is not held when the one that was held is gone.")
        .breaks(&["BX-MC-04"])
        .asked(|memory, mut message| {
            memory.flag |= is(&message, "/meta/disconnect");
            if memory.flag && message["advice"]["timeout"].is_u64() {
                message["advice"]["timeout"] = 0.into();
            }
            Some(message)
        }),
    Mutation::named("acknowledged-again")
        .about("Events that the client has acknowledged come again.")
        .breaks(&["BX-ACK-04"])
        .asked(|_, mut message| {
            if let Some(batch) = message["ext"]["ack"].as_u64() {
                message["ext"]["ack"] = batch.saturating_sub(1).into();
            }
            Some(message)
        }),
    Mutation::named("redelivery-forgets")
        .about("Events that the client has not acknowledged do not come again.")
        .breaks(&["BX-ACK-02"])
        .told(|memory, message| {
            if !is_event(&message) {
                return vec![message];
            }
            let known = memory.kept.get_or_insert_with(|| json!([]));
            let Some(known) = known.as_array_mut() else { return vec![message] };
            if known.contains(&message["data"]) {
                return Vec::new();
            }
            if known.len() > 64 {
                known.remove(0);
            }
            known.push(message["data"].clone());
            vec![message]
        }),
    Mutation::named("odd-types-end-session")
        .about("A message with a member of a wrong type ends the session of its sender.")
        .breaks(&["BX-FLD-22"])
        .input(|memory, wire| {
            if body(&wire).is_some_and(|text| text.contains(r#""channel":5"#)) {
                memory.count_of(&memory.sender(&wire));
            }
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            let lost = memory.has_counted(&memory.addressee) && is_reply(&message) && !is(&message, "/meta/handshake");
            vec![if lost { refusal(&message) } else { message }]
        }),
    Mutation::named("superseded-connect-fails")
        .about("A connect that another one supersedes is answered as a failure.")
        .breaks(&["BX-CN-56"])
        .dialect(|dialect| dialect.connects.superseded_status = 503),
    Mutation::named("new-socket-unknown")
        .about("A session does not go on on another socket.")
        .breaks(&["BX-WS-09"])
        .told(|memory, message| {
            let lost = memory.has_moved(&memory.addressee) && is(&message, "/meta/connect");
            vec![if lost { with(failure(message), "error", "402::Unknown client".into()) } else { message }]
        }),
    Mutation::named("missed-events-forgotten")
        .about("What happened while the client was away is not in the transcript that it asks for.")
        .breaks(&["RC-03", "CV-RN-02"])
        .asked(|_, mut message| {
            let behind = message["data"]["transcriptPosition"].as_u64().filter(|position| *position > 1);
            if let (Some(position), true) = (behind, message["data"]["operation"] == "requestNotifications") {
                message["data"]["transcriptPosition"] = (position + 50).into();
            }
            Some(message)
        }),
];

fn is_room(name: &str) -> bool {
    name.starts_with("/tapestry/")
}

/// A refused handshake; what is no handshake reply stays as it is.
fn refused_handshake(message: Value) -> Value {
    if is(&message, "/meta/handshake") { without(failure(message), "clientId") } else { message }
}

/// Puts a text for another one in what comes in.
fn asked_instead(wire: Wire, from: &str, to: &str) -> Wire {
    match wire {
        Wire::Request(exchange, mut request) => {
            request.body = String::from_utf8_lossy(&request.body).replace(from, to).into_bytes();
            Wire::Request(exchange, request)
        }
        Wire::Text(socket, text) => Wire::Text(socket, text.replace(from, to)),
        other => other,
    }
}
