//! What operators can switch, callback-polling, forms and CORS.

use pretty_assertions::assert_eq;
use rstest::rstest;

use super::*;
use crate::bayeux::dialect::{Options, Timing, TransportTiming};
use crate::wire::Response;

fn with(change: impl FnOnce(&mut Options)) -> Bench {
    let mut settings = Settings::new(BASE);
    change(&mut settings.dialect.options);
    Bench::with(settings)
}

fn get(bench: &mut Bench, messages: &Value) -> (Exchange, Vec<Wire>) {
    let message: String = form_urlencoded::byte_serialize(messages.to_string().as_bytes()).collect();
    bench.request("GET", &format!("{BASE}/?jsonp=cb1&message={message}"), "")
}

/// The messages in the call that is the whole body.
fn called(response: &Response) -> Value {
    assert_eq!(response.headers.get("content-type"), Some("text/javascript;charset=UTF-8"));
    let body = String::from_utf8(response.body.clone()).unwrap();
    serde_json::from_str(body.strip_prefix("cb1(").unwrap().strip_suffix(')').unwrap()).unwrap()
}

/// The messages of one response of callback-polling.
fn only(wires: &[Wire]) -> Value {
    let [Wire::Response(_, response)] = wires else { panic!("one response, not {wires:?}") };
    called(response)
}

#[test]
fn callback_polling_delivers_with_connects_alone() {
    let mut bench = Bench::new();
    bench.echo = true;
    bench.cookie = Some("mine".to_owned());
    let reply = only(&get(&mut bench, &serde_json::from_str(HANDSHAKE).unwrap()).1);
    let client = reply[0]["clientId"].as_str().unwrap().to_owned();
    assert_eq!(only(&get(&mut bench, &json!([connect(&client, "2")])).1), json!([connect_ok("2")]));
    assert_eq!(only(&get(&mut bench, &json!([publish(&client, "3")])).1), json!([ack("3")]));
    let waiting = only(&get(&mut bench, &json!([connect(&client, "4")])).1);
    assert_eq!(waiting, json!([event("own"), connect_ok("4")]));
    let (held, wires) = get(&mut bench, &json!([connect(&client, "5")]));
    assert_eq!(wires, []);
    let (_, wires) = get(&mut bench, &json!([publish(&client, "6")]));
    let [Wire::Response(_, own), Wire::Response(released, response)] = wires.as_slice() else { panic!("{wires:?}") };
    assert_eq!((called(own), *released), (json!([ack("6")]), held));
    assert_eq!(called(response), json!([event("own"), connect_ok("5")]));
}

#[test]
fn callback_polling_is_one_transport_and_long_polling_another() {
    let mut bench = Bench::new();
    let client = bench.handshake();
    let reply = only(&get(&mut bench, &json!([connect(&client, "2")])).1);
    assert_eq!(reply[0]["advice"]["reconnect"], "retry", "a change of transport is answered with advice");
}

#[test]
fn several_message_parameters_are_one_batch() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let message =
        |id: &str| -> String { form_urlencoded::byte_serialize(publish(&client, id).to_string().as_bytes()).collect() };
    let target = format!("{BASE}?jsonp=cb1&message={}&message={}", message("3"), message("4"));
    assert_eq!(only(&bench.request("GET", &target, "").1), json!([ack("3"), ack("4")]));
}

#[test]
fn the_parameter_and_the_length_of_callbacks_are_settings() {
    let mut bench = with(|options| {
        options.callback_parameter = "call".to_owned();
        options.callback_limit = 3;
    });
    let target = |query: &str| format!("{BASE}?{query}&message=%5B%7B%22channel%22%3A%22%2Fmeta%2Fconnect%22%7D%5D");
    let mut status = |query: &str| {
        let (_, wires) = bench.request("GET", &target(query), "");
        let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response") };
        response.status
    };
    assert_eq!((status("call=cb1"), status("call=cb12"), status("jsonp=cb1")), (200, 400, 400));
}

#[rstest]
#[case("cometd-2.9", 200)]
#[case("cometd-3.1", 400)]
#[case("cometd-5.0", 500)]
fn forms_are_read_by_the_oldest_dialect_alone(#[case] name: &str, #[case] status: u16) {
    let dialect = Dialect::by_name(name).unwrap();
    let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
    let client = bench.connected();
    bench.headers = vec![("Content-Type".to_owned(), "application/x-www-form-urlencoded;charset=UTF-8".to_owned())];
    let message: String = form_urlencoded::byte_serialize(publish(&client, "3").to_string().as_bytes()).collect();
    let (answered, body) = bench.post_raw(&format!("message={message}&other=1&message=[]"));
    assert_eq!(answered, status);
    if status == 200 {
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!([ack("3")]));
    }
}

#[test]
fn cors_is_answered_for_allowed_origins_alone() {
    let cors = Some(Cors { origins: vec!["https://shop.example".to_owned()] });
    let mut bench = Bench::with(Settings { cors, ..Settings::new(BASE) });
    let mut ask = |origin: &str, method: &str, preflight: bool| {
        bench.headers = vec![("Origin".to_owned(), origin.to_owned())];
        if preflight {
            bench.headers.push(("Access-Control-Request-Method".to_owned(), "POST".to_owned()));
        }
        let (_, wires) = bench.request(method, BASE, HANDSHAKE);
        let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response") };
        assert_eq!(response.status, 200);
        let field = |name: &str| response.headers.get(name).map(str::to_owned);
        (field("Access-Control-Allow-Origin"), field("Access-Control-Allow-Methods"))
    };
    let own = Some("https://shop.example".to_owned());
    assert_eq!(ask("https://shop.example", "OPTIONS", true), (own.clone(), Some("GET,POST,HEAD".to_owned())));
    assert_eq!(ask("https://shop.example", "POST", false), (own, None));
    assert_eq!(ask("https://elsewhere.example", "OPTIONS", true), (None, None));
    assert_eq!(ask("https://elsewhere.example", "POST", false), (None, None));
}

#[test]
fn a_held_connect_is_answered_with_cors_headers_too() {
    let cors = Some(Cors { origins: vec!["*".to_owned()] });
    let mut bench = Bench::with(Settings { cors, ..Settings::new(BASE) });
    bench.headers = vec![("Origin".to_owned(), "https://shop.example".to_owned())];
    let client = bench.connected();
    bench.hold(&client, "3");
    let wires = bench.wait(30_000);
    let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response") };
    assert_eq!(response.headers.get("Access-Control-Allow-Origin"), Some("https://shop.example"));
    assert!(bench.server.origins.is_empty());
}

#[test]
fn a_transport_may_have_a_timing_of_its_own() {
    let mut bench = with(|options| {
        options.timing.insert("websocket".to_owned(), TransportTiming { timeout_ms: Some(500), interval_ms: Some(50) });
    });
    let client = bench.connected();
    bench.hold(&client, "3");
    assert_eq!(bench.wait(29_999), []);
    bench.wait(1);
    let socket = bench.open(1);
    let reply = bench.feed(Wire::Text(socket, HANDSHAKE.to_owned()));
    assert_eq!(frames(&reply)[0][0]["advice"], json!({"interval": 50, "timeout": 500, "reconnect": "retry"}));
    let client = client_id(frames(&reply)[0].to_string().as_bytes());
    bench.send(socket, &json!([connect(&client, "2")]));
    assert_eq!(bench.send(socket, &json!([connect(&client, "3")])), []);
    assert_eq!(frames(&bench.wait(500)), [json!([connect_ok("3")])]);
}

#[test]
fn the_layer_above_may_time_one_session() {
    let mut bench = Bench::new();
    let client = bench.connected();
    let timing = Timing { timeout_ms: 1_000, interval_ms: 0 };
    bench.server.retime(bench.session(&client), Some(timing)).unwrap();
    bench.hold(&client, "3");
    assert_eq!(bench.wait(999), []);
    assert_eq!(
        responses(&bench.wait(1))[0].2[0]["advice"],
        json!({"interval": 0, "timeout": 1000, "reconnect": "retry"})
    );
    bench.hold(&client, "4");
    assert_eq!(responses(&bench.wait(1_000))[0].2, json!([connect_ok("4")]), "told once");
}

#[test]
fn advice_may_name_the_max_interval() {
    let mut bench = with(|options| options.handshake_reconnect = true);
    let reply = bench.post(serde_json::from_str(HANDSHAKE).unwrap());
    assert_eq!(reply[0]["advice"]["maxInterval"], 10_000);
}

#[rstest]
#[case(2, true, false)]
#[case(-1, true, true)]
#[case(0, false, false)]
fn a_browser_has_as_many_long_polls_as_allowed(#[case] allowed: i64, #[case] second: bool, #[case] third: bool) {
    let mut bench = with(|options| options.max_sessions_per_browser = allowed);
    let clients = [bench.connected(), bench.connected(), bench.connected()];
    let mut holds =
        |client: &String| bench.request("POST", BASE, &json!([connect(client, "3")]).to_string()).1.is_empty();
    assert_eq!((holds(&clients[0]), holds(&clients[1]), holds(&clients[2])), (allowed != 0, second, third));
}

#[test]
fn after_multiple_clients_the_next_reply_tells_the_interval_again() {
    let mut bench = Bench::new();
    let first = bench.connected();
    let second = bench.connected();
    bench.hold(&first, "3");
    assert_eq!(bench.post(json!([connect(&second, "3")]))[0]["advice"]["interval"], 2_000);
    bench.post_raw("");
    let leave = json!([{"channel": "/meta/disconnect", "clientId": first}]).to_string();
    bench.request("POST", BASE, &leave);
    bench.deliver(&second, "a");
    let replies = bench.post(json!([connect(&second, "4")]));
    assert_eq!(replies[1]["advice"], json!({"interval": 0, "timeout": 30000, "reconnect": "retry"}));
}

#[test]
fn events_may_travel_with_connects_alone() {
    let mut bench = with(|options| options.meta_connect_deliver_only = true);
    bench.echo = true;
    let (socket, client) = bench.socket_connected(1);
    assert_eq!(bench.send(socket, &json!([connect(&client, "3")])), []);
    let wires = bench.send(socket, &json!([publish(&client, "4")]));
    assert_eq!(frames(&wires), [json!([ack("4")]), json!([event("own")]), json!([connect_ok("3")])]);
    assert_eq!(frames(&bench.send(socket, &json!([publish(&client, "5")]))), [json!([ack("5")])]);
    let wires = bench.send(socket, &json!([connect(&client, "6")]));
    assert_eq!(frames(&wires), [json!([event("own")]), json!([connect_ok("6")])]);
}

#[test]
fn a_frame_may_carry_several_events() {
    let mut bench = with(|options| options.messages_per_frame = 2);
    bench.echo = true;
    let (socket, client) = bench.socket_connected(1);
    let wires = bench.send(socket, &json!([publish(&client, "4"), publish(&client, "5"), publish(&client, "6")]));
    let own = event("own");
    assert_eq!(frames(&wires), [json!([own, own]), json!([own]), json!([ack("4"), ack("5"), ack("6")])]);
}

/// What the application delivers while it hears of a session.
fn handshake_with_events(bench: &mut Bench, wire: Wire) -> Vec<Wire> {
    bench.server.handle_input(bench.now, Input::Wire(wire));
    let mut wires = Vec::new();
    while let Some(output) = bench.server.poll_output() {
        match output {
            Output::Event(Event::SessionOpened(session, _)) => {
                bench.server.deliver(bench.now, session, SERVICE, event_data("welcome")).unwrap();
            }
            Output::Event(_) => {}
            Output::Wire(wire) => wires.push(wire),
        }
    }
    wires
}

fn handshake_request() -> Request {
    let headers = Headers::new().with("Cookie", "BAYEUX_BROWSER=mine");
    Request { method: "POST".into(), target: BASE.into(), headers, body: HANDSHAKE.as_bytes().to_vec() }
}

#[test]
fn events_of_a_handshake_come_behind_its_reply_and_never_in_it() {
    let mut bench = Bench::new();
    bench.cookie = Some("mine".to_owned());
    let wires = handshake_with_events(&mut bench, Wire::Request(Exchange(99), handshake_request()));
    let replies = &responses(&wires)[0].2;
    assert_eq!(replies.as_array().map(Vec::len), Some(1));
    let client = replies[0]["clientId"].as_str().unwrap();
    assert_eq!(bench.post(json!([connect(client, "2")]))[0], event("welcome"));
    let socket = bench.open(1);
    let wires = handshake_with_events(&mut bench, Wire::Text(socket, HANDSHAKE.to_owned()));
    let [reply] = frames(&wires).try_into().expect("one frame");
    let client = reply[0]["clientId"].as_str().unwrap();
    let wires = bench.send(socket, &json!([connect(client, "2")]));
    assert_eq!(frames(&wires), [json!([event("welcome")]), json!([connect_ok("2")])]);
}

#[test]
fn events_may_ride_in_the_handshake_response_and_are_counted_there() {
    let mut bench = with(|options| {
        options.deliver_during_handshake = true;
        options.extensions.ack = true;
    });
    let wires = handshake_with_events(&mut bench, Wire::Request(Exchange(99), handshake_request()));
    let replies = &responses(&wires)[0].2;
    assert_eq!((&replies[0]["x-messages"], &replies[1]), (&json!(1), &event("welcome")));
    let mut request = handshake_request();
    request.body = HANDSHAKE.replace("}]", r#","ext":{"ack":true}}]"#).into_bytes();
    let wires = handshake_with_events(&mut bench, Wire::Request(Exchange(100), request));
    let replies = &responses(&wires)[0].2;
    assert_eq!(replies[0]["ext"], json!({"ack": {"enabled": true, "batch": 1}}));
    assert_eq!((&replies[0]["x-messages"], &replies[1]), (&json!(1), &event("welcome")));
}

#[test]
fn a_session_may_be_bound_to_the_socket_of_its_handshake() {
    let mut bench = with(|options| options.handshake_per_socket = true);
    let (_, client) = bench.socket_connected(1);
    let socket = bench.open(2);
    assert_eq!(frames(&bench.send(socket, &json!([publish(&client, "4")])))[0][0]["error"], UNKNOWN);
}

#[rstest]
#[case(None, false)]
#[case(Some("other, bayeux"), true)]
#[case(Some("other"), false)]
fn an_upgrade_must_ask_for_the_sub_protocol_if_there_is_one(#[case] asks: Option<&str>, #[case] granted: bool) {
    let mut bench = with(|options| options.web_socket_protocol = Some("bayeux".to_owned()));
    let headers = asks.map_or_else(Headers::new, |asks| Headers::new().with("Sec-WebSocket-Protocol", asks));
    let request = Request { method: "GET".into(), target: BASE.into(), headers, body: Vec::new() };
    let wires = bench.feed(Wire::Upgrade(Socket(1), request));
    match wires.as_slice() {
        [Wire::Upgraded(_, headers)] => {
            assert!(granted);
            assert_eq!(headers.get("Sec-WebSocket-Protocol"), Some("bayeux"));
        }
        [Wire::Refused(..)] => assert!(!granted),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_offered_is_refused() {
    let mut settings = Settings::new(BASE);
    settings.dialect.transports = vec!["long-polling".to_owned()];
    let mut bench = Bench::with(settings);
    let request = Request { method: "GET".into(), target: BASE.into(), headers: Headers::new(), body: Vec::new() };
    let wires = bench.feed(Wire::Upgrade(Socket(1), request));
    assert!(matches!(wires.as_slice(), [Wire::Refused(..)]), "{wires:?}");
    let (_, wires) = get(&mut bench, &json!([]));
    assert_eq!(responses(&wires)[0].1, 400);
    bench.connected();
}

#[test]
fn sessions_are_bounded() {
    let bounds = Bounds { sessions: 2, ..Bounds::default() };
    let mut bench = Bench::with(Settings { bounds, ..Settings::new(BASE) });
    let statuses: Vec<u16> = (0..3).map(|_| bench.post_raw(HANDSHAKE).0).collect();
    assert_eq!(statuses, [200, 200, 500]);
    bench.wait(10_000);
    assert_eq!(bench.post_raw(HANDSHAKE).0, 200, "once the others expired");
}

#[test]
fn with_trusted_sessions_the_client_id_is_enough() {
    let mut settings = Settings::new(BASE);
    settings.dialect.browser.owns_sessions = false;
    let mut bench = Bench::with(settings);
    let client = bench.connected();
    bench.cookie = None;
    assert_eq!(bench.post(json!([publish(&client, "3")]))[0]["successful"], true);
}

#[test]
fn a_page_from_elsewhere_may_be_refused_a_socket() {
    let ask = |allowed: Option<&str>, origin: Option<&str>| {
        let web_socket_origins = allowed.map(|origin| vec![origin.to_owned()]);
        let mut bench = Bench::with(Settings { web_socket_origins, ..Settings::new(BASE) });
        let headers = origin.map_or_else(Headers::new, |origin| Headers::new().with("Origin", origin));
        let request = Request { method: "GET".into(), target: BASE.into(), headers, body: Vec::new() };
        match bench.feed(Wire::Upgrade(Socket(1), request)).as_slice() {
            [Wire::Upgraded(..)] => 101,
            [Wire::Refused(_, response)] => response.status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(None, Some("https://elsewhere.example")), 101, "CometD accepts every origin by default");
    assert_eq!(ask(Some("https://shop.example"), Some("https://shop.example")), 101);
    assert_eq!(ask(Some("https://shop.example"), Some("https://elsewhere.example")), 403);
    assert_eq!(ask(Some("https://shop.example"), None), 101, "who names no origin is no page");
    assert_eq!(ask(Some("*"), Some("https://elsewhere.example")), 101);
}

#[rstest]
#[case("/a<b", 500, 200)]
#[case("/a//b", 500, 500)]
fn the_characters_of_channels_may_go_unseen(#[case] channel: &str, #[case] looked_at: u16, #[case] unseen: u16) {
    for (value, status) in [("true", looked_at), ("false", unseen)] {
        let mut settings = Settings::new(BASE);
        settings.dialect.set("validateMessageFields", value).unwrap();
        let mut bench = Bench::with(settings);
        let client = bench.connected();
        let message = json!([{"channel": channel, "clientId": client, "id": "<", "data": 1}]);
        assert_eq!(bench.post_raw(&message.to_string()).0, status);
        let message = json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": channel}]);
        assert_eq!(bench.post_raw(&message.to_string()).0, status);
    }
}

#[test]
fn a_body_may_be_limited_and_the_session_survives() {
    let mut settings = Settings::new(BASE);
    settings.dialect.set("maxMessageSize", "200").unwrap();
    let mut bench = Bench::with(settings);
    let client = bench.connected();
    let mut message = publish(&client, "3");
    message["data"] = "x".repeat(200).into();
    assert_eq!(bench.post_raw(&json!([message]).to_string()), (500, String::new()));
    assert_eq!(bench.post(json!([publish(&client, "4")])), json!([ack("4")]));
    let socket = bench.open(1);
    let wires = bench.send(socket, &json!([message]));
    assert!(matches!(wires.as_slice(), [Wire::Close(_, close)] if close.code == 1009), "{wires:?}");
}

#[test]
fn the_cookie_is_as_the_operator_wants_it() {
    let mut settings = Settings { over_tls: true, ..Settings::new(BASE) };
    for (name, value) in [
        ("browserCookieName", "CHAT"),
        ("browserCookiePath", "/chat"),
        ("browserCookieDomain", "example.com"),
        ("browserCookieSecure", "true"),
        ("browserCookieHttpOnly", "false"),
        ("browserCookieSameSite", "None"),
    ] {
        settings.dialect.set(name, value).unwrap();
    }
    let mut bench = Bench::with(settings);
    let (_, wires) = bench.request("POST", BASE, HANDSHAKE);
    let [Wire::Response(_, response)] = wires.as_slice() else { panic!("one response") };
    let (cookie, attributes) = response.headers.get("Set-Cookie").unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, "Domain=example.com; Path=/chat; Secure; SameSite=None");
    let client = client_id(&response.body);
    bench.headers = vec![("Cookie".to_owned(), cookie.to_owned())];
    assert_eq!(bench.post(json!([publish(&client, "2")])), json!([ack("2")]), "{cookie}");
}

/// B.5: with a connect held the message rides with it; without one the session is gone before anything could carry it,
/// and its next message gets 402.
#[rstest]
#[case("cometd-2.9")]
#[case("cometd-3.0")]
#[case("cometd-3.1")]
#[case("cometd-4.0.0")]
#[case("cometd-4.0.4")]
#[case("cometd-5.0")]
fn a_disconnect_by_the_server_is_lost_where_nothing_carries_it(#[case] name: &str) {
    let dialect = Dialect::by_name(name).unwrap();
    let unknown = dialect.errors.unknown_session.clone();
    let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
    let client = bench.connected();
    bench.server.disconnect(bench.now, bench.session(&client)).unwrap();
    let replies = bench.post(json!([publish(&client, "3")]));
    assert_eq!(replies.as_array().map(Vec::len), Some(1));
    assert_eq!(replies[0]["error"], unknown);
}

/// The `binary` extension shows on the wire in members that every server hands on.
#[test]
fn what_the_binary_extension_adds_is_handed_on() {
    for name in Dialect::names() {
        let dialect = Dialect::by_name(name).unwrap();
        let mut bench = Bench::with(Settings { dialect, ..Settings::new(BASE) });
        let client = bench.connected();
        bench.post(json!([{"channel": "/meta/subscribe", "clientId": client, "subscription": "/a"}]));
        let data = json!({"data": "HelloWorld", "last": true, "meta": {"name": "a.bin"}});
        let message = json!({"channel": "/a", "clientId": client, "data": data, "ext": {"binary": {}}});
        let replies = bench.post(json!([message]));
        assert_eq!(replies[0], json!({"channel": "/a", "data": data, "ext": {"binary": {}}}));
    }
}

#[test]
fn the_status_of_a_superseded_connect_and_the_transports_may_be_chosen() {
    let mut settings = Settings::new(BASE);
    settings.dialect.set("duplicateMetaConnectHttpResponseCode", "409").unwrap();
    settings.dialect.set("allowedTransports", "callback-polling, long-polling").unwrap();
    let mut bench = Bench::with(settings);
    let reply = bench.post(serde_json::from_str(HANDSHAKE).unwrap());
    assert_eq!(reply[0]["supportedConnectionTypes"], json!(["callback-polling", "long-polling"]));
    let client = bench.connected();
    let first = bench.hold(&client, "3");
    let (_, wires) = bench.request("POST", BASE, &json!([connect(&client, "4")]).to_string());
    assert_eq!(responses(&wires), [(first, 409, Value::Null)]);
}
