//! Several agents, supervisors and bots.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;

fn seen(delivered: &[(u64, Value)]) -> Vec<String> {
    let event = |data: &Value| {
        let event = &data["messages"][0];
        format!(
            "{} {} {} {}",
            event["from"]["type"].as_str().unwrap(),
            event["from"]["nickname"].as_str().unwrap(),
            event["type"].as_str().unwrap(),
            event.get("text").and_then(Value::as_str).unwrap_or("-"),
        )
    };
    delivered.iter().map(|(_, data)| event(data)).collect()
}

#[test]
fn several_may_be_in_one_chat_and_act_under_their_names() {
    let mut desk = Desk::new();
    desk.start(1, "Ann");
    let chat = ChatNumber(1);
    desk.server.agent_joins(desk.now, chat, "Robo", Role::Bot).unwrap();
    let joined = desk.wait(10);
    assert_eq!(joined[0].1["messages"][0]["from"]["type"], "Agent");
    let style = json!({"GCTI_SYSTEM": {"party-info": {"style": "BOT"}}});
    assert_eq!(joined[0].1["messages"][0]["eventAttributes"], style);
    desk.joins(chat, "Mia").unwrap();
    desk.server.agent_joins(desk.now, chat, "Sue", Role::Supervisor).unwrap();
    desk.does(chat, Deed::Leave).unwrap();
    desk.server.agent_does(desk.now, chat, Some("Sue"), Deed::Say(Secret::new("s"))).unwrap();
    desk.server.agent_does(desk.now, chat, None, Deed::PushUrl(Secret::new("https://a.example/"))).unwrap();
    assert_eq!(
        desk.server.agent_does(desk.now, chat, Some("Robo"), Deed::StartTyping),
        Err(Misuse::NotJoined),
        "the bot has left"
    );
    assert_eq!(
        seen(&desk.wait(10)),
        [
            "Agent Mia ParticipantJoined -",
            "Supervisor Sue ParticipantJoined -",
            "Agent Robo ParticipantLeft -",
            "Supervisor Sue Message s",
            "Agent Mia PushUrl https://a.example/",
        ]
    );
}

#[test]
fn a_transfer_brings_the_next_agent_in_first() {
    let mut desk = Desk::new();
    desk.start(1, "Ann");
    desk.joins(ChatNumber(1), "Mia").unwrap();
    desk.wait(10);
    assert_eq!(desk.does(ChatNumber(1), Deed::Transfer(Secret::new("Mia"))), Err(Misuse::AlreadyJoined));
    desk.does(ChatNumber(1), Deed::Transfer(Secret::new("Lou"))).unwrap();
    desk.does(ChatNumber(1), Deed::StopTyping).unwrap();
    assert_eq!(
        seen(&desk.wait(10)),
        ["Agent Lou ParticipantJoined -", "Agent Mia ParticipantLeft -", "Agent Lou TypingStopped -"]
    );
}

#[test]
fn the_welcome_may_wait_for_the_first_agent() {
    let mut desk = Desk::with(GmsSettings {
        welcome: "Welcome.".to_owned(),
        welcome_after_join: true,
        event_attributes: false,
        ..GmsSettings::default()
    });
    desk.start(1, "Ann");
    desk.server.agent_joins(desk.now, ChatNumber(1), "Robo", Role::Bot).unwrap();
    desk.joins(ChatNumber(1), "Mia").unwrap();
    let delivered = desk.wait(10);
    assert_eq!(
        seen(&delivered),
        ["Agent Robo ParticipantJoined -", "External system Message Welcome.", "Agent Mia ParticipantJoined -"]
    );
    assert_eq!(delivered[0].1["messages"][0].get("eventAttributes"), None);
}
