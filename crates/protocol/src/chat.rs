//! GMS Chat API Version 2 over CometD: what clients ask, what servers answer, and the two machines.

pub mod operation;
pub mod auth;
pub mod notification;
pub mod files;
pub mod client;
pub mod server;

/// Where the service channels of the API begin; the service's name follows.
pub const CHANNEL_PREFIX: &str = "/service/chatV2/";

/// The channel of a service.
#[must_use]
pub fn channel(service: &str) -> String {
    format!("{CHANNEL_PREFIX}{service}")
}
