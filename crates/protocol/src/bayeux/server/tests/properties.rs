//! What holds in every dialect, with any set of extensions, whatever a client sends.

use proptest::prelude::*;

use super::*;

/// Messages that look like Bayeux, with the members that matter present, absent or of a wrong type.
fn odd_batch() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("5".to_owned()),
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just(r#"{"timeout":1,"interval":-9223372036854775808}"#.to_owned()),
        Just(r#"{"timeout":9223372036854775807}"#.to_owned()),
        "\"[a-z/*]{0,12}\"",
        Just("\"/meta/connect\"".to_owned()),
        Just("\"/meta/handshake\"".to_owned()),
        Just("\"/meta/disconnect\"".to_owned()),
        Just("\"/meta/subscribe\"".to_owned()),
        Just("\"/meta/unsubscribe\"".to_owned()),
        Just("\"/a/**\"".to_owned()),
        Just("{\"ack\":1,\"timesync\":{\"tc\":1e300,\"l\":9223372036854775807,\"o\":1}}".to_owned()),
        Just("\"CLIENT\"".to_owned()),
    ];
    let name = prop_oneof![
        Just("channel"),
        Just("id"),
        Just("clientId"),
        Just("advice"),
        Just("data"),
        Just("subscription"),
        Just("ext")
    ];
    let message = proptest::collection::vec((name, value), 0..6).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    proptest::collection::vec(message, 0..4).prop_map(|messages| format!("[{}]", messages.join(",")))
}

fn any_dialect() -> impl Strategy<Value = Dialect> {
    let names: Vec<&str> = Dialect::names().collect();
    (proptest::sample::select(names), any::<(bool, bool, bool)>()).prop_map(|(name, (ack, sync, by_connect))| {
        let mut dialect = Dialect::by_name(name).unwrap();
        // Every generation is tried on a WebSocket too.
        dialect.transports = Dialect::cometd_3_1().transports;
        dialect.options.extensions.ack = ack;
        dialect.options.extensions.timesync = sync;
        dialect.options.extensions.timestamp = sync;
        dialect.options.meta_connect_deliver_only = by_connect;
        dialect
    })
}

proptest! {
    #[test]
    fn every_request_is_answered_or_held_whatever_it_holds(
        dialect in any_dialect(),
        bodies in proptest::collection::vec((odd_batch(), any::<bool>()), 1..8),
    ) {
        let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
        let client = bench.connected();
        let (socket, on_socket) = bench.socket_connected(1);
        let mut open = std::collections::BTreeSet::new();
        for (body, by_callback) in bodies {
            let body = body.replace("CLIENT", &client);
            let (exchange, wires) = if by_callback {
                let query: String = form_urlencoded::byte_serialize(body.as_bytes()).collect();
                bench.request("GET", &format!("{BASE}?jsonp=cb&message={query}"), "")
            } else {
                bench.request("POST", BASE, &body)
            };
            open.insert(exchange);
            for wire in wires.into_iter().filter(|wire| wire.exchange().is_some()) {
                prop_assert!(wire.exchange().is_some_and(|exchange| open.remove(&exchange)), "answered twice: {wire:?}");
            }
            prop_assert!(open.len() <= bench.server.sessions().count(), "more open requests than sessions");
            let wires = bench.feed(Wire::Text(socket, body.replace(&client, &on_socket)));
            for wire in wires.into_iter().filter(|wire| wire.exchange().is_some()) {
                prop_assert!(wire.exchange().is_some_and(|exchange| open.remove(&exchange)), "answered twice: {wire:?}");
            }
        }
        for wire in bench.wait(60_000).into_iter().filter(|wire| wire.exchange().is_some()) {
            prop_assert!(wire.exchange().is_some_and(|exchange| open.remove(&exchange)), "answered twice: {wire:?}");
        }
        prop_assert!(open.is_empty(), "never answered: {open:?}");
        prop_assert_eq!(bench.server.sessions().count(), 0, "every session expires");
    }

    #[test]
    fn what_waits_for_a_session_is_bounded(
        dialect in any_dialect(),
        events in proptest::collection::vec("[a-z]{0,40}", 0..60),
    ) {
        let bounds = Bounds { queue: 10, queue_bytes: 400, ..Bounds::default() };
        let mut dialect = dialect;
        dialect.options.extensions.timestamp = false;
        let mut bench = Bench::with(Settings { dialect, bounds, ..Settings::new(BASE) });
        let client = bench.connected();
        for text in &events {
            bench.deliver(&client, text);
        }
        let mut message = connect(&client, "9");
        message["advice"] = json!({"timeout": 0});
        let replies = bench.post(json!([message]));
        let length = replies.as_array().map_or(0, Vec::len);
        prop_assert!(length <= 11 && replies.to_string().len() <= 400 + 11 + 300, "{replies}");
        if let Some(last) = events.last() {
            prop_assert_eq!(&replies[length - 2]["data"]["text"], &json!(last), "the newest are kept");
        }
    }

    #[test]
    fn any_bytes_are_survived(dialect in any_dialect(), body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
        let request = Request { method: "POST".into(), target: BASE.into(), headers: Headers::new(), body: body.clone() };
        prop_assert_eq!(bench.feed(Wire::Request(Exchange(1), request)).len(), 1);
        let target = format!("{BASE}?{}", String::from_utf8_lossy(&body));
        prop_assert_eq!(bench.request("GET", &target, "").1.len(), 1);
        let socket = bench.open(1);
        bench.feed(Wire::Text(socket, String::from_utf8_lossy(&body).into_owned()));
    }
}
