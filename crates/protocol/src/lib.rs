//! Bayeux and GMS Chat V2 as values and machines, client and server side, without any input or output.
//!
//! Reading order: [`time`] and [`wire`] say what a moment is and what can cross a socket; [`machine`] is the one
//! contract that every machine keeps; [`violation`] is the closed list of what a peer can do wrong; [`bayeux`] and
//! [`chat`] are the two protocols, each as messages first and machines second.
//!
//! Nothing here reads a clock, a random source, a file or a socket. Whoever drives a machine feeds one [`machine::Input`],
//! drains every [`machine::Output`], and only then feeds the next.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod time;
pub mod wire;
pub mod machine;
pub mod violation;
pub mod secret;
mod mint;
pub mod bayeux;
pub mod chat;
