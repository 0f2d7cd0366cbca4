//! Whole recordings: through a real proxy on loopback, to a real file, and read back.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail like the test")]

mod many;
mod record;
