//! The accumulator of leases that left the state: a Merkle mountain range.
//!
//! Leaves are appended and never change. The state keeps the peaks of the perfect trees that the
//! count's binary digits name, so an entry costs a few hashes, and whoever kept a leaf with its
//! siblings can prove for ever that it was there:
//!
//! ```text
//! leaf = H("idlewild archived", lease ‖ order ‖ receipts ‖ audit ‖ dispute)
//! node = H("idlewild archive", left ‖ right)
//! ```

use types::{Encode, Event, Hash, Lease, LeaseId, LeaseState, List, codec};

use crate::{
    key::Key,
    state::{Broken, State},
};

/// Trees that the count of leaves can name.
const PEAKS_MAX: usize = 64;

/// The accumulator: how many leaves it has, and the roots of its trees, largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Archive {
    /// Leases that left the state so far.
    pub leaves: u64,
    /// The roots of perfect trees, one for each one-bit of `leaves`, the highest first.
    pub peaks: List<Hash, PEAKS_MAX>,
}
codec!(struct Archive { leaves, peaks });

impl Archive {
    /// Appends a leaf and returns its position.
    fn append(&mut self, leaf: Hash) -> Result<u64, Broken> {
        let position = self.leaves;
        let mut peaks = std::mem::take(&mut self.peaks).into_inner();
        let mut carried = leaf;
        // As in binary addition: each trailing one-bit is a tree of the size of the carried one.
        for _ in 0..position.trailing_ones() {
            let left = peaks.pop().ok_or(Broken)?;
            carried = Hash::of("idlewild archive", &[left.as_bytes(), carried.as_bytes()]);
        }
        peaks.push(carried);
        self.peaks = List::new(peaks)?;
        self.leaves = position.checked_add(1).ok_or(Broken)?;
        Ok(position)
    }
}

/// Takes a closed lease out of the state, with its order, receipts, audit and dispute.
pub(crate) fn take(state: &mut State, id: LeaseId) -> Result<(), Broken> {
    let lease: Lease = state.need(Key::Lease(id))?;
    if !matches!(lease.state, LeaseState::Closed { .. }) {
        return Err(Broken);
    }
    let mut content = Vec::with_capacity(1024);
    lease.encode(&mut content);
    content.extend_from_slice(state.get_bytes(Key::Order(lease.order)).ok_or(Broken)?);
    for sequence in 1..=lease.receipts {
        let receipt = Key::Receipt(id, sequence);
        content.extend_from_slice(state.get_bytes(receipt).ok_or(Broken)?);
        state.remove(receipt);
    }
    for key in [Key::Audit(id), Key::Dispute(id)] {
        // As an option of the record.
        match state.get_bytes(key) {
            Some(record) => {
                content.push(1);
                content.extend_from_slice(record);
                state.remove(key);
            }
            None => content.push(0),
        }
    }
    state.remove(Key::Lease(id));
    state.remove(Key::Order(lease.order));
    let mut archive: Archive = state.get(Key::Archive)?.unwrap_or_default();
    let position = archive.append(Hash::of("idlewild archived", &[&content]))?;
    state.put(Key::Archive, &archive)?;
    state.emit(Event::LeaseArchived { lease: id, position });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peaks_are_the_perfect_trees_that_the_count_names() {
        let leaf = |number: u8| Hash::of("leaf", &[&[number]]);
        let node = |left: Hash, right: Hash| {
            Hash::of("idlewild archive", &[left.as_bytes(), right.as_bytes()])
        };
        let mut archive = Archive::default();
        for number in 0..7 {
            assert_eq!(archive.append(leaf(number)), Ok(u64::from(number)));
        }
        let pairs = [(0, 1), (2, 3), (4, 5)].map(|(left, right)| node(leaf(left), leaf(right)));
        assert_eq!(archive.leaves, 7);
        assert_eq!(*archive.peaks, [node(pairs[0], pairs[1]), pairs[2], leaf(6)]);
    }
}
