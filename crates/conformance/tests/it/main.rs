//! The suite against the simulator, in virtual time.

mod defect;
mod drive;
mod kill;
mod null;
mod suite;
