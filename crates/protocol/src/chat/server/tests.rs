//! The chat server, by what it delivers for publishes written by hand.

mod agents;
mod files;
mod operations;
mod outage;
mod sessions;

use pretty_assertions::assert_eq;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::chat::CHANNEL_PREFIX;

const SERVICE: &str = "/service/chatV2/support";
const START: i64 = 1_700_000_000_000;

/// A chat server with a list of what it delivered: to whom and the `data`.
struct Desk {
    server: ChatServer,
    now: Time,
    events: Vec<Event>,
}

impl Desk {
    fn new() -> Self {
        Self::with(GmsSettings { welcome: String::new(), ..GmsSettings::default() })
    }

    fn with(settings: GmsSettings) -> Self {
        let services = ["support", "sales"].map(str::to_owned).into();
        Self { server: ChatServer::new(settings, services, START, 7), now: Time::ZERO, events: Vec::new() }
    }

    fn drain(&mut self) -> Vec<(u64, Value)> {
        let mut delivered = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Deliver(to, channel, data) => {
                    assert!(channel.starts_with(CHANNEL_PREFIX));
                    delivered.push((to.0, serde_json::from_str(data.0.get()).unwrap()));
                }
                Output::Disconnect(session) => delivered.push((session.0, json!("disconnect"))),
                Output::Event(event) => self.events.push(event),
            }
        }
        delivered
    }

    fn wait(&mut self, millis: u64) -> Vec<(u64, Value)> {
        let mut delivered = self.drain();
        let end = self.now + Duration::from_millis(millis);
        while let Some((at, _)) = self.server.deadline().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            delivered.extend(self.drain());
        }
        self.now = end;
        delivered
    }

    /// Publishes and gives what is delivered within 10 ms.
    fn publish(&mut self, session: u64, data: &Value) -> Vec<(u64, Value)> {
        self.server.handle_publish(self.now, SessionId(session), SERVICE, Some(&data.to_string()));
        self.wait(10)
    }

    /// Publishes and gives the one answer, which must go to the session that asked.
    fn ask(&mut self, session: u64, data: &Value) -> Value {
        let mut delivered = self.publish(session, data);
        assert_eq!(delivered.len(), 1, "{delivered:?}");
        let (to, answer) = delivered.remove(0);
        assert_eq!(to, session);
        answer
    }

    /// Starts a chat and gives its key.
    fn start(&mut self, session: u64, nickname: &str) -> String {
        let answer = self.ask(session, &json!({"operation": "requestChat", "nickname": nickname}));
        answer["secureKey"].as_str().unwrap().to_owned()
    }

    fn joins(&mut self, chat: ChatNumber, nickname: &str) -> Result<(), Misuse> {
        self.server.agent_joins(self.now, chat, nickname, Role::Agent)
    }

    /// Whoever joined first does something.
    fn does(&mut self, chat: ChatNumber, deed: Deed) -> Result<(), Misuse> {
        self.server.agent_does(self.now, chat, None, deed)
    }

    fn chat(&self, nickname: &str) -> ChatNumber {
        self.server.chat_of(nickname).unwrap()
    }
}

/// A chat server without a welcome, otherwise set as the test needs it.
fn desk_with(change: impl FnOnce(&mut GmsSettings)) -> Desk {
    let mut settings = GmsSettings { welcome: String::new(), ..GmsSettings::default() };
    change(&mut settings);
    Desk::with(settings)
}

fn say(key: &str, text: &str) -> Value {
    json!({"operation": "sendMessage", "secureKey": key, "message": text})
}

fn from(key: &str, position: Value) -> Value {
    json!({"operation": "requestNotifications", "secureKey": key, "transcriptPosition": position})
}

fn end(key: &str) -> Value {
    json!({"operation": "disconnect", "secureKey": key})
}

fn indexes(answer: &Value) -> Vec<u64> {
    answer["messages"].as_array().unwrap().iter().map(|event| event["index"].as_u64().unwrap()).collect()
}

fn code(answer: &Value) -> (i64, bool, i64) {
    let text = answer["errors"][0]["advice"].as_str().unwrap();
    assert!(!text.is_empty());
    (
        answer["statusCode"].as_i64().unwrap(),
        answer["chatEnded"].as_bool().unwrap(),
        answer["errors"][0]["code"].as_i64().unwrap(),
    )
}

// requestChat

#[test]
fn a_chat_begins_with_the_own_join_and_the_keys() {
    let mut desk = Desk::new();
    let answer = desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann"}));
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    assert_eq!((text("secureKey").len(), text("secureKey").ends_with('=')), (100, true));
    assert!(text("userId").len() == 16 && text("userId").bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(text("chatId").len() == 16 && text("chatId").bytes().all(|b| b.is_ascii_alphanumeric()));
    assert!(!text("alias").is_empty() && text("alias").bytes().all(|b| b.is_ascii_digit()));
    assert_eq!((&answer["statusCode"], &answer["chatEnded"]), (&json!(0), &json!(false)));
    assert_eq!(answer["nextPosition"], 2);
    assert_eq!(
        answer["messages"],
        json!([{
            "index": 1, "type": "ParticipantJoined", "utcTime": START,
            "from": {"nickname": "Ann", "participantId": 1, "type": "Client"},
        }])
    );
}

#[test]
fn a_name_may_come_in_two_parts() {
    let mut desk = Desk::new();
    let answer = desk.ask(1, &json!({"operation": "requestChat", "firstName": "Ann", "lastName": "Lee"}));
    assert_eq!(answer["messages"][0]["from"]["nickname"], "Ann Lee");
}

#[test]
fn the_system_welcomes_in_a_delivery_of_its_own() {
    let mut desk = Desk::with(GmsSettings { welcome: "Welcome.".to_owned(), ..GmsSettings::default() });
    let delivered = desk.publish(1, &json!({"operation": "requestChat", "nickname": "Ann"}));
    assert_eq!(delivered.len(), 2);
    let event = &delivered[1].1["messages"][0];
    assert_eq!((&event["index"], &event["type"], &event["text"]), (&json!(2), &json!("Message"), &json!("Welcome.")));
    assert_eq!((&event["from"]["nickname"], &event["from"]["type"]), (&json!("system"), &json!("External")));
}

#[test]
fn each_request_for_a_chat_makes_a_new_one() {
    let mut desk = Desk::new();
    let first = desk.start(1, "Ann");
    let again = desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann", "secureKey": first}));
    assert_ne!(again["secureKey"], first.as_str());
    assert_eq!(indexes(&again), [1]);
}

// sendMessage

#[test]
fn a_message_is_echoed_as_an_event_of_the_client() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.wait(990);
    let mut message = say(&key, "hé 漢😀");
    message["messageType"] = json!("text");
    let answer = desk.ask(1, &message);
    assert_eq!(
        answer["messages"],
        json!([{
            "index": 2, "type": "Message", "text": "hé 漢😀", "messageType": "text", "utcTime": START + 1_000,
            "from": {"nickname": "Ann", "participantId": 1, "type": "Client"},
        }])
    );
    assert_eq!((&answer["secureKey"], &answer["nextPosition"]), (&json!(key), &json!(3)));
}

#[rstest]
#[case(14_700, None)]
#[case(14_701, Some((2, false, 204)))]
fn a_message_has_a_longest_length_in_characters(#[case] length: usize, #[case] error: Option<(i64, bool, i64)>) {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &say(&key, &"é".repeat(length)));
    match error {
        None => assert_eq!(indexes(&answer), [2]),
        Some(error) => assert_eq!(code(&answer), error),
    }
    assert_eq!(desk.ask(1, &say(&key, "on it goes"))["statusCode"], 0);
}

// requestNotifications

#[rstest]
#[case(json!(0), &[1, 2, 3])]
#[case(json!(-1), &[1, 2, 3])]
#[case(Value::Null, &[1, 2, 3])]
#[case(json!(2), &[2, 3])]
#[case(json!("2"), &[2, 3])]
#[case(json!(4), &[])]
#[case(json!(i64::MAX), &[])]
fn notifications_begin_at_the_position(#[case] position: Value, #[case] expected: &[u64]) {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.ask(1, &say(&key, "a"));
    desk.ask(1, &say(&key, "b"));
    let answer = desk.ask(1, &from(&key, position));
    assert_eq!(indexes(&answer), expected);
    assert_eq!((&answer["statusCode"], &answer["nextPosition"]), (&json!(0), &json!(4)));
}

#[test]
fn an_exclusive_server_begins_behind_the_position() {
    let mut desk =
        Desk::with(GmsSettings { position_inclusive: false, welcome: String::new(), ..GmsSettings::default() });
    let key = desk.start(1, "Ann");
    desk.ask(1, &say(&key, "a"));
    assert_eq!(indexes(&desk.ask(1, &from(&key, json!(1)))), [2]);
    assert_eq!(indexes(&desk.ask(1, &from(&key, json!(0)))), [1, 2]);
}

#[test]
fn the_last_session_that_asks_gets_the_notifications() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.joins(ChatNumber(1), "Mia").unwrap();
    assert_eq!(desk.wait(10).iter().map(|(to, _)| *to).collect::<Vec<_>>(), [1]);
    desk.ask(2, &from(&key, json!(2)));
    desk.does(ChatNumber(1), Deed::Say(Secret::new("hi"))).unwrap();
    assert_eq!(desk.wait(10).iter().map(|(to, _)| *to).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_session_that_is_not_attached_gets_its_answer_and_the_attached_one_the_event() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let delivered = desk.publish(2, &say(&key, "from elsewhere"));
    assert_eq!(
        delivered.iter().map(|(to, data)| (*to, indexes(data))).collect::<Vec<_>>(),
        [(2, vec![2]), (1, vec![2])]
    );
}

#[test]
fn what_happens_while_no_session_is_attached_stands_in_the_transcript() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.server.handle_session_closed(desk.now, SessionId(1));
    let chat = desk.chat("Ann");
    desk.joins(chat, "Mia").unwrap();
    desk.does(chat, Deed::Say(Secret::new("hello?"))).unwrap();
    assert_eq!(desk.wait(1_000), []);
    assert_eq!(indexes(&desk.ask(2, &from(&key, json!(1)))), [1, 2, 3]);
}

// The end

#[test]
fn a_client_ends_its_chat_and_whatever_follows_fails() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &end(&key));
    assert_eq!((&answer["statusCode"], &answer["chatEnded"]), (&json!(0), &json!(true)));
    assert_eq!(answer["messages"][0]["type"], "ParticipantLeft");
    assert_eq!(answer["messages"][0].get("eventAttributes"), None, "a logout is not delivered as a reason");
    for request in [say(&key, "more"), from(&key, json!(0)), end(&key)] {
        let answer = desk.ask(1, &request);
        assert_eq!(code(&answer), (2, true, 249));
        assert_eq!((answer.get("secureKey"), answer.get("userId"), answer.get("nextPosition")), (None, None, None));
        assert_eq!(answer["messages"], json!([]));
    }
    assert_eq!(desk.server.chat_of("Ann"), None);
}

#[test]
fn an_agent_who_closes_removes_the_client() {
    let mut desk = Desk::new();
    desk.start(1, "Ann");
    let chat = desk.chat("Ann");
    desk.joins(chat, "Mia").unwrap();
    desk.wait(10);
    desk.does(chat, Deed::End).unwrap();
    let delivered = desk.wait(10);
    let seen: Vec<(&Value, &Value, &Value)> = delivered
        .iter()
        .map(|(_, data)| (&data["chatEnded"], &data["messages"][0]["type"], &data["messages"][0]["from"]["type"]))
        .collect();
    let left = json!("ParticipantLeft");
    assert_eq!(seen, [(&json!(false), &left, &json!("Agent")), (&json!(true), &left, &json!("Client"))]);
    assert_eq!(delivered[1].1["messages"][0]["eventAttributes"], json!({"GCTI_SYSTEM": {"quit-reason-code": 4}}));
    assert_eq!(desk.events.last(), Some(&Event::Ended(chat, EndedBy::Agent)));
}

#[test]
fn a_chat_without_a_session_ends_after_a_while() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.server.handle_session_closed(desk.now, SessionId(1));
    desk.wait(44_999);
    assert!(desk.server.is_running(ChatNumber(1)));
    assert_eq!(desk.wait(1), []);
    assert_eq!(code(&desk.ask(2, &from(&key, json!(0)))), (2, true, 249));
}

#[test]
fn coming_back_in_time_keeps_the_chat() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.server.handle_session_closed(desk.now, SessionId(1));
    desk.wait(44_000);
    desk.ask(2, &from(&key, json!(0)));
    desk.wait(100_000);
    assert!(desk.server.is_running(ChatNumber(1)));
}

#[test]
fn a_request_without_attaching_puts_the_end_off() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.server.handle_session_closed(desk.now, SessionId(1));
    desk.wait(44_000);
    desk.ask(2, &say(&key, "still here"));
    desk.wait(44_000);
    assert!(desk.server.is_running(ChatNumber(1)));
    desk.wait(1_000);
    assert!(!desk.server.is_running(ChatNumber(1)));
}

// Failures

#[rstest]
#[case(json!({"operation": "requestChat"}), (2, false, 161))]
#[case(json!({"operation": "requestChat", "firstName": "Ann"}), (2, false, 161))]
#[case(json!({"operation": "sendMessage", "message": "x"}), (2, false, 100))]
#[case(json!({"operation": "sendMessage", "secureKey": "KEY"}), (2, false, 100))]
#[case(json!({"operation": "readReceipt", "secureKey": "KEY"}), (2, false, 100))]
#[case(json!({}), (2, false, 100))]
#[case(json!({"operation": "sendMessage", "message": "x", "secureKey": "nobody's"}), (2, false, 249))]
fn a_request_that_fails_says_why(#[case] mut request: Value, #[case] expected: (i64, bool, i64)) {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    if request["secureKey"] == "KEY" {
        request["secureKey"] = json!(key);
    }
    assert_eq!(code(&desk.ask(1, &request)), expected);
    assert_eq!(desk.ask(1, &say(&key, "the chat goes on"))["statusCode"], 0);
}

#[rstest]
#[case(Some("5"))]
#[case(Some("[]"))]
#[case(Some("null"))]
#[case(None)]
fn data_that_is_no_object_gets_no_answer(#[case] data: Option<&str>) {
    let mut desk = Desk::new();
    desk.server.handle_publish(desk.now, SessionId(1), SERVICE, data);
    assert_eq!(desk.wait(100), []);
}

#[test]
fn an_unknown_service_is_silent_unless_set_otherwise() {
    let request = r#"{"operation":"requestChat","nickname":"Ann"}"#;
    for (setting, answers) in [(UnknownService::Silence, 0), (UnknownService::Failure, 1)] {
        let mut desk = Desk::with(GmsSettings { unknown_service: setting, ..GmsSettings::default() });
        desk.server.handle_publish(desk.now, SessionId(1), "/service/chatV2/nobody", Some(request));
        desk.server.handle_publish(desk.now, SessionId(1), "/service/other", Some(request));
        assert_eq!(desk.wait(100).len(), answers);
    }
}

#[test]
fn a_wrong_key_never_gives_anything_of_another_chat() {
    let mut desk = Desk::new();
    let ann = desk.start(1, "Ann");
    desk.ask(1, &say(&ann, "private"));
    let mut almost = ann.clone();
    almost.pop();
    for key in ["x", almost.as_str(), &ann.to_lowercase()] {
        let answer = desk.ask(2, &from(key, json!(0)));
        assert_eq!(code(&answer), (2, false, 249));
        assert_eq!((answer.get("chatId"), &answer["messages"]), (None, &json!([])));
    }
    desk.ask(1, &say(&ann, "the owner is not disturbed"));
}

#[test]
fn an_unknown_key_may_be_taken_for_an_ended_chat() {
    let mut desk = Desk::with(GmsSettings { unknown_key_ends: true, ..GmsSettings::default() });
    assert_eq!(code(&desk.ask(1, &say("x", "y"))), (2, true, 249));
}

#[test]
fn a_key_is_good_for_the_service_that_issued_it() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let request = say(&key, "x").to_string();
    desk.server.handle_publish(desk.now, SessionId(1), "/service/chatV2/sales", Some(&request));
    assert_eq!(code(&desk.wait(10)[0].1), (2, false, 249));
}

// Order and settings

#[test]
fn answers_and_notifications_leave_in_the_order_of_their_indexes() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let chat = desk.chat("Ann");
    desk.server.handle_publish(desk.now, SessionId(1), SERVICE, Some(&say(&key, "a").to_string()));
    desk.joins(chat, "Mia").unwrap();
    desk.does(chat, Deed::Say(Secret::new("b"))).unwrap();
    let order: Vec<u64> = desk.wait(100).iter().flat_map(|(_, data)| indexes(data)).collect();
    assert_eq!(order, [2, 3, 4]);
}

#[test]
fn an_answer_may_come_at_once_or_in_two_parts() {
    let settings = GmsSettings { answer_delay_ms: 0, split_answers: true, ..GmsSettings::default() };
    let mut desk = Desk::with(GmsSettings { welcome: String::new(), ..settings });
    let request = json!({"operation": "requestChat", "nickname": "Ann"}).to_string();
    desk.server.handle_publish(desk.now, SessionId(1), SERVICE, Some(&request));
    let parts: Vec<Vec<u64>> = desk.drain().iter().map(|(_, data)| indexes(data)).collect();
    assert_eq!(parts, [vec![], vec![1]]);
}

#[test]
fn indexes_may_leave_gaps_but_always_rise() {
    let mut desk = Desk::with(GmsSettings { index_gaps: true, ..GmsSettings::default() });
    desk.publish(1, &json!({"operation": "requestChat", "nickname": "Ann"}));
    let chat = desk.chat("Ann");
    desk.joins(chat, "Mia").unwrap();
    for _ in 0..20 {
        desk.does(chat, Deed::Say(Secret::new("x"))).unwrap();
    }
    let seen: Vec<u64> = desk.wait(1_000).iter().flat_map(|(_, data)| indexes(data)).collect();
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
    assert!(seen.windows(2).any(|pair| pair[0] + 1 < pair[1]), "{seen:?}");
}

// Agents

#[test]
fn an_agent_can_only_do_what_the_chat_allows() {
    let mut desk = Desk::new();
    desk.start(1, "Ann");
    let chat = desk.chat("Ann");
    assert_eq!(desk.does(chat, Deed::Say(Secret::new("x"))), Err(Misuse::NotJoined));
    assert_eq!(desk.does(chat, Deed::Leave), Err(Misuse::NotJoined));
    assert_eq!(desk.does(chat, Deed::End), Err(Misuse::NotJoined));
    assert_eq!(desk.joins(chat, "Mia"), Ok(()));
    assert_eq!(desk.joins(chat, "Mia"), Err(Misuse::AlreadyJoined));
    assert_eq!(desk.does(chat, Deed::Leave), Ok(()));
    assert_eq!(desk.joins(chat, "Lou"), Ok(()));
    assert_eq!(desk.does(chat, Deed::End), Ok(()));
    assert_eq!(desk.joins(chat, "Mia"), Err(Misuse::NoChat));
    assert_eq!(desk.joins(ChatNumber(9), "Mia"), Err(Misuse::NoChat));
}

#[test]
fn every_participant_of_a_chat_has_a_number_of_its_own() {
    let mut desk = Desk::with(GmsSettings::default());
    desk.publish(1, &json!({"operation": "requestChat", "nickname": "Ann"}));
    let chat = desk.chat("Ann");
    desk.joins(chat, "Mia").unwrap();
    desk.does(chat, Deed::Leave).unwrap();
    desk.joins(chat, "Mia").unwrap();
    let numbers: Vec<i64> =
        desk.wait(10).iter().map(|(_, data)| data["messages"][0]["from"]["participantId"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [3, 3, 4]);
}

#[test]
fn debug_shows_neither_keys_nor_names_nor_words() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Annabel");
    desk.server.handle_publish(desk.now, SessionId(1), SERVICE, Some(&say(&key, "pssst").to_string()));
    let shown = format!("{:?}", desk.server);
    desk.wait(10);
    let shown = format!("{shown} {:?} {:?}", desk.server, desk.events);
    for secret in [key.as_str(), "Annabel", "pssst"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
