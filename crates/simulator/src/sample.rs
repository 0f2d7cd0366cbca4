//! A model of the published sample client: what it sends, with the traps that it falls into.
//!
//! The connection below is ours; the sample's own is CometD's client and has none of the traps. What is modelled are the
//! decisions of the page above it. The traps are those of `docs/chat-operations.md`, by number; 2, 4, 5 and 8 show on its
//! screen alone and only change what is told.

use std::collections::VecDeque;

use protocol::bayeux::client::{self as bayeux, Config};
use protocol::chat;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use serde_json::{Value, json};

/// What the sample decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It asks for a chat.
    RequestsChat,
    /// It asks for the notifications of its chat.
    RequestsNotifications,
    /// It shows an event, by its index.
    Shows(i64),
    /// It tells its user that the connection is lost.
    ThinksDisconnected,
    /// It takes its chat for ended, and disconnects.
    ThinksChatEnded,
    /// It lets its user say nothing more.
    ThinksSessionInactive,
}

/// The sample client. See the module's text.
#[derive(Clone, Debug)]
pub struct Sample {
    bayeux: bayeux::Client,
    channel: String,
    /// The index shown last.
    last: i64,
    key: Option<String>,
    connect_failed: bool,
    disconnected: bool,
    active: bool,
    outputs: VecDeque<Output<Decision>>,
}

impl Sample {
    /// Makes a sample client at rest.
    #[must_use]
    pub fn new(config: Config, service: &str) -> Self {
        Self {
            bayeux: bayeux::Client::new(config),
            channel: chat::channel(service),
            last: -1,
            key: None,
            connect_failed: false,
            disconnected: false,
            active: true,
            outputs: VecDeque::new(),
        }
    }

    /// Its user starts a chat.
    pub fn start(&mut self, now: Time) {
        // Who has started already goes on.
        let _ = self.bayeux.start(now);
        self.advance(now);
    }

    /// Its user says something, if the page lets him.
    pub fn say(&mut self, now: Time, text: &str) {
        if self.active && self.key.is_some() {
            self.ask(now, json!({"operation": "sendMessage", "secureKey": self.key, "message": text}));
            self.advance(now);
        }
    }

    /// Its user ends the chat. The position is forgotten at once (trap 5), and nothing but `chatEnded` leads on (trap 10).
    pub fn end(&mut self, now: Time) {
        self.last = -1;
        self.ask(now, json!({"operation": "disconnect", "secureKey": self.key}));
        self.advance(now);
    }

    fn ask(&mut self, now: Time, data: Value) {
        // What cannot be sent is lost, as it is on the page.
        let _ = self.bayeux.publish(now, &self.channel, data);
    }

    fn decide(&mut self, decision: Decision) {
        self.outputs.push_back(Output::Event(decision));
    }

    fn advance(&mut self, now: Time) {
        while let Some(output) = self.bayeux.poll_output() {
            match output {
                Output::Wire(wire) => self.outputs.push_back(Output::Wire(wire)),
                Output::Event(event) => self.hear(now, event),
            }
        }
    }

    fn hear(&mut self, now: Time, event: bayeux::Event) {
        match event {
            bayeux::Event::Connected { new_session } => {
                self.connect_failed = false;
                if new_session {
                    // Trap 1: it looks for the key in the handshake reply, where no server puts it.
                    self.decide(Decision::RequestsChat);
                    self.ask(now, json!({"operation": "requestChat", "nickname": "Ann", "subject": "", "text": ""}));
                }
                // Trap 6: the handshake has asked already.
                if std::mem::take(&mut self.disconnected) && self.key.is_some() {
                    self.decide(Decision::RequestsNotifications);
                    let position = self.last;
                    let data = json!({
                        "operation": "requestNotifications", "secureKey": self.key, "transcriptPosition": position,
                        "message": "",
                    });
                    self.ask(now, data);
                }
            }
            // Trap 2: a 402 passes for a disconnection.
            bayeux::Event::ConnectionLost | bayeux::Event::SessionLost => {
                self.connect_failed = true;
                if !std::mem::replace(&mut self.disconnected, true) {
                    self.decide(Decision::ThinksDisconnected);
                }
            }
            bayeux::Event::Delivered(message) if message.channel() == Some(&self.channel) => {
                if let Some(data) = message.value("data") {
                    self.hear_notification(now, &data);
                }
            }
            bayeux::Event::Delivered(_)
            | bayeux::Event::HandshakeFailed
            | bayeux::Event::Subscribed(_)
            | bayeux::Event::SubscribeRefused(..)
            | bayeux::Event::Unsubscribed(..)
            | bayeux::Event::Published(..)
            | bayeux::Event::Violated(_)
            | bayeux::Event::Closed(_) => {}
        }
    }

    fn hear_notification(&mut self, now: Time, data: &Value) {
        // Trap 7.
        if self.connect_failed {
            return;
        }
        if let Some(key) = data["secureKey"].as_str() {
            self.key = Some(key.to_owned());
        }
        match data["statusCode"].as_i64() {
            Some(0) => {
                // Trap 8: without `messages` the page stumbles here and goes no further.
                let Some(messages) = data["messages"].as_array() else { return };
                for event in messages {
                    // Trap 4: nothing is greater than a number that is not there.
                    if let Some(index) = event["index"].as_i64().filter(|index| *index > self.last) {
                        self.last = index;
                        self.decide(Decision::Shows(index));
                    }
                }
                // Trap 3.
                if !messages.is_empty() && data["chatEnded"] == json!(true) {
                    self.decide(Decision::ThinksChatEnded);
                    self.bayeux.disconnect(now);
                }
            }
            // Trap 9.
            Some(2) if data["errors"].as_array().is_some_and(|errors| !errors.is_empty()) => {
                self.active = false;
                self.decide(Decision::ThinksSessionInactive);
            }
            _ => {}
        }
    }
}

impl Machine for Sample {
    type Timer = bayeux::Timer;
    type Event = Decision;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.bayeux.handle_input(now, input);
        self.advance(now);
    }

    fn poll_output(&mut self) -> Option<Output<Decision>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, bayeux::Timer)> {
        self.bayeux.deadline()
    }
}
