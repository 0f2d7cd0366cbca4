//! What advice makes the client do (Bayeux 3.6).

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;

fn advised(talk: &mut Talk, advice: Value) {
    let connect = talk.sent("/meta/connect");
    let mut reply = ok("/meta/connect", &connect.1);
    reply["advice"] = advice;
    talk.answer(&connect, &[reply]);
}

/// How long it is to the next thing, in milliseconds.
fn wait(talk: &mut Talk) -> u128 {
    let before = talk.now;
    talk.sleep();
    (talk.now - before).as_millis()
}

#[rstest]
#[case(Transport::LongPolling, 700)]
#[case(Transport::WebSocket, 100)]
fn advice_for_the_transport_goes_before_the_rest(#[case] transport: Transport, #[case] interval: u128) {
    let mut talk = Talk::connected(transport);
    advised(&mut talk, json!({"interval": 100, "long-polling": {"interval": 700}}));
    assert_eq!(wait(&mut talk), interval);
}

#[test]
fn advice_is_read_anew_for_the_transport_that_the_handshake_chose() {
    let mut talk = Talk::new(&[Transport::LongPolling, Transport::CallbackPolling]);
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c1");
    reply["supportedConnectionTypes"] = json!(["callback-polling"]);
    reply["advice"] = json!({"interval": 100, "callback-polling": {"interval": 900}});
    talk.answer(&handshake, &[reply]);
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(wait(&mut talk), 900);
}

#[test]
fn polls_plainly_when_told_so() {
    let mut talk = Talk::connected(Transport::LongPolling);
    advised(&mut talk, json!({"multiple-clients": true, "interval": 2_000, "timeout": 0, "reconnect": "retry"}));
    for _ in 0..3 {
        assert_eq!(wait(&mut talk), 2_000);
        let connect = talk.sent("/meta/connect");
        assert_eq!(talk.client.outstanding_connects(), 1);
        talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    }
}

#[test]
fn waits_for_a_connect_as_long_as_the_server_may_hold_it() {
    let mut talk = Talk::connected(Transport::LongPolling);
    advised(&mut talk, json!({"timeout": 5_000}));
    talk.sleep();
    assert_eq!(talk.client.deadline(), Some((talk.now + Duration::from_secs(15), Timer::Reply)));
}

#[rstest]
fn has_patience_with_a_server_that_holds_a_connect_that_asked_for_no_hold(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::new(&[transport]);
    talk.accept_upgrade();
    talk.shake_hands("c1");
    talk.sent("/meta/connect");
    assert_eq!((talk.sleep(), talk.now), (Timer::Reply, Time::from_millis(10_000)));
    talk.sleep();
    talk.accept_upgrade();
    let connect = talk.sent("/meta/connect");
    assert_eq!(talk.client.deadline(), Some((talk.now + Duration::from_secs(40), Timer::Reply)));
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(talk.take_events(), [Event::Connected { new_session: true }]);
}

#[rstest]
#[case(json!({"reconnect": "handshake"}))]
#[case(json!({"reconnect": "none"}))]
#[case(json!({"interval": 60_000}))]
fn advice_on_an_event_is_not_obeyed(
    #[case] advice: Value,
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let connect = talk.sent("/meta/connect");
    let event = json!({"channel": "/chat/a", "data": {}, "advice": advice});
    talk.answer(&connect, &[event, ok("/meta/connect", &connect.1)]);
    assert!(matches!(talk.take_events().as_slice(), [Event::Delivered(_)]));
    assert_eq!(wait(&mut talk), 0);
    assert!(talk.has_sent("/meta/connect"));
}

#[test]
fn advice_on_a_publish_reply_is_obeyed_with_the_next_connect() {
    let mut talk = Talk::connected(Transport::LongPolling);
    talk.client.publish(talk.now, "/a", json!(1)).unwrap();
    talk.drain();
    let publish = talk.sent("/a");
    let mut reply = ok("/a", &publish.1);
    reply["advice"] = json!({"interval": 700});
    talk.answer(&publish, &[reply]);
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(wait(&mut talk), 700);
}

#[test]
fn advice_in_a_reply_to_nothing_is_not_obeyed() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let connect = talk.sent("/meta/connect");
    let late = json!({"channel": "/meta/connect", "id": "999", "successful": true, "advice": {"reconnect": "none"}});
    talk.answer(&connect, &[late, ok("/meta/connect", &connect.1)]);
    assert_eq!(wait(&mut talk), 0);
    assert_eq!(talk.take_events(), []);
}

#[test]
fn handshakes_when_it_was_away_for_longer_than_the_server_keeps_a_session() {
    let mut talk = Talk::connected(Transport::LongPolling);
    advised(&mut talk, json!({"timeout": 2_000, "interval": 0, "maxInterval": 4_000}));
    talk.sleep();
    talk.take_events();
    let mut connects = 0;
    while talk.has_sent("/meta/connect") {
        let (carrier, _) = talk.sent("/meta/connect");
        connects += 1;
        talk.feed(Wire::Broken(carrier.exchange().unwrap(), Failure::Unreachable));
        talk.sleep();
    }
    // The retries come after 1, 2 and 3 seconds; the next one would come 10 seconds after the loss.
    assert_eq!((connects, talk.take_events()), (4, vec![Event::ConnectionLost, Event::SessionLost]));
    assert!(talk.has_sent("/meta/handshake"));
}

#[test]
fn without_max_interval_it_keeps_connecting() {
    let mut talk = Talk::connected(Transport::LongPolling);
    for _ in 0..50 {
        let (carrier, _) = talk.sent("/meta/connect");
        talk.feed(Wire::Broken(carrier.exchange().unwrap(), Failure::Unreachable));
        talk.sleep();
    }
    assert_eq!(talk.take_events(), [Event::ConnectionLost]);
}

#[test]
fn backs_off_up_to_the_limit_and_anew_after_a_good_connect() {
    let mut config = Config::new("/cometd", &[Transport::LongPolling]);
    config.max_backoff = Duration::from_secs(3);
    let mut talk = Talk::connected_with(config);
    talk.connect_again();
    let mut waits = Vec::new();
    for round in 0..7 {
        if round == 5 {
            talk.connect_again();
        }
        let (carrier, _) = talk.sent("/meta/connect");
        talk.feed(response(carrier.exchange().unwrap(), 500, ""));
        waits.push(wait(&mut talk) / 1_000);
    }
    assert_eq!(waits, [1, 2, 3, 3, 3, 1, 2]);
}

#[rstest]
#[case(json!({"reconnect": "handshake"}), true)]
#[case(json!({}), true)]
#[case(json!({"reconnect": "retry", "interval": 500}), true)]
#[case(json!({"reconnect": "none"}), false)]
#[case(json!({"reconnect": "later"}), false)]
#[case(json!({"interval": -1}), false)]
fn a_refused_handshake_is_repeated_unless_advice_forbids(#[case] advice: Value, #[case] again: bool) {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    let handshake = talk.sent("/meta/handshake");
    let id = handshake.1.id().unwrap().as_str();
    let reply =
        json!({"channel": "/meta/handshake", "id": id, "successful": false, "error": "403::x", "advice": advice});
    talk.answer(&handshake, &[reply]);
    if again {
        assert_eq!(talk.take_events(), [Event::HandshakeFailed]);
        assert_eq!(talk.sleep(), Timer::Handshake);
        assert!(talk.has_sent("/meta/handshake"));
    } else {
        assert_eq!(talk.take_events(), [Event::HandshakeFailed, Event::Closed(Closed::Advised)]);
        assert_eq!(talk.client.deadline(), None);
    }
}

#[test]
fn a_good_connect_that_advises_a_handshake_leads_to_one() {
    let mut talk = Talk::connected(Transport::WebSocket);
    advised(&mut talk, json!({"reconnect": "handshake", "interval": 300}));
    assert_eq!(talk.take_events(), [Event::SessionLost]);
    assert_eq!(wait(&mut talk), 300);
    assert!(talk.has_sent("/meta/handshake") && !talk.has_sent("/meta/connect"));
}

#[test]
fn hosts_are_not_followed() {
    let mut talk = Talk::connected(Transport::LongPolling);
    advised(&mut talk, json!({"reconnect": "handshake", "hosts": ["127.0.0.2:8080"]}));
    talk.sleep();
    let (carrier, _) = talk.sent("/meta/handshake");
    assert!(matches!(carrier, Wire::Request(_, request) if request.target == "/cometd/handshake"));
}

#[rstest]
fn advice_of_the_old_session_is_forgotten_with_it(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[unknown_client(&connect.1)]);
    talk.sleep();
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c2");
    reply.as_object_mut().unwrap().remove("advice");
    talk.answer(&handshake, &[reply]);
    talk.connect_again();
    assert_eq!(talk.take_events(), [Event::SessionLost, Event::Connected { new_session: true }]);
    assert_eq!(talk.sent("/meta/connect").1.client_id(), Some(&ClientId::new("c2")));
}

#[test]
fn a_late_connect_reply_of_the_old_session_does_not_stop_the_new_one() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let connect = talk.sent("/meta/connect");
    talk.client.publish(talk.now, "/a", json!(1)).unwrap();
    talk.drain();
    let publish = talk.sent("/a");
    let mut refusal = ok("/a", &publish.1);
    refusal["successful"] = json!(false);
    refusal["error"] = json!("402::x");
    talk.answer(&publish, &[refusal]);
    talk.sleep();
    let mut late = ok("/meta/connect", &connect.1);
    late["advice"] = json!({"reconnect": "none"});
    talk.answer(&connect, &[late]);
    let handshake = talk.sent("/meta/handshake");
    let mut reply = handshake_reply(&handshake.1, "c2");
    reply.as_object_mut().unwrap().remove("advice");
    talk.answer(&handshake, &[reply]);
    talk.connect_again();
    assert!(!talk.client.is_closed() && talk.has_sent("/meta/connect"));
}

#[test]
fn advice_to_handshake_counts_whatever_the_code_and_402_counts_without_advice() {
    for (error, advice) in [
        ("403::Unknown client", json!({"reconnect": "handshake"})),
        ("402::x", json!({})),
        ("402", json!({"reconnect": "handshake"})),
    ] {
        let mut talk = Talk::connected(Transport::LongPolling);
        let connect = talk.sent("/meta/connect");
        let mut reply = unknown_client(&connect.1);
        reply["error"] = json!(error);
        reply["advice"] = advice;
        talk.answer(&connect, &[reply]);
        assert_eq!(talk.take_events(), [Event::SessionLost], "{error}");
    }
}
