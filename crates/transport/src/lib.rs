//! The only sockets, runtime and clock: everything that touches the operating system's network.
//!
//! [`clock`] is the one place that reads time, [`endpoint`] says where a server is. [`driver`] runs any machine on a
//! carrier, [`tap`] looks on; [`client`] and [`server`] are the two carriers. All of them move
//! [`protocol::wire::Wire`] values between sockets and machines and know nothing of Bayeux.

pub mod clock;
pub mod endpoint;
pub mod tap;
pub mod driver;
pub mod client;
pub mod server;

mod http;
mod socket;
