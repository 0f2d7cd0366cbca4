//! Runs entries against simulators in virtual time: no socket, no waiting, and the same seed gives the same bytes.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ::conformance::actor::Request;
use ::conformance::cases;
use ::conformance::conclude::CaseResult;
use ::conformance::run::{Chats, Event, Outcome, Run, Settings};
use protocol::time::Time;
use recording::capture::Source;
use recording::token::Key;
use simulator::gms;
use simulator::link::Network;
use simulator::mutation::Mutation;
use simulator::pair::Pair;
use transport::tap::Tap;

use super::journal::Journal;
use super::select::Planned;
use super::witness::{Done, Mark, Witness};
use crate::live;
use crate::serve::Served;

/// Runs everything planned, each entry against a simulator of its own, and enters what each came to. Gives whether all of
/// them ran: once it is cut, none is begun.
pub(super) fn run(plan: &[Planned], settings: &Settings, seed: u64, journal: &Journal, is_cut: &AtomicBool) -> bool {
    let ran = each(plan, is_cut, |place, planned| {
        let seed = seed.wrapping_add(planned.number);
        journal.enter(place, judge(planned, settings, Served::new(simulated(settings), None, seed), seed));
    });
    for (place, _) in ran.into_iter().filter(|(_, ran)| ran.is_none()) {
        let cases::Planned { case, transport, .. } = plan[place].entry;
        journal.enter(place, Done { result: CaseResult::error(case, transport, "the runner failed"), tape: None });
    }
    !is_cut.load(Ordering::Relaxed)
}

/// What an entry takes.
#[derive(Clone, Default)]
pub(super) struct Rehearsal {
    pub(super) took: Duration,
    pub(super) chats: Chats,
    /// What an agent is asked for.
    pub(super) asks: Vec<Request>,
}

/// Tries what each entry takes. What does not apply takes nothing.
pub(super) fn rehearse(plan: &[Planned], settings: &Settings) -> Vec<Rehearsal> {
    let rehearse = |_, planned: &Planned| {
        if planned.entry.not_applicable.is_some() {
            return Rehearsal::default();
        }
        let Driven { pair, outcome, asks } = drive(planned, settings, Served::new(simulated(settings), None, 0), 0);
        let chats = outcome.map(|outcome| outcome.chats).unwrap_or_default();
        let asks = asks.into_iter().map(|asked| asked.request).collect();
        Rehearsal { took: pair.now().since(Time::ZERO), chats, asks }
    };
    each(plan, &AtomicBool::new(false), rehearse).into_values().map(Option::unwrap_or_default).collect()
}

/// Does something with each entry and its place, on as many threads as there are processors, until it is cut. What it gave
/// for each that was begun; `None` where it panicked.
fn each<T: Send>(
    plan: &[Planned],
    is_cut: &AtomicBool,
    work: impl Fn(usize, &Planned) -> T + Sync,
) -> BTreeMap<usize, Option<T>> {
    let next = AtomicUsize::new(0);
    let is_there = |at: &usize| *at < plan.len() && !is_cut.load(Ordering::Relaxed);
    let places = || std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(is_there));
    // What an entry leaves behind when it panics is looked at by nobody.
    let one = |at: usize| catch_unwind(AssertUnwindSafe(|| work(at, &plan[at]))).ok();
    let worker = || places().map(|at| (at, one(at))).collect::<Vec<_>>();
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        running.into_iter().filter_map(|worker| worker.join().ok()).flatten().collect()
    })
}

/// What an entry comes to against a simulator with a mutation, and against one without. Nothing is off that it could judge.
pub(crate) fn try_mutation(entry: cases::Planned, settings: &Settings, mutation: Option<&Mutation>) -> CaseResult {
    let mut simulated = simulated(settings);
    simulated.dialect.options.extensions.ack = true;
    // To go beyond the usual size would only take time.
    simulated.gms.files.max_file_size = 1_000;
    let server = Served::new(simulated, mutation, 0);
    judge(&Planned { number: 0, entry }, settings, server, 0).result
}

fn judge(planned: &Planned, settings: &Settings, server: Served, seed: u64) -> Done {
    let cases::Planned { case, transport, not_applicable } = planned.entry;
    if let Some(why) = not_applicable {
        return Done { result: CaseResult::not_applicable(case, transport, why), tape: None };
    }
    let start = live::rfc3339(simulated(settings).start_utc);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mark = Mark { source: Source::Sim, start, id: u128::from(seed), key: Key::from_bytes(key), embedded: true };
    let mut witness = Witness::new(planned, settings, seed, mark);
    let Driven { pair, outcome, asks } = drive(planned, settings, server, seed);
    let mut asks = asks.into_iter().peekable();
    for (place, entry) in pair.entries().iter().enumerate() {
        while let Some(asked) = asks.next_if(|asked| asked.entries <= place) {
            let _ = witness.event(asked.at, Event::Asked(asked.request));
        }
        witness.entry(entry);
    }
    for asked in asks {
        let _ = witness.event(asked.at, Event::Asked(asked.request));
    }
    if let Some(outcome) = outcome {
        let _ = witness.event(pair.now(), Event::Finished(outcome));
    }
    witness.conclude(pair.now())
}

/// A case that ran, as far as it came.
struct Driven {
    pair: Pair<Run, Served>,
    /// What it came to; one that does not come to its end says nothing.
    outcome: Option<Outcome>,
    /// What it asked of an agent.
    asks: Vec<Asked>,
}

/// What an agent was asked for.
struct Asked {
    request: Request,
    at: Time,
    /// How many entries there were before it.
    entries: usize,
}

/// Lets a case run against a simulator, whose agent does what the case asks.
fn drive(planned: &Planned, settings: &Settings, server: Served, seed: u64) -> Driven {
    let cases::Planned { case, transport, .. } = planned.entry;
    let run = Run::new(case, transport, settings, seed);
    let mut pair = Pair::new(run, server, Network::default(), seed);
    let limit = Time::ZERO + case.at_most * 2;
    let mut asks = Vec::new();
    loop {
        let told = pair.drive_until(limit, |pair| pair.client.is_finished() || !pair.client_events.is_empty());
        match pair.client_events.pop_front() {
            Some((_, Event::Asked(request))) if told == Ok(true) => {
                // Whether it was done is told by the wire.
                let at = pair.now();
                asks.push(Asked { at, entries: pair.entries().len(), request: request.clone() });
                let _ = pair.server.answer(at, &request.to_control());
            }
            Some((_, Event::Finished(outcome))) => return Driven { pair, outcome: Some(outcome), asks },
            Some((_, Event::Asked(_))) | None => return Driven { pair, outcome: None, asks },
        }
    }
}

fn simulated(settings: &Settings) -> gms::Settings {
    gms::Settings { base: settings.base.clone(), ..gms::Settings::new(settings.service.as_deref().unwrap_or_default()) }
}
