//! Hashes of what is too long to hold.

use std::io::{self, Read};

use types::ContentHash;

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// Reads to the end and returns hash and length.
pub(crate) fn hash_reader(mut reader: impl Read) -> io::Result<(ContentHash, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => _ = hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((ContentHash::from_bytes(*hasher.finalize().as_bytes()), hasher.count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reader_hashes_as_its_bytes() {
        let bytes = vec![7; READ_BYTES * 2 + 1];
        let (hash, length) = hash_reader(&bytes[..]).unwrap();
        assert_eq!((hash, length), (ContentHash::of(&bytes), bytes.len() as u64));
    }
}
