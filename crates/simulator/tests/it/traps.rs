//! The traps of the published sample client. Both clients hear the same wire: ours drives the chat, and a model of the
//! sample's decisions, no more than those, listens in. A test fails if our client decides as the sample does.
//!
//! | # | Trap | What happens | The sample | Our client |
//! |---|---|---|---|---|
//! | 1 | looks for `secureKey` in the handshake reply | the session is forgotten | begins a second chat | restores the first |
//! | 2 | compares the error with `402:: Unknown client` | any generation's 402 | takes it for a disconnection | goes by the code |
//! | 3 | minds `chatEnded` with `statusCode` 0 and events alone | an end without events, or with `statusCode` 2 | misses it | ends |
//! | 4 | compares a missing `index` with the last one | the agent types | shows nothing | tells it |
//! | 5 | forgets its position before `disconnect` is answered | the transcript is sent again | shows all of it again | shows nothing twice |
//! | 6 | asks from two handlers after a handshake | the session is forgotten | asks for a chat and for notifications | asks once |
//! | 7 | ignores events while a connect has failed | an event in that window | loses it | shows it |
//! | 8 | reads `messages.length` unguarded | an answer without `messages` | stumbles | goes on |
//! | 9 | goes by the length of `errors` | a failure with and without errors | one ends its chat, one passes unnoticed | tells both, goes on |
//! | 10 | waits for the end without a timer | the answer to `disconnect` is lost | hangs | ends after a while |

use std::time::Duration;

use pretty_assertions::assert_eq;
use protocol::bayeux::batch::Batch;
use protocol::bayeux::dialect::Dialect;
use protocol::bayeux::message::Message;
use protocol::chat::client::{Ended, Event, Sent};
use protocol::chat::notification::EventType;
use protocol::machine::{Input, Machine};
use protocol::violation::Violation;
use protocol::wire::{Side, Transport, Wire};
use rstest::rstest;
use serde_json::{Value, json};
use simulator::gms::Settings;
use simulator::link::{Fault, Rule, Unit};
use simulator::script::Step;

use crate::chat::Talk;

const CHANNEL: &str = "/service/chatV2/support";

/// What the sample decides.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    RequestsChat,
    RequestsNotifications,
    Shows(i64),
    /// It takes a 402 for what it is.
    KnowsSessionExpired,
    ThinksDisconnected,
    ThinksChatEnded,
    ThinksSessionInactive,
    Stumbles,
}

use Decision::{
    KnowsSessionExpired, RequestsChat, RequestsNotifications, Shows, Stumbles, ThinksChatEnded, ThinksDisconnected,
    ThinksSessionInactive,
};

/// The decisions of the sample, by what it hears.
struct Sample {
    /// How many entries of the wire it has heard.
    heard: usize,
    last: i64,
    key_known: bool,
    connect_failed: bool,
    disconnected: bool,
    decisions: Vec<Decision>,
}

impl Sample {
    fn new() -> Self {
        Self { heard: 0, last: -1, key_known: false, connect_failed: false, disconnected: false, decisions: Vec::new() }
    }

    /// Hears what came over the wire since the last time.
    fn listen(&mut self, talk: &Talk) {
        let entries = talk.pair.entries();
        for entry in &entries[self.heard..] {
            if entry.from == Side::Server {
                for message in Batch::carried(&entry.wire) {
                    self.hear(&serde_json::from_str(message.text()).unwrap());
                }
            }
        }
        self.heard = entries.len();
    }

    fn hear(&mut self, message: &Value) {
        let successful = message["successful"] == json!(true);
        match message["channel"].as_str() {
            Some("/meta/handshake") if successful => {
                // Trap 1: no server puts the key there.
                let asks = if message["secureKey"].is_string() { RequestsNotifications } else { RequestsChat };
                self.decisions.push(asks);
            }
            Some("/meta/connect") => self.hear_connect(message, successful),
            Some(CHANNEL) if message["data"].is_object() => self.hear_notification(&message["data"]),
            _ => {}
        }
    }

    fn hear_connect(&mut self, reply: &Value, successful: bool) {
        self.connect_failed = !successful;
        if successful {
            // Trap 6: the handshake handler has asked already.
            if std::mem::take(&mut self.disconnected) && self.key_known {
                self.decisions.push(RequestsNotifications);
            }
        } else if reply["error"] == json!("402:: Unknown client") {
            self.decisions.push(KnowsSessionExpired);
        } else {
            self.disconnected = true;
            self.decisions.push(ThinksDisconnected);
        }
    }

    fn hear_notification(&mut self, data: &Value) {
        // Trap 7.
        if self.connect_failed {
            return;
        }
        self.key_known |= data["secureKey"].is_string();
        match data["statusCode"].as_i64() {
            Some(0) => {
                // Trap 8.
                let Some(messages) = data["messages"].as_array() else { return self.decisions.push(Stumbles) };
                for event in messages {
                    // Trap 4: nothing is greater than a number that is not there.
                    if let Some(index) = event["index"].as_i64().filter(|index| *index > self.last) {
                        self.last = index;
                        self.decisions.push(Shows(index));
                    }
                }
                // Trap 3.
                if !messages.is_empty() && data["chatEnded"] == json!(true) {
                    self.decisions.push(ThinksChatEnded);
                }
            }
            // Trap 9.
            Some(2) if data["errors"].as_array().is_some_and(|errors| !errors.is_empty()) => {
                self.decisions.push(ThinksSessionInactive);
            }
            _ => {}
        }
    }

    /// Its user presses the button that ends the chat.
    fn end(&mut self) {
        // Trap 5.
        self.last = -1;
    }
}

/// A chat with an agent, heard by the sample too. What both decided so far is set aside.
fn chatting() -> (Talk, Sample) {
    chatting_with(Settings::manual("support"))
}

fn chatting_with(settings: Settings) -> (Talk, Sample) {
    let talk = Talk::chatting_with(Transport::WebSocket, settings);
    let mut sample = Sample::new();
    sample.listen(&talk);
    // So far both do the same.
    assert_eq!(sample.decisions, [RequestsChat, Shows(1), Shows(2), Shows(3)]);
    sample.decisions.clear();
    (talk, sample)
}

/// Puts a message of the server's onto the socket, for both to hear.
fn say(talk: &mut Talk, sample: &mut Sample, message: Value) {
    sample.listen(talk);
    sample.hear(&message);
    let open = talk.pair.entries().iter().rev().find_map(|entry| match &entry.wire {
        Wire::Upgrade(socket, _) => Some(*socket),
        _ => None,
    });
    let wire = Wire::Text(open.unwrap(), json!([message]).to_string());
    talk.pair.client.handle_input(talk.pair.now(), Input::Wire(wire));
}

fn notify(talk: &mut Talk, sample: &mut Sample, data: Value) {
    say(talk, sample, json!({"channel": CHANNEL, "data": data}));
}

/// The operations that our client published so far.
fn published(talk: &Talk) -> Vec<String> {
    let sent = talk.pair.entries().iter().filter(|entry| entry.from == Side::Client);
    let messages = sent.flat_map(|entry| Batch::carried(&entry.wire).to_vec());
    messages.filter_map(|message| Some(message.value("data")?["operation"].as_str()?.to_owned())).collect()
}

fn is_delivered(talk: &mut Talk, text: &str) -> bool {
    let id = talk.say(text);
    talk.told.contains(&Event::Sent(id, Sent::Delivered))
}

#[test]
fn trap_1_restores_the_chat_instead_of_beginning_another() {
    let (mut talk, mut sample) = chatting();
    talk.pair.server.forget_all(talk.pair.now());
    talk.agent(&Step::Say("Are you there?".to_owned()));
    sample.listen(&talk);
    assert!(sample.decisions.contains(&RequestsChat), "{:?}", sample.decisions);
    assert_eq!(talk.sent_operations("requestChat"), 1);
    assert_eq!(talk.take_shown(), [4]);
}

#[rstest]
fn trap_2_goes_by_the_code_of_an_error(
    #[values("cometd-3.0", "cometd-3.1", "cometd-4.0.4", "cometd-5.0")] generation: &str,
) {
    let dialect = Dialect::by_name(generation).unwrap();
    let (mut talk, mut sample) = chatting_with(Settings { dialect, ..Settings::manual("support") });
    talk.pair.server.forget_all(talk.pair.now());
    talk.pair.drive_for(Duration::from_secs(60)).unwrap();
    talk.rest();
    sample.listen(&talk);
    assert!(sample.decisions.contains(&ThinksDisconnected), "{:?}", sample.decisions);
    assert!(!sample.decisions.contains(&KnowsSessionExpired));
    assert!(talk.told.contains(&Event::Restored), "{:?}", talk.told);
    assert!(is_delivered(&mut talk, "Here I am."));
}

#[rstest]
#[case(json!({"statusCode": 0, "chatEnded": true, "messages": []}))]
#[case(json!({"statusCode": 2, "chatEnded": true, "messages": []}))]
#[case(json!({"statusCode": 2, "chatEnded": true, "messages": [], "errors": [{"code": 249, "advice": "over"}]}))]
#[case(json!({"statusCode": 1, "chatEnded": true, "messages": []}))]
fn trap_3_takes_an_end_for_an_end(#[case] data: Value) {
    let (mut talk, mut sample) = chatting();
    notify(&mut talk, &mut sample, data);
    talk.rest();
    assert!(!sample.decisions.contains(&ThinksChatEnded));
    assert_eq!(talk.told.last(), Some(&Event::Ended(Ended::ByServer)));
    assert!(talk.pair.client.is_closed());
}

#[test]
fn trap_4_tells_of_events_without_an_index() {
    let (mut talk, mut sample) = chatting();
    talk.agent(&Step::StartTyping);
    sample.listen(&talk);
    assert_eq!(sample.decisions, []);
    let [Event::Passing(event)] = talk.told.as_slice() else { panic!("{:?}", talk.told) };
    assert_eq!(event.event_type(), Some(EventType::TypingStarted));
}

#[test]
fn trap_5_keeps_its_position_until_the_end() {
    let (mut talk, mut sample) = chatting();
    let from = json!({"nickname": "Ann", "participantId": 1, "type": "Client"});
    let events: Vec<Value> = (1..=3).map(|index| json!({"index": index, "type": "Message", "from": from})).collect();
    talk.pair.client.end(talk.pair.now()).unwrap();
    sample.end();
    notify(&mut talk, &mut sample, json!({"statusCode": 0, "chatEnded": false, "nextPosition": 4, "messages": events}));
    talk.rest();
    assert_eq!(sample.decisions, [Shows(1), Shows(2), Shows(3)]);
    assert_eq!(talk.take_shown(), [4]);
}

#[test]
fn trap_6_asks_once_after_a_handshake() {
    let (mut talk, mut sample) = chatting();
    let before = published(&talk).len();
    talk.pair.server.forget_all(talk.pair.now());
    talk.agent(&Step::Say("Are you there?".to_owned()));
    talk.pair.drive_for(Duration::from_secs(60)).unwrap();
    sample.listen(&talk);
    sample.decisions.retain(|decision| matches!(decision, RequestsChat | RequestsNotifications));
    assert_eq!(sample.decisions, [RequestsChat, RequestsNotifications]);
    assert_eq!(published(&talk)[before..], ["requestNotifications"]);
}

#[test]
fn trap_7_takes_events_while_a_connect_has_failed() {
    let (mut talk, mut sample) = chatting();
    let is_connect = |message: &Message| message.channel() == Some("/meta/connect");
    let connects = talk.pair.entries().iter().rev().filter(|entry| entry.from == Side::Client);
    let id = connects.flat_map(|entry| Batch::carried(&entry.wire)).find(is_connect).unwrap().value("id");
    let reply = json!({"channel": "/meta/connect", "id": id, "successful": false, "error": "500::overloaded"});
    say(&mut talk, &mut sample, reply);
    talk.pair.server.agent(talk.pair.now(), "Ann", &Step::Say("One moment.".to_owned())).unwrap();
    talk.pair.drive_for(Duration::from_millis(500)).unwrap();
    sample.listen(&talk);
    talk.rest();
    assert_eq!(sample.decisions, [ThinksDisconnected]);
    assert!(talk.told.contains(&Event::ConnectionLost));
    assert_eq!(talk.take_shown(), [4]);
}

#[test]
fn trap_8_goes_on_after_an_answer_without_messages() {
    let (mut talk, mut sample) = chatting();
    notify(&mut talk, &mut sample, json!({"statusCode": 0, "chatEnded": false}));
    talk.rest();
    assert_eq!(sample.decisions, [Stumbles]);
    assert_eq!(talk.told, [Event::Violated(Violation::NotificationMessagesMissing)]);
    assert!(is_delivered(&mut talk, "And on it goes."));
}

#[test]
fn trap_9_tells_of_every_failure_and_goes_on() {
    let (mut talk, mut sample) = chatting();
    let failure = |errors: Value| json!({"statusCode": 2, "chatEnded": false, "messages": [], "errors": errors});
    notify(&mut talk, &mut sample, failure(json!([])));
    assert_eq!(sample.decisions, []);
    notify(&mut talk, &mut sample, failure(json!([{"code": 204, "advice": "too long"}])));
    assert_eq!(sample.decisions, [ThinksSessionInactive]);
    talk.rest();
    assert!(matches!(talk.told.as_slice(), [Event::RequestFailed(none), Event::RequestFailed(one)]
        if none.is_empty() && one[0].code == Some(204)));
    assert!(is_delivered(&mut talk, "And on it goes."));
}

#[test]
fn trap_10_does_not_wait_for_an_end_for_ever() {
    let (mut talk, mut sample) = chatting();
    let notifications = Unit::Channel(Side::Server, CHANNEL.to_owned());
    talk.pair.link.add(Rule::always(notifications, Fault::Silence));
    talk.pair.client.end(talk.pair.now()).unwrap();
    sample.end();
    talk.pair.drive_for(Duration::from_secs(120)).unwrap();
    talk.rest();
    sample.listen(&talk);
    assert!(!sample.decisions.contains(&ThinksChatEnded));
    assert_eq!(talk.told.last(), Some(&Event::Ended(Ended::Unconfirmed)));
    assert!(talk.pair.client.is_closed());
}
