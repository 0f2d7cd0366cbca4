//! The suite against the simulator, in virtual time.

mod drive;
mod suite;
