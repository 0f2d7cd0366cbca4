//! Operations beside the talking itself, and the settings that shape their answers.

use pretty_assertions::assert_eq;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn request(key: &str, operation: &str, more: &Value) -> Value {
    let mut request = json!({"operation": operation, "secureKey": key});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[rstest]
#[case("customNotice", json!({"message": "m", "messageType": "t"}), "CustomNotice", json!("m"))]
#[case("customNotice", json!({}), "CustomNotice", Value::Null)]
#[case("pushUrl", json!({"pushUrl": "https://a.example/"}), "PushUrl", json!("https://a.example/"))]
fn an_operation_is_echoed_as_its_event(
    #[case] operation: &str,
    #[case] more: Value,
    #[case] kind: &str,
    #[case] text: Value,
) {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &request(&key, operation, &more));
    let event = &answer["messages"][0];
    assert_eq!((&event["index"], &event["type"], &event["text"]), (&json!(2), &json!(kind), &text));
    assert_eq!(event.get("messageType"), more.get("messageType"));
    assert_eq!(event["from"], json!({"nickname": "Ann", "participantId": 1, "type": "Client"}));
    assert_eq!((&answer["nextPosition"], &answer["chatEnded"]), (&json!(3), &json!(false)));
    assert_eq!(indexes(&desk.ask(1, &from(&key, json!(2)))), [2]);
}

#[rstest]
#[case(Typing::Passing, None, 2)]
#[case(Typing::Counted, None, 3)]
#[case(Typing::Indexed, Some(2), 3)]
fn typing_passes_by(#[case] typing: Typing, #[case] index: Option<u64>, #[case] next: u64) {
    let mut desk = desk_with(|settings| settings.typing = typing);
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &request(&key, "startTyping", &json!({"message": "hel"})));
    let event = &answer["messages"][0];
    assert_eq!((&event["type"], &event["text"]), (&json!("TypingStarted"), &json!("hel")));
    assert_eq!((event.get("index").and_then(Value::as_u64), &answer["nextPosition"]), (index, &json!(next)));
    let answer = desk.ask(1, &request(&key, "stopTyping", &json!({})));
    assert_eq!((&answer["messages"][0]["type"], answer["messages"][0].get("text")), (&json!("TypingStopped"), None));
    assert_eq!(indexes(&desk.ask(1, &from(&key, json!(0)))), [1], "typing is never kept");
}

#[test]
fn a_notice_may_pass_by_too() {
    let mut desk = desk_with(|settings| settings.notices_indexed = false);
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &request(&key, "customNotice", &json!({"message": "n"})));
    assert_eq!((answer["messages"][0].get("index"), &answer["nextPosition"]), (None, &json!(2)));
}

#[rstest]
#[case(false, "Anna", None)]
#[case(true, "Ann", Some("Anna"))]
fn a_new_name_is_told_and_used_from_then_on(#[case] in_text: bool, #[case] by: &str, #[case] text: Option<&str>) {
    let mut desk = desk_with(|settings| settings.new_name_in_text = in_text);
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &request(&key, "updateNickname", &json!({"nickname": "Anna"})));
    let event = &answer["messages"][0];
    assert_eq!((&event["type"], &event["from"]["nickname"]), (&json!("NicknameUpdated"), &json!(by)));
    assert_eq!(event.get("text").and_then(Value::as_str), text);
    assert_eq!(desk.ask(1, &say(&key, "x"))["messages"][0]["from"]["nickname"], "Anna");
    assert_eq!((desk.server.chat_of("Ann"), desk.server.chat_of("Anna")), (None, Some(ChatNumber(1))));
}

#[rstest]
#[case(false, 0)]
#[case(true, 1)]
fn attached_data_may_change(#[case] event: bool, #[case] events: usize) {
    let mut desk = desk_with(|settings| settings.update_data_event = event);
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &request(&key, "updateData", &json!({"userData": {"a": "b"}})));
    assert_eq!((&answer["statusCode"], indexes(&answer).len()), (&json!(0), events));
}

#[test]
fn a_read_receipt_is_known_where_it_is_switched_on() {
    let mut desk = desk_with(|settings| settings.read_receipts = true);
    let key = desk.start(1, "Ann");
    let answer = desk.ask(1, &request(&key, "readReceipt", &json!({"transcriptPosition": 1})));
    assert_eq!((&answer["statusCode"], &answer["messages"]), (&json!(0), &json!([])));
}

#[rstest]
#[case("pushUrl", json!({"pushUrl": 5}), 100)]
#[case("updateNickname", json!({"nickname": ""}), 100)]
#[case("updateData", json!({"userData": "x"}), 100)]
#[case("refresh", json!({}), 100)]
#[case("SendMessage", json!({"message": "x"}), 100)]
#[case("requestChat", json!({"nickname": "Ann", "emailAddress": "nobody"}), 364)]
fn what_is_malformed_changes_nothing(#[case] operation: &str, #[case] more: Value, #[case] expected: i64) {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    assert_eq!(code(&desk.ask(1, &request(&key, operation, &more))), (2, false, expected));
    assert_eq!(desk.server.transcript_length(ChatNumber(1)), 1);
}

#[test]
fn members_of_old_clients_are_tolerated() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    let legacy = json!({"message": "x", "userId": "U", "alias": "7", "chatId": "C", "auth": {"encoded": "x"}});
    assert_eq!(desk.ask(1, &request(&key, "sendMessage", &legacy))["statusCode"], 0);
}

#[test]
fn a_service_may_need_a_password() {
    let mut desk = desk_with(|settings| settings.auth = Some(Encoded("dTpw".to_owned())));
    let chat = |auth: Value| json!({"operation": "requestChat", "nickname": "Ann", "auth": auth});
    assert_eq!(code(&desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann"}))), (2, false, 401));
    assert_eq!(code(&desk.ask(1, &chat(json!({"encoded": "dTpx"})))), (2, false, 401));
    let answer = desk.ask(1, &chat(json!({"encoded": "dTpw"})));
    assert_eq!(answer["statusCode"], 0);
    assert_eq!(code(&desk.ask(1, &say(answer["secureKey"].as_str().unwrap(), "x"))), (2, false, 401));
}

#[test]
fn the_first_words_may_come_with_the_request() {
    let mut desk = Desk::new();
    let delivered = desk.publish(1, &json!({"operation": "requestChat", "nickname": "Ann", "text": "help"}));
    let seen: Vec<&Value> = delivered.iter().map(|(_, data)| &data["messages"][0]["type"]).collect();
    assert_eq!(seen, ["ParticipantJoined", "Message"]);
    assert_eq!(delivered[1].1["messages"][0]["text"], "help");
}

#[test]
fn the_envelope_may_tell_supervision_and_idle_time() {
    let mut desk = desk_with(|settings| {
        settings.tells_monitored = true;
        settings.tells_idle_timer = true;
    });
    let key = desk.start(1, "Ann");
    desk.wait(990);
    let answer = desk.ask(1, &request(&key, "stopTyping", &json!({})));
    assert_eq!((&answer["monitored"], &answer["idleTimerExpire"]), (&json!(false), &json!(254)));
    desk.server.agent_joins(desk.now, ChatNumber(1), "Sue", Role::Supervisor).unwrap();
    desk.wait(10);
    assert_eq!(desk.ask(1, &from(&key, json!(0)))["monitored"], true);
}

#[test]
fn time_may_be_a_text() {
    let mut desk = desk_with(|settings| settings.iso_time = true);
    let answer = desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann"}));
    assert_eq!(answer["messages"][0]["utcTime"], "2023-11-14T22:13:20.000Z");
}

#[rstest]
#[case(false, (2, true))]
#[case(true, (0, true))]
fn a_second_disconnect_fails_unless_set_otherwise(#[case] succeeds: bool, #[case] expected: (i64, bool)) {
    let mut desk = desk_with(|settings| settings.repeated_end_succeeds = succeeds);
    let key = desk.start(1, "Ann");
    desk.ask(1, &end(&key));
    let answer = desk.ask(1, &end(&key));
    assert_eq!((answer["statusCode"].as_i64().unwrap(), answer["chatEnded"].as_bool().unwrap()), expected);
    assert_eq!(code(&desk.ask(1, &say(&key, "x"))), (2, true, 249), "nothing else succeeds");
}

#[test]
fn the_end_may_be_told_twice_and_end_the_session() {
    let mut desk = desk_with(|settings| {
        settings.repeats_end = true;
        settings.end_closes_session = true;
    });
    let key = desk.start(1, "Ann");
    let delivered = desk.publish(1, &end(&key));
    let ended = |data: &Value| data.get("chatEnded").and_then(Value::as_bool);
    assert_eq!(delivered.iter().map(|(_, data)| ended(data)).collect::<Vec<_>>(), [Some(true), Some(true), None]);
    assert_eq!(delivered.last(), Some(&(1, json!("disconnect"))));
}

#[rstest]
#[case(NotificationMode::Silent)]
#[case(NotificationMode::Refused)]
fn an_api_that_is_off_does_not_answer(#[case] mode: NotificationMode) {
    let mut desk = desk_with(|settings| settings.notification_mode = mode);
    assert_eq!(desk.publish(1, &json!({"operation": "requestChat", "nickname": "Ann"})), []);
    assert_eq!(desk.events, []);
}
