//! With one mutation on, the first failure of the report names the requirement that the mutation breaks, and what follows
//! from it stands under it.

use std::fmt::Write as _;

use conformance::requirements::{Catalogue, Requirement};
use conformance::verdict::Kind;
use protocol::wire::Transport;

use crate::drive::{SEED, report, settings};
use crate::mutants::{Tries, all_tries};

/// What the report of a run against a mutation says.
struct Diagnosis {
    name: &'static str,
    breaks: &'static [&'static str],
    /// Whether anything that the mutation breaks can fail a peer; the rest is only observed.
    can_fail: bool,
    /// The requirements of the causes, in the order of the report.
    causes: Vec<String>,
}

impl Diagnosis {
    fn of(tries: &Tries) -> Self {
        let results = tries.tried.iter().map(|tried| tried.result.clone()).collect();
        let report = report(&settings(), results, SEED);
        let wrong =
            report.causes().into_iter().filter(|cause| matches!(cause.root.verdict, Kind::Fail | Kind::Deviation));
        let causes = wrong.filter_map(|cause| Some(cause.requirement()?.id.clone())).collect();
        let breaks = tries.mutation.requirements;
        let fails = |id: &&str| {
            let known = Catalogue::get().requirement(id).map(Requirement::kind_if_broken);
            known.is_some_and(|kind| kind != Kind::Observed)
        };
        Self { name: tries.mutation.name, breaks, can_fail: breaks.iter().any(fails), causes }
    }

    /// Whether the first failure names what is broken; where nothing can fail, whether nothing does.
    fn is_right(&self) -> bool {
        match self.causes.first() {
            Some(first) => self.breaks.contains(&first.as_str()),
            None => !self.can_fail,
        }
    }
}

#[test]
fn the_first_failure_names_the_broken_requirement() {
    let all: Vec<Diagnosis> = all_tries().iter().map(Diagnosis::of).collect();
    let (right, wrong): (Vec<_>, Vec<_>) = all.iter().partition(|diagnosis| diagnosis.is_right());
    let alone = all.iter().filter(|diagnosis| diagnosis.causes.len() == 1 && diagnosis.is_right()).count();
    let observed = right.iter().filter(|diagnosis| diagnosis.causes.is_empty()).count();
    let failing = all.len() - observed;
    let named = right.len() - observed;
    let mut text = format!("{} mutations, of which {observed} break nothing that can fail a server\n", all.len());
    let _ = writeln!(text, "the first failure names the broken requirement in {named} of {failing}");
    let _ = writeln!(text, "it is the only one in {alone} of {failing}");
    for diagnosis in &wrong {
        let causes = if diagnosis.causes.is_empty() { "nothing".to_owned() } else { diagnosis.causes.join(", ") };
        let _ =
            writeln!(text, "wrong: {} breaks {}, and {causes} is blamed", diagnosis.name, diagnosis.breaks.join(", "));
    }
    for diagnosis in right.iter().filter(|diagnosis| diagnosis.causes.len() > 1) {
        let _ = writeln!(text, "more than one: {}: {}", diagnosis.name, diagnosis.causes.join(", "));
    }
    insta::assert_snapshot!("diagnosis", text);
    // What is named wrongly stands above.
    assert!(named * 100 >= failing * 95, "{named} of {failing}");
}

/// A mutation spoils a session over both transports, and yet the report has one cause.
#[test]
fn one_fault_gives_one_block() {
    let tries = all_tries().iter().find(|tries| tries.mutation.name == "id-not-echoed").expect("a mutation");
    let results = tries.tried.iter().map(|tried| tried.result.clone()).collect();
    let report = report(&settings(), results, SEED);
    let causes = report.causes();
    let first = &causes[0];
    assert_eq!(first.requirement().map(|known| known.id.as_str()), Some("BX-META-04"));
    assert!(first.root.transport == Transport::WebSocket && first.same.len() > 1, "{first:#?}");
    assert_eq!(causes.len(), 1, "{:#?}", causes.iter().map(|cause| cause.root.name()).collect::<Vec<_>>());
}
