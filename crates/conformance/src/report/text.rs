//! The report for a terminal: what is wrong with its evidence, counts by group, and two last lines to paste.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Report;
use crate::conclude::CaseResult;
use crate::requirements::{Catalogue, VERSION};
use crate::verdict::{Ending, Kind};

/// The text, ending with a line feed.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = header(report);
    let worth_a_block =
        |result: &&CaseResult| matches!(result.verdict, Kind::Error | Kind::Inconclusive | Kind::Blocked);
    let unexpected = report.unexpected();
    for result in unexpected.iter().copied().chain(report.results.iter().filter(worth_a_block)) {
        text.push('\n');
        text.push_str(&explain(report, result));
    }
    text.push('\n');
    text.push_str(&groups(report));
    text.push_str(&unjudged(report));
    for problem in report.problems() {
        let _ = writeln!(text, "expectation: {problem}");
    }
    let departures: Vec<String> =
        report.departures().iter().map(|(result, reason)| format!("{} ({reason})", result.name())).collect();
    if !departures.is_empty() {
        let _ = writeln!(text, "expected departures: {}", departures.join("; "));
    }
    let _ = writeln!(text, "{}\n{}", report.summary(), report.last_line());
    text
}

fn header(report: &Report) -> String {
    let about = &report.about;
    let service = about.service.as_ref().map(|service| format!("   service {service}")).unwrap_or_default();
    format!(
        "tapestry {}   catalogue {VERSION}   target {}{service}   seed {}\n",
        about.version, about.target, about.seed
    )
}

/// The block about one entry: what was required, expected and seen, the frames, and how to run it again.
pub(super) fn explain(report: &Report, result: &CaseResult) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let mut line = |label: &str, says: &str| {
        let _ = writeln!(text, "      {label:<10} {says}");
    };
    let reason = result.reason.as_ref();
    let requirement =
        reason.and_then(|reason| reason.requirement.as_ref()).and_then(|id| Catalogue::get().requirement(id));
    if let Some(reason) = reason {
        if let Some(root) = &reason.root {
            line("blocked by", root);
        }
        if let Some(expected) = &reason.expected {
            line("expected", expected);
        }
        line("observed", &reason.observed);
        if let Some(rule) = reason.rule {
            line("rule", rule);
        }
    }
    for consequence in &result.consequences {
        line("also", consequence);
    }
    for witness in &result.evidence {
        let place = match witness.message {
            Some(message) => format!("{}.{message}", witness.entry),
            None => witness.entry.to_string(),
        };
        line("frame", &format!("{place} {} {} {}", witness.at, witness.from.arrow(), witness.text));
    }
    if let Some(ending) = result.ending {
        line("ended", Ending::words(ending));
    }
    line("again", &format!("{} --case {}", report.about.command, result.name()));
    let about = requirement.map(|requirement| {
        format!(
            "   {} {}, {}, {}\n      {}",
            requirement.id,
            requirement.level.name(),
            requirement.evidence.name(),
            requirement.source,
            requirement.text
        )
    });
    let word = result.verdict.words().to_uppercase();
    format!("{word}  {}{}\n{text}", result.name(), about.unwrap_or_default())
}

/// One line for each group that ran.
fn groups(report: &Report) -> String {
    let mut order: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, BTreeMap<Kind, usize>> = BTreeMap::new();
    for result in &report.results {
        let group = result.case.group();
        if !order.contains(&group) {
            order.push(group);
        }
        *counts.entry(group).or_default().entry(result.verdict).or_default() += 1;
    }
    let mut text = String::new();
    for group in order {
        let counts = counts.get(group).into_iter().flatten();
        let mut shown: Vec<(usize, String)> = counts
            .map(|(kind, count)| {
                let place = Kind::ALL.iter().position(|other| other == kind).unwrap_or_default();
                (place, format!("{count:>3} {kind}"))
            })
            .collect();
        shown.sort();
        let shown: Vec<String> = shown.into_iter().map(|(_, text)| text).collect();
        let _ = writeln!(text, "  {group:<24}{}", shown.join("  "));
    }
    text
}

/// What was not judged, and why: it stands as high as what failed.
fn unjudged(report: &Report) -> String {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for result in report.results.iter().filter(|result| result.verdict == Kind::NotApplicable) {
        let why = result.reason.as_ref().map(|reason| reason.observed.as_str()).unwrap_or_default();
        let unjudged = reasons.entry(why).or_default();
        for requirement in result.case.requirements() {
            if !unjudged.contains(&requirement.id.as_str()) {
                unjudged.push(&requirement.id);
            }
        }
    }
    let mut text = String::new();
    for (why, requirements) in reasons {
        let _ = writeln!(text, "not judged: {} requirements, {why}: {}", requirements.len(), requirements.join(" "));
    }
    text
}
