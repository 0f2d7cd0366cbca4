//! The suite against the simulator, in virtual time.

mod absent;
mod audit;
mod doctor;
mod drive;
mod files;
mod golden;
mod kill;
#[allow(dead_code, reason = "shared with the tests of the whole matrix")]
mod mutants;
mod null;
mod person;
mod profiles;
mod regressions;
mod replay;
mod reports;
mod shared;
mod suite;
mod variety;
