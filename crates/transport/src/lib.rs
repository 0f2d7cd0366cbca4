//! The only sockets, runtime and clock: everything that touches the operating system's network.
//!
//! [`clock`] is the one place that reads time, [`endpoint`] says where a server is. Everything above them moves
//! [`protocol::wire::Wire`] values between sockets and machines and knows nothing of Bayeux.

pub mod clock;
pub mod endpoint;
pub mod frames;
pub mod proxy;
