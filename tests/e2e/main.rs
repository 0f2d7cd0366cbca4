//! The command line as a user meets it: real sockets on port 0, exit codes, what stands on stdout and stderr.

mod harness;
mod help;
mod serve;
