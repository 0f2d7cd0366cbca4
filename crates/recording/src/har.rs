//! HAR 1.2 in and out: what a browser or a proxy exported becomes traffic for a tape, and a tape becomes a HAR that
//! developer tools open.
//!
//! A HAR knows start times and durations instead of moments, and no connection but those that carried something. So what
//! is imported is ordered by its times, with the resolution that the file has, and a connection lasts from its first use to its
//! last and is marked as synthetic. A HAR that was exported from a tape carries in its own members (`_bx`) what HAR has no place for, and
//! becomes that very tape again.

mod archive;
mod contents;
mod export;
mod file;
mod import;
mod order;
mod original;

pub use self::export::export;
pub use self::import::{Connection, ImportError, Imported, LeftOut, Maker, Traffic, import};
