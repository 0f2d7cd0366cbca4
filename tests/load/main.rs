//! Many clients at once through the recorder: what each end saw is counted apart and must agree, and memory must not grow with
//! the number of messages.
//!
//! The plain run takes 200 sessions; `TAPESTRY_LOAD=1000` takes as many as one wants.

mod account;
mod client;
#[path = "../../crates/cli/src/descriptors.rs"]
mod descriptors;
mod http;
mod limits;
mod process;
mod recorded;
mod server;
mod taped;
