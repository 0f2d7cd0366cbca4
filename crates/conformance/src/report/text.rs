//! The report for a terminal: what is wrong with its evidence, counts by group, and two last lines to paste.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protocol::wire::Side;

use super::causes::Cause;
use super::{Again, Report, tape_name};
use crate::clients::UNSEEN;
use crate::conclude::{CaseResult, Reason};
use crate::requirements::{Catalogue, Requirement, VERSION};
use crate::verdict::{Ending, Kind};

/// The text, ending with a line feed.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = header(report);
    for cause in report.causes() {
        text.push('\n');
        text.push_str(&block(report, &cause));
    }
    text.push('\n');
    text.push_str(&groups(report));
    text.push_str(&unjudged(report));
    if report.results.iter().any(|result| result.case.is_of_client()) {
        let _ = writeln!(text, "{UNSEEN}");
    }
    for unsteady in &report.unsteady {
        let _ = writeln!(text, "not the same each time: {}  {}", unsteady.name, unsteady.counts());
    }
    for problem in report.problems() {
        let _ = writeln!(text, "expectation: {problem}");
    }
    text.push_str(&departures(report));
    for shortfall in &report.shortfalls {
        let _ = writeln!(text, "incomplete: {shortfall}");
    }
    let chats = report.chats();
    if chats.opened > 0 {
        let (opened, ended, open) = (chats.opened, chats.ended, chats.left_open());
        let _ = writeln!(text, "chats opened {opened}, ended {ended}, left open {open}");
    }
    let _ = writeln!(text, "{}\n{}", report.summary(), report.last_line());
    text
}

/// How many frames are shown of an entry; `result.json` has more.
const FRAMES: usize = 4;

/// How many entries are named that have one cause with the entry shown.
const NAMED: usize = 8;

/// A cause, with what has the same and what follows from it.
pub(super) fn block(report: &Report, cause: &Cause<'_>) -> String {
    let same = others("as well", &cause.same, CaseResult::name);
    let follows = others("follows", &cause.follows, |result| {
        let id = result.reason.as_ref().and_then(|reason| reason.requirement.as_deref()).unwrap_or_default();
        format!("{}   {} {id}", result.name(), result.verdict).trim_end().to_owned()
    });
    format!("{}{same}{follows}", explain(report, cause.root))
}

fn others(label: &str, results: &[&CaseResult], shown: impl Fn(&CaseResult) -> String) -> String {
    let mut text = String::new();
    for result in results.iter().take(NAMED) {
        let _ = writeln!(text, "      {label:<10} {}", shown(result));
    }
    if results.len() > NAMED {
        let _ = writeln!(text, "      {label:<10} {} more", results.len() - NAMED);
    }
    text
}

fn header(report: &Report) -> String {
    let about = &report.about;
    let service = about.service.as_ref().map(|service| format!("   service {service}")).unwrap_or_default();
    let agent = report.about.agent_name.map(|name| format!("   agent {name}")).unwrap_or_default();
    format!(
        "tapestry {}   catalogue {VERSION}   target {}{service}{agent}   seed {}\n",
        about.version, about.target, about.seed
    )
}

/// The block about one entry: what was required, expected and seen, the frames, and how to run it again.
pub(super) fn explain(report: &Report, result: &CaseResult) -> String {
    let again = match &report.about.again {
        Again::Run { command, tapes } => {
            let again = line("again", &format!("{command} --case {}", result.name()));
            // What was not worth a try has no tape.
            let tapes = tapes.as_ref().filter(|_| result.ending.is_some());
            let offline = tapes.map(|tapes| line("offline", &format!("tapestry replay {tapes}/{}", tape_name(result))));
            again + &offline.unwrap_or_default()
        }
        Again::Tape(command) => line("again", command),
    };
    let word = result.verdict.words().to_uppercase();
    let about = requirement_of(result).map(|requirement| {
        format!(
            "   {} {}, {}, {}\n      {}",
            requirement.id,
            requirement.level.name(),
            requirement.evidence.name(),
            requirement.source,
            requirement.text
        )
    });
    let (about, shown) = (about.unwrap_or_default(), evidence(result));
    format!("{word}  {}{about}\n{shown}{again}", result.name())
}

/// What was expected and seen in an entry, and the frames that show it: one indented line each.
#[must_use]
pub fn evidence(result: &CaseResult) -> String {
    let mut text = String::new();
    let is_wrong = matches!(result.verdict, Kind::Fail | Kind::Deviation);
    if let Some(reason) = &result.reason {
        if let Some(root) = &reason.root {
            text.push_str(&line("blocked by", root));
            if let Some(needed) = reason.blocker() {
                text.push_str(&line("", &needed.text));
            }
        }
        if let Some(expected) = &reason.expected {
            text.push_str(&line("expected", expected));
        }
        text.push_str(&line("observed", &reason.observed));
        if let Some(rule) = reason.rule {
            text.push_str(&line("rule", rule));
        }
    }
    let blocker = result.reason.as_ref().and_then(Reason::blocker);
    if let Some(why) = requirement_of(result).filter(|_| is_wrong).or(blocker).and_then(Requirement::why) {
        text.push_str(&line("matters", why));
    }
    for consequence in &result.consequences {
        text.push_str(&line("also", &consequence.to_string()));
    }
    for witness in result.evidence.iter().take(FRAMES) {
        let place = match witness.message {
            Some(message) => format!("{}.{message}", witness.entry),
            None => witness.entry.to_string(),
        };
        let label = if witness.from == Side::Client { "sent" } else { "came" };
        text.push_str(&line(label, &format!("{place} {} {} {}", witness.at, witness.from.arrow(), witness.text)));
    }
    if let Some(ending) = result.ending {
        text.push_str(&line("ended", Ending::words(ending)));
    }
    text
}

fn line(label: &str, says: &str) -> String {
    format!("      {label:<10} {says}\n")
}

fn requirement_of(result: &CaseResult) -> Option<&'static Requirement> {
    let id = result.reason.as_ref()?.requirement.as_ref()?;
    Catalogue::get().requirement(id)
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

/// The departures that are expected: each reason once, with the entries that it covers.
fn departures(report: &Report) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (result, reason) in report.departures() {
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(result.name()),
            None => reasons.push((reason, vec![result.name()])),
        }
    }
    let lines = reasons.into_iter().flat_map(|(reason, names)| {
        let head = [format!("expected departures: {reason}")];
        head.into_iter().chain(names.into_iter().map(|name| format!("    {name}")))
    });
    lines.map(|line| line + "\n").collect()
}

/// What was not judged by any entry, and why: it stands as high as what failed.
fn unjudged(report: &Report) -> String {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for coverage in report.coverage() {
        let open = |(_, kind): &(String, Kind)| *kind == Kind::NotApplicable;
        if coverage.verdicts.is_empty() || !coverage.verdicts.iter().all(open) {
            continue;
        }
        let why = report.results.iter().find(|result| coverage.verdicts.iter().any(|(name, _)| *name == result.name()));
        let why = why.and_then(|result| result.reason.as_ref()).map(|reason| reason.observed.as_str());
        reasons.entry(why.unwrap_or_default()).or_default().push(&coverage.requirement.id);
    }
    let mut text = String::new();
    for (why, requirements) in reasons {
        let _ = writeln!(text, "not judged: {} requirements, {why}", requirements.len());
        for line in requirements.chunks(8) {
            let _ = writeln!(text, "    {}", line.join(" "));
        }
    }
    text
}
