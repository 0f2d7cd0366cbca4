//! Every case can fail: each is broken by at least one small defect, and each defect is noticed.
//!
//! What counts for a case is what it judges itself: what only a rule notices is no merit of the case.

use std::collections::{BTreeMap, BTreeSet};

use conformance::cases::plan;
use conformance::conclude::conclude;
use conformance::run::Outcome;
use conformance::verdict::Kind;
use protocol::wire::Transport;

use crate::defect::{Defective, defects};
use crate::drive::{SEED, drive, healthy, redacted, settings};

/// Cases that need no defect.
const BROKEN_BY_THE_SIMULATOR: &[&str] = &[
    // The simulator itself departs here, as CometD does.
    "bayeux.handshake.without-common-type-refused",
    "bayeux.subscribe.to-nothing-answered",
];

/// Defects that nobody is to notice.
const NO_BREACH: &[&str] = &[
    // A closed socket proves nothing, and neither does a peer that says nothing more.
    "socket-closed-early",
    "torn-array-kills",
];

/// Defects that rules notice in any conversation, and no case in particular.
const LEFT_TO_RULES: &[&str] = &["time-as-text", "529-events-beside-handshake-reply"];

/// The requirement by which a case notices a defect: the first one that is broken, or of which something else is observed.
pub(crate) fn noticed(sound: &Outcome, defective: &Outcome) -> Option<String> {
    let known = |id: &str| sound.judged.iter().any(|judged| judged.requirement().id == id && judged.seen().is_some());
    let mut broken = defective.judged.iter().filter(|judged| matches!(judged.kind(), Kind::Fail | Kind::Deviation));
    if let Some(judged) = broken.find(|judged| !known(&judged.requirement().id)) {
        return Some(judged.requirement().id.clone());
    }
    let observations = |outcome: &Outcome| -> BTreeMap<String, Option<String>> {
        let observed = outcome.judged.iter().filter(|judged| judged.kind() == Kind::Observed);
        observed.map(|judged| (judged.requirement().id.clone(), judged.seen().map(str::to_owned))).collect()
    };
    let (before, after) = (observations(sound), observations(defective));
    after.into_iter().find(|(id, seen)| before.get(id).is_some_and(|known| known != seen)).map(|(id, _)| id)
}

#[test]
fn every_case_can_fail() {
    let entries = plan(&settings(), &Transport::ALL);
    let sound: Vec<Outcome> =
        entries.iter().map(|entry| drive(entry.case, entry.transport, &settings(), healthy(SEED), SEED).0).collect();
    let (mut matrix, mut odd, mut killed) = (String::new(), Vec::new(), BTreeSet::new());
    for defect in defects() {
        let mut by_requirement: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut by_rules = 0;
        for (entry, sound) in entries.iter().zip(&sound) {
            let server = Defective::planted(*defect, SEED);
            let (outcome, seen) = drive(entry.case, entry.transport, &settings(), server, SEED);
            assert!(outcome.kind() != Kind::Error, "{}: {outcome:#?}", defect.name);
            let by_rule = conclude(&outcome, &redacted(&seen, SEED)).reason.is_some_and(|reason| reason.rule.is_some());
            by_rules += usize::from(by_rule);
            if let Some(requirement) = noticed(sound, &outcome) {
                let name = format!("{}@{}", entry.case.id, entry.transport);
                by_requirement.entry(requirement).or_default().push(name.clone());
                killed.insert(name);
            }
        }
        let total: usize = by_requirement.values().map(Vec::len).sum();
        matrix.push_str(&format!("{} ({total})\n", defect.name));
        for (requirement, names) in by_requirement {
            names.iter().for_each(|name| matrix.push_str(&format!("    {requirement:<11} {name}\n")));
        }
        let expected = match (NO_BREACH.contains(&defect.name), LEFT_TO_RULES.contains(&defect.name)) {
            (true, _) => total == 0 && by_rules == 0,
            (false, true) => total == 0 && by_rules > 0,
            (false, false) => total > 0,
        };
        if !expected {
            odd.push(format!("{}: {total} entries, {by_rules} by rules", defect.name));
        }
    }
    insta::assert_snapshot!("kill_matrix", matrix);
    let alive: Vec<String> = entries
        .iter()
        .filter(|entry| !BROKEN_BY_THE_SIMULATOR.contains(&entry.case.id))
        .map(|entry| format!("{}@{}", entry.case.id, entry.transport))
        .filter(|name| !killed.contains(name))
        .collect();
    assert!(alive.is_empty() && odd.is_empty(), "no defect fails {alive:#?}; wrongly noticed: {odd:#?}");
}
