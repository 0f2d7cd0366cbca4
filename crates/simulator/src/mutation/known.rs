//! Bugs that CometD has had, each a few lines.

use std::time::Duration;

use protocol::bayeux::dialect::{BatchedHttp, BatchedSocket, PushedSince};
use protocol::wire::Wire;
use serde_json::json;

use super::Mutation;
use super::change::{body, how_many, is, is_event, is_reply, is_unknown_client, refusal, success};

/// By their numbers, where the docs name them.
pub(super) const KNOWN: &[Mutation] = &[
    Mutation::named("119-copy-for-each-subscription")
        .about("An event comes once for each subscription that it matches.")
        .breaks(&["BX-DL-08"])
        .asked(|memory, message| {
            memory.count += usize::from(is(&message, "/meta/subscribe"));
            Some(message)
        })
        .told(
            |memory, message| {
                if is_event(&message) && memory.count > 3 { vec![message.clone(), message] } else { vec![message] }
            },
        ),
    Mutation::named("122-first-message-alone-checked")
        .about("Of the messages of an array only the first has its `clientId` checked.")
        .breaks(&["BX-SEC-05"])
        .input(|memory, wire| {
            memory.count = how_many(&wire);
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            vec![if memory.count > 1 && is_unknown_client(&message) { success(message) } else { message }]
        }),
    Mutation::named("167-second-hurried-connect-held")
        .about("A connect that asks to be answered at once is held, if it is not the first.")
        .breaks(&["BX-ADV-09"])
        .delay(|memory, _, wire| {
            let connect = body(wire).is_some_and(|body| body.contains(r#""channel":"/meta/connect""#));
            if connect && memory.count_of(&memory.addressee.clone()) == 3 {
                Duration::from_secs(3)
            } else {
                Duration::ZERO
            }
        }),
    Mutation::named("414-told-never-to-come-back")
        .about("Who connects with an unknown `clientId` is told never to come back.")
        .breaks(&["RC-01"])
        .told(|_, mut message| {
            if is(&message, "/meta/connect") && is_unknown_client(&message) {
                message["advice"] = json!({"reconnect": "none"});
            }
            vec![message]
        }),
    Mutation::named("481-told-of-others-that-are-not-there")
        .about("A browser with one session is told that it has several.")
        .breaks(&["BX-MC-50"])
        .told(|_, mut message| {
            if is(&message, "/meta/connect")
                && message["successful"] == true
                && message["advice"]["reconnect"] != "none"
            {
                message["advice"] = json!({"reconnect": "retry", "interval": 0, "multiple-clients": true});
            }
            vec![message]
        }),
    Mutation::named("511-acknowledged-unasked")
        .about("Batches count as acknowledged before the client says so.")
        .breaks(&["BX-ACK-01"])
        .asked(|_, mut message| {
            if message["ext"]["ack"].is_number() {
                message["ext"]["ack"] = 1_000.into();
            }
            Some(message)
        }),
    Mutation::named("520-replies-one-by-one")
        .about("The replies to one frame come in a frame each.")
        .breaks(&["BX-WS-06"])
        .apart(),
    Mutation::named("529-events-beside-handshake-reply")
        .about("Events stand beside the handshake reply.")
        .breaks(&["BX-DL-02"])
        .told(|_, message| {
            let event = json!({"channel": "/tapestry/early", "data": "x"});
            if is(&message, "/meta/handshake") { vec![message, event] } else { vec![message] }
        }),
    Mutation::named("546-callback-as-it-comes")
        .about("The name of a callback function may be any code.")
        .breaks(&["BX-CP-05"])
        .dialect(|dialect| dialect.malformed.any_callback = true),
    Mutation::named("560-connect-among-others-fails")
        .about("A connect that stands beside other messages fails.")
        .breaks(&["BX-CN-03"])
        .dialect(|dialect| dialect.connects.batched_http = BatchedHttp::Fails),
    Mutation::named("560-replies-beside-connect-lost")
        .about("The replies to messages beside a connect are lost.")
        .breaks(&["BX-CN-51"])
        .dialect(|dialect| dialect.connects.batched_socket = BatchedSocket::Lost),
    Mutation::named("595-unacknowledged-waits")
        .about("What was not acknowledged comes again only after a while.")
        .breaks(&["BX-ACK-03"])
        .delay(|memory, _, wire| {
            let again = body(wire).is_some_and(|body| body.contains(r#""ack":3"#));
            memory.count += usize::from(again);
            if again { Duration::from_millis(2_500) } else { Duration::ZERO }
        }),
    Mutation::named("608-client-id-alone-suffices")
        .about("Whoever knows a `clientId` may use it from another browser.")
        .breaks(&["BX-SEC-04"])
        .dialect(|dialect| dialect.browser.owns_sessions = false),
    Mutation::named("650-messages-keep-nothing-alive")
        .about("A session that sends messages but no connects expires.")
        .breaks(&["BX-CN-57"])
        .dialect(|dialect| dialect.disconnects.messages_put_expiry_off = false),
    Mutation::named("691-reply-before-event")
        .about("The reply to a publish comes before the event that it causes.")
        .breaks(&["BX-DL-50"])
        .asked(|memory, message| {
            memory.flag = message.get("data").is_some() && memory.subscribers.contains(&memory.client);
            Some(message)
        })
        .told(|memory, message| {
            if memory.flag && is_event(&message) && memory.kept.is_none() {
                memory.kept = Some(message);
                return Vec::new();
            }
            let reply =
                is_reply(&message) && !message["channel"].as_str().is_some_and(|name| name.starts_with("/meta/"));
            let kept = memory.kept.take_if(|_| reply);
            std::iter::once(message).chain(kept).collect()
        }),
    Mutation::named("721-connect-among-others-held")
        .about("Over long-polling a connect beside other messages is held, and they wait with it.")
        .breaks(&["BX-CN-53", "BX-SB-03"])
        .dialect(|dialect| dialect.connects.batched_http = BatchedHttp::Held),
    Mutation::named("849-no-events-before-first-connect")
        .about("On a WebSocket no event comes before the first connect is held.")
        .breaks(&["BX-WS-50"])
        .dialect(|dialect| dialect.events.pushed_since = PushedSince::FirstHold),
    Mutation::named("883-superseded-with-408")
        .about("A connect that another one supersedes ends with HTTP status 408.")
        .breaks(&["BX-CN-55"])
        .dialect(|dialect| dialect.connects.superseded_status = 408),
    Mutation::named("937-resumed-session-forgotten")
        .about("A session that went on after its connection was lost expires while its connect is held for long.")
        .breaks(&["BX-CN-61"])
        .asked(|memory, mut message| {
            let long = message["advice"]["timeout"].as_u64().is_some_and(|timeout| timeout > 10_000);
            let resumed = message["clientId"].as_str().is_some_and(|client| memory.is_lost(client));
            if is(&message, "/meta/connect") && long && resumed {
                message["clientId"] = "gone".into();
            }
            Some(message)
        }),
    Mutation::named("970-expires-under-held-connect")
        .about("A session expires while its connect is held for long.")
        .breaks(&["BX-CN-58"])
        .asked(|memory, message| {
            if is(&message, "/meta/connect") {
                memory.flag = message["advice"]["timeout"].as_u64().is_some_and(|timeout| timeout > 10_000);
            }
            Some(message)
        })
        .told(|memory, message| {
            vec![if memory.flag && is(&message, "/meta/connect") { refusal(&message) } else { message }]
        }),
    Mutation::named("1006-connect-ends-with-old-socket")
        .about("The end of a socket that a session has left ends its connect.")
        .breaks(&["BX-WS-53"])
        .dialect(|dialect| dialect.connects.cancels_old_socket = false)
        .input(|memory, wire| {
            if matches!(wire, Wire::Close(..)) {
                memory.count_of(&memory.sender(&wire));
            }
            (Some(wire), Vec::new())
        })
        .told(|memory, message| {
            let ended = memory.has_moved(&memory.addressee) && memory.has_counted(&memory.addressee);
            if ended && is(&message, "/meta/connect") { Vec::new() } else { vec![message] }
        }),
    Mutation::named("1097-events-to-the-dead-socket")
        .about("Events go to the socket that a session has left.")
        .breaks(&["BX-WS-52"])
        .told(|memory, message| {
            let astray = is_event(&message) && memory.has_moved(&memory.addressee);
            if astray { Vec::new() } else { vec![message] }
        }),
    Mutation::named("lab-1-expires-under-second-connect")
        .about("A session expires under a connect that took the place of another one.")
        .breaks(&["BX-CN-59"])
        .dialect(|dialect| dialect.connects.superseding_expires = Some("Destroy".to_owned())),
    Mutation::named("lab-3-replies-wait-for-connect")
        .about("The replies to messages beside a connect wait for it.")
        .breaks(&["BX-CN-52"])
        .dialect(|dialect| dialect.connects.batched_socket = BatchedSocket::Withheld),
];
