//! Lazy events, and what else waits: for a push, for the sweeper, for traffic.

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;
use crate::bayeux::dialect::PushedSince;

/// A server on which everything that its application sends is lazy.
fn lazy(name: &str) -> Bench {
    let dialect = Dialect::by_name(name).unwrap();
    Bench::with(Settings { dialect, lazy: vec![SERVICE.to_owned()], ..Settings::new(BASE) })
}

#[rstest]
#[case("cometd-2.9")]
#[case("cometd-3.0")]
#[case("cometd-3.1")]
#[case("cometd-4.0.4")]
#[case("cometd-5.0")]
fn over_http_lazy_events_ride_in_the_next_response(#[case] name: &str) {
    let mut bench = lazy(name);
    bench.echo = true;
    let client = bench.connected();
    bench.deliver(&client, "a");
    assert_eq!(bench.post(json!([publish(&client, "3")])), json!([event("a"), event("own"), ack("3")]));
}

#[rstest]
#[case("cometd-3.0", false)]
#[case("cometd-3.1", false)]
#[case("cometd-4.0.0", true)]
#[case("cometd-4.0.4", true)]
#[case("cometd-5.0", true)]
fn on_a_socket_lazy_events_ride_with_replies_since_4_0(#[case] name: &str, #[case] ride: bool) {
    let mut bench = lazy(name);
    bench.echo = true;
    let (socket, client) = bench.socket_connected(1);
    bench.send(socket, &json!([connect(&client, "3")]));
    let wires = frames(&bench.send(socket, &json!([publish(&client, "4")])));
    if ride {
        assert_eq!(wires, [json!([event("own")]), json!([ack("4")])]);
        assert_eq!(bench.wait(5_000), []);
    } else {
        assert_eq!(wires, [json!([ack("4")])]);
        assert_eq!(bench.wait(4_999), []);
        assert_eq!(frames(&bench.wait(1)), [json!([event("own")])]);
    }
}

#[test]
fn lazy_events_alone_do_not_release_a_held_connect_before_their_time() {
    let mut bench = lazy("cometd-3.1");
    let client = bench.connected();
    let held = bench.hold(&client, "3");
    assert_eq!(bench.deliver(&client, "a"), []);
    bench.wait(2_000);
    assert_eq!(bench.deliver(&client, "b"), []);
    assert_eq!(bench.wait(2_999), []);
    let released = (held, 200, json!([event("a"), event("b"), connect_ok("3")]));
    assert_eq!(responses(&bench.wait(1)), [released]);
}

#[test]
fn lazy_events_that_nothing_could_carry_wait_for_the_end_of_the_next_hold() {
    let mut bench = lazy("cometd-3.1");
    let client = bench.connected();
    bench.deliver(&client, "a");
    bench.wait(6_000);
    let held = bench.hold(&client, "3");
    assert_eq!(bench.wait(29_999), []);
    assert_eq!(responses(&bench.wait(1)), [(held, 200, json!([event("a"), connect_ok("3")]))]);
}

#[test]
fn an_event_in_a_hurry_takes_the_lazy_ones_along() {
    let mut bench = lazy("cometd-3.1");
    let (socket, client) = bench.socket_connected(1);
    bench.deliver(&client, "a");
    bench.send(socket, &json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": "/b"}]));
    let wires = frames(&bench.send(socket, &json!([{"channel": "/b", "clientId": client, "data": 1}])));
    assert_eq!(wires[..2], [json!([event("a")]), json!([{"channel": "/b", "data": 1}])]);
}

#[test]
fn with_a_lazy_timeout_of_0_nothing_is_lazy() {
    let mut bench = lazy("cometd-3.1");
    bench.server.settings.dialect.set("maxLazyTimeout", "0").unwrap();
    let (_, client) = bench.socket_connected(1);
    assert_eq!(frames(&bench.deliver(&client, "a")), [json!([event("a")])]);
}

/// BX-WS-05: since when events of others are pushed, after the handshake, the first connect and the first hold.
#[rstest]
#[case("cometd-2.9", PushedSince::Handshake)]
#[case("cometd-3.0", PushedSince::Handshake)]
#[case("cometd-3.1", PushedSince::Handshake)]
#[case("cometd-4.0.0", PushedSince::FirstHold)]
#[case("cometd-4.0.4", PushedSince::FirstHold)]
#[case("cometd-5.0", PushedSince::FirstMessage)]
fn each_dialect_pushes_since_its_own_moment(#[case] name: &str, #[case] since: PushedSince) {
    let mut dialect = Dialect::by_name(name).unwrap();
    assert_eq!(dialect.events.pushed_since, since);
    // 2.9 has no WebSocket unless an operator switches it on.
    dialect.transports = Dialect::cometd_3_1().transports;
    let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
    let socket = bench.open(1);
    let wires = bench.feed(Wire::Text(socket, HANDSHAKE.to_owned()));
    let client = client_id(frames(&wires)[0].to_string().as_bytes());
    let early = frames(&bench.deliver(&client, "a"));
    assert_eq!(early.len(), usize::from(since == PushedSince::Handshake));
    let replies = frames(&bench.send(socket, &json!([connect(&client, "2")])));
    assert_eq!(early.len() + replies.len(), 2, "what waited precedes the reply");
    let between = frames(&bench.deliver(&client, "b"));
    assert_eq!(between.len(), usize::from(since <= PushedSince::FirstMessage));
    let held = frames(&bench.send(socket, &json!([connect(&client, "3")])));
    assert_eq!(between.len() + held.len(), 1, "what waited is pushed, and the connect is held");
    assert_eq!(frames(&bench.deliver(&client, "c")), [json!([event("c")])]);
}

#[test]
fn on_a_new_socket_4_0_waits_for_a_hold_again() {
    let dialect = Dialect::by_name("cometd-4.0.4").unwrap();
    let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
    let (old, client) = bench.socket_connected(1);
    bench.send(old, &json!([connect(&client, "3")]));
    bench.feed(Wire::Lost(old, Failure::Reset));
    let new = bench.open(2);
    let mut at_once = connect(&client, "4");
    at_once["advice"] = json!({"timeout": 0});
    bench.send(new, &json!([at_once]));
    assert_eq!(bench.deliver(&client, "a"), []);
    assert_eq!(frames(&bench.send(new, &json!([connect(&client, "5")]))), [json!([event("a")])]);
}

#[test]
fn an_idle_socket_is_closed_and_its_session_lives_on() {
    let mut bench = Bench::new();
    bench.server.settings.dialect.set("ws.idleTimeout", "5000").unwrap();
    let (socket, client) = bench.socket_connected(1);
    bench.send(socket, &json!([connect(&client, "3")]));
    bench.wait(4_000);
    bench.feed(Wire::Ping(socket, Vec::new()));
    assert_eq!(bench.wait(4_999), []);
    let close = Close { code: 1001, reason: "Idle Timeout".to_owned() };
    assert_eq!(bench.wait(1), [Wire::Close(socket, close)]);
    assert_eq!(bench.server.sessions().count(), 1);
}

#[rstest]
#[case("cometd-3.0", "maxServerInterval", "Cancel", 3_000)]
#[case("cometd-3.1", "maxProcessing", "Cancel", 5_000)]
#[case("cometd-4.0.4", "maxProcessing", "Destroy", 5_000)]
#[case("cometd-5.0", "maxProcessing", "Destroy", 5_000)]
fn a_session_that_says_nothing_is_swept_under_its_connect(
    #[case] name: &str,
    #[case] option: &str,
    #[case] reason: &str,
    #[case] after: u64,
) {
    let mut dialect = Dialect::by_name(name).unwrap();
    dialect.set(option, "3000").unwrap();
    let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
    let (socket, client) = bench.socket_connected(1);
    let polling = bench.connected();
    bench.send(socket, &json!([connect(&client, "3")]));
    let held = bench.hold(&polling, "3");
    bench.wait(2_000);
    bench.send(socket, &json!([publish(&client, "4")]));
    bench.post(json!([publish(&polling, "4")]));
    let wires = [bench.wait(after - 2_001), bench.wait(1)];
    let close = Close { code: 1000, reason: reason.to_owned() };
    assert_eq!(wires[0], []);
    let status = bench.server.settings.dialect.connects.superseded_status;
    assert!(wires[1].contains(&Wire::Close(socket, close)), "{wires:?}");
    assert!(wires[1].contains(&Wire::Response(held, http::container(status, ""))), "{wires:?}");
    assert_eq!(bench.server.sessions().count(), 0);
}

#[test]
fn with_a_sweep_period_sessions_and_channels_go_with_a_sweep() {
    let mut settings = Settings::new(BASE);
    settings.dialect.set("sweepPeriod", "4000").unwrap();
    let mut bench = Bench::with(settings);
    let client = bench.connected();
    bench.post(json!([{"channel": "/a", "clientId": client, "data": 1}]));
    assert!(bench.server.channels.exist("/a", Time::from_millis(11_999)));
    assert!(!bench.server.channels.exist("/a", Time::from_millis(12_000)));
    bench.wait(11_999);
    assert_eq!(bench.server.sessions().count(), 1);
    bench.wait(1);
    assert_eq!(bench.server.sessions().count(), 0);
}

#[test]
fn a_full_queue_is_told_and_nothing_is_dropped() {
    let mut bench = Bench::new();
    bench.server.settings.dialect.set("maxQueue", "2").unwrap();
    let client = bench.connected();
    for text in ["a", "b", "c"] {
        bench.deliver(&client, text);
    }
    let maxed = bench.events.iter().filter(|event| matches!(event, Event::QueueMaxed(SessionId(1)))).count();
    assert_eq!(maxed, 1);
    let replies = bench.post(json!([connect(&client, "3")]));
    assert_eq!(replies, json!([event("a"), event("b"), event("c"), connect_ok("3")]));
}
