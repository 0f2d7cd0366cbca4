//! What a requirement, a case or a rule is, in words: for whoever reads an id in a report.

use std::fmt::Write as _;

use crate::cases::{self, Case, Needs};
use crate::clients::scenarios;
use crate::requirements::{Binds, Catalogue, Requirement};
use crate::rules::{self, Rule};
use crate::verdict::Kind;

/// The text about whatever has this id, ending with a line feed; `None` if nothing has.
#[must_use]
pub fn explain(id: &str) -> Option<String> {
    let by_requirement = || Catalogue::get().requirement(id).map(requirement);
    by_requirement().or_else(|| cases::case(id).map(case)).or_else(|| rules::rule(id).map(rule))
}

/// Every id that [`explain`] knows.
pub fn ids() -> impl Iterator<Item = &'static str> {
    let requirements = Catalogue::get().requirements().iter().map(|requirement| requirement.id.as_str());
    requirements
        .chain(cases::cases().iter().chain(scenarios()).map(|case| case.id))
        .chain(rules::rules().iter().map(|rule| rule.id))
}

/// Whom a requirement binds, in words.
#[must_use]
pub const fn bound(binds: Binds) -> &'static str {
    match binds {
        Binds::Server => "the server",
        Binds::Client => "the client",
        Binds::Both => "server and client",
    }
}

fn requirement(requirement: &Requirement) -> String {
    let mut text = format!("{}   requirement\n\n  {}\n\n", requirement.id, requirement.text);
    // Writing to a text cannot fail.
    let mut line = |label: &str, says: &str| {
        let _ = writeln!(text, "  {label:<10} {says}");
    };
    line("source", &requirement.source);
    line("level", requirement.level.name());
    line("evidence", &format!("{}: {}", requirement.evidence.name(), requirement.evidence.describe()));
    line("binds", bound(requirement.binds));
    line("broken", &amounts_to(requirement));
    for case in &requirement.cases {
        line("case", case);
    }
    for rule in &requirement.rules {
        line("rule", rule);
    }
    if let Some(why) = &requirement.untestable {
        line("untestable", why);
    }
    let judging: Vec<&Case> = requirement.cases.iter().filter_map(|id| cases::case(id)).collect();
    let of_client = judging.iter().any(|case| case.is_of_client()).then_some(" --client");
    let of_server = judging.iter().any(|case| !case.is_of_client()).then_some("");
    for side in of_server.into_iter().chain(of_client) {
        let _ = writeln!(text, "\n  tapestry conformance{side} --requirement {}", requirement.id);
    }
    text
}

/// What breaking a requirement amounts to, and why.
fn amounts_to(requirement: &Requirement) -> String {
    let kind = requirement.kind_if_broken();
    match (&requirement.departure, kind) {
        (Some(who), Kind::Deviation) => format!("{kind}: {who}"),
        (_, Kind::Observed) => format!("{kind}: what the peer does is stated, and never held against it"),
        _ => kind.to_string(),
    }
}

fn case(case: &Case) -> String {
    let mut text = format!("{}   case\n\n", case.id);
    for requirement in case.requirements() {
        let _ = writeln!(text, "  {:<11} {}", requirement.id, requirement.text);
    }
    let transports: Vec<&str> = case.transports.iter().map(|transport| transport.name()).collect();
    let needs = match case.needs {
        _ if case.is_of_client() => "a client under test",
        Needs::Bayeux => "a Bayeux server",
        Needs::Service => "a chat service",
        Needs::Agent => "a chat service with an agent",
        Needs::Asked => "a chat service with an agent who does what he is asked",
    };
    let _ = writeln!(text, "\n  {:<10} {}", "over", transports.join(", "));
    let _ = writeln!(text, "  {:<10} {needs}", "needs");
    let _ = writeln!(text, "  {:<10} {} s at most", "takes", case.at_most.as_secs());
    let client = if case.is_of_client() { " --client" } else { "" };
    let _ = writeln!(text, "\n  tapestry conformance{client} --case {}", case.id);
    text
}

fn rule(rule: &Rule) -> String {
    let mut text = format!("{}   rule\n\n  Broken when: {}\n\n", rule.id, rule.says);
    let known = Catalogue::get();
    for requirement in rule.requirements.iter().filter_map(|id| known.requirement(id)) {
        let _ = writeln!(text, "  {:<11} {}", requirement.id, requirement.text);
    }
    let _ = writeln!(text, "\n  {:<10} {}", "binds", bound(rule.binds));
    let _ = writeln!(text, "  {:<10} {}", "broken", rule.kind);
    let _ = writeln!(text, "\n  tapestry check FILE judges a tape by it; every case judges by it too");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explains_every_id_that_a_report_may_name() {
        let unexplained: Vec<&str> = ids().filter(|id| explain(id).is_none_or(|text| !text.starts_with(id))).collect();
        assert!(unexplained.is_empty(), "{unexplained:?}");
        assert_eq!(explain("BX-XX-99"), None);
    }

    #[test]
    fn says_of_a_requirement_what_judges_it() {
        let text = explain("BX-CN-04").expect("it is in the catalogue");
        insta::assert_snapshot!(text);
    }
}
