//! Requirements, rules, cases and reports.
#![warn(missing_docs)]

pub mod schema;
pub mod rules;
pub mod check;
