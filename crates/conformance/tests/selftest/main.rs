//! What the suite is worth, measured in full: every mutation of the simulator with every case. It takes minutes, so the plain
//! test command leaves it out: `cargo xtask selftest --mutants`.

mod diagnosis;
#[path = "../it/drive.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod drive;
mod matrix;
#[path = "../it/mutants.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod mutants;
mod offline;
mod repetitions;
#[path = "../it/shared.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod shared;
