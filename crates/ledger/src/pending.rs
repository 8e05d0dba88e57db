//! What a block has written and the map does not hold yet.
//!
//! A market writes the same few rows again and again, and many that it removes before the block
//! ends. Kept here they cost one look-up in a table each time, and the map is written once, in the
//! order of keys, in which neighbours share the way through it.
//!
//! The table's hash is seeded at random, so that nobody can choose keys that collide. The seed
//! decides where a row lies in memory and nothing else: rows leave in the order of their keys.

use std::ops::Range;

use indexmap::{IndexMap, map::Entry};

use crate::{key::KeyBytes, map::Map};

/// Rows that were written, and how to take back what the running attempt wrote.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    rows: IndexMap<KeyBytes, Value, foldhash::fast::RandomState>,
    /// Encoded values, one after another; one that was overwritten stays until the block ends.
    bytes: Vec<u8>,
    /// The rows that the running attempt wrote, with what they were before, in order.
    before: Vec<(usize, Value)>,
}

/// What is known here of a row.
#[derive(Debug, Clone, Default)]
enum Value {
    /// Nothing: it is as the map has it.
    #[default]
    InMap,
    /// It is not there.
    Absent,
    /// It is there, and these are its bytes.
    Present(Range<usize>),
}

impl Pending {
    /// Returns a row's value, `Some(None)` if it is known to be absent, or `None` if the map
    /// has the answer.
    pub(crate) fn get(&self, key: &KeyBytes) -> Option<Option<&[u8]>> {
        match self.rows.get(key)? {
            Value::InMap => None,
            Value::Absent => Some(None),
            Value::Present(range) => Some(self.bytes.get(range.clone())),
        }
    }

    /// Sets a row to what `encode` appends, and returns how many bytes that is.
    pub(crate) fn put(&mut self, key: KeyBytes, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        let range = start..self.bytes.len();
        let length = range.len();
        self.set(key, Value::Present(range));
        length
    }

    /// Takes a row away.
    pub(crate) fn remove(&mut self, key: KeyBytes) {
        self.set(key, Value::Absent);
    }

    fn set(&mut self, key: KeyBytes, value: Value) {
        let (index, before) = match self.rows.entry(key) {
            Entry::Occupied(mut row) => (row.index(), row.insert(value)),
            Entry::Vacant(row) => {
                let index = row.index();
                row.insert(value);
                (index, Value::InMap)
            }
        };
        self.before.push((index, before));
    }

    /// Keeps what the attempt wrote. Rows that are walked in order go to the map at once.
    pub(crate) fn keep(&mut self, map: &mut Map) {
        for (index, _) in self.before.drain(..) {
            let Some((key, value)) = self.rows.get_index_mut(index) else { continue };
            if key.is_walked() {
                write(map, key, value, &self.bytes);
                *value = Value::InMap;
            }
        }
    }

    /// Takes back what the attempt wrote.
    pub(crate) fn undo(&mut self) {
        for (index, before) in self.before.drain(..).rev() {
            if let Some((_, value)) = self.rows.get_index_mut(index) {
                *value = before;
            }
        }
    }

    /// Writes everything to the map, rows of one subject one after another.
    pub(crate) fn flush(&mut self, map: &mut Map) {
        let heads = self.rows.keys().enumerate().map(|(index, key)| (key.head(), index));
        let mut order: Vec<(u64, usize)> = heads.collect();
        order.sort_unstable();
        for (_, index) in order {
            let Some((key, value)) = self.rows.get_index(index) else { continue };
            write(map, key, value, &self.bytes);
        }
        self.rows.clear();
        self.bytes.clear();
    }
}

fn write(map: &mut Map, key: &KeyBytes, value: &Value, bytes: &[u8]) {
    match value {
        Value::InMap => {}
        // Most rows that are removed came and went within the block.
        Value::Absent if !map.contains_key(key.as_slice()) => {}
        Value::Absent => {
            map.remove(key.as_slice());
        }
        Value::Present(range) => {
            let value = bytes.get(range.clone()).unwrap_or_default();
            map.insert(key.as_slice(), value)
                .expect("keys are shorter than the map's bound, values are checked by put");
        }
    }
}

/// A clone takes what is pending, not the room for it, so that between blocks it costs nothing.
impl Clone for Pending {
    fn clone(&self) -> Self {
        if self.rows.is_empty() {
            return Self::default();
        }
        let Self { rows, bytes, before } = self;
        Self { rows: rows.clone(), bytes: bytes.clone(), before: before.clone() }
    }
}
