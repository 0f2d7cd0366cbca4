//! The list of known CometD bugs: it names what there is, each case that it names fails when the bug is planted, and the
//! document is the list.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use conformance::cases::{Case, case};
use conformance::conclude::conclude;
use conformance::expectations::{Expectations, SIMULATOR};
use conformance::regressions::{regressions, render};
use conformance::rules::rule;
use conformance::verdict::Kind;
use simulator::mutation::Mutation;

use crate::drive::{SEED, drive, healthy, mutant, settings};
use crate::mutants::noticed;
use crate::shared::redacted;

/// Where a bug is one of the CometD that the simulator stands for, nothing need be planted.
const AS_IT_IS: &str = "the simulator itself";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn planted(name: &str) -> &'static Mutation {
    Mutation::by_name(name).unwrap_or_else(|| panic!("no mutation `{name}`"))
}

#[test]
fn every_bug_names_what_shows_it_or_why_nothing_does() {
    let mut numbers = BTreeSet::new();
    for bug in regressions() {
        let name = bug.numbers.join(", ");
        assert!(!bug.numbers.is_empty() && bug.numbers.iter().all(|number| numbers.insert(number)), "{name}");
        assert!(bug.symptom.ends_with('.') && !bug.fixed.is_empty(), "{name}");
        let shown = bug.cases.len() + bug.rules.len() + bug.tests.len() > 0;
        assert_ne!(shown, bug.untestable.as_ref().is_some_and(|why| !why.is_empty()), "{name}");
        assert!(bug.cases.is_empty() || !bug.planted.is_empty(), "{name}: nothing is planted for its cases");
        bug.cases.iter().for_each(|id| assert!(case(id).is_some(), "{name}: no case `{id}`"));
        bug.rules.iter().for_each(|id| assert!(rule(id).is_some(), "{name}: no rule `{id}`"));
        for test in &bug.tests {
            let (module, function) = test.rsplit_once("::").expect("a test in a module");
            let folder = if module.starts_with("it::") { "simulator/tests" } else { "protocol/src" };
            let file = root().join("crates").join(folder).join(module.replace("::", "/")).with_extension("rs");
            let code = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {}: {error}", file.display()));
            assert!(code.contains(&format!("\nfn {function}(")), "{name}: no test `{test}`");
        }
    }
    assert!(numbers.len() >= 70, "{} bugs", numbers.len());
}

/// Whether a case notices a bug, on any transport: a planted one by what differs from the sound simulator, one of its own
/// by a known departure.
fn shows(case: &'static Case, bug: &str) -> bool {
    let known = Expectations::parse(SIMULATOR).expect("expectations");
    case.transports.iter().any(|transport| {
        let (sound, entries) = drive(case, *transport, &settings(), healthy(SEED), SEED);
        if bug == AS_IT_IS {
            let result = conclude(&sound, &redacted(&entries, SEED));
            return result.verdict == Kind::Deviation && known.met_by(&result).is_some();
        }
        let server = mutant(planted(bug), SEED);
        !noticed(&sound, &drive(case, *transport, &settings(), server, SEED).0).is_empty()
    })
}

#[test]
fn every_named_case_fails_with_its_bug() {
    for bug in regressions() {
        for id in &bug.cases {
            let case = case(id).unwrap();
            let shown = bug.planted.iter().any(|name| shows(case, name));
            assert!(shown, "{}: {id} passes with {:?}", bug.numbers.join(", "), bug.planted);
        }
    }
}

#[test]
fn every_named_rule_finds_its_planted_bug() {
    for bug in regressions().iter().filter(|bug| bug.cases.is_empty() && !bug.planted.is_empty()) {
        let case = case("bayeux.handshake.succeeds").unwrap();
        let server = mutant(planted(&bug.planted[0]), SEED);
        let (outcome, entries) = drive(case, case.transports[0], &settings(), server, SEED);
        let found = conclude(&outcome, &redacted(&entries, SEED)).reason.and_then(|reason| reason.rule);
        assert!(found.is_some_and(|found| bug.rules.iter().any(|rule| rule == found)), "{found:?}");
    }
}

#[test]
fn the_document_is_the_list() {
    let document = fs::read_to_string(root().join("docs/known-cometd-bugs.md")).unwrap();
    pretty_assertions::assert_eq!(document, render());
}
