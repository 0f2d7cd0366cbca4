//! The dialects side by side: one script of stimuli, a trace for each dialect, and a table of who agrees with whom.

use protocol::bayeux::dialect::{Activity, Dialect, Extensions};
use protocol::bayeux::server::{Policy, Settings};
use protocol::wire::{Headers, Wire};
use rstest::rstest;

use crate::talk::{BASE, Talk, connect, connect_message, handshake, publish_message};

/// One row or a few of what differs between generations.
pub(crate) struct Scene {
    pub(crate) title: &'static str,
    settings: fn(&mut Settings),
    play: fn(&mut Talk),
}

const fn scene(title: &'static str, play: fn(&mut Talk)) -> Scene {
    Scene { title, settings: |_| {}, play }
}

const fn scene_with(title: &'static str, settings: fn(&mut Settings), play: fn(&mut Talk)) -> Scene {
    Scene { title, settings, play }
}

pub(crate) const SCENES: &[Scene] = &[
    scene("unknown session", |talk| {
        talk.post(&connect("nobody", "1"));
        talk.post(r#"[{"channel":"/meta/disconnect","clientId":"nobody","id":"2"}]"#);
        talk.post(&format!("[{}]", publish_message("nobody", "3", "/a")));
        talk.post(r#"[{"channel":"/a","id":"4","data":1}]"#);
    }),
    scene("unknown session subscribes", |talk| {
        talk.post(r#"[{"channel":"/meta/subscribe","clientId":"nobody","id":"1","subscription":"/a"}]"#);
    }),
    scene("no channel", |talk| {
        talk.connected("A");
        talk.post(r#"[{"id":"2","data":1}]"#);
    }),
    scene("channel is a number", |talk| {
        talk.connected("A");
        talk.post(r#"[{"channel":5,"id":"2","data":1}]"#);
    }),
    scene("channel with a bad character", |talk| {
        let a = talk.connected("A");
        talk.post(&format!("[{}]", publish_message(&a, "2", "/a<b")));
    }),
    scene("channel without a slash in front", |talk| {
        let a = talk.connected("A");
        talk.post(&format!("[{}]", publish_message(&a, "2", "foo")));
        talk.post(&format!("[{}]", publish_message(&a, "3", "/")));
    }),
    scene("channel with slashes to spare", |talk| {
        let a = talk.connected("A");
        talk.post(&format!("[{}]", publish_message(&a, "2", "/a//b")));
        talk.post(&format!("[{}]", publish_message(&a, "3", "/a/")));
    }),
    scene("meta channel that is none", |talk| {
        let a = talk.connected("A");
        talk.post(&format!("[{}]", publish_message(&a, "2", "/meta/foo")));
    }),
    scene("id with a dash, empty id", |talk| {
        let a = talk.connected("A");
        talk.post(&format!("[{}]", publish_message(&a, "a-b", "/a")).replace("\"data\":a-b", "\"data\":1"));
        talk.post(&format!(r#"[{{"channel":"/a","clientId":"{a}","id":"","data":1}}]"#));
    }),
    scene("id with an odd character", |talk| {
        let a = talk.connected("A");
        talk.post(&format!(r#"[{{"channel":"/a","clientId":"{a}","id":"<","data":1}}]"#));
    }),
    scene("numeric id, no id", |talk| {
        let a = talk.connected("A");
        talk.post(&format!(r#"[{{"channel":"/a","clientId":"{a}","id":5,"data":1}}]"#));
        talk.post(&format!(r#"[{{"channel":"/a","clientId":"{a}","data":1}}]"#));
    }),
    scene("wrong types in advice", |talk| {
        let a = talk.connected("A");
        talk.post(&connect(&a, "2").replace("}]", r#","advice":5}]"#));
        talk.post(&connect(&a, "3").replace("}]", r#","advice":{"timeout":"0"}}]"#));
    }),
    scene("subscriptions that are none", |talk| {
        let a = talk.connected("A");
        subscribe(talk, &a, "2", "null");
        subscribe(talk, &a, "3", "5");
        subscribe(talk, &a, "4", "[]");
    }),
    scene("number in a subscription array", |talk| {
        let a = talk.connected("A");
        subscribe(talk, &a, "2", "[5]");
    }),
    scene("bad character in a subscription", |talk| {
        let a = talk.connected("A");
        subscribe(talk, &a, "2", r#""/a<b""#);
    }),
    scene("wildcard inside a subscription", |talk| {
        let a = talk.connected("A");
        subscribe(talk, &a, "2", r#""/a/*/b""#);
        subscribe(talk, &a, "3", r#""/a/***""#);
    }),
    scene("subscriptions to meta and service channels", |talk| {
        let a = talk.connected("A");
        subscribe(talk, &a, "2", r#""/meta/connect""#);
        subscribe(talk, &a, "3", r#""/meta/foo""#);
        subscribe(talk, &a, "4", r#""/service/x""#);
        subscribe(talk, &a, "5", r#"["/ok1","/meta/connect","/ok2"]"#);
        talk.post(&format!("[{},{}]", publish_message(&a, "6", "/ok1"), publish_message(&a, "7", "/ok2")));
    }),
    scene("unsubscribing from what is not there", |talk| {
        let a = talk.connected("A");
        subscribe(talk, &a, "2", r#""/b""#);
        talk.post(&format!(
            r#"[{{"channel":"/meta/unsubscribe","clientId":"{a}","id":"3","subscription":["/b","/zzz"]}}]"#
        ));
    }),
    scene("unsubscribing from a meta channel", |talk| {
        let a = talk.connected("A");
        talk.post(&format!(
            r#"[{{"channel":"/meta/unsubscribe","clientId":"{a}","id":"2","subscription":"/meta/connect"}}]"#
        ));
    }),
    scene("channel that nobody uses any more", |talk| {
        let a = talk.connected("A");
        let unsubscribe =
            format!(r#"[{{"channel":"/meta/unsubscribe","clientId":"{a}","id":"3","subscription":"/a"}}]"#);
        talk.post(&format!("[{}]", publish_message(&a, "2", "/a")));
        talk.post(&unsubscribe);
        talk.wait(3_000);
        talk.post(&unsubscribe);
    }),
    scene("service that nobody provides", |talk| {
        let a = talk.connected("A");
        talk.post(&format!("[{}]", publish_message(&a, "2", "/service/nobody")));
    }),
    scene("publish to a pattern", |talk| {
        let a = talk.connected("A");
        talk.quietly(|talk| subscribe(talk, &a, "2", r#"["/p/*","/p/**"]"#));
        talk.post(&format!("[{}]", publish_message(&a, "3", "/p/*")));
    }),
    scene("event with all that the publisher gave it, once for all subscriptions", |talk| {
        let a = talk.connected("A");
        talk.quietly(|talk| subscribe(talk, &a, "2", r#"["/p/x","/p/*","/p/**","/**"]"#));
        talk.post(&format!(
            r#"[{{"channel":"/p/x","clientId":"{a}","id":"3","data":1.0,"ext":{{"a":1}},"timestamp":"t","foo":"bar"}}]"#
        ));
    }),
    scene("own event while a connect is held", |talk| {
        let a = talk.connected("A");
        talk.quietly(|talk| subscribe(talk, &a, "2", r#""/a""#));
        talk.post(&connect(&a, "3"));
        talk.post(&format!("[{}]", publish_message(&a, "4", "/a")));
        talk.deliver(&a, "another");
    }),
    scene_with(
        "denied by policy",
        |settings| {
            settings.policy = Policy {
                deny_create: vec!["/new/**".to_owned()],
                deny_publish: vec!["/read-only".to_owned()],
                deny_subscribe: vec!["/secret".to_owned()],
                ..Policy::default()
            };
        },
        |talk| {
            let a = talk.connected("A");
            talk.post(&format!("[{}]", publish_message(&a, "2", "/new/a")));
            talk.post(&format!("[{}]", publish_message(&a, "3", "/read-only")));
            subscribe(talk, &a, "4", r#""/new/a""#);
            subscribe(talk, &a, "5", r#""/secret""#);
        },
    ),
    scene_with(
        "handshake denied by policy",
        |settings| settings.policy.deny_handshakes = true,
        |talk| {
            talk.post(&handshake(""));
        },
    ),
    scene_with(
        "publish vetoed by a listener",
        |settings| settings.policy.veto = vec!["/service/x".to_owned()],
        |talk| {
            let a = talk.connected("A");
            talk.post(&format!("[{}]", publish_message(&a, "2", "/service/x")));
        },
    ),
    scene("handshake over HTTP", |talk| {
        talk.post(&handshake(""));
    }),
    scene("first and second connect", |talk| {
        let a = talk.handshake("A", "");
        talk.post(&connect(&a, "2"));
        talk.post(&connect(&a, "3"));
        talk.wait(4_000);
    }),
    scene("connect with advice", |talk| {
        let a = talk.connected("A");
        talk.post(&connect(&a, "2").replace("}]", r#","advice":{"timeout":500,"interval":100}}]"#));
        talk.wait(500);
        talk.post(&connect(&a, "3").replace("}]", r#","advice":{"timeout":0}}]"#));
    }),
    scene("change of transport", |talk| {
        let a = talk.connected("A");
        let message = encoded(&connect(&a, "2").replace("}]", r#","advice":{"timeout":0}}]"#));
        talk.request("GET", &format!("/?jsonp=cb&message={message}"), Headers::new(), b"");
    }),
    scene("timeout that the application gave", |talk| {
        let a = talk.connected("A");
        talk.retime(&a, 1_000);
        talk.post(&connect(&a, "2"));
        talk.wait(1_000);
        talk.post(&connect(&a, "3"));
        talk.wait(1_000);
    }),
    scene_with(
        "advice with maxInterval",
        |settings| set(settings, "handshakeReconnect", "true"),
        |talk| {
            talk.post(&handshake("").replace("\"id\":\"0\"", "\"id\":\"0\",\"clientId\":\"ignored\""));
        },
    ),
    scene("second connect over HTTP", |talk| {
        let a = talk.connected("A");
        talk.post(&connect(&a, "2"));
        talk.post(&connect(&a, "3"));
        talk.wait(4_000);
    }),
    scene("connect and publish in one request", |talk| {
        let a = talk.connected("A");
        talk.quietly(|talk| subscribe(talk, &a, "2", r#""/a""#));
        talk.post(&format!("[{},{}]", connect_message(&a, "3"), publish_message(&a, "4", "/a")));
        talk.wait(4_000);
    }),
    scene("connect and a silent publish in one request", |talk| {
        let a = talk.connected("A");
        talk.post(&format!("[{},{}]", connect_message(&a, "3"), publish_message(&a, "4", "/a")));
        talk.wait(4_000);
    }),
    scene("two sessions in one request", |talk| {
        let a = talk.connected("A");
        talk.cookie = None;
        let b = talk.connected("B");
        talk.post(&format!("[{},{}]", publish_message(&b, "4", "/a"), publish_message(&a, "5", "/a")));
        talk.post(&format!("[{},{}]", publish_message(&a, "6", "/a"), publish_message(&b, "7", "/a")));
    }),
    scene("session of another browser", |talk| {
        let a = talk.connected("A");
        talk.cookie = Some("another".to_owned());
        talk.post(&format!("[{}]", publish_message(&a, "2", "/a")));
    }),
    scene_with(
        "no cookie where sessions are trusted",
        |settings| set(settings, "trustClientSession", "true"),
        |talk| {
            let a = talk.connected("A");
            talk.cookie = None;
            talk.post(&format!("[{}]", publish_message(&a, "2", "/a")));
        },
    ),
    scene("no cookie", |talk| {
        let a = talk.connected("A");
        talk.cookie = None;
        talk.post(&connect(&a, "2"));
        talk.request("POST", "/", Headers::new().with("Origin", "http://shop"), connect(&a, "3").as_bytes());
        talk.wait(4_000);
    }),
    scene("two sessions of one browser", |talk| {
        let a = talk.connected("A");
        let b = talk.connected("B");
        talk.post(&connect(&a, "2"));
        talk.post(&connect(&b, "2"));
        talk.post(&format!(r#"[{{"channel":"/meta/disconnect","clientId":"{a}","id":"3"}}]"#));
        talk.post(&connect(&b, "3"));
        talk.wait(4_000);
    }),
    scene_with(
        "two sessions of one browser where that is forbidden",
        |settings| settings.dialect.multi_session_interval_ms = 0,
        |talk| {
            let a = talk.connected("A");
            let b = talk.connected("B");
            talk.quietly(|talk| talk.post(&connect(&a, "2")));
            talk.post(&connect(&b, "2"));
        },
    ),
    scene("disconnect over HTTP", |talk| {
        let a = talk.connected("A");
        talk.post(&connect(&a, "2"));
        let disconnect = format!(r#"{{"channel":"/meta/disconnect","clientId":"{a}","id":"3"}}"#);
        talk.post(&format!("[{disconnect},{}]", publish_message(&a, "4", "/a")));
        talk.post(&format!("[{disconnect}]"));
        talk.post(&connect(&a, "5"));
    }),
    scene("disconnect by the server over HTTP", |talk| {
        let a = talk.connected("A");
        talk.post(&connect(&a, "2"));
        talk.disconnect(&a);
    }),
    scene("disconnect by the server with no connect held", |talk| {
        let a = talk.connected("A");
        talk.disconnect(&a);
        talk.post(&connect(&a, "2"));
    }),
    scene_with("lazy event over HTTP", lazy, |talk| {
        let a = talk.connected("A");
        talk.deliver(&a, "lazy");
        talk.post(&format!("[{}]", publish_message(&a, "2", "/a")));
        talk.post(&connect(&a, "3"));
        talk.deliver(&a, "lazy again");
        talk.wait(4_000);
    }),
    scene_with("lazy event on a websocket", lazy, |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.quietly(|talk| talk.send(socket, &connect(&a, "2").replace("}]", r#","advice":{"timeout":9000}}]"#)));
        talk.deliver(&a, "lazy");
        talk.send(socket, &format!("[{}]", publish_message(&a, "3", "/a")));
        talk.wait(5_000);
    }),
    scene("publishes without a connect", |talk| {
        let a = talk.connected("A");
        for id in ["2", "3"] {
            talk.wait(6_000);
            talk.post(&format!("[{}]", publish_message(&a, id, "/a")));
        }
        talk.wait(8_000);
        talk.post(&connect(&a, "4"));
    }),
    scene("HTTP connection lost under a held connect", |talk| {
        let a = talk.connected("A");
        talk.post(&connect(&a, "2"));
        talk.hang_up();
        talk.deliver(&a, "first");
        talk.deliver(&a, "second");
        talk.post(&connect(&a, "3").replace("}]", r#","advice":{"timeout":0}}]"#));
    }),
    scene("truncated JSON", |talk| {
        talk.post(r#"[{"channel":"/a""#);
    }),
    scene("no body", |talk| {
        talk.post("");
    }),
    scene("body []", |talk| {
        talk.post("[]");
    }),
    scene("body null", |talk| {
        talk.post("null");
    }),
    scene("scalars", |talk| {
        talk.post("123");
        talk.post("[1]");
    }),
    scene("body [null]", |talk| {
        talk.post("[null]");
    }),
    scene_with(
        "body over the limit",
        |settings| set(settings, "maxMessageSize", "40"),
        |talk| {
            talk.post(&connect("nobody", "1"));
        },
    ),
    scene("paths", |talk| {
        for target in ["/handshake", "/a/b", "?c=d", "x"] {
            talk.request("POST", target, Headers::new(), connect("nobody", "1").as_bytes());
        }
    }),
    scene("bare object", |talk| {
        talk.post(connect("nobody", "1").trim_matches(['[', ']']));
    }),
    scene("trailing garbage", |talk| {
        talk.post(&format!("{}garbage", connect("nobody", "1")));
    }),
    scene("invalid UTF-8", |talk| {
        talk.request("POST", "/", Headers::new(), b"[{\"channel\":\"/a\",\"id\":\"\xff\"}]");
    }),
    scene("text/plain", |talk| {
        let headers = Headers::new().with("Content-Type", "text/plain");
        talk.request("POST", "/", headers, connect("nobody", "1").as_bytes());
    }),
    scene("form", |talk| {
        let headers = Headers::new().with("Content-Type", "application/x-www-form-urlencoded");
        talk.request("POST", "/", headers, format!("message={}", encoded(&connect("nobody", "1"))).as_bytes());
    }),
    scene("handshake and another", |talk| {
        talk.post(&handshake("").replace("}]", r#"},{"channel":"/a"}]"#));
    }),
    scene("methods", |talk| {
        talk.request("GET", "/", Headers::new(), b"");
        talk.request("PUT", "/", Headers::new(), b"");
        talk.request("OPTIONS", "/", Headers::new(), b"");
    }),
    scene("callback-polling", |talk| {
        let message = encoded(&connect("nobody", "1"));
        talk.request("GET", &format!("/?jsonp=cb&message={message}"), Headers::new(), b"");
        talk.request("GET", "/?jsonp=cb", Headers::new(), b"");
        talk.request("GET", "/?jsonp=cb&message=x", Headers::new(), b"");
    }),
    scene("callback with odd characters", |talk| {
        let message = encoded(&connect("nobody", "1"));
        talk.request("GET", &format!("/?jsonp=a(b&message={message}"), Headers::new(), b"");
    }),
    scene("websocket offered", |talk| {
        talk.open();
    }),
    scene("handshake and connects on a websocket", |talk| {
        let Some((socket, a)) = talk.socket_handshaken("A") else { return };
        talk.send(socket, &connect(&a, "2"));
        talk.send(socket, &connect(&a, "3"));
        talk.wait(4_000);
    }),
    scene("frames that are no batch", |talk| {
        for frame in ["", "null", "[1]", r#"[{"channel":"/a""#, "x"] {
            let Some(socket) = talk.quietly(Talk::open) else { return };
            talk.send(socket, frame);
        }
    }),
    scene("frame []", |talk| {
        if let Some(socket) = talk.quietly(Talk::open) {
            talk.send(socket, "[]");
        }
    }),
    scene("frame with trailing garbage", |talk| {
        if let Some(socket) = talk.quietly(Talk::open) {
            talk.send(socket, &format!("{}garbage", connect("nobody", "1")));
        }
    }),
    scene("frame without a channel", |talk| {
        if let Some(socket) = talk.quietly(Talk::open) {
            talk.send(socket, r#"[{"id":"1"}]"#);
        }
    }),
    scene("frame with a bad channel", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.send(socket, &format!("[{}]", publish_message(&a, "2", "/a<b")));
    }),
    scene("frame with a wildcard inside a subscription", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.send(
            socket,
            &format!(r#"[{{"channel":"/meta/subscribe","clientId":"{a}","id":"2","subscription":"/a/*/b"}}]"#),
        );
    }),
    scene("frame over the limit, and a binary one", |talk| {
        let Some((socket, _)) = talk.socket_connected("A") else { return };
        talk.send_binary(socket, b"[]");
        let wires = talk.quietly(|talk| talk.send(socket, &format!("[{}]", " ".repeat(70_000))));
        talk.tell(&wires);
    }),
    scene("frame with another's session", |talk| {
        let Some((_, a)) = talk.socket_connected("A") else { return };
        let Some((socket, b)) = talk.socket_connected("B") else { return };
        talk.send(socket, &format!("[{},{}]", publish_message(&b, "2", "/a"), publish_message(&a, "3", "/a")));
    }),
    scene("events on a websocket, own and another's", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.quietly(|talk| talk.send(socket, &subscription(&a, "2", r#""/a""#)));
        talk.send(socket, &connect(&a, "3"));
        talk.send(socket, &format!("[{},{}]", publish_message(&a, "4", "/a"), publish_message(&a, "5", "/a")));
        talk.deliver(&a, "another");
        talk.wait(4_000);
    }),
    scene("second connect on a websocket", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.send(socket, &connect(&a, "2"));
        talk.wait(1_000);
        talk.send(socket, &connect(&a, "3"));
        talk.wait(4_000);
    }),
    scene_with(
        "second connect on a websocket, maxInterval below timeout",
        |settings| settings.dialect.max_interval_ms = 3_000,
        |talk| {
            let Some((socket, a)) = talk.socket_connected("A") else { return };
            talk.send(socket, &connect(&a, "2"));
            talk.wait(1_000);
            talk.send(socket, &connect(&a, "3"));
            talk.wait(4_000);
        },
    ),
    scene("connect and publish in one frame", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.quietly(|talk| talk.send(socket, &subscription(&a, "2", r#""/a""#)));
        talk.send(socket, &format!("[{},{}]", connect_message(&a, "3"), publish_message(&a, "4", "/a")));
        talk.wait(4_000);
    }),
    scene_with(
        "connect and publish in one frame, maxInterval below timeout",
        |settings| settings.dialect.max_interval_ms = 3_000,
        |talk| {
            let Some((socket, a)) = talk.socket_connected("A") else { return };
            talk.send(socket, &format!("[{},{}]", connect_message(&a, "3"), publish_message(&a, "4", "/a")));
            talk.wait(4_000);
        },
    ),
    scene("session moves to another websocket", |talk| {
        let Some((old, a)) = talk.socket_connected("A") else { return };
        talk.send(old, &connect(&a, "2"));
        let Some(new) = talk.open() else { return };
        talk.send(new, &connect(&a, "3"));
        talk.deliver(&a, "event");
        talk.wait(4_000);
    }),
    scene("disconnect on a websocket", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.send(socket, &connect(&a, "2"));
        talk.send(socket, &format!(r#"[{{"channel":"/meta/disconnect","clientId":"{a}","id":"3"}}]"#));
    }),
    scene("disconnect by the server on a websocket", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.send(socket, &connect(&a, "2"));
        talk.disconnect(&a);
    }),
    scene("event before the first connect on a websocket", |talk| {
        let Some((socket, a)) = talk.socket_handshaken("A") else { return };
        talk.deliver(&a, "early");
        talk.send(socket, &connect(&a, "2"));
    }),
    scene("event between the first connect and the next on a websocket", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.deliver(&a, "early");
        talk.send(socket, &connect(&a, "2"));
        talk.wait(4_000);
        talk.deliver(&a, "later");
    }),
    scene("websocket without a connect", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.wait(8_000);
        talk.send(socket, &connect(&a, "2"));
    }),
    scene_with("session swept under its connect", set_silence, |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.send(socket, &connect(&a, "2"));
        talk.wait(4_000);
    }),
    scene("events while the websocket is gone", |talk| {
        let Some((socket, a)) = talk.socket_connected("A") else { return };
        talk.send(socket, &connect(&a, "2"));
        talk.lose(socket);
        talk.deliver(&a, "first");
        talk.deliver(&a, "second");
        let Some(socket) = talk.open() else { return };
        talk.send(socket, &connect(&a, "3").replace("}]", r#","advice":{"timeout":0}}]"#));
    }),
    scene_with(
        "ack",
        |settings| settings.dialect.options.extensions.ack = true,
        |talk| {
            let a = talk.handshake("A", r#","ext":{"ack":true}"#);
            let connect = |id: &str, ack: &str| connect(&a, id).replace("}]", &format!(r#","ext":{{"ack":{ack}}}}}]"#));
            talk.post(&connect("2", "0"));
            talk.quietly(|talk| subscribe(talk, &a, "3", r#""/a""#));
            talk.post(&format!("[{},{}]", publish_message(&a, "4", "/a"), publish_message(&a, "5", "/a")));
            talk.post(&connect("6", "1"));
            talk.post(&format!("[{}]", publish_message(&a, "7", "/a")));
            talk.post(&connect("8", "1"));
            talk.post(&connect("9", "2"));
            talk.post(&connect("10", "4"));
            talk.deliver(&a, "released");
        },
    ),
    scene_with(
        "timestamp, timesync and activity",
        |settings| {
            settings.dialect.options.extensions = Extensions {
                ack: false,
                timestamp: true,
                timesync: true,
                activity: Some(Activity { server_counts: false, max_inactivity_ms: 5_000 }),
            };
        },
        |talk| {
            let a = talk.handshake("A", "");
            talk.post(&connect(&a, "2").replace("}]", r#","ext":{"timesync":{"tc":1000,"l":0,"o":0}}}]"#));
            talk.post(&connect(&a, "3").replace("}]", r#","ext":{"timesync":{"tc":1000}}}]"#));
            talk.wait(4_000);
            talk.wait(2_000);
            talk.post(&connect(&a, "4"));
        },
    ),
];

/// Sets an option, where the generation has it.
fn set(settings: &mut Settings, name: &str, value: &str) {
    if settings.dialect.settings().any(|setting| setting.name == name) {
        settings.dialect.set(name, value).expect("a value of its type");
    }
}

fn lazy(settings: &mut Settings) {
    settings.lazy = vec!["/service/**".to_owned()];
}

fn set_silence(settings: &mut Settings) {
    for name in ["maxServerInterval", "maxProcessing"] {
        set(settings, name, "3000");
    }
}

fn subscription(client: &str, id: &str, to: &str) -> String {
    format!(r#"[{{"channel":"/meta/subscribe","clientId":"{client}","id":"{id}","subscription":{to}}}]"#)
}

fn subscribe(talk: &mut Talk, client: &str, id: &str, to: &str) -> Vec<Wire> {
    talk.post(&subscription(client, id, to))
}

/// A text as the value of a parameter.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// Plays a scene on a server that was just started, with short times.
pub(crate) fn play(scene: &Scene, name: &str) -> String {
    let mut dialect = Dialect::by_name(name).expect("a known dialect");
    dialect.timeout_ms = 4_000;
    dialect.max_interval_ms = 8_000;
    let mut settings = Settings { dialect, ..Settings::new(BASE) };
    (scene.settings)(&mut settings);
    let mut talk = Talk::new(settings);
    (scene.play)(&mut talk);
    talk.into_trace()
}

#[rstest]
fn each_profile_has_its_own_trace(
    #[values("cometd-2.9", "cometd-3.0", "cometd-3.1", "cometd-4.0.0", "cometd-4.0.4", "cometd-5.0")] name: &str,
) {
    let traces: Vec<String> = SCENES.iter().map(|scene| format!("# {}\n{}", scene.title, play(scene, name))).collect();
    insta::assert_snapshot!(name, traces.join("\n"));
}

/// A letter for each dialect, the oldest first; the same letter for the same trace.
#[test]
fn the_profiles_agree_where_nothing_is_known_to_differ() {
    let mut table = String::new();
    for scene in SCENES {
        let traces: Vec<String> = Dialect::names().map(|name| play(scene, name)).collect();
        let mut seen: Vec<&str> = Vec::new();
        let letters: String = traces
            .iter()
            .map(|trace| {
                let known = seen.iter().position(|seen| seen == trace).unwrap_or_else(|| {
                    seen.push(trace);
                    seen.len() - 1
                });
                char::from(b'A' + u8::try_from(known).expect("six dialects"))
            })
            .collect();
        table += &format!("{letters} {}\n", scene.title);
    }
    insta::assert_snapshot!(table);
}
