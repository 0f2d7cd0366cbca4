//! Clients under test in virtual time: our own, mutated ones, a model of the published sample, and some that do nothing.

mod drive;
#[path = "../it/shared.rs"]
mod shared;
mod own;
mod mutant;
mod mutants;
mod kill;
mod sample;
mod null;
mod door;
mod replay;
