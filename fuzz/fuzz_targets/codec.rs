//! Any bytes for whatever reads a body, a frame, a form or the data of a message.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(fault) = simulator::hostile::codec(input) {
        panic!("{fault}");
    }
});
