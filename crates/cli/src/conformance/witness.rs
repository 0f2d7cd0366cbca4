//! Looks on while a case runs: redacts what crosses the wire, judges that, and keeps it as a tape.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ::conformance::actor::Request;
use ::conformance::conclude::{CaseResult, conclude};
use ::conformance::run::{Event, Outcome, Settings};
use protocol::time::Time;
use protocol::wire::Entry;
use recording::capture::{Capture, Config, Source};
use recording::tape::Finish;
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
}

/// Redacts, keeps, and waits for the end.
pub(super) struct Witness {
    capture: Capture,
    redacted: Vec<Entry>,
    tape: Vec<u8>,
    outcome: Option<Outcome>,
    asks: Option<mpsc::UnboundedSender<Request>>,
}

impl Witness {
    pub(super) fn new(planned: &Planned, settings: &Settings, seed: u64, mark: Mark) -> Self {
        let mut env = BTreeMap::from([("transport".to_owned(), planned.entry.transport.to_string())]);
        if let Some(service) = &settings.service {
            env.insert("service".to_owned(), service.clone());
        }
        let (capture, tape) = Capture::new(Config {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git: env!("TAPESTRY_COMMIT").to_owned(),
            start: mark.start,
            id: format!("{:032x}", mark.id),
            key: mark.key,
            source: mark.source,
            scenario: Some(planned.entry.case.id.to_owned()),
            seed: Some(seed),
            env,
        });
        Self { capture, redacted: Vec::new(), tape, outcome: None, asks: None }
    }

    /// Looks at an entry.
    pub(super) fn see(&mut self, entry: &Entry) {
        let redacted = self.capture.redact(entry);
        self.tape.extend(self.capture.redacted(None, &redacted));
        self.redacted.push(redacted.into_inner());
    }

    /// Hands on what the case asks of an agent.
    pub(super) fn asking(mut self, asks: mpsc::UnboundedSender<Request>) -> Self {
        self.asks = Some(asks);
        self
    }

    /// Takes what the case came to.
    pub(super) fn learn(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// What the case came to, if it has come to anything.
    pub(super) const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Judges.
    pub(super) fn conclude(self, planned: &Planned, now: Time) -> Done {
        let Self { capture, redacted, mut tape, outcome, .. } = self;
        tape.extend(capture.finish(now, Finish::Complete));
        let result = match outcome {
            Some(outcome) => conclude(&outcome, &redacted),
            None => CaseResult::error(planned.entry.case, planned.entry.transport, "the run said nothing at its end"),
        };
        Done { result, tape: Some(tape) }
    }
}

impl Tap<Event> for Witness {
    fn entry(&mut self, entry: &Entry) {
        self.see(entry);
    }

    fn event(&mut self, _: Time, event: Event) -> ControlFlow<()> {
        match event {
            Event::Asked(request) => {
                // Whoever is asked listens for as long as the case runs.
                let _ = self.asks.as_ref().map(|asks| asks.send(request));
                ControlFlow::Continue(())
            }
            Event::Finished(outcome) => {
                self.learn(outcome);
                ControlFlow::Break(())
            }
        }
    }
}
