//! Runs the target `constraint` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("constraint"),
    |data: &[u8]| fuzzing::constraint(data)
);
