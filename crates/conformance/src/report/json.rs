//! `result.json`: the report itself, as `schemas/result.schema.json` describes it.

use serde_json::{Map, Value, json};

use super::causes::Cause;
use super::{Coverage, Cut, Report, Unsteady};
use crate::conclude::{CaseResult, Consequence, Reason, Witness};
use crate::requirements::{Binds, VERSION};
use crate::run::Agent;
use crate::verdict::{Ending, Kind};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// The text of `result.json`, ending with a line feed.
#[must_use]
pub fn render(report: &Report) -> String {
    format!("{:#}\n", value(report))
}

/// `result.json` as a value.
#[must_use]
pub fn value(report: &Report) -> Value {
    let (about, (exit, reason)) = (&report.about, report.exit());
    let counts: Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.name().to_owned(), report.count(*kind).into())).collect();
    json!({
        "format": FORMAT,
        "tool": {"name": "tapestry", "version": about.version},
        "catalogue": VERSION,
        "target": about.target,
        "service": about.service,
        "agent": about.agent_name.unwrap_or(match about.agent {
            Agent::None => "none",
            Agent::Scripted | Agent::Simulated => "simulated",
            Agent::Asked { .. } => "asked",
        }),
        "seed": about.seed,
        "started": about.started,
        "tookMs": millis(about.took),
        "complete": report.cut.is_none(),
        "cut": match &report.cut {
            None => Value::Null,
            Some(Cut::Interrupted) => "interrupted".into(),
            Some(Cut::Unreachable(_)) => "unreachable".into(),
        },
        "summary": report.summary(),
        "counts": counts,
        "chats": {
            "opened": report.chats().opened, "ended": report.chats().ended, "leftOpen": report.chats().left_open(),
        },
        "exit": {"code": exit.code(), "word": exit.word(), "reason": reason},
        "expectationProblems": report.problems(),
        "unsteady": report.unsteady.iter().map(unsteady).collect::<Vec<_>>(),
        "shortfalls": report.shortfalls,
        "causes": report.causes().iter().map(cause).collect::<Vec<_>>(),
        "cases": report.entries().map(|(result, expected)| case(result, expected)).collect::<Vec<_>>(),
        "coverage": report.coverage().iter().map(coverage).collect::<Vec<_>>(),
    })
}

fn cause(cause: &Cause<'_>) -> Value {
    let names = |results: &[&CaseResult]| results.iter().map(|result| result.name()).collect::<Vec<_>>();
    json!({
        "entry": cause.root.name(),
        "requirement": cause.requirement().map(|requirement| requirement.id.as_str()),
        "same": names(&cause.same),
        "follows": names(&cause.follows),
    })
}

fn unsteady(unsteady: &Unsteady) -> Value {
    let verdicts: Map<String, Value> =
        unsteady.verdicts.iter().map(|(kind, times)| (kind.name().to_owned(), (*times).into())).collect();
    json!({"entry": unsteady.name, "verdicts": verdicts})
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn case(result: &CaseResult, expected: Option<&str>) -> Value {
    json!({
        "id": result.case.id,
        "transport": result.transport.name(),
        "title": result.case.title(),
        "verdict": result.verdict.name(),
        "expected": expected,
        "requirements": result.case.requirements().iter().map(|requirement| requirement.id.as_str()).collect::<Vec<_>>(),
        "judged": result.clauses.iter().map(|(id, kind)| json!({"requirement": id, "verdict": kind.name()})).collect::<Vec<_>>(),
        "reason": result.reason.as_ref().map(reason),
        "consequences": result.consequences.iter().map(consequence).collect::<Vec<_>>(),
        "evidence": result.evidence.iter().map(witness).collect::<Vec<_>>(),
        "ending": result.ending.map(Ending::name),
        "tookMs": millis(result.took),
    })
}

fn consequence(consequence: &Consequence) -> Value {
    json!({
        "verdict": consequence.kind.name(),
        "reason": reason(&consequence.reason),
        "evidence": consequence.evidence.iter().map(witness).collect::<Vec<_>>(),
    })
}

fn reason(reason: &Reason) -> Value {
    json!({
        "requirement": reason.requirement,
        "rule": reason.rule,
        "root": reason.root,
        "expected": reason.expected,
        "observed": reason.observed,
    })
}

fn witness(witness: &Witness) -> Value {
    json!({
        "entry": witness.entry,
        "message": witness.message,
        "atMs": witness.at.as_millis(),
        "from": match witness.from {
            protocol::wire::Side::Client => "client",
            protocol::wire::Side::Server => "server",
        },
        "channel": witness.channel,
        "text": witness.text,
    })
}

fn coverage(coverage: &Coverage) -> Value {
    let requirement = coverage.requirement;
    json!({
        "requirement": requirement.id,
        "source": requirement.source,
        "level": requirement.level.name(),
        "evidence": requirement.evidence.name(),
        "binds": match requirement.binds {
            Binds::Server => "server",
            Binds::Client => "client",
            Binds::Both => "both",
        },
        "text": requirement.text,
        "verdict": coverage.verdict().map(Kind::name),
        "cases": coverage.verdicts.iter().map(|(name, kind)| json!({"entry": name, "verdict": kind.name()})).collect::<Vec<_>>(),
        "rules": requirement.rules,
        "brokenRules": coverage.broken_rules,
        "untestable": requirement.untestable,
    })
}
