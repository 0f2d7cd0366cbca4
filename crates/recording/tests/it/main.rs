//! Properties of whole tapes: round trips, torn ends, and that no secret gets through.

mod redaction;
mod sample;
mod tape;
