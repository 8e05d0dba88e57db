//! Runs the target `wasi_calls` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("wasi_calls"),
    |data: &[u8]| fuzzing::wasi_calls(data)
);
