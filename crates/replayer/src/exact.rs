//! The tape of our own chat client: everything that went into it and came out of it, so that it can be run once more.
//!
//! [`Taped`] is the client together with its tape: calls, timers and what the server said, each before what the client made
//! of it. [`replay`] rebuilds the client from the header and gives it the same in the same order at the same moments; what it
//! puts on the wire must be what the tape has, token for token. Tokens take the places of the values that nobody knows any
//! more: the client hands them on as it did their values.
//!
//! A client draws no random numbers, so no tape of one has a `rand` record. What it knows of the wall is in the header.
//!
//! Where a token says less than its value, nothing can be said either, and the replay says so: over callback-polling the
//! length of a message decides in which request it travels, and a body too long to be redacted message by message is one
//! token. File contents are one token too, and their media type is not compared.

mod setup;
mod call;
mod taped;
mod play;
mod report;

pub use self::call::{Call, Done};
pub use self::play::{Departure, Replay, Statistics, What, replay};
pub use self::setup::Unfit;
pub use self::taped::Taped;
