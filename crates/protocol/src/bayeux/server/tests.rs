//! The server machine against wire inputs written by hand.

mod bounds;
mod broadcast;
mod extensions;
mod lazy;
mod leniency;
mod options;
mod properties;
mod rows;

use std::time::Duration;

use pretty_assertions::assert_eq;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::bayeux::dialect::Dialect;
use crate::wire::{Close, Failure, Headers, Request};

const BASE: &str = "/genesys/cometd";
const SERVICE: &str = "/service/chatV2/x";

/// A server with a list of what came out of it.
struct Bench {
    server: Server,
    now: Time,
    exchanges: u64,
    cookie: Option<String>,
    /// Header fields of every request, beside the cookie.
    headers: Vec<(String, String)>,
    events: Vec<Event>,
    wires: Vec<Wire>,
    /// What the layer above answers to each publish, at once.
    echo: bool,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::new(BASE))
    }

    fn with(settings: Settings) -> Self {
        Self {
            server: Server::new(settings, 7),
            now: Time::ZERO,
            exchanges: 0,
            cookie: None,
            headers: Vec::new(),
            events: Vec::new(),
            wires: Vec::new(),
            echo: false,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Wire(wire) => self.wires.push(wire),
                Output::Event(event) => {
                    if let (Event::Published(session, _), true) = (&event, self.echo) {
                        self.server.deliver(self.now, *session, SERVICE, event_data("own")).unwrap();
                    }
                    self.events.push(event);
                }
            }
        }
    }

    fn feed(&mut self, wire: Wire) -> Vec<Wire> {
        self.server.handle_input(self.now, Input::Wire(wire));
        self.drain();
        std::mem::take(&mut self.wires)
    }

    fn request(&mut self, method: &str, target: &str, body: &str) -> (Exchange, Vec<Wire>) {
        self.exchanges += 1;
        let exchange = Exchange(self.exchanges);
        let mut headers = Headers::new();
        if let Some(cookie) = &self.cookie {
            headers = headers.with("Cookie", &format!("BAYEUX_BROWSER={cookie}"));
        }
        headers.0.extend(self.headers.iter().cloned());
        let request =
            Request { method: method.to_owned(), target: target.to_owned(), headers, body: body.as_bytes().to_vec() };
        (exchange, self.feed(Wire::Request(exchange, request)))
    }

    /// Posts a body and gives the status and body of its own response.
    fn post_raw(&mut self, body: &str) -> (u16, String) {
        let (exchange, wires) = self.request("POST", &format!("{BASE}/"), body);
        let [Wire::Response(of, response)] = wires.as_slice() else { panic!("one response, not {wires:?}") };
        assert_eq!(*of, exchange);
        (response.status, String::from_utf8(response.body.clone()).unwrap())
    }

    fn post(&mut self, messages: Value) -> Value {
        let (status, body) = self.post_raw(&messages.to_string());
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }

    /// Handshakes over HTTP, keeps the cookie and gives the clientId.
    fn handshake(&mut self) -> String {
        let (_, wires) = self.request("POST", &format!("{BASE}/handshake"), HANDSHAKE);
        let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response") };
        if let Some(set) = response.headers.get("Set-Cookie") {
            let value = set.strip_prefix("BAYEUX_BROWSER=").unwrap().split(';').next().unwrap();
            self.cookie = Some(value.to_owned());
        }
        client_id(&response.body)
    }

    /// Handshakes and connects once over HTTP.
    fn connected(&mut self) -> String {
        let client = self.handshake();
        assert_eq!(self.post(json!([connect(&client, "2")]))[0]["successful"], true);
        client
    }

    /// Sends a connect that is to be held.
    fn hold(&mut self, client: &str, id: &str) -> Exchange {
        let (exchange, wires) = self.request("POST", BASE, &json!([connect(client, id)]).to_string());
        assert_eq!(wires, []);
        exchange
    }

    fn open(&mut self, socket: u64) -> Socket {
        let socket = Socket(socket);
        let request =
            Request { method: "GET".to_owned(), target: BASE.to_owned(), headers: Headers::new(), body: Vec::new() };
        assert_eq!(self.feed(Wire::Upgrade(socket, request)), [Wire::Upgraded(socket, Headers::new())]);
        socket
    }

    fn send(&mut self, socket: Socket, messages: &Value) -> Vec<Wire> {
        self.feed(Wire::Text(socket, messages.to_string()))
    }

    /// Opens a socket, handshakes and connects once.
    fn socket_connected(&mut self, socket: u64) -> (Socket, String) {
        let socket = self.open(socket);
        let wires = self.feed(Wire::Text(socket, HANDSHAKE.to_owned()));
        let [Wire::Text(_, reply)] = wires.as_slice() else { panic!("one frame") };
        let client = client_id(reply.as_bytes());
        assert_eq!(frames(&self.send(socket, &json!([connect(&client, "2")]))).len(), 1);
        (socket, client)
    }

    fn session(&self, client: &str) -> SessionId {
        self.server.session(&ClientId::new(client)).expect("a session")
    }

    fn deliver(&mut self, client: &str, text: &str) -> Vec<Wire> {
        let session = self.session(client);
        self.server.deliver(self.now, session, SERVICE, event_data(text)).unwrap();
        self.drain();
        std::mem::take(&mut self.wires)
    }

    fn wait(&mut self, millis: u64) -> Vec<Wire> {
        let end = self.now + Duration::from_millis(millis);
        while let Some((at, _)) = self.server.deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = end;
        std::mem::take(&mut self.wires)
    }
}

const HANDSHAKE: &str = r#"[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["websocket","long-polling"]}]"#;

fn connect(client: &str, id: &str) -> Value {
    json!({"channel": "/meta/connect", "id": id, "clientId": client, "connectionType": "long-polling"})
}

fn publish(client: &str, id: &str) -> Value {
    json!({"channel": SERVICE, "id": id, "clientId": client, "data": {"operation": "x"}})
}

fn event_data(text: &str) -> Box<RawValue> {
    RawValue::from_string(json!({ "text": text }).to_string()).unwrap()
}

fn event(text: &str) -> Value {
    json!({"channel": SERVICE, "data": {"text": text}})
}

fn client_id(body: &[u8]) -> String {
    let replies: Value = serde_json::from_slice(body).unwrap();
    replies[0]["clientId"].as_str().unwrap().to_owned()
}

fn frames(wires: &[Wire]) -> Vec<Value> {
    wires
        .iter()
        .map(|wire| match wire {
            Wire::Text(_, text) => serde_json::from_str(text).unwrap(),
            other => panic!("a frame, not {other:?}"),
        })
        .collect()
}

/// The exchange, status and messages of each response; `null` for a body that is no JSON.
fn responses(wires: &[Wire]) -> Vec<(Exchange, u16, Value)> {
    wires
        .iter()
        .map(|wire| match wire {
            Wire::Response(exchange, response) => {
                (*exchange, response.status, serde_json::from_slice(&response.body).unwrap_or_default())
            }
            other => panic!("a response, not {other:?}"),
        })
        .collect()
}

fn connect_ok(id: &str) -> Value {
    json!({"channel": "/meta/connect", "id": id, "successful": true})
}

fn ack(id: &str) -> Value {
    json!({"channel": SERVICE, "id": id, "successful": true})
}

const UNKNOWN: &str = "402::Unknown client";

// Handshake

#[test]
fn handshake_gives_a_client_id_the_types_and_advice() {
    let mut bench = Bench::new();
    let reply = bench.post(serde_json::from_str(HANDSHAKE).unwrap());
    let client = reply[0]["clientId"].as_str().unwrap();
    assert!(client.len() == 26 && client.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{client}");
    assert_eq!(
        reply,
        json!([{
            "channel": "/meta/handshake", "id": "1", "version": "1.0", "minimumVersion": "1.0", "successful": true,
            "clientId": client, "supportedConnectionTypes": ["websocket", "long-polling", "callback-polling"],
            "advice": {"interval": 0, "timeout": 30000, "reconnect": "retry"},
        }])
    );
    assert_eq!(bench.events, [Event::SessionOpened(SessionId(1), Transport::LongPolling)]);
}

#[test]
fn handshake_over_http_sets_the_browser_cookie_unless_the_request_has_one() {
    let mut bench = Bench::new();
    let set = |wires: &[Wire]| match wires {
        [Wire::Response(_, response)] => response.headers.get("set-cookie").map(str::to_owned),
        other => panic!("{other:?}"),
    };
    let (_, wires) = bench.request("POST", BASE, HANDSHAKE);
    let cookie = set(&wires).unwrap();
    assert!(cookie.starts_with("BAYEUX_BROWSER=") && cookie.ends_with("; Path=/; HttpOnly"), "{cookie}");
    bench.cookie = Some("mine".to_owned());
    let (_, wires) = bench.request("POST", BASE, HANDSHAKE);
    assert_eq!(set(&wires), None);
}

#[test]
fn handshake_ignores_a_client_id_and_makes_a_new_one() {
    let mut bench = Bench::new();
    let first = bench.handshake();
    let reply = bench.post(json!([{"channel": "/meta/handshake", "clientId": first, "version": "1.0"}]));
    assert_ne!(reply[0]["clientId"], first.as_str());
    assert_eq!(reply[0].get("id"), None, "no id was given, so none comes back");
}

#[test]
fn a_dialect_may_give_its_advice_with_the_first_connect_instead() {
    let mut settings = Settings::new(BASE);
    settings.dialect.handshake_advice = false;
    let mut bench = Bench::with(settings);
    let client = bench.handshake();
    let reply = bench.post(json!([connect(&client, "2")]));
    assert_eq!(reply[0]["advice"], json!({"interval": 0, "timeout": 30000, "reconnect": "retry"}));
}

// Connect

#[test]
fn first_connect_is_answered_at_once_and_the_next_one_held() {
    let mut bench = Bench::new();
    let client = bench.handshake();
    assert_eq!(bench.post(json!([connect(&client, "2")])), json!([connect_ok("2")]));
    let held = bench.hold(&client, "3");
    assert_eq!(bench.wait(29_999), []);
    assert_eq!(responses(&bench.wait(1)), [(held, 200, json!([connect_ok("3")]))]);
}

#[test]
fn an_event_releases_the_held_connect_ahead_of_its_reply() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let held = bench.hold(&client, "3");
    assert_eq!(responses(&bench.deliver(&client, "a")), [(held, 200, json!([event("a"), connect_ok("3")]))]);
}

#[test]
fn events_between_polls_wait_for_the_next_connect() {
    let mut bench = Bench::new();
    let client = bench.connected();
    assert_eq!(bench.deliver(&client, "a"), []);
    assert_eq!(bench.deliver(&client, "b"), []);
    assert_eq!(bench.post(json!([connect(&client, "3")])), json!([event("a"), event("b"), connect_ok("3")]));
}

#[rstest]
#[case(json!({"timeout": 0}), 0)]
#[case(json!({"timeout": 500}), 500)]
#[case(json!({"timeout": -1}), 30_000)]
fn connect_honours_the_timeout_that_the_client_asks_for(#[case] advice: Value, #[case] held: u64) {
    let mut bench = Bench::new();
    let client = bench.connected();
    let mut message = connect(&client, "3");
    message["advice"] = advice;
    let mut wires = bench.request("POST", BASE, &json!([message]).to_string()).1;
    if held > 0 {
        assert_eq!(wires, []);
        assert_eq!(bench.wait(held - 1), []);
        wires = bench.wait(1);
    }
    // A reply to advice carries full advice, with the server's own timeout (BX-ADV-09).
    let advice = json!({"interval": 0, "timeout": 30000, "reconnect": "retry"});
    assert_eq!(responses(&wires)[0].2[0]["advice"], advice);
}

#[test]
fn a_client_interval_is_given_back_and_lengthens_the_session() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let mut message = connect(&client, "3");
    message["advice"] = json!({"timeout": 0, "interval": 5000});
    assert_eq!(bench.post(json!([message]))[0]["advice"]["interval"], 5000);
    bench.wait(14_999);
    assert_eq!(bench.server.sessions().count(), 1);
    bench.wait(1);
    assert_eq!(bench.server.sessions().count(), 0);
}

#[test]
fn a_second_connect_over_http_fails_the_first_with_500() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let first = bench.hold(&client, "3");
    let (second, wires) = bench.request("POST", BASE, &json!([connect(&client, "4")]).to_string());
    assert_eq!(responses(&wires), [(first, 500, Value::Null)]);
    assert_eq!(responses(&bench.deliver(&client, "a")), [(second, 200, json!([event("a"), connect_ok("4")]))]);
}

#[test]
fn a_connect_among_other_messages_over_http_is_not_held() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let replies = bench.post(json!([connect(&client, "3"), publish(&client, "4")]));
    assert_eq!(replies, json!([connect_ok("3"), ack("4")]));
}

#[test]
fn a_second_session_of_the_browser_polls_instead_of_being_held() {
    let mut bench = Bench::new();
    let first = bench.connected();
    let second = bench.connected();
    bench.hold(&first, "3");
    assert_eq!(
        bench.post(json!([connect(&second, "3")]))[0]["advice"],
        json!({"interval": 2000, "timeout": 30000, "reconnect": "retry", "multiple-clients": true})
    );
    let leave = json!([{"channel": "/meta/disconnect", "id": "9", "clientId": first}]);
    assert_eq!(bench.request("POST", BASE, &leave.to_string()).1.len(), 2);
    bench.hold(&second, "4");
}

#[test]
fn a_long_poll_known_to_be_broken_no_longer_counts_against_its_browser() {
    let mut bench = Bench::new();
    let first = bench.connected();
    let second = bench.connected();
    let held = bench.hold(&first, "3");
    bench.feed(Wire::Broken(held, Failure::Reset));
    bench.hold(&second, "3");
}

// WebSocket

#[test]
fn on_a_socket_events_go_out_at_once_and_the_connect_stays_held() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    assert_eq!(bench.send(socket, &json!([connect(&client, "3")])), []);
    assert_eq!(frames(&bench.deliver(&client, "a")), [json!([event("a")])]);
    assert_eq!(frames(&bench.deliver(&client, "b")), [json!([event("b")])]);
    assert_eq!(frames(&bench.wait(30_000)), [json!([connect_ok("3")])]);
}

#[test]
fn on_a_socket_events_need_no_connect() {
    let mut bench = Bench::new();
    let socket = bench.open(1);
    let wires = bench.feed(Wire::Text(socket, HANDSHAKE.to_owned()));
    let client = client_id(frames(&wires)[0].to_string().as_bytes());
    assert_eq!(frames(&bench.deliver(&client, "a")), [json!([event("a")])]);
}

#[test]
fn a_second_connect_on_a_socket_silences_the_first() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    assert_eq!(bench.send(socket, &json!([connect(&client, "3")])), []);
    bench.wait(10_000);
    assert_eq!(bench.send(socket, &json!([connect(&client, "4")])), []);
    assert_eq!(frames(&bench.wait(30_000)), [json!([connect_ok("4")])]);
}

#[test]
fn a_session_moves_to_a_new_socket_and_the_old_one_is_cancelled() {
    let mut bench = Bench::new();
    let (old, client) = bench.socket_connected(1);
    assert_eq!(bench.send(old, &json!([connect(&client, "3")])), []);
    let new = bench.open(2);
    let close = Close { code: 1000, reason: "Cancel".to_owned() };
    assert_eq!(bench.send(new, &json!([connect(&client, "4")])), [Wire::Close(old, close)]);
    let wires = bench.deliver(&client, "a");
    assert!(matches!(wires.as_slice(), [Wire::Text(on, _)] if *on == new), "{wires:?}");
}

#[test]
fn a_socket_speaks_for_one_session() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    let (_, other) = bench.socket_connected(2);
    let replies = frames(&bench.send(socket, &json!([publish(&other, "5"), publish(&client, "6")])));
    assert_eq!(
        replies,
        [json!([
            {"channel": SERVICE, "id": "5", "error": UNKNOWN, "successful": false},
            ack("6"),
        ])]
    );
}

// What is lost with a connection (the 3.1.14 row of what was seen)

#[test]
fn the_first_event_after_a_held_connect_broke_is_lost_and_the_second_kept() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let held = bench.hold(&client, "3");
    assert_eq!(bench.feed(Wire::Broken(held, Failure::Reset)), []);
    let lost = responses(&bench.deliver(&client, "a"));
    assert_eq!(lost, [(held, 200, json!([event("a"), connect_ok("3")]))], "written to a dead exchange");
    bench.deliver(&client, "b");
    assert_eq!(bench.post(json!([connect(&client, "4")])), json!([event("b"), connect_ok("4")]));
}

#[rstest]
#[case(Wire::Lost(Socket(1), Failure::Reset))]
#[case(Wire::Close(Socket(1), Close { code: 1000, reason: String::new() }))]
fn events_after_a_socket_is_gone_are_lost(#[case] end: Wire) {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    bench.send(socket, &json!([connect(&client, "3")]));
    bench.feed(end);
    assert_eq!(bench.deliver(&client, "a"), []);
    assert_eq!(bench.deliver(&client, "b"), []);
    let socket = bench.open(2);
    let mut message = connect(&client, "4");
    message["advice"] = json!({"timeout": 0});
    let replies = frames(&bench.send(socket, &json!([message])));
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0][0]["successful"], true);
    assert_eq!(replies[0].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_session_outlives_its_socket_by_the_max_interval() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    bench.send(socket, &json!([connect(&client, "3")]));
    bench.feed(Wire::Lost(socket, Failure::Reset));
    bench.wait(9_999);
    assert!(bench.server.session(&ClientId::new(&client)).is_some());
    bench.wait(1);
    assert!(bench.server.session(&ClientId::new(&client)).is_none());
}

// Publish

#[test]
fn a_publish_is_acknowledged_without_data_and_told_to_the_layer_above() {
    let mut bench = Bench::new();
    let client = bench.connected();
    assert_eq!(bench.post(json!([publish(&client, "5")])), json!([ack("5")]));
    let Some(Event::Published(session, message)) = bench.events.last() else { panic!("published") };
    assert_eq!((*session, message.data().map(RawValue::get)), (SessionId(1), Some(r#"{"operation":"x"}"#)));
}

#[rstest]
#[case(json!("a-b"), json!("a-b"))]
#[case(json!(5), json!("5"))]
fn a_reply_gives_the_id_back(#[case] sent: Value, #[case] back: Value) {
    let mut bench = Bench::new();
    let client = bench.connected();
    let mut message = publish(&client, "x");
    message["id"] = sent;
    assert_eq!(bench.post(json!([message]))[0]["id"], back);
}

#[test]
fn an_own_event_rides_the_publish_response_and_leaves_the_connect_held() {
    let mut bench = Bench::new();
    bench.echo = true;
    let client = bench.connected();
    bench.hold(&client, "3");
    assert_eq!(bench.post(json!([publish(&client, "4")])), json!([event("own"), ack("4")]));
    assert!(bench.server.holds_connect(bench.session(&client)));
}

#[test]
fn on_a_socket_own_events_precede_the_frame_of_replies() {
    let mut bench = Bench::new();
    bench.echo = true;
    let (socket, client) = bench.socket_connected(1);
    let wires = bench.send(socket, &json!([publish(&client, "4"), publish(&client, "5")]));
    assert_eq!(frames(&wires), [json!([event("own")]), json!([event("own")]), json!([ack("4"), ack("5")])]);
}

#[test]
fn an_own_event_of_a_session_on_a_new_socket_goes_to_the_new_one() {
    let mut bench = Bench::new();
    bench.echo = true;
    let (old, client) = bench.socket_connected(1);
    bench.feed(Wire::Lost(old, Failure::Reset));
    let new = bench.open(2);
    let wires = bench.send(new, &json!([publish(&client, "4")]));
    assert_eq!(frames(&wires), [json!([event("own")]), json!([ack("4")])]);
}

#[test]
fn a_publish_to_a_meta_channel_is_refused_and_to_any_other_acknowledged() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let on = |channel: &str| json!([{"channel": channel, "id": "5", "clientId": client, "data": {}}]);
    let refused = bench.post(on("/meta/foo"));
    assert_eq!(refused[0]["error"], "403:denied_by_security_policy:create denied");
    assert_eq!(refused[0]["successful"], false);
    assert_eq!(bench.post(on("/foo/bar"))[0]["successful"], true);
    assert_eq!(bench.post(on("/service/nobody"))[0]["successful"], true);
}

// Subscribe

#[rstest]
#[case(json!(SERVICE), None)]
#[case(json!([SERVICE, "/service/other"]), None)]
#[case(json!("/foo"), None)]
#[case(json!(["/foo/*", "/foo/**", SERVICE]), None)]
#[case(json!("/meta/connect"), Some("403:denied_by_security_policy:subscribe_denied"))]
#[case(json!("/meta/foo"), Some("403:denied_by_security_policy:create_denied"))]
#[case(json!(["/foo", "/meta/connect"]), Some("403:denied_by_security_policy:subscribe_denied"))]
#[case(json!(5), Some("403::subscription_invalid"))]
fn subscribe_to_all_but_meta_channels_succeeds(#[case] to: Value, #[case] error: Option<&str>) {
    let mut bench = Bench::new();
    let client = bench.connected();
    let reply = bench.post(json!([
        {"channel": "/meta/subscribe", "id": "5", "clientId": client, "subscription": to}
    ]));
    assert_eq!(reply[0]["successful"], error.is_none());
    assert_eq!(reply[0].get("error").and_then(Value::as_str), error);
    assert_eq!(reply[0]["subscription"], to);
}

#[test]
fn a_subscription_changes_nothing_in_what_is_delivered() {
    let mut bench = Bench::new();
    let client = bench.connected();
    bench.post(json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": SERVICE}]));
    bench.deliver(&client, "a");
    assert_eq!(bench.post(json!([connect(&client, "6")])), json!([event("a"), connect_ok("6")]));
}

// Disconnect

#[test]
fn disconnect_over_http_releases_the_held_connect_for_good() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let held = bench.hold(&client, "3");
    let message = json!([{"channel": "/meta/disconnect", "id": "4", "clientId": client}]);
    let (exchange, wires) = bench.request("POST", BASE, &message.to_string());
    assert_eq!(
        responses(&wires),
        [
            (
                held,
                200,
                json!([{"channel": "/meta/connect", "id": "3", "successful": true,
                                "advice": {"reconnect": "none"}}])
            ),
            (exchange, 200, json!([{"channel": "/meta/disconnect", "id": "4", "successful": true}])),
        ]
    );
    assert_eq!(bench.events.last(), Some(&Event::SessionClosed(SessionId(1), Closed::Disconnected)));
    let after = bench.post(message);
    assert_eq!(after, json!([{"channel": "/meta/disconnect", "id": "4", "error": UNKNOWN, "successful": false}]));
}

#[test]
fn disconnect_on_a_socket_gives_the_connect_reply_first() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    bench.send(socket, &json!([connect(&client, "3")]));
    let wires = bench.send(socket, &json!([{"channel": "/meta/disconnect", "id": "4", "clientId": client}]));
    assert_eq!(
        frames(&wires),
        [
            json!([{"channel": "/meta/connect", "id": "3", "successful": true, "advice": {"reconnect": "none"}}]),
            json!([{"channel": "/meta/disconnect", "id": "4", "successful": true}]),
        ]
    );
}

#[test]
fn messages_behind_a_disconnect_fail_and_events_of_earlier_ones_still_come() {
    let mut bench = Bench::new();
    bench.echo = true;
    let client = bench.connected();
    let replies = bench.post(json!([
        publish(&client, "4"),
        {"channel": "/meta/disconnect", "id": "5", "clientId": client},
        publish(&client, "6"),
    ]));
    assert_eq!(
        replies,
        json!([
            event("own"),
            ack("4"),
            {"channel": "/meta/disconnect", "id": "5", "successful": true},
            {"channel": SERVICE, "id": "6", "error": UNKNOWN, "successful": false},
        ])
    );
}

#[test]
fn a_disconnect_by_the_server_rides_the_held_connect() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let held = bench.hold(&client, "3");
    let session = bench.session(&client);
    bench.server.disconnect(bench.now, session).unwrap();
    bench.drain();
    assert_eq!(
        responses(&bench.wires),
        [(
            held,
            200,
            json!([
                {"channel": "/meta/disconnect", "successful": true},
                {"channel": "/meta/connect", "id": "3", "successful": true, "advice": {"reconnect": "none"}},
            ])
        )]
    );
    assert_eq!(bench.server.disconnect(bench.now, session), Err(Misuse::NoSession));
}

#[test]
fn a_disconnect_by_the_server_is_pushed_on_a_socket() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    bench.send(socket, &json!([connect(&client, "3")]));
    let session = bench.session(&client);
    bench.server.disconnect(bench.now, session).unwrap();
    bench.drain();
    let channels: Vec<Value> = frames(&bench.wires).iter().map(|frame| frame[0]["channel"].clone()).collect();
    assert_eq!(channels, ["/meta/disconnect", "/meta/connect"]);
}

// Unknown sessions and expiry

#[rstest]
#[case("/meta/connect", true)]
#[case("/meta/disconnect", false)]
#[case("/meta/subscribe", false)]
#[case("/meta/foo", false)]
#[case(SERVICE, false)]
fn an_unknown_session_gets_402_and_only_a_connect_gets_advice(#[case] channel: &str, #[case] advised: bool) {
    let mut bench = Bench::new();
    for client in [json!("nobody"), Value::Null] {
        let reply = bench.post(json!([{"channel": channel, "id": "5", "clientId": client, "data": 1}]));
        assert_eq!((&reply[0]["error"], &reply[0]["successful"]), (&json!(UNKNOWN), &json!(false)));
        let advice = json!({"interval": 0, "reconnect": "handshake"});
        assert_eq!(reply[0].get("advice"), advised.then_some(&advice));
    }
}

#[rstest]
#[case(None)]
#[case(Some("someone-else"))]
fn over_http_a_session_answers_only_to_its_own_browser(#[case] cookie: Option<&str>) {
    let mut bench = Bench::new();
    let client = bench.connected();
    bench.cookie = cookie.map(str::to_owned);
    assert_eq!(bench.post(json!([connect(&client, "3")]))[0]["error"], UNKNOWN);
    assert_eq!(bench.post(json!([publish(&client, "4")]))[0]["error"], UNKNOWN);
}

#[test]
fn over_http_a_session_of_a_socket_is_unknown() {
    let mut bench = Bench::new();
    let (_, client) = bench.socket_connected(1);
    bench.cookie = Some("any".to_owned());
    assert_eq!(bench.post(json!([publish(&client, "4")]))[0]["error"], UNKNOWN);
}

#[test]
fn one_request_speaks_for_one_session() {
    let mut bench = Bench::new();
    let first = bench.connected();
    let second = bench.connected();
    let replies = bench.post(json!([publish(&first, "4"), publish(&second, "5")]));
    assert_eq!((&replies[0]["successful"], &replies[1]["error"]), (&json!(true), &json!(UNKNOWN)));
}

#[test]
fn a_session_expires_without_a_connect_and_not_while_one_is_held() {
    let mut bench = Bench::new();
    let client = bench.connected();
    bench.hold(&client, "3");
    bench.wait(29_999);
    assert!(bench.server.session(&ClientId::new(&client)).is_some());
    bench.wait(1 + 9_999);
    assert!(bench.server.session(&ClientId::new(&client)).is_some());
    bench.wait(1);
    assert_eq!(bench.events.last(), Some(&Event::SessionClosed(SessionId(1), Closed::Expired)));
    let reply = bench.post(json!([connect(&client, "4")]));
    assert_eq!(reply[0]["advice"]["reconnect"], "handshake");
}

#[test]
fn a_handshake_without_a_connect_expires() {
    let mut bench = Bench::new();
    bench.handshake();
    bench.wait(10_000);
    assert_eq!(bench.server.sessions().count(), 0);
}

#[test]
fn a_publish_puts_the_expiry_off() {
    let mut bench = Bench::new();
    let client = bench.connected();
    for id in ["3", "4", "5"] {
        bench.wait(9_000);
        assert_eq!(bench.post(json!([publish(&client, id)]))[0]["successful"], true);
    }
}

#[test]
fn a_forgotten_session_gets_402_even_where_its_connect_is_held() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let held = bench.hold(&client, "3");
    bench.server.forget(bench.session(&client)).unwrap();
    bench.drain();
    let wires = std::mem::take(&mut bench.wires);
    assert_eq!(
        responses(&wires),
        [(
            held,
            200,
            json!([{"channel": "/meta/connect", "id": "3", "error": UNKNOWN, "successful": false,
                             "advice": {"interval": 0, "reconnect": "handshake"}}])
        )]
    );
    assert_eq!(bench.post(json!([publish(&client, "4")]))[0]["error"], UNKNOWN);
}

// Routing and malformed input

#[rstest]
#[case("OPTIONS", BASE, 200, "")]
#[case("PUT", BASE, 400, "Unknown Bayeux Transport")]
#[case("GET", BASE, 400, "Unknown Bayeux Transport")]
#[case("POST", "/elsewhere", 404, "Not Found")]
#[case("POST", "/genesys/cometdx", 404, "Not Found")]
fn answers_what_is_no_bayeux(#[case] method: &str, #[case] path: &str, #[case] status: u16, #[case] says: &str) {
    let mut bench = Bench::new();
    let (_, wires) = bench.request(method, path, "");
    let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response") };
    assert_eq!(response.status, status);
    assert!(String::from_utf8_lossy(&response.body).contains(says));
    assert_eq!(response.body.is_empty(), says.is_empty());
}

#[rstest]
#[case("/genesys/cometd")]
#[case("/genesys/cometd/")]
#[case("/genesys/cometd/connect")]
#[case("/genesys/cometd/a/b?c=d")]
fn takes_any_path_below_the_base(#[case] path: &str) {
    let mut bench = Bench::new();
    let (_, wires) = bench.request("POST", path, HANDSHAKE);
    assert_eq!(responses(&wires)[0].1, 200);
}

#[rstest]
#[case("/genesys/cometd/foo", 400)]
#[case("/elsewhere", 404)]
fn refuses_an_upgrade_off_the_base_path(#[case] path: &str, #[case] status: u16) {
    let mut bench = Bench::new();
    let request = Request { method: "GET".into(), target: path.into(), headers: Headers::new(), body: Vec::new() };
    let wires = bench.feed(Wire::Upgrade(Socket(1), request));
    assert!(matches!(wires.as_slice(), [Wire::Refused(_, response)] if response.status == status), "{wires:?}");
}

#[rstest]
#[case("", 200, Some(0))]
#[case("null", 200, Some(0))]
#[case("[]", 500, Some(0))]
#[case("[null]", 500, Some(0))]
#[case("123", 400, Some(1011))]
#[case("[1]", 400, Some(1011))]
#[case(r#"[{"channel":"/meta/connect""#, 400, Some(1011))]
#[case(r#"[{"id":"1"}]"#, 500, Some(1011))]
#[case(r#"[{"channel":5}]"#, 500, Some(1011))]
#[case(r#"[{"channel":"/meta/connect","advice":5}]"#, 500, Some(1011))]
#[case(r#"[{"channel":"/meta/connect","advice":{"timeout":"0"}}]"#, 500, Some(1011))]
#[case(r#"[{"channel":"/meta/handshake"},{"channel":"/x"}]"#, 500, Some(1011))]
fn answers_malformed_input(#[case] body: &str, #[case] status: u16, #[case] close: Option<u16>) {
    let mut bench = Bench::new();
    assert_eq!(bench.post_raw(body).0, status);
    let socket = bench.open(1);
    let wires = bench.feed(Wire::Text(socket, body.to_owned()));
    match (close, body) {
        (_, "" | "null") => assert_eq!(wires, []),
        _ => assert!(matches!(wires.as_slice(), [Wire::Close(_, close)] if close.code == 1011), "{wires:?}"),
    }
}

#[rstest]
#[case("/a//b")]
#[case("foo")]
#[case("/a<b")]
fn a_channel_without_an_id_fails_the_request(#[case] channel: &str) {
    let mut bench = Bench::new();
    let client = bench.connected();
    let body = json!([{"channel": channel, "clientId": client, "data": 1}]).to_string();
    assert_eq!(bench.post_raw(&body).0, 500);
    assert_eq!(bench.post(json!([publish(&client, "4")]))[0]["successful"], true, "the session survives");
}

#[test]
fn a_frame_over_the_limit_closes_the_socket_and_not_the_session() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    let wires = bench.feed(Wire::Text(socket, format!("[{}]", " ".repeat(65_536))));
    assert!(matches!(wires.as_slice(), [Wire::Close(_, close)] if close.code == 1009), "{wires:?}");
    assert_eq!(bench.send(socket, &json!([publish(&client, "4")])), [], "the socket is closed");
    let socket = bench.open(2);
    assert_eq!(frames(&bench.send(socket, &json!([publish(&client, "5")]))), [json!([ack("5")])]);
}

#[test]
fn binary_messages_are_ignored() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    assert_eq!(bench.feed(Wire::Binary(socket, b"[]".to_vec())), []);
    assert_eq!(frames(&bench.send(socket, &json!([publish(&client, "5")]))), [json!([ack("5")])]);
}

#[test]
fn whoever_does_not_drain_still_gets_every_reply() {
    let mut bench = Bench::new();
    let client = bench.connected();
    for exchange in [101, 102] {
        let body = json!([publish(&client, "4")]).to_string().into_bytes();
        let headers = Headers::new().with("Cookie", &format!("BAYEUX_BROWSER={}", bench.cookie.clone().unwrap()));
        let request = Request { method: "POST".into(), target: BASE.into(), headers, body };
        bench.server.handle_input(bench.now, Input::Wire(Wire::Request(Exchange(exchange), request)));
    }
    bench.drain();
    let answered: Vec<u64> = responses(&bench.wires).iter().map(|(exchange, ..)| exchange.0).collect();
    assert_eq!(answered, [101, 102]);
}

#[test]
fn debug_shows_neither_client_ids_nor_cookies_nor_data() {
    let mut bench = Bench::new();
    let client = bench.connected();
    bench.hold(&client, "3");
    bench.server.sessions.values_mut().for_each(|session| {
        let event = Message::parse(r#"{"channel":"/a","data":"pssst"}"#).unwrap();
        session.queue.push(event, false, &Bounds::default());
    });
    let shown = format!("{:?} {:?}", bench.server, bench.events);
    for secret in [client.as_str(), bench.cookie.as_deref().unwrap(), "pssst"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
