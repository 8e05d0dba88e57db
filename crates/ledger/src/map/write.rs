//! Writes that come one after another, and how far each goes the way of the one before.

use super::bit::Bit;

/// A key and its new value; `None` removes the key.
pub type Write<'a> = (&'a [u8], Option<&'a [u8]>);

/// The writes that are left, and what the others did.
pub(super) struct Writes<'a, I> {
    current: Option<Write<'a>>,
    rest: I,
    /// The rank of the first bit in which the current key differs from the one before.
    differs: u16,
    /// How many writes changed something.
    pub(super) changed: usize,
    pub(super) added: usize,
    pub(super) removed: usize,
}

impl<'a, I: Iterator<Item = Write<'a>>> Writes<'a, I> {
    pub(super) fn new(mut rest: I) -> Self {
        let current = rest.next();
        Self { current, rest, differs: 0, changed: 0, added: 0, removed: 0 }
    }

    /// Returns the write that is to be done next.
    #[inline]
    pub(super) fn current(&self) -> Option<Write<'a>> {
        self.current
    }

    /// Returns the write that is to be done next if its key takes the same way as the one before
    /// through all branches before a rank.
    #[inline]
    pub(super) fn current_below(&self, rank: u16) -> Option<Write<'a>> {
        self.current.filter(|_| self.differs >= rank)
    }

    /// Goes on to the next write, as the current one is done.
    #[inline]
    pub(super) fn advance(&mut self) {
        let before = self.current;
        self.current = self.rest.next();
        if let (Some((before, _)), Some((key, _))) = (before, self.current) {
            self.differs = Bit::first_difference(before, key).map_or(u16::MAX, Bit::rank);
        }
    }
}
