//! A simulator without defects, judged by every case on every transport.

use std::collections::BTreeMap;

use conformance::cases::cases;
use conformance::verdict::Kind;

use crate::drive::{drive, healthy, settings};

#[test]
fn finds_nothing_wrong_with_a_healthy_simulator() {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for case in cases() {
        for transport in case.transports {
            let (outcome, _) = drive(case, *transport, &settings(), healthy(7), 7);
            let wrong = [Kind::Error, Kind::Fail, Kind::Inconclusive, Kind::Blocked];
            assert!(!wrong.contains(&outcome.kind()), "{} over {transport}: {outcome:#?}", case.id);
            *counts.entry(outcome.kind()).or_default() += 1;
        }
    }
    assert_eq!(counts, BTreeMap::from([(Kind::Pass, 93), (Kind::Observed, 6), (Kind::Deviation, 2)]));
}
