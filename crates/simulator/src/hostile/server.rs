//! Bytes as what a hostile client does to the fake GMS.
//!
//! | Line | Does |
//! |---|---|
//! | `P NAME` | makes the server one of that profile; only as the first line |
//! | `h` | handshakes as it should be done, on the newest open socket if there is one |
//! | `k` | connects as it should be done |
//! | `s` | asks for a chat as it should be done |
//! | `p BODY` | posts a body |
//! | `g QUERY` | gets the servlet with a query |
//! | `o METHOD TARGET` | sends another request |
//! | `n FIELDS` | posts a form to the API for files |
//! | `m BYTES` | uploads a file as it should be done |
//! | `M BODY` | posts parts between `--b` to the API for files; each `|` is a line break |
//! | `u` | asks for a WebSocket |
//! | `t TEXT` | sends a text on the newest socket |
//! | `b BYTES` | sends a binary message on it |
//! | `c CODE` | closes it |
//! | `l` | loses it |
//! | `x` | gives up the oldest request that is not answered |
//! | `w MILLISECONDS` | lets time pass |
//! | `d` | makes the server disconnect the newest session |
//! | `f` | makes the server forget it |
//!
//! `$client`, `$key`, `$other` and `$file` stand for the newest clientId, the newest secureKey, the clientId before the
//! newest, and the newest file-id. Anything else is a post of the whole line.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::dialect::Dialect;
use protocol::bayeux::http::{self, Cookies};
use protocol::bayeux::message::{ClientId, Message};
use protocol::chat::files::{self, FileOperation, FileRequest, Upload};
use protocol::chat::notification::Notification;
use protocol::machine::{Input, Machine};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Close, Exchange, Failure, Headers, Request, Socket, Wire};

use super::action::{self, Line};
use super::{Fault, Rest, check_size, drain, feed, wires};
use crate::gms::{Gms, Settings};

const SERVICE: &str = "customer-support";

/// Plays bytes as a client against the fake GMS, then waits until nothing is left of it.
///
/// # Errors
///
/// A [`Fault`] of the server.
pub fn server(input: &[u8]) -> Result<(), Fault> {
    let mut lines = action::lines(input).peekable();
    let profile = lines.next_if(|line| line.word == b"P").and_then(|line| std::str::from_utf8(line.rest).ok());
    let dialect = profile.and_then(Dialect::by_name).unwrap_or_else(Dialect::cometd_3_1);
    let mut stage = Stage::new(dialect);
    for line in lines {
        stage.play(line)?;
    }
    check_size(&stage.gms, stage.told)?;
    stage.leave()
}

struct Stage {
    gms: Gms,
    base: String,
    now: Time,
    rest: Rest,
    told: usize,
    requests: u64,
    open: BTreeSet<Exchange>,
    /// Requests that the client gave up. A server that has not noticed yet may still answer.
    given_up: BTreeSet<Exchange>,
    upgrades: u64,
    sockets: BTreeSet<Socket>,
    cookies: Cookies,
    clients: Vec<String>,
    key: String,
    file: String,
}

impl Stage {
    fn new(dialect: Dialect) -> Self {
        let settings = Settings { dialect, ..Settings::new(SERVICE) };
        Self {
            base: settings.base.clone(),
            gms: Gms::new(settings, 1),
            now: Time::ZERO,
            rest: Rest::default(),
            told: 0,
            requests: 0,
            open: BTreeSet::new(),
            given_up: BTreeSet::new(),
            upgrades: 0,
            sockets: BTreeSet::new(),
            cookies: Cookies::new(),
            clients: Vec::new(),
            key: String::new(),
            file: String::new(),
        }
    }

    fn play(&mut self, line: Line<'_>) -> Result<(), Fault> {
        self.told += line.word.len() + line.rest.len();
        let client = self.clients.last().cloned().unwrap_or_default();
        let other = self.clients.iter().rev().nth(1).cloned().unwrap_or_default();
        let fill = |bytes: &[u8]| {
            let values = [("client", &client), ("other", &other), ("key", &self.key), ("file", &self.file)];
            action::fill(bytes, &values.map(|(name, value)| (name, value.as_str())))
        };
        match line.word {
            b"h" => self.say(HANDSHAKE),
            b"k" => self.say(&fill(CONNECT)),
            b"s" => self.say(&fill(REQUEST_CHAT)),
            b"p" => self.post(fill(line.rest)),
            b"g" => {
                let target = format!("{}?{}", self.base, String::from_utf8_lossy(&fill(line.rest)));
                self.request("GET", target, Vec::new())
            }
            b"o" => {
                let text = String::from_utf8_lossy(line.rest).into_owned();
                let (method, target) = text.split_once(' ').unwrap_or((&text, "/"));
                self.request(method, target.to_owned(), Vec::new())
            }
            b"n" => self.post_files(http::FORM_TYPE, fill(line.rest)),
            b"m" => self.upload(line.rest),
            b"M" => {
                let parts = fill(line.rest);
                let breaks = |byte: &u8| if *byte == b'|' { b"\r\n".to_vec() } else { vec![*byte] };
                self.post_files("multipart/form-data; boundary=b", parts.iter().flat_map(breaks).collect())
            }
            b"u" => self.upgrade(),
            b"t" => {
                let text = String::from_utf8_lossy(&fill(line.rest)).into_owned();
                self.on_socket(|socket| Wire::Text(socket, text))
            }
            b"b" => self.on_socket(|socket| Wire::Binary(socket, line.rest.to_vec())),
            b"c" => {
                let code = u16::try_from(action::number(line.rest, 1_000)).unwrap_or(1_000);
                self.end_socket(|socket| Wire::Close(socket, Close { code, reason: String::new() }))
            }
            b"l" => self.end_socket(|socket| Wire::Lost(socket, Failure::Reset)),
            b"x" => match self.open.pop_first() {
                Some(exchange) => {
                    self.given_up.insert(exchange);
                    self.feed(Wire::Broken(exchange, Failure::Aborted))
                }
                None => Ok(()),
            },
            b"w" => self.pass(action::wait(line.rest)),
            b"d" => {
                // A session that is gone cannot be disconnected, and that is all right.
                let _ = self.gms.disconnect(self.now, &ClientId::new(client));
                self.take_outputs()
            }
            b"f" => {
                let _ = self.gms.forget(self.now, &ClientId::new(client));
                self.take_outputs()
            }
            _ => self.post([line.word, b" ", line.rest].concat()),
        }
    }

    /// On the newest socket, or posted where there is none.
    fn say(&mut self, body: &[u8]) -> Result<(), Fault> {
        if self.sockets.is_empty() {
            return self.post(body.to_vec());
        }
        let text = String::from_utf8_lossy(body).into_owned();
        self.on_socket(|socket| Wire::Text(socket, text))
    }

    fn post(&mut self, body: Vec<u8>) -> Result<(), Fault> {
        self.request("POST", self.base.clone(), body)
    }

    fn request(&mut self, method: &str, target: String, body: Vec<u8>) -> Result<(), Fault> {
        self.send(Request { method: method.to_owned(), target, headers: self.headers(http::CONTENT_TYPE), body })
    }

    fn send(&mut self, request: Request) -> Result<(), Fault> {
        self.requests += 1;
        let exchange = Exchange(self.requests);
        self.open.insert(exchange);
        self.feed(Wire::Request(exchange, request))
    }

    fn post_files(&mut self, media_type: &str, body: Vec<u8>) -> Result<(), Fault> {
        let target = files::path(&self.base);
        self.send(Request { method: "POST".to_owned(), target, headers: self.headers(media_type), body })
    }

    fn upload(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let file = Upload { name: "note.txt".to_owned(), media_type: None, bytes: bytes.to_vec() };
        let operation = FileOperation::Upload { file, user_data: serde_json::Map::new(), unnamed: false };
        let form = FileRequest { operation, secure_key: Secret::new(self.key.as_str()) }.to_form();
        let boundary = form.free_boundary();
        let (_, body) = form.to_multipart(&boundary);
        self.post_files(&format!("multipart/form-data; boundary={boundary}"), body)
    }

    fn headers(&self, media_type: &str) -> Headers {
        let headers = Headers::new().with("Content-Type", media_type);
        match self.cookies.header() {
            Some(cookies) => headers.with("Cookie", &cookies),
            None => headers,
        }
    }

    fn upgrade(&mut self) -> Result<(), Fault> {
        self.upgrades += 1;
        let socket = Socket(self.upgrades);
        self.sockets.insert(socket);
        let headers = self.headers(http::CONTENT_TYPE);
        let request = Request { method: "GET".to_owned(), target: self.base.clone(), headers, body: Vec::new() };
        self.feed(Wire::Upgrade(socket, request))
    }

    fn on_socket(&mut self, wire: impl FnOnce(Socket) -> Wire) -> Result<(), Fault> {
        match self.sockets.last() {
            Some(socket) => self.feed(wire(*socket)),
            None => Ok(()),
        }
    }

    fn end_socket(&mut self, wire: impl FnOnce(Socket) -> Wire) -> Result<(), Fault> {
        match self.sockets.pop_last() {
            Some(socket) => self.feed(wire(socket)),
            None => Ok(()),
        }
    }

    fn feed(&mut self, wire: Wire) -> Result<(), Fault> {
        for wire in wires(feed(&mut self.gms, self.now, Input::Wire(wire))?) {
            self.take(wire)?;
        }
        Ok(())
    }

    fn take_outputs(&mut self) -> Result<(), Fault> {
        for wire in wires(drain(&mut self.gms)?) {
            self.take(wire)?;
        }
        Ok(())
    }

    fn pass(&mut self, duration: Duration) -> Result<(), Fault> {
        let end = self.now + duration;
        while let Some((at, _)) = self.gms.deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.rest.timeout(self.now)?;
            for wire in wires(feed(&mut self.gms, self.now, Input::Timeout)?) {
                self.take(wire)?;
            }
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// What the server says, judged and remembered.
    fn take(&mut self, wire: Wire) -> Result<(), Fault> {
        match wire {
            Wire::Response(exchange, response) => {
                self.answered(exchange)?;
                self.cookies.absorb(&response.headers);
                let is_json = http::media_type(&response.headers).is_some_and(|kind| kind == "application/json");
                if response.status == 200 && is_json && !response.body.is_empty() {
                    self.read(&response.body)?;
                    self.file = files::file_id(&response.body).unwrap_or_else(|| std::mem::take(&mut self.file));
                }
            }
            Wire::Broken(exchange, _) => self.answered(exchange)?,
            Wire::Text(socket, text) => {
                self.speaking(socket)?;
                self.read(text.as_bytes())?;
            }
            Wire::Refused(socket, _) | Wire::Close(socket, _) | Wire::Lost(socket, _) => {
                if !self.sockets.remove(&socket) {
                    return Err(Fault::DeadSocket(socket));
                }
            }
            Wire::Upgraded(socket, _) | Wire::Binary(socket, _) | Wire::Ping(socket, _) | Wire::Pong(socket, _) => {
                self.speaking(socket)?;
            }
            Wire::Request(..) | Wire::Upgrade(..) => {
                return Err(Fault::Unreadable("a request of a server".to_owned()));
            }
        }
        Ok(())
    }

    fn answered(&mut self, exchange: Exchange) -> Result<(), Fault> {
        if self.open.remove(&exchange) || self.given_up.remove(&exchange) {
            Ok(())
        } else {
            Err(Fault::AnsweredTwice(exchange))
        }
    }

    fn speaking(&self, socket: Socket) -> Result<(), Fault> {
        if self.sockets.contains(&socket) { Ok(()) } else { Err(Fault::DeadSocket(socket)) }
    }

    fn read(&mut self, body: &[u8]) -> Result<(), Fault> {
        // What a client published comes back with an array around it, so it may be a level deeper than what is taken.
        let limits = Limits { depth: Limits::default().depth + 2, ..Limits::TAKEN };
        let batch = Batch::parse(body, &limits).map_err(|malformed| Fault::Unreadable(malformed.to_string()))?;
        batch.messages.iter().for_each(|message| self.remember(message));
        Ok(())
    }

    fn remember(&mut self, message: &Message) {
        if message.channel() == Some("/meta/handshake")
            && let Some(serde_json::Value::String(client)) = message.value("clientId")
        {
            self.clients.push(client);
        }
        if let Some(key) = message.data().and_then(|data| Notification::parse(data.get()).secure_key) {
            key.expose().clone_into(&mut self.key);
        }
    }

    /// Every socket breaks and nobody comes back: after two hours nothing may be left, but for a connect that asked to
    /// be held for longer. Such a client goes too then, which a server of HTTP notices only at the end of its hold.
    fn leave(mut self) -> Result<(), Fault> {
        for socket in std::mem::take(&mut self.sockets) {
            self.feed(Wire::Lost(socket, Failure::Reset))?;
        }
        self.pass_hours()?;
        if let (Some(exchange), false) = (self.open.first(), self.holds_on()) {
            return Err(Fault::NeverAnswered(*exchange));
        }
        for exchange in std::mem::take(&mut self.open) {
            self.given_up.insert(exchange);
            self.feed(Wire::Broken(exchange, Failure::Aborted))?;
        }
        self.pass_hours()?;
        match self.gms.bayeux().sessions().count() {
            0 => Ok(()),
            _ if self.holds_on() => Ok(()),
            left => Err(Fault::SessionsLeft(left)),
        }
    }

    /// Whether the next thing that is due lies hours ahead, which only a client can have asked for.
    fn holds_on(&self) -> bool {
        self.gms.deadline().is_some_and(|(at, _)| at > self.now + Duration::from_secs(3_600))
    }

    fn pass_hours(&mut self) -> Result<(), Fault> {
        (0..4).try_for_each(|_| self.pass(Duration::from_secs(1_800)))
    }
}

const HANDSHAKE: &[u8] = br#"[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket","long-polling","callback-polling"]}]"#;

const CONNECT: &[u8] =
    br#"[{"id":"2","channel":"/meta/connect","clientId":"$client","connectionType":"long-polling"}]"#;

const REQUEST_CHAT: &[u8] = br#"[{"id":"3","channel":"/service/chatV2/customer-support","clientId":"$client","data":{"operation":"requestChat","nickname":"Ann"}}]"#;

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_second_answer_to_one_request_is_caught() {
        let mut stage = Stage::new(Dialect::cometd_3_1());
        stage.post(HANDSHAKE.to_vec()).unwrap();
        assert_eq!(
            stage.take(Wire::Response(Exchange(1), http::response(&[]))),
            Err(Fault::AnsweredTwice(Exchange(1)))
        );
    }

    #[test]
    fn a_word_on_a_closed_socket_is_caught() {
        let mut stage = Stage::new(Dialect::cometd_3_1());
        stage.upgrade().unwrap();
        stage.end_socket(|socket| Wire::Lost(socket, Failure::Reset)).unwrap();
        assert_eq!(stage.take(Wire::Text(Socket(1), "[]".to_owned())), Err(Fault::DeadSocket(Socket(1))));
    }

    #[test]
    fn a_request_that_is_never_answered_is_caught() {
        let mut stage = Stage::new(Dialect::cometd_3_1());
        stage.open.insert(Exchange(99));
        assert_eq!(stage.leave(), Err(Fault::NeverAnswered(Exchange(99))));
    }

    #[test]
    fn a_body_that_is_no_batch_is_caught() {
        let mut stage = Stage::new(Dialect::cometd_3_1());
        assert!(matches!(stage.read(b"[1]"), Err(Fault::Unreadable(_))));
    }
}
