//! Proofs that an entry is in a map, or that a key is not, for those who have only the root.
//!
//! A proof is the path that the key takes: for each branch its bit and the hash of the other
//! side, then the leaf at the end. The bits are bound by the hashes, so that at each branch the
//! key can go one way only; if the leaf at the end is another key's, no entry of the map has the
//! key. A proof has one encoding:
//!
//! ```text
//! proof   = 0                               the map is empty
//!         | 1 ‖ steps ‖ value               the key has this value
//!         | 2 ‖ steps ‖ |k|, |v| ‖ k ‖ v    the path ends in this other entry
//! steps   = count as u16 ‖ (byte ‖ mask ‖ other side's hash)…   from the root on
//! value   = |v| as u16 ‖ v                                      numbers are little-endian
//! ```

use std::fmt;

use super::hash::{self, EMPTY_ROOT, Hash};
use super::leaf::{self, Leaf};
use super::node::{Child, Node, Place};
use super::wire::{self, ENTRY_BYTES_MAX, Malformed, Reader, STEPS_BYTES_MAX, Step};
use super::{BoundError, Map, check_key};

/// Most bytes of an encoded proof.
pub const PROOF_BYTES_MAX: usize = 1 + STEPS_BYTES_MAX + ENTRY_BYTES_MAX;

/// A proof does not show anything about the key under the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofError {
    /// The bytes are not the encoding of a proof.
    Malformed,
    /// No map can hold the key.
    Key(BoundError),
    /// The path is not one that the key takes.
    OtherPath,
    /// The proof belongs to another root.
    OtherRoot,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are not a proof"),
            Self::Key(_) => f.write_str("no map can hold the key"),
            Self::OtherPath => f.write_str("the proof follows the path of another key"),
            Self::OtherRoot => f.write_str("the proof belongs to another root"),
        }
    }
}

impl std::error::Error for ProofError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Key(error) => Some(error),
            Self::Malformed | Self::OtherPath | Self::OtherRoot => None,
        }
    }
}

impl From<Malformed> for ProofError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// A proof of what a map says about one key; the key itself is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof(Shape);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Empty,
    Present { steps: Vec<Step>, value: Vec<u8> },
    Absent { steps: Vec<Step>, other_key: Vec<u8>, other_value: Vec<u8> },
}

impl Proof {
    /// Returns the encoding, at most [`PROOF_BYTES_MAX`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.0 {
            Shape::Empty => out.push(0),
            Shape::Present { steps, value } => {
                out.push(1);
                wire::write_steps(steps, &mut out);
                let bytes = u16::try_from(value.len()).expect("a value has at most 16 KiB");
                out.extend_from_slice(&bytes.to_le_bytes());
                out.extend_from_slice(value);
            }
            Shape::Absent { steps, other_key, other_value } => {
                out.push(2);
                wire::write_steps(steps, &mut out);
                out.extend_from_slice(&leaf::write_head(other_key, other_value));
                out.extend_from_slice(other_key);
                out.extend_from_slice(other_value);
            }
        }
        out
    }

    /// Reads a proof from its encoding.
    ///
    /// # Errors
    /// [`ProofError::Malformed`] unless the bytes are what [`Proof::encode`] gives.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut reader = Reader::new(bytes);
        let [shape] = reader.array()?;
        let shape = match shape {
            0 => Shape::Empty,
            1 => Shape::Present { steps: reader.steps()?, value: reader.value()?.to_vec() },
            2 => {
                let steps = reader.steps()?;
                let entry = reader.entry()?;
                let (other_key, other_value) = (entry.key.to_vec(), entry.value.to_vec());
                Shape::Absent { steps, other_key, other_value }
            }
            _ => return Err(ProofError::Malformed),
        };
        reader.end()?;
        Ok(Self(shape))
    }
}

/// Returns the value that the map with this root has for a key, or `None` if it has none,
/// provided that the proof shows it. Needs no map.
///
/// # Errors
/// [`ProofError`] if the proof shows neither.
pub fn verify(root: &Hash, key: &[u8], proof: &Proof) -> Result<Option<Vec<u8>>, ProofError> {
    check_key(key).map_err(ProofError::Key)?;
    let (shown, value) = match &proof.0 {
        Shape::Empty => (EMPTY_ROOT, None),
        Shape::Present { steps, value } => {
            (fold(key, steps, leaf::hash_entry(key, value)), Some(value.clone()))
        }
        Shape::Absent { steps, other_key, other_value } => {
            let same_path = steps.iter().all(|step| step.bit.of(key) == step.bit.of(other_key));
            if key == other_key || !same_path {
                return Err(ProofError::OtherPath);
            }
            (fold(key, steps, leaf::hash_entry(other_key, other_value)), None)
        }
    };
    if shown == *root { Ok(value) } else { Err(ProofError::OtherRoot) }
}

/// Returns the root over a leaf at the end of a key's path.
fn fold(key: &[u8], steps: &[Step], leaf: Hash) -> Hash {
    steps.iter().rev().fold(leaf, |below, step| match step.bit.of(key) {
        false => hash::branch(step.bit, &below, &step.sibling),
        true => hash::branch(step.bit, &step.sibling, &below),
    })
}

impl Map {
    /// Returns the proof of what the map says about a key: its value, or that it has none.
    ///
    /// # Errors
    /// [`BoundError::Key`] if no map can hold the key.
    pub fn prove(&self, key: &[u8]) -> Result<Proof, BoundError> {
        check_key(key)?;
        let Some((steps, leaf)) = trace(&self.top, key) else {
            return Ok(Proof(Shape::Empty));
        };
        let (other_key, value) = leaf.entry();
        let value = value.to_vec();
        Ok(Proof(if other_key == key {
            Shape::Present { steps, value }
        } else {
            Shape::Absent { steps, other_key: other_key.to_vec(), other_value: value }
        }))
    }
}

/// Returns the path of a key and the leaf at its end, if there is an entry at all.
pub(super) fn trace<'a>(top: &'a Child, key: &[u8]) -> Option<(Vec<Step>, &'a Leaf)> {
    let mut steps = Vec::with_capacity(32);
    let mut child = top;
    loop {
        match child {
            Child::Empty => return None,
            Child::Leaf(leaf) => return Some((steps, leaf)),
            Child::Node(node) => child = trace_node(node, node.top(), key, &mut steps),
        }
    }
}

/// Adds the part of a key's path that lies in one node; returns the child to which it leads.
fn trace_node<'a>(
    node: &'a Node,
    mut place: Place,
    key: &[u8],
    steps: &mut Vec<Step>,
) -> &'a Child {
    loop {
        match node.at(place) {
            Ok((bit, [zeros, ones])) => {
                let (side, other) = if bit.of(key) { (ones, zeros) } else { (zeros, ones) };
                steps.push(Step { bit, sibling: node.hash_at(other) });
                place = side;
            }
            Err(child) => return child,
        }
    }
}
