//! A simulator without defects, judged by every case on every transport.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use conformance::cases::{case, cases, plan};
use conformance::report::{Exit, json, junit, text};
use conformance::requirements::Catalogue;
use conformance::run::{Agent, Event, Run, Settings, Timer};
use conformance::verdict::Kind;
use pretty_assertions::assert_eq;
use protocol::bayeux::batch::{Batch, Limits};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::violation::Violation;
use protocol::wire::{Entry, Side, Transport, Wire};
use serde_json::Value;

use crate::drive::{Finishing, SEED, drive, drive_run, healthy, report, run_all, settings};

#[test]
fn finds_nothing_wrong_with_a_healthy_simulator() {
    let results = run_all(&settings(), SEED, || healthy(SEED));
    let table: String = results
        .iter()
        .map(|result| format!("{:<50} {:<13} {}\n", result.case.id, result.transport.name(), result.verdict.name()))
        .collect();
    insta::assert_snapshot!("verdicts_on_the_simulator", table);
    let report = report(&settings(), results, SEED);
    assert_eq!(report.exit().0, Exit::Complete, "{}", text::render(&report));
    assert_eq!(report.last_line(), "PASS: complete and as expected (exit 0)");
    insta::assert_snapshot!("text_of_a_healthy_run", text::render(&report));
}

#[test]
fn without_a_service_only_bayeux_is_judged() {
    let settings = Settings { service: None, agent: Agent::None, ..settings() };
    let report = report(&settings, run_all(&settings, SEED, || healthy(SEED)), SEED);
    assert_eq!(report.exit().0, Exit::Complete, "{}", text::render(&report));
    let why: BTreeSet<&str> = report
        .results
        .iter()
        .filter(|result| result.verdict == Kind::NotApplicable)
        .filter_map(|result| Some(result.reason.as_ref()?.observed.as_str()))
        .collect();
    assert_eq!(why, BTreeSet::from(["no service given"]));
    insta::assert_snapshot!("text_without_a_service", text::render(&report));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed| json::render(&report(&settings(), run_all(&settings(), seed, || healthy(seed)), seed));
    assert_eq!(bytes(3), bytes(3));
    assert!(bytes(3) != bytes(4));
}

#[test]
fn the_result_obeys_its_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../../../schemas/result.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let report = report(&settings(), run_all(&settings(), SEED, || healthy(SEED)), SEED);
    let value: Value = serde_json::from_str(&json::render(&report)).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut wrong = value.clone();
    wrong["cases"][0]["verdict"] = "passed".into();
    assert!(!validator.is_valid(&wrong));
    let first = value["cases"][0].clone();
    insta::assert_snapshot!("first_case_of_the_result", format!("{first:#}"));
}

#[test]
fn junit_counts_what_the_report_counts() {
    let report = report(&settings(), run_all(&settings(), SEED, || healthy(SEED)), SEED);
    let xml = junit::render(&report).unwrap();
    let head: Vec<&str> = xml.lines().take(5).collect();
    insta::assert_snapshot!("head_of_junit", head.join("\n"));
    assert_eq!(xml.matches("<testcase ").count(), report.results.len());
}

/// Each case judges what the catalogue says that it judges, and the catalogue names no case and no rule that is not there.
#[test]
fn catalogue_and_cases_agree() {
    let mut judged: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for result in run_all(&settings(), SEED, || healthy(SEED)) {
        judged.entry(result.case.id).or_default().extend(result.clauses.into_keys());
    }
    for (case, judged) in &judged {
        let named: BTreeSet<String> =
            Catalogue::get().of_case(case).map(|requirement| requirement.id.clone()).collect();
        assert_eq!(*judged, named, "{case}");
    }
    for name in Catalogue::get().cases() {
        assert!(case(name).is_some(), "case `{name}` does not exist");
    }
    let rules: BTreeSet<&str> = Violation::ALL.iter().map(|violation| violation.id()).collect();
    for name in Catalogue::get().rules() {
        assert!(rules.contains(name), "rule `{name}` does not exist");
    }
    let named = Catalogue::get().rules();
    for rule in rules {
        assert!(named.contains(rule), "no requirement names rule `{rule}`");
    }
    for case in cases() {
        assert!(!case.title().is_empty(), "{} judges nothing", case.id);
    }
}

#[test]
fn ids_of_cases_are_unique_and_dotted() {
    let ids: BTreeSet<&str> = cases().iter().map(|case| case.id).collect();
    assert_eq!(ids.len(), cases().len());
    for id in ids {
        let plain = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
        assert!(plain && id.split('.').count() == 3, "{id}");
    }
}

/// What a run does follows from its entries alone, even if its timeouts come late.
#[test]
fn judging_again_comes_to_the_same() {
    for planned in plan(&settings(), &Transport::ALL) {
        let (case, transport) = (planned.case, planned.transport);
        let tardy = Tardy(Run::new(case, transport, &settings(), SEED));
        let (outcome, entries) = drive_run(case, tardy, healthy(SEED), SEED);
        let mut again = Run::new(case, transport, &settings(), SEED);
        let mut sent = Vec::new();
        let mut feed = |run: &mut Run, at: Time, input: Input| {
            run.handle_input(at, input);
            while let Some(output) = run.poll_output() {
                match output {
                    Output::Wire(wire) => sent.push(wire),
                    Output::Event(Event::Asked(_)) => {}
                    Output::Event(Event::Finished(outcome)) => return Some(outcome),
                }
            }
            None
        };
        feed(&mut again, entries[0].at, Input::Timeout);
        for entry in entries.iter().filter(|entry| entry.from == Side::Server) {
            if again.is_finished() {
                break;
            }
            let second = feed(&mut again, entry.at, Input::Wire(entry.wire.clone()));
            assert!(second.is_none_or(|second| second == outcome), "{} over {transport}", case.id);
        }
        if let Some((at, _)) = again.deadline() {
            assert_eq!(feed(&mut again, at, Input::Timeout), Some(outcome), "{} over {transport}", case.id);
        }
        let before: Vec<Wire> =
            entries.into_iter().filter(|entry| entry.from == Side::Client).map(|entry| entry.wire).collect();
        assert_eq!(sent, before, "{} over {transport}", case.id);
    }
}

/// A run that is always woken late.
struct Tardy(Run);

impl Finishing for Tardy {
    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Machine for Tardy {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.0.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.0.poll_output()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.0.deadline().map(|(at, timer)| (at + Duration::from_micros(37_123), timer))
    }
}

/// No name, text, key or id of a run stands in its result.
#[test]
fn nothing_secret_reaches_a_report() {
    let results = run_all(&settings(), SEED, || healthy(SEED));
    let report = report(&settings(), results, SEED);
    let shown = [json::render(&report), text::render(&report), junit::render(&report).unwrap()].concat();
    let mut secrets = BTreeSet::new();
    for case in cases() {
        for transport in case.transports {
            let (_, entries) = drive(case, *transport, &settings(), healthy(SEED), SEED);
            entries.iter().for_each(|entry| learn(entry, &mut secrets));
        }
    }
    assert!(secrets.len() > 20, "{} secrets", secrets.len());
    for secret in secrets {
        assert!(!shown.contains(&secret), "`{secret}` stands in the report");
    }
}

fn learn(entry: &Entry, secrets: &mut BTreeSet<String>) {
    let body = match &entry.wire {
        Wire::Request(_, request) => request.body.as_slice(),
        Wire::Response(_, response) => response.body.as_slice(),
        Wire::Text(_, text) => text.as_bytes(),
        _ => return,
    };
    let Ok(batch) = Batch::parse(body, &Limits::default()) else { return };
    for message in batch.messages {
        learn_value("", &serde_json::from_str(message.text()).expect("JSON"), secrets);
    }
}

fn learn_value(name: &str, value: &Value, secrets: &mut BTreeSet<String>) {
    const SECRET: &[&str] = &["clientId", "secureKey", "userId", "chatId", "nickname", "message", "text"];
    match value {
        // A word of the protocol where otherwise somebody's words stand.
        Value::String(text) if text == "file-client-cfg-get" => {}
        Value::String(text) if SECRET.contains(&name) && text.len() > 6 => drop(secrets.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| learn_value(name, value, secrets)),
        Value::Object(members) => members.iter().for_each(|(name, value)| learn_value(name, value, secrets)),
        _ => {}
    }
}

/// Who hears more than the room of its own would be judged by what other cases say.
#[test]
fn a_case_that_hears_other_cases_says_so() {
    let mut hears = BTreeSet::new();
    for case in cases() {
        for transport in case.transports {
            let (_, entries) = drive(case, *transport, &settings(), healthy(SEED), SEED);
            let from_client = entries.iter().filter(|entry| entry.from == Side::Client);
            if from_client.flat_map(subscriptions).any(|subscription| hears_others(&subscription)) {
                hears.insert(case.id);
            }
        }
    }
    let declared: BTreeSet<&str> = cases().iter().filter(|case| case.hears_others).map(|case| case.id).collect();
    assert_eq!(hears, declared);
}

/// Whether a subscription has a wildcard that reaches beyond one room.
fn hears_others(subscription: &str) -> bool {
    let room = subscription.strip_prefix("/tapestry/room/").and_then(|below| below.split('/').next());
    subscription.contains('*') && room.is_none_or(|room| room.contains('*'))
}

#[test]
fn a_wildcard_within_one_room_hears_nobody_else() {
    for wide in ["/**", "/*", "/tapestry/**", "/tapestry/room/*"] {
        assert!(hears_others(wide), "{wide}");
    }
    for narrow in ["/tapestry/room/8", "/tapestry/room/8/*", "/tapestry/room/8/**"] {
        assert!(!hears_others(narrow), "{narrow}");
    }
}

/// What a client asks to subscribe to.
fn subscriptions(entry: &Entry) -> Vec<String> {
    let asked = Batch::carried(&entry.wire).into_iter().filter_map(|message| message.value("subscription"));
    asked
        .flat_map(|subscription| match subscription {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => vec![],
        })
        .collect()
}
