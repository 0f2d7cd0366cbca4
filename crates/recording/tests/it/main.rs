//! Properties of whole tapes: round trips, torn ends, that no secret gets through, and what a comparison sees.

mod compare;
mod files;
mod fixtures;
mod har;
mod redaction;
mod sample;
mod tape;
