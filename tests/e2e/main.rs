//! The command line as a user meets it: real sockets on port 0, exit codes, what stands on stdout and stderr.

mod conformance;
mod harness;
mod help;
mod record;
mod serve;
mod tapes;
