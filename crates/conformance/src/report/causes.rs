//! What went wrong, by cause: one fault gives one block, and what follows from it stands under it.
//!
//! An entry follows from another one if its own run shows the other one's requirement to be broken, if that requirement is
//! what it was blocked by, or if the catalogue says that what it judges presupposes it. The most elementary cause comes first.

use std::collections::BTreeSet;

use super::Report;
use crate::conclude::{CaseResult, Reason};
use crate::requirements::{Catalogue, Requirement};
use crate::verdict::Kind;

/// One thing that is wrong or open, and every entry that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause<'a> {
    /// The entry that is shown.
    pub root: &'a CaseResult,
    /// Others in which the same is wrong.
    pub same: Vec<&'a CaseResult>,
    /// Those in which something else is wrong or open because of it.
    pub follows: Vec<&'a CaseResult>,
}

impl Cause<'_> {
    /// The requirement that is broken.
    #[must_use]
    pub fn requirement(&self) -> Option<&'static Requirement> {
        requirement_of(self.root)
    }
}

/// The causes, faults of the suite first, then what nobody expected, then what is open.
pub(super) fn causes(report: &Report) -> Vec<Cause<'_>> {
    let mut wrong = report.unexpected();
    let broken: BTreeSet<&str> = wrong.iter().filter_map(|result| Some(requirement_of(result)?.id.as_str())).collect();
    wrong.sort_by_key(|result| depth(result, &broken));
    let errors = report.results.iter().filter(|result| result.verdict == Kind::Error);
    let open = report.results.iter().filter(|result| matches!(result.verdict, Kind::Inconclusive | Kind::Blocked));
    let mut causes: Vec<Cause<'_>> = Vec::new();
    for result in errors.chain(wrong).chain(open) {
        if let Some(cause) = causes.iter_mut().find(|cause| is_same(cause.root, result)) {
            cause.same.push(result);
        } else if let Some(cause) = causes.iter_mut().find(|cause| follows(result, cause)) {
            cause.follows.push(result);
        } else {
            causes.push(Cause { root: result, same: Vec::new(), follows: Vec::new() });
        }
    }
    causes
}

fn requirement_of(result: &CaseResult) -> Option<&'static Requirement> {
    result.reason.as_ref()?.requirement.as_ref().and_then(|id| Catalogue::get().requirement(id))
}

/// How elementary it is what an entry shows to be broken: what presupposes something else that is broken comes last; what
/// fails a peer comes before what only deviates; what a rule shows in a single message comes before what a case shows, except that the rules about whole shapes only say that
/// something is wrong; and what stands ahead in the catalogue comes before what stands behind.
fn depth(result: &CaseResult, broken: &BTreeSet<&str>) -> (bool, Kind, u8, usize) {
    let Some(requirement) = requirement_of(result) else { return (true, result.verdict, u8::MAX, usize::MAX) };
    let hangs = broken.iter().any(|id| *id != requirement.id && presupposes(requirement, id, &mut BTreeSet::new()));
    let class = match result.reason.as_ref().and_then(|reason| reason.rule) {
        Some(rule) if rule.ends_with("shape") => 2,
        Some(_) => 0,
        None => 1,
    };
    (hangs, result.verdict, class, Catalogue::get().place(&requirement.id))
}

/// Whether two entries are wrong for one cause: the same requirement is broken, the same root blocks, or nothing of that
/// kind is known and the words are the same.
fn is_same(one: &CaseResult, other: &CaseResult) -> bool {
    let (Some(a), Some(b)) = (&one.reason, &other.reason) else { return false };
    let same = match (&a.requirement, &a.root) {
        (Some(_), _) => a.requirement == b.requirement,
        (None, Some(_)) => b.requirement.is_none() && a.root == b.root,
        (None, None) => b.requirement.is_none() && b.root.is_none() && a.observed == b.observed,
    };
    one.verdict == other.verdict && same
}

fn follows(result: &CaseResult, cause: &Cause<'_>) -> bool {
    let Some(broken) = cause.requirement() else { return false };
    let shows_it = result.clauses.get(&broken.id).is_some_and(|kind| *kind == broken.kind_if_broken());
    let blocker = result.reason.as_ref().and_then(Reason::blocker);
    let blocked_by_it = blocker.is_some_and(|blocker| blocker.id == broken.id);
    let presupposes_it =
        requirement_of(result).or(blocker).is_some_and(|other| presupposes(other, &broken.id, &mut BTreeSet::new()));
    broken.kind_if_broken() != Kind::Observed && (shows_it || blocked_by_it || presupposes_it)
}

/// Whether a requirement can hold only if another one does, as the catalogue has it.
fn presupposes(requirement: &Requirement, id: &str, seen: &mut BTreeSet<String>) -> bool {
    requirement.needs.iter().any(|need| {
        need == id
            || (seen.insert(need.clone())
                && Catalogue::get().requirement(need).is_some_and(|next| presupposes(next, id, seen)))
    })
}
