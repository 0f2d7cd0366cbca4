//! Chat Server goes away and comes back.

use pretty_assertions::assert_eq;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn status(delivered: &[(u64, Value)]) -> Vec<(u64, i64, bool)> {
    let status = |data: &Value| (data["statusCode"].as_i64().unwrap(), data["chatEnded"].as_bool().unwrap());
    delivered.iter().map(|(to, data)| (*to, status(data).0, status(data).1)).collect()
}

#[test]
fn its_loss_and_its_return_are_told_once_each() {
    let mut desk = Desk::new();
    let key = desk.start(1, "Ann");
    desk.server.lose(desk.now);
    desk.server.lose(desk.now);
    let told = desk.wait(10);
    assert_eq!(status(&told), [(1, 1, false)]);
    assert_eq!(told[0].1, json!({"statusCode": 1, "chatEnded": false, "messages": []}));
    assert_eq!(status(&desk.publish(1, &say(&key, "lost"))), [(1, 1, false)]);
    assert_eq!(desk.joins(ChatNumber(1), "Mia"), Err(Misuse::Away));
    desk.server.come_back(desk.now);
    desk.server.come_back(desk.now);
    assert_eq!(status(&desk.wait(10)), [(1, 0, false)]);
    assert_eq!(indexes(&desk.ask(1, &say(&key, "not lost"))), [2]);
}

#[rstest]
#[case("requestChat")]
#[case("requestNotifications")]
#[case("disconnect")]
fn every_request_may_be_tried_again_later(#[case] operation: &str) {
    let mut desk = desk_with(|settings| settings.tells_outage = false);
    let key = desk.start(1, "Ann");
    desk.server.lose(desk.now);
    assert_eq!(desk.wait(10), []);
    let request = json!({"operation": operation, "nickname": "Ann", "secureKey": key});
    assert_eq!(status(&desk.publish(1, &request)), [(1, 1, false)]);
    desk.server.come_back(desk.now);
    assert_eq!(desk.wait(10), []);
    assert_eq!(status(&desk.publish(1, &request))[0].1, 0);
}

#[test]
fn the_chat_may_be_named_all_the_same() {
    let mut desk = desk_with(|settings| settings.outage_names_chat = true);
    let key = desk.start(1, "Ann");
    desk.server.lose(desk.now);
    let told = desk.wait(10);
    assert_eq!((&told[0].1["statusCode"], &told[0].1["secureKey"]), (&json!(1), &json!(key)));
    assert_eq!(desk.ask(1, &say("guess", "x")).get("secureKey"), None, "a wrong key names nothing");
}

#[test]
fn another_chat_server_has_another_alias_and_restores_the_client_alone() {
    let mut desk = Desk::new();
    let alias = desk.ask(1, &json!({"operation": "requestChat", "nickname": "Ann"}))["alias"].clone();
    desk.joins(ChatNumber(1), "Mia").unwrap();
    desk.server.lose(desk.now);
    desk.wait(10);
    desk.server.fail_over(desk.now);
    let told = desk.wait(10);
    assert_eq!(status(&told), [(1, 0, false), (1, 0, false)]);
    assert_ne!(told[0].1["alias"], alias);
    let left = &told[1].1["messages"][0];
    assert_eq!((&left["type"], &left["from"]["nickname"]), (&json!("ParticipantLeft"), &json!("Mia")));
    assert_eq!(left["eventAttributes"], json!({"GCTI_SYSTEM": {"quit-reason-code": 8}}));
    assert_eq!(desk.joins(ChatNumber(1), "Mia"), Ok(()));
}

#[test]
fn time_away_does_not_count_as_silence() {
    let mut desk = Desk::new();
    desk.start(1, "Ann");
    desk.server.lose(desk.now);
    assert_eq!(desk.wait(600_000).len(), 1);
    desk.server.come_back(desk.now);
    assert_eq!(desk.wait(254_000).len(), 1);
    assert_eq!(desk.wait(2_000).len(), 1);
}
