//! The two kinds of hash, and the cell in which a node caches one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use blake3::IncrementCounter;
use blake3::platform::{self, Platform};

use super::bit::Bit;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// Root of the map without entries.
pub const EMPTY_ROOT: Hash = [0; 32];

/// Key under which leaves are hashed.
const LEAF_KEY: &Hash = b"idlewild state map leaf, rules 1";
/// Key under which branches are hashed; the bit takes the place of the last two bytes.
const BRANCH_KEY: &Hash = b"idlewild state map branch 1   \0\0";

/// Bytes of a block, the unit in which BLAKE3 takes its input.
pub(super) const BLOCK_BYTES: usize = blake3::BLOCK_LEN;
/// How many hashes are made side by side: as many as the widest vectors have lanes.
pub(super) const LANES: usize = 16;

/// Returns the hash of a leaf whose lengths, key and value are written one after the other.
pub(super) fn leaf(written: &[u8]) -> Hash {
    let padding = written.len().next_multiple_of(BLOCK_BYTES) - written.len();
    let mut hasher = blake3::Hasher::new_keyed(LEAF_KEY);
    hasher.update(written).update(&[0; BLOCK_BYTES][..padding]);
    *hasher.finalize().as_bytes()
}

/// Returns the hashes of the first `count` leaves, each written and padded with zeros to a whole
/// number of blocks, at most a chunk.
pub(super) fn leaves<const BYTES: usize>(
    padded: &[[u8; BYTES]; LANES],
    count: usize,
) -> [Hash; LANES] {
    side_by_side(LEAF_KEY, padded, count)
}

/// Returns the hash of the branch at `bit` over the entries with 0 and those with 1 there.
pub(super) fn branch(bit: Bit, zeros: &Hash, ones: &Hash) -> Hash {
    *blake3::keyed_hash(&branch_key(bit), [*zeros, *ones].as_flattened()).as_bytes()
}

/// Returns the hashes of the first `count` branches, all at one bit.
pub(super) fn branches(bit: Bit, sides: &[[Hash; 2]; LANES], count: usize) -> [Hash; LANES] {
    let blocks = sides.map(|[zeros, ones]| {
        let mut block = [0; BLOCK_BYTES];
        block[..32].copy_from_slice(&zeros);
        block[32..].copy_from_slice(&ones);
        block
    });
    side_by_side(&branch_key(bit), &blocks, count)
}

fn branch_key(bit: Bit) -> Hash {
    let mut key = *BRANCH_KEY;
    key[30..].copy_from_slice(&bit.to_wire());
    key
}

/// Returns what [`blake3::keyed_hash`] does of each of the first `count` inputs, whole blocks of
/// one chunk. The flags of their compressions are those of the BLAKE3 paper, table 3.
fn side_by_side<const BYTES: usize>(
    key: &Hash,
    inputs: &[[u8; BYTES]; LANES],
    count: usize,
) -> [Hash; LANES] {
    const { assert!(BYTES.is_multiple_of(BLOCK_BYTES) && BYTES <= blake3::CHUNK_LEN) };
    const CHUNK_START: u8 = 1 << 0;
    const CHUNK_END: u8 = 1 << 1;
    const ROOT: u8 = 1 << 3;
    const KEYED_HASH: u8 = 1 << 4;
    let mut hashes = [EMPTY_ROOT; LANES];
    Platform::detect().hash_many(
        &inputs.each_ref()[..count],
        &platform::words_from_le_bytes_32(key),
        0,
        IncrementCounter::No,
        KEYED_HASH,
        CHUNK_START,
        CHUNK_END | ROOT,
        hashes.as_flattened_mut(),
    );
    hashes
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
