//! Requirements that no other test of the server shows, one or two each.

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::leniency::in_each_dialect;
use super::*;

/// BX-GEN-02: two requests at once are enough for everything.
#[test]
fn everything_goes_on_beside_one_held_connect() {
    in_each_dialect(|bench| {
        let client = bench.connected();
        let held = bench.hold(&client, "3");
        let message =
            |channel: &str| json!([{"channel": channel, "clientId": client, "subscription": "/a", "data": 1}]);
        for channel in ["/meta/subscribe", SERVICE, "/meta/unsubscribe"] {
            assert_eq!(bench.post(message(channel))[0]["successful"], true, "{channel}");
        }
        let (leaving, wires) = bench.request("POST", BASE, &message("/meta/disconnect").to_string());
        assert_eq!(wires.iter().map(Wire::exchange).collect::<Vec<_>>(), [Some(held), Some(leaving)]);
    });
}

/// BX-GEN-03: a message means the same on every transport. Events ride in their own frames there, so they are left out.
#[rstest]
#[case(json!({"channel": SERVICE, "id": "9", "data": 1}))]
#[case(json!({"channel": "/a", "data": 1}))]
#[case(json!({"channel": "/meta/subscribe", "id": "9", "subscription": ["/a", "/b/*"]}))]
#[case(json!({"channel": "/meta/subscribe", "id": "9", "subscription": "/meta/connect"}))]
#[case(json!({"channel": "/meta/subscribe", "id": "9"}))]
#[case(json!({"channel": "/meta/unsubscribe", "id": "9", "subscription": "/nowhere"}))]
#[case(json!({"channel": "/meta/foo", "id": "9"}))]
#[case(json!({"channel": "/meta/connect", "id": "9", "advice": {"timeout": 0}}))]
#[case(json!({"channel": "/meta/disconnect", "id": "9"}))]
fn a_message_is_answered_alike_on_both_transports(#[case] mut message: Value) {
    for name in Dialect::names().skip(1) {
        let dialect = Dialect::by_name(name).unwrap();
        let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
        let (socket, client) = bench.socket_connected(1);
        message["clientId"] = client.into();
        let on_socket = frames(&bench.send(socket, &json!([message])));
        message["clientId"] = bench.connected().into();
        assert_eq!(on_socket, [bench.post(json!([message]))], "{name}");
    }
}

/// BX-GEN-04, BX-HS-11: long-polling is offered, so that every client shares a type with every server.
#[test]
fn long_polling_is_always_offered() {
    in_each_dialect(|bench| {
        let reply = bench.post(serde_json::from_str(HANDSHAKE).unwrap());
        let types: Vec<&str> =
            reply[0]["supportedConnectionTypes"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
        assert!(types.contains(&"long-polling") && types.contains(&"callback-polling"), "{types:?}");
    });
}

/// BX-CH-02: CometD takes more characters than the grammar has, and no others.
#[rstest]
#[case("/a-_!~()$@z0", true)]
#[case("/a b", true)]
#[case("/a.b#c+d{e}", true)]
#[case("/a<b", false)]
#[case("/a%b", false)]
#[case("/é", false)]
fn channels_take_some_characters_more_than_the_grammar(#[case] channel: &str, #[case] taken: bool) {
    in_each_dialect(|bench| {
        let client = bench.connected();
        let (status, body) = bench.post_raw(&json!([{"channel": channel, "clientId": client, "data": 1}]).to_string());
        assert_eq!(status == 200 && body.contains(r#""successful":true"#), taken, "{body}");
    });
}

/// BX-CH-04: a name that only begins like a service is an ordinary channel.
#[test]
fn services_are_no_service() {
    in_each_dialect(|bench| {
        let client = bench.connected();
        bench.post(json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": "/services/x"}]));
        let replies = bench.post(json!([{"channel": "/services/x", "clientId": client, "data": 1}]));
        assert_eq!(replies[0], json!({"channel": "/services/x", "data": 1}));
    });
}

/// BX-META-04.
#[test]
fn every_reply_gives_the_id_back_exactly_when_there_was_one() {
    in_each_dialect(|bench| {
        let client = bench.connected();
        for channel in [
            "/meta/handshake",
            "/meta/connect",
            "/meta/subscribe",
            "/meta/unsubscribe",
            "/meta/foo",
            SERVICE,
            "/meta/disconnect",
        ] {
            for id in [Some("77"), None] {
                let mut message = json!({
                    "channel": channel, "clientId": client, "subscription": SERVICE, "advice": {"timeout": 0},
                });
                if let Some(id) = id {
                    message["id"] = id.into();
                }
                assert_eq!(bench.post(json!([message]))[0].get("id").and_then(Value::as_str), id, "{channel}");
            }
        }
    });
}

/// BX-MSG-01.
#[test]
fn members_come_in_any_order() {
    in_each_dialect(|bench| {
        let client = bench.connected();
        for text in [
            format!(r#"[{{"data":1,"clientId":"{client}","id":"5","channel":"{SERVICE}"}}]"#),
            format!(r#"[{{"id":"5","channel":"{SERVICE}","data":1,"clientId":"{client}"}}]"#),
        ] {
            assert_eq!(bench.post(serde_json::from_str(&text).unwrap()), json!([ack("5")]));
        }
    });
}

/// BX-FLD-18: three digits, arguments, text; the words of CometD 4 and later have underscores.
#[test]
fn errors_are_of_the_grammar() {
    for name in Dialect::names() {
        let errors = serde_json::to_value(Dialect::by_name(name).unwrap().errors).unwrap();
        for text in errors.as_object().unwrap().values().filter_map(Value::as_str) {
            let parts: Vec<&str> = text.split(':').collect();
            let [code, arguments, words] = parts.as_slice() else { panic!("{text}") };
            assert!(code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()), "{text}");
            assert!(arguments.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{text}");
            assert!(!words.is_empty(), "{text}");
        }
    }
}

/// BX-FLD-22.
#[rstest]
#[case(r#"{"channel":5}"#)]
#[case(r#"{"channel":"/meta/connect","clientId":"CLIENT","advice":5}"#)]
#[case(r#"{"channel":"/meta/connect","clientId":"CLIENT","advice":{"timeout":"0"}}"#)]
#[case(r#"{"channel":"/meta/subscribe","clientId":"CLIENT","subscription":{"a":1}}"#)]
#[case(r#"{"channel":"/service/x","clientId":"CLIENT","ext":"x","data":1}"#)]
fn a_session_survives_wrong_types(#[case] text: &str) {
    in_each_dialect(|bench| {
        let client = bench.connected();
        bench.post_raw(&format!("[{}]", text.replace("CLIENT", &client)));
        assert_eq!(bench.post(json!([publish(&client, "9")])), json!([ack("9")]));
    });
}

/// BX-GEN-05, BX-MSG-03, BX-LP-04.
#[test]
fn an_answer_is_one_array_of_json_in_utf8() {
    in_each_dialect(|bench| {
        let (_, wires) = bench.request("POST", BASE, HANDSHAKE);
        let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response") };
        assert_eq!(response.headers.get("Content-Type"), Some("application/json;charset=UTF-8"));
        assert!(serde_json::from_slice::<Value>(&response.body).unwrap().is_array());
    });
}

/// BX-DL-10.
#[test]
fn nothing_is_delivered_to_a_session_that_is_gone() {
    in_each_dialect(|bench| {
        let gone = bench.connected();
        bench.post(json!([{"channel": "/meta/subscribe", "clientId": gone, "subscription": "/a"}]));
        let session = bench.session(&gone);
        bench.wait(10_000);
        assert_eq!(bench.server.deliver(bench.now, session, SERVICE, event_data("a")), Err(Misuse::NoSession));
        let client = bench.connected();
        assert_eq!(
            bench.post(json!([{"channel": "/a", "clientId": client, "data": 1}])),
            json!([{"channel": "/a", "successful": true}])
        );
        assert!(bench.server.channels.subscribers("/a").is_empty());
    });
}
