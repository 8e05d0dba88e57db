//! Runs the target `block` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("block"),
    |data: &[u8]| fuzzing::block(data)
);
