//! The writer of the tapes, on a thread of its own: takes events, and sees to what is due.

use std::time::Duration;

use protocol::time::Time;
use tokio::sync::oneshot;
use transport::proxy::{Event, Events, Next};

use crate::tally::{Ends, Summary, Tally};

/// How long to wait for the next event when nothing is due.
const QUIET: Duration = Duration::from_secs(60);

/// Where units go: one tape, the parts of one, or one for each session.
pub(crate) trait Tapes: Send {
    /// Writes what the proxy saw, and nothing else: what is due comes with the tick that follows at once.
    fn take(&mut self, event: Event, tally: &mut Tally);

    /// Does what is due, and says when something will be.
    fn tick(&mut self, now: Time, tally: &mut Tally) -> Option<Time>;

    /// Ends all tapes.
    fn finish(&mut self, tally: &mut Tally);
}

pub(crate) struct Writer {
    pub(crate) tapes: Box<dyn Tapes>,
    pub(crate) tally: Tally,
    pub(crate) ends: Ends,
}

impl Writer {
    /// Writes until there is nothing any more, then ends the tapes. Once a limit is reached, that is told.
    pub(crate) fn run(mut self, events: &Events, full: oneshot::Sender<()>) -> Summary {
        let clock = self.tally.times.clock;
        let mut full = Some(full);
        loop {
            let now = clock.now();
            let due = self.tapes.tick(now, &mut self.tally);
            let end = self.ends.at().filter(|_| full.is_some());
            let wait = due.into_iter().chain(end).min().map_or(QUIET, |due| (due - now).min(QUIET));
            match events.next(wait) {
                Next::Event(event) => {
                    self.tally.see(&event);
                    self.tapes.take(event, &mut self.tally);
                }
                Next::Idle => {}
                Next::End => break,
            }
            self.tally.done();
            // What is under way when the limit is reached is still written.
            if self.tally.summary.reached.is_none()
                && let Some(limit) = self.ends.reached(clock.now(), &self.tally.summary)
            {
                self.tally.summary.reached = Some(limit);
                // The traffic may have been stopped already.
                let _ = full.take().map(|full| full.send(()));
            }
        }
        self.tapes.finish(&mut self.tally);
        self.tally.done();
        self.tally.summary
    }
}
