//! The body of a block: entries in order, of which each can be shown to be there.
//!
//! ```text
//! body      = (length as u32 ‖ entry)…
//! leaf      = BLAKE3("idlewild entry" ‖ 0 ‖ entry)
//! branch    = BLAKE3("idlewild entries" ‖ 0 ‖ left ‖ right)
//! header's  = BLAKE3("idlewild body" ‖ 0 ‖ count as u32 ‖ root)       the root of none is zero
//! ```
//!
//! The tree pairs neighbours, level by level; one without a neighbour goes up as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decode, DecodeError, Hash, List, Reader};

/// Most steps from an entry to the root of a body: a body has below 2^32 entries.
pub const PATH_STEPS_MAX: usize = 32;

/// Adds an entry to a body.
///
/// # Panics
/// When the entry has 4 GiB or more.
pub fn push_entry(body: &mut Vec<u8>, entry: &[u8]) {
    let length = u32::try_from(entry.len()).expect("entries are far below 4 GiB");
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(entry);
}

/// Returns the entries of a body.
///
/// # Errors
/// [`DecodeError::Truncated`] when it ends within one; [`DecodeError::TooLong`] above `count_max`.
pub fn entries(body: &[u8], count_max: usize) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::new(body);
    let mut entries = Vec::new();
    while reader.remaining() > 0 {
        if entries.len() == count_max {
            let found = count_max.saturating_add(1);
            return Err(DecodeError::TooLong { found, bound: count_max });
        }
        let length = usize::try_from(u32::decode(&mut reader)?).unwrap_or(usize::MAX);
        entries.push(reader.take(length)?);
    }
    Ok(entries)
}

/// Returns the leaf of an entry.
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    Hash::of("idlewild entry", &[entry])
}

fn branch(left: &Hash, right: &Hash) -> Hash {
    Hash::of("idlewild entries", &[left.as_bytes(), right.as_bytes()])
}

fn commitment(count: u32, root: &Hash) -> Hash {
    Hash::of("idlewild body", &[&count.to_le_bytes(), root.as_bytes()])
}

/// Returns the level above.
fn above(level: &[Hash]) -> Vec<Hash> {
    let parent = |pair: &[Hash]| match pair {
        [left, right] => branch(left, right),
        alone => alone.first().copied().unwrap_or(Hash::ZERO),
    };
    level.chunks(2).map(parent).collect()
}

/// Returns what a header says of a body with these leaves.
///
/// # Panics
/// When there are 2^32 leaves or more.
#[must_use]
pub fn commit(leaves: &[Hash]) -> Hash {
    let count = u32::try_from(leaves.len()).expect("a body has below 2^32 entries");
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    commitment(count, level.first().unwrap_or(&Hash::ZERO))
}

/// The way from an entry to what the header says of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Path {
    /// The entry's place, from 0.
    pub position: u32,
    /// How many entries the body has.
    pub count: u32,
    /// The hashes beside the way, from the bottom up.
    pub steps: List<Hash, PATH_STEPS_MAX>,
}
codec!(struct Path { position, count, steps });

impl Path {
    /// Returns the way from the leaf at a place; nothing if there is none.
    #[must_use]
    pub fn of(leaves: &[Hash], position: u32) -> Option<Self> {
        let mut place = usize::try_from(position).ok().filter(|place| *place < leaves.len())?;
        let count = u32::try_from(leaves.len()).ok()?;
        let mut steps = Vec::new();
        let mut level = leaves.to_vec();
        while level.len() > 1 {
            steps.extend(level.get(place ^ 1));
            place /= 2;
            level = above(&level);
        }
        Some(Self { position, count, steps: List::new(steps).ok()? })
    }

    /// Returns what the header of the body says in which `entry` stands at this place; nothing if
    /// there is no such way.
    #[must_use]
    pub fn lead(&self, entry: &[u8]) -> Option<Hash> {
        if self.position >= self.count {
            return None;
        }
        let (mut place, mut width) = (self.position, self.count);
        let mut steps = self.steps.iter();
        let mut hash = leaf(entry);
        while width > 1 {
            if place ^ 1 < width {
                let beside = steps.next()?;
                let is_right = place % 2 == 1;
                hash = if is_right { branch(beside, &hash) } else { branch(&hash, beside) };
            }
            place /= 2;
            width = width.div_ceil(2);
        }
        steps.next().is_none().then(|| commitment(self.count, &hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(count: u8) -> (Vec<u8>, Vec<Hash>) {
        let mut bytes = Vec::new();
        let mut leaves = Vec::new();
        for entry in 0..count {
            push_entry(&mut bytes, &vec![entry; usize::from(entry)]);
            leaves.push(leaf(&vec![entry; usize::from(entry)]));
        }
        (bytes, leaves)
    }

    #[test]
    fn each_entry_leads_to_the_header_from_its_place_alone() {
        for count in 0..=20_u8 {
            let (bytes, leaves) = body(count);
            let found = entries(&bytes, 20).unwrap();
            assert_eq!(found.len(), usize::from(count));
            let committed = commit(&leaves);
            for (position, entry) in (0..).zip(&found) {
                let path = Path::of(&leaves, position).unwrap();
                assert_eq!(path.lead(entry), Some(committed));
                assert_ne!(path.lead(b"another"), Some(committed));
                for other in 0..u32::from(count) + 2 {
                    let elsewhere = Path { position: other, ..path.clone() };
                    assert_eq!(elsewhere.lead(entry) == Some(committed), other == position);
                    let of_fewer = Path { count: other, ..path.clone() };
                    let same = other == u32::from(count);
                    assert_eq!(of_fewer.lead(entry) == Some(committed), same);
                }
            }
            assert_eq!(Path::of(&leaves, u32::from(count)), None);
        }
    }

    #[test]
    fn a_body_that_is_cut_or_has_too_many_entries_is_refused() {
        let (bytes, _) = body(4);
        assert!(entries(&bytes, 3).is_err());
        for length in 1..bytes.len() {
            let whole = [4, 9, 15].contains(&length);
            assert_eq!(entries(&bytes[..length], 4).is_ok(), whole, "{length}");
        }
    }
}
