//! The simulator in each of its dialects: every case passes, observes, or departs as is known of that generation of CometD.

use std::fs;
use std::path::Path;

use conformance::expectations::Expectations;
use conformance::report::Exit;
use conformance::verdict::Kind;
use protocol::bayeux::dialect::Dialect;
use rstest::rstest;
use simulator::link::Network;

use crate::drive::{SEED, assert_steady, report_knowing, run_dialect, settings};

/// The known departures of a dialect; those of the default one are the embedded simulator's.
fn known(name: &str) -> Expectations {
    let file = if name == Dialect::cometd_3_1().name { "simulator" } else { name };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("expectations").join(format!("{file}.toml"));
    let text = fs::read_to_string(path).expect("the known departures of a dialect");
    Expectations::parse(&text).expect("expectations")
}

#[rstest]
fn every_dialect_is_as_it_is_known(
    #[values("cometd-2.9", "cometd-3.0", "cometd-3.1", "cometd-4.0.0", "cometd-4.0.4", "cometd-5.0")] name: &str,
) {
    let results = run_dialect(name, Network::default(), SEED);
    let mut told = String::new();
    for result in results.iter().filter(|result| result.verdict != Kind::Pass) {
        let reason = result.reason.as_ref();
        let clause = reason.and_then(|reason| reason.requirement.as_deref()).unwrap_or("-");
        let says = reason.map_or("", |reason| reason.observed.as_str());
        told.push_str(&format!("{:<13} {} {clause}: {says}\n", result.verdict.name(), result.name()));
        result.consequences.iter().for_each(|line| told.push_str(&format!("    {line}\n")));
    }
    insta::with_settings!({snapshot_suffix => name}, {
        insta::assert_snapshot!("dialect", told);
    });
    let report = report_knowing(&known(name), &settings(), results, SEED);
    assert_eq!(report.exit().0, Exit::Complete, "{}", conformance::report::text::render(&report));
}

/// A few repetitions; `tests/selftest` has twenty.
#[rstest]
fn repetitions_come_to_the_same_verdicts(
    #[values("cometd-2.9", "cometd-3.0", "cometd-3.1", "cometd-4.0.0", "cometd-4.0.4", "cometd-5.0")] name: &str,
) {
    assert_steady(name, SEED..SEED + 2);
}
