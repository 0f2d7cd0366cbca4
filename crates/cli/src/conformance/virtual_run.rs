//! Runs entries against simulators in virtual time: no socket, no waiting, and the same seed gives the same bytes.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ::conformance::actor::Request;
use ::conformance::cases;
use ::conformance::conclude::CaseResult;
use ::conformance::run::{Event, Outcome, Run, Settings};
use protocol::time::Time;
use recording::capture::Source;
use recording::token::Key;
use simulator::control;
use simulator::gms::{self, Gms};
use simulator::link::Network;
use simulator::pair::Pair;
use transport::tap::Tap;

use super::select::Planned;
use super::witness::{Done, Mark, Witness};
use crate::live;

/// Runs everything planned, each entry against a simulator of its own. Results stand in the order of the plan.
pub(super) fn run(plan: &[Planned], settings: &Settings, seed: u64) -> Vec<Done> {
    let failed = |planned: &Planned| Done {
        result: CaseResult::error(planned.entry.case, planned.entry.transport, "the runner failed"),
        tape: None,
    };
    let done = each(plan, |planned| judge(planned, settings, seed.wrapping_add(planned.number)));
    done.into_iter().zip(plan).map(|(done, planned)| done.unwrap_or_else(|| failed(planned))).collect()
}

/// What an entry takes.
#[derive(Clone, Copy, Default)]
pub(super) struct Rehearsal {
    pub(super) took: Duration,
    pub(super) chats: usize,
}

/// Tries what each entry takes. What does not apply takes nothing.
pub(super) fn rehearse(plan: &[Planned], settings: &Settings) -> Vec<Rehearsal> {
    let rehearse = |planned: &Planned| {
        if planned.entry.not_applicable.is_some() {
            return Rehearsal::default();
        }
        let (pair, outcome) = drive(planned, settings, 0, |_, _| {});
        Rehearsal { took: pair.now().since(Time::ZERO), chats: outcome.map_or(0, |outcome| outcome.chats.opened) }
    };
    each(plan, rehearse).into_iter().map(Option::unwrap_or_default).collect()
}

/// Does something with each entry, on as many threads as there are processors; `None` where it panicked.
fn each<T: Send>(plan: &[Planned], work: impl Fn(&Planned) -> T + Sync) -> Vec<Option<T>> {
    let next = AtomicUsize::new(0);
    let places = || std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < plan.len()));
    let worker = || places().map(|at| (at, work(&plan[at]))).collect::<Vec<_>>();
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut done: BTreeMap<usize, T> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    });
    (0..plan.len()).map(|at| done.remove(&at)).collect()
}

fn judge(planned: &Planned, settings: &Settings, seed: u64) -> Done {
    let cases::Planned { case, transport, not_applicable } = planned.entry;
    if let Some(why) = not_applicable {
        return Done { result: CaseResult::not_applicable(case, transport, why), tape: None };
    }
    let start = live::rfc3339(simulated(settings).start_utc);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mark = Mark { source: Source::Sim, start, id: u128::from(seed), key: Key::from_bytes(key), embedded: true };
    let mut witness = Witness::new(planned, settings, seed, mark);
    let mut asked: Vec<(usize, Time, Event)> = Vec::new();
    let (pair, outcome) = drive(planned, settings, seed, |pair, request| {
        asked.push((pair.entries().len(), pair.now(), Event::Asked(request.clone())));
    });
    let mut asked = asked.into_iter().peekable();
    for (place, entry) in pair.entries().iter().enumerate() {
        while let Some((_, at, event)) = asked.next_if(|(before, ..)| *before <= place) {
            let _ = witness.event(at, event);
        }
        witness.entry(entry);
    }
    let ended = outcome.map(|outcome| (0, pair.now(), Event::Finished(outcome)));
    for (_, at, event) in asked.chain(ended) {
        let _ = witness.event(at, event);
    }
    witness.conclude(pair.now())
}

/// Lets a case run against a simulator, whose agent does what the case asks, which `asked` is told. One that does not come to
/// its end says nothing.
fn drive(
    planned: &Planned,
    settings: &Settings,
    seed: u64,
    mut asked: impl FnMut(&Pair<Run, Gms>, &Request),
) -> (Pair<Run, Gms>, Option<Outcome>) {
    let cases::Planned { case, transport, .. } = planned.entry;
    let run = Run::new(case, transport, settings, seed);
    let mut pair = Pair::new(run, Gms::new(simulated(settings), seed), Network::default(), seed);
    let limit = Time::ZERO + case.at_most * 2;
    loop {
        let told = pair.drive_until(limit, |pair| pair.client.is_finished() || !pair.client_events.is_empty());
        match pair.client_events.pop_front() {
            Some((_, Event::Asked(request))) if told == Ok(true) => {
                asked(&pair, &request);
                // Whether it was done is told by the wire.
                let now = pair.now();
                let _ = control::answer(&mut pair.server, now, &request.to_control());
            }
            Some((_, Event::Finished(outcome))) => return (pair, Some(outcome)),
            Some((_, Event::Asked(_))) | None => return (pair, None),
        }
    }
}

fn simulated(settings: &Settings) -> gms::Settings {
    gms::Settings { base: settings.base.clone(), ..gms::Settings::new(settings.service.as_deref().unwrap_or_default()) }
}
