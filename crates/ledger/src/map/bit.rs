//! Keys as bit strings: which bit of a key a branch looks at.

use super::KEY_BYTES_MAX;

/// A bit of a key: the byte, and the mask of the bit in it. Mask 0 is the bit that stands
/// before the byte and says whether the key goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bit {
    byte: u8,
    mask: u8,
}

impl Bit {
    /// Reads a bit from outside; `None` if no two keys can differ in it.
    pub(super) fn from_wire([byte, mask]: [u8; 2]) -> Option<Self> {
        // All keys have a first byte.
        let differs = if mask == 0 { byte > 0 } else { mask.is_power_of_two() };
        (usize::from(byte) < KEY_BYTES_MAX && differs).then_some(Self { byte, mask })
    }

    /// Returns the two bytes that stand for the bit in hashes, proofs and chunks.
    pub(super) fn to_wire(self) -> [u8; 2] {
        [self.byte, self.mask]
    }

    /// Returns the place of the bit in the order of the bit string.
    pub(super) fn rank(self) -> u16 {
        // Negation takes 0, 0x80, 0x40 … 0x01 to 0, 0x80, 0xc0 … 0xff.
        u16::from(self.byte) << 8 | u16::from(self.mask.wrapping_neg())
    }

    /// Returns how many bits come before it in the bit string.
    pub(super) fn index(self) -> usize {
        let in_byte = match self.mask {
            0 => 0,
            mask => 1 + mask.leading_zeros() as usize,
        };
        usize::from(self.byte) * 9 + in_byte
    }

    /// Returns the bit of a key; all bits after its end are 0.
    #[inline]
    pub(super) fn of(self, key: &[u8]) -> bool {
        key.get(usize::from(self.byte)).is_some_and(|byte| self.mask == 0 || byte & self.mask != 0)
    }

    /// Returns the first bit at which two keys differ, or `None` if they are equal.
    ///
    /// One of the two must have at most [`KEY_BYTES_MAX`] bytes.
    pub(super) fn first_difference(one: &[u8], other: &[u8]) -> Option<Self> {
        let (words, other_words) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
        let equal = words.iter().zip(other_words).take_while(|(x, y)| x == y).count() * 8;
        let shorter = one.len().min(other.len());
        let mut rest = one[equal..].iter().zip(&other[equal..]);
        let at = rest.position(|(x, y)| x != y).map_or(shorter, |at| equal + at);
        let byte = u8::try_from(at).expect("one of the keys is at most 96 bytes long");
        match (one.get(at), other.get(at)) {
            (None, None) => None,
            (Some(x), Some(y)) => Some(Self { byte, mask: 0x80 >> (x ^ y).leading_zeros() }),
            _ => Some(Self { byte, mask: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_bit_string() {
        let masks = [0, 0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1];
        let ranks: Vec<u16> = (0..96)
            .flat_map(|byte| masks.map(|mask| [byte, mask]))
            .filter_map(Bit::from_wire)
            .map(Bit::rank)
            .collect();
        assert!(ranks.is_sorted_by(|one, next| one < next));
        assert_eq!(ranks.len(), super::super::PATH_STEPS_MAX);
        let bits = (0..96).flat_map(|byte| masks.map(|mask| [byte, mask]));
        assert!(bits.filter_map(Bit::from_wire).map(Bit::index).eq(1..=863));
    }

    #[test]
    fn the_first_difference_orders_keys_like_their_bytes() {
        let keys: [&[u8]; 8] = [&[], &[0], &[0, 0], &[0, 1], &[1], &[1, 0], &[0x80], &[0xff, 3]];
        for (i, one) in keys.iter().enumerate() {
            for (j, other) in keys.iter().enumerate() {
                match Bit::first_difference(one, other) {
                    None => assert_eq!(i, j),
                    Some(bit) => {
                        assert_eq!((bit.of(one), bit.of(other)), (i > j, j > i));
                    }
                }
            }
        }
    }

    #[test]
    fn bits_that_no_keys_differ_in_are_refused() {
        assert_eq!(Bit::from_wire([0, 0]), None);
        assert_eq!(Bit::from_wire([96, 0]), None);
        assert_eq!(Bit::from_wire([0, 3]), None);
    }
}
