//! The bytes of a file: shared with the inputs until the guest writes to them.

use std::sync::Arc;

use super::abi::{Errno, Outcome};
use crate::wasm::engine::{HostAbort, HostTrap, Meter};

/// The bytes of one file.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes of an input, shared among all its readers.
    Shared(Arc<[u8]>),
    /// Bytes that the guest wrote.
    Owned(Vec<u8>),
}

impl Content {
    /// Returns the bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Returns the length in bytes.
    pub(crate) fn length(&self) -> u64 {
        byte_count(self.as_slice())
    }

    /// Returns how many bytes of the job's space the content takes.
    pub(crate) fn owned_length(&self) -> u64 {
        match self {
            Self::Shared(_) => 0,
            Self::Owned(bytes) => byte_count(bytes),
        }
    }

    /// Returns the bytes to be written, grown with zeros to at least `length`.
    pub(crate) fn grow(&mut self, length: u64, meter: &mut Meter) -> Outcome<&mut [u8]> {
        let current = self.length();
        let target = current.max(length);
        let copied = current - self.owned_length();
        meter.charge_bytes(copied + (target - current))?;
        let size = usize::try_from(target).map_err(|_| Errno::TooLarge)?;
        let mut bytes = match std::mem::replace(self, Self::Owned(Vec::new())) {
            Self::Owned(bytes) => bytes,
            Self::Shared(shared) => copy(&shared, size)?,
        };
        reserve(&mut bytes, size)?;
        if bytes.len() < size {
            bytes.resize(size, 0);
        }
        *self = Self::Owned(bytes);
        match self {
            Self::Owned(bytes) => Ok(bytes),
            Self::Shared(_) => unreachable!("the content was made owned above"),
        }
    }

    /// Cuts the content to `length`, which is at most its own, and gives the memory back.
    pub(crate) fn cut(&mut self, length: u64, meter: &mut Meter) -> Outcome {
        meter.charge_bytes(length)?;
        let size = usize::try_from(length).map_err(|_| Errno::TooLarge)?;
        match self {
            Self::Shared(shared) => *self = Self::Owned(copy(&shared[..size], size)?),
            Self::Owned(bytes) => {
                bytes.truncate(size);
                if bytes.capacity() / 2 > size {
                    bytes.shrink_to_fit();
                }
            }
        }
        Ok(())
    }
}

/// Returns the length of `bytes` as the 64-bit number that guests use.
pub(crate) fn byte_count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn copy(source: &[u8], size: usize) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    reserve(&mut bytes, size)?;
    bytes.extend_from_slice(source);
    Ok(bytes)
}

/// Makes room for `size` bytes in all; growth is amortised, so repeated appends stay linear.
fn reserve(bytes: &mut Vec<u8>, size: usize) -> Outcome {
    let more = size.saturating_sub(bytes.len());
    bytes.try_reserve(more).map_err(|_| HostTrap::Abort(HostAbort::OutOfMemory).into())
}
