//! Runs the target `light` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("light"),
    |data: &[u8]| fuzzing::light(data)
);
