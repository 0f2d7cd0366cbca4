//! The machines from outside: what a peer sees on the wire.

mod profiles;
mod talk;
