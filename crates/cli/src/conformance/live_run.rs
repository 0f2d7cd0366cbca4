//! Runs entries against a real server, several at once. What crosses the wire is redacted before it is judged or kept.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::pending;
use std::ops::ControlFlow;
use std::rc::Rc;

use ::conformance::cases;
use ::conformance::conclude::{CaseResult, conclude};
use ::conformance::run::{Event, Outcome, Run, Settings};
use protocol::time::Time;
use protocol::wire::{Entry, Side};
use recording::capture::{Capture, Config, Source};
use recording::tape::Finish;
use recording::token::Key;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use transport::client::Connections;
use transport::clock::{self, Clock};
use transport::driver;
use transport::fields::Fields;
use transport::route::Route;
use transport::tap::Tap;

use super::progress::Progress;
use super::select::Planned;
use super::silence::Silence;
use crate::live::{self, Stop};

/// The server, and how a client of it gets there.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) settings: Settings,
    pub(super) route: Route,
    pub(super) fields: Fields,
}

/// What one entry came to, and its tape if it ran.
pub(super) struct Done {
    pub(super) result: CaseResult,
    pub(super) tape: Option<Vec<u8>>,
}

/// Runs everything planned; says whether it came to its end. Results stand in the order of the plan.
pub(super) async fn run(
    plan: &[Planned],
    peer: &Peer,
    seed: u64,
    jobs: usize,
    progress: &Progress,
    stop: Stop,
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
    let mut stop = std::pin::pin!(stop.asked());
    let mut done = BTreeMap::new();
    let finished = loop {
        tokio::select! {
            biased;
            () = &mut stop => break false,
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
    let mut witness = match Witness::new(&planned, &clock, &peer.settings, seed) {
        Ok(witness) => witness,
        Err(error) => {
            return Done { result: CaseResult::error(case, transport, &error.to_string()), tape: None };
        }
    };
    let mut machine = Run::new(case, transport, &peer.settings, seed);
    let mut connections = Connections::new(peer.route.clone(), peer.fields.clone());
    driver::run(&mut machine, Side::Client, &clock, &mut connections, &mut witness, pending()).await;
    let Witness { capture, redacted, mut tape, outcome } = witness;
    tape.extend(capture.finish(clock.now(), Finish::Complete));
    let result = match outcome {
        Some(outcome) => conclude(&outcome, &redacted),
        None => CaseResult::error(case, transport, "the run said nothing at its end"),
    };
    silence.borrow_mut().learn(&result);
    Done { result, tape: Some(tape) }
}

/// Looks on: redacts, keeps, and waits for the end.
struct Witness {
    capture: Capture,
    redacted: Vec<Entry>,
    tape: Vec<u8>,
    outcome: Option<Outcome>,
}

impl Witness {
    fn new(planned: &Planned, clock: &Clock, settings: &Settings, seed: u64) -> std::io::Result<Self> {
        let id = u128::from_ne_bytes(clock::random()?);
        let mut env = BTreeMap::from([("transport".to_owned(), planned.entry.transport.to_string())]);
        if let Some(service) = &settings.service {
            env.insert("service".to_owned(), service.clone());
        }
        let (capture, tape) = Capture::new(Config {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git: env!("TAPESTRY_COMMIT").to_owned(),
            start: live::rfc3339(clock.start_utc()),
            id: format!("{id:032x}"),
            key: Key::from_bytes(clock::random()?),
            source: Source::Live,
            scenario: Some(planned.entry.case.id.to_owned()),
            seed: Some(seed),
            env,
        });
        Ok(Self { capture, redacted: Vec::new(), tape, outcome: None })
    }
}

impl Tap<Event> for Witness {
    fn entry(&mut self, entry: &Entry) {
        let redacted = self.capture.redact(entry);
        self.tape.extend(self.capture.redacted(None, &redacted));
        self.redacted.push(redacted.into_inner());
    }

    fn event(&mut self, _: Time, event: Event) -> ControlFlow<()> {
        let Event::Finished(outcome) = event;
        self.outcome = Some(outcome);
        ControlFlow::Break(())
    }
}
