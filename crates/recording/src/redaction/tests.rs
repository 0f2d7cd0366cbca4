//! No canary reaches a tape, and there is no rule that could be forgotten without a canary that tells.

#[path = "../../tests/canary/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use protocol::wire::Headers;

use super::policy::{ROWS, Row};
use super::*;
use crate::capture::{Capture, Config, Source};
use crate::tape::Finish;
use crate::token::Key;

const KEY: [u8; 32] = [7; 32];

fn tape(policy: Arc<Policy>, entries: &[Entry]) -> String {
    let config = Config {
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        start: "2026-11-23T09:00:00Z".to_owned(),
        id: "00000000000000000000000000000007".to_owned(),
        key: Key::from_bytes(KEY),
        source: Source::Sim,
        scenario: None,
        seed: Some(7),
        env: BTreeMap::new(),
    };
    let redactor = Redactor::by(policy, config.key.clone(), Keep::Nothing);
    let (mut capture, mut bytes) = Capture::with(config, redactor, Keep::Nothing);
    for entry in entries {
        bytes.extend(capture.entry(None, entry));
    }
    let end = entries.last().map(|entry| entry.at).unwrap_or_default();
    bytes.extend(capture.finish(end, Finish::Complete));
    String::from_utf8(bytes).expect("a redacted tape is UTF-8")
}

/// What is wrong with the tape of a session: canaries on it, tokens that are not there, and what is missing of the protocol.
fn faults(policy: Arc<Policy>, session: &corpus::Session) -> Vec<String> {
    let tape = tape(policy, &session.entries);
    let mut faults: Vec<String> = corpus::found(&tape, &corpus::forms())
        .into_iter()
        .map(|form| format!("the marker is there as {form}"))
        .collect();
    for canary in &session.canaries {
        let escaped = serde_json::Value::from(canary.value.as_str()).to_string();
        if tape.contains(&canary.value) || tape.contains(&escaped[1..escaped.len() - 1]) {
            faults.push(format!("the canary of {} is there", canary.place));
        }
        let class = Class::ALL.iter().find(|class| class.prefix() == canary.prefix);
        let token = class.map(|class| token::token(&Key::from_bytes(KEY), *class, &canary.value));
        if token.is_some_and(|token| !tape.contains(&token)) {
            faults.push(format!("{} has no token of class {}", canary.place, canary.prefix));
        }
    }
    faults
        .extend(session.kept.iter().filter(|kept| !tape.contains(kept.as_str())).map(|kept| format!("{kept} is gone")));
    faults
}

#[test]
fn every_canary_becomes_the_token_of_its_class_and_the_protocol_stays() {
    for seed in 0..20 {
        assert_eq!(faults(Policy::standard(), &corpus::session(seed)), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn no_rule_can_be_forgotten_without_a_fault() {
    let session = corpus::session(1);
    let (mut tried, mut forgotten) = (0, Vec::new());
    for (at, row) in ROWS.iter().enumerate() {
        let (Row::Members(_, names, _) | Row::Fields(names, _)) = row;
        for name in *names {
            tried += 1;
            if faults(Policy::without(at, name), &session).is_empty() {
                forgotten.push(format!("`{name}` of {row:?}"));
            }
        }
    }
    assert_eq!(forgotten, Vec::<String>::new());
    assert!(tried > 100, "{tried} names");
}

/// The members and header fields that are wall times, by their rules.
#[test]
fn every_wall_time_of_the_tables_is_moved() {
    let a_day = Shift::from_bits(0);
    let start = "2026-11-23T09:00:00Z";
    let mut tried = 0;
    for row in ROWS {
        let times: &[(&str, &str)] = match row {
            Row::Members(_, _, Rule::Keep(Grammar::Moment)) => &[
                ("1795428215999", "1795341815999"),
                (r#""1795428215999""#, r#""1795341815999""#),
                ("1.7954e12", ":70707"),
            ],
            Row::Members(_, _, Rule::Keep(Grammar::Timestamp)) => {
                &[(r#""2026-11-23T09:00:00.00""#, r#""2026-11-22T09:00:00.00""#), ("1795428215999", "1795341815999")]
            }
            Row::Fields(_, policy::Field::Date) => {
                &[("Mon, 23 Nov 2026 09:00:00 GMT", "Sun, 22 Nov 2026 09:00:00 GMT"), ("3600", "3600")]
            }
            Row::Members(..) | Row::Fields(..) => continue,
        };
        let (Row::Members(_, names, _) | Row::Fields(names, _)) = row;
        for (name, (time, moved)) in names.iter().flat_map(|name| times.iter().map(move |time| (name, time))) {
            tried += 1;
            let mut redactor = Redactor::new(Key::from_bytes(KEY)).shifting(a_day, start);
            let shown = match row {
                Row::Fields(..) => redactor.headers(&Headers::new().with(name, time)).0[0].1.clone(),
                Row::Members(places, ..) => {
                    let node = Node::parse(&format!("{{\"{name}\":{time}}}")).expect("an object");
                    redactor.node(node, Rule::Inside(places[0])).to_string()
                }
            };
            assert!(shown.contains(moved), "{name}: {time} becomes {shown}");
        }
    }
    assert!(tried > 10, "{tried} times");
}

/// The rows as `docs/redaction.md` shows them.
fn table() -> String {
    let listed = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let place = |place: &Place| match place {
        Place::Message => "a message",
        Place::Advice => "`advice`",
        Place::Ext => "`ext`",
        Place::Data => "`data`",
        Place::Event => "an event",
        Place::From => "`from`",
        Place::ChatError => "an error of the chat",
        Place::UserData => "attached data",
        Place::Unknown => "elsewhere",
    };
    let mut table = "| Where | Names | Value |\n|---|---|---|\n".to_owned();
    for row in ROWS {
        let (places, names, value) = match row {
            Row::Members([], names, rule) => ("anywhere but in attached data".to_owned(), names, treatment(*rule)),
            Row::Members(places, names, rule) if places.len() == 9 => ("anywhere".to_owned(), names, treatment(*rule)),
            Row::Members(places, names, rule) => {
                (places.iter().map(place).collect::<Vec<_>>().join(", "), names, treatment(*rule))
            }
            Row::Fields(names, field) => {
                let value = match field {
                    policy::Field::Keep => "kept, if it is made of letters, digits and separators",
                    policy::Field::Date => {
                        "kept, if it is made of letters, digits and separators; `--shift-times` moves it if it is a date"
                    }
                    policy::Field::Host => "hosts become `$host.N`, the rest is hidden like a path",
                    policy::Field::Cookie | policy::Field::SetCookie => {
                        "values become `ck_` tokens, attributes are kept"
                    }
                    policy::Field::Credentials => "the scheme is kept, the rest becomes an `auth_` token",
                };
                ("header fields".to_owned(), names, value.to_owned())
            }
        };
        table.push_str(&format!("| {places} | {} | {value} |\n", listed(names)));
    }
    table
}

fn treatment(rule: Rule) -> String {
    match rule {
        Rule::Hide(class) => format!("becomes a `{}_` token", class.prefix()),
        Rule::Inside(Place::UserData) => {
            "is attached data: unknown names become `key_` tokens, values `ud_` tokens".to_owned()
        }
        Rule::Inside(_) => "has members with rules of their own".to_owned(),
        Rule::Keep(grammar) => format!(
            "kept, if it is {}",
            match grammar {
                Grammar::Id => "an id of up to 40 letters, digits and `._:-`",
                Grammar::Word => "a word with at most three digits",
                Grammar::Digits => "a whole number",
                Grammar::Moment => "a whole number; `--shift-times` moves it",
                Grammar::Endings => "endings of names of files",
                Grammar::Version => "a version",
                Grammar::Timestamp => "a time in digits; `--shift-times` moves it",
                Grammar::Channel => "a channel; segments that look personal are hidden",
                Grammar::Error => "an error; its arguments and words are hidden unless known",
                Grammar::ChatAdvice => "empty; words become `txt_` tokens, the reference a `ref_` token",
                Grammar::Vocabulary => "a word of the closed vocabulary",
            }
        ),
    }
}

#[test]
fn the_documentation_shows_every_rule() {
    let shown = include_str!("../../../../docs/redaction.md");
    let table = table();
    assert!(shown.contains(&table), "docs/redaction.md does not show\n{table}");
}
