//! Which requirements a rule judges, and what it amounts to when one is broken.

use std::sync::LazyLock;

use protocol::violation::Violation;
use serde::Deserialize;

use super::{Grade, Rule};

const TEXT: &str = include_str!("../../requirements/rules.toml");

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Must,
    Should,
    May,
    Fact,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Evidence {
    Specified,
    Captured,
    Client,
    Inferred,
}

/// Who is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binds {
    /// The server.
    Server,
    /// The client.
    Client,
    /// Both.
    Both,
}

impl Binds {
    /// The word in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "both",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    id: String,
    #[expect(dead_code, reason = "told to readers of the catalogue, not of a finding")]
    source: String,
    level: Level,
    binds: Binds,
    evidence: Evidence,
    #[expect(dead_code, reason = "told to readers of the catalogue, not of a finding")]
    text: String,
    #[expect(dead_code, reason = "the mapping of cases is not the rules' business")]
    cases: Vec<String>,
    rules: Vec<String>,
}

impl Requirement {
    /// Only what is specified or was captured fails a peer, and only if it is more than a recommendation.
    const fn grade(&self) -> Grade {
        match (self.evidence, self.level) {
            (Evidence::Inferred, _) => Grade::Observed,
            (Evidence::Specified | Evidence::Captured, Level::Must | Level::Fact) => Grade::Fail,
            (Evidence::Specified | Evidence::Captured | Evidence::Client, _) => Grade::Deviation,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Requirement>,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let file: File = toml::from_str(TEXT).expect("a test reads the embedded catalogue");
    Violation::ALL.iter().filter_map(|violation| rule(&file.requirement, *violation)).collect()
});

fn rule(requirements: &[Requirement], violation: Violation) -> Option<Rule> {
    let judged: Vec<&Requirement> =
        requirements.iter().filter(|requirement| requirement.rules.iter().any(|id| id == violation.id())).collect();
    let first = judged.first()?;
    let binds =
        if judged.iter().all(|requirement| requirement.binds == first.binds) { first.binds } else { Binds::Both };
    Some(Rule {
        id: violation.id(),
        says: violation.describe(),
        binds,
        grade: judged.iter().map(|requirement| requirement.grade()).min()?,
        requirements: judged.iter().map(|requirement| requirement.id.clone()).collect(),
    })
}

pub(super) fn rules() -> &'static [Rule] {
    &RULES
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn every_violation_is_a_rule_and_every_rule_of_the_catalogue_a_violation() {
        let file: File = toml::from_str(TEXT).unwrap();
        let named: BTreeSet<&str> =
            file.requirement.iter().flat_map(|requirement| &requirement.rules).map(String::as_str).collect();
        let known: BTreeSet<&str> = Violation::ALL.iter().map(|violation| violation.id()).collect();
        assert_eq!(named, known);
    }

    #[test]
    fn every_requirement_is_there_once_and_judged() {
        let file: File = toml::from_str(TEXT).unwrap();
        let ids: BTreeSet<&str> = file.requirement.iter().map(|requirement| requirement.id.as_str()).collect();
        assert_eq!(ids.len(), file.requirement.len());
        assert!(file.requirement.iter().all(|requirement| !requirement.rules.is_empty()));
    }
}
