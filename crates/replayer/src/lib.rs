//! Plays the server side of a recording to the live chat client, in virtual time, and reports where the client diverges
//! from the one on the tape.
//!
//! [`replay()`] is all there is to call. Inside, `chains` finds the clients on a tape, `score` reads what each of them and
//! its server did, `player` performs it again, and `difference` says what counts as the same: [`SET_ASIDE`] lists all that
//! two correct clients may do differently. `report` prints the outcome.
//!
//! [`exact`] is for tapes that our own client left: they have all that went into it, so nothing is set aside there.
//!
//! Replies are given when their requests arrive, deliveries when the messages that led to them have arrived, losses and the
//! deeds of the application at their recorded time; if the client falls behind, the tape waits. Nothing here reads a clock:
//! replaying a tape twice gives the same bytes.

#![warn(missing_docs)]

mod chains;
mod score;
mod difference;
mod player;
mod replay;
mod report;
pub mod exact;

pub use self::difference::{Liberty, SET_ASIDE};
pub use self::replay::{Divergence, Note, Replay, Statistics, What, replay};
