//! Any bytes for the fake GMS against a hostile client.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(fault) = simulator::hostile::server(input) {
        panic!("{fault}");
    }
});
