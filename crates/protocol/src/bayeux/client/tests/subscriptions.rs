//! Subscriptions (Bayeux 4.5 and 4.6).

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;

fn subscribe(talk: &mut Talk, to: &str) {
    talk.client.subscribe(talk.now, to).unwrap();
    talk.drain();
}

fn unsubscribe(talk: &mut Talk, from: &str) {
    talk.client.unsubscribe(talk.now, from).unwrap();
    talk.drain();
}

fn answer_ok(talk: &mut Talk, channel: &str) {
    let sent = talk.sent(channel);
    talk.answer(&sent, &[ok(channel, &sent.1)]);
}

fn subscribed(to: &str) -> Event {
    Event::Subscribed(to.to_owned())
}

#[rstest]
fn asks_the_server_once_and_tells_when_it_has_granted(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    subscribe(&mut talk, "/a/*");
    let sent = talk.sent("/meta/subscribe");
    assert_eq!(sent.1.value("subscription"), Some(json!("/a/*")));
    assert_eq!(sent.1.client_id(), Some(&ClientId::new("c1")));
    subscribe(&mut talk, "/a/*");
    assert_eq!(talk.take_events(), []);
    talk.answer(&sent, &[ok("/meta/subscribe", &sent.1)]);
    assert_eq!(talk.take_events(), [subscribed("/a/*")]);
    subscribe(&mut talk, "/a/*");
    assert_eq!(talk.take_events(), [subscribed("/a/*")]);
    assert!(!talk.has_sent("/meta/subscribe"));
}

#[test]
fn only_the_last_unsubscribe_reaches_the_server() {
    let mut talk = Talk::connected(Transport::WebSocket);
    subscribe(&mut talk, "/a");
    subscribe(&mut talk, "/a");
    answer_ok(&mut talk, "/meta/subscribe");
    talk.take_events();
    unsubscribe(&mut talk, "/a");
    assert!(!talk.has_sent("/meta/unsubscribe"));
    assert_eq!(talk.take_events(), [Event::Unsubscribed("/a".to_owned(), Outcome::Acknowledged)]);
    unsubscribe(&mut talk, "/a");
    let sent = talk.sent("/meta/unsubscribe");
    assert_eq!(sent.1.value("subscription"), Some(json!("/a")));
    let event = json!({"channel": "/a", "data": 1});
    talk.answer(&sent, &[event, ok("/meta/unsubscribe", &sent.1)]);
    let events = talk.take_events();
    assert!(matches!(&events[0], Event::Delivered(_)));
    assert_eq!(events[1..], [Event::Unsubscribed("/a".to_owned(), Outcome::Acknowledged)]);
    assert_eq!(talk.client.unsubscribe(talk.now, "/a"), Err(Misuse::NotSubscribed));
}

#[test]
fn a_refused_subscription_is_dropped_and_told() {
    let mut talk = Talk::connected(Transport::LongPolling);
    subscribe(&mut talk, "/a");
    let sent = talk.sent("/meta/subscribe");
    let mut reply = ok("/meta/subscribe", &sent.1);
    reply["successful"] = json!(false);
    reply["error"] = json!("403:denied:subscribe_denied");
    talk.answer(&sent, &[reply]);
    assert_eq!(talk.take_events(), [Event::SubscribeRefused("/a".to_owned(), Some(403))]);
    assert_eq!(talk.client.subscriptions_of("/a"), Vec::<String>::new());
}

#[test]
fn a_refused_unsubscribe_is_told() {
    let mut talk = Talk::connected(Transport::LongPolling);
    subscribe(&mut talk, "/a");
    answer_ok(&mut talk, "/meta/subscribe");
    unsubscribe(&mut talk, "/a");
    talk.take_events();
    let sent = talk.sent("/meta/unsubscribe");
    let mut reply = ok("/meta/unsubscribe", &sent.1);
    reply["successful"] = json!(false);
    reply["error"] = json!("400::channel_missing");
    talk.answer(&sent, &[reply]);
    assert_eq!(talk.take_events(), [Event::Unsubscribed("/a".to_owned(), Outcome::Refused(Some(400)))]);
}

#[test]
fn subscribes_anew_in_a_new_session_before_it_connects() {
    let mut talk = Talk::connected(Transport::WebSocket);
    for channel in ["/b", "/a"] {
        subscribe(&mut talk, channel);
        answer_ok(&mut talk, "/meta/subscribe");
    }
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[unknown_client(&connect.1)]);
    talk.sleep();
    talk.shake_hands("c2");
    let order: Vec<String> =
        talk.wires.iter().flat_map(Batch::carried).filter_map(|message| message.channel().map(str::to_owned)).collect();
    assert_eq!(order, ["/meta/subscribe", "/meta/subscribe", "/meta/connect"]);
    talk.take_events();
    for channel in ["/a", "/b"] {
        let sent = talk.sent("/meta/subscribe");
        assert_eq!(sent.1.client_id(), Some(&ClientId::new("c2")));
        talk.answer(&sent, &[ok("/meta/subscribe", &sent.1)]);
        assert_eq!(talk.take_events(), [subscribed(channel)]);
    }
}

#[test]
fn repeats_a_subscribe_that_was_lost_once_the_connection_stands_again() {
    let mut talk = Talk::connected(Transport::WebSocket);
    subscribe(&mut talk, "/a");
    let (carrier, _) = talk.sent("/meta/subscribe");
    talk.sent("/meta/connect");
    talk.feed(Wire::Lost(carrier.socket().unwrap(), Failure::Reset));
    talk.sleep();
    talk.accept_upgrade();
    assert!(!talk.has_sent("/meta/subscribe"));
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    answer_ok(&mut talk, "/meta/subscribe");
    assert_eq!(talk.take_events().last(), Some(&subscribed("/a")));
}

#[test]
fn a_subscribe_that_meets_an_unknown_session_is_made_in_the_next_one() {
    let mut talk = Talk::connected(Transport::LongPolling);
    subscribe(&mut talk, "/a");
    let sent = talk.sent("/meta/subscribe");
    let mut reply = ok("/meta/subscribe", &sent.1);
    reply["successful"] = json!(false);
    reply["error"] = json!("402::session_unknown");
    talk.answer(&sent, &[reply]);
    assert_eq!(talk.take_events(), [Event::SessionLost]);
    talk.sleep();
    talk.shake_hands("c2");
    assert_eq!(talk.sent("/meta/subscribe").1.client_id(), Some(&ClientId::new("c2")));
}

#[test]
fn what_is_subscribed_to_before_the_handshake_is_through_waits_for_it() {
    let mut talk = Talk::new(&[Transport::LongPolling]);
    subscribe(&mut talk, "/a");
    let (carrier, _) = talk.sent("/meta/handshake");
    assert_eq!(Batch::carried(&carrier).len(), 1);
    assert!(!talk.has_sent("/meta/subscribe"));
    let Wire::Request(exchange, request) = &carrier else { panic!("no request") };
    let handshake = Batch::parse(&request.body, &Limits::default()).unwrap().messages.remove(0);
    talk.feed(response(*exchange, 200, &json!([handshake_reply(&handshake, "c1")]).to_string()));
    answer_ok(&mut talk, "/meta/subscribe");
    assert_eq!(talk.take_events(), [subscribed("/a")]);
}

#[rstest]
#[case("/meta/connect", Misuse::MetaChannel)]
#[case("/meta", Misuse::MetaChannel)]
#[case("/a//b", Misuse::NoChannel)]
#[case("/a/", Misuse::NoChannel)]
#[case("a", Misuse::NoChannel)]
#[case("/", Misuse::NoChannel)]
#[case("", Misuse::NoChannel)]
#[case("/a/*/b", Misuse::NoChannel)]
#[case("/a/***", Misuse::NoChannel)]
#[case("/a<b", Misuse::NoChannel)]
#[case("/é", Misuse::NoChannel)]
#[case("/a%20b", Misuse::NoChannel)]
fn refuses_what_is_no_channel(#[case] name: &str, #[case] misuse: Misuse) {
    let mut talk = Talk::connected(Transport::WebSocket);
    assert_eq!(talk.client.subscribe(talk.now, name), Err(misuse));
    assert_eq!(talk.client.publish(talk.now, name, json!(1)), Err(misuse));
}

#[rstest]
#[case("/a/*")]
#[case("/**")]
fn a_pattern_is_not_published_to(#[case] pattern: &str) {
    let mut talk = Talk::connected(Transport::WebSocket);
    assert_eq!(talk.client.publish(talk.now, pattern, json!(1)), Err(Misuse::NoChannel));
    assert_eq!(talk.client.subscribe(talk.now, pattern), Ok(()));
}

#[rstest]
#[case("/a/b", &["/a/b", "/a/*", "/a/**", "/**"])]
#[case("/a", &["/**"])]
#[case("/a/b/c", &["/a/**", "/**"])]
#[case("/A/b", &["/**"])]
fn names_the_subscriptions_that_an_event_is_for(#[case] channel: &str, #[case] subscriptions: &[&str]) {
    let mut talk = Talk::connected(Transport::WebSocket);
    for to in ["/**", "/a/**", "/a/*", "/a/b", "/b"] {
        subscribe(&mut talk, to);
    }
    assert_eq!(talk.client.subscriptions_of(channel), subscriptions);
}
