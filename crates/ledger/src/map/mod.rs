//! The persistent Merkle map that holds the whole state of the ledger.
//!
//! A [`Map`] takes key bytes (1 to [`KEY_BYTES_MAX`]) to value bytes (0 to
//! [`VALUE_BYTES_MAX`]), in the order of the raw key bytes. It forks in O(1), hashes only what
//! changed, and proves what it holds, and what it does not hold, to anyone who has its root.
//!
//! # The root
//!
//! A key is read as a bit string: before each byte stands a 1, the end of the key is a 0 and
//! nothing but 0 follows. Hence no two keys are prefixes of each other as bit strings, even
//! where their bytes are, and the order of the bit strings is the order of the bytes (a prefix
//! comes before what extends it). Over these strings stands the binary trie without one-way
//! branches, which a set of keys determines wholly:
//!
//! ```text
//! root(∅)           = 0³²
//! root({(k, v)})    = leaf(k, v) = B3[LEAF]( |k| as u8 ‖ |v| as u16 LE ‖ k ‖ v ‖ zeros )
//! root(S), |S| ≥ 2  = B3[BRANCH ‖ byte(p) ‖ mask(p)]( root(S₀) ‖ root(S₁) )
//!     zeros  as many zero bytes as make the whole a multiple of 64
//!     p   the first bit at which keys of S differ (byte: which byte; mask: which bit of it,
//!         0 for the bit before the byte that says "the key goes on")
//!     Sᵢ  the entries of S whose key has the bit i at p
//! ```
//!
//! `B3[x]` is BLAKE3 in its keyed mode under the public 32-byte key `x`. The keys of leaves and
//! of each branching bit are distinct, so that a leaf read as a branch, a branch read as a leaf,
//! or a branch moved to another bit is a collision of BLAKE3 between two keys; the lengths make
//! the input of a leaf decodable in one way only. A branch is one compression of one 64-byte
//! block: the bit costs nothing, as it enters through the key. Branches at one bit, and leaves of
//! one number of whole blocks, differ in their input alone, so that many are hashed side by side.
//!
//! Because the bit of every branch is bound, the path that a key takes from the root is
//! determined by the root. A path that ends in another key's leaf therefore proves absence, and
//! a proof of either kind is one path.
//!
//! # The memory
//!
//! The trie above is what is hashed, not what is stored. A node in memory holds a piece of it:
//! up to 32 children (leaves or nodes) and the branches between them in a flat array, so that a
//! look-up among a million entries follows about five pointers instead of twenty-one. How the trie
//! is cut into nodes depends on history; the root does not. Full nodes split at a subtree of about
//! half their children, sparse ones are absorbed by their parent.
//!
//! Nodes and leaves are reference counted: [`Map::clone`] copies one pointer, and a change
//! copies a node only while a fork shares it. Each node caches the hash of each of its branches
//! and children. A change clears the cached hashes on its path, [`Map::root`] fills the missing
//! ones; forks that share a node share what either has filled.
//!
//! # Bounds
//!
//! A path has at most [`PATH_STEPS_MAX`] branches, since each takes a further bit of a key. That
//! bounds the recursion of every operation, of dropping a map, and the size of every proof.

mod bit;
mod fill;
mod hash;
mod iter;
mod leaf;
mod node;
mod proof;
mod snapshot;
#[cfg(test)]
mod tests;
mod wire;
mod write;

use std::fmt;
use std::sync::Arc;

pub use hash::{EMPTY_ROOT, Hash};
pub use iter::Range;
pub use proof::{PROOF_BYTES_MAX, Proof, ProofError, verify};
pub use snapshot::{CHUNK_BYTES_MAX, Chunk, Chunks, Import, SnapshotError};
pub use write::Write;

use leaf::{Leaf, Written};
use node::{Child, Node};
use write::Writes;

/// Longest key, in bytes; the shortest has one byte.
pub const KEY_BYTES_MAX: usize = 96;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Most branches on a path: one for each bit of a key and each byte of it but the first.
pub const PATH_STEPS_MAX: usize = KEY_BYTES_MAX * 9 - 1;

/// A key or a value is outside the bounds of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundError {
    /// The key has this many bytes, which is none or more than [`KEY_BYTES_MAX`].
    Key(usize),
    /// The value has this many bytes, more than [`VALUE_BYTES_MAX`].
    Value(usize),
}

impl fmt::Display for BoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(bytes) => {
                write!(f, "the key has {bytes} bytes, allowed are 1 to {KEY_BYTES_MAX}")
            }
            Self::Value(bytes) => {
                write!(f, "the value has {bytes} bytes, allowed are at most {VALUE_BYTES_MAX}")
            }
        }
    }
}

impl std::error::Error for BoundError {}

/// Checks that a key has 1 to [`KEY_BYTES_MAX`] bytes.
fn check_key(key: &[u8]) -> Result<(), BoundError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(BoundError::Key(key.len()));
    }
    Ok(())
}

/// Checks that a value has at most [`VALUE_BYTES_MAX`] bytes.
fn check_value(value: &[u8]) -> Result<(), BoundError> {
    if value.len() > VALUE_BYTES_MAX { Err(BoundError::Value(value.len())) } else { Ok(()) }
}

/// An ordered map from key bytes to value bytes with a Merkle root over its content.
///
/// A clone is a fork: O(1), and independent of the original from then on.
#[derive(Clone, Default)]
pub struct Map {
    top: Child,
    len: usize,
}

impl Map {
    /// Returns the empty map, whose root is [`EMPTY_ROOT`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let leaf = self.nearest(key)?;
        (leaf.key() == key).then(|| leaf.value())
    }

    /// Returns whether the key has a value.
    #[must_use]
    pub fn contains_key(&self, key: &[u8]) -> bool {
        self.nearest(key).is_some_and(|leaf| leaf.key() == key)
    }

    /// Sets the value of a key and returns whether the key is new.
    ///
    /// Setting the value that the key already has leaves the cached hashes as they are.
    ///
    /// # Errors
    /// [`BoundError`], and the map is unchanged, if the key or the value is outside its bounds.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool, BoundError> {
        let len = self.len;
        self.write([(key, Some(value))])?;
        Ok(self.len > len)
    }

    /// Removes a key and returns whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let len = self.len;
        self.do_writes(Writes::new(std::iter::once((key, None))));
        self.len < len
    }

    /// Sets the value of each key, or removes the key where there is none. Writes in the order of
    /// keys are fastest: those that share a part of their way go it once.
    ///
    /// # Errors
    /// [`BoundError`] if a key or a value is outside its bounds; the writes before it are done.
    pub fn write<'a>(
        &mut self,
        writes: impl IntoIterator<Item = Write<'a>>,
    ) -> Result<(), BoundError> {
        let mut result = Ok(());
        let checked = writes.into_iter().map_while(|(key, value)| {
            result = check_key(key).and_then(|()| check_value(value.unwrap_or_default()));
            result.is_ok().then_some((key, value))
        });
        self.do_writes(Writes::new(checked));
        result
    }

    fn do_writes<'a>(&mut self, mut writes: Writes<'a, impl Iterator<Item = Write<'a>>>) {
        while let Some((key, value)) = writes.current() {
            match (&mut self.top, value) {
                (Child::Node(node), _) => {
                    let leaves_at = node::write(node, &mut writes);
                    let node = Arc::make_mut(node);
                    if let Some(only) = node.take_only_child() {
                        self.top = only;
                    } else if let Some(bit) = leaves_at {
                        node.add_current(&mut writes, bit);
                    }
                    continue;
                }
                (Child::Leaf(leaf), Some(value)) => {
                    if let Written::Differs(bit) = leaf.write(key, value) {
                        let node = Node::pair(leaf.clone(), Leaf::new(key, value), bit);
                        self.top = Child::Node(Arc::new(node));
                        writes.added += 1;
                    }
                }
                (Child::Leaf(leaf), None) if leaf.key() == key => {
                    self.top = Child::Empty;
                    writes.removed += 1;
                }
                (Child::Empty, Some(value)) => {
                    self.top = Child::Leaf(Leaf::new(key, value));
                    writes.added += 1;
                }
                (Child::Leaf(_) | Child::Empty, None) => {}
            }
            writes.advance();
        }
        self.len = self.len + writes.added - writes.removed;
    }

    /// Returns the root, hashing what changed since it was last asked for, here or in a fork
    /// that shares it.
    #[must_use]
    pub fn root(&self) -> Hash {
        match &self.top {
            Child::Empty => EMPTY_ROOT,
            Child::Leaf(leaf) => leaf.hash(),
            Child::Node(node) => node.hash(),
        }
    }

    /// Returns all entries in the order of their keys.
    #[must_use]
    pub fn iter(&self) -> Range<'_> {
        self.range(&[])
    }

    /// Returns the entries whose key is `from` or comes after it, in order.
    #[must_use]
    pub fn range(&self, from: &[u8]) -> Range<'_> {
        Range::new(&self.top, from)
    }

    /// Returns the entries whose key starts with `prefix`, in order.
    pub fn prefix<'a>(
        &'a self,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        self.range(prefix).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Returns the first entry whose key is `from` or comes after it, without allocating.
    #[must_use]
    pub fn first_from(&self, from: &[u8]) -> Option<(&[u8], &[u8])> {
        iter::first_from(&self.top, from).map(Leaf::entry)
    }

    /// Returns the leaf at which the path of a key ends, if there is an entry at all.
    fn nearest(&self, key: &[u8]) -> Option<&Leaf> {
        self.top.nearest(key)
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Range<'a>;

    fn into_iter(self) -> Range<'a> {
        self.iter()
    }
}
