//! Properties of whole tapes: round trips, torn ends, that no secret gets through, and what a comparison sees.

mod audit;
mod compare;
mod files;
mod fixtures;
mod pack;
mod originals;
mod har;
mod hostile_har;
mod redaction;
mod parts;
mod shift;
mod show;
mod sample;
mod tape;
