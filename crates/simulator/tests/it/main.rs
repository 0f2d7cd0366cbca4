//! The client machine against the fake GMS over the virtual network: chats by hand, and random histories.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod bayeux;
mod bench;
mod chat;
mod control;
mod corpus;
mod documents;
mod histories;
mod operations;
mod scenarios;
mod search;
mod traps;
