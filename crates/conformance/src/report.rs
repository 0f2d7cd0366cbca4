//! What a whole run of the suite came to: counts, coverage, exit code. `causes` tells faults from what follows; `json`, `junit` and `text` render it.
//! `kept` reads what `json` has written, for those who ask about a run that is over.
//!
//! There is no clock here: moments and durations come in as arguments.

pub mod causes;
pub mod json;
pub mod junit;
pub mod kept;
pub mod text;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::conclude::CaseResult;
use crate::expectations::Expectations;
use crate::requirements::{Catalogue, Requirement};
use crate::run::{Agent, Chats};
use crate::verdict::Kind;

/// What is said of a run in which no entry applies.
const NOTHING: &str = "nothing was judged";

/// What was judged, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The version of the program, with its commit.
    pub version: String,
    /// The target as the user named it: a URL, a name, or `embedded simulator`.
    pub target: String,
    /// The chat service.
    pub service: Option<String>,
    /// Who played the agent.
    pub agent: Agent,
    /// What the agent is called, where that says more than that somebody was asked.
    pub agent_name: Option<&'static str>,
    /// The seed.
    pub seed: u64,
    /// When it began, RFC 3339; `None` in virtual time.
    pub started: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// How to see an entry again.
    pub again: Again,
}

/// How an entry can be seen again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// It can be run again.
    Run {
        /// The command that does so, without a choice of cases.
        command: String,
        /// The folder of the tapes, if they are kept.
        tapes: Option<String>,
    },
    /// Its tape can be judged again, by this command.
    Tape(String),
}

/// How the name of a tape ends.
pub const TAPE: &str = ".tape.jsonl";

/// The name of an entry's tape within its folder.
#[must_use]
pub fn tape_name(result: &CaseResult) -> String {
    format!("{}{TAPE}", result.name().replace('@', "."))
}

/// What cut a run short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Somebody interrupted it.
    Interrupted,
    /// The peer cannot be reached, or the preflight refused; with what it said.
    Unreachable(String),
}

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Complete and as expected.
    Complete,
    /// A verdict that nobody expected, or an expectation that is wrong.
    Unexpected,
    /// Nothing wrong was seen, but not everything was.
    Incomplete,
    /// The peer cannot be reached.
    Unreachable,
    /// A fault of the suite.
    Fault,
    /// Somebody interrupted it.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Unexpected => 1,
            Self::Incomplete => 3,
            Self::Unreachable => 4,
            Self::Fault => 70,
            Self::Interrupted => 130,
        }
    }

    /// `PASS`, `FAIL` or `INCOMPLETE`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "PASS",
            Self::Unexpected | Self::Fault => "FAIL",
            Self::Incomplete | Self::Unreachable | Self::Interrupted => "INCOMPLETE",
        }
    }
}

/// What a requirement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The requirement.
    pub requirement: &'static Requirement,
    /// What each entry that judges it came to: the name of the entry, and the verdict.
    pub verdicts: Vec<(String, Kind)>,
    /// The rules that found it broken, with how many entries they did.
    pub broken_rules: BTreeMap<String, usize>,
}

impl Coverage {
    /// The worst verdict; `None` if no case judges it and no rule found it broken.
    #[must_use]
    pub fn verdict(&self) -> Option<Kind> {
        let broken = (!self.broken_rules.is_empty()).then(|| self.requirement.kind_if_broken());
        self.verdicts.iter().map(|(_, kind)| *kind).chain(broken).min()
    }
}

/// An entry that did not come to the same verdict each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsteady {
    /// The name of the entry.
    pub name: String,
    /// How often it came to each verdict.
    pub verdicts: BTreeMap<Kind, usize>,
}

impl Unsteady {
    /// `3 pass, 1 fail`, in the order of the summary.
    #[must_use]
    pub fn counts(&self) -> String {
        let count = |kind: &Kind| Some(format!("{} {kind}", self.verdicts.get(kind)?));
        Kind::ALL.iter().filter_map(count).collect::<Vec<_>>().join(", ")
    }
}

/// What an entry came to each time that it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The first of the worst.
    worst: CaseResult,
    verdicts: BTreeMap<Kind, usize>,
    /// The chats of all times.
    chats: Chats,
}

impl Tally {
    fn new(result: CaseResult) -> Self {
        Self { verdicts: BTreeMap::from([(result.verdict, 1)]), chats: result.chats, worst: result }
    }

    /// Adds a result to those of its place in the plan; says whether it stands for them, being worse than all before.
    pub fn enter(tallies: &mut BTreeMap<usize, Self>, place: usize, result: CaseResult) -> bool {
        match tallies.entry(place) {
            Entry::Vacant(vacant) => {
                vacant.insert(Self::new(result));
                true
            }
            Entry::Occupied(mut tally) => tally.get_mut().add(result),
        }
    }

    /// Adds what the entry came to once more.
    fn add(&mut self, result: CaseResult) -> bool {
        *self.verdicts.entry(result.verdict).or_default() += 1;
        self.chats = [self.chats, result.chats].into_iter().sum();
        let is_worse = result.verdict < self.worst.verdict;
        if is_worse {
            self.worst = result;
        }
        is_worse
    }

    /// The result that stands for all, with the chats of all, and what differed if something did.
    #[must_use]
    pub fn close(self) -> (CaseResult, Option<Unsteady>) {
        let Self { worst, verdicts, chats } = self;
        let unsteady = (verdicts.len() > 1).then(|| Unsteady { name: worst.name(), verdicts });
        (CaseResult { chats, ..worst }, unsteady)
    }
}

/// The result of a run of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was judged.
    pub about: About,
    /// Every entry, in the order of the table.
    pub results: Vec<CaseResult>,
    /// What cut it short.
    pub cut: Option<Cut>,
    /// What did not come to the same verdict each time, if it ran more than once.
    pub unsteady: Vec<Unsteady>,
    /// The chats of entries that were cut short and are not among the results.
    pub unfinished: Chats,
    /// What kept entries from being seen to their end, or results from being kept: a torn tape, an entry that was cut short,
    /// a file that could not be written.
    pub shortfalls: Vec<String>,
    /// For each entry the reason why its departure is expected.
    expected: Vec<Option<String>>,
    /// What is wrong with the expectations.
    problems: Vec<String>,
}

impl Report {
    /// Adds up. `today` is `YYYY-MM-DD`, for expectations that expire.
    #[must_use]
    pub fn new(
        about: About,
        results: Vec<CaseResult>,
        cut: Option<Cut>,
        expectations: &Expectations,
        today: &str,
    ) -> Self {
        let mut problems = expectations.problems(&results, today);
        if cut.is_none() {
            problems.extend(expectations.unused(&results));
        }
        let reason = |result| expectations.met_by(result).map(|entry| entry.reason.clone());
        let expected = results.iter().map(reason).collect();
        let results = results.into_iter().map(|result| expectations.without_known(result)).collect();
        Self {
            about,
            results,
            cut,
            unsteady: Vec::new(),
            unfinished: Chats::default(),
            shortfalls: Vec::new(),
            expected,
            problems,
        }
    }

    /// What became of the chats that the run opened, those of entries that were cut short among them.
    #[must_use]
    pub fn chats(&self) -> Chats {
        self.results.iter().map(|result| result.chats).chain([self.unfinished]).sum()
    }

    /// Every entry, with the reason why its departure is expected.
    pub fn entries(&self) -> impl Iterator<Item = (&CaseResult, Option<&str>)> {
        self.results.iter().zip(self.expected.iter().map(Option::as_deref))
    }

    /// What is wrong with the expectations, one line each.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How many entries came to a verdict.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.results.iter().filter(|result| result.verdict == kind).count()
    }

    /// The entries whose verdict nobody expected.
    #[must_use]
    pub fn unexpected(&self) -> Vec<&CaseResult> {
        let is_unexpected = |(result, expected): &(&CaseResult, Option<&str>)| {
            matches!(result.verdict, Kind::Fail | Kind::Deviation) && expected.is_none()
        };
        self.entries().filter(is_unexpected).map(|(result, _)| result).collect()
    }

    /// Whether every entry was left out, so that nothing is known of the peer.
    fn is_empty(&self) -> bool {
        self.results.iter().all(|result| result.verdict == Kind::NotApplicable)
    }

    /// What went wrong, by cause.
    #[must_use]
    pub fn causes(&self) -> Vec<causes::Cause<'_>> {
        causes::causes(self)
    }

    /// The entries that depart as expected.
    #[must_use]
    pub fn departures(&self) -> Vec<(&CaseResult, &str)> {
        self.entries().filter_map(|(result, expected)| Some((result, expected?))).collect()
    }

    /// `101 cases: 93 pass, ...`
    #[must_use]
    pub fn summary(&self) -> String {
        let counts: Vec<String> = Kind::ALL.iter().map(|kind| format!("{} {kind}", self.count(*kind))).collect();
        format!("{} cases: {}", self.results.len(), counts.join(", "))
    }

    /// The exit code, and why.
    #[must_use]
    pub fn exit(&self) -> (Exit, String) {
        let names = |results: &[&CaseResult]| {
            let shown: Vec<String> = results.iter().take(3).map(|result| result.name()).collect();
            let more = if results.len() > 3 { format!(" and {} more", results.len() - 3) } else { String::new() };
            format!("{}{more}", shown.join(", "))
        };
        let (errors, unexpected) = (self.count(Kind::Error), self.unexpected());
        if errors > 0 {
            return (Exit::Fault, counted(errors, "fault of the suite", "faults of the suite"));
        }
        match &self.cut {
            Some(Cut::Interrupted) => return (Exit::Interrupted, "interrupted".to_owned()),
            Some(Cut::Unreachable(says)) => return (Exit::Unreachable, says.clone()),
            None => {}
        }
        if !unexpected.is_empty() {
            let count = counted(unexpected.len(), "verdict that nobody expected", "verdicts that nobody expected");
            // The most elementary first, as they are shown.
            let causes = self.causes();
            let shown = causes.iter().flat_map(|cause| [cause.root].into_iter().chain(cause.same.iter().copied()));
            let first: Vec<&CaseResult> = shown.filter(|result| unexpected.contains(result)).collect();
            let rest = unexpected.iter().copied().filter(|result| !first.contains(result));
            let ordered: Vec<&CaseResult> = first.iter().copied().chain(rest).collect();
            return (Exit::Unexpected, format!("{count}: {}", names(&ordered)));
        }
        if let [first, ..] = self.unsteady.as_slice() {
            let count = counted(self.unsteady.len(), "unsteady verdict", "unsteady verdicts");
            return (Exit::Unexpected, format!("{count}, such as {}: {}", first.name, first.counts()));
        }
        if !self.problems.is_empty() {
            return (Exit::Unexpected, counted(self.problems.len(), "wrong expectation", "wrong expectations"));
        }
        let (blocked, inconclusive) = (self.count(Kind::Blocked), self.count(Kind::Inconclusive));
        if blocked + inconclusive > 0 {
            return (Exit::Incomplete, format!("{blocked} blocked, {inconclusive} inconclusive"));
        }
        if let [first, ..] = self.shortfalls.as_slice() {
            return (Exit::Incomplete, first.clone());
        }
        if self.is_empty() {
            return (Exit::Incomplete, NOTHING.to_owned());
        }
        (Exit::Complete, "complete and as expected".to_owned())
    }

    /// `PASS: complete and as expected (exit 0)`
    #[must_use]
    pub fn last_line(&self) -> String {
        let (exit, reason) = self.exit();
        format!("{}: {reason} (exit {})", exit.word(), exit.code())
    }

    /// What each requirement came to.
    #[must_use]
    pub fn coverage(&self) -> Vec<Coverage> {
        Catalogue::get().requirements().iter().map(|requirement| self.coverage_of(requirement)).collect()
    }

    fn coverage_of(&self, requirement: &'static Requirement) -> Coverage {
        let mut coverage = Coverage { requirement, verdicts: Vec::new(), broken_rules: BTreeMap::new() };
        for result in &self.results {
            let judges = requirement.cases.iter().any(|case| case == result.case.id);
            if judges {
                coverage.verdicts.push((result.name(), verdict_on(result, &requirement.id)));
            }
            let reasons = result.reason.iter().chain(result.consequences.iter().map(|other| &other.reason));
            let broken = reasons.filter(|reason| reason.requirement.as_ref() == Some(&requirement.id));
            for rule in broken.filter_map(|reason| reason.rule).collect::<BTreeSet<_>>() {
                *coverage.broken_rules.entry(rule.to_owned()).or_default() += 1;
            }
        }
        coverage
    }
}

/// What an entry says of a requirement that it judges. What it did not come to is as open as the entry itself, or blocked
/// by what ended it.
fn verdict_on(result: &CaseResult, requirement: &str) -> Kind {
    match (result.clauses.get(requirement), result.verdict) {
        (Some(kind), _) => *kind,
        (None, Kind::NotApplicable | Kind::Blocked | Kind::Inconclusive | Kind::Error) => result.verdict,
        (None, Kind::Pass | Kind::Fail | Kind::Deviation | Kind::Observed) => Kind::Blocked,
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
