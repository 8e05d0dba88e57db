//! Runs the target `wasm_module` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::wasm_module(data));
