//! Runs entries against a real server, several at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::pending;
use std::rc::Rc;

use ::conformance::cases;
use ::conformance::conclude::CaseResult;
use ::conformance::run::{Run, Settings};
use protocol::wire::Side;
use recording::capture::Source;
use recording::token::Key;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use transport::client::Connections;
use transport::clock::{self, Clock};
use transport::driver;
use transport::fields::Fields;
use transport::route::Route;

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
}

/// Runs everything planned; says whether it came to its end. Results stand in the order of the plan.
pub(super) async fn run(
    plan: &[Planned],
    peer: &Peer,
    seed: u64,
    jobs: usize,
    progress: &Progress,
    stop: &mut Stop,
) -> (Vec<Done>, bool) {
    let permits = Rc::new(Semaphore::new(jobs));
    let silence = Rc::new(RefCell::new(Silence::default()));
    let mut running = JoinSet::new();
    for (place, planned) in plan.iter().copied().enumerate() {
        let (permits, silence, peer) = (Rc::clone(&permits), Rc::clone(&silence), peer.clone());
        running.spawn_local(async move {
            // Nobody closes the semaphore.
            let _permit = permits.acquire().await;
            (place, judge(planned, &peer, seed.wrapping_add(planned.number), &silence).await)
        });
    }
    let mut done = BTreeMap::new();
    let finished = loop {
        tokio::select! {
            biased;
            () = stop.wait() => break false,
            joined = running.join_next() => match joined {
                Some(Ok((place, entry))) => {
                    progress.tell(&entry.result);
                    done.insert(place, entry);
                }
                // A case that panicked has caught it itself; what is left is a fault of the runner.
                Some(Err(_)) => {}
                None => break true,
            }
        }
    };
    if finished {
        for (place, planned) in plan.iter().enumerate() {
            done.entry(place).or_insert_with(|| Done {
                result: CaseResult::error(planned.entry.case, planned.entry.transport, "the runner failed"),
                tape: None,
            });
        }
    }
    (done.into_values().collect(), finished)
}

async fn judge(planned: Planned, peer: &Peer, seed: u64, silence: &RefCell<Silence>) -> Done {
    let cases::Planned { case, transport, not_applicable } = planned.entry;
    if let Some(why) = not_applicable {
        return Done { result: CaseResult::not_applicable(case, transport, why), tape: None };
    }
    if silence.borrow().is_certain(transport) {
        let says = "no case before came to a session or a refusal over this transport: the server says nothing";
        return Done { result: CaseResult::blocked(case, transport, "the handshake", says), tape: None };
    }
    let clock = Clock::start();
    let mark = match mark(&clock) {
        Ok(mark) => mark,
        Err(error) => return Done { result: CaseResult::error(case, transport, &error.to_string()), tape: None },
    };
    let mut witness = Witness::new(&planned, &peer.settings, seed, mark);
    let mut machine = Run::new(case, transport, &peer.settings, seed);
    let mut connections = Connections::new(peer.route.clone(), peer.fields.clone());
    driver::run(&mut machine, Side::Client, &clock, &mut connections, &mut witness, pending()).await;
    let done = witness.conclude(&planned, clock.now());
    silence.borrow_mut().learn(&done.result);
    done
}

/// Draws what nobody can guess.
fn mark(clock: &Clock) -> std::io::Result<Mark> {
    Ok(Mark {
        source: Source::Live,
        start: live::rfc3339(clock.start_utc()),
        id: u128::from_ne_bytes(clock::random()?),
        key: Key::from_bytes(clock::random()?),
    })
}
