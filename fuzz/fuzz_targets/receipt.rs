//! Runs the target `receipt` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("receipt"),
    |data: &[u8]| fuzzing::receipt(data)
);
