//! One session as the server keeps it: whose it is, what carries it, what waits for it.

use std::time::Duration;

use crate::bayeux::advice::Advice;
use crate::bayeux::channel;
use crate::bayeux::message::{ClientId, Message, MessageId};
use crate::bayeux::server::Timer;
use crate::secret::Secret;
use crate::time::Time;
use crate::wire::{Exchange, Socket};

/// What carries events to a session: whatever its last handshake or connect came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Http,
    Socket(Socket),
}

/// Where a held connect waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldOn {
    Exchange {
        exchange: Exchange,
        /// The client is known to be gone. The connect stays held all the same: only a write would fail.
        broken: bool,
    },
    /// On the socket that carries the session.
    Socket,
}

/// A connect that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) on: HeldOn,
    pub(super) id: Option<MessageId>,
    pub(super) until: Time,
    pub(super) advice: Option<Advice>,
}

impl Held {
    pub(super) fn reply(&self) -> Message {
        connect_reply(self.id.as_ref(), self.advice.as_ref())
    }
}

/// A successful connect reply. In the idle case it holds nothing else (B.2 of CometD's habits).
pub(super) fn connect_reply(id: Option<&MessageId>, advice: Option<&Advice>) -> Message {
    Message::draft(channel::CONNECT)
        .id(id)
        .with("successful", true)
        .with_some("advice", advice.map(Advice::to_value))
        .finish()
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
    /// Events that wait for a carrier.
    pub(super) queue: Vec<Message>,
    pub(super) held: Option<Held>,
    /// How long it lives without a connect.
    pub(super) grace: Duration,
    /// When it expires; `None` while a connect is held.
    pub(super) expires: Option<Time>,
}

impl Session {
    pub(super) fn deadline(&self) -> Option<(Time, Timer)> {
        match &self.held {
            Some(held) => Some((held.until, Timer::Hold)),
            None => self.expires.map(|at| (at, Timer::Expiry)),
        }
    }

    /// Puts the expiry off, as every message of the session does (CometD 3.1, #650).
    pub(super) fn touch(&mut self, now: Time) {
        if self.held.is_none() {
            self.expires = Some(now + self.grace);
        }
    }

    /// Whether it occupies the one long poll that a browser may have.
    pub(super) fn polls_for(&self, browser: &Secret) -> bool {
        let holds = matches!(&self.held, Some(Held { on: HeldOn::Exchange { broken: false, .. }, .. }));
        holds && self.browser.as_ref() == Some(browser)
    }
}
