//! Machines on real sockets: loopback, port 0.

mod bench;
mod exchanges;
mod sockets;
