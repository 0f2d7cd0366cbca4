//! One server and whoever talks to it by hand; what crosses is written down as a trace.

use std::fmt::Write as _;
use std::time::Duration;

use protocol::bayeux::dialect::Timing;
use protocol::bayeux::message::{ClientId, Message};
use protocol::bayeux::server::{Server, SessionId, Settings};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Headers, Request, Response, Socket, Wire};
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) const BASE: &str = "/cometd";

pub(crate) struct Talk {
    server: Server,
    now: Time,
    exchanges: u64,
    sockets: u64,
    /// The browser cookie that requests carry.
    pub(crate) cookie: Option<String>,
    /// Secrets with the names that stand for them in the trace.
    names: Vec<(String, String)>,
    trace: String,
    quiet: bool,
}

impl Talk {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            server: Server::new(settings, 7),
            now: Time::ZERO,
            exchanges: 0,
            sockets: 0,
            cookie: None,
            names: Vec::new(),
            trace: String::new(),
            quiet: false,
        }
    }

    pub(crate) fn into_trace(self) -> String {
        self.trace
    }

    /// Talks without writing it down: what leads up to the matter.
    pub(crate) fn quietly<T>(&mut self, talk: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.quiet, true);
        let result = talk(self);
        self.quiet = before;
        result
    }

    fn line(&mut self, line: &str) {
        if !self.quiet {
            let mut line = line.to_owned();
            for (secret, name) in &self.names {
                line = line.replace(secret, name);
            }
            let _ = writeln!(self.trace, "{:>6} {}", self.now.as_millis(), line.trim_end());
        }
    }

    fn feed(&mut self, wire: Wire) -> Vec<Wire> {
        self.server.handle_input(self.now, Input::Wire(wire));
        self.drain()
    }

    fn drain(&mut self) -> Vec<Wire> {
        let mut wires = Vec::new();
        while let Some(output) = self.server.poll_output() {
            if let Output::Wire(wire) = output {
                self.show(&wire);
                wires.push(wire);
            }
        }
        wires
    }

    fn show(&mut self, wire: &Wire) {
        let line = match wire {
            Wire::Response(exchange, response) => format!("<- [{}] {}", exchange.0, shown(response)),
            Wire::Text(socket, text) => format!("<- [ws {}] {text}", socket.0),
            Wire::Close(socket, close) => format!("<- [ws {}] close {} {}", socket.0, close.code, close.reason),
            Wire::Upgraded(socket, _) => format!("<- [ws {}] 101", socket.0),
            Wire::Refused(socket, response) => format!("<- [ws {}] {}", socket.0, shown(response)),
            other => format!("<- {other:?}"),
        };
        self.line(&line);
    }

    /// Writes down what was sent quietly.
    pub(crate) fn tell(&mut self, wires: &[Wire]) {
        for wire in wires {
            self.show(wire);
        }
    }

    /// Sends a request with the cookie, if there is one.
    pub(crate) fn request(&mut self, method: &str, target: &str, headers: Headers, body: &[u8]) -> Vec<Wire> {
        self.exchanges += 1;
        let exchange = Exchange(self.exchanges);
        let cookie = self.cookie.as_ref().map(|cookie| format!("BAYEUX_BROWSER={cookie}"));
        let headers = cookie.iter().fold(headers, |headers, cookie| headers.with("Cookie", cookie));
        let fields: Vec<String> = headers.0.iter().map(|(name, value)| format!(" ({name}: {value})")).collect();
        let text = String::from_utf8_lossy(body);
        self.line(&format!("-> [{}] {method} {target}{} {text}", exchange.0, fields.concat()));
        let target = format!("{BASE}{target}");
        let body = body.to_vec();
        self.feed(Wire::Request(exchange, Request { method: method.to_owned(), target, headers, body }))
    }

    /// Posts a body.
    pub(crate) fn post(&mut self, body: &str) -> Vec<Wire> {
        self.request("POST", "/", Headers::new(), body.as_bytes())
    }

    /// Posts a handshake, keeps the cookie, and calls the session by a name from here on.
    pub(crate) fn handshake(&mut self, name: &str, extra: &str) -> String {
        let wires = self.quietly(|talk| talk.post(&handshake(extra)));
        let client = client_id(&wires);
        self.names.push((client.clone(), name.to_owned()));
        if let [Wire::Response(_, response)] = wires.as_slice()
            && let Some(cookie) = response.headers.get("set-cookie").and_then(|set| set.split(['=', ';']).nth(1))
        {
            self.names.push((cookie.to_owned(), format!("browser of {name}")));
            self.cookie = Some(cookie.to_owned());
        }
        client
    }

    /// Handshakes and connects once.
    pub(crate) fn connected(&mut self, name: &str) -> String {
        let client = self.handshake(name, "");
        self.quietly(|talk| talk.post(&connect(&client, "1")));
        client
    }

    /// Asks for a WebSocket; `None` if it is refused.
    pub(crate) fn open(&mut self) -> Option<Socket> {
        self.sockets += 1;
        let socket = Socket(self.sockets);
        self.line(&format!("-> [ws {}] upgrade", socket.0));
        let request =
            Request { method: "GET".to_owned(), target: BASE.to_owned(), headers: Headers::new(), body: Vec::new() };
        matches!(self.feed(Wire::Upgrade(socket, request)).as_slice(), [Wire::Upgraded(..)]).then_some(socket)
    }

    pub(crate) fn send(&mut self, socket: Socket, text: &str) -> Vec<Wire> {
        self.line(&format!("-> [ws {}] {text}", socket.0));
        self.feed(Wire::Text(socket, text.to_owned()))
    }

    pub(crate) fn send_binary(&mut self, socket: Socket, bytes: &[u8]) -> Vec<Wire> {
        self.line(&format!("-> [ws {}] {} bytes", socket.0, bytes.len()));
        self.feed(Wire::Binary(socket, bytes.to_vec()))
    }

    /// Opens a socket, handshakes and connects once on it. `None`, and a line that says so, if it is refused.
    pub(crate) fn socket_connected(&mut self, name: &str) -> Option<(Socket, String)> {
        let (socket, client) = self.socket_handshaken(name)?;
        self.quietly(|talk| talk.send(socket, &connect(&client, "1")));
        Some((socket, client))
    }

    /// Opens a socket and handshakes on it.
    pub(crate) fn socket_handshaken(&mut self, name: &str) -> Option<(Socket, String)> {
        let Some(socket) = self.quietly(Self::open) else {
            self.line("no websocket");
            return None;
        };
        let wires = self.quietly(|talk| talk.send(socket, &handshake("")));
        let client = client_id(&wires);
        self.names.push((client.clone(), name.to_owned()));
        Some((socket, client))
    }

    /// The connection of the last request breaks.
    pub(crate) fn hang_up(&mut self) {
        self.line(&format!("-> [{}] lost", self.exchanges));
        self.feed(Wire::Broken(Exchange(self.exchanges), Failure::Reset));
    }

    /// The socket breaks.
    pub(crate) fn lose(&mut self, socket: Socket) {
        self.line(&format!("-> [ws {}] lost", socket.0));
        self.feed(Wire::Lost(socket, Failure::Reset));
    }

    /// Lets the time pass that is needed for `millis`, and everything that falls due.
    pub(crate) fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some((at, _)) = self.server.deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = end;
        self.line("..");
    }

    /// The application sends an event to a session.
    pub(crate) fn deliver(&mut self, client: &str, text: &str) {
        self.line(&format!("application: {text} to {client}"));
        let data = RawValue::from_string(Value::from(text).to_string()).expect("a JSON text");
        self.server.deliver(self.now, self.session(client), "/service/x", data).expect("a session");
        self.drain();
    }

    /// The application changes how long the connects of a session are held.
    pub(crate) fn retime(&mut self, client: &str, timeout_ms: u64) {
        self.line(&format!("application: timeout {timeout_ms} for {client}"));
        let timing = Timing { timeout_ms, interval_ms: 0 };
        self.server.retime(self.session(client), Some(timing)).expect("a session");
    }

    /// The application disconnects a session.
    pub(crate) fn disconnect(&mut self, client: &str) {
        self.line(&format!("application: disconnect {client}"));
        self.server.disconnect(self.now, self.session(client)).expect("a session");
        self.drain();
    }

    fn session(&self, client: &str) -> SessionId {
        self.server.session(&ClientId::new(client)).expect("a session")
    }
}

pub(crate) fn handshake(extra: &str) -> String {
    format!(
        r#"[{{"channel":"/meta/handshake","id":"0","version":"1.0","supportedConnectionTypes":["long-polling"]{extra}}}]"#
    )
}

pub(crate) fn connect(client: &str, id: &str) -> String {
    format!("[{}]", connect_message(client, id))
}

pub(crate) fn connect_message(client: &str, id: &str) -> String {
    format!(r#"{{"channel":"/meta/connect","clientId":"{client}","id":"{id}","connectionType":"long-polling"}}"#)
}

pub(crate) fn publish_message(client: &str, id: &str, channel: &str) -> String {
    format!(r#"{{"channel":"{channel}","clientId":"{client}","id":"{id}","data":{id}}}"#)
}

fn client_id(wires: &[Wire]) -> String {
    let body = match wires {
        [Wire::Response(_, response)] => response.body.clone(),
        [Wire::Text(_, text)] => text.clone().into_bytes(),
        other => panic!("one answer, not {other:?}"),
    };
    let replies: Vec<Box<RawValue>> = serde_json::from_slice(&body).expect("an array");
    let reply = replies.into_iter().next().and_then(Message::from_raw).expect("a reply");
    reply.client_id().expect("a clientId").expose().to_owned()
}

/// A response with the headers that are worth a look.
fn shown(response: &Response) -> String {
    let mut text = response.status.to_string();
    for (name, value) in &response.headers.0 {
        if name != "Content-Type" || value.starts_with("text/javascript") {
            let _ = write!(text, " ({name}: {value})");
        }
    }
    format!("{text} {}", String::from_utf8_lossy(&response.body).trim_end())
}
