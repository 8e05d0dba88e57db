//! Runs the target `transaction` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("transaction"),
    |data: &[u8]| fuzzing::transaction(data)
);
