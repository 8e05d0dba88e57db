//! Runs the target `certificate` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("certificate"),
    |data: &[u8]| fuzzing::certificate(data)
);
