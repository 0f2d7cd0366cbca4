//! What would run, told beforehand.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use ::conformance::actor::Request;
use ::conformance::run::{Agent, Chats, Settings};

use super::limits::{self, Limits};
use super::select::{Entry, Planned};
use super::virtual_run::{self, Rehearsal};

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

/// How much may go on at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many cases.
    pub(super) jobs: usize,
    /// How many chats.
    pub(super) limits: Limits,
}

/// How long each entry takes, how many chats it opens and what it asks of an agent, as seen on a sound simulator in virtual
/// time; and the sum.
pub(super) fn tell(plan: &[Planned], settings: &Settings, bounds: &Bounds) -> String {
    let rehearsed = virtual_run::rehearse(plan, settings);
    let width = plan.iter().map(|planned| planned.name().len()).max().unwrap_or_default();
    let mut text = String::new();
    for (planned, rehearsal) in plan.iter().zip(&rehearsed) {
        let name = planned.name();
        if let Some(why) = planned.entry.not_applicable {
            text.push_str(&format!("{name:width$}  not applicable: {why}\n"));
            continue;
        }
        let agent = if planned.needs_agent() { "  agent" } else { "" };
        let (seconds, opened) = (rehearsal.took.as_secs_f64(), rehearsal.chats.opened);
        let chats = if opened == 1 { "chat " } else { "chats" };
        text.push_str(format!("{name:width$} {seconds:>7.1} s {opened:>2} {chats}{agent}").trim_end());
        text.push('\n');
        if let Agent::Asked { .. } = settings.agent {
            for told in actions(rehearsal) {
                text.push_str(&format!("    asked: {}\n", told.briefing().join("; ")));
            }
        }
    }
    let runs: Vec<_> =
        plan.iter().zip(&rehearsed).filter(|(planned, _)| planned.entry.not_applicable.is_none()).collect();
    let agents = runs.iter().filter(|(planned, _)| planned.needs_agent()).count();
    let chats: Chats = runs.iter().map(|(_, rehearsal)| rehearsal.chats).sum();
    text.push_str(&format!(
        "{} cases: {} run, {agents} with an agent, {} not applicable; {} chats in all, cases at once: {}\n",
        plan.len(),
        runs.len(),
        plan.len() - runs.len(),
        chats.opened,
        bounds.jobs,
    ));
    text.push_str(&limited(&rehearsed, chats, bounds.limits));
    if let Agent::Asked { .. } = settings.agent {
        let actions: usize = rehearsed.iter().map(|rehearsal| actions(rehearsal).count()).sum();
        text.push_str(&format!("the agent is asked {actions} times, for all that one chat needs each time\n"));
    }
    let took = schedule(&rehearsed, bounds);
    text.push_str(&format!(
        "about {} s if the server is as quick as the simulator and holds connects as long as CometD does by itself\n",
        took.as_secs().max(1),
    ));
    text
}

/// What an agent is asked for who is told of all that a chat needs at once.
fn actions(rehearsal: &Rehearsal) -> impl Iterator<Item = &Request> {
    rehearsal.asks.iter().filter(|asked| !asked.is_announced)
}

/// What the limits of chats leave of a plan.
fn limited(rehearsed: &[Rehearsal], chats: Chats, limits: Limits) -> String {
    if limits.is_none() {
        return String::new();
    }
    let blocked = blocked(rehearsed, limits).iter().filter(|is_blocked| **is_blocked).count();
    let rest = match blocked {
        0 => "everything fits".to_owned(),
        1 => format!("1 case will be blocked; {}", limits::allow(chats)),
        _ => format!("{blocked} cases will be blocked; {}", limits::allow(chats)),
    };
    format!("chats allowed: {}; {rest}\n", limits.words())
}

/// Which entries do not fit into the limits.
fn blocked(rehearsed: &[Rehearsal], limits: Limits) -> Vec<bool> {
    let mut left = limits.in_all.unwrap_or(usize::MAX);
    let fits = |rehearsal: &Rehearsal| {
        let rest = left.checked_sub(rehearsal.chats.opened).filter(|_| !limits.forbids(rehearsal.chats));
        left = rest.unwrap_or(left);
        rest.is_none()
    };
    rehearsed.iter().map(fits).collect()
}

/// How long some entries take if each begins as soon as its chats and a job are free.
fn schedule(rehearsed: &[Rehearsal], bounds: &Bounds) -> Duration {
    let is_blocked = blocked(rehearsed, bounds.limits);
    let runs = rehearsed.iter().zip(is_blocked).filter(|(_, is_blocked)| !is_blocked).map(|(rehearsal, _)| rehearsal);
    // Those with chats wait for one another, and keep nobody else waiting.
    let mut runs: Vec<&Rehearsal> = runs.collect();
    if bounds.limits.is_none() {
        // As they go: what may take longest first.
        runs.sort_by_key(|rehearsal| Reverse(rehearsal.took));
    }
    let (with, without): (VecDeque<_>, VecDeque<_>) =
        runs.into_iter().partition(|rehearsal| rehearsal.chats.at_once > 0);
    let mut waiting = [with, without];
    let mut running: Vec<(Duration, usize)> = Vec::new();
    let mut now = Duration::ZERO;
    loop {
        for queue in &mut waiting {
            while let Some(next) = queue.front() {
                let chats: usize = running.iter().map(|(_, chats)| chats).sum();
                let is_free = bounds.limits.at_once.is_none_or(|limit| chats + next.chats.at_once <= limit);
                if running.len() >= bounds.jobs || !is_free {
                    break;
                }
                running.push((now + next.took, next.chats.at_once));
                queue.pop_front();
            }
        }
        let Some(next) = running.iter().map(|(end, _)| *end).min() else { return now };
        now = next;
        running.retain(|(end, _)| *end > now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::select::{self, Choice};
    use super::super::{JOBS_ELSEWHERE, JOBS_ON_LOOPBACK};
    use super::*;

    fn rehearsal(seconds: u64, chats: usize) -> Rehearsal {
        let chats = Chats { opened: chats, ended: chats, at_once: chats };
        Rehearsal { took: Duration::from_secs(seconds), chats, asks: Vec::new() }
    }

    fn took(runs: &[Rehearsal], jobs: usize, limits: Limits) -> u64 {
        schedule(runs, &Bounds { jobs, limits }).as_secs()
    }

    #[test]
    fn runs_overlap_as_far_as_jobs_allow() {
        let runs = [10, 10, 5, 5].map(|seconds| rehearsal(seconds, 0));
        for (jobs, seconds) in [(1, 30), (2, 15), (4, 10)] {
            assert_eq!(took(&runs, jobs, Limits::default()), seconds, "{jobs} jobs");
        }
    }

    #[test]
    fn chats_wait_for_one_another_and_keep_nobody_waiting() {
        let runs = [rehearsal(10, 1), rehearsal(10, 1), rehearsal(15, 0)];
        assert_eq!(took(&runs, 3, Limits { at_once: Some(1), in_all: None }), 20);
        assert_eq!(took(&runs, 3, Limits { at_once: Some(2), in_all: None }), 15);
        assert_eq!(took(&runs, 1, Limits { at_once: Some(1), in_all: Some(1) }), 25, "the second one is blocked");
    }

    fn settings(agent: Agent) -> Settings {
        let service = "customer-support".to_owned();
        let base = simulator::gms::Settings::new(&service).base;
        Settings { base, service: Some(service), agent }
    }

    /// With the time-outs of CometD and GMS: connects held for 30 s, sessions forgotten after 10 s.
    #[test]
    fn the_suite_without_an_agent_takes_three_minutes_at_the_most() {
        let settings = settings(Agent::None);
        let plan = Choice::of_cases(&[]).plan(&settings, &[]).unwrap();
        let rehearsed = virtual_run::rehearse(&plan, &settings);
        let all = Limits { in_all: None, ..Limits::SHARED };
        for (jobs, limits) in
            [(JOBS_ON_LOOPBACK, Limits::default()), (JOBS_ELSEWHERE, Limits::SHARED), (JOBS_ELSEWHERE, all)]
        {
            let seconds = took(&rehearsed, jobs, limits);
            assert!(seconds <= 180, "{seconds} s with {jobs} jobs and {limits:?}");
        }
    }

    #[test]
    fn a_person_acts_twelve_times_at_the_most() {
        let settings = settings(Agent::Asked { within: Duration::from_secs(120) });
        let mut plan = Choice::of_cases(&[]).plan(&settings, &[]).unwrap();
        select::spare_person(&mut plan);
        let rehearsed = virtual_run::rehearse(&plan, &settings);
        let asked: usize = rehearsed.iter().map(|rehearsal| actions(rehearsal).count()).sum();
        assert!((1..=12).contains(&asked), "{asked} actions");
        let silent = plan.iter().zip(&rehearsed).filter(|(planned, _)| planned.needs_agent());
        let silent: Vec<String> = silent
            .filter(|(_, rehearsal)| actions(rehearsal).count() != 1)
            .map(|(planned, _)| planned.name())
            .collect();
        assert!(silent.is_empty(), "not one action each: {silent:?}");
    }
}
