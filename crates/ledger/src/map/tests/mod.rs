//! Tests of the map as a whole: against a plain model, against the equation of the root, and
//! against those who serve false proofs and chunks.

mod content;
mod proofs;
mod snapshots;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Short keys that are often prefixes of each other, keys that share a long prefix, and any.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0, 1, 2, 0x40, 0x80, 0xff]);
    let short = prop::collection::vec(byte.clone(), 1..5);
    let shared = prop::collection::vec(byte, 1..4).prop_map(|end| [&[7; 92], &end[..]].concat());
    prop_oneof![4 => short, 3 => shared, 1 => prop::collection::vec(any::<u8>(), 1..=96)]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn models(entries: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Model> {
    prop::collection::btree_map(keys(), values(), entries)
}

fn map_of<'a>(entries: impl IntoIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>) -> Map {
    let mut map = Map::new();
    for (key, value) in entries {
        map.insert(key, value).unwrap();
    }
    map
}

/// The keys `number` in big-endian behind a tag, and a hash of it.
fn numbered(count: u32) -> Model {
    (0..count)
        .map(|number| {
            let hash = blake3::hash(&number.to_le_bytes());
            let tag = u8::try_from(number % 5).unwrap();
            let key = match tag {
                0 => [&[tag], &number.to_be_bytes()[..]].concat(),
                _ => [&[tag], &hash.as_bytes()[..]].concat(),
            };
            (key, hash.as_bytes()[..usize::from(hash.as_bytes()[0] % 33)].to_vec())
        })
        .collect()
}

fn bit_string(key: &[u8]) -> Vec<bool> {
    let bits = key.iter().flat_map(|byte| {
        std::iter::once(true).chain((0..8).rev().map(move |bit| byte >> bit & 1 == 1))
    });
    bits.chain(std::iter::once(false)).collect()
}

/// The equation of the root as the module states it, on bit strings, with nothing shared with
/// the map but the two keys of the hashes.
fn root_by_equation(entries: &[(&Vec<u8>, &Vec<u8>)]) -> Hash {
    match entries {
        [] => [0; 32],
        [(key, value)] => {
            let mut input = vec![u8::try_from(key.len()).unwrap()];
            input.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
            input.extend(key.iter().chain(*value));
            input.resize(input.len().next_multiple_of(64), 0);
            *blake3::keyed_hash(b"idlewild state map leaf, rules 1", &input).as_bytes()
        }
        [(first, _), .., (last, _)] => {
            let (first, last) = (bit_string(first), bit_string(last));
            let p = first.iter().zip(&last).position(|(x, y)| x != y).unwrap();
            let ones_from = entries.partition_point(|(key, _)| !bit_string(key)[p]);
            let zeros = root_by_equation(&entries[..ones_from]);
            let ones = root_by_equation(&entries[ones_from..]);
            let mask = if p % 9 == 0 { 0 } else { 0x80 >> (p % 9 - 1) };
            let mut key = *b"idlewild state map branch 1   \0\0";
            key[30..].copy_from_slice(&[u8::try_from(p / 9).unwrap(), mask]);
            *blake3::keyed_hash(&key, &[zeros, ones].concat()).as_bytes()
        }
    }
}

fn assert_same(map: &Map, model: &Model) {
    assert_eq!(map.len(), model.len());
    assert_eq!(map.is_empty(), model.is_empty());
    assert!(map.iter().eq(model.iter().map(|(key, value)| (&key[..], &value[..]))));
    assert_eq!(map.root(), root_by_equation(&model.iter().collect::<Vec<_>>()));
    assert_sound(map);
}

fn assert_sound(map: &Map) {
    if let Child::Node(node) = &map.top {
        node.assert_sound();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
