//! Runs entries against a real server, several at once.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::conformance::cases;
use ::conformance::conclude::CaseResult;
use ::conformance::run::{Chats, Run, Settings};
use ::conformance::verdict::AGENT_ROOT;
use protocol::wire::Side;
use recording::capture::Source;
use recording::token::Key;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use transport::client::Connections;
use transport::clock::{self, Clock};
use transport::driver;
use transport::fields::Fields;
use transport::route::Route;

use super::absence::Absence;
use super::actor::Actor;
use super::journal::Journal;
use super::limits::{self, Allowance};
use super::progress::Progress;
use super::select::Planned;
use super::silence::Silence;
use super::witness::{Done, Mark, Witness};
use crate::live::{self, Stop};

/// The server, and how a client of it gets there.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) settings: Settings,
    pub(super) route: Route,
    pub(super) fields: Fields,
    pub(super) actor: Actor,
    /// Why no agent will come, if that is known.
    pub(super) absent: Option<String>,
    /// Whether it is the embedded simulator.
    pub(super) embedded: bool,
}

/// What a run came to.
pub(super) struct Ran {
    /// Whether it was cut short.
    pub(super) is_cut: bool,
    /// What to do about entries that did not fit into the limits.
    pub(super) hint: Option<String>,
}

/// What the entries of a run share.
struct Learned {
    /// Since the run began.
    clock: Clock,
    silence: Silence,
    absence: Absence,
}

/// How much of a run may go on at the same time.
pub(super) struct Pace {
    /// How many cases.
    pub(super) jobs: usize,
    /// How many chats, and how many of them are left.
    pub(super) allowance: Rc<Allowance>,
    /// The chats that each entry of the plan opens.
    pub(super) needs: Vec<Chats>,
}

/// Runs everything planned. When it is asked to stop, every case under way ends its chats and leaves its sessions; when it is
/// asked again, it stops at once. What an entry came to is entered as soon as it is over.
pub(super) async fn run(
    plan: &[Planned],
    peer: &Peer,
    seed: u64,
    pace: &Pace,
    (journal, progress): (&Arc<Journal>, &Progress),
    stop: &mut Stop,
) -> Ran {
    let permits = Rc::new(Semaphore::new(pace.jobs));
    let learned = Rc::new(RefCell::new(Learned {
        clock: Clock::start(),
        silence: Silence::default(),
        absence: Absence::default(),
    }));
    let (cut, is_cut) = watch::channel(false);
    let mut running = JoinSet::new();
    let is_alone = |planned: &Planned| {
        planned.entry.not_applicable.is_none()
            && (planned.entry.case.hears_others || (peer.actor.is_person() && planned.needs_agent()))
    };
    let mut order: Vec<(usize, Planned)> = plan.iter().copied().enumerate().collect();
    // A person is asked for everything at the beginning, and need not sit through the rest. What else must be alone keeps
    // nobody waiting there.
    // What may take longest goes first, unless chats are counted: then they are given out in the order of the plan.
    let counted = !pace.needs.is_empty();
    let may_take = |planned: &Planned| if counted { Duration::ZERO } else { planned.entry.case.at_most };
    order.sort_by_key(|(_, planned)| (!is_alone(planned), Reverse(may_take(planned))));
    for (place, planned) in order {
        let (permits, learned, peer, is_cut) = (Rc::clone(&permits), Rc::clone(&learned), peer.clone(), is_cut.clone());
        let (allowance, needs) = (Rc::clone(&pace.allowance), pace.needs.get(place).copied().unwrap_or_default());
        let journal = Arc::clone(journal);
        let wanted = if is_alone(&planned) { u32::try_from(pace.jobs).unwrap_or(u32::MAX) } else { 1 };
        running.spawn_local(async move {
            // First the chats: what waits for one keeps nobody from doing without.
            let allowed = match allowance.take(&planned, needs).await {
                Ok(allowed) => allowed,
                Err(result) => return Some((place, enter(&journal, place, Done { result: *result, tape: None }))),
            };
            // Nobody closes the semaphore.
            let permit = permits.acquire_many(wanted).await;
            // After an interrupt nothing is begun that would need to know.
            let done = judge(planned, &peer, seed.wrapping_add(planned.number), &learned, is_cut, &journal).await?;
            allowance.settle(needs, done.result.chats);
            drop((permit, allowed));
            Some((place, enter(&journal, place, done)))
        });
    }
    let sum = pace.needs.iter().copied().sum();
    let (mut done, mut hint, mut is_stopping) = (BTreeSet::new(), None, false);
    loop {
        tokio::select! {
            biased;
            () = stop.wait() => {
                is_stopping = true;
                if cut.send_replace(true) {
                    // What is under way leaves its tape as it goes.
                    running.shutdown().await;
                    break;
                }
            }
            joined = running.join_next() => match joined {
                Some(Ok(Some((place, result)))) => {
                    progress.tell(&result);
                    hint = hint.or_else(|| limits::remedy([&result].into_iter(), sum));
                    done.insert(place);
                }
                // Cut short. And a case that panicked has caught it itself; what is left is a fault of the runner.
                Some(Ok(None) | Err(_)) => {}
                None => break,
            }
        }
    }
    if !is_stopping {
        for (place, planned) in plan.iter().enumerate().filter(|(place, _)| !done.contains(place)) {
            let result = CaseResult::error(planned.entry.case, planned.entry.transport, "the runner failed");
            journal.enter(place, Done { result, tape: None });
        }
    }
    Ran { is_cut: is_stopping, hint }
}

/// Enters what an entry came to, and gives it.
fn enter(journal: &Journal, place: usize, done: Done) -> CaseResult {
    let result = done.result.clone();
    journal.enter(place, done);
    result
}

/// What an entry came to; nothing if the run was cut short meanwhile, or before it began.
async fn judge(
    planned: Planned,
    peer: &Peer,
    seed: u64,
    learned: &RefCell<Learned>,
    mut is_cut: watch::Receiver<bool>,
    journal: &Arc<Journal>,
) -> Option<Done> {
    let cases::Planned { case, transport, not_applicable } = planned.entry;
    let unrun = |result: CaseResult| Some(Done { result, tape: None });
    if *is_cut.borrow() {
        return None;
    }
    if let Some(why) = not_applicable {
        return unrun(CaseResult::not_applicable(case, transport, why));
    }
    let is_mute = {
        let learned = learned.borrow();
        learned.silence.is_certain(transport, learned.clock.now())
    };
    if is_mute {
        let says = "the cases before came to no session and to no refusal over this transport: the server says nothing";
        return unrun(CaseResult::blocked(case, transport, "the handshake", says));
    }
    let needs_agent = planned.needs_agent();
    if let Some(why) = peer.absent.as_ref().filter(|_| needs_agent) {
        return unrun(CaseResult::blocked(case, transport, AGENT_ROOT, why));
    }
    if needs_agent && learned.borrow().absence.is_certain() {
        let says = "the agent has not joined in the cases before";
        return unrun(CaseResult::blocked(case, transport, AGENT_ROOT, says));
    }
    let clock = Clock::start();
    let mark = match mark(&clock, peer.embedded) {
        Ok(mark) => mark,
        Err(error) => return unrun(CaseResult::error(case, transport, &error.to_string())),
    };
    let (asks, requests) = mpsc::unbounded_channel();
    let mut witness = Witness::new(&planned, &peer.settings, seed, mark).asking(asks).reporting_to(Arc::clone(journal));
    let mut machine = Run::new(case, transport, &peer.settings, seed);
    let mut connections = Connections::new(peer.route.clone(), peer.fields.clone());
    let mut acting = JoinSet::new();
    acting.spawn_local(peer.actor.clone().act(requests));
    let cut = async {
        // Without a sender nobody cuts anything any more.
        if is_cut.wait_for(|is_cut| *is_cut).await.is_err() {
            pending::<()>().await;
        }
    };
    let ended = driver::run(&mut machine, Side::Client, &clock, &mut connections, &mut witness, cut).await;
    if ended == driver::Ended::Stopped {
        machine.cut_short(clock.now());
        if !machine.is_finished() || witness.outcome().is_none() {
            driver::run(&mut machine, Side::Client, &clock, &mut connections, &mut witness, pending()).await;
        }
        return None;
    }
    let done = witness.conclude(clock.now());
    let mut learned = learned.borrow_mut();
    let now = learned.clock.now();
    learned.silence.learn(&done.result, now);
    if needs_agent {
        learned.absence.learn(&done.result);
    }
    Some(done)
}

/// Draws what nobody can guess.
fn mark(clock: &Clock, embedded: bool) -> std::io::Result<Mark> {
    Ok(Mark {
        source: Source::Live,
        start: live::rfc3339(clock.start_utc()),
        id: u128::from_ne_bytes(clock::random()?),
        key: Key::from_bytes(clock::random()?),
        embedded,
    })
}
