//! One entry in one allocation: `|k| as u8 ‖ |v| as u16 LE ‖ k ‖ v ‖ spare`.
//!
//! The spare bytes round the allocation up to what the allocator gives anyway, so that a value
//! whose length changes a little is still written in place. They are never hashed.

use std::sync::Arc;

use super::bit::Bit;
use super::hash::{self, Hash};

/// Bytes before the key.
const HEAD_BYTES: usize = 3;
/// Allocations are rounded up to this many bytes.
const ROUND_BYTES: usize = 16;
/// Entries up to this size are put together on the stack.
const STACK_BYTES: usize = 512;

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The key had this very value.
    Unchanged,
    /// The key had another value.
    Changed,
    /// The key is new and nothing is written; it leaves the path it took at this bit.
    Differs(Bit),
}

/// A key and its value, shared until written.
#[derive(Clone)]
pub(super) struct Leaf(Arc<[u8]>);

impl Leaf {
    /// Makes an entry of a key and a value within their bounds.
    pub(super) fn new(key: &[u8], value: &[u8]) -> Self {
        let bytes = (HEAD_BYTES + key.len() + value.len()).next_multiple_of(ROUND_BYTES);
        let mut stack = [0; STACK_BYTES];
        let mut heap = Vec::new();
        let buffer = match stack.get_mut(..bytes) {
            Some(buffer) => buffer,
            None => {
                heap.resize(bytes, 0);
                &mut heap[..]
            }
        };
        let (head, tail) = buffer.split_at_mut(HEAD_BYTES);
        head.copy_from_slice(&write_head(key, value));
        tail[..key.len()].copy_from_slice(key);
        tail[key.len()..key.len() + value.len()].copy_from_slice(value);
        Self(Arc::from(&*buffer))
    }

    /// Returns the key.
    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        &self.0[HEAD_BYTES..HEAD_BYTES + usize::from(self.0[0])]
    }

    /// Returns the value.
    #[inline]
    pub(super) fn value(&self) -> &[u8] {
        self.entry().1
    }

    /// Returns the key and the value.
    #[inline]
    pub(super) fn entry(&self) -> (&[u8], &[u8]) {
        self.written()[HEAD_BYTES..].split_at(usize::from(self.0[0]))
    }

    /// Returns lengths, key and value: what is hashed and what a snapshot carries.
    #[inline]
    pub(super) fn written(&self) -> &[u8] {
        let value_bytes = u16::from_le_bytes([self.0[1], self.0[2]]);
        &self.0[..HEAD_BYTES + usize::from(self.0[0]) + usize::from(value_bytes)]
    }

    /// Returns how many blocks the hash takes in, at least one.
    pub(super) fn blocks(&self) -> usize {
        self.written().len().div_ceil(hash::BLOCK_BYTES)
    }

    /// Returns the hash of the entry.
    pub(super) fn hash(&self) -> Hash {
        hash::leaf(self.written())
    }

    /// Sets the value if the key is the entry's own, in place where nobody shares the entry and
    /// the room fits.
    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) -> Written {
        if self.key() != key {
            return Bit::first_difference(self.key(), key)
                .map_or(Written::Unchanged, Written::Differs);
        }
        if self.value() == value {
            return Written::Unchanged;
        }
        let bytes = HEAD_BYTES + key.len() + value.len();
        match Arc::get_mut(&mut self.0) {
            // A value that has shrunk much gives its memory back.
            Some(room) if bytes <= room.len() && bytes > room.len() / 2 => {
                room[..HEAD_BYTES].copy_from_slice(&write_head(key, value));
                room[HEAD_BYTES + key.len()..bytes].copy_from_slice(value);
            }
            _ => *self = Self::new(key, value),
        }
        Written::Changed
    }
}

/// Returns the lengths of a key and a value within their bounds as they stand before an entry.
pub(super) fn write_head(key: &[u8], value: &[u8]) -> [u8; HEAD_BYTES] {
    let key_bytes = u8::try_from(key.len()).expect("a key has at most 96 bytes");
    let value_bytes = u16::try_from(value.len()).expect("a value has at most 16 KiB");
    let [low, high] = value_bytes.to_le_bytes();
    [key_bytes, low, high]
}

/// Returns the hash that the entry of a key and a value within their bounds has.
pub(super) fn hash_entry(key: &[u8], value: &[u8]) -> Hash {
    hash::leaf(&[&write_head(key, value), key, value].concat())
}
