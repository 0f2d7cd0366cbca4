//! The suite against the simulator, in virtual time.

mod diagnosis;
mod drive;
mod golden;
mod kill;
mod mutants;
mod null;
mod profiles;
mod regressions;
mod reports;
mod suite;
mod variety;
