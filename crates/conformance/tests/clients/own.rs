//! The client machine of this project passes every scenario.

use std::collections::{BTreeMap, BTreeSet};

use conformance::cases::{Case, case};
use conformance::clients::scenarios;
use conformance::conclude::{CaseResult, conclude};
use conformance::requirements::{Binds, Catalogue};
use conformance::verdict::Kind;
use pretty_assertions::assert_eq;
use protocol::chat::client::Client;
use protocol::wire::Transport;

use crate::drive::{SEED, config, drive, drive_over, judge};
use crate::shared::{redacted, uneven};

/// What a right client comes to: a question that nobody answers is observed.
fn right(result: &CaseResult) -> bool {
    matches!(result.verdict, Kind::Pass | Kind::Observed) && result.reason.iter().all(|reason| reason.rule.is_none())
}

#[test]
fn passes_every_scenario_on_every_transport() {
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for case in scenarios() {
        for transport in case.transports {
            let result = judge(case, *transport, Client::new(config(*transport)), SEED);
            let verdict = result.verdict.name();
            table.push_str(&format!("{:<47} {:<17} {verdict}\n", case.id, transport.name()));
            if !right(&result) {
                wrong.push(format!("{}: {result:#?}", result.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!("verdicts_on_our_client", table);
}

/// Each scenario judges what the catalogue says that it judges.
#[test]
fn catalogue_and_scenarios_agree() {
    let mut judged: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for case in scenarios() {
        for transport in case.transports {
            let (outcome, _) = drive(case, *transport, Client::new(config(*transport)), SEED);
            let clauses = outcome.judged.iter().map(|judged| judged.requirement().id.clone());
            judged.entry(case.id).or_default().extend(clauses);
        }
    }
    for (id, judged) in judged {
        let named: BTreeSet<String> = Catalogue::get().of_case(id).map(|requirement| requirement.id.clone()).collect();
        assert_eq!(judged, named, "{id}");
    }
}

/// A scenario is about what binds clients, and such a requirement has a scenario or a rule, or says why it has none.
#[test]
fn what_binds_clients_has_a_scenario_or_a_rule() {
    for requirement in Catalogue::get().requirements() {
        let scenarios: Vec<&String> = requirement.cases.iter().filter(|id| id.starts_with("client.")).collect();
        assert!(scenarios.is_empty() || requirement.binds != Binds::Server, "{}", requirement.id);
        for id in &scenarios {
            assert!(case(id).is_some_and(|case| case.is_of_client()), "{id}");
        }
        if requirement.binds == Binds::Client {
            let judged = !scenarios.is_empty() || !requirement.rules.is_empty() || !requirement.cases.is_empty();
            assert!(judged != requirement.untestable.is_some(), "{}", requirement.id);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_entries() {
    let case = case("client.recovery.handshakes-again-after-402").unwrap();
    let entries = |seed| drive(case, Transport::LongPolling, Client::new(config(Transport::LongPolling)), seed).1;
    assert_eq!(entries(3), entries(3));
    assert!(entries(3) != entries(4));
}

/// On some networks requests on two connections overtake each other, and their responses too.
#[test]
fn many_seeds_and_networks_come_to_the_same_verdicts() {
    for seed in 100..110 {
        for case in scenarios() {
            for transport in case.transports {
                assert_right_over_uneven(case, *transport, seed);
            }
        }
    }
}

/// What a client misses it may get late: until then it goes on from before that.
#[test]
fn gaps_on_slow_networks_are_waited_for() {
    let case = case("client.events.with-gaps").unwrap();
    for seed in (0..160).filter(|seed| seed % 4 == 3) {
        assert_right_over_uneven(case, Transport::LongPolling, seed);
    }
}

fn assert_right_over_uneven(case: &'static Case, transport: Transport, seed: u64) {
    let (outcome, entries) = drive_over(uneven(seed), case, transport, Client::new(config(transport)), seed);
    let result = conclude(&outcome, &redacted(&entries, seed));
    assert!(right(&result), "seed {seed}, {}: {result:#?}", result.name());
}
