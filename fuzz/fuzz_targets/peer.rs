//! Runs the target `peer` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("peer"),
    |data: &[u8]| fuzzing::peer(data)
);
