//! Any bytes for the chat client against a hostile server.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(fault) = simulator::hostile::client(input) {
        panic!("{fault}");
    }
});
