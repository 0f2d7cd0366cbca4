//! The wire as the doctor holds it: single exchanges and sockets, each awaited with a bound.
//!
//! It knows HTTP and WebSocket, and not what a body means. Whatever goes wrong with a connection is an answer here, for that
//! is what the doctor looks for.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use protocol::time::Time;
use protocol::wire::{Close, Exchange, Failure, Request, Response, Socket, Wire};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A response came.
    Answered(Response),
    /// The connection ended without one.
    Broken(Failure),
    /// Nothing came in time.
    Silence,
}

/// What became of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Upgrade {
    Granted,
    Refused(Response),
    Lost(Failure),
    Silence,
}

/// What came on a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Text(String),
    /// It was closed, with this code.
    Closed(u16),
    Lost(Failure),
    Silence,
}

/// An exchange that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    exchange: Exchange,
    pub(super) at: Time,
}

/// What has been put on the wire and what came.
#[derive(Debug, Default)]
pub(super) struct Wires {
    pub(super) now: Time,
    pub(super) outputs: VecDeque<Wire>,
    /// When the running probe wants to be woken.
    pub(super) wake: Option<Time>,
    exchanges: BTreeMap<Exchange, Option<(Time, Outcome)>>,
    sockets: BTreeMap<Socket, Line>,
    next: u64,
    dice: u64,
}

#[derive(Debug, Default)]
struct Line {
    upgrade: Option<Upgrade>,
    texts: VecDeque<String>,
    end: Option<Heard>,
}

impl Wires {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: seed, ..Self::default() }
    }

    /// Takes something from the wire.
    pub(super) fn receive(&mut self, wire: Wire) {
        let now = self.now;
        let ended = |slot: Option<&mut Option<(Time, Outcome)>>, outcome| {
            if let Some(slot) = slot.filter(|slot| slot.is_none()) {
                *slot = Some((now, outcome));
            }
        };
        match wire {
            Wire::Response(exchange, response) => {
                ended(self.exchanges.get_mut(&exchange), Outcome::Answered(response));
            }
            Wire::Broken(exchange, failure) => ended(self.exchanges.get_mut(&exchange), Outcome::Broken(failure)),
            Wire::Upgraded(socket, _) => self.on_upgrade(socket, Upgrade::Granted),
            Wire::Refused(socket, response) => self.on_upgrade(socket, Upgrade::Refused(response)),
            Wire::Text(socket, text) => {
                if let Some(line) = self.sockets.get_mut(&socket) {
                    line.texts.push_back(text);
                }
            }
            Wire::Close(socket, close) => self.on_end(socket, Heard::Closed(close.code)),
            Wire::Lost(socket, failure) => {
                self.on_upgrade(socket, Upgrade::Lost(failure.clone()));
                self.on_end(socket, Heard::Lost(failure));
            }
            Wire::Request(..) | Wire::Upgrade(..) | Wire::Binary(..) | Wire::Ping(..) | Wire::Pong(..) => {}
        }
    }

    fn on_upgrade(&mut self, socket: Socket, upgrade: Upgrade) {
        if let Some(line) = self.sockets.get_mut(&socket) {
            line.upgrade.get_or_insert(upgrade);
        }
    }

    fn on_end(&mut self, socket: Socket, end: Heard) {
        if let Some(line) = self.sockets.get_mut(&socket) {
            line.end.get_or_insert(end);
        }
    }

    /// Gives up whatever is under way.
    pub(super) fn drop_all(&mut self) {
        for (exchange, slot) in std::mem::take(&mut self.exchanges) {
            if slot.is_none() {
                self.outputs.push_back(Wire::Broken(exchange, Failure::Aborted));
            }
        }
        for (socket, line) in std::mem::take(&mut self.sockets) {
            let end = match (line.upgrade, line.end) {
                (Some(Upgrade::Granted), None) => Wire::Close(socket, Close { code: 1000, reason: String::new() }),
                (None, None) => Wire::Lost(socket, Failure::Aborted),
                _ => continue,
            };
            self.outputs.push_back(end);
        }
    }

    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// The wires, shared between the machine and its probes. They are locked for moments only and never across an await.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Wires>>);

impl Shared {
    pub(super) fn new(wires: Wires) -> Self {
        Self(Arc::new(Mutex::new(wires)))
    }

    pub(super) fn with<R>(&self, look: impl FnOnce(&mut Wires) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn now(&self) -> Time {
        self.with(|wires| wires.now)
    }

    /// A word that nobody else says; it depends on the seed and on how often it was asked.
    pub(super) fn word(&self) -> String {
        self.with(|wires| {
            wires.dice = wires.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("nobody{:08x}", wires.dice >> 33)
        })
    }

    /// Waits until something is found, at most until a moment.
    async fn wait<T>(&self, until: Time, mut find: impl FnMut(&mut Wires) -> Option<T>) -> Option<T> {
        poll_fn(|_| {
            self.with(|wires| {
                let found = find(wires);
                if found.is_some() || wires.now >= until {
                    return Poll::Ready(found);
                }
                wires.wake = Some(wires.wake.map_or(until, |wake| wake.min(until)));
                Poll::Pending
            })
        })
        .await
    }

    /// Lets time pass.
    pub(super) async fn pause(&self, duration: Duration) {
        let until = self.now() + duration;
        self.wait(until, |_| None::<()>).await;
    }

    /// Sends a request.
    pub(super) fn begin(&self, request: Request) -> Asked {
        self.with(|wires| {
            let exchange = Exchange(wires.number());
            wires.exchanges.insert(exchange, None);
            wires.outputs.push_back(Wire::Request(exchange, request));
            Asked { exchange, at: wires.now }
        })
    }

    /// What became of a request, and how long that took.
    pub(super) async fn end(&self, asked: Asked, until: Time) -> (Outcome, Duration) {
        let ended = self.wait(until, |wires| wires.exchanges.get(&asked.exchange).cloned().flatten()).await;
        match ended {
            Some((at, outcome)) => (outcome, at - asked.at),
            None => (Outcome::Silence, self.now() - asked.at),
        }
    }

    /// Gives a request up.
    pub(super) fn give_up(&self, asked: Asked) {
        self.with(|wires| {
            if let Some(None) = wires.exchanges.remove(&asked.exchange) {
                wires.outputs.push_back(Wire::Broken(asked.exchange, Failure::Aborted));
            }
        });
    }

    /// Sends a request and awaits what becomes of it; what takes longer is given up.
    pub(super) async fn ask(&self, request: Request, within: Duration) -> Outcome {
        let asked = self.begin(request);
        let (outcome, _) = self.end(asked, asked.at + within).await;
        self.give_up(asked);
        outcome
    }

    /// Asks for a WebSocket.
    pub(super) async fn upgrade(&self, request: Request, within: Duration) -> (Socket, Upgrade) {
        let (socket, until) = self.with(|wires| {
            let socket = Socket(wires.number());
            wires.sockets.insert(socket, Line::default());
            wires.outputs.push_back(Wire::Upgrade(socket, request));
            (socket, wires.now + within)
        });
        let upgrade = self.wait(until, |wires| wires.sockets.get(&socket)?.upgrade.clone()).await;
        (socket, upgrade.unwrap_or(Upgrade::Silence))
    }

    /// Sends a text on a socket.
    pub(super) fn say(&self, socket: Socket, text: String) {
        self.with(|wires| wires.outputs.push_back(Wire::Text(socket, text)));
    }

    /// The next text that comes on a socket, or its end.
    pub(super) async fn hear(&self, socket: Socket, until: Time) -> Heard {
        let heard = self.wait(until, |wires| {
            let line = wires.sockets.get_mut(&socket)?;
            line.texts.pop_front().map(Heard::Text).or_else(|| line.end.clone())
        });
        heard.await.unwrap_or(Heard::Silence)
    }

    /// Leaves a socket in good order.
    pub(super) fn close(&self, socket: Socket) {
        self.with(|wires| {
            let Some(line) = wires.sockets.remove(&socket) else { return };
            let wire = match (line.upgrade, line.end) {
                (Some(Upgrade::Granted), None | Some(Heard::Closed(_))) => {
                    Wire::Close(socket, Close { code: 1000, reason: String::new() })
                }
                (None, None) => Wire::Lost(socket, Failure::Aborted),
                _ => return,
            };
            wires.outputs.push_back(wire);
        });
    }
}
