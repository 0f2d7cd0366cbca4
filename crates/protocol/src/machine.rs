//! The contract that every machine keeps: clients, servers, the fake GMS, players and running cases.
//!
//! Feed one input, drain every output, then feed the next. When nothing comes, feed [`Input::Timeout`] at the deadline.
//! An early, late or repeated timeout is harmless. Time never runs backwards; a machine may assume so.

use std::fmt;

use crate::time::Time;
use crate::wire::Wire;

/// What can happen to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The peer, or the network in its place, put something on the wire.
    Wire(Wire),
    /// The deadline has come.
    Timeout,
}

/// What a machine wants done, in the order in which it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// Put this on the wire.
    Wire(Wire),
    /// Tell whoever embeds the machine.
    Event(E),
}

/// A machine without input and output of its own.
pub trait Machine {
    /// Why the machine wants to be woken; one documented enum for each kind of machine.
    type Timer: Copy + fmt::Debug;
    /// What the machine tells whoever embeds it.
    type Event: fmt::Debug;

    /// Takes one input in. A misbehaving peer is an event, never an error.
    fn handle_input(&mut self, now: Time, input: Input);

    /// Gives the next output, in order; `None` means drained.
    #[must_use]
    fn poll_output(&mut self) -> Option<Output<Self::Event>>;

    /// When to feed [`Input::Timeout`], and why. Asking changes nothing.
    fn deadline(&self) -> Option<(Time, Self::Timer)>;
}
