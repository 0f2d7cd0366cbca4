//! Keys, CometD sessions and their chats: who may, who is told, and how long a chat outlives its sessions.

use pretty_assertions::assert_eq;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn told(delivered: &[(u64, Value)]) -> Vec<u64> {
    delivered.iter().map(|(to, _)| *to).collect()
}

#[test]
fn a_text_is_no_position_where_set_so() {
    let mut desk = desk_with(|settings| settings.text_positions = false);
    let key = desk.start(1, "Ann");
    assert_eq!(code(&desk.ask(1, &from(&key, json!("1")))), (2, false, 100));
    assert_eq!(indexes(&desk.ask(1, &from(&key, json!(1)))), [1]);
}

#[test]
fn a_new_key_is_offered_and_the_old_one_is_good_until_it_is_used() {
    let mut desk = desk_with(|settings| settings.key_renewal = true);
    let old = desk.start(1, "Ann");
    let lost = desk.ask(1, &from(&old, json!(0)))["secureKey"].as_str().unwrap().to_owned();
    assert_ne!(lost, old);
    let again = desk.ask(1, &from(&lost, json!(0)))["secureKey"].as_str().unwrap().to_owned();
    assert_eq!(desk.ask(1, &say(&lost, "the answer may be lost"))["statusCode"], 0);
    assert_eq!(code(&desk.ask(1, &say(&old, "too old"))), (2, false, 249));
    assert_eq!(desk.ask(1, &say(&again, "used"))["statusCode"], 0);
    assert_eq!(code(&desk.ask(1, &say(&lost, "void"))), (2, false, 249));
}

#[rstest]
#[case(Sharing::Last, &[2])]
#[case(Sharing::All, &[1, 2])]
fn of_two_sessions_with_one_key_the_last_is_told_or_both(#[case] sharing: Sharing, #[case] expected: &[u64]) {
    let mut desk = desk_with(|settings| settings.sharing = sharing);
    let key = desk.start(1, "Ann");
    desk.ask(2, &from(&key, json!(0)));
    desk.joins(ChatNumber(1), "Mia").unwrap();
    assert_eq!(told(&desk.wait(10)), expected);
    desk.server.handle_session_closed(desk.now, SessionId(2));
    desk.does(ChatNumber(1), Deed::Say(Secret::new("x"))).unwrap();
    assert_eq!(told(&desk.wait(10)).len(), expected.len() - 1);
}

#[test]
fn two_chats_of_one_session_are_told_apart_by_their_keys() {
    let mut desk = Desk::new();
    let (first, second) = (desk.start(1, "Ann"), desk.start(1, "Ann"));
    desk.joins(ChatNumber(1), "Mia").unwrap();
    desk.joins(ChatNumber(2), "Mia").unwrap();
    let delivered = desk.wait(10);
    let keys: Vec<&Value> = delivered.iter().map(|(_, data)| &data["secureKey"]).collect();
    assert_eq!((told(&delivered), keys), (vec![1, 1], vec![&json!(first), &json!(second)]));
    desk.ask(1, &end(&first));
    assert_eq!(desk.ask(1, &say(&second, "on it goes"))["statusCode"], 0);
}

#[test]
fn a_second_chat_may_be_refused() {
    let mut desk = desk_with(|settings| settings.one_chat_per_session = true);
    let key = desk.start(1, "Ann");
    let request = json!({"operation": "requestChat", "nickname": "Ann"});
    assert_eq!(code(&desk.ask(1, &request)), (2, false, 240));
    desk.ask(1, &end(&key));
    assert_eq!(desk.ask(1, &request)["statusCode"], 0);
}

#[test]
fn an_old_key_may_give_the_old_chat_again() {
    let mut desk = desk_with(|settings| settings.old_key_resumes = true);
    let key = desk.start(1, "Ann");
    let request = json!({"operation": "requestChat", "nickname": "Ann", "secureKey": key});
    let answer = desk.ask(2, &request);
    assert_eq!((&answer["secureKey"], indexes(&answer)), (&json!(key), vec![1]));
    assert_eq!(desk.server.running_chats().count(), 1);
}

#[test]
fn events_need_not_be_repeated_to_who_gets_them_already() {
    let mut desk = desk_with(|settings| settings.repeats_to_attached = false);
    let key = desk.start(1, "Ann");
    assert_eq!(indexes(&desk.ask(1, &from(&key, json!(0)))), Vec::<u64>::new());
    assert_eq!(indexes(&desk.ask(2, &from(&key, json!(0)))), [1]);
}

#[rstest]
#[case(false, None)]
#[case(true, Some(6))]
fn a_wrong_key_beside_a_name_may_remove_the_victim(#[case] removes: bool, #[case] reason: Option<i64>) {
    let mut desk = desk_with(|settings| settings.wrong_key_removes = removes);
    let answer = desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann"}));
    let mut request = say("guess", "x");
    request["userId"] = answer["userId"].clone();
    let delivered = desk.publish(2, &request);
    let (to, refusal) = delivered.last().unwrap();
    assert_eq!((*to, code(refusal), &refusal["messages"]), (2, (2, false, 249), &json!([])));
    let left = delivered.iter().find(|(to, _)| *to == 1).map(|(_, data)| data);
    assert_eq!(left.map(|data| data["chatEnded"].as_bool()), reason.map(|_| Some(true)));
    let attributes = left.map(|data| &data["messages"][0]["eventAttributes"]["GCTI_SYSTEM"]["quit-reason-code"]);
    assert_eq!(attributes.and_then(Value::as_i64), reason);
    assert_eq!(desk.server.is_running(ChatNumber(1)), !removes);
}

// The end of sessions

#[rstest]
#[case(false, false, true)]
#[case(true, false, false)]
fn leaving_may_end_the_chat(#[case] ends: bool, #[case] position: bool, #[case] runs: bool) {
    let mut desk = desk_with(|settings| settings.disconnect_ends = ends);
    desk.start(1, "Ann");
    desk.server.handle_session_left(desk.now, SessionId(1), position);
    desk.wait(10);
    assert_eq!(desk.server.is_running(ChatNumber(1)), runs);
}

#[test]
fn losing_the_session_may_end_the_chat() {
    let mut desk = desk_with(|settings| settings.expiry_ends = true);
    desk.start(1, "Ann");
    desk.server.handle_session_closed(desk.now, SessionId(1));
    desk.drain();
    assert_eq!(desk.events.last(), Some(&Event::Ended(ChatNumber(1), EndedBy::Client)));
}

#[test]
fn an_older_chat_server_waits_longer() {
    let mut desk = desk_with(|settings| settings.inactivity_ms = 300_000);
    desk.start(1, "Ann");
    desk.server.handle_session_closed(desk.now, SessionId(1));
    desk.wait(249_000);
    assert!(desk.server.is_running(ChatNumber(1)));
    desk.wait(51_000);
    assert!(!desk.server.is_running(ChatNumber(1)));
}

#[rstest]
#[case(true, true, true)]
#[case(true, false, false)]
#[case(false, true, false)]
fn a_client_in_the_background_keeps_its_chat(#[case] mode: bool, #[case] position: bool, #[case] runs: bool) {
    let mut desk = desk_with(|settings| {
        settings.background_mode = mode;
        settings.idle.alert_ms = 0;
    });
    let key = desk.start(1, "Ann");
    desk.server.handle_session_left(desk.now, SessionId(1), position);
    desk.wait(3_600_000);
    assert_eq!(desk.server.is_running(ChatNumber(1)), runs);
    if runs {
        assert_eq!(indexes(&desk.ask(2, &from(&key, json!("1")))), [1]);
        desk.server.handle_session_left(desk.now, SessionId(2), false);
        desk.wait(45_000);
        assert!(!desk.server.is_running(ChatNumber(1)), "the foreground counts again");
    }
}

#[rstest]
#[case(json!({"push_notification_deviceid": "d1", "push_notification_type": "fcm"}), 1)]
#[case(json!({"GCTI_GMS_PushDeviceId": "d1"}), 1)]
#[case(json!({"GCTI_Chat_PushSubscribe": "true"}), 1)]
#[case(json!({"GCTI_Chat_PushSubscribe": "false"}), 0)]
#[case(json!({"TimeZone": "60"}), 0)]
fn a_subscriber_of_pushes_is_pushed_to_while_away(#[case] user_data: Value, #[case] pushed: usize) {
    let mut desk = Desk::new();
    desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann", "userData": user_data}));
    desk.joins(ChatNumber(1), "Mia").unwrap();
    desk.server.handle_session_closed(desk.now, SessionId(1));
    desk.does(ChatNumber(1), Deed::Say(Secret::new("x"))).unwrap();
    desk.does(ChatNumber(1), Deed::Notice(Secret::new("not pushed"))).unwrap();
    desk.wait(60_000);
    assert_eq!(desk.events.iter().filter(|event| matches!(event, Event::Pushed(_))).count(), pushed);
    assert_eq!(desk.server.is_running(ChatNumber(1)), pushed > 0, "its chat lives on too");
}

#[test]
fn a_client_that_is_there_may_be_pushed_to_as_well() {
    let mut desk = desk_with(|settings| settings.push_to_active = true);
    let user_data = json!({"push_notification_deviceid": "d1"});
    let answer = desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann", "userData": user_data}));
    assert_eq!(desk.events.iter().filter(|event| matches!(event, Event::Pushed(_))).count(), 1);
    let key = answer["secureKey"].as_str().unwrap();
    let mut request = from(key, json!(0));
    request["userData"] = json!({"push_notification_deviceid": ""});
    desk.ask(1, &request);
    desk.ask(1, &say(key, "x"));
    assert_eq!(desk.events.iter().filter(|event| matches!(event, Event::Pushed(_))).count(), 1, "unsubscribed");
}

// Silence

#[test]
fn silence_is_warned_of_and_then_ends_the_chat() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.wait(254_000);
    desk.ask(1, &say(&key, "still here"));
    assert_eq!(desk.wait(254_980), []);
    let alert = desk.wait(10);
    assert_eq!(alert[0].1["messages"][0]["type"], "IdleAlert");
    assert_eq!(alert[0].1["messages"][0]["from"]["type"], "External");
    assert_eq!(desk.wait(44_989), []);
    let close = desk.wait(11);
    let seen: Vec<(&Value, &Value)> =
        close.iter().map(|(_, data)| (&data["messages"][0]["type"], &data["chatEnded"])).collect();
    assert_eq!(seen, [(&json!("IdleClose"), &json!(false)), (&json!("ParticipantLeft"), &json!(true))]);
    assert_eq!(close[1].1["messages"][0]["eventAttributes"], json!({"GCTI_SYSTEM": {"quit-reason-code": 7}}));
    assert_eq!(desk.events.last(), Some(&Event::Ended(ChatNumber(1), EndedBy::Silence)));
}

#[test]
fn a_second_alert_comes_where_set_and_a_word_begins_anew() {
    let mut desk = desk_with(|settings| settings.idle.alert2_ms = 10_000);
    let key = desk.start(1, "Ann");
    let alerts = |delivered: Vec<(u64, Value)>| delivered.len();
    assert_eq!(alerts(desk.wait(255_000)), 1);
    desk.publish(1, &say(&key, "x"));
    assert_eq!(alerts(desk.wait(254_000)), 0);
    assert_eq!(alerts(desk.wait(12_000)), 2);
    assert_eq!(alerts(desk.wait(43_000)), 0);
    assert_eq!(alerts(desk.wait(10_000)), 2);
    assert!(!desk.server.is_running(ChatNumber(1)));
}

#[test]
fn silence_may_be_of_no_concern() {
    let mut desk = desk_with(|settings| settings.idle.alert_ms = 0);
    desk.start(1, "Ann");
    assert_eq!(desk.wait(86_400_000), []);
    assert!(desk.server.is_running(ChatNumber(1)));
}
