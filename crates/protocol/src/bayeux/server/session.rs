//! One session as the server keeps it: whose it is, what carries it, what waits for it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bayeux::advice::Advice;
use crate::bayeux::dialect::{CALLBACK_POLLING, Timing};
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
    /// When the session expires all the same, and the reason in the close frame (CometD's bug).
    pub(super) expires: Option<(Time, String)>,
    /// Replies that are sent with its own, in front of it and behind it.
    pub(super) before: Vec<Message>,
    pub(super) behind: Vec<Message>,
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
    pub(super) fn deadline(&self) -> Option<(Time, Timer)> {
        match &self.held {
            Some(held) => {
                let expiry = held.expires.as_ref().map(|(at, _)| (*at, Timer::Expiry));
                let hold = (held.until, Timer::Hold);
                Some(expiry.map_or(hold, |expiry| hold.min(expiry)))
            }
            None => self.expires.map(|at| (at, Timer::Expiry)),
        }
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
