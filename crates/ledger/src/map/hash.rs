//! The two kinds of hash, and the cell in which a node caches one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::bit::Bit;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// Root of the map without entries.
pub const EMPTY_ROOT: Hash = [0; 32];

/// Key under which leaves are hashed.
const LEAF_KEY: &Hash = b"idlewild state map leaf, rules 1";
/// Key under which branches are hashed; the bit takes the place of the last two bytes.
const BRANCH_KEY: &Hash = b"idlewild state map branch 1   \0\0";

/// Returns the hash of a leaf whose lengths, key and value are written one after the other.
pub(super) fn leaf(written: &[u8]) -> Hash {
    *blake3::keyed_hash(LEAF_KEY, written).as_bytes()
}

/// Returns the hash of the branch at `bit` over the entries with 0 and those with 1 there.
pub(super) fn branch(bit: Bit, zeros: &Hash, ones: &Hash) -> Hash {
    let mut key = *BRANCH_KEY;
    key[30..].copy_from_slice(&bit.to_wire());
    let mut block = [0; 64];
    block[..32].copy_from_slice(zeros);
    block[32..].copy_from_slice(ones);
    *blake3::keyed_hash(&key, &block).as_bytes()
}

/// A place for one hash that can be filled through a shared reference.
///
/// The cell does not say whether it is filled: its owner keeps that in one word for many cells
/// and publishes it with release order after the store. All who fill a cell write the same
/// words, because a hash depends on content only.
#[derive(Default)]
pub(super) struct Cell([AtomicU64; 4]);

impl Cell {
    /// Returns the hash.
    pub(super) fn load(&self) -> Hash {
        let mut hash = EMPTY_ROOT;
        for (bytes, word) in hash.chunks_exact_mut(8).zip(&self.0) {
            bytes.copy_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        hash
    }

    /// Stores the hash.
    pub(super) fn store(&self, hash: &Hash) {
        for (bytes, word) in hash.as_chunks::<8>().0.iter().zip(&self.0) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
    }

    /// Returns a cell with the same words.
    pub(super) fn copy(&self) -> Self {
        Self(std::array::from_fn(|word| AtomicU64::new(self.0[word].load(Relaxed))))
    }
}
