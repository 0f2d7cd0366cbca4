//! Who looks on while a machine runs: everything that crosses the wire, and everything that the machine tells.

use std::ops::ControlFlow;

use protocol::time::Time;
use protocol::wire::Entry;

/// An onlooker of one running machine with events of type `E`.
pub trait Tap<E> {
    /// Something crossed the wire. The moment is the one that the machine was given.
    fn entry(&mut self, entry: &Entry);

    /// The machine told something. [`ControlFlow::Break`] ends the run once what the machine has decided is on its way.
    fn event(&mut self, now: Time, event: E) -> ControlFlow<()>;
}
