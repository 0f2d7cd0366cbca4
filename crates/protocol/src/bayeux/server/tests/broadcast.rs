//! Broadcast channels: subscriptions, and who gets what (Bayeux 4.5, 4.6, 5).

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;

fn on(channel: &str, client: &str, id: &str) -> Value {
    json!({"channel": channel, "id": id, "clientId": client, "data": id})
}

fn subscription(client: &str, to: &Value) -> Value {
    json!({"channel": "/meta/subscribe", "id": "s", "clientId": client, "subscription": to})
}

fn event_on(channel: &str, data: &str) -> Value {
    json!({"channel": channel, "data": data})
}

fn done(channel: &str, id: &str) -> Value {
    json!({"channel": channel, "id": id, "successful": true})
}

/// Two sessions of two browsers, the first subscribed.
struct Pair {
    bench: Bench,
    cookies: [Option<String>; 2],
    clients: [String; 2],
}

impl Pair {
    fn subscribed(to: &Value) -> Self {
        Self::with(Settings::new(BASE), to)
    }

    fn with(settings: Settings, to: &Value) -> Self {
        let mut bench = Bench::with(settings);
        let first = bench.connected();
        let first_cookie = bench.cookie.take();
        let second = bench.connected();
        let cookies = [first_cookie, bench.cookie.clone()];
        let mut pair = Self { bench, cookies, clients: [first, second] };
        let reply = pair.post(0, json!([subscription(&pair.clients[0], to)]));
        assert_eq!(reply[0]["successful"], true);
        pair
    }

    fn post(&mut self, who: usize, messages: Value) -> Value {
        self.bench.cookie.clone_from(&self.cookies[who]);
        self.bench.post(messages)
    }

    fn publish(&mut self, who: usize, channel: &str, id: &str) -> Value {
        let message = on(channel, &self.clients[who].clone(), id);
        self.post(who, json!([message]))
    }

    /// What waits for a session, given by its next connect.
    fn waiting(&mut self, who: usize) -> Vec<Value> {
        let mut message = connect(&self.clients[who].clone(), "c");
        message["advice"] = json!({"timeout": 0});
        let mut replies = self.post(who, json!([message])).as_array().cloned().unwrap_or_default();
        assert_eq!(replies.pop().unwrap()["channel"], "/meta/connect");
        replies
    }
}

#[test]
fn an_event_reaches_another_session_without_the_publishers_ids() {
    let mut pair = Pair::subscribed(&json!("/a"));
    assert_eq!(pair.publish(1, "/a", "1"), json!([done("/a", "1")]));
    assert_eq!(pair.waiting(0), [event_on("/a", "1")]);
    assert_eq!(pair.waiting(1), Vec::<Value>::new());
}

#[rstest]
#[case("/foo/*", "/foo/a", true)]
#[case("/foo/*", "/foo/a/b", false)]
#[case("/foo/*", "/foo", false)]
#[case("/foo/**", "/foo/a/b", true)]
#[case("/foo/**", "/foobar", false)]
#[case("/**", "/x/y", true)]
#[case("/**", "/service/x", false)]
#[case("/Foo", "/foo", false)]
#[case("/foo/", "/foo", true)]
#[case("/foo", "/foo/", true)]
fn patterns_match_as_the_grammar_says(#[case] to: &str, #[case] channel: &str, #[case] hit: bool) {
    let mut pair = Pair::subscribed(&json!(to));
    pair.publish(1, channel, "1");
    assert_eq!(pair.waiting(0), if hit { vec![event_on(channel, "1")] } else { vec![] });
}

#[test]
fn overlapping_subscriptions_give_one_copy_and_order_is_kept() {
    let mut pair = Pair::subscribed(&json!(["/p/x", "/p/*", "/p/**", "/**", "/p/x"]));
    for id in ["1", "2", "3"] {
        pair.publish(1, "/p/x", id);
    }
    assert_eq!(pair.waiting(0), ["1", "2", "3"].map(|id| event_on("/p/x", id)));
}

#[test]
fn neither_meta_nor_service_messages_are_distributed() {
    let mut pair = Pair::subscribed(&json!(["/**", SERVICE]));
    pair.post(1, serde_json::from_str(HANDSHAKE).unwrap());
    pair.publish(1, SERVICE, "1");
    assert_eq!(pair.waiting(0), Vec::<Value>::new());
}

#[test]
fn a_publish_releases_the_connect_that_another_holds() {
    let mut pair = Pair::subscribed(&json!("/a"));
    pair.bench.cookie.clone_from(&pair.cookies[0]);
    let held = pair.bench.hold(&pair.clients[0].clone(), "3");
    pair.bench.cookie.clone_from(&pair.cookies[1]);
    let body = json!([on("/a", &pair.clients[1], "1")]).to_string();
    let (own, wires) = pair.bench.request("POST", BASE, &body);
    assert_eq!(
        responses(&wires),
        [(held, 200, json!([event_on("/a", "1"), connect_ok("3")])), (own, 200, json!([done("/a", "1")]))]
    );
}

#[test]
fn after_an_unsubscribe_nothing_comes_but_what_came_up_before() {
    let mut pair = Pair::subscribed(&json!("/a"));
    let client = pair.clients[0].clone();
    let message = json!({"channel": "/meta/unsubscribe", "id": "u", "clientId": client, "subscription": "/a"});
    let replies = pair.post(0, json!([on("/a", &client, "1"), message, on("/a", &client, "2")]));
    let unsubscribed = json!({"channel": "/meta/unsubscribe", "id": "u", "successful": true, "subscription": "/a"});
    assert_eq!(replies, json!([event_on("/a", "1"), done("/a", "1"), unsubscribed, done("/a", "2")]));
    pair.publish(1, "/a", "3");
    assert_eq!(pair.waiting(0), Vec::<Value>::new());
}

#[test]
fn an_event_precedes_the_reply_to_the_subscribe_of_the_same_request() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let replies = bench.post(json!([subscription(&client, &json!("/a")), on("/a", &client, "1")]));
    assert_eq!(replies[0], event_on("/a", "1"));
    assert_eq!(replies[1]["subscription"], "/a");
}

#[test]
fn a_subscription_ends_with_its_session() {
    let mut pair = Pair::subscribed(&json!("/a"));
    let old = pair.clients[0].clone();
    pair.post(0, json!([{"channel": "/meta/disconnect", "clientId": old}]));
    pair.bench.cookie.clone_from(&pair.cookies[0]);
    pair.clients[0] = pair.bench.connected();
    pair.publish(1, "/a", "1");
    assert_eq!(pair.waiting(0), Vec::<Value>::new());
    assert!(pair.bench.server.channels.subscribers("/a").is_empty());
}

#[test]
fn a_publisher_may_be_left_out() {
    let mut settings = Settings::new(BASE);
    settings.dialect.options.broadcast_to_publisher = false;
    let mut pair = Pair::with(settings, &json!("/a"));
    assert_eq!(pair.publish(0, "/a", "1"), json!([done("/a", "1")]));
    pair.publish(1, "/a", "2");
    assert_eq!(pair.waiting(0), [event_on("/a", "2")]);
}

#[test]
fn events_reach_a_socket_at_once() {
    let mut bench = Bench::new();
    let (socket, client) = bench.socket_connected(1);
    let (other_socket, other) = bench.socket_connected(2);
    bench.send(socket, &json!([subscription(&client, &json!("/a/*"))]));
    let wires = bench.send(other_socket, &json!([on("/a/b", &other, "1")]));
    let to = |wire: &Wire| wire.socket();
    assert_eq!(wires.iter().filter_map(to).collect::<Vec<_>>(), [socket, other_socket]);
    assert_eq!(frames(&wires), [json!([event_on("/a/b", "1")]), json!([done("/a/b", "1")])]);
}

#[test]
fn a_channel_that_nobody_uses_is_swept() {
    let mut bench = Bench::new();
    let client = bench.connected();
    bench.post(json!([on("/a", &client, "1")]));
    let unsubscribe = json!([{"channel": "/meta/unsubscribe", "id": "u", "clientId": client, "subscription": "/a"}]);
    assert_eq!(bench.post(unsubscribe.clone())[0]["successful"], true);
    bench.wait(3_000);
    assert_eq!(bench.post(unsubscribe)[0]["error"], "400::channel_missing");
}

#[test]
fn subscriptions_and_channels_are_bounded() {
    let bounds = Bounds { subscriptions: 2, channels: 3, ..Bounds::default() };
    let mut bench = Bench::with(Settings { bounds, ..Settings::new(BASE) });
    let client = bench.connected();
    let mut post = |messages: Value| bench.post_raw(&messages.to_string()).0;
    assert_eq!(post(json!([subscription(&client, &json!(["/a", "/b"]))])), 200);
    assert_eq!(post(json!([subscription(&client, &json!(["/a", "/c"]))])), 500);
    assert_eq!(post(json!([on("/c", &client, "1")])), 200);
    assert_eq!(post(json!([on("/d", &client, "1")])), 500);
}
