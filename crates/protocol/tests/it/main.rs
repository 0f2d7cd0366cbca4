//! The machines from outside: what a peer sees on the wire.

mod isolation;
mod profiles;
mod talk;
