//! Callback-polling: the messages in the target, the answer a call.

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;

fn publish(talk: &mut Talk, size: usize) -> MessageId {
    let id = talk.client.publish(talk.now, "/service/x", json!("x".repeat(size))).unwrap();
    talk.drain();
    id
}

fn target(carrier: &Wire) -> &str {
    match carrier {
        Wire::Request(_, request) => &request.target,
        other => panic!("{other:?} has no target"),
    }
}

#[test]
fn asks_by_get_and_names_a_function() {
    let mut talk = Talk::new(&[Transport::CallbackPolling]);
    let (carrier, handshake) = talk.sent("/meta/handshake");
    assert_eq!(handshake.value("supportedConnectionTypes"), Some(json!(["callback-polling"])));
    assert!(target(&carrier).starts_with("/cometd/handshake?jsonp=_cometd_jsonp_0&message=%5B%7B"));
}

#[test]
fn splits_what_is_too_long_in_order_and_sends_one_request_after_the_other() {
    let mut talk = Talk::connected(Transport::CallbackPolling);
    let ids: Vec<MessageId> = (0..7).map(|_| publish(&mut talk, 500)).collect();
    let mut batches = Vec::new();
    while talk.has_sent("/service/x") {
        let sent = talk.sent("/service/x");
        assert!(target(&sent.0).len() <= 2_000);
        assert!(!talk.has_sent("/service/x"));
        let messages = Batch::carried(&sent.0);
        let replies: Vec<Value> = messages.iter().map(|message| ok("/service/x", message)).collect();
        batches.push(messages.len());
        talk.answer(&sent, &replies);
    }
    assert_eq!(batches, [1, 3, 3]);
    let published = ids.into_iter().map(|id| Event::Published(id, Outcome::Acknowledged)).collect::<Vec<_>>();
    assert_eq!(talk.take_events(), published);
}

#[test]
fn a_message_that_is_too_long_fails_here_and_the_others_go_on() {
    let mut talk = Talk::connected(Transport::CallbackPolling);
    let long = publish(&mut talk, 2_000);
    assert_eq!(talk.take_events(), [Event::Published(long, Outcome::Unknown(Loss::TooLong))]);
    assert!(!talk.has_sent("/service/x"));
    publish(&mut talk, 10);
    let (before, long, after) = (publish(&mut talk, 20), publish(&mut talk, 2_000), publish(&mut talk, 30));
    let first = talk.sent("/service/x");
    talk.answer(&first, &[ok("/service/x", &first.1)]);
    talk.take_events();
    let second = talk.sent("/service/x");
    assert_eq!(second.1.id(), Some(&before));
    talk.answer(&second, &[ok("/service/x", &second.1)]);
    let lost = Event::Published(long, Outcome::Unknown(Loss::TooLong));
    assert_eq!(talk.take_events(), [Event::Published(before, Outcome::Acknowledged), lost]);
    assert_eq!(talk.sent("/service/x").1.id(), Some(&after));
}

#[test]
fn a_handshake_that_does_not_fit_fails_and_backs_off() {
    let mut talk = Talk::with(Config { target_limit: 50, ..Config::new("/cometd", &[Transport::CallbackPolling]) });
    assert_eq!((talk.take_events(), talk.wires.len()), (vec![Event::HandshakeFailed], 0));
    assert_eq!(talk.sleep(), Timer::Handshake);
    assert_eq!(talk.now, Time::from_millis(1_000));
}

#[rstest]
#[case("cb", ["/**/", "(", ");"])]
#[case("cb", ["", "(", ")"])]
#[case("other", [" ", " ( ", " ) ; \n"])]
fn reads_a_call_of_any_form(#[case] name: &str, #[case] form: [&str; 3]) {
    let mut talk = Talk::connected(Transport::CallbackPolling);
    let (carrier, connect) = talk.sent("/meta/connect");
    let array = json!([{"channel": "/service/x", "data": "a) ("}, ok("/meta/connect", &connect)]);
    let body = format!("{}{name}{}{array}{}", form[0], form[1], form[2]);
    talk.feed(response(carrier.exchange().unwrap(), 200, &body));
    assert!(matches!(talk.take_events().as_slice(), [Event::Delivered(_)]));
    assert_eq!(talk.sleep(), Timer::Connect);
}

#[rstest]
#[case(&[Transport::WebSocket, Transport::LongPolling, Transport::CallbackPolling], Transport::LongPolling)]
#[case(&[Transport::WebSocket, Transport::CallbackPolling], Transport::CallbackPolling)]
#[case(&[Transport::LongPolling, Transport::WebSocket], Transport::LongPolling)]
fn a_refused_socket_makes_room_for_the_next_transport(#[case] transports: &[Transport], #[case] next: Transport) {
    let mut talk = Talk::new(transports);
    if transports[0] == Transport::WebSocket {
        let socket = talk.wires.remove(0).socket().unwrap();
        talk.feed(Wire::Lost(socket, Failure::Unreachable));
    }
    assert_eq!(talk.client.transport(), next);
    let handshake = talk.sent("/meta/handshake");
    let names: Vec<&str> = transports.iter().map(|transport| transport.name()).collect();
    assert_eq!(handshake.1.value("supportedConnectionTypes"), Some(json!(names)));
    assert_eq!(talk.take_events(), []);
}

#[test]
fn a_socket_that_was_open_once_is_asked_for_again_and_again() {
    let mut talk = Talk::connected_with(Config::new("/cometd", &Transport::ALL));
    let (carrier, _) = talk.sent("/meta/connect");
    talk.feed(Wire::Lost(carrier.socket().unwrap(), Failure::Reset));
    for _ in 0..3 {
        talk.sleep();
        let socket = talk.wires.remove(0).socket().unwrap();
        talk.feed(Wire::Lost(socket, Failure::Unreachable));
    }
    assert_eq!(talk.client.transport(), Transport::WebSocket);
}

#[test]
fn takes_the_transport_that_the_server_offers() {
    let mut talk = Talk::new(&[Transport::LongPolling, Transport::CallbackPolling]);
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["supportedConnectionTypes"] = json!(["carrier-pigeon", "callback-polling"]);
    talk.answer(&handshake, &[reply]);
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.value("connectionType"), Some(json!("callback-polling")));
    assert!(target(&connect.0).starts_with("/cometd/connect?jsonp="));
}
