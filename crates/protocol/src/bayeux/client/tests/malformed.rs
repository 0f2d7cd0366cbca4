//! Answers that are none: the client notices, tells, and goes on with the next right answer.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// Answers with bytes: the body of a response, or a frame.
fn feed_bytes(talk: &mut Talk, carrier: &Wire, status: u16, bytes: &[u8]) {
    let wire = match (carrier, std::str::from_utf8(bytes)) {
        (Wire::Request(exchange, _), _) => {
            let headers = Headers::new().with("Content-Type", "text/html");
            Wire::Response(*exchange, Response { status, headers, body: bytes.to_vec() })
        }
        (Wire::Text(socket, _), Ok(text)) => Wire::Text(*socket, text.to_owned()),
        (Wire::Text(socket, _), Err(_)) => Wire::Binary(*socket, bytes.to_vec()),
        (other, _) => panic!("{other:?} carries no messages"),
    };
    talk.feed(wire);
}

/// Lets time pass until something is sent on a channel.
fn wait_for(talk: &mut Talk, channel: &str) -> (Wire, Message) {
    for _ in 0..6 {
        if talk.has_sent(channel) {
            break;
        }
        talk.sleep();
        talk.accept_upgrade();
    }
    talk.sent(channel)
}

/// A client that takes 4 KiB at once.
fn small(transport: Transport) -> Config {
    Config { limits: Limits { bytes: 4_096, ..Limits::default() }, ..Config::new("/cometd", &[transport]) }
}

fn oversized() -> Vec<u8> {
    json!([{"channel": "/a", "data": "x".repeat(5_000)}]).to_string().into_bytes()
}

fn goes_on_after(transport: Transport, status: u16, bytes: &[u8]) {
    let mut talk = Talk::connected_with(small(transport));
    let (carrier, _) = talk.sent("/meta/connect");
    feed_bytes(&mut talk, &carrier, status, bytes);
    let connect = wait_for(&mut talk, "/meta/connect");
    assert_eq!(talk.take_events(), [Event::ConnectionLost]);
    assert_eq!(connect.1.client_id(), Some(&ClientId::new("c1")));
    assert_eq!(connect.1.value("advice"), Some(json!({"timeout": 0})));
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(talk.take_events(), [Event::Connected { new_session: false }]);

    let mut talk = Talk::with(small(transport));
    talk.accept_upgrade();
    let (carrier, _) = talk.sent("/meta/handshake");
    feed_bytes(&mut talk, &carrier, status, bytes);
    let handshake = wait_for(&mut talk, "/meta/handshake");
    assert_eq!(talk.take_events(), [Event::HandshakeFailed]);
    talk.answer(&handshake, &[handshake_reply(&handshake.1, "c1")]);
    talk.connect_again();
    assert_eq!(talk.take_events(), [Event::Connected { new_session: true }]);
}

#[rstest]
#[case::truncated(br#"[{"channel":"/meta/connect","successful":tr"#)]
#[case::empty(b"")]
#[case::empty_array(b"[]")]
#[case::null(b"null")]
#[case::number(b"123")]
#[case::text(br#""x""#)]
#[case::array_of_numbers(b"[1]")]
#[case::array_of_null(b"[null]")]
#[case::nested_array(br#"[[{"channel":"/a","data":1}]]"#)]
#[case::trailing_garbage(br#"[{"channel":"/a","data":1}]x"#)]
#[case::half_good(br#"[{"channel":"/a","data":1},5]"#)]
#[case::html(b"<html><body>502 Bad Gateway</body></html>")]
#[case::invalid_utf8(b"[{\"channel\":\"/a\",\"data\":\"\xff\"}]")]
#[case::no_function(b"([")]
fn what_is_no_batch_counts_as_no_answer(
    #[case] body: &[u8],
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    goes_on_after(transport, 200, body);
}

#[rstest]
fn what_is_too_much_counts_as_no_answer(
    #[values(oversized(), b"[".repeat(500))] body: Vec<u8>,
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    goes_on_after(transport, 200, &body);
}

#[rstest]
fn another_status_counts_as_no_answer_whatever_the_body(
    #[values(204, 301, 400, 401, 403, 404, 408, 500, 502, 503)] status: u16,
    #[values(Transport::LongPolling, Transport::CallbackPolling)] transport: Transport,
) {
    goes_on_after(transport, status, br#"[{"channel":"/a","data":1}]"#);
}

#[rstest]
fn a_good_answer_counts_whatever_its_media_type_and_without_an_array(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let (carrier, connect) = talk.sent("/meta/connect");
    let bare = ok("/meta/connect", &connect).to_string();
    feed_bytes(&mut talk, &carrier, 200, bare.as_bytes());
    assert_eq!(talk.sleep(), Timer::Connect);
    assert_eq!(talk.take_events(), []);
}

/// Replies to a connect that do not say that it went well.
#[rstest]
#[case::without_id(json!({"id": null}))]
#[case::foreign_id(json!({"id": "999"}))]
#[case::id_no_text(json!({"id": {}}))]
#[case::without_successful(json!({"successful": null}))]
#[case::successful_no_boolean(json!({"successful": "true"}))]
#[case::failed(json!({"successful": false}))]
#[case::failed_with_an_odd_error(json!({"successful": false, "error": 402}))]
#[case::failed_with_words_alone(json!({"successful": false, "error": "Unknown client"}))]
#[case::failed_with_odd_advice(json!({"successful": false, "advice": {"reconnect": 5, "interval": "x", "timeout": []}}))]
#[case::another_channel(json!({"channel": "/meta/foo"}))]
#[case::channel_no_text(json!({"channel": 5}))]
#[case::no_channel(json!({"channel": null}))]
#[case::the_channel_of_another_reply(json!({"channel": "/meta/subscribe"}))]
fn a_connect_reply_that_says_nothing_good_is_a_loss(
    #[case] changes: Value,
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let connect = talk.sent("/meta/connect");
    let mut reply = ok("/meta/connect", &connect.1);
    for (name, value) in changes.as_object().unwrap() {
        reply[name.as_str()] = value.clone();
    }
    talk.answer(&connect, &[reply]);
    let connect = wait_for(&mut talk, "/meta/connect");
    let lost: Vec<Event> =
        talk.take_events().into_iter().filter(|event| !matches!(event, Event::Violated(_))).collect();
    assert_eq!(lost, [Event::ConnectionLost]);
    assert_eq!(connect.1.client_id(), Some(&ClientId::new("c1")));
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(talk.take_events(), [Event::Connected { new_session: false }]);
}

/// Members that are wrong in a good connect reply and do not matter.
#[rstest]
#[case(json!({"advice": 5}))]
#[case(json!({"advice": {"interval": "0", "timeout": "x", "maxInterval": {}, "reconnect": null}}))]
#[case(json!({"advice": {"interval": 1e300, "timeout": 1e300}}))]
#[case(json!({"advice": {"timeout": -1, "maxInterval": -1}}))]
#[case(json!({"advice": {"long-polling": 5, "websocket": [], "callback-polling": null}}))]
#[case(json!({"clientId": 5}))]
#[case(json!({"clientId": "another"}))]
#[case(json!({"error": ""}))]
#[case(json!({"error": {}}))]
#[case(json!({"ext": 5}))]
#[case(json!({"ext": {"ack": {}, "timesync": 5}}))]
#[case(json!({"timestamp": []}))]
#[case(json!({"data": {"a": 1}}))]
#[case(json!({"foo": "bar"}))]
fn what_is_odd_beside_a_good_reply_does_not_matter(
    #[case] changes: Value,
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let extensions = Extensions { ack: true, timestamp: true, timesync: true };
    let mut talk = Talk::connected_with(Config { extensions, ..Config::new("/cometd", &[transport]) });
    let connect = talk.sent("/meta/connect");
    let mut reply = ok("/meta/connect", &connect.1);
    for (name, value) in changes.as_object().unwrap() {
        reply[name.as_str()] = value.clone();
    }
    talk.answer(&connect, &[reply]);
    assert_eq!(talk.sleep(), Timer::Connect);
    assert!(talk.take_events().iter().all(|event| matches!(event, Event::Violated(_))));
    assert_eq!(talk.sent("/meta/connect").1.client_id(), Some(&ClientId::new("c1")));
}

#[rstest]
#[case(json!({"clientId": null}))]
#[case(json!({"clientId": 5}))]
#[case(json!({"successful": null}))]
#[case(json!({"successful": "true"}))]
#[case(json!({"successful": false}))]
fn a_handshake_reply_without_what_it_needs_is_a_failure(
    #[case] changes: Value,
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::new(&[transport]);
    talk.accept_upgrade();
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    for (name, value) in changes.as_object().unwrap() {
        reply[name.as_str()] = value.clone();
    }
    talk.answer(&handshake, &[reply]);
    assert!(talk.take_events().contains(&Event::HandshakeFailed));
    assert!(!talk.has_sent("/meta/connect"));
    let handshake = wait_for(&mut talk, "/meta/handshake");
    talk.answer(&handshake, &[handshake_reply(&handshake.1, "c1")]);
    assert!(talk.has_sent("/meta/connect"));
}

#[rstest]
#[case(json!({"version": null}))]
#[case(json!({"version": 1}))]
#[case(json!({"version": "one"}))]
#[case(json!({"supportedConnectionTypes": null}))]
#[case(json!({"supportedConnectionTypes": "websocket"}))]
#[case(json!({"minimumVersion": null, "authSuccessful": true}))]
fn a_handshake_reply_may_lack_what_the_client_can_do_without(#[case] changes: Value) {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    for (name, value) in changes.as_object().unwrap() {
        reply[name.as_str()] = value.clone();
    }
    talk.answer(&handshake, &[reply]);
    assert_eq!(talk.sent("/meta/connect").1.client_id(), Some(&ClientId::new("c1")));
}

#[rstest]
fn what_comes_for_a_client_that_has_left_is_ignored(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let connect = talk.sent("/meta/connect");
    talk.client.disconnect(talk.now);
    talk.drain();
    let disconnect = talk.sent("/meta/disconnect");
    talk.answer(&disconnect, &[ok("/meta/disconnect", &disconnect.1)]);
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(talk.take_events(), [Event::Closed(Closed::Disconnected)]);
    talk.wires.clear();
    let unsolicited = json!({"channel": "/meta/connect", "successful": true, "advice": {"reconnect": "retry"}});
    talk.answer(&connect, &[unsolicited, ok("/meta/connect", &connect.1), json!({"channel": "/a", "data": 1})]);
    assert_eq!((talk.take_events(), talk.wires.len(), talk.client.deadline()), (vec![], 0, None));
}

proptest! {
    #[test]
    fn any_answer_leaves_one_connect_out_or_due(
        bodies in prop::collection::vec(
            prop_oneof![
                r#"[\[\]{}",:a0\\ ]{0,40}"#.prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..40),
                prop::sample::select(vec![
                    r#"[{"channel":"/meta/connect","successful":true}]"#,
                    r#"[{"channel":"/meta/disconnect","id":"7"}]"#,
                    r#"[{"channel":"/meta/handshake","successful":true,"clientId":"c9"}]"#,
                    r#"[{"channel":"/meta/connect","id":"3","successful":false,"error":"402::x"}]"#,
                    r#"[{"channel":"/a","id":"3","successful":true,"advice":{"reconnect":"none"}}]"#,
                ]).prop_map(|text| text.as_bytes().to_vec()),
            ],
            1..12,
        ),
        transport in prop::sample::select(Transport::ALL.to_vec()),
    ) {
        let mut talk = Talk::connected(transport);
        for body in bodies {
            let carriers: Vec<Wire> = std::mem::take(&mut talk.wires);
            for carrier in carriers {
                if matches!(carrier, Wire::Request(..) | Wire::Text(..)) {
                    feed_bytes(&mut talk, &carrier, 200, &body);
                }
            }
            talk.accept_upgrade();
            prop_assert!(talk.client.outstanding_connects() <= 1);
            if talk.client.is_closed() {
                break;
            }
            prop_assert!(talk.client.deadline().is_some());
            talk.sleep();
        }
    }
}
