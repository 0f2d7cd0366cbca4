//! What `docs/chat-operations.md` says is what there is.

use protocol::chat::notification::EventType;
use protocol::chat::server::GmsSettings;
use serde_json::{Map, Value};
use simulator::scenario;

const TEXT: &str = include_str!("../../../../docs/chat-operations.md");

fn settings() -> Map<String, Value> {
    serde_json::to_value(GmsSettings::default()).unwrap().as_object().unwrap().clone()
}

/// The names of all settings, those of a group with its name in front.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in settings() {
        match value {
            Value::Object(group) => names.extend(group.keys().map(|member| format!("{name}.{member}"))),
            _ => names.push(name),
        }
    }
    names
}

#[test]
fn every_setting_is_named() {
    let missing: Vec<String> = names().into_iter().filter(|name| !TEXT.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_scenario_and_every_event_type_is_named() {
    let scenarios = scenario::ALL.iter().map(|scenario| scenario.name);
    let words: Vec<&str> = scenarios.chain(EventType::ALL.map(EventType::as_str)).collect();
    let missing: Vec<&str> = words.into_iter().filter(|word| !TEXT.contains(&format!("`{word}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn no_setting_is_named_that_does_not_exist() {
    let known = [names(), settings().keys().cloned().collect()].concat();
    let rows = TEXT.lines().filter(|line| line.starts_with("| Q"));
    let cells = rows.filter_map(|row| row.split('|').nth(3));
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|word| !word.starts_with("--"));
    let unknown: Vec<&str> = words.filter(|word| !known.iter().any(|name| name == word)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}
