//! The tape: its file format, the redaction that stands before it, and the comparison of two of them.
//!
//! Reading order: [`token`] says how a secret becomes a pseudonym and [`redaction`] where secrets stand on the wire;
//! [`capture`] turns redacted traffic into the bytes of a file or of several, [`tape`] reads them back, [`join`] makes
//! one of several; [`originals`] gives tokens their
//! values again for whoever can say the same once more; [`compare`] puts a tape into a canonical form and tells how two tapes
//! differ; [`show`] and [`stats`] are for people who read one; [`pack`] makes it small; [`audit`] proves that it holds
//! nothing but words of closed lists, tokens and numbers. [`har`] takes traffic from browsers and gives it to their tools.
//!
//! Nothing here opens a file or reads a clock: bytes and moments are arguments.

#![warn(missing_docs)]

mod json;
pub mod token;
pub mod redaction;
pub mod tape;
pub mod pack;
pub mod originals;
pub mod capture;
pub mod join;
pub mod har;
pub mod compare;
pub mod audit;
pub mod show;
pub mod stats;
