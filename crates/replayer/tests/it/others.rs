//! Tapes of clients that are not ours: they send as soon as they may, in batches, and recover in their own ways.

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Failure, Headers, Request, Response, Side, Socket, Transport, Wire};
use recording::tape::Finish;
use replayer::{Replay, replay};
use rstest::rstest;
use serde_json::{Value, json};

use crate::runs::tape;

const SERVICE: &str = "/service/chatV2/support";

/// Writes down a conversation as the official JavaScript client holds it.
struct Script {
    transport: Transport,
    at: u64,
    next: u64,
    socket: u64,
    client: &'static str,
    entries: Vec<Entry>,
    exchanges: BTreeMap<u64, Vec<Value>>,
}

impl Script {
    fn new(transport: Transport) -> Self {
        let mut script = Self {
            transport,
            at: 1_000,
            next: 0,
            socket: 0,
            client: "",
            entries: Vec::new(),
            exchanges: BTreeMap::new(),
        };
        script.open();
        script
    }

    fn push(&mut self, from: Side, wire: Wire) {
        self.at += 3_000;
        self.entries.push(Entry { at: Time::from_micros(self.at), from, wire });
    }

    fn wait(&mut self, millis: u64) {
        self.at += millis * 1_000;
    }

    /// Opens a socket, if that is the transport.
    fn open(&mut self) {
        if self.transport == Transport::WebSocket {
            self.socket += 1;
            let request = Request {
                method: "GET".to_owned(),
                target: "/genesys/cometd".to_owned(),
                headers: Headers::new(),
                body: Vec::new(),
            };
            self.push(Side::Client, Wire::Upgrade(Socket(self.socket), request));
            self.push(Side::Server, Wire::Upgraded(Socket(self.socket), Headers::new()));
        }
    }

    /// The client sends messages together; gives a handle for answering them.
    fn send(&mut self, mut messages: Vec<Value>) -> u64 {
        self.next += 1;
        let exchange = self.next;
        for (position, message) in messages.iter_mut().enumerate() {
            message["id"] = json!((exchange * 10 + position as u64).to_string());
            message["timestamp"] = json!("Mon, 23 Nov 2026 09:00:00 GMT");
            if message["channel"] != "/meta/handshake" {
                message["clientId"] = json!(self.client);
            }
        }
        let suffix = match messages[0]["channel"].as_str() {
            Some(meta) if messages.len() == 1 && meta.starts_with("/meta/") => &meta[5..],
            _ => "/",
        };
        let (body, target) = (Value::from(messages.clone()).to_string(), format!("/genesys/cometd{suffix}"));
        let request =
            Request { method: "POST".to_owned(), target, headers: Headers::new(), body: body.clone().into_bytes() };
        self.push(
            Side::Client,
            match self.transport {
                Transport::LongPolling | Transport::CallbackPolling => Wire::Request(Exchange(exchange), request),
                Transport::WebSocket => Wire::Text(Socket(self.socket), body),
            },
        );
        self.exchanges.insert(exchange, messages);
        exchange
    }

    /// The server answers them with deliveries and one reply for each, into which these members go.
    fn answer(&mut self, exchange: u64, deliveries: Vec<Value>, members: Value) {
        let asked = self.exchanges.remove(&exchange).expect("it was sent");
        let replies = asked.iter().map(|message| {
            let mut reply = json!({"channel": message["channel"], "id": message["id"], "successful": true});
            for (name, value) in members.as_object().expect("members") {
                reply[name] = value.clone();
            }
            reply
        });
        let replies: Vec<Value> = replies.collect();
        match self.transport {
            Transport::LongPolling | Transport::CallbackPolling => {
                let body = Value::from([deliveries, replies].concat()).to_string().into_bytes();
                let response = Response { status: 200, headers: Headers::new(), body };
                self.push(Side::Server, Wire::Response(Exchange(exchange), response));
            }
            Transport::WebSocket => {
                for message in [deliveries, replies].concat() {
                    self.push(Side::Server, Wire::Text(Socket(self.socket), json!([message]).to_string()));
                }
            }
        }
    }

    fn handshake(&mut self, client: &'static str) {
        let exchange = self.send(vec![json!({"channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0",
            "supportedConnectionTypes": [self.transport.name()], "advice": {"timeout": 60_000, "interval": 0},
            "ext": {"ack": false}})]);
        self.client = client;
        let advice = json!({"interval": 0, "timeout": 30_000, "reconnect": "retry"});
        self.answer(
            exchange,
            Vec::new(),
            json!({"clientId": client, "version": "1.0",
            "supportedConnectionTypes": ["websocket", "long-polling"], "advice": advice}),
        );
    }

    fn connect(&mut self, at_once: bool) -> u64 {
        let mut connect = json!({"channel": "/meta/connect", "connectionType": self.transport.name()});
        if at_once {
            connect["advice"] = json!({"timeout": 0});
        }
        self.send(vec![connect])
    }

    /// The socket is lost, or the exchange of a held connect.
    fn lose(&mut self, connect: u64) {
        self.push(
            Side::Server,
            match self.transport {
                Transport::LongPolling | Transport::CallbackPolling => Wire::Broken(Exchange(connect), Failure::Reset),
                Transport::WebSocket => Wire::Lost(Socket(self.socket), Failure::Reset),
            },
        );
        self.wait(1_000);
        self.open();
    }

    fn replay(self) -> Replay {
        replay(&tape(1, &self.entries, Some(Finish::Complete)))
    }
}

fn ask(operation: &str, members: Value) -> Value {
    let mut data = json!({"operation": operation});
    if operation != "requestChat" {
        data["secureKey"] = json!("the-secure-key");
    }
    for (name, value) in members.as_object().expect("members") {
        data[name] = value.clone();
    }
    json!({"channel": SERVICE, "data": data})
}

fn tell(index: u64, kind: &str, (nickname, participant, of): (&str, u64, &str), text: Option<&str>) -> Value {
    let mut event = json!({"index": index, "type": kind, "utcTime": 1_700_000_000_000_u64 + index,
        "from": {"nickname": nickname, "participantId": participant, "type": of}});
    if let Some(text) = text {
        event["text"] = json!(text);
    }
    json!({"channel": SERVICE, "data": {"statusCode": 0, "chatEnded": kind == "ParticipantLeft",
        "secureKey": "the-secure-key", "userId": "the-user-id", "chatId": "the-chat-id", "alias": "117",
        "nextPosition": index + 1, "messages": [event]}})
}

const ANN: (&str, u64, &str) = ("Ann Smith", 1, "Client");
const BOB: (&str, u64, &str) = ("Bob Agent", 2, "Agent");

/// Handshake, `requestChat` before the first connect is answered, and the agent. Gives the held connect.
fn begin(script: &mut Script) -> u64 {
    script.handshake("first-client-id");
    let chat = script.send(vec![ask("requestChat", json!({"nickname": "Ann Smith", "subject": "", "pushUrl": "x"}))]);
    let first = script.connect(true);
    script.answer(chat, Vec::new(), json!({}));
    script.answer(first, Vec::new(), json!({"advice": {"interval": 0, "timeout": 30_000, "reconnect": "retry"}}));
    let held = script.connect(false);
    script.answer(held, vec![tell(1, "ParticipantJoined", ANN, None)], json!({}));
    let held = script.connect(false);
    script.wait(2_000);
    script.answer(held, vec![tell(2, "ParticipantJoined", BOB, None)], json!({}));
    script.connect(false)
}

/// `disconnect`, the end of the chat, and after a while the end of the session.
fn end(script: &mut Script, held: u64, index: u64) {
    let ending = script.send(vec![ask("disconnect", json!({}))]);
    script.answer(held, vec![tell(index, "ParticipantLeft", ANN, None)], json!({}));
    script.answer(ending, Vec::new(), json!({}));
    let held = script.connect(false);
    script.wait(4_000);
    let leaving = script.send(vec![json!({"channel": "/meta/disconnect"})]);
    script.answer(leaving, Vec::new(), json!({}));
    script.answer(held, Vec::new(), json!({"advice": {"reconnect": "none"}}));
}

#[track_caller]
fn same(replay: &Replay) {
    assert_eq!(replay.divergences, [], "{}", replay.text(160));
    assert_eq!(replay.exit_code(), 0);
}

#[rstest]
fn a_client_that_does_not_wait_for_echoes_replays(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut script = Script::new(transport);
    let held = begin(&mut script);
    let say = |text: &str| ask("sendMessage", json!({"message": text, "messageType": "text", "alias": "117"}));
    let batch = script.send(vec![say("one"), say("two"), say("one")]);
    script.answer(batch, Vec::new(), json!({}));
    let echoes = [(3, "one"), (4, "two"), (5, "one")].map(|(index, text)| tell(index, "Message", ANN, Some(text)));
    script.answer(held, echoes.to_vec(), json!({}));
    let held = script.connect(false);
    end(&mut script, held, 6);
    let replay = script.replay();
    same(&replay);
    assert_eq!(replay.notes, []);
    assert_eq!((replay.statistics.messages, replay.statistics.events), (7, 6), "{}", replay.text(160));
}

#[rstest]
fn a_client_that_never_asks_for_the_transcript_replays_with_a_note(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut script = Script::new(transport);
    let held = begin(&mut script);
    script.lose(held);
    let again = script.connect(true);
    script.answer(again, vec![tell(3, "Message", BOB, Some("hello?"))], json!({}));
    let held = script.connect(false);
    script.wait(20_000);
    end(&mut script, held, 4);
    let replay = script.replay();
    same(&replay);
    let notes: Vec<&str> = replay.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes, ["after a loss the client asks for the transcript, as the one on the tape does not"]);
}

#[rstest]
fn a_client_that_hears_of_its_lost_session_by_the_connect_replays(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut script = Script::new(transport);
    let held = begin(&mut script);
    let lost = script.send(vec![ask("sendMessage", json!({"message": "anybody?"}))]);
    script.answer(lost, Vec::new(), json!({"successful": false, "error": "402::Unknown client"}));
    script.wait(3_000);
    let advice = json!({"reconnect": "handshake", "interval": 0});
    script.answer(held, Vec::new(), json!({"successful": false, "error": "402::Unknown client", "advice": advice}));
    script.handshake("second-client-id");
    let first = script.connect(true);
    script.answer(first, Vec::new(), json!({}));
    let again = script.send(vec![ask("requestNotifications", json!({"transcriptPosition": "2", "message": ""}))]);
    script.answer(again, vec![tell(2, "ParticipantJoined", BOB, None)], json!({}));
    let held = script.connect(false);
    script.wait(2_000);
    let said = script.send(vec![ask("sendMessage", json!({"message": "anybody?"}))]);
    script.answer(said, vec![tell(3, "Message", ANN, Some("anybody?"))], json!({}));
    end(&mut script, held, 4);
    let replay = script.replay();
    same(&replay);
    assert_eq!((replay.statistics.clients, replay.statistics.sessions), (1, 2));
}

#[rstest]
fn what_the_chat_client_does_not_know_is_noted(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut script = Script::new(transport);
    let held = begin(&mut script);
    let subscribed = script.send(vec![json!({"channel": "/meta/subscribe", "subscription": SERVICE})]);
    script.answer(subscribed, Vec::new(), json!({"subscription": SERVICE}));
    let typing = script.send(vec![ask("startTyping", json!({"message": "I wo"}))]);
    script.answer(typing, vec![tell(3, "TypingStarted", ANN, Some("I wo"))], json!({}));
    end(&mut script, held, 4);
    let replay = script.replay();
    same(&replay);
    insta::allow_duplicates! {
        insta::assert_snapshot!(replay.notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>().join("\n"), @"
        `/meta/subscribe` is nothing that the chat client does; it is taken as sent
        `startTyping` is nothing that the chat client does; it is taken as sent
        ");
    }
}

#[rstest]
fn a_client_that_stays_after_the_chat_replays_with_a_note(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut script = Script::new(transport);
    let held = begin(&mut script);
    script.answer(held, vec![tell(3, "ParticipantLeft", BOB, None)], json!({}));
    script.connect(false);
    let replay = script.replay();
    same(&replay);
    let notes: Vec<&str> = replay.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes, ["after the end of the chat the client leaves, as the one on the tape does not"]);
}

/// On the tape the answers to what our client never sends carry events; over HTTP our client gets each with a connect, and so
/// sends more of them.
#[rstest]
fn a_connect_more_than_on_the_tape_is_answered(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    let mut script = Script::new(transport);
    let held = begin(&mut script);
    for index in 3..6 {
        let typing = script.send(vec![ask("startTyping", json!({"message": "I wo"}))]);
        script.answer(typing, vec![tell(index, "Message", BOB, Some("so?"))], json!({}));
    }
    let ending = script.send(vec![ask("disconnect", json!({}))]);
    script.answer(ending, Vec::new(), json!({}));
    script.answer(held, vec![tell(6, "ParticipantLeft", ANN, None)], json!({}));
    let leaving = script.send(vec![json!({"channel": "/meta/disconnect"})]);
    script.answer(leaving, Vec::new(), json!({}));
    let replay = script.replay();
    same(&replay);
    assert_eq!(replay.statistics.events, 6);
    assert_eq!(replay.notes.len(), 3, "{}", replay.text(160));
}
