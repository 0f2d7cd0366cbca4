//! Real sockets on loopback, port 0.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test")]

mod bench;
mod proxy;
