//! What the specification asks of every client and nothing else here shows.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;

fn publish(talk: &mut Talk, on: &str) -> MessageId {
    let id = talk.client.publish(talk.now, on, json!({"n": 1})).unwrap();
    talk.drain();
    id
}

#[rstest]
fn never_has_more_than_two_requests_under_way_and_one_of_them_the_connect(
    #[values(Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    for _ in 0..3 {
        publish(&mut talk, "/a");
        talk.client.subscribe(talk.now, "/a").unwrap();
        talk.client.unsubscribe(talk.now, "/a").unwrap();
    }
    talk.client.disconnect(talk.now);
    talk.drain();
    let under_way: Vec<bool> = talk
        .wires
        .iter()
        .filter(|wire| matches!(wire, Wire::Request(..)))
        .map(|wire| Batch::carried(wire).iter().any(|message| message.channel() == Some("/meta/connect")))
        .collect();
    assert_eq!(under_way, [true, false]);
}

#[rstest]
fn a_publish_does_not_wait_for_the_held_connect(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    publish(&mut talk, "/a");
    assert!(talk.has_sent("/meta/connect") && talk.has_sent("/a"));
}

#[rstest]
fn the_handshake_stands_alone_and_has_its_members(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::new(&[transport]);
    talk.accept_upgrade();
    let (carrier, handshake) = talk.sent("/meta/handshake");
    assert_eq!(Batch::carried(&carrier).len(), 1);
    let members: Vec<&str> = handshake.names().collect();
    assert_eq!(members, ["channel", "id", "version", "minimumVersion", "supportedConnectionTypes", "advice"]);
    assert_eq!(handshake.value("version"), Some(json!("1.0")));
}

#[rstest]
fn every_later_message_has_the_client_id_and_an_id_of_its_own(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::with(Config::new("/cometd", &[transport]));
    let mut ids = BTreeSet::new();
    for session in ["c1", "c2"] {
        talk.accept_upgrade();
        let handshake = talk.sent("/meta/handshake");
        assert!(ids.insert(handshake.1.id().unwrap().clone()));
        talk.answer(&handshake, &[handshake_reply(&handshake.1, session)]);
        for channel in ["/meta/connect", "/a", "/meta/subscribe", "/meta/unsubscribe"] {
            match channel {
                "/a" => drop(publish(&mut talk, "/a")),
                "/meta/subscribe" => talk.client.subscribe(talk.now, "/b").unwrap(),
                "/meta/unsubscribe" => talk.client.unsubscribe(talk.now, "/b").unwrap(),
                _ => {}
            }
            talk.drain();
            let sent = talk.sent(channel);
            assert_eq!(sent.1.client_id(), Some(&ClientId::new(session)), "{channel}");
            let id = sent.1.id().unwrap().clone();
            assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric()));
            assert!(ids.insert(id));
            talk.answer(&sent, &[ok(channel, &sent.1)]);
        }
        talk.sleep();
        let connect = talk.sent("/meta/connect");
        assert!(ids.insert(connect.1.id().unwrap().clone()));
        talk.answer(&connect, &[unknown_client(&connect.1)]);
        talk.sleep();
    }
    assert_eq!(ids.len(), 12);
}

#[rstest]
fn each_message_has_its_members_and_no_obsolete_one(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    publish(&mut talk, "/a");
    talk.client.subscribe(talk.now, "/b").unwrap();
    talk.drain();
    if transport != Transport::WebSocket {
        let sent = talk.sent("/a");
        talk.answer(&sent, &[ok("/a", &sent.1)]);
        talk.wires.push(sent.0);
    }
    let subscribe = talk.sent("/meta/subscribe");
    talk.answer(&subscribe, &[ok("/meta/subscribe", &subscribe.1)]);
    talk.client.unsubscribe(talk.now, "/b").unwrap();
    talk.drain();
    let unsubscribe = talk.sent("/meta/unsubscribe");
    talk.answer(&unsubscribe, &[ok("/meta/unsubscribe", &unsubscribe.1)]);
    talk.client.disconnect(talk.now);
    talk.drain();
    let members = |(_, message): &(Wire, Message)| message.names().collect::<Vec<_>>().join(" ");
    assert_eq!(members(&talk.sent("/a")), "channel id clientId data");
    assert_eq!(members(&subscribe), "channel id clientId subscription");
    assert_eq!(members(&unsubscribe), "channel id clientId subscription");
    assert_eq!(members(&talk.sent("/meta/connect")), "channel id clientId connectionType");
    assert_eq!(members(&talk.sent("/meta/disconnect")), "channel id clientId");
}

#[rstest]
fn every_carrier_holds_an_array(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    publish(&mut talk, "/a");
    let texts = talk.wires.iter().map(|wire| match wire {
        Wire::Request(_, request) if request.method == "GET" => {
            http::query_values(&request.target, http::MESSAGE_PARAMETER).concat().into_bytes()
        }
        other => other.carried().unwrap().to_vec(),
    });
    let arrays: Vec<bool> = texts.map(|text| !Batch::parse(&text, &Limits::default()).unwrap().single).collect();
    assert_eq!(arrays, [true, true]);
}

#[test]
fn credentials_go_with_every_handshake_and_show_nowhere_else() {
    let own = Some(Secret::new(r#"{"token":"s3cret"}"#));
    let extensions = Extensions { ack: true, ..Extensions::default() };
    let config = Config { handshake_ext: own, extensions, ..Config::new("/cometd", &[Transport::LongPolling]) };
    assert!(!format!("{config:?}").contains("s3cret"));
    let mut talk = Talk::with(config);
    for session in ["c1", "c2"] {
        let handshake = talk.sent("/meta/handshake");
        assert_eq!(handshake.1.ext(), Some(json!({"token": "s3cret", "ack": true})));
        talk.answer(&handshake, &[handshake_reply(&handshake.1, session)]);
        let connect = talk.sent("/meta/connect");
        assert_eq!(connect.1.ext(), None);
        talk.answer(&connect, &[unknown_client(&connect.1)]);
        talk.sleep();
    }
}

#[rstest]
#[case("x")]
#[case("[]")]
#[case("{}")]
fn an_ext_that_is_no_object_is_left_out(#[case] own: &str) {
    let handshake_ext = Some(Secret::new(own));
    let mut talk = Talk::with(Config { handshake_ext, ..Config::new("/cometd", &[Transport::LongPolling]) });
    assert_eq!(talk.sent("/meta/handshake").1.ext(), None);
}

#[test]
fn refuses_a_server_of_a_lower_version() {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["version"] = json!("0.9");
    talk.answer(&handshake, &[reply]);
    assert_eq!(talk.take_events(), [Event::Closed(Closed::NoCommonVersion)]);
    assert_eq!((talk.client.deadline(), talk.has_sent("/meta/connect")), (None, false));
}

#[test]
fn gives_up_a_server_without_a_common_transport() {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["supportedConnectionTypes"] = json!(["carrier-pigeon"]);
    talk.answer(&handshake, &[reply]);
    assert_eq!(talk.take_events(), [Event::Closed(Closed::NoCommonTransport)]);
}

#[rstest]
fn a_handshake_that_is_never_answered_fails_and_is_repeated(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::new(&[transport]);
    talk.accept_upgrade();
    assert_eq!(talk.sleep(), Timer::Reply);
    assert_eq!(talk.now, Time::from_millis(10_000));
    assert_eq!(talk.take_events(), [Event::HandshakeFailed]);
    assert!(!talk.client.is_connected());
    talk.wires.clear();
    talk.sleep();
    talk.accept_upgrade();
    assert!(talk.has_sent("/meta/handshake"));
}

#[test]
fn has_one_handshake_under_way_at_a_time() {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    assert_eq!(talk.client.start(talk.now), Err(Misuse::AlreadyStarted));
    talk.drain();
    let handshakes = talk.wires.iter().flat_map(Batch::carried).count();
    assert_eq!(handshakes, 1);
}

/// Events as they may come beside a connect reply, and what of them reaches the application.
#[rstest]
#[case::in_order(json!([{"channel": "/a", "data": 1}, {"channel": "/b", "data": 2}, {"channel": "/a", "data": 3}]), &["1", "2", "3"])]
#[case::falsy(json!([{"channel": "/a", "data": 0}, {"channel": "/a", "data": ""}, {"channel": "/a", "data": false}, {"channel": "/a", "data": null}]), &["0", "\"\"", "false", "null"])]
#[case::unknown_members(json!([{"foo": 1, "data": 1, "channel": "/a", "ext": {"x": 1}, "timestamp": "now"}]), &["1"])]
#[case::any_text(json!([{"channel": "/a", "data": "é漢😀"}]), &["\"é漢😀\""])]
#[case::without_channel(json!([{"data": 1}, {"channel": "/a", "data": 2}]), &["2"])]
#[case::without_data(json!([{"channel": "/a"}, {"channel": "/a", "data": 2}]), &["2"])]
#[case::on_an_unknown_meta_channel(json!([{"channel": "/meta/foo", "data": 1}]), &[])]
#[case::with_the_id_of_nothing(json!([{"channel": "/a", "id": "77", "data": 1}]), &["1"])]
#[case::with_a_foreign_client_id(json!([{"channel": "/a", "clientId": "other", "data": 1}]), &["1"])]
fn delivers_events_once_and_in_order(
    #[case] events: Value,
    #[case] data: &[&str],
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
    #[values(true, false)] connect_succeeds: bool,
) {
    let mut talk = Talk::connected(transport);
    let connect = talk.sent("/meta/connect");
    let mut reply = ok("/meta/connect", &connect.1);
    reply["successful"] = json!(connect_succeeds);
    let mut answer = events.as_array().unwrap().clone();
    answer.push(reply);
    talk.answer(&connect, &answer);
    let delivered: Vec<String> = talk
        .take_events()
        .iter()
        .filter_map(|event| match event {
            Event::Delivered(message) => message.data().map(|data| data.get().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(delivered, data);
}

#[rstest]
fn an_event_with_the_id_of_a_pending_publish_is_no_reply(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let id = publish(&mut talk, "/a");
    let sent = talk.sent("/a");
    let event = json!({"channel": "/a", "id": id.as_str(), "data": {"n": 1}});
    talk.answer(&sent, &[event, ok("/a", &sent.1)]);
    let events = talk.take_events();
    assert!(matches!(&events[0], Event::Delivered(_)));
    assert_eq!(events[1..], [Event::Published(id, Outcome::Acknowledged)]);
}

#[rstest]
fn goes_on_without_the_reply_to_a_publish(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let id = publish(&mut talk, "/a");
    let sent = talk.sent("/a");
    talk.answer(&sent, &[json!({"channel": "/b", "data": 1})]);
    if transport == Transport::WebSocket {
        assert_eq!(talk.sleep(), Timer::Reply);
    }
    let events = talk.take_events();
    let told = |event: &Event| matches!(event, Event::Published(published, Outcome::Unknown(_)) if *published == id);
    assert_eq!(events.iter().filter(|event| told(event)).count(), 1);
}

#[test]
fn a_lost_socket_loses_whatever_waits_on_it_and_nothing_is_sent_again() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let ids = [publish(&mut talk, "/a"), publish(&mut talk, "/a")];
    let (carrier, _) = talk.sent("/meta/connect");
    talk.wires.clear();
    talk.feed(Wire::Lost(carrier.socket().unwrap(), Failure::Reset));
    let events = talk.take_events();
    for id in ids {
        let lost = Event::Published(id, Outcome::Unknown(Loss::Connection(Failure::Reset)));
        assert!(events.contains(&lost), "{events:?}");
    }
    talk.sleep();
    talk.accept_upgrade();
    assert!(talk.has_sent("/meta/connect") && !talk.has_sent("/a"));
}

#[test]
fn an_event_of_a_new_subscription_may_come_before_the_reply_to_the_subscribe() {
    let mut talk = Talk::connected(Transport::LongPolling);
    talk.client.subscribe(talk.now, "/a").unwrap();
    talk.drain();
    let sent = talk.sent("/meta/subscribe");
    talk.answer(&sent, &[json!({"channel": "/a", "data": 1}), ok("/meta/subscribe", &sent.1)]);
    let events = talk.take_events();
    assert!(matches!(&events[0], Event::Delivered(_)));
    assert_eq!(events[1], Event::Subscribed("/a".to_owned()));
}

#[rstest]
#[case(Some("c1"))]
#[case(None)]
fn replies_may_have_the_client_id_or_not(#[case] client_id: Option<&str>) {
    let mut talk = Talk::connected(Transport::LongPolling);
    let connect = talk.sent("/meta/connect");
    let mut reply = json!({"successful": true, "id": connect.1.id().unwrap().as_str(), "channel": "/meta/connect"});
    if let Some(client_id) = client_id {
        reply["clientId"] = json!(client_id);
    }
    talk.answer(&connect, &[reply]);
    assert_eq!((talk.take_events(), talk.sleep()), (vec![], Timer::Connect));
}

#[test]
fn a_late_connect_reply_does_not_restart_what_was_left() {
    let mut talk = Talk::connected(Transport::LongPolling);
    let connect = talk.sent("/meta/connect");
    talk.client.disconnect(talk.now);
    talk.drain();
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert!(!talk.has_sent("/meta/connect"));
    let disconnect = talk.sent("/meta/disconnect");
    assert_eq!(disconnect.1.client_id(), Some(&ClientId::new("c1")));
    talk.answer(&disconnect, &[ok("/meta/disconnect", &disconnect.1)]);
    assert_eq!(talk.take_events(), [Event::Closed(Closed::Disconnected)]);
    assert_eq!(talk.client.deadline(), None);
}

#[test]
fn a_disconnect_that_is_never_answered_ends_all_the_same() {
    let mut talk = Talk::connected(Transport::WebSocket);
    talk.client.disconnect(talk.now);
    while talk.client.deadline().is_some() {
        talk.sleep();
    }
    assert_eq!(talk.take_events(), [Event::Closed(Closed::Disconnected)]);
}

#[test]
fn posts_json_and_gives_cookies_back_and_upgrades_at_the_base_without_a_protocol() {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    let (carrier, handshake) = talk.sent("/meta/handshake");
    let Wire::Request(exchange, request) = carrier else { panic!("no request") };
    assert_eq!((request.method.as_str(), request.headers.get("content-type")), ("POST", Some(http::CONTENT_TYPE)));
    let headers = Headers::new().with("Set-Cookie", "BAYEUX_BROWSER=b1;Path=/;HttpOnly");
    let body = json!([handshake_reply(&handshake, "c1")]).to_string().into_bytes();
    talk.feed(Wire::Response(exchange, Response { status: 200, headers, body }));
    let (carrier, _) = talk.sent("/meta/connect");
    let Wire::Request(_, request) = carrier else { panic!("no request") };
    assert_eq!(http::cookie(&request.headers, http::BROWSER_COOKIE), Some("b1"));

    let mut talk = Talk::new(&[Transport::WebSocket]);
    let Wire::Upgrade(_, request) = talk.wires.remove(0) else { panic!("no upgrade") };
    assert_eq!((request.target.as_str(), request.headers.get("sec-websocket-protocol")), ("/cometd", None));
}
