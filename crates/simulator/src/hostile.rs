//! Peers that say anything: bytes are played as a hostile server or a hostile client, and what must hold whatever a peer
//! says is checked.
//!
//! [`codec()`] reads bytes as whatever a carrier holds. [`server()`] and [`client()`] read them as a list of actions, one in a
//! line, so that what a search found can be read and edited; every byte string is such a list. A fuzzer calls these
//! three with what it makes up, a test with the kept inputs. They panic where the code under test panics, and give a
//! [`Fault`] where it does something that it never may.

mod action;
mod client;
mod codec;
mod server;

use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Socket, Wire};

pub use self::client::client;
pub use self::codec::codec;
pub use self::server::server;

/// What no machine may do, whatever its peer says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What was read and written again is not what it was.
    #[error("`{0}` is not the same after it was written and read again")]
    NotLossless(String),
    /// It wants to be woken for ever without time passing.
    #[error("does not come to rest at {0} s")]
    Livelock(Time),
    /// One input makes it say more than any input is worth.
    #[error("says {0} things at once")]
    Flood(usize),
    /// What it keeps grows beyond what it was told.
    #[error("keeps {kept} characters of state after {told} bytes")]
    Grown {
        /// Length of its state, printed.
        kept: usize,
        /// Bytes that it was told.
        told: usize,
    },
    /// What it keeps grows while nothing happens.
    #[error("grows from {0} to {1} characters of state in quiet minutes")]
    Swelling(usize, usize),
    /// A client has two connects outstanding (BX-CN-04).
    #[error("two connects are outstanding")]
    SecondConnect,
    /// A client neither ended nor has anything due: it would never speak again.
    #[error("neither closed nor waiting for anything")]
    Silent,
    /// A server answers a request twice.
    #[error("exchange {} is answered twice", .0.0)]
    AnsweredTwice(Exchange),
    /// A server never answers a request.
    #[error("exchange {} is never answered", .0.0)]
    NeverAnswered(Exchange),
    /// A server speaks on a socket that is closed or was never there.
    #[error("speaks on socket {}, which is not open", .0.0)]
    DeadSocket(Socket),
    /// A server says something that is no batch of messages.
    #[error("says what cannot be read: {0}")]
    Unreadable(String),
    /// A server keeps a session that nobody uses.
    #[error("{0} sessions are left after hours without a client")]
    SessionsLeft(usize),
}

/// How many things one input may make a machine say.
const AT_ONCE: usize = 20_000;

/// How many timeouts may be due at one moment.
const TIMEOUTS_AT_ONCE: usize = 1_000;

/// Feeds one input and drains what comes of it.
fn feed<M: Machine>(machine: &mut M, now: Time, input: Input) -> Result<Vec<Output<M::Event>>, Fault> {
    machine.handle_input(now, input);
    drain(machine)
}

fn drain<M: Machine>(machine: &mut M) -> Result<Vec<Output<M::Event>>, Fault> {
    let mut outputs = Vec::new();
    while let Some(output) = machine.poll_output() {
        outputs.push(output);
        if outputs.len() > AT_ONCE {
            return Err(Fault::Flood(outputs.len()));
        }
    }
    Ok(outputs)
}

/// The wire values among outputs.
fn wires<E>(outputs: Vec<Output<E>>) -> impl Iterator<Item = Wire> {
    outputs.into_iter().filter_map(|output| match output {
        Output::Wire(wire) => Some(wire),
        Output::Event(_) => None,
    })
}

/// Counts the timeouts of one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    moment: Time,
    timeouts: usize,
}

impl Rest {
    fn timeout(&mut self, now: Time) -> Result<(), Fault> {
        self.timeouts = if now > self.moment { 1 } else { self.timeouts + 1 };
        self.moment = now;
        if self.timeouts > TIMEOUTS_AT_ONCE { Err(Fault::Livelock(now)) } else { Ok(()) }
    }
}

/// Whether a machine keeps more than it was told. The factor allows for the names that printing adds.
fn check_size(machine: &impl std::fmt::Debug, told: usize) -> Result<usize, Fault> {
    let kept = format!("{machine:?}").len();
    if kept > 100_000 + 200 * told { Err(Fault::Grown { kept, told }) } else { Ok(kept) }
}
