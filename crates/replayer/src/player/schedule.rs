//! When what is due: the rules by which a performance keeps to the order and the times of the tape.

use std::time::Duration;

use protocol::bayeux::client as bayeux;
use protocol::chat::client::Timer;
use protocol::machine::Machine;
use protocol::time::Time;
use protocol::wire::{Exchange, Side};

use super::Player;
use super::carrier::Open;
use crate::score::{Deed, Ending, Granted, Step};

/// How long the client may do nothing while the tape has it send something. Longer than its own time for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What happens next, if nothing comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Step(usize),
    Respond(Exchange),
    /// A plain answer to a connect, for which our client waits and the one on the tape did not.
    LetIn(Exchange),
    Say(usize),
    Upgrade,
}

/// When something is due and where it stands on the tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) at: Time,
    order: usize,
    /// Whether the client did it on the tape, so that it may well do it again by itself.
    pub(super) yields: bool,
    pub(super) act: Act,
}

/// What does not come about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stalled {
    Sent(usize),
    Step(usize),
}

impl Player<'_> {
    pub(super) fn next_act(&self) -> Option<Due> {
        let step = self.ready_step();
        let answers = self.carriers.exchanges.iter().filter_map(|(exchange, open)| self.answer_due(*exchange, open));
        let frames = self.carriers.frames.iter().enumerate().filter_map(|(position, frame)| {
            let at = match frame.connect {
                Some(connect) => self.held_until(connect, frame.at, frame.recorded)?,
                None => frame.at,
            };
            Some(Due { at, order: frame.order, yields: false, act: Act::Say(position) })
        });
        let upgrade = self.carriers.opening.as_ref().and_then(|(_, number, at)| {
            let upgrade = self.score.upgrades.get(*number)?;
            let at = *at + (upgrade.settled - upgrade.at);
            let is_settled = !matches!(upgrade.granted, Granted::Open);
            is_settled.then_some(Due { at, order: upgrade.order, yields: false, act: Act::Upgrade })
        });
        let mut due: Vec<Due> = step.into_iter().chain(answers).chain(frames).chain(upgrade).collect();
        for due in &mut due {
            due.at = due.at.max(self.now);
        }
        due.into_iter().min_by_key(|due| (due.at, due.order))
    }

    /// The first step that can be performed. A delivery that waits for the client may be overtaken by the answer to
    /// something that the client has sent.
    fn ready_step(&self) -> Option<Due> {
        let mut behind = false;
        for (number, step) in
            self.score.steps.iter().enumerate().skip(self.head).filter(|(number, _)| !self.done[*number])
        {
            let at = match &step.deed {
                Deed::Deliver { causes, .. } => match self.delivery_due(step).filter(|_| !behind || !causes.is_empty())
                {
                    Some(at) => at,
                    None => {
                        behind = true;
                        continue;
                    }
                },
                _ if behind => return None,
                Deed::Lose { upgrade, .. } => self.loss_due(step, *upgrade)?,
                Deed::Frame(_) if self.carriers.socket.is_some() => step.at + self.shift,
                Deed::Frame(_) => return None,
                // The application acts on what it has seen.
                _ if self.carriers.exchanges.values().any(|open| !open.deliveries.is_empty()) => return None,
                _ => step.at + self.shift,
            };
            let yields = matches!(step.deed, Deed::Lose { by: Side::Client, .. });
            return Some(Due { at, order: step.order, yields, act: Act::Step(number) });
        }
        None
    }

    /// When a delivery is due; `None` while what led to it has not arrived, or there is nothing to carry it.
    fn delivery_due(&self, step: &Step) -> Option<Time> {
        let Deed::Deliver { causes, via, session, .. } = &step.deed else { return None };
        let carried = match self.carriers.socket {
            Some(_) => true,
            None => self.carriers.exchange_for(*via).is_some(),
        };
        if !carried || self.session < *session {
            return None;
        }
        let mut due = if causes.is_empty() { step.at + self.shift } else { Time::ZERO };
        for cause in causes {
            due = due.max(self.arrived[*cause]? + (step.at - self.score.sent[*cause].at));
        }
        Some(due)
    }

    fn loss_due(&self, step: &Step, upgrade: usize) -> Option<Time> {
        let due = step.at + self.shift;
        match &self.carriers.socket {
            Some(live) if live.upgrade == upgrade => {
                let lived = step.at - self.score.upgrades[upgrade].settled;
                Some(due.max(live.since + lived))
            }
            // The client has gone on to the next one, or will never have as many.
            Some(_) => Some(due),
            None if self.carriers.upgrades > upgrade && self.carriers.opening.is_none() => Some(due),
            None => None,
        }
    }

    /// When an exchange is due to be answered as on the tape.
    fn answer_due(&self, exchange: Exchange, open: &Open) -> Option<Due> {
        let (mut at, mut order, mut yields) = (Time::ZERO, 0, false);
        for asked in &open.asked {
            let (due, place) = match (&asked.own, asked.sent) {
                (Some(_), _) => (asked.at, 0),
                (None, Some(sent)) => {
                    let sent = &self.score.sent[sent];
                    let (ended, order, ending) = sent.ending.as_ref()?;
                    yields |= matches!(ending, Ending::Broken(Side::Client, _));
                    (asked.at + (*ended - sent.at), *order)
                }
                (None, None) => return None,
            };
            (at, order) = (at.max(due), order.max(place));
        }
        if open.is_connect() {
            let asked = open.asked.iter().filter_map(|asked| asked.sent);
            let riders = asked.filter_map(|sent| self.riders.get(&sent)).flatten();
            let mut riders = riders.filter(|step| !self.done[**step]).map(|step| &self.score.steps[*step]);
            // What it carries on the tape it waits for, unless that in turn waits for what it carries already.
            let waits = |step: &Step| open.deliveries.is_empty() || self.delivery_due(step).is_some();
            if riders.any(waits) {
                let at = self.now;
                return self.holds_up(open).then_some(Due { at, order, yields: false, act: Act::LetIn(exchange) });
            }
            let connect = open.asked.iter().find_map(|asked| asked.sent);
            at = match connect.filter(|_| open.deliveries.is_empty()) {
                Some(connect) => {
                    let recorded = self.score.sent[connect].ending.as_ref().map_or(Time::ZERO, |(at, ..)| *at);
                    self.held_until(connect, at, recorded)?
                }
                None => self.now,
            };
        }
        Some(Due { at, order, yields, act: Act::Respond(exchange) })
    }

    /// Whether a connect waits for the client and the client for it: on the tape it carries what a message led to that was
    /// sent before it, and our client sends none before it is connected.
    fn holds_up(&self, open: &Open) -> bool {
        let is_held_up = |number: usize| {
            let sent = &self.score.sent[number];
            let riders = self.riders.get(&number).into_iter().flatten().map(|step| &self.score.steps[*step]);
            let mut causes = riders.flat_map(|step| match &step.deed {
                Deed::Deliver { causes, .. } => causes.as_slice(),
                _ => &[],
            });
            sent.is_plain()
                && causes.any(|cause| self.arrived[*cause].is_none() && self.score.sent[*cause].order < sent.order)
        };
        !self.client.bayeux().is_connected() && open.asked.iter().filter_map(|asked| asked.sent).any(is_held_up)
    }

    /// When a held connect is answered that would be at `at` if it were held for as long as on the tape. `None` if it was
    /// held until the client left, and that is yet to come.
    fn held_until(&self, connect: usize, at: Time, recorded: Time) -> Option<Time> {
        let sent = &self.score.sent[connect];
        let left = self
            .leaves
            .iter()
            .map(|number| (*number, &self.score.sent[*number]))
            .find(|(_, leave)| leave.session == sent.session && leave.order > sent.order && leave.at <= recorded);
        match left {
            Some((number, leave)) => Some(self.arrived[number]? + (recorded - leave.at)),
            None if sent.is_plain() => Some(self.carriers.let_go(at)),
            // News of the session comes when it came.
            None => Some(self.carriers.let_go(at.max(recorded + self.shift))),
        }
    }

    /// What the client ought to have sent, or the step that nothing leads to, and until when it is waited for.
    pub(super) fn stall(&self) -> Option<(Time, Stalled)> {
        let closed = self.client.is_closed();
        let waits_to_retry = matches!(
            self.client.deadline(),
            Some((_, Timer::Bayeux(bayeux::Timer::Handshake | bayeux::Timer::Connect) | Timer::Unavailable))
        );
        if waits_to_retry && !closed {
            return None;
        }
        let head = self.score.steps.get(self.head);
        let reached = head.map_or(usize::MAX, |step| step.order);
        let overdue = self.score.sent.get(self.missing).filter(|sent| sent.order < reached);
        let is_blocked = || self.ready_step().is_none();
        let (since, stalled) = match (overdue, head) {
            (Some(sent), _) => (self.progress.max(sent.at + self.shift), Stalled::Sent(self.missing)),
            (None, Some(_)) if is_blocked() => (self.progress, Stalled::Step(self.head)),
            (None, Some(_) | None) => return None,
        };
        Some((if closed { self.now } else { (since + PATIENCE).max(self.now) }, stalled))
    }
}
