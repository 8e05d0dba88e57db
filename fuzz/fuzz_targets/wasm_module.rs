//! Runs the target `wasm_module` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: fuzzing::plant("wasm_module"),
    |data: &[u8]| fuzzing::wasm_module(data)
);
