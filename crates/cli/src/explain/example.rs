//! An exchange that breaks a requirement: computed, with the simulator doing that very thing wrong, and told as a report does.

use ::conformance::cases::{self, Planned};
use ::conformance::conclude::CaseResult;
use ::conformance::report::text;
use ::conformance::requirements::{Binds, Requirement};
use ::conformance::run::{Agent, Settings};
use ::conformance::verdict::Kind;
use protocol::wire::Transport;
use simulator::mutation::{Mutation, mutations};

use crate::conformance::virtual_run::try_mutation;

/// The example for a requirement, or why there is none.
pub(super) fn example(requirement: &Requirement) -> String {
    if requirement.untestable.is_some() {
        return none("nothing shows from outside");
    }
    if requirement.binds == Binds::Client {
        return none("it binds clients, and this program has faults on purpose for its own server alone");
    }
    let planted = mutations_of(requirement);
    if planted.is_empty() {
        return none("no mutation of the simulator breaks it");
    }
    let found = planted.iter().find_map(|mutation| Some((mutation, find(requirement, mutation)?)));
    let Some((mutation, result)) = found else {
        return none("no case shows what the mutations of the simulator break of it");
    };
    let Mutation { name, about, .. } = mutation;
    let about = about.trim_end_matches('.');
    format!(
        "\n  example: {} in {}, of a simulator that does one thing wrong: {about}\n{}\n  tapestry serve --mutation {name}\n",
        result.verdict,
        result.name(),
        text::evidence(&result)
    )
}

fn none(why: &str) -> String {
    format!("\n  no example: {why}\n")
}

/// The mutations that break it, those ahead that are for it.
fn mutations_of(requirement: &Requirement) -> Vec<&'static Mutation> {
    let breaks = |mutation: &&Mutation| mutation.requirements.contains(&requirement.id.as_str());
    let mut found: Vec<&Mutation> = mutations().filter(breaks).collect();
    found.sort_by_key(|mutation| mutation.requirements.first() != Some(&requirement.id.as_str()));
    found
}

/// An entry in which a mutation shows to break a requirement: of those that judge it the first that is about it before all
/// else, or about it among others; then any other.
fn find(requirement: &Requirement, mutation: &Mutation) -> Option<CaseResult> {
    let service = "customer-support".to_owned();
    let base = simulator::gms::Settings::new(&service).base;
    let settings = Settings { base, service: Some(service), agent: Agent::Simulated };
    let judges = |entry: &Planned| requirement.cases.iter().any(|case| case == entry.case.id);
    let (own, others): (Vec<_>, Vec<_>) = cases::plan(&settings, &Transport::ALL).into_iter().partition(judges);
    let mut among_others = None;
    for entry in own {
        let result = try_mutation(entry, &settings, Some(mutation));
        if is_about(&result, requirement) && is_not_so_otherwise(&result, entry, &settings) {
            return Some(result);
        }
        among_others = among_others.or_else(|| Some(result).filter(|result| shows(result, requirement)));
    }
    among_others.or_else(|| {
        let tried = others.into_iter().map(|entry| (entry, try_mutation(entry, &settings, Some(mutation))));
        let mut found = tried
            .filter(|(entry, result)| is_about(result, requirement) && is_not_so_otherwise(result, *entry, &settings));
        found.next().map(|(_, result)| result)
    })
}

/// Whether the first thing that an entry finds is that requirement, or a rule that judges it beside others.
fn is_about(result: &CaseResult, requirement: &Requirement) -> bool {
    result.verdict == requirement.kind_if_broken()
        && result.reason.as_ref().is_some_and(|reason| {
            let by_rule = |rule: &str| requirement.rules.iter().any(|own| own == rule);
            reason.requirement.as_ref() == Some(&requirement.id) || reason.rule.is_some_and(by_rule)
        })
}

/// Whether the mutation makes a difference: the simulator departs somewhere without one, and what nobody documents is
/// observed in any case.
fn is_not_so_otherwise(result: &CaseResult, entry: Planned, settings: &Settings) -> bool {
    let sound = try_mutation(entry, settings, None);
    sound.reason != result.reason
}

/// Whether an entry finds that requirement broken beside other things.
fn shows(result: &CaseResult, requirement: &Requirement) -> bool {
    let kind = requirement.kind_if_broken();
    kind != Kind::Observed && result.clauses.get(&requirement.id) == Some(&kind)
}
