//! Keeps account of visits: what the client's user is asked for, what each came to, and its tape.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use ::conformance::clients::visit::{Event, Visited};
use ::conformance::clients::{Settings, Step};
use ::conformance::testimony::{Label, Testimony};
use anyhow::Context;
use protocol::time::Time;
use protocol::wire::Entry;
use recording::capture::Source;
use recording::token::Key;
use transport::clock::{self, Clock};
use transport::tap::Tap;

use super::Planned;
use crate::conformance::journal::Journal;
use crate::conformance::progress::Progress;
use crate::conformance::witness::Done;
use crate::exit::Failure;
use crate::live;

/// What is known of each scenario of a run.
pub(super) struct Desk {
    plan: Vec<Planned>,
    journal: Arc<Journal>,
    progress: Progress,
    seed: u64,
    /// What the client finds in each scenario.
    settings: Vec<Settings>,
    start: String,
    /// One key and one id for each tape, drawn ahead.
    keys: Vec<([u8; 32], [u8; 16])>,
    begun: Vec<bool>,
    done: BTreeSet<usize>,
    /// Whether whatever ends was cut short.
    is_cut: bool,
    asks: Vec<(usize, Step)>,
    /// What was asked for in each scenario, and why some were given up.
    asked: BTreeMap<usize, Vec<(Time, Step)>>,
    given_up: BTreeMap<usize, (Time, String)>,
    last_heard: Time,
}

impl Desk {
    pub(super) fn new(
        plan: &[Planned],
        (journal, progress): (Arc<Journal>, Progress),
        seed: u64,
        settings: Vec<Settings>,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let draw = || -> std::io::Result<([u8; 32], [u8; 16])> { Ok((clock::random()?, clock::random()?)) };
        let keys = plan.iter().map(|_| draw()).collect::<Result<_, _>>();
        Ok(Self {
            plan: plan.to_vec(),
            journal,
            progress,
            seed,
            settings,
            start: live::rfc3339(clock.start_utc()),
            keys: keys.context("failed to draw keys").map_err(Failure::internal)?,
            begun: vec![false; plan.len()],
            done: BTreeSet::new(),
            is_cut: false,
            asks: Vec::new(),
            asked: BTreeMap::new(),
            given_up: BTreeMap::new(),
            last_heard: Time::ZERO,
        })
    }

    /// Whether a client has come to a scenario.
    pub(super) fn has_begun(&self, place: usize) -> bool {
        self.begun.get(place).copied().unwrap_or_default()
    }

    /// Whether a scenario is over.
    pub(super) fn is_done(&self, place: usize) -> bool {
        self.done.contains(&place)
    }

    /// Whether all of them are.
    pub(super) fn is_complete(&self) -> bool {
        self.done.len() == self.plan.len()
    }

    /// Whether any client came at all.
    pub(super) fn came(&self) -> bool {
        self.begun.contains(&true)
    }

    /// When something was heard of a client last.
    pub(super) const fn last_heard(&self) -> Time {
        self.last_heard
    }

    /// What the users of clients are to do.
    pub(super) fn take_asks(&mut self) -> Vec<(usize, Step)> {
        std::mem::take(&mut self.asks)
    }

    /// Tells nothing more.
    pub(super) fn end(&self) {
        self.progress.end();
    }

    /// Notes that what has not ended so far is cut short.
    pub(super) const fn cut_short(&mut self) {
        self.is_cut = true;
    }

    /// Notes that a scenario is given up, and why.
    pub(super) fn give_up(&mut self, now: Time, place: usize, says: &str) {
        self.given_up.insert(place, (now, says.to_owned()));
    }

    /// Redacts what crossed the wire, and judges it.
    fn conclude(&mut self, now: Time, place: usize, visited: Visited) {
        let (Some(planned), Some((key, id))) = (self.plan.get(place), self.keys.get(place)) else { return };
        let Some(settings) = self.settings.get(place) else { return };
        let label = Label {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git: env!("TAPESTRY_COMMIT").to_owned(),
            source: Source::Live,
            start: self.start.clone(),
            id: format!("{:032x}", u128::from_ne_bytes(*id)),
            key: Key::from_bytes(*key),
            embedded: false,
        };
        let seed = self.seed.wrapping_add(planned.number);
        let mut testimony = Testimony::of_client(planned.case, visited.outcome.transport, settings, seed, label);
        let has_crossed = !visited.entries.is_empty();
        let (asked, given_up) = (self.asked.remove(&place).unwrap_or_default(), self.given_up.remove(&place));
        testimony.take(visited, &asked, given_up.as_ref().map(|(at, says)| (*at, says.as_str())));
        if self.is_cut {
            let (result, tape) = testimony.cut_short(now);
            self.journal.cut_short(Done { result, tape: has_crossed.then_some(tape) });
            return;
        }
        let (result, tape) = testimony.conclude(now);
        self.progress.tell(&result);
        self.journal.enter(place, Done { result, tape: has_crossed.then_some(tape) });
        self.done.insert(place);
    }
}

impl Tap<(usize, Event)> for Desk {
    fn entry(&mut self, entry: &Entry) {
        self.last_heard = self.last_heard.max(entry.at);
    }

    fn event(&mut self, now: Time, (place, event): (usize, Event)) -> ControlFlow<()> {
        match event {
            Event::Begun => {
                if let Some(begun) = self.begun.get_mut(place) {
                    *begun = true;
                }
            }
            Event::Asks(step) => {
                self.asks.push((place, step));
                self.asked.entry(place).or_default().push((now, step));
            }
            Event::Finished(visited) => self.conclude(now, place, *visited),
        }
        ControlFlow::Break(())
    }
}
