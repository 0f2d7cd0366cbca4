//! The judge: requirements as data, rules for any conversation, cases that hold one, verdicts with witnesses, reports.
//!
//! Reading order: [`requirements`] is the catalogue and says how bad a broken requirement is, [`regressions`] the list of
//! known CometD bugs and what shows them; [`verdict`] says what a run
//! can come to; [`cases`] is the table of cases and [`run`] the machine that runs one, with [`actor`] for what it asks of
//! agents; [`clients`] does the same for clients under test; [`rules`] judge what any peer did,
//! with [`schema`] for the shapes of messages; [`conclude`] puts a run, its redacted entries and the rules together;
//! [`testimony`] keeps both while a case runs, and leaves a tape, which [`replay`] judges again;
//! [`doctor`] finds out what a target is before anything is judged; [`check`] judges a tape by the rules alone;
//! [`expectations`] says what is known to depart, and [`review`] how that is brought up to date; [`explain`] puts an id in words; [`report`] adds up and renders.
//!
//! The judge knows its peer by the wire alone: not the simulator, and no socket and no clock.

#![warn(missing_docs)]

pub mod requirements;
pub mod regressions;
pub mod verdict;
mod peer;
mod stage;
pub mod actor;
pub mod cases;
pub mod run;
pub mod clients;
pub mod doctor;
pub mod schema;
pub mod rules;
pub mod conclude;
pub mod testimony;
pub mod replay;
pub mod check;
pub mod expectations;
pub mod review;
pub mod explain;
pub mod report;
