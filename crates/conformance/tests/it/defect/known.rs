//! Bugs that CometD has had, each a few lines.

use std::time::Duration;

use protocol::bayeux::dialect::{BatchedHttp, BatchedSocket, PushedSince};
use protocol::wire::Wire;
use serde_json::json;

use super::Defect;
use super::change::{body, how_many, is, is_event, is_reply, is_unknown_client, refusal, success};

/// By their numbers, where the docs name them.
pub(super) const KNOWN: &[Defect] = &[
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
];
