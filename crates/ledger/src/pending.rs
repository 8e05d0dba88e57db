//! What a block has written and the map does not hold yet.
//!
//! A market writes the same few rows again and again, and many that it removes before the block
//! ends. Kept here they cost one look-up in a table each time, and the map is written once, sorted
//! by how keys begin, so that neighbours share the way through it.
//!
//! The table's hash is seeded at random, so that nobody can choose keys that collide. The seed
//! decides where a row lies in memory and nothing else: rows that begin alike leave in the order
//! in which they were first written.

use std::ops::Range;

use indexmap::{IndexMap, map::Entry};

use crate::{key::KeyBytes, map::Map};

const WITHIN_BOUNDS: &str =
    "keys are shorter than the map's bound, and an attempt that wrote a longer value is undone";

/// The bits that say which row it is while rows are sorted; a block has fewer than 2³².
const INDEX: u128 = 0xffff_ffff;

/// Rows that were written, and how to take back what the running attempt wrote.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    rows: IndexMap<KeyBytes, Row, foldhash::fast::RandomState>,
    /// Encoded values, one after another; one that was overwritten stays until the block ends.
    bytes: Vec<u8>,
    /// The rows that the running attempt wrote, with what they were before, in order.
    before: Vec<(usize, Value)>,
}

#[derive(Debug, Clone)]
struct Row {
    value: Value,
    /// The map does not have it: if it goes before the block ends, there is nothing to write.
    is_new: bool,
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
        self.written(&self.rows.get(key)?.value)
    }

    /// Sets a row to what `encode` appends, and returns how many bytes that is.
    pub(crate) fn put(&mut self, key: KeyBytes, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let (value, length) = self.encode(encode);
        self.set(key, value, false);
        length
    }

    /// The same for a row that is not there.
    pub(crate) fn add(&mut self, key: KeyBytes, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let (value, length) = self.encode(encode);
        self.set(key, value, true);
        length
    }

    /// Takes a row away.
    pub(crate) fn remove(&mut self, key: KeyBytes) {
        self.set(key, Value::Absent, false);
    }

    fn encode(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> (Value, usize) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        let range = start..self.bytes.len();
        let length = range.len();
        (Value::Present(range), length)
    }

    /// Sets what is known of a row; `is_new` counts when nothing was.
    fn set(&mut self, key: KeyBytes, value: Value, is_new: bool) {
        let (index, before) = match self.rows.entry(key) {
            Entry::Occupied(mut row) => {
                let index = row.index();
                (index, std::mem::replace(&mut row.get_mut().value, value))
            }
            Entry::Vacant(row) => {
                let index = row.index();
                row.insert(Row { value, is_new });
                (index, Value::InMap)
            }
        };
        self.before.push((index, before));
    }

    /// Keeps what the attempt wrote. Rows that are walked in order go to the map at once.
    pub(crate) fn keep(&mut self, map: &mut Map) {
        while let Some((index, _)) = self.before.pop() {
            let Some((key, row)) = self.rows.get_index_mut(index) else { continue };
            if key.is_walked() {
                let key = *key;
                let row = std::mem::replace(row, Row { value: Value::InMap, is_new: false });
                let write = self.to_write(&row).map(|value| (key.as_slice(), value));
                map.write(write).expect(WITHIN_BOUNDS);
            }
        }
    }

    /// Takes back what the attempt wrote.
    pub(crate) fn undo(&mut self) {
        for (index, before) in self.before.drain(..).rev() {
            if let Some((_, row)) = self.rows.get_index_mut(index) {
                row.value = before;
            }
        }
    }

    /// Writes everything to the map, what stands close together there one after another.
    pub(crate) fn flush(&mut self, map: &mut Map) {
        // How a key begins, and in the last bits which row it is.
        let rows = self.rows.iter().zip(0..).filter(|((_, row), _)| self.to_write(row).is_some());
        let mut order: Vec<u128> =
            rows.map(|((key, _), index)| key.head() & !INDEX | index).collect();
        order.sort_unstable();
        let indices = order.iter().filter_map(|head| usize::try_from(head & INDEX).ok());
        let rows = indices.filter_map(|index| self.rows.get_index(index));
        map.write(rows.filter_map(|(key, row)| Some((key.as_slice(), self.to_write(row)?))))
            .expect(WITHIN_BOUNDS);
        self.rows.clear();
        self.bytes.clear();
    }

    /// Returns what the map has to be told of a row, if anything.
    fn to_write(&self, row: &Row) -> Option<Option<&[u8]>> {
        self.written(&row.value).filter(|value| value.is_some() || !row.is_new)
    }

    /// Returns what a row became, unless it is as the map has it.
    fn written(&self, value: &Value) -> Option<Option<&[u8]>> {
        match value {
            Value::InMap => None,
            Value::Absent => Some(None),
            Value::Present(range) => Some(self.bytes.get(range.clone())),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use types::{Address, Asset, Hash, PublicKey};

    use super::*;
    use crate::key::{Key, Row};

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;
    /// Writes to numbered keys, and whether they are kept.
    type Attempt = (Vec<(u8, Option<u8>)>, bool);

    /// Keys of both kinds: some are walked in order.
    fn key(number: u8) -> KeyBytes {
        let address = Address::new(PublicKey::from_bytes([number / 3; 32]));
        let key = match number % 3 {
            0 => Key::Account(address),
            1 => Key::Book(Row::Wallet(address), Asset::Usd),
            _ => Key::Vote(Hash::ZERO, address),
        };
        key.to_bytes()
    }

    /// Checks that reads see what the model holds, and that the map holds what is walked.
    fn assert_same(pending: &Pending, map: &Map, model: &Model) {
        for number in 0..24 {
            let key = key(number);
            let held = model.get(key.as_slice()).map(Vec::as_slice);
            let stored = map.get(key.as_slice());
            assert_eq!(pending.get(&key).unwrap_or(stored), held);
            if key.is_walked() {
                assert_eq!(stored, held);
            }
        }
    }

    fn blocks() -> impl Strategy<Value = Vec<Vec<Attempt>>> {
        let writes = prop::collection::vec((0..24_u8, any::<Option<u8>>()), 0..12);
        let attempts = prop::collection::vec((writes, any::<bool>()), 0..12);
        prop::collection::vec(attempts, 0..6)
    }

    #[test]
    fn a_row_that_comes_and_goes_is_not_written() {
        let (mut pending, mut map) = (Pending::default(), Map::new());
        let writes = |pending: &Pending| -> Vec<bool> {
            pending.rows.values().map(|row| pending.to_write(row).is_some()).collect()
        };
        let (new, old) = (key(0), key(3));
        map.write([(old.as_slice(), Some(&[1][..]))]).unwrap();
        pending.add(new, |_| {});
        pending.put(old, |_| {});
        assert_eq!(writes(&pending), [true, true]);
        pending.remove(new);
        pending.remove(old);
        assert_eq!(writes(&pending), [false, true]);
        // One that is there again is new only where it was.
        pending.add(new, |_| {});
        pending.add(old, |_| {});
        pending.remove(new);
        pending.remove(old);
        assert_eq!(writes(&pending), [false, true]);
        pending.flush(&mut map);
        assert!(map.is_empty());
    }

    proptest! {
        #[test]
        fn rows_are_as_the_kept_attempts_left_them(blocks in blocks()) {
            let (mut pending, mut map, mut model) = (Pending::default(), Map::new(), Model::new());
            for attempts in blocks {
                for (writes, kept) in attempts {
                    let mut tried = model.clone();
                    for (number, value) in writes {
                        let key = key(number);
                        match value {
                            Some(value) if !tried.contains_key(key.as_slice()) => {
                                pending.add(key, |out| out.push(value));
                                tried.insert(key.as_slice().to_vec(), vec![value]);
                            }
                            Some(value) => {
                                pending.put(key, |out| out.push(value));
                                tried.insert(key.as_slice().to_vec(), vec![value]);
                            }
                            None => {
                                pending.remove(key);
                                tried.remove(key.as_slice());
                            }
                        }
                        let held = tried.get(key.as_slice()).map(Vec::as_slice);
                        prop_assert_eq!(pending.get(&key).unwrap_or(map.get(key.as_slice())), held);
                    }
                    match kept {
                        true => {
                            pending.keep(&mut map);
                            model = tried;
                        }
                        false => pending.undo(),
                    }
                    assert_same(&pending.clone(), &map, &model);
                }
                pending.flush(&mut map);
                prop_assert!(pending.rows.is_empty());
                let model = model.iter().map(|(key, value)| (&key[..], &value[..]));
                prop_assert!(map.iter().eq(model));
            }
        }
    }
}
