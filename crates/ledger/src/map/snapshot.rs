//! Snapshots: a map as a sequence of chunks, each verified on its own against the root.
//!
//! A chunk carries all entries from its first key to its last, and the hashes of what lies left
//! and right of them:
//!
//! ```text
//! chunk = left steps ‖ count as u32 ‖ (|k|, |v| ‖ k ‖ v)… ‖ right steps
//! left  = the branches at which the first entry's path goes to the 1, with the 0 side's hash
//! right = the branches at which the last entry's path goes to the 0, with the 1 side's hash
//! ```
//!
//! The leaves of a trie in order, with the bits at which neighbours differ, determine the trie:
//! of a run of them the smallest bit is the branch on top. The verifier therefore computes the
//! bits between the entries itself, takes those at the two edges from the steps, and folds
//! everything to a root. If that is the right root, then by collision resistance each hash stands
//! for the subtree that the map has there. All of them lie left of the first entry or right of
//! the last, so nothing between the two can be missing, added or altered.
//!
//! A chunk begins with the entry with which its predecessor ended: that alone joins them without
//! a gap. No left steps means that a chunk begins the map, no right steps that it ends it.

use std::fmt;

use super::bit::Bit;
use super::hash::{self, EMPTY_ROOT, Hash};
use super::proof::trace;
use super::wire::{self, Malformed, Reader, STEPS_BYTES_MAX, Step};
use super::{BoundError, Map};

/// Most bytes of a chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes that a chunk may spend on entries.
const CHUNK_ENTRIES_BYTES_MAX: usize = CHUNK_BYTES_MAX - 2 * STEPS_BYTES_MAX - 4;

/// A snapshot is not one of the map with the root that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// The bytes are not the encoding of a chunk.
    Malformed,
    /// The chunk belongs to another root, or its entries are not all that the map has there.
    OtherRoot,
    /// The chunk does not begin where the chunk before it ended, or goes no further.
    NotNext,
    /// The last chunk has been accepted already.
    Complete,
    /// The last chunk has not been accepted yet.
    Incomplete,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the bytes are not a chunk",
            Self::OtherRoot => "the chunk does not lead to the root",
            Self::NotNext => "the chunk does not follow the one before it",
            Self::Complete => "the snapshot is already complete",
            Self::Incomplete => "the snapshot is not complete yet",
        })
    }
}

impl std::error::Error for SnapshotError {}

impl From<Malformed> for SnapshotError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<BoundError> for SnapshotError {
    fn from(_: BoundError) -> Self {
        Self::Malformed
    }
}

/// A verified chunk: all entries of the map between its first key and its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk<'a> {
    entries: Vec<(&'a [u8], &'a [u8])>,
    begins_map: bool,
    ends_map: bool,
}

impl<'a> Chunk<'a> {
    /// Reads a chunk and verifies it against the root of the map.
    ///
    /// # Errors
    /// [`SnapshotError::Malformed`] or [`SnapshotError::OtherRoot`].
    pub fn open(root: &Hash, bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        if bytes.len() > CHUNK_BYTES_MAX {
            return Err(SnapshotError::Malformed);
        }
        let mut reader = Reader::new(bytes);
        let left = reader.steps()?;
        let count = u32::from_le_bytes(reader.array()?);
        let mut fold = Fold::default();
        let mut bit = None;
        for step in &left {
            fold.push(bit, step.sibling)?;
            bit = Some(step.bit);
        }
        let mut entries: Vec<(&[u8], &[u8])> = Vec::new();
        for _ in 0..count {
            let entry = reader.entry()?;
            if let Some((before, _)) = entries.last() {
                let parts_at = Bit::first_difference(before, entry.key);
                bit = Some(parts_at.filter(|bit| bit.of(entry.key)).ok_or(Malformed)?);
            }
            fold.push(bit, hash::leaf(entry.written))?;
            entries.push((entry.key, entry.value));
        }
        let right = reader.steps()?;
        reader.end()?;
        for step in right.iter().rev() {
            fold.push(Some(step.bit), step.sibling)?;
        }
        if entries.is_empty() || fold.root() != Some(*root) {
            return Err(SnapshotError::OtherRoot);
        }
        Ok(Self { entries, begins_map: left.is_empty(), ends_map: right.is_empty() })
    }

    /// Returns the entries in order; there is at least one.
    #[must_use]
    pub fn entries(&self) -> &[(&'a [u8], &'a [u8])] {
        &self.entries
    }

    /// Returns whether the map has nothing before the first entry.
    #[must_use]
    pub fn begins_map(&self) -> bool {
        self.begins_map
    }

    /// Returns whether the map has nothing after the last entry.
    #[must_use]
    pub fn ends_map(&self) -> bool {
        self.ends_map
    }
}

/// Folds neighbouring subtrees, given from left to right, to the root of the trie over them.
#[derive(Default)]
struct Fold {
    /// Subtrees that wait for the other side of their branch, by ascending rank of its bit.
    waiting: Vec<(Hash, Bit)>,
    last: Option<Hash>,
}

impl Fold {
    /// Adds the next subtree, which parts from the one before it at `bit`; the first has none.
    fn push(&mut self, bit: Option<Bit>, next: Hash) -> Result<(), Malformed> {
        match (self.last.replace(next), bit) {
            (None, None) => Ok(()),
            (Some(before), Some(bit)) => {
                let zeros = self.close(before, bit.rank());
                // Two branches at one bit cannot be above each other.
                if self.waiting.last().is_some_and(|(_, above)| above.rank() == bit.rank()) {
                    return Err(Malformed);
                }
                self.waiting.push((zeros, bit));
                Ok(())
            }
            (None, Some(_)) | (Some(_), None) => Err(Malformed),
        }
    }

    /// Closes the waiting branches below a rank; returns the subtree that ends with `last`.
    fn close(&mut self, last: Hash, rank: u16) -> Hash {
        let mut subtree = last;
        while let Some((zeros, bit)) = self.waiting.pop_if(|(_, bit)| bit.rank() > rank) {
            subtree = hash::branch(bit, &zeros, &subtree);
        }
        subtree
    }

    /// Returns the root over everything added, if anything was.
    fn root(mut self) -> Option<Hash> {
        let last = self.last?;
        // No branch has rank 0, as every key has a first byte.
        Some(self.close(last, 0))
    }
}

impl Map {
    /// Returns the chunk that begins with the first key from `from` on, or `None` if no key does.
    #[must_use]
    pub fn chunk(&self, from: &[u8]) -> Option<Vec<u8>> {
        self.chunk_and_last_key(from).map(|(chunk, _)| chunk)
    }

    /// Returns the chunks of a snapshot in order; none if the map is empty.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks { map: self, from: Some(Vec::new()) }
    }

    /// Returns a chunk and, unless it ends the map, its last key.
    pub(crate) fn chunk_and_last_key(&self, from: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let mut leaves = self.range(from);
        let first = leaves.next_leaf()?;
        let (mut last, mut count) = (first, 1_u32);
        let mut entries = first.written().to_vec();
        while let Some(leaf) = leaves.next_leaf() {
            if entries.len() + leaf.written().len() > CHUNK_ENTRIES_BYTES_MAX {
                break;
            }
            entries.extend_from_slice(leaf.written());
            last = leaf;
            count += 1;
        }
        let left = self.edge(first.key(), |side| side);
        let right = self.edge(last.key(), |side| !side);
        let mut chunk = Vec::with_capacity(entries.len() + 2 * STEPS_BYTES_MAX + 4);
        wire::write_steps(&left, &mut chunk);
        chunk.extend_from_slice(&count.to_le_bytes());
        chunk.extend_from_slice(&entries);
        wire::write_steps(&right, &mut chunk);
        Some((chunk, (!right.is_empty()).then(|| last.key().to_vec())))
    }

    /// Returns the steps of a key's path at which it takes a side that is asked for.
    fn edge(&self, key: &[u8], takes: impl Fn(bool) -> bool) -> Vec<Step> {
        let mut steps = trace(&self.top, key).map_or_else(Vec::new, |(steps, _)| steps);
        steps.retain(|step| takes(step.bit.of(key)));
        steps
    }
}

/// The chunks of a snapshot, in order.
#[derive(Debug)]
pub struct Chunks<'a> {
    map: &'a Map,
    /// The key with which the next chunk begins.
    from: Option<Vec<u8>>,
}

impl Iterator for Chunks<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let (chunk, last_key) = self.map.chunk_and_last_key(&self.from.take()?)?;
        self.from = last_key;
        Some(chunk)
    }
}

/// Rebuilds a map from the chunks of a snapshot, of which nothing is trusted but the root.
#[derive(Debug)]
pub struct Import {
    root: Hash,
    map: Map,
    /// The key with which the next chunk must begin; `None` once complete.
    from: Option<Vec<u8>>,
}

impl Import {
    /// Starts to rebuild the map with this root.
    #[must_use]
    pub fn new(root: Hash) -> Self {
        Self { root, map: Map::new(), from: (root != EMPTY_ROOT).then(Vec::new) }
    }

    /// Returns the key from which to ask for the next chunk (see [`Map::chunk`]), or `None` if
    /// all have been accepted.
    #[must_use]
    pub fn wants(&self) -> Option<&[u8]> {
        self.from.as_deref()
    }

    /// Verifies the next chunk and takes in its entries.
    ///
    /// # Errors
    /// [`SnapshotError`], and the import is as it was: another chunk may be tried.
    pub fn accept(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let from = self.from.as_ref().ok_or(SnapshotError::Complete)?;
        let chunk = Chunk::open(&self.root, chunk)?;
        let mut entries = chunk.entries();
        if from.is_empty() {
            if !chunk.begins_map() {
                return Err(SnapshotError::NotNext);
            }
        } else {
            let follows = entries.split_off_first().is_some_and(|(key, _)| key == from);
            if !follows || entries.is_empty() {
                return Err(SnapshotError::NotNext);
            }
        }
        for (key, value) in entries {
            self.map.insert(key, value)?;
        }
        let last_key = chunk.entries().last().map(|(key, _)| key.to_vec());
        self.from = last_key.filter(|_| !chunk.ends_map());
        Ok(())
    }

    /// Returns the map, whose root is the one that was asked for.
    ///
    /// # Errors
    /// [`SnapshotError::Incomplete`] if chunks are missing.
    pub fn finish(self) -> Result<Map, SnapshotError> {
        if self.from.is_some() {
            return Err(SnapshotError::Incomplete);
        }
        // Holds by the verification of the chunks; a map that broke it must not be used.
        assert_eq!(self.map.root(), self.root, "verified chunks rebuild the root");
        Ok(self.map)
    }
}
