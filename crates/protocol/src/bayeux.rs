//! Bayeux 1.0 as CometD speaks it: messages, channels, advice, and the two machines.

pub mod message;
pub mod batch;
pub mod channel;
pub mod advice;
pub mod http;
pub mod callbacks;
mod extension;
pub mod client;
pub mod dialect;
pub mod server;
