//! The tape of a case comes to the verdict that the case came to.

use std::collections::BTreeSet;

use conformance::cases::{case, plan};
use conformance::replay::{Recorded, Unfit};
use conformance::run::{Agent, Settings};
use conformance::verdict::Kind;
use protocol::wire::Transport;
use recording::tape::Tape;
use rstest::rstest;
use simulator::gms::{self, Gms};
use simulator::mutation::mutations;

use crate::drive::{SEED, difference, healthy, mutant, settings, testify};
use crate::mutants::judges_of;
use crate::shared::{again, said_otherwise};

#[test]
fn every_case_comes_to_the_same_offline() {
    let settings = settings();
    let entries = plan(&settings, &Transport::ALL);
    let mut different = Vec::new();
    for entry in entries.iter().filter(|entry| entry.not_applicable.is_none()) {
        let (then, tape) = testify(entry.case, entry.transport, &settings, healthy(SEED), SEED);
        different.extend(difference(&then, &tape));
    }
    assert!(different.is_empty(), "{} of {}\n{}", different.len(), entries.len(), different.concat());
}

/// These make something new of a value of their server's, such as a wrong key of the right one. Nobody knows that value any
/// more, so that what they say has another token; its shape is held against the tape all the same.
const INVENTIVE: &[&str] = &[
    "bayeux.framing.malformed-json-survived",
    "chat.file.key-wrong-refused",
    "chat.file.no-form",
    "chat.key.wrong-beside-ids",
    "chat.key.wrong-refused",
    "chat.request.codes-of-refusals",
];

/// Its verdict is the same because it says the same, at the same moments: redacted with the key of the tape, byte for byte.
#[test]
fn every_case_says_the_same_offline() {
    let settings = settings();
    let (mut different, mut inventive) = (Vec::new(), BTreeSet::new());
    for entry in plan(&settings, &Transport::ALL).iter().filter(|entry| entry.not_applicable.is_none()) {
        let (then, tape) = testify(entry.case, entry.transport, &settings, healthy(SEED), SEED);
        let Some(says) = said_otherwise(&tape, SEED) else { continue };
        if INVENTIVE.contains(&entry.case.id) {
            inventive.insert(entry.case.id);
        } else {
            different.push(format!("{}: {says}\n", then.name()));
        }
    }
    assert!(different.is_empty(), "{}\n{}", different.len(), different.concat());
    assert_eq!(inventive.into_iter().collect::<Vec<_>>(), INVENTIVE);
}

#[test]
fn a_word_that_a_case_would_not_say_is_seen() {
    let case = case("chat.message.echoed-once").unwrap();
    let (_, tape) = testify(case, Transport::WebSocket, &settings(), healthy(SEED), SEED);
    assert_eq!(said_otherwise(&tape, SEED), None);
    let other = altered(&tape, &[r#""operation":"sendMessage""#], |line| {
        let (ahead, token) = line.split_once("txt_").expect("it has a text");
        format!("{ahead}txt_{}{}", "0".repeat(10), &token[10..])
    });
    assert!(said_otherwise(&other, SEED).is_some());
}

#[test]
fn every_mutation_comes_to_the_same_offline() {
    let settings = settings();
    let mut different = Vec::new();
    for (number, mutation) in mutations().enumerate() {
        let judges: Vec<_> = judges_of(mutation).collect();
        let Some(entry) = judges.get(number % judges.len().max(1)) else { continue };
        let (then, tape) = testify(entry.case, entry.transport, &settings, mutant(mutation, SEED), SEED);
        different.extend(difference(&then, &tape).map(|difference| format!("{}: {difference}", mutation.name)));
    }
    assert!(different.is_empty(), "{}\n{}", different.len(), different.concat());
}

#[rstest]
#[case::nobody(Agent::None)]
#[case::script(Agent::Scripted)]
fn the_agent_of_the_run_is_that_of_the_tape(#[case] agent: Agent) {
    let settings = Settings { agent, ..settings() };
    let case = case("chat.request.starts").unwrap();
    let (then, tape) = testify(case, Transport::WebSocket, &settings, healthy(SEED), SEED);
    assert_eq!(difference(&then, &tape), None);
}

#[test]
fn a_service_of_any_name_is_that_of_the_tape() {
    let settings = Settings { service: Some("we~ird$1234".to_owned()), ..settings() };
    let server = Gms::new(gms::Settings::new("we~ird$1234"), SEED);
    let (then, tape) = testify(case("chat.request.starts").unwrap(), Transport::WebSocket, &settings, server, SEED);
    assert_eq!((then.verdict, difference(&then, &tape)), (Kind::Pass, None));
}

#[test]
fn a_server_without_a_service_is_judged_without_one() {
    let settings = Settings { service: None, base: "/ann/2026/cometd".to_owned(), agent: Agent::None };
    let server = Gms::new(gms::Settings { base: settings.base.clone(), ..gms::Settings::new("x") }, SEED);
    let case = case("bayeux.handshake.succeeds").unwrap();
    let (then, tape) = testify(case, Transport::LongPolling, &settings, server, SEED);
    assert_eq!(difference(&then, &tape), None);
}

/// A tape whose first line with all of these words is changed; without its end, since that knows what was there.
fn altered(tape: &[u8], words: &[&str], change: impl Fn(&str) -> String) -> Vec<u8> {
    let text = std::str::from_utf8(tape).expect("it is text");
    let (text, _) = text.split_once(r#"{"k":"end""#).expect("it is there");
    let line = text.lines().find(|line| words.iter().all(|word| line.contains(word))).expect("there is such a line");
    text.replacen(line, &change(line), 1).into_bytes()
}

#[test]
fn an_altered_answer_is_judged_as_it_stands() {
    let case = case("bayeux.handshake.succeeds").unwrap();
    let (then, tape) = testify(case, Transport::LongPolling, &settings(), healthy(SEED), SEED);
    assert_eq!(then.verdict, Kind::Pass);
    let refused = altered(&tape, &[r#""channel":"/meta/handshake""#, r#""successful":true"#], |line| {
        line.replace(r#""successful":true"#, r#""successful":false"#)
    });
    let offline = again(&refused);
    assert_eq!(offline.result.verdict, Kind::Fail, "{offline:?}");
}

#[test]
fn without_the_answer_that_decides_nothing_passes() {
    let case = case("chat.message.echoed-once").unwrap();
    let (then, tape) = testify(case, Transport::WebSocket, &settings(), healthy(SEED), SEED);
    assert_eq!(then.verdict, Kind::Pass);
    let silent = altered(&tape, &[r#""type":"Message""#, r#""type":"Client""#], |line| {
        line.replace(r#""type":"Message""#, r#""type":"Notice""#)
    });
    let offline = again(&silent);
    assert_eq!(offline.result.verdict, Kind::Inconclusive, "{offline:?}");
}

#[test]
fn a_tape_cut_anywhere_is_judged_as_far_as_it_goes() {
    let case = case("chat.message.echoed-once").unwrap();
    let (_, tape) = testify(case, Transport::LongPolling, &settings(), healthy(SEED), SEED);
    let ends = tape.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end + 1);
    let ends: Vec<usize> = ends.collect();
    let (whole, parts) = ends.split_last().unwrap();
    assert!(!again(&tape[..*whole]).ends_early);
    for end in parts {
        let offline = again(&tape[..*end]);
        assert_eq!(offline.divergence, None, "cut at byte {end}");
        assert!(offline.ends_early || offline.result.verdict == Kind::Pass, "cut at byte {end}: {offline:?}");
    }
}

#[rstest]
#[case("env.agent", r#""agent":"simulated","#)]
#[case("env.base", r#""base":"/genesys/cometd","#)]
#[case("env.transport", r#","transport":"websocket""#)]
#[case("seed", r#""seed":7,"#)]
fn a_header_that_says_too_little_is_told(#[case] member: &'static str, #[case] gone: &str) {
    let case = case("chat.request.starts").unwrap();
    let (_, tape) = testify(case, Transport::WebSocket, &settings(), healthy(SEED), SEED);
    let lacking = altered(&tape, &[r#""k":"hdr""#], |line| {
        assert!(line.contains(gone), "{line}");
        line.replace(gone, "")
    });
    let unfit = Recorded::read(Tape::read(&lacking).unwrap().header()).unwrap_err();
    assert_eq!(unfit, Unfit { case: case.id.to_owned(), member });
}
