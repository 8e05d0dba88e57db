//! The check of a proof as a module for browsers: no imports, two exports.
//!
//! `cargo build --release -p light --example browser --target wasm32-unknown-unknown` builds it.
//! From JavaScript, with the bytes of `genesis.json` and of a proof:
//!
//! ```js
//! const { memory, room, check } = (await WebAssembly.instantiate(module)).instance.exports;
//! const place = room(genesis.length + proof.length);
//! const input = new Uint8Array(memory.buffer, place);
//! input.set(genesis); input.set(proof, genesis.length);
//! check(genesis.length);    // 1: the row is there, 0: it is not, -1: nothing is proven
//! ```
#![expect(unsafe_code, reason = "exports have names that others link to")]

use std::sync::{Mutex, PoisonError};

use light::Proof;
use types::{Decode, Genesis};

/// The most bytes of a genesis and a proof together.
const INPUT_BYTES_MAX: usize = 1 << 20;

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Returns where to write a genesis and a proof, so many bytes together; null for too many.
// SAFETY: no other function of the module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn room(bytes: usize) -> *mut u8 {
    if bytes > INPUT_BYTES_MAX {
        return std::ptr::null_mut();
    }
    let mut input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
    *input = vec![0; bytes];
    input.as_mut_ptr()
}

/// Checks the proof that follows a genesis of so many bytes.
// SAFETY: no other function of the module has this name.
#[unsafe(no_mangle)]
pub extern "C" fn check(genesis_bytes: usize) -> i32 {
    let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((genesis, proof)) = input.split_at_checked(genesis_bytes) else { return -1 };
    match shown(genesis, proof) {
        Some(is_there) => i32::from(is_there),
        None => -1,
    }
}

/// Returns whether the row is there, or nothing where neither is proven.
fn shown(genesis: &[u8], proof: &[u8]) -> Option<bool> {
    let genesis: Genesis = serde_json::from_slice(genesis).ok()?;
    let proven = Proof::from_bytes(proof).ok()?.verify(&genesis).ok()?;
    Some(proven.record.is_some())
}
