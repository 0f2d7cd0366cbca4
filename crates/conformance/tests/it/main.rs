//! The suite against the simulator, in virtual time.

mod doctor;
mod drive;
mod files;
mod golden;
mod kill;
mod mutants;
mod null;
mod profiles;
mod regressions;
mod reports;
mod suite;
mod variety;
