//! Bytes as what a hostile server does to the chat client.
//!
//! | Line | Does |
//! |---|---|
//! | `T NAME` | the only transport of the client; only as the first line, without it WebSocket and long-polling |
//! | `A` | gives the client all extensions; only as the first line or behind `T` |
//! | `+` | answers the oldest thing that the client waits for, as it should be answered |
//! | `200 BODY`, any status | answers it with a status and a body; on a socket with a text |
//! | `t TEXT` | says a text on the newest socket, asked or not |
//! | `b BYTES` | says a binary message on it |
//! | `c CODE` | closes it |
//! | `l` | breaks the oldest request, or the newest socket where there is none |
//! | `w MILLISECONDS` | lets time pass |
//! | `s`, `m`, `e`, `q` | the application starts a chat, says something, ends the chat, leaves |
//!
//! `$id`, `$channel` and `$client` stand for the id and the channel of the oldest message that waits for a reply and for
//! the clientId. Anything else answers with status 200 and the whole line.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::client::{Config as BayeuxConfig, Extensions};
use protocol::bayeux::http;
use protocol::bayeux::message::Message;
use protocol::chat::client::{Client, Config};
use protocol::chat::operation::RequestChat;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Close, Exchange, Failure, Headers, Response, Socket, Transport, Wire};
use serde_json::{Value, json};

use super::action::{self, Line};
use super::{Fault, Rest, check_size, drain, feed};

const CLIENT: &str = "c1";

/// Plays bytes as a server against the chat client, then answers it rightly for a while.
///
/// # Errors
///
/// A [`Fault`] of the client.
pub fn client(input: &[u8]) -> Result<(), Fault> {
    let mut lines = action::lines(input).peekable();
    let transports = match lines.next_if(|line| line.word == b"T") {
        Some(line) if line.rest == b"websocket" => vec![Transport::WebSocket],
        Some(line) if line.rest == b"long-polling" => vec![Transport::LongPolling],
        Some(line) if line.rest == b"callback-polling" => vec![Transport::CallbackPolling],
        _ => vec![Transport::WebSocket, Transport::LongPolling],
    };
    let extended = lines.next_if(|line| line.word == b"A").is_some();
    let extensions = Extensions { ack: extended, timestamp: extended, timesync: extended };
    play(BayeuxConfig { extensions, ..BayeuxConfig::new("/genesys/cometd", &transports) }, lines)
}

fn play<'a>(config: BayeuxConfig, lines: impl Iterator<Item = Line<'a>>) -> Result<(), Fault> {
    let mut stage = Stage::new(config);
    stage.client.connect(stage.now);
    stage.take_outputs()?;
    for line in lines {
        stage.play(line)?;
    }
    check_size(&stage.client, stage.told)?;
    stage.recover()
}

/// Something that the client waits for.
#[derive(Debug)]
enum Asked {
    /// A request, with the function to call if it came by callback-polling.
    Exchange(Exchange, Vec<Message>, Option<String>),
    Upgrade(Socket),
    Frame(Socket, Vec<Message>),
}

struct Stage {
    client: Client,
    now: Time,
    rest: Rest,
    told: usize,
    asked: VecDeque<Asked>,
    last_exchange: Exchange,
    sockets: BTreeSet<Socket>,
    index: u64,
}

impl Stage {
    fn new(bayeux: BayeuxConfig) -> Self {
        Self {
            client: Client::new(Config::new(bayeux, "customer-support")),
            now: Time::ZERO,
            rest: Rest::default(),
            told: 0,
            asked: VecDeque::new(),
            last_exchange: Exchange(0),
            sockets: BTreeSet::new(),
            index: 0,
        }
    }

    fn play(&mut self, line: Line<'_>) -> Result<(), Fault> {
        self.told += line.word.len() + line.rest.len();
        match line.word {
            b"+" => self.answer_rightly(),
            b"t" => {
                let text = String::from_utf8_lossy(&self.fill(line.rest)).into_owned();
                self.on_socket(|socket| Wire::Text(socket, text))
            }
            b"b" => self.on_socket(|socket| Wire::Binary(socket, line.rest.to_vec())),
            b"c" => {
                let code = u16::try_from(action::number(line.rest, 1_000)).unwrap_or(1_000);
                self.end_socket(|socket| Wire::Close(socket, Close { code, reason: "so".to_owned() }))
            }
            b"l" => self.lose(),
            b"w" => self.pass(action::wait(line.rest)),
            // An application may do these at a bad moment; then it is told so, and nothing else happens.
            b"s" => {
                let request = RequestChat { nickname: Some("Ann".to_owned()), ..RequestChat::default() };
                let _ = self.client.start(self.now, request);
                self.take_outputs()
            }
            b"m" => {
                let _ = self.client.send(self.now, "hello");
                self.take_outputs()
            }
            b"e" => {
                let _ = self.client.end(self.now);
                self.take_outputs()
            }
            b"q" => {
                self.client.leave(self.now);
                self.take_outputs()
            }
            [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
                let status = u16::try_from(action::number(line.word, 200)).unwrap_or(200);
                let body = self.fill(line.rest);
                self.answer(status, body)
            }
            _ => {
                let body = self.fill(&[line.word, b" ", line.rest].concat());
                self.answer(200, body)
            }
        }
    }

    fn fill(&self, bytes: &[u8]) -> Vec<u8> {
        let first = self.asked.front().and_then(|asked| match asked {
            Asked::Exchange(_, messages, _) | Asked::Frame(_, messages) => messages.first(),
            Asked::Upgrade(_) => None,
        });
        let id = first.and_then(|message| message.id()).map_or("", |id| id.as_str());
        let channel = first.and_then(Message::channel).unwrap_or_default();
        action::fill(bytes, &[("id", id), ("channel", channel), ("client", CLIENT)])
    }

    /// Answers the oldest question with any bytes. Without a question it is an answer that comes too late.
    fn answer(&mut self, status: u16, body: Vec<u8>) -> Result<(), Fault> {
        let headers = Headers::new().with("Content-Type", http::CONTENT_TYPE);
        let response = Response { status, headers, body };
        match self.asked.pop_front() {
            Some(Asked::Exchange(exchange, ..)) => self.feed(Wire::Response(exchange, response)),
            Some(Asked::Upgrade(socket)) => {
                self.sockets.remove(&socket);
                self.feed(Wire::Refused(socket, response))
            }
            Some(Asked::Frame(socket, _)) => {
                self.feed(Wire::Text(socket, String::from_utf8_lossy(&response.body).into_owned()))
            }
            None => self.feed(Wire::Response(self.last_exchange, response)),
        }
    }

    fn answer_rightly(&mut self) -> Result<(), Fault> {
        match self.asked.pop_front() {
            Some(Asked::Exchange(exchange, messages, callback)) => {
                let replies = self.right_replies(&messages);
                let response = match callback {
                    Some(callback) => http::callback_response(&callback, &replies),
                    None => http::response(&replies),
                };
                self.feed(Wire::Response(exchange, response))
            }
            Some(Asked::Upgrade(socket)) => self.feed(Wire::Upgraded(socket, Headers::new())),
            Some(Asked::Frame(socket, messages)) => {
                let replies = self.right_replies(&messages);
                self.feed(Wire::Text(socket, Batch::array(&replies)))
            }
            None => Ok(()),
        }
    }

    fn right_replies(&mut self, messages: &[Message]) -> Vec<Message> {
        messages.iter().flat_map(|message| self.right_reply(message)).collect()
    }

    fn right_reply(&mut self, message: &Message) -> Vec<Message> {
        let channel = message.channel().unwrap_or_default();
        let reply = Message::draft(channel).id(message.id()).with("successful", true);
        match channel {
            "/meta/handshake" => vec![
                reply
                    .with("version", "1.0")
                    .with("clientId", CLIENT)
                    .with("supportedConnectionTypes", ["websocket", "long-polling", "callback-polling"].as_slice())
                    .with("advice", json!({"reconnect": "retry", "interval": 0, "timeout": 30_000}))
                    .finish(),
            ],
            channel if channel.starts_with("/meta/") => vec![reply.finish()],
            _ => vec![reply.finish(), Message::draft(channel).with("data", self.notification(message)).finish()],
        }
    }

    fn notification(&mut self, message: &Message) -> Value {
        let data: Value = message.value("data").unwrap_or_default();
        let said = |kind: &str, text: &Value, index: u64| {
            json!([{"from": {"type": "Client", "nickname": "Ann", "participantId": 1}, "index": index, "type": kind,
                "text": text, "utcTime": 1_700_000_000_000_u64}])
        };
        let messages = match data["operation"].as_str() {
            Some("requestChat") => {
                self.index += 1;
                said("ParticipantJoined", &Value::Null, self.index)
            }
            Some("sendMessage") => {
                self.index += 1;
                said("Message", &data["message"], self.index)
            }
            _ => json!([]),
        };
        let ended = data["operation"] == "disconnect";
        json!({"statusCode": 0, "chatEnded": ended, "secureKey": "k1", "userId": "u1", "chatId": "x1", "alias": "1",
            "messages": messages, "nextPosition": self.index + 1})
    }

    fn on_socket(&mut self, wire: impl FnOnce(Socket) -> Wire) -> Result<(), Fault> {
        match self.sockets.last() {
            Some(socket) => self.feed(wire(*socket)),
            None => Ok(()),
        }
    }

    fn end_socket(&mut self, wire: impl FnOnce(Socket) -> Wire) -> Result<(), Fault> {
        let Some(socket) = self.sockets.pop_last() else { return Ok(()) };
        self.forget_socket(socket);
        self.feed(wire(socket))
    }

    fn lose(&mut self) -> Result<(), Fault> {
        let oldest = self.asked.iter().position(|asked| matches!(asked, Asked::Exchange(..)));
        match oldest.and_then(|position| self.asked.remove(position)) {
            Some(Asked::Exchange(exchange, ..)) => self.feed(Wire::Broken(exchange, Failure::Reset)),
            _ => self.end_socket(|socket| Wire::Lost(socket, Failure::Reset)),
        }
    }

    fn forget_socket(&mut self, socket: Socket) {
        self.asked.retain(|asked| match asked {
            Asked::Upgrade(of) | Asked::Frame(of, _) => *of != socket,
            Asked::Exchange(..) => true,
        });
    }

    fn feed(&mut self, wire: Wire) -> Result<(), Fault> {
        self.settle(&Batch::carried(&wire));
        let outputs = feed(&mut self.client, self.now, Input::Wire(wire))?;
        self.take(outputs)
    }

    /// Strikes out what is answered by these messages, wherever they came.
    fn settle(&mut self, replies: &[Message]) {
        for asked in &mut self.asked {
            if let Asked::Exchange(_, messages, _) | Asked::Frame(_, messages) = asked {
                messages.retain(|message| {
                    !replies.iter().any(|reply| reply.channel() == message.channel() && reply.id() == message.id())
                });
            }
        }
        self.asked.retain(|asked| !matches!(asked, Asked::Frame(_, messages) if messages.is_empty()));
    }

    /// Connects on the wire that nothing has answered.
    fn connects(&self) -> usize {
        let messages = self.asked.iter().flat_map(|asked| match asked {
            Asked::Exchange(_, messages, _) | Asked::Frame(_, messages) => messages.as_slice(),
            Asked::Upgrade(_) => &[],
        });
        messages.filter(|message| message.channel() == Some("/meta/connect")).count()
    }

    fn take_outputs(&mut self) -> Result<(), Fault> {
        let outputs = drain(&mut self.client)?;
        self.take(outputs)
    }

    fn take<E>(&mut self, outputs: Vec<Output<E>>) -> Result<(), Fault> {
        for wire in super::wires(outputs) {
            match wire {
                Wire::Request(exchange, request) => {
                    self.last_exchange = exchange;
                    let callback = http::query_values(&request.target, http::CALLBACK_PARAMETER).pop();
                    let messages = Batch::carried(&Wire::Request(exchange, request));
                    self.asked.push_back(Asked::Exchange(exchange, messages, callback));
                }
                Wire::Upgrade(socket, _) => {
                    self.sockets.insert(socket);
                    self.asked.push_back(Asked::Upgrade(socket));
                }
                Wire::Text(socket, text) => {
                    let messages = Batch::carried(&Wire::Text(socket, text));
                    self.asked.push_back(Asked::Frame(socket, messages));
                }
                Wire::Broken(exchange, _) => {
                    self.asked.retain(|asked| !matches!(asked, Asked::Exchange(of, ..) if *of == exchange));
                }
                Wire::Close(socket, _) | Wire::Lost(socket, _) => {
                    self.sockets.remove(&socket);
                    self.forget_socket(socket);
                }
                Wire::Binary(..) | Wire::Ping(..) | Wire::Pong(..) => {}
                Wire::Response(..) | Wire::Upgraded(..) | Wire::Refused(..) => {
                    return Err(Fault::Unreadable("a response of a client".to_owned()));
                }
            }
        }
        if self.connects() > 1 || self.client.bayeux().outstanding_connects() > 1 {
            return Err(Fault::SecondConnect);
        }
        Ok(())
    }

    fn pass(&mut self, duration: Duration) -> Result<(), Fault> {
        let end = self.now + duration;
        while let Some((at, _)) = self.client.deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.rest.timeout(self.now)?;
            let outputs = feed(&mut self.client, self.now, Input::Timeout)?;
            self.take(outputs)?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// Some minutes of a server that does everything right, a second late.
    fn recover(mut self) -> Result<(), Fault> {
        self.right_minutes()?;
        let before = check_size(&self.client, self.told)?;
        self.right_minutes()?;
        let after = check_size(&self.client, self.told)?;
        if after > before + 4_000 {
            return Err(Fault::Swelling(before, after));
        }
        if !self.client.is_closed() && self.client.deadline().is_none() {
            return Err(Fault::Silent);
        }
        Ok(())
    }

    fn right_minutes(&mut self) -> Result<(), Fault> {
        for _ in 0..100 {
            if self.asked.is_empty() {
                self.pass(Duration::from_secs(10))?;
            }
            let waiting = self.asked.len();
            self.pass(Duration::from_secs(1))?;
            for _ in 0..waiting {
                self.answer_rightly()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// Two replies to one connect; the second belongs to nothing.
    const REPLIED_TWICE: &[u8] =
        br#"200 [{"channel":"/meta/connect","id":"$id","successful":true},{"channel":"/meta/connect","id":"2","successful":true}]"#;

    #[test]
    fn a_client_that_does_not_check_ids_is_caught() {
        let config = BayeuxConfig { check_connect_id: false, ..BayeuxConfig::new("/x", &[Transport::WebSocket]) };
        let script = [b"+\n+\n", REPLIED_TWICE, b"\nw 100\n", b"t [{\"channel\":\"/meta/connect\"}]\nw 100"].concat();
        assert_eq!(play(config, action::lines(&script)), Err(Fault::SecondConnect));
    }

    #[test]
    fn a_client_that_checks_ids_is_not() {
        let config = BayeuxConfig::new("/x", &[Transport::WebSocket]);
        let script = [b"+\n+\n", REPLIED_TWICE, b"\nw 100\n", b"t [{\"channel\":\"/meta/connect\"}]\nw 100"].concat();
        assert_eq!(play(config, action::lines(&script)), Ok(()));
    }
}
