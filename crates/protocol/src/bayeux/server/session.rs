//! One session as the server keeps it: whose it is, what carries it, what waits for it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bayeux::advice::Advice;
use crate::bayeux::dialect::{CALLBACK_POLLING, PushedSince, Timing};
use crate::bayeux::message::{ClientId, Message, MessageId};
use crate::bayeux::server::Timer;
use crate::bayeux::server::extension::Timesync;
use crate::bayeux::server::queue::Queue;
use crate::secret::Secret;
use crate::time::Time;
use crate::wire::{Exchange, Socket, Transport};

/// What carries events to a session: whatever its last handshake or connect came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    LongPolling,
    CallbackPolling,
    Socket(Socket),
}

impl Carrier {
    /// Its name in `supportedConnectionTypes`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::LongPolling => Transport::LongPolling.name(),
            Self::CallbackPolling => CALLBACK_POLLING,
            Self::Socket(_) => Transport::WebSocket.name(),
        }
    }
}

/// Where a held connect waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeldOn {
    Exchange {
        exchange: Exchange,
        /// The function to call with the answer, for callback-polling.
        callback: Option<String>,
        /// The client is known to be gone. The connect stays held all the same: only a write would fail.
        broken: bool,
    },
    /// On the socket that carries the session.
    Socket,
}

/// What a successful connect is answered with, when it is.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) id: Option<MessageId>,
    pub(super) successful: bool,
    pub(super) advice: Option<Advice>,
    pub(super) timesync: Option<Timesync>,
}

/// A connect that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) on: HeldOn,
    pub(super) answer: Answer,
    pub(super) until: Time,
    /// When the session expires all the same.
    pub(super) expires: Option<HeldExpiry>,
    /// Replies that are sent with its own, in front of it and behind it.
    pub(super) before: Vec<Message>,
    pub(super) behind: Vec<Message>,
}

/// That a session expires under a connect that is held: by a bug of CometD's, or for want of messages.
#[derive(Clone, Debug)]
pub(super) struct HeldExpiry {
    pub(super) at: Time,
    /// The reason in the close frame of a WebSocket.
    pub(super) reason: String,
    /// How far another message of the session puts it off, if it does.
    pub(super) put_off: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) client_id: ClientId,
    /// The browser cookie that its HTTP requests must show; none after a handshake over WebSocket.
    pub(super) browser: Option<Secret>,
    pub(super) carrier: Carrier,
    /// Whether it has connected: only then is the next connect held.
    pub(super) connected: bool,
    /// Whether the next connect reply carries advice unasked.
    pub(super) owes_advice: bool,
    /// Timing that the layer above gave it, in place of the transport's.
    pub(super) timing: Option<Timing>,
    /// Events that wait for a carrier.
    pub(super) queue: Queue,
    /// When the lazy ones among them are sent at the latest.
    pub(super) lazy_due: Option<Time>,
    /// How far it has got on its WebSocket.
    pub(super) reached: PushedSince,
    /// Whether an event was lost since the socket went.
    pub(super) lost_one: bool,
    pub(super) held: Option<Held>,
    /// How long it lives without a connect.
    pub(super) grace: Duration,
    /// When it expires; `None` while a connect is held.
    pub(super) expires: Option<Time>,
    /// The channels and patterns that it is subscribed to.
    pub(super) subscriptions: BTreeSet<String>,
    /// When it last did something, for the `activity` extension.
    pub(super) active_at: Time,
}

impl Session {
    /// What is due next; expiry is noticed by the sweeper, that comes every so many milliseconds.
    pub(super) fn deadline(&self, sweep_period_ms: u64) -> Option<(Time, Timer)> {
        let hold = self.held.as_ref().map(|held| (held.until, Timer::Hold));
        let expires = match &self.held {
            Some(held) => held.expires.as_ref().map(|expiry| expiry.at),
            None => self.expires,
        };
        let expiry = expires.map(|at| (swept_at(at, sweep_period_ms), Timer::Expiry));
        let lazy = self.lazy_due.map(|at| (at, Timer::Lazy));
        [hold, expiry, lazy].into_iter().flatten().min()
    }

    /// Begins its life without a connect again.
    pub(super) fn touch(&mut self, now: Time) {
        if self.held.is_none() {
            self.expires = Some(now + self.grace);
        }
    }

    /// Whether it occupies one of the long polls that a browser may have.
    pub(super) fn polls_for(&self, browser: &Secret) -> bool {
        let holds = matches!(&self.held, Some(Held { on: HeldOn::Exchange { broken: false, .. }, .. }));
        holds && self.browser.as_ref() == Some(browser)
    }
}

/// When the sweeper notices what ends at a moment; at once if it does not come by the clock.
fn swept_at(at: Time, period_ms: u64) -> Time {
    let period = period_ms.saturating_mul(1_000);
    match at.as_micros().checked_div(period) {
        Some(passes) => Time::from_micros(passes.saturating_add(1).saturating_mul(period)),
        None => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweeper_comes_by_the_clock() {
        let at = Time::from_millis(10_000);
        assert_eq!(swept_at(at, 0), at);
        assert_eq!(swept_at(at, 997), Time::from_millis(10_967));
        assert_eq!(swept_at(at, 1_000), Time::from_millis(11_000), "what ends just then is not yet over");
    }
}
