//! What every CometD lets pass or hands on unchanged, also against the letter of Bayeux.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;

pub(super) fn in_each_dialect(check: impl Fn(&mut Bench)) {
    for name in Dialect::names() {
        let dialect = Dialect::by_name(name).unwrap();
        check(&mut Bench::with(Settings { dialect, ..Settings::new(BASE) }));
    }
}

/// BX-HS-07, BX-HS-08, BX-HS-12, BX-VER-02, BX-FLD-21.
#[rstest]
#[case(json!({}))]
#[case(json!({"version": "1.0"}))]
#[case(json!({"version": "0.9", "minimumVersion": "2.0"}))]
#[case(json!({"version": "1.0", "supportedConnectionTypes": ["carrier-pigeon"]}))]
#[case(json!({"version": "1.0", "connectionId": "x", "json-comment-filtered": true}))]
fn a_handshake_succeeds_whatever_it_says_of_itself(#[case] mut message: Value) {
    message["channel"] = "/meta/handshake".into();
    in_each_dialect(|bench| {
        let reply = &bench.post(json!([message]))[0];
        assert_eq!((&reply["successful"], &reply["version"]), (&json!(true), &json!("1.0")));
        assert_eq!((reply.get("connectionId"), reply.get("json-comment-filtered")), (None, None));
    });
}

/// BX-FLD-08.
#[rstest]
#[case(None)]
#[case(Some("carrier-pigeon"))]
fn a_connect_succeeds_whatever_its_connection_type(#[case] kind: Option<&str>) {
    in_each_dialect(|bench| {
        let client = bench.handshake();
        let mut message = json!({"channel": "/meta/connect", "clientId": client});
        if let Some(kind) = kind {
            message["connectionType"] = kind.into();
        }
        assert_eq!(bench.post(json!([message]))[0]["successful"], true);
    });
}

/// BX-FLD-14, BX-MSG-06: what was published comes out as it went in.
#[rstest]
#[case(json!("é漢😀"))]
#[case(json!(0))]
#[case(json!(false))]
#[case(json!(""))]
#[case(Value::Null)]
#[case(json!({"deep": [[{"er": 1.5}]]}))]
#[case(json!("x".repeat(60_000)))]
fn data_is_any_json(#[case] data: Value) {
    in_each_dialect(|bench| {
        let client = bench.connected();
        bench.post(json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": "/a"}]));
        let replies = bench.post(json!([{"channel": "/a", "clientId": client, "data": data}]));
        assert_eq!(replies[0], json!({"channel": "/a", "data": data}));
    });
}

/// BX-FLD-13: CometD acknowledges such a publish, and broadcasts it.
#[test]
fn a_publish_needs_no_data() {
    in_each_dialect(|bench| {
        let client = bench.connected();
        bench.post(json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": "/a"}]));
        let replies = bench.post(json!([{"channel": "/a", "clientId": client}]));
        assert_eq!(replies, json!([{"channel": "/a"}, {"channel": "/a", "successful": true}]));
    });
}

/// BX-FLD-12, BX-FLD-20.
#[rstest]
#[case("/meta/connect")]
#[case("/meta/subscribe")]
#[case("/meta/unsubscribe")]
#[case("/meta/disconnect")]
#[case(SERVICE)]
fn ext_and_timestamp_of_a_request_do_not_come_back(#[case] channel: &str) {
    in_each_dialect(|bench| {
        let client = bench.handshake();
        let reply = bench.post(json!([{
            "channel": channel, "clientId": client, "subscription": SERVICE, "ext": {"a": 1}, "timestamp": "t",
        }]));
        assert_eq!(reply[0]["successful"], true);
        assert_eq!((reply[0].get("ext"), reply[0].get("timestamp")), (None, None));
    });
}

/// BX-FLD-10: a repeated id breaks nothing.
#[test]
fn an_id_may_be_used_again() {
    in_each_dialect(|bench| {
        let client = bench.connected();
        let replies = bench.post(json!([publish(&client, "5"), publish(&client, "5")]));
        assert_eq!(replies, json!([ack("5"), ack("5")]));
    });
}

/// BX-CID-01, BX-CID-02, BX-CID-04.
#[test]
fn client_ids_are_alphanumeric_and_never_the_same() {
    let mut bench = Bench::new();
    let mut seen = BTreeSet::new();
    for _ in 0..2_000 {
        let client = bench.handshake();
        assert!(client.bytes().all(|b| b.is_ascii_alphanumeric()), "{client}");
        assert!(seen.insert(client));
    }
}
