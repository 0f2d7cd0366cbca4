//! The machines from outside: what a peer sees on the wire.

mod differences;
mod malformed;
mod isolation;
mod profiles;
mod rows;
mod talk;
