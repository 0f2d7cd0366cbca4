//! The client machine against hand-written answers, on every transport.

mod advice;
mod callback;
mod extensions;
mod malformed;
mod rows;
mod subscriptions;

use pretty_assertions::assert_eq;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::bayeux::batch::Batch;
use crate::bayeux::http;
use crate::wire::{Close, Exchange, Failure, Headers, Response};

/// A client and whoever answers it by hand.
struct Talk {
    client: Client,
    now: Time,
    wires: Vec<Wire>,
    events: Vec<Event>,
}

impl Talk {
    fn new(transports: &[Transport]) -> Self {
        Self::with(Config::new("/cometd", transports))
    }

    fn with(config: Config) -> Self {
        Self::of(Client::new(config))
    }

    fn of(client: Client) -> Self {
        let mut talk = Self { client, now: Time::ZERO, wires: Vec::new(), events: Vec::new() };
        talk.client.start(talk.now).unwrap();
        talk.drain();
        talk
    }

    /// A client that is connected and whose second connect is out.
    fn connected(transport: Transport) -> Self {
        Self::connected_with(Config::new("/cometd", &[transport]))
    }

    fn connected_with(config: Config) -> Self {
        let mut talk = Self::with(config);
        talk.accept_upgrade();
        talk.shake_hands("c1");
        talk.connect_again();
        assert_eq!(talk.take_events(), [Event::Connected { new_session: true }]);
        talk
    }

    /// Answers the handshake.
    fn shake_hands(&mut self, client_id: &str) {
        let handshake = self.sent("/meta/handshake");
        self.answer(&handshake, &[handshake_reply(&handshake.1, client_id)]);
    }

    /// Answers the connect and waits for the next one.
    fn connect_again(&mut self) {
        let connect = self.sent("/meta/connect");
        self.answer(&connect, &[ok("/meta/connect", &connect.1)]);
        assert_eq!(self.sleep(), Timer::Connect);
    }

    /// Whether something on a channel was sent and is not answered.
    fn has_sent(&self, channel: &str) -> bool {
        self.wires.iter().flat_map(Batch::carried).any(|message| message.channel() == Some(channel))
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Wire(wire) => self.wires.push(wire),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn feed(&mut self, wire: Wire) {
        self.client.handle_input(self.now, Input::Wire(wire));
        self.drain();
    }

    /// Jumps to the next deadline.
    fn sleep(&mut self) -> Timer {
        let (at, timer) = self.client.deadline().expect("a deadline");
        self.now = self.now.max(at);
        self.client.handle_input(self.now, Input::Timeout);
        self.drain();
        timer
    }

    fn accept_upgrade(&mut self) {
        if let Some(position) = self.wires.iter().position(|wire| matches!(wire, Wire::Upgrade(..))) {
            let socket = self.wires.remove(position).socket().unwrap();
            self.feed(Wire::Upgraded(socket, Headers::new()));
        }
    }

    /// Takes the only message sent on a channel, with the carrier to answer on.
    fn sent(&mut self, channel: &str) -> (Wire, Message) {
        let holds = |wire: &Wire| Batch::carried(wire).iter().any(|message| message.channel() == Some(channel));
        let position = self.wires.iter().position(holds).unwrap_or_else(|| panic!("nothing sent on {channel}"));
        let wire = self.wires.remove(position);
        let message = Batch::carried(&wire).into_iter().find(|message| message.channel() == Some(channel)).unwrap();
        (wire, message)
    }

    fn answer(&mut self, sent: &(Wire, Message), values: &[Value]) {
        self.answer_text(&sent.0, &json!(values).to_string());
    }

    fn answer_text(&mut self, carrier: &Wire, text: &str) {
        match carrier {
            Wire::Request(exchange, request) if request.method == "GET" => {
                let callback = http::query_values(&request.target, http::CALLBACK_PARAMETER).remove(0);
                self.feed(response(*exchange, 200, &format!("/**/{callback}({text});")));
            }
            Wire::Request(exchange, _) => self.feed(response(*exchange, 200, text)),
            Wire::Text(socket, _) => self.feed(Wire::Text(*socket, text.to_owned())),
            other => panic!("{other:?} carries no messages"),
        }
    }

    fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

fn response(exchange: Exchange, status: u16, body: &str) -> Wire {
    Wire::Response(exchange, Response { status, headers: Headers::new(), body: body.as_bytes().to_vec() })
}

fn ok(channel: &str, request: &Message) -> Value {
    json!({"channel": channel, "id": request.id().unwrap().as_str(), "successful": true})
}

fn handshake_reply(request: &Message, client_id: &str) -> Value {
    json!({"channel": "/meta/handshake", "id": request.id().unwrap().as_str(), "successful": true, "version": "1.0",
        "clientId": client_id, "supportedConnectionTypes": ["websocket", "long-polling", "callback-polling"],
        "advice": {"reconnect": "retry", "interval": 0, "timeout": 30000}})
}

fn unknown_client(request: &Message) -> Value {
    json!({"channel": request.channel(), "id": request.id().unwrap().as_str(), "successful": false,
        "error": "402::whatever", "advice": {"reconnect": "handshake", "interval": 0}})
}

#[rstest]
fn asks_to_be_answered_at_once_first_and_lets_itself_be_held_then(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::new(&[transport]);
    talk.accept_upgrade();
    let handshake = talk.sent("/meta/handshake");
    assert_eq!(handshake.1.client_id(), None);
    talk.answer(&handshake, &[handshake_reply(&handshake.1, "c1")]);
    let first = talk.sent("/meta/connect");
    assert_eq!(first.1.value("advice"), Some(json!({"timeout": 0})));
    assert_eq!(first.1.value("connectionType"), Some(json!(transport.name())));
    talk.answer(&first, &[ok("/meta/connect", &first.1)]);
    assert_eq!(talk.sleep(), Timer::Connect);
    let second = talk.sent("/meta/connect");
    assert_eq!(second.1.value("advice"), None);
    assert!(second.1.id() != first.1.id());
}

#[rstest]
fn handshakes_anew_when_the_server_forgets_it(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[unknown_client(&connect.1)]);
    assert_eq!(talk.take_events(), [Event::SessionLost]);
    talk.sleep();
    let handshake = talk.sent("/meta/handshake");
    assert_eq!(handshake.1.client_id(), None);
    talk.answer(&handshake, &[handshake_reply(&handshake.1, "c2")]);
    assert_eq!(talk.sent("/meta/connect").1.client_id(), Some(&ClientId::new("c2")));
}

#[rstest]
fn handshakes_anew_when_a_publish_meets_an_unknown_session(
    #[values(Transport::LongPolling, Transport::WebSocket, Transport::CallbackPolling)] transport: Transport,
) {
    let mut talk = Talk::connected(transport);
    let id = talk.client.publish(talk.now, "/service/x", json!({})).unwrap();
    talk.drain();
    let publish = talk.sent("/service/x");
    let refusal = json!({"channel": "/service/x", "id": id.as_str(), "successful": false, "error": "402::x"});
    talk.answer(&publish, &[refusal]);
    assert_eq!(talk.take_events(), [Event::Published(id, Outcome::Refused(Some(402))), Event::SessionLost]);
    talk.sleep();
    talk.sent("/meta/handshake");
}

#[test]
fn backs_off_when_each_new_session_is_lost_again() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let mut connect = talk.sent("/meta/connect");
    let mut waits = Vec::new();
    for round in 0..4 {
        talk.answer(&connect, &[unknown_client(&connect.1)]);
        let lost_at = talk.now;
        talk.sleep();
        waits.push((talk.now - lost_at).as_secs());
        let handshake = talk.sent("/meta/handshake");
        talk.answer(&handshake, &[handshake_reply(&handshake.1, &format!("c{round}"))]);
        connect = talk.sent("/meta/connect");
    }
    assert_eq!(waits, [0, 1, 2, 3]);
}

#[test]
fn retries_a_broken_connect_with_growing_waits_and_the_same_client_id() {
    let mut talk = Talk::connected(Transport::LongPolling);
    let mut waits = Vec::new();
    for _ in 0..3 {
        let (carrier, connect) = talk.sent("/meta/connect");
        assert_eq!(connect.client_id(), Some(&ClientId::new("c1")));
        talk.feed(Wire::Broken(carrier.exchange().unwrap(), Failure::Reset));
        let broken_at = talk.now;
        talk.sleep();
        waits.push((talk.now - broken_at).as_secs());
    }
    assert_eq!(waits, [1, 2, 3]);
    assert_eq!(talk.take_events(), [Event::ConnectionLost]);
    let connect = talk.sent("/meta/connect");
    assert_eq!(connect.1.value("advice"), Some(json!({"timeout": 0})));
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    assert_eq!(talk.take_events(), [Event::Connected { new_session: false }]);
}

#[test]
fn opens_a_new_socket_for_the_same_session() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let (carrier, _) = talk.sent("/meta/connect");
    talk.feed(Wire::Lost(carrier.socket().unwrap(), Failure::Reset));
    talk.sleep();
    talk.accept_upgrade();
    let (again, connect) = talk.sent("/meta/connect");
    assert_eq!(connect.client_id(), Some(&ClientId::new("c1")));
    assert!(again.socket() != carrier.socket());
}

#[rstest]
#[case(json!({"reconnect": "none"}))]
#[case(json!({"reconnect": "later"}))]
#[case(json!({"interval": -1}))]
fn stays_away_when_told_so(#[case] advice: Value) {
    let mut talk = Talk::connected(Transport::WebSocket);
    let connect = talk.sent("/meta/connect");
    let mut reply = ok("/meta/connect", &connect.1);
    reply["advice"] = advice;
    talk.answer(&connect, &[reply]);
    assert_eq!(talk.take_events(), [Event::Closed(Closed::Advised)]);
    assert_eq!(talk.client.deadline(), None);
}

#[test]
fn waits_for_the_advised_interval_and_forgets_it_with_the_next_advice() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let mut waits = Vec::new();
    for advice in [json!({"interval": 1500}), json!({"timeout": 100})] {
        let connect = talk.sent("/meta/connect");
        let mut reply = ok("/meta/connect", &connect.1);
        reply["advice"] = advice;
        talk.answer(&connect, &[reply]);
        let answered_at = talk.now;
        talk.sleep();
        waits.push((talk.now - answered_at).as_millis());
    }
    assert_eq!(waits, [1500, 0]);
}

#[rstest]
#[case(&[("id", json!("999"))])]
#[case(&[("id", Value::Null)])]
fn survives_a_connect_reply_with_a_foreign_id(#[case] changes: &[(&str, Value)]) {
    let mut talk = Talk::connected(Transport::LongPolling);
    let connect = talk.sent("/meta/connect");
    let mut reply = ok("/meta/connect", &connect.1);
    for (name, value) in changes {
        reply[*name] = value.clone();
    }
    talk.answer(&connect, &[reply]);
    assert_eq!(talk.take_events(), [Event::ConnectionLost]);
    talk.sleep();
    talk.sent("/meta/connect");
}

#[test]
fn gives_up_a_connect_that_is_never_answered_after_hold_and_network_delay() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let (carrier, _) = talk.sent("/meta/connect");
    let sent_at = talk.now;
    assert_eq!(talk.sleep(), Timer::Reply);
    assert_eq!((talk.now - sent_at).as_secs(), 40);
    let close = Close { code: 1000, reason: "Message Timeout".to_owned() };
    assert_eq!(talk.wires, [Wire::Close(carrier.socket().unwrap(), close)]);
    assert_eq!(talk.take_events(), [Event::ConnectionLost]);
}

#[test]
fn falls_back_to_long_polling_when_the_first_upgrade_is_refused() {
    let mut talk = Talk::new(&[Transport::WebSocket, Transport::LongPolling]);
    let socket = talk.wires.remove(0).socket().unwrap();
    let refusal = Response { status: 404, headers: Headers::new(), body: Vec::new() };
    talk.feed(Wire::Refused(socket, refusal));
    let (carrier, _) = talk.sent("/meta/handshake");
    assert!(carrier.exchange().is_some());
}

#[test]
fn keeps_publishes_in_order_on_one_exchange_at_a_time() {
    let mut talk = Talk::connected(Transport::LongPolling);
    for number in 1..=3 {
        talk.client.publish(talk.now, "/service/x", json!({"n": number})).unwrap();
    }
    talk.drain();
    let first = talk.sent("/service/x");
    assert!(!talk.has_sent("/service/x"));
    talk.answer(&first, &[ok("/service/x", &first.1)]);
    let (carrier, _) = talk.sent("/service/x");
    let numbers: Vec<_> =
        Batch::carried(&carrier).iter().filter_map(|m| m.value("data")).map(|data| data["n"].clone()).collect();
    assert_eq!(numbers, [json!(2), json!(3)]);
}

#[test]
fn tells_that_the_outcome_of_a_lost_publish_is_unknown() {
    let mut talk = Talk::connected(Transport::LongPolling);
    let id = talk.client.publish(talk.now, "/service/x", json!({})).unwrap();
    talk.drain();
    let (carrier, _) = talk.sent("/service/x");
    talk.feed(response(carrier.exchange().unwrap(), 500, "<html>"));
    assert_eq!(talk.take_events(), [Event::Published(id, Outcome::Unknown(Loss::Status(500)))]);
}

#[rstest]
fn leaves_once_disconnect_and_connect_are_answered_in_either_order(#[values(true, false)] connect_first: bool) {
    let mut talk = Talk::connected(Transport::WebSocket);
    let connect = talk.sent("/meta/connect");
    talk.client.disconnect(talk.now);
    talk.drain();
    let disconnect = talk.sent("/meta/disconnect");
    let mut released = ok("/meta/connect", &connect.1);
    released["advice"] = json!({"reconnect": "none"});
    let mut answers = [(&connect, released), (&disconnect, ok("/meta/disconnect", &disconnect.1))];
    if !connect_first {
        answers.reverse();
    }
    for (carrier, answer) in answers {
        assert_eq!(talk.take_events(), []);
        talk.answer(carrier, &[answer]);
    }
    assert_eq!(talk.take_events(), [Event::Closed(Closed::Disconnected)]);
    let close = Close { code: 1000, reason: "Disconnect".to_owned() };
    assert_eq!(talk.wires, [Wire::Close(connect.0.socket().unwrap(), close)]);
    assert_eq!(talk.client.deadline(), None);
}

#[test]
fn notices_that_the_socket_is_lost_between_two_connects() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[ok("/meta/connect", &connect.1)]);
    talk.feed(Wire::Lost(connect.0.socket().unwrap(), Failure::Reset));
    assert_eq!(talk.take_events(), [Event::ConnectionLost]);
    assert_eq!(talk.sleep(), Timer::Connect);
    talk.accept_upgrade();
    assert_eq!(talk.sent("/meta/connect").1.value("advice"), Some(json!({"timeout": 0})));
}

#[test]
fn takes_back_what_has_not_left_when_it_leaves() {
    let mut talk = Talk::connected(Transport::LongPolling);
    talk.client.publish(talk.now, "/service/x", json!({})).unwrap();
    let queued = talk.client.publish(talk.now, "/service/x", json!({})).unwrap();
    talk.client.disconnect(talk.now);
    talk.drain();
    assert_eq!(talk.take_events(), [Event::Published(queued, Outcome::Unknown(Loss::NotSent))]);
    let sent = talk.sent("/service/x");
    talk.answer(&sent, &[ok("/service/x", &sent.1)]);
    let (carrier, _) = talk.sent("/meta/disconnect");
    assert_eq!(Batch::carried(&carrier).len(), 1);
}

#[test]
fn drops_a_response_that_comes_after_it_gave_up_waiting() {
    let mut talk = Talk::connected(Transport::LongPolling);
    let connect = talk.sent("/meta/connect");
    talk.sleep();
    talk.take_events();
    let event = json!({"channel": "/service/x", "data": {}});
    talk.answer(&connect, &[event, ok("/meta/connect", &connect.1)]);
    assert_eq!(talk.take_events(), []);
}

#[test]
fn stops_when_the_server_disconnects_it() {
    let mut talk = Talk::connected(Transport::WebSocket);
    let connect = talk.sent("/meta/connect");
    talk.answer(&connect, &[json!({"channel": "/meta/disconnect", "successful": true})]);
    assert_eq!(talk.take_events(), [Event::Closed(Closed::ByServer)]);
}
