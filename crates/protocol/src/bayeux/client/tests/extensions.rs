//! The extensions `ack`, `timestamp`, `timesync` and `reload` on the client.

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;

fn config(transport: Transport, extensions: Extensions) -> Config {
    Config { extensions, ..Config::new("/cometd", &[transport]) }
}

const ACK: Extensions = Extensions { ack: true, timestamp: false, timesync: false };

/// A client whose handshake was answered with this `ext`; its first connect is out.
fn negotiated(transport: Transport, ext: Value) -> Talk {
    let mut talk = Talk::with(config(transport, ACK));
    talk.accept_upgrade();
    let handshake = talk.sent("/meta/handshake");
    assert_eq!(handshake.1.ext(), Some(json!({"ack": true})));
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["ext"] = ext;
    talk.answer(&handshake, &[reply]);
    talk
}

fn event(number: u64) -> Value {
    json!({"channel": "/service/x", "data": number})
}

fn acked(connect: &Message, batch: u64) -> Value {
    let mut reply = ok("/meta/connect", connect);
    reply["ext"] = json!({"ack": batch});
    reply
}

/// The data of the events that were delivered, which nobody has taken yet.
fn delivered(talk: &mut Talk) -> Vec<u64> {
    let events = talk.take_events();
    let delivered = events.iter().filter_map(|event| match event {
        Event::Delivered(message) => message.value("data")?.as_u64(),
        _ => None,
    });
    delivered.collect()
}

#[test]
fn without_extensions_nothing_is_added() {
    let mut talk = Talk::new(&[Transport::WebSocket]);
    talk.accept_upgrade();
    let handshake = talk.sent("/meta/handshake");
    assert_eq!((handshake.1.ext(), handshake.1.value("timestamp")), (None, None));
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["ext"] = json!({"ack": true});
    talk.answer(&handshake, &[reply]);
    assert_eq!(talk.sent("/meta/connect").1.ext(), None);
}

#[rstest]
#[case(json!({"ack": true}), true)]
#[case(json!({"ack": {"enabled": true, "batch": 1}}), true)]
#[case(json!({"ack": "yes"}), false)]
#[case(json!({}), false)]
fn acknowledges_only_to_a_server_that_asks_for_it(#[case] ext: Value, #[case] on: bool) {
    let mut talk = negotiated(Transport::LongPolling, ext);
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.ext(), on.then(|| json!({"ack": 0})));
    talk.answer(&connect, &[acked(&connect.1, 1)]);
    talk.sleep();
    assert_eq!(talk.sent("/meta/connect").1.ext(), on.then(|| json!({"ack": 1})));
}

#[rstest]
fn delivers_once_what_comes_again_behind_a_reply_that_did_not_count(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = negotiated(transport, json!({"ack": true}));
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[acked(&connect.1, 1)]);
    talk.sleep();
    let connect = talk.sent("/meta/connect");
    let mut foreign = acked(&connect.1, 2);
    foreign["id"] = json!("999");
    talk.answer(&connect, &[event(1), event(1), event(2), foreign]);
    assert_eq!(delivered(&mut talk), [1, 1, 2]);
    talk.sleep();
    if transport == Transport::WebSocket {
        talk.sleep();
        talk.accept_upgrade();
    }
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.ext(), Some(json!({"ack": 1})));
    talk.answer(&connect, &[event(1), event(1), event(2), event(2), event(3), acked(&connect.1, 3)]);
    assert_eq!(delivered(&mut talk), [2, 3]);
    talk.sleep();
    assert_eq!(talk.sent("/meta/connect").1.ext(), Some(json!({"ack": 3})));
}

#[test]
fn delivers_once_what_a_lost_socket_had_already_brought() {
    let mut talk = negotiated(Transport::WebSocket, json!({"ack": true}));
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[event(1)]);
    talk.feed(Wire::Lost(connect.0.socket().unwrap(), Failure::Reset));
    talk.sleep();
    talk.accept_upgrade();
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.ext(), Some(json!({"ack": 0})));
    talk.answer(&connect, &[event(1), event(2), acked(&connect.1, 2)]);
    assert_eq!(delivered(&mut talk), [1, 2]);
}

#[test]
fn begins_to_count_anew_in_a_new_session() {
    let mut talk = negotiated(Transport::LongPolling, json!({"ack": true}));
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[event(1), acked(&connect.1, 5)]);
    talk.sleep();
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[unknown_client(&connect.1)]);
    talk.sleep();
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c2");
    reply["ext"] = json!({"ack": true});
    talk.answer(&handshake, &[reply]);
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.ext(), Some(json!({"ack": 0})));
    talk.answer(&connect, &[event(1), acked(&connect.1, 1)]);
    assert_eq!(delivered(&mut talk), [1, 1]);
}

#[test]
fn events_that_ride_in_the_handshake_response_are_acknowledged_by_the_first_connect() {
    let mut talk = Talk::with(config(Transport::LongPolling, ACK));
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["ext"] = json!({"ack": {"enabled": true, "batch": 4, "size": 2}});
    talk.answer(&handshake, &[reply, event(1), event(2)]);
    assert_eq!(delivered(&mut talk), [1, 2]);
    assert_eq!(talk.sent("/meta/connect").1.ext(), Some(json!({"ack": 4})));
}

#[test]
fn events_of_a_handshake_response_without_a_size_come_again_and_are_delivered_once() {
    let mut talk = Talk::with(config(Transport::LongPolling, ACK));
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["ext"] = json!({"ack": {"enabled": true, "batch": 1}});
    talk.answer(&handshake, &[reply, event(1)]);
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.ext(), Some(json!({"ack": 0})));
    talk.answer(&connect, &[event(1), event(2), acked(&connect.1, 2)]);
    assert_eq!(delivered(&mut talk), [1, 2]);
}

#[test]
fn a_stamp_on_an_event_does_not_make_it_another() {
    let mut talk = negotiated(Transport::WebSocket, json!({"ack": true}));
    let stamped = |stamp: &str| json!({"channel": "/service/x", "data": 1, "timestamp": stamp});
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[stamped("x")]);
    talk.feed(Wire::Lost(connect.0.socket().unwrap(), Failure::Reset));
    talk.sleep();
    talk.accept_upgrade();
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[stamped("y"), acked(&connect.1, 1)]);
    assert_eq!(delivered(&mut talk), [1]);
}

#[test]
fn stamps_every_message_with_the_time_at_which_it_is_sent() {
    let extensions = Extensions { timestamp: true, ..Extensions::default() };
    let start_utc = 1_795_428_380_000;
    let mut talk = Talk::connected_with(Config { start_utc, ..config(Transport::LongPolling, extensions) });
    let stamp = |sent: &(Wire, Message)| sent.1.value("timestamp").unwrap();
    assert_eq!(stamp(&talk.sent("/meta/connect")), json!("Mon, 23 Nov 2026 10:06:20 GMT"));
    talk.now = Time::from_millis(61_900);
    talk.client.publish(talk.now, "/a", json!(1)).unwrap();
    talk.client.disconnect(talk.now);
    talk.drain();
    let publish = talk.sent("/a");
    assert_eq!(stamp(&publish), json!("Mon, 23 Nov 2026 10:07:21 GMT"));
    assert_eq!(publish.1.names().last(), Some("timestamp"));
    talk.answer(&publish, &[ok("/a", &publish.1)]);
    assert_eq!(stamp(&talk.sent("/meta/disconnect")), json!("Mon, 23 Nov 2026 10:07:21 GMT"));
}

#[test]
fn asks_for_the_time_in_meta_messages_alone_and_learns_lag_and_offset() {
    let extensions = Extensions { timesync: true, ..Extensions::default() };
    let start_utc = 1_000_000;
    let mut talk = Talk::with(Config { start_utc, ..config(Transport::WebSocket, extensions) });
    talk.accept_upgrade();
    let handshake = talk.sent("/meta/handshake");
    assert_eq!(handshake.1.ext(), Some(json!({"timesync": {"tc": 1_000_000, "l": 0, "o": 0}})));
    talk.now = Time::from_millis(140);
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["ext"] = json!({"timesync": {"tc": 1_000_000, "ts": 1_005_050, "p": 40, "a": -5_050}});
    talk.answer(&handshake, &[reply]);
    assert_eq!((talk.client.network_lag(), talk.client.clock_offset()), (50, 5_000));
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.ext(), Some(json!({"timesync": {"tc": 1_000_140, "l": 50, "o": 5_000}})));
    talk.client.publish(talk.now, "/a", json!(1)).unwrap();
    talk.drain();
    assert_eq!(talk.sent("/a").1.ext(), None);
}

#[test]
fn both_kinds_of_ext_stand_side_by_side() {
    let extensions = Extensions { ack: true, timesync: true, timestamp: true };
    let mut talk = Talk::with(config(Transport::LongPolling, extensions));
    let (_, handshake) = talk.sent("/meta/handshake");
    let ext = handshake.ext().unwrap();
    assert_eq!((&ext["ack"], ext["timesync"]["l"].as_i64()), (&json!(true), Some(0)));
}

/// What the text of a saved session says, as another program would read it.
fn through_text(saved: &Saved) -> Saved {
    serde_json::from_str(&serde_json::to_string(saved).unwrap()).unwrap()
}

#[rstest]
fn goes_on_with_a_saved_session_without_a_handshake(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut before = Talk::connected(transport);
    before.client.subscribe(before.now, "/a").unwrap();
    before.drain();
    let subscribe = before.sent("/meta/subscribe");
    before.answer(&subscribe, &[ok("/meta/subscribe", &subscribe.1)]);
    let (_, last) = before.sent("/meta/connect");
    let saved = before.client.save().unwrap();
    assert_eq!(through_text(&saved), saved);
    let mut talk = Talk::of(Client::restore(Config::new("/cometd", &Transport::ALL), through_text(&saved)));
    talk.accept_upgrade();
    assert!(!talk.has_sent("/meta/handshake"));
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.client_id(), Some(&ClientId::new("c1")));
    assert_eq!(connect.1.value("advice"), Some(json!({"timeout": 0})));
    assert_eq!(connect.1.value("connectionType"), Some(json!(transport.name())));
    let number = |message: &Message| message.id().unwrap().as_str().parse::<u64>().unwrap();
    assert!(number(&connect.1) > number(&last));
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(talk.take_events(), [Event::Connected { new_session: false }]);
    assert_eq!(talk.client.subscriptions_of("/a"), ["/a"]);
    assert!(!talk.has_sent("/meta/subscribe"));
}

#[test]
fn handshakes_when_the_saved_session_is_no_longer_known() {
    let before = Talk::connected(Transport::LongPolling);
    let saved = before.client.save().unwrap();
    let mut talk = Talk::of(Client::restore(Config::new("/cometd", &[Transport::LongPolling]), saved));
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[unknown_client(&connect.1)]);
    assert_eq!(talk.take_events(), [Event::SessionLost]);
    talk.sleep();
    talk.shake_hands("c2");
    talk.connect_again();
    assert_eq!(talk.take_events(), [Event::Connected { new_session: true }]);
}

#[test]
fn a_saved_session_keeps_its_cookies_its_advice_and_its_batch() {
    let mut before = negotiated(Transport::LongPolling, json!({"ack": true}));
    let (carrier, connect) = before.sent("/meta/connect");
    let mut reply = acked(&connect, 9);
    reply["advice"] = json!({"interval": 400, "timeout": 3_000});
    let headers = Headers::new().with("Set-Cookie", "BAYEUX_BROWSER=s3cret");
    let body = json!([reply]).to_string().into_bytes();
    before.feed(Wire::Response(carrier.exchange().unwrap(), Response { status: 200, headers, body }));
    let saved = before.client.save().unwrap();
    let mut talk = Talk::of(Client::restore(config(Transport::LongPolling, ACK), through_text(&saved)));
    let (carrier, connect) = talk.sent("/meta/connect");
    assert_eq!(connect.ext(), Some(json!({"ack": 9})));
    let Wire::Request(exchange, request) = carrier else { panic!("no request") };
    assert_eq!(request.headers.get("cookie"), Some("BAYEUX_BROWSER=s3cret"));
    talk.feed(response(exchange, 200, &json!([acked(&connect, 10)]).to_string()));
    talk.sleep();
    assert_eq!(talk.now, Time::from_millis(400));
    assert_eq!(talk.client.deadline(), Some((Time::from_millis(13_400), Timer::Reply)));
}

#[test]
fn debug_of_a_saved_session_shows_no_secret() {
    let mut before = Talk::connected(Transport::LongPolling);
    let (carrier, connect) = before.sent("/meta/connect");
    let headers = Headers::new().with("Set-Cookie", "BAYEUX_BROWSER=s3cret");
    let body = json!([ok("/meta/connect", &connect)]).to_string().into_bytes();
    before.feed(Wire::Response(carrier.exchange().unwrap(), Response { status: 200, headers, body }));
    let saved = before.client.save().unwrap();
    let shown = format!("{saved:?} {:?}", Client::restore(Config::new("/cometd", &Transport::ALL), saved.clone()));
    assert!(!shown.contains("s3cret") && !shown.contains("c1"), "{shown}");
}

#[test]
fn there_is_nothing_to_save_without_a_session() {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    assert_eq!(talk.client.save(), None);
    talk.shake_hands("c1");
    assert!(talk.client.save().is_some());
    talk.client.disconnect(talk.now);
    assert_eq!(talk.client.save(), None);
}

#[test]
fn a_saved_session_over_a_transport_that_is_not_there_is_left_alone() {
    let saved = Talk::connected(Transport::WebSocket).client.save().unwrap();
    let mut talk = Talk::of(Client::restore(Config::new("/cometd", &[Transport::LongPolling]), saved));
    assert_eq!(talk.sent("/meta/handshake").1.client_id(), None);
}

#[rstest]
#[case(json!({"channel": "/meta/disconnect", "successful": true}))]
#[case(json!({"channel": "/meta/disconnect"}))]
fn whom_the_server_disconnects_for_idling_stays_away(
    #[case] farewell: Value,
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let connect = talk.sent("/meta/connect");
    let mut released = ok("/meta/connect", &connect.1);
    released["advice"] = json!({"reconnect": "none"});
    talk.answer(&connect, &[farewell, released]);
    assert_eq!(talk.take_events(), [Event::Closed(Closed::ByServer)]);
    assert_eq!(talk.client.deadline(), None);
    assert!(!talk.has_sent("/meta/connect") && !talk.has_sent("/meta/handshake"));
}
