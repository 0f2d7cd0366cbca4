//! A short chat on either transport, as it crosses the wire.

use std::collections::BTreeMap;

use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Failure, Headers, Request, Response, Side, Socket, Transport, Wire};
use recording::capture::{Capture, Config, Source};
use recording::tape::{Closer, ConnLabel, Finish, Tape};
use recording::token::Key;
use serde_json::{Value, json};

/// The values that two runs of one scenario do not share.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) transport: Transport,
    pub(crate) key: u8,
    /// Goes into every generated id, and shifts times.
    pub(crate) salt: u64,
    /// Whether the acknowledgement of a publish comes before the event.
    pub(crate) ack_first: bool,
}

impl Run {
    pub(crate) const fn new(transport: Transport) -> Self {
        Self { transport, key: 7, salt: 1, ack_first: true }
    }
}

pub(crate) fn config(run: Run) -> Config {
    Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: "2026-11-23T09:00:00Z".to_owned(),
        id: format!("{:032x}", run.salt),
        key: Key::from_bytes([run.key; 32]),
        source: Source::Sim,
        scenario: Some("short chat".to_owned()),
        seed: Some(run.salt),
        env: BTreeMap::from([("service".to_owned(), "customer-support".to_owned())]),
    }
}

/// Builds a conversation message by message; the transport decides what carries them.
pub(crate) struct Builder {
    run: Run,
    at: u64,
    next: u64,
    message: u64,
    pub(crate) entries: Vec<Entry>,
}

impl Builder {
    pub(crate) fn new(run: Run) -> Self {
        let mut builder = Self { run, at: 1_000 * run.salt, next: 1, message: run.salt * 100, entries: Vec::new() };
        if run.transport == Transport::WebSocket {
            let headers = Headers::new().with("Host", "gms.example.org:8080").with("Sec-WebSocket-Key", "c2VjcmV0a2V5");
            let upgrade =
                Request { method: "GET".to_owned(), target: "/genesys/cometd".to_owned(), headers, body: Vec::new() };
            builder.push(Side::Client, Wire::Upgrade(Socket(1), upgrade));
            builder.push(Side::Server, Wire::Upgraded(Socket(1), builder.set_cookie()));
        }
        builder
    }

    fn set_cookie(&self) -> Headers {
        Headers::new()
            .with("Content-Type", "application/json;charset=utf-8")
            .with("Set-Cookie", &format!("BAYEUX_BROWSER=browser-cookie-{}; Path=/; HttpOnly", self.run.salt))
    }

    pub(crate) fn push(&mut self, from: Side, wire: Wire) {
        self.at += 1_500 + self.run.salt;
        self.entries.push(Entry { at: Time::from_micros(self.at), from, wire });
    }

    pub(crate) fn id(&mut self) -> String {
        self.message += 1;
        self.message.to_string()
    }

    /// The client sends, the server answers in so many carriers.
    pub(crate) fn exchange(&mut self, request: &Value, answers: &[Value]) {
        match self.run.transport {
            Transport::WebSocket => {
                self.push(Side::Client, Wire::Text(Socket(1), json!([request]).to_string()));
                for answer in answers {
                    self.push(Side::Server, Wire::Text(Socket(1), json!([answer]).to_string()));
                }
            }
            Transport::LongPolling | Transport::CallbackPolling => {
                let exchange = Exchange(self.next);
                self.next += 1;
                let headers = Headers::new()
                    .with("Host", "gms.example.org:8080")
                    .with("Content-Type", "application/json;charset=UTF-8")
                    .with("Authorization", "Basic c2VjcmV0OnBhc3N3b3Jk");
                let body = json!([request]).to_string().into_bytes();
                let target = "/genesys/cometd/".to_owned();
                let request = Request { method: "POST".to_owned(), target, headers, body };
                self.push(Side::Client, Wire::Request(exchange, request));
                let body = json!(answers).to_string().into_bytes();
                let response = Response { status: 200, headers: self.set_cookie(), body };
                self.push(Side::Server, Wire::Response(exchange, response));
            }
        }
    }

    pub(crate) fn publish(&mut self, data: Value, answer: Value) {
        let id = self.id();
        let request = json!({"id": id, "channel": CHANNEL, "clientId": self.client_id(), "data": data});
        let ack = json!({"channel": CHANNEL, "id": id, "successful": true});
        let event = json!({"channel": CHANNEL, "data": answer});
        let answers = if self.run.ack_first { [ack, event] } else { [event, ack] };
        self.exchange(&request, &answers);
    }

    pub(crate) fn connect(&mut self, with_advice: bool, events: &[Value]) {
        let id = self.id();
        let mut request = json!({"id": id, "channel": "/meta/connect", "clientId": self.client_id(),
            "connectionType": self.run.transport.name()});
        let mut reply = json!({"id": id, "channel": "/meta/connect", "successful": true});
        if with_advice {
            request["advice"] = json!({"timeout": 0});
            reply["advice"] = json!({"interval": 0, "timeout": 30_000, "reconnect": "retry"});
        }
        let mut answers = events.to_vec();
        answers.push(reply);
        self.exchange(&request, &answers);
    }

    pub(crate) fn client_id(&self) -> String {
        format!("client-id-{}", self.run.salt)
    }

    pub(crate) fn envelope(&self, next: u64, ended: bool, events: &[Value]) -> Value {
        let salt = self.run.salt;
        json!({"statusCode": 0, "chatEnded": ended, "secureKey": self.secure_key(), "userId": format!("user-id-{salt}"),
            "chatId": format!("chat-id-{salt}"), "alias": "117", "nextPosition": next, "messages": events})
    }

    pub(crate) fn secure_key(&self) -> String {
        format!("secure-key-{}+/=", self.run.salt)
    }

    pub(crate) fn event(&self, index: u64, kind: &str, who: (&str, u64, &str), text: Option<&str>) -> Value {
        let (nickname, participant, of) = who;
        let mut event = json!({"index": index, "type": kind, "utcTime": 1_700_000_000_000_u64 + self.run.salt * 977 + index,
            "from": {"nickname": nickname, "participantId": participant, "type": of}});
        if let Some(text) = text {
            event["text"] = json!(text);
        }
        event
    }
}

pub(crate) const CHANNEL: &str = "/service/chatV2/customer-support";
const ANN: (&str, u64, &str) = ("Ann Smith", 1, "Client");
const BOB: (&str, u64, &str) = ("Bob Agent", 2, "Agent");

/// Handshake, chat request, a message each way, end.
pub(crate) fn chat(run: Run) -> Vec<Entry> {
    let mut b = Builder::new(run);
    let id = b.id();
    let types = match run.transport {
        Transport::WebSocket => json!(["websocket", "long-polling"]),
        Transport::LongPolling | Transport::CallbackPolling => json!(["long-polling"]),
    };
    b.exchange(
        &json!({"id": id, "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": types}),
        &[json!({"id": id, "channel": "/meta/handshake", "clientId": b.client_id(), "version": "1.0", "successful": true,
            "supportedConnectionTypes": ["long-polling", "websocket"],
            "advice": {"interval": 0, "timeout": 30_000, "reconnect": "retry"}})],
    );
    b.connect(true, &[]);
    let joined = b.envelope(2, false, &[b.event(1, "ParticipantJoined", ANN, None)]);
    b.publish(
        json!({"operation": "requestChat", "nickname": "Ann Smith", "subject": "a lost parcel",
            "emailAddress": "ann@example.org", "userData": {"TimeZone": -60, "customerNumber": "4711-0815"}}),
        joined,
    );
    if run.salt.is_multiple_of(2) {
        b.connect(false, &[]);
    }
    let agent = b.envelope(3, false, &[b.event(2, "ParticipantJoined", BOB, None)]);
    b.connect(false, &[json!({"channel": CHANNEL, "data": agent})]);
    let said = b.envelope(4, false, &[b.event(3, "Message", ANN, Some("where is my parcel?"))]);
    let key = b.secure_key();
    b.publish(json!({"operation": "sendMessage", "message": "where is my parcel?", "secureKey": key}), said);
    let told = b.envelope(5, false, &[b.event(4, "Message", BOB, Some("next to your door"))]);
    b.connect(false, &[json!({"channel": CHANNEL, "data": told})]);
    let ended = b.envelope(6, true, &[b.event(5, "ParticipantLeft", ANN, None)]);
    b.publish(json!({"operation": "disconnect", "secureKey": key}), ended);
    let id = b.id();
    b.exchange(
        &json!({"id": id, "channel": "/meta/disconnect", "clientId": b.client_id()}),
        &[json!({"id": id, "channel": "/meta/disconnect", "successful": true})],
    );
    if run.transport == Transport::WebSocket {
        b.push(Side::Client, Wire::Close(Socket(1), Close { code: 1000, reason: String::new() }));
    }
    b.entries
}

/// One entry of every kind, the odd ones too.
pub(crate) fn zoo() -> Vec<Entry> {
    let mut entries = chat(Run::new(Transport::LongPolling));
    entries.extend(chat(Run::new(Transport::WebSocket)));
    let at = entries.iter().map(|entry| entry.at.as_micros()).max().unwrap_or_default();
    for entry in &mut entries {
        entry.at = Time::from_micros(at);
    }
    entries.extend(odd(at));
    entries
}

/// What is not seen in an ordinary chat.
pub(crate) fn odd(mut at: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    let html = Headers::new().with("Content-Type", "text/html");
    let refused = || Response { status: 503, headers: html.clone(), body: b"<h1>Ann Smith is away</h1>".to_vec() };
    let get = Request {
        method: "GET".to_owned(),
        target: "/genesys/2/chat/chat?secureKey=secure-key-1%2B%2F%3D".to_owned(),
        headers: Headers::new().with("Cookie", "BAYEUX_BROWSER=browser-cookie-1; lb=node7"),
        body: Vec::new(),
    };
    let post = |body: &[u8]| Request { body: body.to_vec(), method: "POST".to_owned(), ..get.clone() };
    let odd = [
        (Side::Client, Wire::Request(Exchange(90), get.clone())),
        (Side::Server, Wire::Response(Exchange(90), refused())),
        (Side::Client, Wire::Request(Exchange(91), post(br#"{"channel":"/meta/connect","id":7}"#))),
        (Side::Server, Wire::Broken(Exchange(91), Failure::Reset)),
        (Side::Client, Wire::Request(Exchange(92), post(b"[]"))),
        (Side::Client, Wire::Broken(Exchange(92), Failure::TimedOut)),
        (Side::Client, Wire::Request(Exchange(93), post(b"[{\"channel\":\"/a\",\"x\":\"\\ud800\"}, not json"))),
        (Side::Client, Wire::Upgrade(Socket(9), get.clone())),
        (Side::Server, Wire::Refused(Socket(9), refused())),
        (Side::Client, Wire::Upgrade(Socket(8), Request { target: "/genesys/cometd".to_owned(), ..post(b"") })),
        (Side::Server, Wire::Upgraded(Socket(8), Headers::new().with("Upgrade", "websocket"))),
        (Side::Client, Wire::Text(Socket(8), String::new())),
        (
            Side::Client,
            Wire::Text(Socket(8), r#"{"channel":"/a","data":{"a":1,"a":2.50,"b":12345678901234567890123}}"#.to_owned()),
        ),
        (Side::Server, Wire::Binary(Socket(8), vec![0, 159, 146, 150])),
        (Side::Server, Wire::Ping(Socket(8), b"beat".to_vec())),
        (Side::Client, Wire::Pong(Socket(8), b"beat".to_vec())),
        (Side::Server, Wire::Close(Socket(8), Close { code: 1011, reason: "Ann Smith".to_owned() })),
        (Side::Client, Wire::Lost(Socket(8), Failure::Protocol)),
    ];
    for (from, wire) in odd {
        at += 10;
        entries.push(Entry { at: Time::from_micros(at), from, wire });
    }
    entries
}

/// The pieces that a recorder would append, one per write.
pub(crate) fn pieces(run: Run, entries: &[Entry], finish: Option<Finish>) -> Vec<Vec<u8>> {
    let (mut capture, header) = Capture::new(config(run));
    let mut pieces = vec![header];
    let first = entries.first().map(|entry| entry.at).unwrap_or_default();
    pieces.push(capture.conn_open(first, ConnLabel(1), "http/1.1", "10.1.2.3:8080", false));
    for entry in entries {
        pieces.push(capture.entry(Some(ConnLabel(1)), entry));
    }
    let last = entries.last().map(|entry| entry.at).unwrap_or_default();
    pieces.push(capture.call(last, "sendMessage", r#"{"message":"Ann Smith was here"}"#));
    pieces.push(capture.timer(last, "retry", Some(last)));
    pieces.push(capture.rand(last, "seed", 7));
    let parameters = BTreeMap::from([("after".to_owned(), "3 bytes".to_owned())]);
    pieces.push(capture.fault(last, "reset", "e2", &parameters));
    pieces.push(capture.clock(last, "2026-11-23T09:00:01Z", -60_000));
    pieces.push(capture.mark(last, "agent leaves"));
    pieces.push(capture.conn_close(last, ConnLabel(1), Closer::Net, Some(Failure::Reset)));
    pieces.extend(finish.map(|finish| capture.finish(last, finish)));
    pieces
}

pub(crate) fn tape(run: Run, entries: &[Entry]) -> Tape {
    Tape::read(&pieces(run, entries, Some(Finish::Complete)).concat()).expect("a written tape is readable")
}
