//! Looks on while a case runs: hands on what it asks of an agent, and keeps what it comes to.

use std::ops::ControlFlow;

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
    testimony: Testimony,
    asks: Option<mpsc::UnboundedSender<Request>>,
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
        Self { testimony, asks: None }
    }

    /// Hands on what the case asks of an agent.
    pub(super) fn asking(mut self, asks: mpsc::UnboundedSender<Request>) -> Self {
        self.asks = Some(asks);
        self
    }

    /// What the case came to, if it has come to anything.
    pub(super) const fn outcome(&self) -> Option<&Outcome> {
        self.testimony.outcome()
    }

    /// Judges.
    pub(super) fn conclude(self, now: Time) -> Done {
        let (result, tape) = self.testimony.conclude(now);
        Done { result, tape: Some(tape) }
    }
}

impl Tap<Event> for Witness {
    fn entry(&mut self, entry: &Entry) {
        self.testimony.see(entry);
    }

    fn event(&mut self, now: Time, event: Event) -> ControlFlow<()> {
        match event {
            Event::Asked(request) => {
                self.testimony.ask(now, &request);
                // Whoever is asked listens for as long as the case runs.
                let _ = self.asks.as_ref().map(|asks| asks.send(request));
                ControlFlow::Continue(())
            }
            Event::Finished(outcome) => {
                self.testimony.learn(outcome);
                ControlFlow::Break(())
            }
        }
    }
}
