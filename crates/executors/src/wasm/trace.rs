//! The trace root: a hash over what only execution yields.
//!
//! It covers every host call (which one, its arguments, its result, the fuel left) and, at the end,
//! how the guest ended, its fuel, its mutable globals and its linear memory. Memory is left out
//! where the guest trapped on an access that crosses its end, because machines differ in how much
//! of such a store they write. Blocks of zeros are not hashed, only skipped.

use super::engine::{Exit, TrapKind};

/// The BLAKE3 key-derivation context of trace roots.
const TRACE_CONTEXT: &str = "idlewild 1 job trace";
/// The bytes of memory that are hashed or skipped together.
const BLOCK_BYTES: usize = 4096;

const CALL: u8 = 0;
const END: u8 = 1;

/// Hashes the trace of one run.
#[derive(Debug)]
pub(super) struct Trace {
    hasher: blake3::Hasher,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { hasher: blake3::Hasher::new_derive_key(TRACE_CONTEXT) }
    }

    /// Notes a host call; `result` is the `errno`, or none if the call ended the guest.
    pub(super) fn call(&mut self, index: u32, args: &[u64], result: Option<u32>, fuel: i64) {
        self.hasher.update(&[CALL]);
        self.hasher.update(&index.to_le_bytes());
        for arg in args {
            self.hasher.update(&arg.to_le_bytes());
        }
        let result = result.map_or(u64::MAX, u64::from);
        self.hasher.update(&result.to_le_bytes());
        self.hasher.update(&fuel.to_le_bytes());
    }

    /// Notes the end and returns the root.
    pub(super) fn finish(&mut self, exit: Exit, fuel: i64, end: &FinalState<'_>) -> [u8; 32] {
        let (kind, code) = match exit {
            Exit::Code(code) => (0, code),
            Exit::Trap(trap) => (1, u32::from(trap.code())),
        };
        self.hasher.update(&[END, kind]);
        self.hasher.update(&code.to_le_bytes());
        self.hasher.update(&fuel.to_le_bytes());
        self.hasher.update(&(end.globals.len() as u64).to_le_bytes());
        for bits in &end.globals {
            self.hasher.update(&bits.to_le_bytes());
        }
        if exit != Exit::Trap(TrapKind::MemoryOutOfBounds) {
            self.memory(end.memory);
        }
        *self.hasher.finalize().as_bytes()
    }

    fn memory(&mut self, memory: &[u8]) {
        self.hasher.update(&(memory.len() as u64).to_le_bytes());
        for (index, block) in (0_u64..).zip(memory.chunks(BLOCK_BYTES)) {
            if !is_zero(block) {
                self.hasher.update(&index.to_le_bytes());
                self.hasher.update(block);
            }
        }
    }
}

/// What a guest leaves behind.
#[derive(Debug)]
pub(super) struct FinalState<'a> {
    pub(super) memory: &'a [u8],
    /// The bits of the mutable globals, in the order of their indices.
    pub(super) globals: Vec<u128>,
}

fn is_zero(block: &[u8]) -> bool {
    let (words, rest) = block.as_chunks::<8>();
    words.iter().all(|word| u64::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(memory: &[u8], exit: Exit) -> [u8; 32] {
        Trace::new().finish(exit, 5, &FinalState { memory, globals: vec![1, 2] })
    }

    #[test]
    fn the_root_depends_on_every_byte_of_memory_and_on_its_place() {
        let zeros = root(&[0; 3 * BLOCK_BYTES], Exit::Code(0));
        let mut seen = vec![zeros, root(&[0; 4 * BLOCK_BYTES], Exit::Code(0))];
        for place in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES - 1] {
            let mut memory = [0; 3 * BLOCK_BYTES];
            memory[place] = 1;
            seen.push(root(&memory, Exit::Code(0)));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn the_root_depends_on_calls_and_exit() {
        let mut trace = Trace::new();
        trace.call(3, &[1, 2], Some(0), 9);
        let end = || FinalState { memory: &[], globals: Vec::new() };
        let with_call = trace.finish(Exit::Code(0), 9, &end());
        assert_ne!(with_call, Trace::new().finish(Exit::Code(0), 9, &end()));
        assert_ne!(root(&[], Exit::Code(0)), root(&[], Exit::Code(1)));
        assert_ne!(root(&[], Exit::Code(0)), root(&[], Exit::Trap(TrapKind::Unreachable)));
    }
}
