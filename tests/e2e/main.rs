//! The command line as a user meets it: real sockets on port 0, exit codes, what stands on stdout and stderr.

mod actors;
mod audit;
#[path = "../../crates/transport/tests/it/authority.rs"]
mod authority;
mod chat;
mod choice;
mod client_under_test;
mod conformance;
mod control;
mod cors;
mod doctor;
mod fake_gws;
mod har;
mod harness;
mod help;
mod kill;
mod record;
mod review;
mod replay;
mod reverse_proxy;
mod runs;
mod secrets;
mod serve;
mod tape;
mod tapes;
mod tls;
