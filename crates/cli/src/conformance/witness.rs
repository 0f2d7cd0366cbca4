//! Looks on while a case runs: hands on what it asks of an agent, and keeps what it comes to.

use std::ops::ControlFlow;
use std::sync::Arc;

use ::conformance::actor::Request;
use ::conformance::conclude::CaseResult;
use ::conformance::run::{Event, Outcome, Settings};
use ::conformance::testimony::{Label, Testimony};
use protocol::time::Time;
use protocol::wire::Entry;
use recording::capture::Source;
use recording::token::Key;
use tokio::sync::mpsc;
use transport::tap::Tap;

use super::journal::Journal;
use super::select::Planned;

/// What one entry came to, and its tape if it ran.
pub(super) struct Done {
    pub(super) result: CaseResult,
    pub(super) tape: Option<Vec<u8>>,
}

/// What sets a tape apart from all others.
pub(super) struct Mark {
    pub(super) source: Source,
    /// When it begins, RFC 3339.
    pub(super) start: String,
    pub(super) id: u128,
    pub(super) key: Key,
    /// Whether the peer is the embedded simulator.
    pub(super) embedded: bool,
}

/// Looks on, and waits for the end.
pub(super) struct Witness {
    /// Until it is judged.
    testimony: Option<Testimony>,
    asks: Option<mpsc::UnboundedSender<Request>>,
    /// Who is told if it never comes to a judgement.
    journal: Option<Arc<Journal>>,
    /// When something happened last.
    last: Time,
}

impl Witness {
    pub(super) fn new(planned: &Planned, settings: &Settings, seed: u64, mark: Mark) -> Self {
        let label = Label {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git: env!("TAPESTRY_COMMIT").to_owned(),
            source: mark.source,
            start: mark.start,
            id: format!("{:032x}", mark.id),
            key: mark.key,
            embedded: mark.embedded,
        };
        let testimony = Testimony::new(planned.entry.case, planned.entry.transport, settings, seed, label);
        Self { testimony: Some(testimony), asks: None, journal: None, last: Time::ZERO }
    }

    /// Hands on what the case asks of an agent.
    pub(super) fn asking(mut self, asks: mpsc::UnboundedSender<Request>) -> Self {
        self.asks = Some(asks);
        self
    }

    /// Whoever drops it unjudged, for what reason ever, has cut the case short: its tape goes to the journal.
    pub(super) fn reporting_to(mut self, journal: Arc<Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// What the case came to, if it has come to anything.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.testimony.as_ref().and_then(Testimony::outcome)
    }

    /// Judges.
    pub(super) fn conclude(mut self, now: Time) -> Done {
        let testimony = self.testimony.take().expect("only this takes it, and it takes the witness too");
        let (result, tape) = testimony.conclude(now);
        Done { result, tape: Some(tape) }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let (Some(testimony), Some(journal)) = (self.testimony.take(), &self.journal) {
            let (result, tape) = testimony.cut_short(self.last);
            journal.cut_short(Done { result, tape: Some(tape) });
        }
    }
}

impl Tap<Event> for Witness {
    fn entry(&mut self, entry: &Entry) {
        self.last = self.last.max(entry.at);
        self.testimony.iter_mut().for_each(|testimony| testimony.see(entry));
    }

    fn event(&mut self, now: Time, event: Event) -> ControlFlow<()> {
        self.last = self.last.max(now);
        match event {
            Event::Asked(request) => {
                self.testimony.iter_mut().for_each(|testimony| testimony.ask(now, &request));
                // Whoever is asked listens for as long as the case runs.
                let _ = self.asks.as_ref().map(|asks| asks.send(request));
                ControlFlow::Continue(())
            }
            Event::Finished(outcome) => {
                if let Some(testimony) = &mut self.testimony {
                    testimony.learn(outcome);
                }
                ControlFlow::Break(())
            }
        }
    }
}
