//! Twenty repetitions of the whole suite, each with its own seed and network, come to the same verdicts on every dialect.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::drive::assert_steady;

const DIALECTS: [&str; 6] = ["cometd-2.9", "cometd-3.0", "cometd-3.1", "cometd-4.0.0", "cometd-4.0.4", "cometd-5.0"];

const REPETITIONS: u64 = 20;

#[test]
fn twenty_repetitions_come_to_the_same_verdicts() {
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(dialect) = DIALECTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    assert_steady(dialect, 1..=REPETITIONS);
                }
            });
        }
    });
}
