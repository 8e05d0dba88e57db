//! Reads and writes the guest's linear memory, every access checked.
//!
//! An access outside the memory answers [`Errno::Fault`]; pointers and lengths are 32-bit, so
//! their sums are computed in 64 bits and cannot wrap.

use std::ops::Range;

use super::abi::Errno;
use super::limits::{BUFFERS_MAX, PATH_BYTES_MAX};

/// The linear memory of the guest during one call.
#[derive(Debug)]
pub(crate) struct Memory<'a>(&'a mut [u8]);

/// The buffers of a scattered read or a gathered write, each inside the memory.
#[derive(Debug)]
pub(crate) struct Buffers {
    ranges: Vec<Range<usize>>,
    /// The sum of the lengths in bytes; buffers may overlap, so it may exceed the memory.
    pub(crate) total: u64,
}

impl Buffers {
    /// Returns the ranges, cut to `bytes` in all.
    pub(crate) fn first(&self, bytes: u64) -> impl Iterator<Item = Range<usize>> {
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.ranges.iter().map_while(move |range| {
            let length = range.len().min(left);
            left -= length;
            (length > 0 || range.is_empty()).then(|| range.start..range.start + length)
        })
    }
}

impl<'a> Memory<'a> {
    pub(crate) const fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the range of `length` bytes at `pointer`.
    pub(crate) fn range(&self, pointer: u32, length: u64) -> Result<Range<usize>, Errno> {
        let end = u64::from(pointer).checked_add(length).ok_or(Errno::Fault)?;
        let end = usize::try_from(end).map_err(|_| Errno::Fault)?;
        let start = usize::try_from(pointer).map_err(|_| Errno::Fault)?;
        if end > self.0.len() { Err(Errno::Fault) } else { Ok(start..end) }
    }

    /// Returns the `length` bytes at `pointer`.
    pub(crate) fn bytes(&self, pointer: u32, length: u32) -> Result<&[u8], Errno> {
        let range = self.range(pointer, length.into())?;
        self.at(range)
    }

    /// Returns the `length` bytes at `pointer`, to be written.
    pub(crate) fn bytes_mut(&mut self, pointer: u32, length: u64) -> Result<&mut [u8], Errno> {
        let range = self.range(pointer, length)?;
        self.at_mut(range)
    }

    /// Returns the bytes of a range that was checked before.
    pub(crate) fn at(&self, range: Range<usize>) -> Result<&[u8], Errno> {
        self.0.get(range).ok_or(Errno::Fault)
    }

    /// Returns the bytes of a range that was checked before, to be written.
    pub(crate) fn at_mut(&mut self, range: Range<usize>) -> Result<&mut [u8], Errno> {
        self.0.get_mut(range).ok_or(Errno::Fault)
    }

    pub(crate) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Errno> {
        let length = u64::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.bytes_mut(pointer, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, pointer: u32, value: u32) -> Result<(), Errno> {
        self.write(pointer, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, pointer: u32, value: u64) -> Result<(), Errno> {
        self.write(pointer, &value.to_le_bytes())
    }

    /// Returns a path or a link target: valid UTF-8 without zero bytes, at most
    /// [`PATH_BYTES_MAX`] bytes long.
    pub(crate) fn path(&self, pointer: u32, length: u32) -> Result<String, Errno> {
        let bytes = self.bytes(pointer, length)?;
        if bytes.len() > PATH_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        if bytes.contains(&0) {
            return Err(Errno::Invalid);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Errno::IllegalSequence)?;
        Ok(text.to_owned())
    }

    /// Returns the buffers of the array of `count` pairs at `pointer`.
    pub(crate) fn buffers(&self, pointer: u32, count: u32) -> Result<Buffers, Errno> {
        if count > BUFFERS_MAX {
            return Err(Errno::Invalid);
        }
        let pairs = self.bytes(pointer, count * 8)?;
        let mut buffers = Buffers { ranges: Vec::with_capacity(pairs.len() / 8), total: 0 };
        for pair in pairs.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *pair;
            let length = u64::from(u32::from_le_bytes([e, f, g, h]));
            buffers.ranges.push(self.range(u32::from_le_bytes([a, b, c, d]), length)?);
            buffers.total += length;
        }
        Ok(buffers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_end_at_the_end_of_memory() {
        let mut bytes = [7; 16];
        let mut memory = Memory::new(&mut bytes);
        assert_eq!(memory.bytes(16, 0), Ok(&[][..]));
        assert_eq!(memory.bytes(17, 0), Err(Errno::Fault));
        assert_eq!(memory.bytes(8, 9), Err(Errno::Fault));
        assert_eq!(memory.bytes(u32::MAX, u32::MAX), Err(Errno::Fault));
        assert_eq!(memory.write_u64(9, 0), Err(Errno::Fault));
        assert_eq!(memory.write_u64(8, 0), Ok(()));
    }

    #[test]
    fn buffers_are_cut_in_order() {
        let mut bytes = [0; 64];
        for (at, value) in [(0, 32), (4, 5), (8, 40), (12, 0), (16, 32), (20, 8)] {
            bytes[at] = value;
        }
        let memory = Memory::new(&mut bytes);
        let buffers = memory.buffers(0, 3).unwrap();
        assert_eq!(buffers.total, 13);
        assert_eq!(buffers.first(7).collect::<Vec<_>>(), [32..37, 40..40, 32..34]);
        assert_eq!(buffers.first(5).collect::<Vec<_>>(), [32..37, 40..40]);
        assert_eq!(memory.buffers(0, BUFFERS_MAX + 1).unwrap_err(), Errno::Invalid);
    }
}
