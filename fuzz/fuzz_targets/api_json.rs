//! Runs the target `api_json` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("api_json"),
    |data: &[u8]| fuzzing::api_json(data)
);
