//! Raw clients on one fake GMS in virtual time, without a network between them: what they send is written by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::http::{self, Cookies};
use protocol::bayeux::message::Message;
use protocol::chat::files::{FileOperation, FileRequest};
use protocol::machine::{Input, Machine, Output};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Side, Socket, Wire};
use serde_json::{Value, json};
use simulator::gms::Gms;
use simulator::trace;

const BASE: &str = "/genesys/cometd";

/// One client: a browser with its cookies and its current session.
#[derive(Default)]
struct Raw {
    cookies: Cookies,
    socket: Option<Socket>,
    client_id: String,
    /// Whether it sends the next connect by itself.
    left: bool,
}

/// A fake GMS and its clients, by name.
pub(crate) struct Bench {
    gms: Gms,
    now: Time,
    clients: BTreeMap<&'static str, Raw>,
    sockets: BTreeMap<Socket, &'static str>,
    exchanges: BTreeMap<Exchange, &'static str>,
    /// Every key, in the order in which they were first seen.
    keys: Vec<String>,
    /// The `data` of what was delivered last.
    pub(crate) last: Value,
    entries: Vec<Entry>,
    log: Vec<String>,
    counter: u64,
}

impl Bench {
    pub(crate) fn new(gms: Gms) -> Self {
        Self {
            gms,
            now: Time::ZERO,
            clients: BTreeMap::new(),
            sockets: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            keys: Vec::new(),
            last: Value::Null,
            entries: Vec::new(),
            log: Vec::new(),
            counter: 0,
        }
    }

    /// What was seen, but for connects that were answered in the ordinary way, and what the server told.
    pub(crate) fn transcript(&self) -> String {
        let is_idle = |entry: &&Entry| {
            let messages = Batch::carried(&entry.wire);
            let ordinary =
                |message: &Message| message.channel() == Some("/meta/connect") && message.successful() != Some(false);
            matches!(entry.wire, Wire::Text(..)) && !messages.is_empty() && messages.iter().all(ordinary)
        };
        let entries: Vec<Entry> = self.entries.iter().filter(|entry| !is_idle(entry)).cloned().collect();
        format!("{}\n{}", trace::render(&entries), self.log.join("\n"))
    }

    /// The key that was the n-th to be seen, from 1.
    pub(crate) fn key(&self, number: usize) -> Value {
        self.keys[number - 1].as_str().into()
    }

    /// Opens a WebSocket, shakes hands and stays connected.
    pub(crate) fn open(&mut self, name: &'static str) {
        self.counter += 1;
        let socket = Socket(self.counter);
        let client = self.clients.entry(name).or_default();
        client.socket = Some(socket);
        client.left = false;
        let upgrade = http::upgrade(BASE, &client.cookies);
        self.sockets.insert(socket, name);
        self.send(Wire::Upgrade(socket, upgrade));
        self.shake_hands(name);
    }

    fn shake_hands(&mut self, name: &'static str) {
        let handshake = json!({
            "channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["websocket"],
        });
        self.say(name, handshake);
    }

    /// Publishes on the channel of a service.
    pub(crate) fn publish(&mut self, name: &'static str, service: &str, data: Value) {
        let client_id = self.clients[name].client_id.clone();
        let channel = format!("/service/chatV2/{service}");
        self.say(name, json!({"channel": channel, "clientId": client_id, "data": data}));
        self.pass(10);
    }

    /// Says `/meta/disconnect`, with this `ext`.
    pub(crate) fn leave(&mut self, name: &'static str, ext: Value) {
        let client = self.clients.get_mut(name).unwrap();
        client.left = true;
        let mut message = json!({"channel": "/meta/disconnect", "clientId": client.client_id});
        if !ext.is_null() {
            message["ext"] = ext;
        }
        self.say(name, message);
        self.pass(10);
    }

    /// Says one message over the WebSocket, with the next id.
    fn say(&mut self, name: &'static str, mut message: Value) {
        self.counter += 1;
        message["id"] = self.counter.to_string().into();
        let socket = self.clients[name].socket.unwrap();
        self.send(Wire::Text(socket, json!([message]).to_string()));
    }

    /// Posts one message over HTTP, with the clientId of the last handshake.
    pub(crate) fn post(&mut self, name: &'static str, mut message: Value) {
        self.counter += 1;
        let exchange = Exchange(self.counter);
        message["id"] = self.counter.to_string().into();
        let client = self.clients.entry(name).or_default();
        if message["channel"] != "/meta/handshake" {
            message["clientId"] = client.client_id.as_str().into();
        }
        let message = Message::parse(&message.to_string()).unwrap();
        let request = http::request(BASE, &[message], &client.cookies);
        self.exchanges.insert(exchange, name);
        self.send(Wire::Request(exchange, request));
        self.pass(10);
    }

    /// Asks the file API.
    pub(crate) fn files(&mut self, name: &'static str, key: &Value, operation: FileOperation) {
        self.counter += 1;
        let exchange = Exchange(self.counter);
        let form = FileRequest { operation, secure_key: Secret::new(key.as_str().unwrap()) }.to_form();
        let (headers, body) = form.to_urlencoded().unwrap_or_else(|| form.to_multipart("b0"));
        let target = "/genesys/2/chat-ntf".to_owned();
        self.exchanges.insert(exchange, name);
        let request = protocol::wire::Request { method: "POST".to_owned(), target, headers, body };
        self.send(Wire::Request(exchange, request));
        self.pass(10);
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some((at, _)) = self.gms.deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.gms.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = end;
    }

    fn send(&mut self, wire: Wire) {
        self.entries.push(Entry { at: self.now, from: Side::Client, wire: wire.clone() });
        self.gms.handle_input(self.now, Input::Wire(wire));
        self.drain();
    }

    fn drain(&mut self) {
        let mut received = Vec::new();
        while let Some(output) = self.gms.poll_output() {
            match output {
                Output::Wire(wire) => {
                    self.entries.push(Entry { at: self.now, from: Side::Server, wire: wire.clone() });
                    received.push(wire);
                }
                Output::Event(event) => self.log.push(format!("{:>9} {event}", self.now.to_string())),
            }
        }
        for wire in received {
            self.receive(&wire);
        }
    }

    fn receive(&mut self, wire: &Wire) {
        let by_exchange = wire.exchange().and_then(|exchange| self.exchanges.get(&exchange));
        let name = by_exchange.or_else(|| self.sockets.get(&wire.socket()?)).copied().unwrap();
        match wire {
            Wire::Upgraded(_, headers) => self.clients.get_mut(name).unwrap().cookies.absorb(headers),
            Wire::Response(_, response) => self.clients.get_mut(name).unwrap().cookies.absorb(&response.headers),
            Wire::Lost(..) => self.open(name),
            _ => {}
        }
        let over_socket = matches!(wire, Wire::Text(..));
        for message in Batch::carried(wire) {
            self.take(name, &message, over_socket);
        }
    }

    fn take(&mut self, name: &'static str, message: &Message, over_socket: bool) {
        if let Some(data) = message.data() {
            self.last = serde_json::from_str(data.get()).unwrap();
            let key = self.last["secureKey"].as_str().map(str::to_owned);
            self.keys.extend(key.filter(|key| !self.keys.contains(key)));
            return;
        }
        let client = self.clients.get_mut(name).unwrap();
        let refused = message.successful() == Some(false);
        match message.channel() {
            Some("/meta/handshake") if !refused => {
                client.client_id = message.client_id().unwrap().expose().to_owned();
                if over_socket {
                    self.connect(name);
                }
            }
            Some("/meta/connect") if over_socket && !client.left => {
                if refused {
                    self.shake_hands(name)
                } else {
                    self.connect(name)
                }
            }
            _ => {}
        }
    }

    fn connect(&mut self, name: &'static str) {
        let client_id = self.clients[name].client_id.clone();
        self.say(name, json!({"channel": "/meta/connect", "clientId": client_id, "connectionType": "websocket"}));
    }
}
