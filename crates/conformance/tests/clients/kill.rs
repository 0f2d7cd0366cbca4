//! Every defect of a client is caught by what cites its requirement, and every scenario catches one.

use std::collections::{BTreeMap, BTreeSet};

use conformance::clients::scenarios;
use conformance::conclude::{CaseResult, conclude};
use conformance::run::Outcome;
use conformance::verdict::Kind;
use protocol::chat::client::Client;
use protocol::wire::Transport;

use crate::drive::{SEED, config, drive};
use crate::mutant::Mutant;
use crate::mutants::DEFECTS;
use crate::shared::redacted;

/// The requirements that a scenario saw broken by itself, or of which it observed something else than of a right client.
fn noticed(sound: &Outcome, defective: &Outcome) -> BTreeSet<String> {
    let broken = defective.judged.iter().filter(|judged| matches!(judged.kind(), Kind::Fail | Kind::Deviation));
    let other =
        defective.judged.iter().filter(|judged| judged.kind() == Kind::Observed && !sound.judged.contains(judged));
    let differs = |judged: &&conformance::verdict::Judged| {
        sound
            .judged
            .iter()
            .any(|known| known.requirement().id == judged.requirement().id && known.seen() != judged.seen())
    };
    broken.chain(other.filter(differs)).map(|judged| judged.requirement().id.clone()).collect()
}

/// What rules notice.
fn by_rules(result: &CaseResult) -> BTreeSet<String> {
    let broken = result.clauses.iter().filter(|(_, kind)| matches!(kind, Kind::Fail | Kind::Deviation));
    broken.map(|(id, _)| id.clone()).collect()
}

#[test]
fn every_defect_is_caught_and_every_scenario_catches_one() {
    assert!(DEFECTS.len() >= 40, "{} defects", DEFECTS.len());
    let names: BTreeSet<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
    assert_eq!(names.len(), DEFECTS.len());
    let mut sound: BTreeMap<(&str, Transport), Outcome> = BTreeMap::new();
    for transport in Transport::ALL {
        for case in scenarios() {
            sound.insert((case.id, transport), drive(case, transport, Client::new(config(transport)), SEED).0);
        }
    }
    let (mut matrix, mut survivors, mut catches) = (String::new(), Vec::new(), BTreeSet::new());
    for defect in DEFECTS {
        let mut caught: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for case in scenarios().iter().filter(|case| case.transports.contains(&defect.transport)) {
            let (outcome, entries) = drive(case, defect.transport, Mutant::new(defect), SEED);
            assert!(outcome.kind() != Kind::Error, "{}: {outcome:#?}", defect.name);
            let own = noticed(&sound[&(case.id, defect.transport)], &outcome);
            if own.contains(defect.breaks) {
                catches.insert(case.id);
            }
            let result = conclude(&outcome, &redacted(&entries, SEED));
            for id in own.into_iter().chain(by_rules(&result)).collect::<BTreeSet<_>>() {
                caught.entry(id).or_default().push(case.id);
            }
        }
        let aimed = caught.get(defect.breaks).map_or(0, Vec::len);
        matrix.push_str(&format!("{} ({}, {}): {aimed}\n", defect.name, defect.breaks, defect.transport));
        for (id, cases) in &caught {
            let mark = if id == defect.breaks { '*' } else { ' ' };
            let shown = if cases.len() > 6 { format!("{} scenarios", cases.len()) } else { cases.join(" ") };
            matrix.push_str(&format!("  {mark} {id:<10} {shown}\n"));
        }
        if aimed == 0 {
            survivors.push(format!("{} ({}): {caught:?}", defect.name, defect.breaks));
        }
    }
    let idle: Vec<&str> = scenarios().iter().map(|case| case.id).filter(|id| !catches.contains(id)).collect();
    assert!(survivors.is_empty() && idle.is_empty(), "not caught: {survivors:#?}\ncatch nothing: {idle:#?}");
    insta::assert_snapshot!("kill_matrix_of_clients", matrix);
}
