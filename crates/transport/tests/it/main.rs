//! Real sockets on loopback, port 0: machines on sockets, and the proxy.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test")]

mod authority;
mod bench;
mod exchanges;
mod machines;
mod proxy;
mod sockets;
mod tls;
