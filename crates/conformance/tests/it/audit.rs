//! The tape of a case holds nothing that the audit does not know, so that it can be handed on as it is.

use conformance::cases::{Case, plan};
use protocol::bayeux::dialect::Dialect;
use protocol::wire::Transport;
use recording::audit::audit;
use simulator::mutation::mutations;

use crate::drive::{SEED, healthy, mutant, settings, speaking, testify};
use crate::mutants::judges_of;

/// What the audit finds, a line each with the line of the tape: nothing on it is a secret of anybody's.
fn found(name: &str, case: &Case, tape: &[u8]) -> Vec<String> {
    let lines: Vec<&str> = std::str::from_utf8(tape).expect("a tape is text").lines().collect();
    let findings = audit(tape, &[case.id.to_owned()]).expect("it is a tape").findings;
    findings.iter().map(|finding| format!("{name}: {finding}\n  {}\n", lines[finding.line - 1])).collect()
}

#[test]
fn every_tape_of_a_case_passes_the_audit() {
    let settings = settings();
    let mut findings = Vec::new();
    for entry in plan(&settings, &Transport::ALL).iter().filter(|entry| entry.not_applicable.is_none()) {
        let (then, tape) = testify(entry.case, entry.transport, &settings, healthy(SEED), SEED);
        findings.extend(found(&then.name(), entry.case, &tape));
    }
    assert!(findings.is_empty(), "{}\n{}", findings.len(), findings.concat());
}

#[test]
fn every_tape_of_a_planted_fault_passes_the_audit() {
    let settings = settings();
    let mut findings = Vec::new();
    for mutation in mutations() {
        let Some(entry) = judges_of(mutation).next() else { continue };
        let (_, tape) = testify(entry.case, entry.transport, &settings, mutant(mutation, SEED), SEED);
        findings.extend(found(mutation.name, entry.case, &tape));
    }
    assert!(findings.is_empty(), "{}\n{}", findings.len(), findings.concat());
}

#[test]
fn every_generation_of_servers_leaves_tapes_that_pass_the_audit() {
    let settings = settings();
    let mut findings = Vec::new();
    for name in Dialect::names() {
        let dialect = Dialect::by_name(name).expect("it is listed");
        let entries = plan(&settings, &[Transport::LongPolling]);
        for entry in entries.iter().filter(|entry| entry.not_applicable.is_none()).step_by(3) {
            let (then, tape) = testify(entry.case, entry.transport, &settings, speaking(dialect.clone(), SEED), SEED);
            findings.extend(found(&format!("{} of {name}", then.name()), entry.case, &tape));
        }
    }
    assert!(findings.is_empty(), "{}\n{}", findings.len(), findings.concat());
}
