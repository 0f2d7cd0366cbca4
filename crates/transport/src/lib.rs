//! The only sockets, runtime and clock: everything that touches the operating system's network.
//!
//! [`clock`] is the one place that reads time, [`endpoint`] says where a server is, [`route`] how to get there, [`listener`]
//! takes its clients; [`tls`] keeps others out. [`driver`] runs any machine on a
//! carrier, [`tap`] looks on; [`client`] and [`server`] are the two carriers. They move [`protocol::wire::Wire`] values
//! between sockets and machines. [`proxy`] forwards bytes unchanged and tells what passed, with [`frames`] to read the copy
//! of a WebSocket. None of them knows Bayeux.

pub mod clock;
pub mod endpoint;
pub mod tls;
pub mod route;
pub mod listener;
pub mod tap;
pub mod driver;
pub mod client;
pub mod fields;
pub mod server;
pub mod proxy;
pub mod frames;

mod http;
mod socket;
mod stream;
