//! What a hostile client can make the server keep.

use pretty_assertions::assert_eq;

use super::*;
use crate::bayeux::channel::SUBSCRIBE;

const BOUNDS: Bounds =
    Bounds { sessions: 20, queue: 10, queue_bytes: 2_000, all_queues_bytes: 8_000, channels: 30, subscriptions: 5 };

/// What is kept, in numbers that may not grow.
fn kept(server: &Server) -> [usize; 6] {
    let sessions = || server.sessions.values();
    assert_eq!(server.waiting_bytes, sessions().map(|session| session.queue.bytes()).sum::<usize>());
    [
        server.sessions.len(),
        server.by_client.len(),
        server.channels.len(),
        sessions().map(|session| session.subscriptions.len()).sum(),
        sessions().map(|session| session.queue.len()).sum(),
        server.waiting_bytes,
    ]
}

const MOST: [usize; 6] = [20, 20, 30, 20 * 5, 20 * 10, 8_000];

fn assert_bounded(server: &Server) {
    let kept = kept(server);
    assert!(kept.iter().zip(MOST).all(|(kept, most)| *kept <= most), "{kept:?} is over {MOST:?}");
    assert_eq!((server.origins.len(), server.outputs.len()), (0, 0));
}

/// A server in a dialect, flooded with handshakes, subscriptions, events, lazy events and unacknowledged events.
fn flood(name: &str, ack: bool, lazy: bool) {
    let mut settings = Settings { bounds: BOUNDS, ..Settings::new(BASE) };
    settings.dialect = Dialect::by_name(name).unwrap();
    settings.dialect.options.extensions.ack = ack;
    settings.lazy = if lazy { vec!["/**".to_owned()] } else { Vec::new() };
    let mut bench = Bench::with(settings);
    bench.cookie = Some("mine".to_owned());
    let handshake = HANDSHAKE.replace("}]", r#","ext":{"ack":true}}]"#);
    let mut clients = Vec::new();
    for _ in 0..60 {
        let (status, body) = bench.post_raw(&handshake);
        assert_eq!(status, if clients.len() < BOUNDS.sessions { 200 } else { 500 });
        if status == 200 {
            clients.push(client_id(body.as_bytes()));
        }
    }
    assert_bounded(&bench.server);
    for (number, client) in clients.iter().enumerate() {
        for part in 0..20 {
            let names = [format!("/a{number}/{part}"), "/shared".to_owned()];
            let message = json!([{"channel": SUBSCRIBE, "clientId": client, "subscription": names}]);
            bench.request("POST", BASE, &message.to_string());
            let message = json!([{"channel": SUBSCRIBE, "clientId": client, "subscription": "/shared"}]);
            bench.request("POST", BASE, &message.to_string());
        }
    }
    assert_bounded(&bench.server);
    for (number, client) in clients.iter().cycle().take(200).enumerate() {
        let data = "x".repeat(number * 7 % 1_500);
        bench.request("POST", BASE, &json!([{"channel": "/shared", "clientId": client, "data": data}]).to_string());
        let session = bench.session(client);
        bench.server.deliver(bench.now, session, SERVICE, event_data(&data)).unwrap();
        bench.drain();
        if number % 9 == 0 {
            bench.request("POST", BASE, &json!([connect(client, "7")]).to_string());
        }
        assert_bounded(&bench.server);
    }
    assert!(kept(&bench.server)[5] > 0, "something was kept at all");
    bench.wait(120_000);
    assert_eq!(kept(&bench.server)[..2], [0, 0], "and all of it goes");
    assert_eq!(bench.server.waiting_bytes, 0);
}

#[test]
fn a_flood_leaves_no_more_than_the_bounds() {
    for name in Dialect::names() {
        for (ack, lazy) in [(false, false), (true, false), (false, true), (true, true)] {
            flood(name, ack, lazy);
        }
    }
}

/// A batch of the greatest size, each message of it as much as it can be.
#[test]
fn one_request_leaves_no_more_than_the_bounds() {
    let mut bench = Bench::with(Settings { bounds: BOUNDS, ..Settings::new(BASE) });
    let client = bench.connected();
    let names: Vec<String> = (0..900).map(|part| format!("/{part}")).collect();
    let subscribe = json!({"channel": SUBSCRIBE, "clientId": client, "subscription": names});
    assert_eq!(bench.post_raw(&json!([subscribe]).to_string()).0, 500);
    let publishes: Vec<Value> =
        (0..900).map(|part| json!({"channel": format!("/b{part}"), "clientId": client})).collect();
    assert_eq!(bench.post_raw(&json!(publishes).to_string()).0, 500);
    let publishes: Vec<Value> = (0..1_000).map(|_| json!({"channel": "/0", "clientId": client, "data": 1})).collect();
    assert_eq!(bench.post_raw(&json!(publishes).to_string()).0, 200);
    assert_bounded(&bench.server);
}
