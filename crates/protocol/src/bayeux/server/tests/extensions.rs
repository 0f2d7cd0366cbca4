//! The extensions `ack`, `timestamp`, `timesync` and `activity`.

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;
use crate::bayeux::dialect::{Activity, Extensions};

fn with(extensions: Extensions) -> Bench {
    let mut settings = Settings::new(BASE);
    settings.dialect.options.extensions = extensions;
    Bench::with(settings)
}

fn acking() -> Bench {
    with(Extensions { ack: true, ..Extensions::default() })
}

const HANDSHAKE_WITH_ACK: &str =
    r#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"],"ext":{"ack":true}}]"#;

/// Handshakes with acknowledgement and connects once.
fn acked(bench: &mut Bench) -> String {
    bench.cookie = Some("mine".to_owned());
    let reply = bench.post(serde_json::from_str(HANDSHAKE_WITH_ACK).unwrap());
    assert_eq!(reply[0]["ext"], json!({"ack": true}));
    let client = reply[0]["clientId"].as_str().unwrap().to_owned();
    assert_eq!(bench.post(json!([connect_acking(&client, "2", 0)]))[0]["ext"], json!({"ack": 1}));
    client
}

fn connect_acking(client: &str, id: &str, batch: i64) -> Value {
    let mut message = connect(client, id);
    message["ext"] = json!({"ack": batch});
    message
}

#[rstest]
#[case(json!("yes"))]
#[case(json!(1))]
#[case(json!(false))]
fn only_true_asks_for_ack(#[case] asked: Value) {
    let mut bench = acking();
    let mut message: Value = serde_json::from_str(HANDSHAKE_WITH_ACK).unwrap();
    message[0]["ext"]["ack"] = asked;
    assert_eq!(bench.post(message)[0].get("ext"), None);
}

#[test]
fn a_server_without_ack_does_not_confirm_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.post(serde_json::from_str(HANDSHAKE_WITH_ACK).unwrap())[0].get("ext"), None);
}

#[test]
fn an_acked_own_event_releases_the_held_connect_instead_of_riding_the_publish() {
    let mut bench = acking();
    bench.echo = true;
    let client = acked(&mut bench);
    let (held, wires) = bench.request("POST", BASE, &json!([connect_acking(&client, "3", 1)]).to_string());
    assert_eq!(wires, []);
    let (own, wires) = bench.request("POST", BASE, &json!([publish(&client, "4")]).to_string());
    let mut reply = connect_ok("3");
    reply["ext"] = json!({"ack": 2});
    assert_eq!(responses(&wires), [(own, 200, json!([ack("4")])), (held, 200, json!([event("own"), reply]))]);
}

#[test]
fn acked_events_survive_a_broken_connection() {
    let mut bench = acking();
    let client = acked(&mut bench);
    let (held, _) = bench.request("POST", BASE, &json!([connect_acking(&client, "3", 1)]).to_string());
    bench.feed(Wire::Broken(held, Failure::Reset));
    bench.deliver(&client, "a");
    bench.deliver(&client, "b");
    let replies = bench.post(json!([connect_acking(&client, "4", 1)]));
    assert_eq!((&replies[0], &replies[1]), (&event("a"), &event("b")));
    assert_eq!(replies[2]["ext"], json!({"ack": 3}));
}

#[test]
fn a_connect_without_ack_acknowledges_nothing() {
    let mut bench = acking();
    let client = acked(&mut bench);
    bench.deliver(&client, "a");
    assert_eq!(bench.post(json!([connect(&client, "3")]))[1]["ext"], json!({"ack": 2}));
    let replies = bench.post(json!([connect_acking(&client, "4", 1)]));
    assert_eq!(replies[0], event("a"));
    assert_eq!(replies[1]["advice"], json!({"interval": 0, "timeout": 30000, "reconnect": "retry"}));
}

#[rstest]
#[case("/meta/subscribe", true)]
#[case("/meta/unsubscribe", true)]
#[case("/meta/disconnect", true)]
#[case(SERVICE, false)]
fn once_acked_every_meta_reply_has_an_ext(#[case] channel: &str, #[case] has: bool) {
    let mut bench = acking();
    let client = acked(&mut bench);
    let reply = bench.post(json!([{"channel": channel, "clientId": client, "subscription": SERVICE}]));
    assert_eq!(reply[0].get("ext"), has.then_some(&json!({})));
}

#[test]
fn on_a_socket_acked_events_release_the_connect() {
    let mut bench = acking();
    let socket = bench.open(1);
    let wires = bench.feed(Wire::Text(socket, HANDSHAKE_WITH_ACK.to_owned()));
    let client = client_id(frames(&wires)[0].to_string().as_bytes());
    bench.send(socket, &json!([connect_acking(&client, "2", 0)]));
    assert_eq!(bench.send(socket, &json!([connect_acking(&client, "3", 1)])), []);
    let mut reply = connect_ok("3");
    reply["ext"] = json!({"ack": 2});
    assert_eq!(frames(&bench.deliver(&client, "a")), [json!([event("a")]), json!([reply])]);
}

#[test]
fn every_message_is_stamped_and_a_clients_stamp_is_overwritten() {
    let mut bench = with(Extensions { timestamp: true, ..Extensions::default() });
    let client = bench.connected();
    bench.post(json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": "/a"}]));
    let replies = bench.post(json!([{"channel": "/a", "clientId": client, "data": 1, "timestamp": "mine"}]));
    let stamp = "Tue Nov 14 22:13:20 UTC 2023";
    assert_eq!(
        replies,
        json!([
            {"channel": "/a", "data": 1, "timestamp": stamp},
            {"channel": "/a", "successful": true, "timestamp": stamp},
        ])
    );
}

#[test]
fn timesync_answers_in_every_meta_reply_and_measures_the_hold() {
    let mut bench = with(Extensions { timesync: true, ..Extensions::default() });
    let client = bench.connected();
    let ext = json!({"timesync": {"tc": 1_700_000_000_100_i64, "l": 0, "o": 0}});
    let at = 1_700_000_000_000_i64;
    let asked = |channel: &str| json!({"channel": channel, "clientId": client, "subscription": SERVICE, "ext": ext});
    let answer = json!({"timesync": {"tc": at + 100, "ts": at, "p": 0, "a": 100}});
    assert_eq!(bench.post(json!([asked("/meta/subscribe")]))[0]["ext"], answer);
    assert_eq!(bench.post(json!([asked("/meta/handshake")]))[0]["ext"], answer);
    assert_eq!(bench.post(json!([asked(SERVICE)]))[0].get("ext"), None);
    let mut message = connect(&client, "3");
    message["ext"] = ext.clone();
    bench.request("POST", BASE, &json!([message]).to_string());
    let replies = &responses(&bench.wait(30_000))[0].2;
    assert_eq!(replies[0]["ext"]["timesync"]["p"], 30_000);
}

#[rstest]
#[case(false, 1_001, true)]
#[case(false, 1_000, false)]
#[case(true, 1_500, false)]
fn an_inactive_session_is_disconnected_when_it_connects(
    #[case] server_counts: bool,
    #[case] idle: u64,
    #[case] gone: bool,
) {
    let activity = Some(Activity { server_counts, max_inactivity_ms: 1_000 });
    let mut bench = with(Extensions { activity, ..Extensions::default() });
    let client = bench.connected();
    bench.post(json!([publish(&client, "3")]));
    bench.wait(700);
    bench.deliver(&client, "a");
    bench.wait(idle - 700);
    let replies = bench.post(json!([connect(&client, "4")]));
    let last = replies.as_array().unwrap().last().unwrap();
    assert_eq!(last.get("advice"), gone.then_some(&json!({"reconnect": "none"})));
    assert_eq!(bench.server.sessions().count(), usize::from(!gone));
}
