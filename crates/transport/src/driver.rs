//! The one loop that runs a machine on real sockets and the real clock.
//!
//! Due timeout, drain the outputs, wait for one of socket, deadline and stop, feed it. Everything that goes in or out is
//! logged once, by kind and size; machines and carriers need no logging of their own.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;

use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Entry, Side, Wire};

use crate::clock::Clock;
use crate::http::shown_method;
use crate::tap::Tap;

/// What brings wire values to sockets and from them.
pub trait Carrier {
    /// Takes a value of the machine's. Cannot fail: what goes wrong comes back as [`Wire::Broken`] or [`Wire::Lost`].
    fn send(&mut self, wire: Wire);

    /// The next value of the peer's. Dropping the future loses nothing.
    fn receive(&mut self) -> impl Future<Output = Wire>;
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The tap said so.
    ByTap,
    /// The future `stop` was ready.
    Stopped,
}

/// Runs a machine until its tap or `stop` ends it. `side` is the machine's own.
pub async fn run<M: Machine>(
    machine: &mut M,
    side: Side,
    clock: &Clock,
    carrier: &mut impl Carrier,
    tap: &mut impl Tap<M::Event>,
    stop: impl Future<Output = ()>,
) -> Ended {
    let mut stop = pin!(stop);
    // Commands given before the run may have left outputs.
    let mut now = clock.now();
    loop {
        if drain(machine, side, now, carrier, tap).is_break() {
            return Ended::ByTap;
        }
        let deadline = machine.deadline();
        let due = async {
            match deadline {
                Some((at, _)) => tokio::time::sleep_until(clock.instant(at)).await,
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            // A due timeout goes first, so that a machine sees things in the order of their moments.
            biased;
            () = &mut stop => return Ended::Stopped,
            () = due => Input::Timeout,
            wire = carrier.receive() => Input::Wire(wire),
        };
        // A timer may fire a little early; a machine must not be woken before its deadline for ever.
        now = clock.now().max(now);
        if let (Input::Timeout, Some((at, timer))) = (&input, deadline) {
            now = now.max(at);
            tracing::trace!(at = %now, ?timer, "timeout");
        }
        if let Input::Wire(wire) = &input {
            show(now, side.peer(), wire, tap);
        }
        machine.handle_input(now, input);
    }
}

fn drain<M: Machine>(
    machine: &mut M,
    side: Side,
    now: Time,
    carrier: &mut impl Carrier,
    tap: &mut impl Tap<M::Event>,
) -> ControlFlow<()> {
    let mut flow = ControlFlow::Continue(());
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Wire(wire) => {
                show(now, side, &wire, tap);
                carrier.send(wire);
            }
            Output::Event(event) => {
                if tap.event(now, event).is_break() {
                    flow = ControlFlow::Break(());
                }
            }
        }
    }
    flow
}

fn show<E>(at: Time, from: Side, wire: &Wire, tap: &mut impl Tap<E>) {
    tracing::debug!(%at, "{} {}", from.arrow(), Shown(wire));
    tap.entry(&Entry { at, from, wire: wire.clone() });
}

/// Kind, number and size of what crossed the wire, and nothing of its contents.
struct Shown<'a>(&'a Wire);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Wire::Request(x, request) => {
                write!(f, "e{} {} {} bytes", x.0, shown_method(&request.method), request.body.len())
            }
            Wire::Response(x, response) => write!(f, "e{} {} {} bytes", x.0, response.status, response.body.len()),
            Wire::Broken(x, failure) => write!(f, "e{} {failure}", x.0),
            Wire::Upgrade(s, _) => write!(f, "s{} upgrade", s.0),
            Wire::Upgraded(s, _) => write!(f, "s{} 101", s.0),
            Wire::Refused(s, response) => write!(f, "s{} {}", s.0, response.status),
            Wire::Text(s, text) => write!(f, "s{} text {} bytes", s.0, text.len()),
            Wire::Binary(s, bytes) => write!(f, "s{} binary {} bytes", s.0, bytes.len()),
            Wire::Ping(s, _) => write!(f, "s{} ping", s.0),
            Wire::Pong(s, _) => write!(f, "s{} pong", s.0),
            Wire::Close(s, close) => write!(f, "s{} close {}", s.0, close.code),
            Wire::Lost(s, failure) => write!(f, "s{} {failure}", s.0),
        }
    }
}
