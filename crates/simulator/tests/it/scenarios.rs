//! Every scenario with a client that shows its point: what is seen on the wire, and what the server tells of it.

use insta::assert_snapshot;
use protocol::chat::files::{FileOperation, Upload};
use serde_json::{Map, Value, json};
use simulator::gms::{Gms, Settings};
use simulator::scenario::{self, Scenario};

use crate::bench::Bench;

const SERVICE: &str = "support";

fn bench(scenario: Scenario) -> Bench {
    let settings = scenario.setup().unwrap().apply(Settings::new(SERVICE));
    Bench::new(Gms::new(settings, 7))
}

/// What the client does in a scenario.
fn drive(name: &str, bench: &mut Bench) {
    match name {
        "agent-closes" => agent_closes(bench),
        "agents" => started(bench, 5_000),
        "background" => background(bench),
        "balancer-scattered" => scattered(bench),
        "chat-server-fail-over" | "chat-server-outage" | "chat-server-outage-untold" => outage(bench),
        "expired-session" | "node-switch" => restored(bench),
        "files" => files(bench),
        "idle" => started(bench, 6_000),
        "inactivity" => inactivity(bench, 45_000),
        "inactivity-300" => inactivity(bench, 300_000),
        "key-isolation" => isolation(bench),
        "key-renewal" => renewal(bench),
        "key-removes-victim" => removal(bench),
        "notification-mode-off" => started(bench, 1_000),
        "notification-mode-refused" => bench.open("ann"),
        "operations" => operations(bench),
        "positions" | "positions-exclusive" => positions(bench),
        "push" => push(bench),
        "two-chats-one-connection" => two_chats(bench),
        "two-connections-one-key" | "two-connections-shared" => two_connections(bench),
        "unknown-service" | "unknown-service-fails" => unknown_service(bench),
        other => panic!("nobody drives scenario `{other}`"),
    }
}

#[test]
fn every_scenario_shows_what_it_says() {
    for scenario in scenario::ALL {
        let mut bench = bench(*scenario);
        drive(scenario.name, &mut bench);
        let shown = format!("{}\n\n{}", scenario.setup().unwrap().about, bench.transcript());
        insta::with_settings!({snapshot_suffix => scenario.name}, {
            assert_snapshot!("scenario", shown);
        });
    }
}

fn request(bench: &mut Bench, client: &'static str, data: Value) {
    bench.publish(client, SERVICE, data);
}

/// Ann begins a chat, and time passes.
fn started(bench: &mut Bench, millis: u64) {
    bench.open("ann");
    request(bench, "ann", json!({"operation": "requestChat", "nickname": "Ann"}));
    bench.pass(millis);
}

fn say(bench: &mut Bench, client: &'static str, key: usize, text: &str) {
    let data = json!({"operation": "sendMessage", "secureKey": bench.key(key), "message": text});
    request(bench, client, data);
}

fn from(bench: &mut Bench, client: &'static str, key: usize, position: Value) {
    let mut data = json!({"operation": "requestNotifications", "secureKey": bench.key(key)});
    if !position.is_null() {
        data["transcriptPosition"] = position;
    }
    request(bench, client, data);
}

fn end(bench: &mut Bench, client: &'static str, key: usize) {
    let data = json!({"operation": "disconnect", "secureKey": bench.key(key)});
    request(bench, client, data);
}

fn agent_closes(bench: &mut Bench) {
    started(bench, 3_000);
    say(bench, "ann", 1, "too late");
}

fn background(bench: &mut Bench) {
    started(bench, 1_000);
    bench.leave("ann", json!({"transcriptPosition": "3"}));
    bench.pass(100_000);
    bench.open("ann");
    from(bench, "ann", 1, json!("3"));
}

fn scattered(bench: &mut Bench) {
    for _ in 0..2 {
        let types = ["long-polling"];
        bench.post("ann", json!({"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": types}));
        bench.post("ann", json!({"channel": "/meta/connect", "connectionType": "long-polling"}));
    }
}

fn outage(bench: &mut Bench) {
    started(bench, 1_490);
    say(bench, "ann", 1, "Is anybody there?");
    bench.pass(2_490);
    say(bench, "ann", 1, "Is anybody there?");
    bench.pass(1_000);
    end(bench, "ann", 1);
}

fn restored(bench: &mut Bench) {
    started(bench, 2_990);
    say(bench, "ann", 1, "A request alone attaches nothing.");
    from(bench, "ann", 1, json!(3));
    end(bench, "ann", 1);
}

fn files(bench: &mut Bench) {
    started(bench, 1_000);
    let key = bench.key(1);
    let upload = |name: &str, bytes: &[u8]| FileOperation::Upload {
        file: Upload { name: name.to_owned(), media_type: Some("text/plain".to_owned()), bytes: bytes.to_vec() },
        user_data: Map::new(),
        unnamed: false,
    };
    bench.files("ann", &key, FileOperation::GetLimits { misspelt: false });
    bench.files("ann", &key, upload("a.txt", b"hello"));
    let file_id = bench.last["messages"][0]["userData"]["file-id"].as_str().unwrap().to_owned();
    bench.files("ann", &key, upload("b.exe", b"hello"));
    bench.files("ann", &key, upload("b.txt", b"more than 16 bytes"));
    for _ in 0..3 {
        bench.files("ann", &key, FileOperation::Download { file_id: file_id.clone() });
    }
    bench.files("ann", &key, FileOperation::Delete { file_id: file_id.clone() });
    bench.files("ann", &key, FileOperation::Delete { file_id });
    bench.files("ann", &json!("guess"), FileOperation::GetLimits { misspelt: true });
}

fn inactivity(bench: &mut Bench, millis: u64) {
    started(bench, 1_000);
    bench.leave("ann", Value::Null);
    bench.pass(millis - 1_000);
    bench.open("ann");
    from(bench, "ann", 1, json!(3));
    bench.leave("ann", Value::Null);
    bench.pass(millis);
    bench.open("ann");
    from(bench, "ann", 1, json!(3));
}

fn isolation(bench: &mut Bench) {
    started(bench, 0);
    bench.open("bob");
    bench.publish("bob", "sales", json!({"operation": "requestChat", "nickname": "Bob"}));
    bench.pass(2_000);
    from(bench, "ann", 2, json!(0));
    let data = json!({"operation": "sendMessage", "secureKey": bench.key(1), "message": "from Bob"});
    bench.publish("bob", "sales", data);
    from(bench, "ann", 1, json!(0));
}

fn renewal(bench: &mut Bench) {
    started(bench, 1_000);
    from(bench, "ann", 1, json!(3));
    say(bench, "ann", 1, "The old key is good still.");
    say(bench, "ann", 2, "The new key is used.");
    say(bench, "ann", 1, "The old key is void.");
}

fn removal(bench: &mut Bench) {
    started(bench, 1_000);
    let user_id = bench.last["userId"].clone();
    bench.open("eve");
    let data = json!({"operation": "sendMessage", "secureKey": "guess", "userId": user_id, "message": "x"});
    request(bench, "eve", data);
    say(bench, "ann", 1, "Am I still here?");
}

fn operations(bench: &mut Bench) {
    started(bench, 1_000);
    let key = bench.key(1);
    for (operation, more) in [
        ("startTyping", json!({"message": "hel"})),
        ("stopTyping", json!({})),
        ("sendMessage", json!({"message": "hello", "messageType": "text"})),
        ("customNotice", json!({"message": "notice"})),
        ("pushUrl", json!({"pushUrl": "https://shop.example/"})),
        ("updateNickname", json!({"nickname": "Anna"})),
        ("updateData", json!({"userData": {"colour": "red"}})),
        ("readReceipt", json!({"transcriptPosition": 4})),
        ("sendMessage", json!({})),
        ("updateData", json!({"userData": []})),
        ("refresh", json!({})),
        ("requestNotifications", json!({"transcriptPosition": 0})),
        ("disconnect", json!({})),
        ("disconnect", json!({})),
    ] {
        let mut data = json!({"operation": operation, "secureKey": key});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request(bench, "ann", data);
    }
    request(bench, "ann", json!({"secureKey": key}));
    request(bench, "ann", json!([]));
}

fn positions(bench: &mut Bench) {
    started(bench, 1_000);
    for position in [json!(4), json!("4"), json!(0), Value::Null, json!(-1), json!(6), json!(99)] {
        from(bench, "ann", 1, position);
    }
}

fn push(bench: &mut Bench) {
    bench.open("ann");
    let user_data = json!({"push_notification_deviceid": "d1", "push_notification_type": "fcm"});
    request(bench, "ann", json!({"operation": "requestChat", "nickname": "Ann", "userData": user_data}));
    bench.pass(1_000);
    bench.leave("ann", Value::Null);
    bench.pass(60_000);
    bench.open("ann");
    from(bench, "ann", 1, json!(3));
}

fn two_chats(bench: &mut Bench) {
    started(bench, 0);
    request(bench, "ann", json!({"operation": "requestChat", "nickname": "Ann"}));
    bench.pass(2_000);
    end(bench, "ann", 1);
    say(bench, "ann", 2, "This chat goes on.");
}

fn two_connections(bench: &mut Bench) {
    started(bench, 1_000);
    bench.open("window");
    from(bench, "window", 1, json!(0));
    bench.pass(2_000);
    say(bench, "ann", 1, "From the first.");
}

fn unknown_service(bench: &mut Bench) {
    bench.open("ann");
    bench.publish("ann", "nobody", json!({"operation": "requestChat", "nickname": "Ann"}));
    bench.pass(1_000);
}
