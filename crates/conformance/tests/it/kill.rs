//! Every case can fail: each is broken by at least one small defect, and each defect is noticed by at least one case.

use std::collections::BTreeMap;

use conformance::cases::plan;
use conformance::conclude::CaseResult;
use conformance::verdict::Kind;
use protocol::wire::Transport;

use crate::defect::{DEFECTS, Defective};
use crate::drive::{SEED, healthy, judge, settings};

/// Cases that need no defect, with the reason.
const KILLED_BY_THE_SIMULATOR: &[&str] = &[
    // The simulator itself departs here, as CometD does.
    "bayeux.handshake.without-common-type-refused",
];

/// Defects that no single case is to notice, with the reason.
const NOT_A_BREACH: &[&str] = &[
    // A closed socket proves nothing, and neither does a peer that says nothing more.
    "socket-closed-early",
    "torn-array-kills",
];

/// Whether a defect is noticed: a requirement is broken, or what nobody documents is observed to be different.
fn is_noticed(healthy: &CaseResult, defective: &CaseResult) -> bool {
    match (healthy.verdict, defective.verdict) {
        (Kind::Observed, Kind::Observed) => healthy.reason != defective.reason,
        (Kind::Deviation, Kind::Deviation) => false,
        (_, kind) => matches!(kind, Kind::Fail | Kind::Deviation),
    }
}

#[test]
fn every_case_can_fail() {
    let entries = plan(&settings(), &Transport::ALL);
    let sound: Vec<CaseResult> =
        entries.iter().map(|entry| judge(entry.case, entry.transport, healthy(SEED), SEED)).collect();
    let (mut matrix, mut odd) = (String::new(), Vec::new());
    let mut killers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for defect in DEFECTS {
        let mut noticed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (entry, sound) in entries.iter().zip(&sound) {
            let server = Defective::new(healthy(SEED), *defect);
            let result = judge(entry.case, entry.transport, server, SEED);
            assert!(result.verdict != Kind::Error, "{}: {result:#?}", defect.name);
            if is_noticed(sound, &result) {
                killers.entry(result.name()).or_default().push(defect.name);
                let requirement = result.reason.and_then(|reason| reason.requirement).unwrap_or_default();
                let short =
                    entry.case.id.to_owned() + if entry.transport == Transport::WebSocket { " ws" } else { " lp" };
                noticed.entry(requirement).or_default().push(short);
            }
        }
        let total: usize = noticed.values().map(Vec::len).sum();
        matrix.push_str(&format!("{} ({total})\n", defect.name));
        for (requirement, cases) in noticed {
            matrix.push_str(&format!("    {requirement}: {}\n", cases.join(", ")));
        }
        if (total == 0) != NOT_A_BREACH.contains(&defect.name) {
            odd.push(defect.name);
        }
    }
    insta::assert_snapshot!("kill_matrix", matrix);
    let alive: Vec<String> = entries
        .iter()
        .filter(|entry| !KILLED_BY_THE_SIMULATOR.contains(&entry.case.id))
        .map(|entry| format!("{}@{}", entry.case.id, entry.transport))
        .filter(|name| !killers.contains_key(name))
        .collect();
    assert!(alive.is_empty() && odd.is_empty(), "no defect fails {alive:#?}; no case notices {odd:#?}");
}
