//! The suite against the simulator, in virtual time.

mod defect;
mod doctor;
mod drive;
mod files;
mod golden;
mod kill;
mod null;
mod profiles;
mod regressions;
mod reports;
mod suite;
mod variety;
