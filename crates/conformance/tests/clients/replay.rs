//! The tape of a scenario comes to the verdict that the scenario came to.

use std::collections::{BTreeMap, BTreeSet};

use conformance::cases::{Case, case};
use conformance::clients::scenarios;
use conformance::conclude::CaseResult;
use conformance::replay::{Recorded, Unfit};
use conformance::requirements::Catalogue;
use conformance::verdict::Kind as Judgement;
use protocol::chat::client::Client;
use protocol::wire::Transport;
use recording::audit::audit;
use recording::tape::{Kind, Tape};

use crate::drive::{SEED, config, testify};
use crate::mutant::Mutant;
use crate::mutants::DEFECTS;
use crate::shared::{again, said_otherwise};

/// Every scenario over each of its transports with our own client: what it came to, and its tape.
fn all() -> impl Iterator<Item = (CaseResult, Vec<u8>)> {
    let each = scenarios().iter().flat_map(|case| case.transports.iter().map(move |transport| (case, *transport)));
    each.map(|(case, transport)| testify(case, transport, Client::new(config(transport)), SEED))
}

/// How a verdict offline is another one, if it is.
fn difference(then: &CaseResult, tape: &[u8]) -> Option<String> {
    let offline = again(tape);
    let same = offline.result == *then && offline.divergence.is_none() && !offline.ends_early;
    (!same).then(|| format!("{}\n  then {then:?}\n  now  {offline:?}\n", then.name()))
}

#[test]
fn every_scenario_comes_to_the_same_offline() {
    let different: Vec<String> = all().filter_map(|(then, tape)| difference(&then, &tape)).collect();
    assert!(different.is_empty(), "{}\n{}", different.len(), different.concat());
}

#[test]
fn every_tape_of_a_scenario_passes_the_audit() {
    let mut found = Vec::new();
    for (then, tape) in all() {
        let lines: Vec<&str> = std::str::from_utf8(&tape).expect("a tape is text").lines().collect();
        let findings = audit(&tape, &[then.case.id.to_owned()]).expect("it is a tape").findings;
        found.extend(findings.iter().map(|it| format!("{}: {it}\n  {}\n", then.name(), lines[it.line - 1])));
    }
    assert!(found.is_empty(), "{}\n{}", found.len(), found.concat());
}

/// Whoever reads a tape is told what was no doing of the server's.
#[test]
fn what_a_scenario_breaks_on_purpose_is_on_its_tape() {
    let mut kinds = BTreeMap::new();
    for (_, tape) in all() {
        for record in Tape::read(&tape).unwrap().records() {
            if let Kind::Fault { fault, place, parameters } = &record.kind {
                *kinds.entry(fault.clone()).or_insert(0) += 1;
                assert!(!place.is_empty() && !parameters.get().contains("unk_"), "{}", record.text);
            }
        }
    }
    let kinds: Vec<&str> = kinds.keys().map(String::as_str).collect();
    let all =
        ["answered", "closed", "cut", "delayed", "dropped", "forgotten", "lost", "refused", "replaced", "swallowed"];
    assert_eq!(kinds, all);
}

/// Whoever reads on from a fault comes to what it did to the connection.
#[test]
fn a_fault_stands_ahead_of_what_comes_of_it() {
    let mut came = BTreeSet::new();
    for (then, tape) in all() {
        let tape = Tape::read(&tape).unwrap();
        for (number, record) in tape.records().iter().enumerate() {
            let Kind::Fault { fault, place, .. } = &record.kind else { continue };
            let next = tape.records()[number..].iter().find(|next| link(&next.kind).as_ref() == Some(place));
            let next = next.map_or("nothing", |next| next.kind.word());
            let is_right = match fault.as_str() {
                "cut" => matches!(next, "http.err" | "ws.err"),
                "closed" => next == "ws.ctl",
                "refused" => next == "http.res",
                _ => continue,
            };
            assert!(is_right, "{}: after {} comes {next}", then.name(), record.text);
            came.insert((fault.clone(), next));
        }
    }
    assert_eq!(came.len(), 4, "{came:?}");
}

/// The exchange or socket that a line of its own tells something of.
fn link(kind: &Kind) -> Option<String> {
    match kind {
        Kind::HttpReq { link, .. }
        | Kind::HttpRes { link, .. }
        | Kind::HttpErr { link, .. }
        | Kind::WsOpen { link, .. }
        | Kind::WsMsg { link, .. }
        | Kind::WsCtl { link, .. }
        | Kind::WsErr { link, .. } => Some(link.to_string()),
        _ => None,
    }
}

#[test]
fn a_scenario_that_breaks_nothing_has_no_fault_on_its_tape() {
    let case = case("client.handshake.well-formed").unwrap();
    let (_, tape) = testify(case, Transport::WebSocket, Client::new(config(Transport::WebSocket)), SEED);
    assert!(Tape::read(&tape).unwrap().records().iter().all(|record| record.kind.word() != "fault"));
}

/// Its verdict is the same because the suite says the same, at the same moments: redacted with the key of the tape, byte for
/// byte.
#[test]
fn every_scenario_says_the_same_offline() {
    let other =
        |(then, tape): (CaseResult, Vec<u8>)| Some(format!("{}: {}\n", then.name(), said_otherwise(&tape, SEED)?));
    let different: Vec<String> = all().filter_map(other).collect();
    assert!(different.is_empty(), "{}\n{}", different.len(), different.concat());
}

#[test]
fn every_defect_comes_to_the_same_offline() {
    let mut different = Vec::new();
    for defect in DEFECTS {
        let breaks = Catalogue::get().requirement(defect.breaks).unwrap();
        let judges =
            |case: &&Case| case.transports.contains(&defect.transport) && breaks.cases.iter().any(|id| id == case.id);
        let some = scenarios().iter().filter(judges).take(2).chain(scenarios().iter().take(1));
        for case in some {
            let (then, tape) = testify(case, defect.transport, Mutant::new(defect), SEED);
            different.extend(difference(&then, &tape).map(|difference| format!("{}: {difference}", defect.name)));
        }
    }
    assert!(different.is_empty(), "{}\n{}", different.len(), different.concat());
}

#[test]
fn a_client_that_does_something_else_is_judged_by_what_it_does() {
    let case = case("client.handshake.well-formed").unwrap();
    let (then, tape) = testify(case, Transport::LongPolling, Client::new(config(Transport::LongPolling)), SEED);
    assert_eq!(then.verdict, Judgement::Pass);
    let text = std::str::from_utf8(&tape).unwrap();
    let (text, _) = text.split_once(r#"{"k":"end""#).unwrap();
    let altered = text.replacen(r#""version":"1.0","#, "", 1);
    assert_ne!(altered, text);
    assert_ne!(again(altered.as_bytes()).result.verdict, Judgement::Pass);
}

#[test]
fn a_header_that_says_too_little_is_told() {
    let case = case("client.handshake.well-formed").unwrap();
    let (_, tape) = testify(case, Transport::LongPolling, Client::new(config(Transport::LongPolling)), SEED);
    let text = std::str::from_utf8(&tape).unwrap();
    let (text, _) = text.split_once(r#"{"k":"end""#).unwrap();
    for (member, name) in [("env.patience", "patience"), ("env.startUtc", "startUtc"), ("env.wanted", "wanted")] {
        let lacking = text.replacen(&format!(r#""{name}":"#), r#""gone":"#, 1);
        let unfit = Recorded::read(Tape::read(lacking.as_bytes()).unwrap().header()).unwrap_err();
        assert_eq!(unfit, Unfit { case: case.id.to_owned(), member });
    }
}
