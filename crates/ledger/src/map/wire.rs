//! Bounded reading of proofs and chunks, and what the two have in common.

use super::bit::Bit;
use super::hash::Hash;
use super::{KEY_BYTES_MAX, PATH_STEPS_MAX, VALUE_BYTES_MAX};

/// Bytes of a step: its bit and the hash of the side not taken.
const STEP_BYTES: usize = 2 + 32;
/// Most bytes of a list of steps.
pub(super) const STEPS_BYTES_MAX: usize = 2 + PATH_STEPS_MAX * STEP_BYTES;
/// Most bytes of an entry.
pub(super) const ENTRY_BYTES_MAX: usize = 3 + KEY_BYTES_MAX + VALUE_BYTES_MAX;

/// One branch of a path: its bit and the hash of the side that the path does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) bit: Bit,
    pub(super) sibling: Hash,
}

/// The bytes are not an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Bytes from outside, read from the front.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Succeeds if nothing is left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    pub(super) fn bytes(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Reads steps, whose bits must come in the order of the bit string.
    pub(super) fn steps(&mut self) -> Result<Vec<Step>, Malformed> {
        let count = usize::from(u16::from_le_bytes(self.array()?));
        if count > PATH_STEPS_MAX {
            return Err(Malformed);
        }
        let mut steps: Vec<Step> = Vec::with_capacity(count);
        for _ in 0..count {
            let bit = Bit::from_wire(self.array()?).ok_or(Malformed)?;
            if steps.last().is_some_and(|above| above.bit.rank() >= bit.rank()) {
                return Err(Malformed);
            }
            steps.push(Step { bit, sibling: self.array()? });
        }
        Ok(steps)
    }

    /// Reads the value of an entry, or of a proof.
    pub(super) fn value(&mut self) -> Result<&'a [u8], Malformed> {
        let bytes = usize::from(u16::from_le_bytes(self.array()?));
        if bytes > VALUE_BYTES_MAX {
            return Err(Malformed);
        }
        self.bytes(bytes)
    }

    /// Reads an entry as it is hashed; returns its key, its value and the whole.
    pub(super) fn entry(&mut self) -> Result<Entry<'a>, Malformed> {
        let from = self.0;
        let [key_bytes, low, high] = self.array()?;
        let key_bytes = usize::from(key_bytes);
        let value_bytes = usize::from(u16::from_le_bytes([low, high]));
        if !(1..=KEY_BYTES_MAX).contains(&key_bytes) || value_bytes > VALUE_BYTES_MAX {
            return Err(Malformed);
        }
        let (key, value) = self.bytes(key_bytes + value_bytes)?.split_at(key_bytes);
        Ok(Entry { key, value, written: &from[..3 + key_bytes + value_bytes] })
    }
}

/// An entry from outside.
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// Lengths, key and value.
    pub(super) written: &'a [u8],
}

/// Appends steps.
pub(super) fn write_steps(steps: &[Step], out: &mut Vec<u8>) {
    let count = u16::try_from(steps.len()).expect("a path has at most 863 steps");
    out.extend_from_slice(&count.to_le_bytes());
    for step in steps {
        out.extend_from_slice(&step.bit.to_wire());
        out.extend_from_slice(&step.sibling);
    }
}
