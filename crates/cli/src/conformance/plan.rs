//! What would run, told beforehand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use ::conformance::cases::Needs;
use ::conformance::run::Settings;

use super::select::{Entry, Planned};
use super::virtual_run;

/// Each entry with its tags and what it judges, in the order in which they run.
pub(super) fn list<E: Entry>(plan: &[E]) -> String {
    let name = |entry: &E| entry.names().into_iter().next().unwrap_or_default();
    let width = plan.iter().map(|entry| name(entry).len()).max().unwrap_or_default();
    let line = |entry: &E| {
        let case = entry.case();
        let ids: Vec<&str> = case.requirements().iter().map(|requirement| requirement.id.as_str()).collect();
        format!("{:width$}  {:<16} {}\n", name(entry), case.tags().join(" "), ids.join(" "))
    };
    plan.iter().map(line).collect()
}

/// How long each entry takes and how many chats it opens, as seen on a sound simulator in virtual time; and the sum.
pub(super) fn tell(plan: &[Planned], settings: &Settings, jobs: usize) -> String {
    let rehearsed = virtual_run::rehearse(plan, settings);
    let width = plan.iter().map(|planned| planned.name().len()).max().unwrap_or_default();
    let mut text = String::new();
    for (planned, rehearsal) in plan.iter().zip(&rehearsed) {
        let name = planned.name();
        if let Some(why) = planned.entry.not_applicable {
            text.push_str(&format!("{name:width$}  not applicable: {why}\n"));
            continue;
        }
        let agent = if needs_agent(planned) { "  agent" } else { "" };
        let seconds = rehearsal.took.as_secs_f64();
        text.push_str(&format!("{name:width$} {seconds:>7.1} s {:>2} chats{agent}\n", rehearsal.chats));
    }
    let runs: Vec<_> =
        plan.iter().zip(&rehearsed).filter(|(planned, _)| planned.entry.not_applicable.is_none()).collect();
    let agents = runs.iter().filter(|(planned, _)| needs_agent(planned)).count();
    let chats: usize = runs.iter().map(|(_, rehearsal)| rehearsal.chats).sum();
    let took = with_jobs(runs.iter().map(|(_, rehearsal)| rehearsal.took), jobs);
    text.push_str(&format!(
        "{} cases: {} run, {} with an agent, {} not applicable; {chats} chats in all, cases at once: {jobs}\n\
         about {} s if the server is as quick as the simulator and holds connects as long as CometD does by itself\n",
        plan.len(),
        runs.len(),
        agents,
        plan.len() - runs.len(),
        took.as_secs().max(1),
    ));
    text
}

fn needs_agent(planned: &Planned) -> bool {
    matches!(planned.entry.case.needs, Needs::Agent | Needs::Asked)
}

/// How long some runs take if so many go at once and each begins as soon as another ends.
fn with_jobs(runs: impl Iterator<Item = Duration>, jobs: usize) -> Duration {
    let mut free: BinaryHeap<Reverse<Duration>> = (0..jobs.max(1)).map(|_| Reverse(Duration::ZERO)).collect();
    for took in runs {
        let Reverse(at) = free.pop().unwrap_or_default();
        free.push(Reverse(at + took));
    }
    free.into_iter().map(|Reverse(at)| at).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_overlap_as_far_as_jobs_allow() {
        let runs = [10, 10, 5, 5].map(Duration::from_secs);
        for (jobs, seconds) in [(1, 30), (2, 15), (4, 10)] {
            assert_eq!(with_jobs(runs.into_iter(), jobs), Duration::from_secs(seconds), "{jobs} jobs");
        }
    }
}
