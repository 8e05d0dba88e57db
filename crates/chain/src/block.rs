//! Blocks: a header of fixed size, which validators sign, and the body it commits to.
//!
//! ```text
//! header = height ‖ time ‖ parent ‖ leader ‖ share ‖ body ‖ state          integers little-endian
//!        =    8   ‖  8   ‖   32   ‖   4    ‖  48   ‖  32  ‖  32            164 bytes
//! digest = BLAKE3("idlewild header" ‖ 0 ‖ header)
//!
//! bytes  = (length as u32 ‖ entry)…
//! leaf   = BLAKE3("idlewild entry" ‖ 0 ‖ entry)
//! branch = BLAKE3("idlewild entries" ‖ 0 ‖ left ‖ right)
//! body   = BLAKE3("idlewild body" ‖ 0 ‖ count as u32 ‖ root)             the root of none is zero
//! ```
//!
//! A body is a sequence of entries, so that of each one can be shown that it is there. The tree
//! pairs neighbours, level by level; one without a neighbour goes up as it is. What an entry says
//! is the machine's business.

use bytes::{Buf as _, BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, Read, Write};
use commonware_consensus::{Block as ConsensusBlock, BoundedBlock, Heightable, types::Height};
use commonware_cryptography::{Digestible, blake3::Digest};

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// Bytes of an encoded header.
pub const HEADER_BYTES: usize = 164;
/// Bytes of a leader's share of the beacon.
pub const SHARE_BYTES: usize = 48;

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Counts blocks; the beginning is 0, the first block 1.
    pub height: u64,
    /// Milliseconds since 1970, after its parent's.
    pub time_ms: u64,
    /// The digest of the header before; of the genesis, for the beginning.
    pub parent: Hash,
    /// The place of the validator that made it, among all.
    pub leader: u32,
    /// The leader's signature of the beacon before.
    pub share: [u8; SHARE_BYTES],
    /// Commits to the body.
    pub body: Hash,
    /// The root of the state after it.
    pub state: Hash,
}

impl Header {
    /// Returns its encoding.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut out = &mut bytes[..];
        out.put_u64_le(self.height);
        out.put_u64_le(self.time_ms);
        out.put_slice(&self.parent);
        out.put_u32_le(self.leader);
        out.put_slice(&self.share);
        out.put_slice(&self.body);
        out.put_slice(&self.state);
        bytes
    }

    /// Reads an encoding. All bytes are one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Self {
        let mut input = &bytes[..];
        Self {
            height: input.get_u64_le(),
            time_ms: input.get_u64_le(),
            parent: array(&mut input),
            leader: input.get_u32_le(),
            share: array(&mut input),
            body: array(&mut input),
            state: array(&mut input),
        }
    }

    /// Returns what validators sign.
    #[must_use]
    pub fn digest(&self) -> Hash {
        hash("idlewild header", &self.to_bytes())
    }
}

/// Takes bytes that are known to be there.
fn array<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    input.copy_to_slice(&mut bytes);
    bytes
}

/// Hashes bytes in a domain.
pub(crate) fn hash(domain: &'static str, bytes: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain.as_bytes()).update(&[0]).update(bytes);
    *hasher.finalize().as_bytes()
}

/// Returns what a header says of a body; nothing when it ends within an entry.
#[must_use]
pub fn body_hash(body: &[u8]) -> Option<Hash> {
    let mut level = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (entry, after) = after.split_at_checked(length)?;
        level.push(hash("idlewild entry", entry));
        rest = after;
    }
    let count = u32::try_from(level.len()).ok()?;
    while level.len() > 1 {
        let parent = |pair: &[Hash]| match pair {
            [alone] => *alone,
            both => hash("idlewild entries", both.as_flattened()),
        };
        level = level.chunks(2).map(parent).collect();
    }
    let root = level.first().copied().unwrap_or_default();
    Some(hash("idlewild body", &[&count.to_le_bytes()[..], &root].concat()))
}

/// A header with the body it commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) body: Bytes,
}

impl Block {
    /// Returns the block before all others.
    pub(crate) fn beginning(genesis: &Hash, time_ms: u64, state: Hash) -> Self {
        let header = Header {
            height: 0,
            time_ms,
            parent: *genesis,
            leader: 0,
            share: [0; SHARE_BYTES],
            body: body_hash(&[]).expect("no entries are well-formed"),
            state,
        };
        Self { header, body: Bytes::new() }
    }
}

impl Write for Block {
    fn write(&self, out: &mut impl BufMut) {
        out.put_slice(&self.header.to_bytes());
        out.put_u32_le(u32::try_from(self.body.len()).expect("a body is within its bound"));
        out.put_slice(&self.body);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        HEADER_BYTES + 4 + self.body.len()
    }
}

impl Read for Block {
    /// Most bytes of a body.
    type Cfg = usize;

    fn read_cfg(input: &mut impl Buf, body_bytes_max: &usize) -> Result<Self, Error> {
        if input.remaining() < HEADER_BYTES + 4 {
            return Err(Error::EndOfBuffer);
        }
        let mut header = [0; HEADER_BYTES];
        input.copy_to_slice(&mut header);
        let header = Header::from_bytes(&header);
        let length = usize::try_from(input.get_u32_le()).unwrap_or(usize::MAX);
        if length > *body_bytes_max {
            return Err(Error::InvalidLength(length));
        }
        if input.remaining() < length {
            return Err(Error::EndOfBuffer);
        }
        let mut body = vec![0; length];
        input.copy_to_slice(&mut body);
        if body_hash(&body) != Some(header.body) {
            return Err(Error::Invalid("Block", "the header commits to another body"));
        }
        Ok(Self { header, body: body.into() })
    }
}

impl Digestible for Block {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        Digest(self.header.digest())
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.header.height)
    }
}

impl ConsensusBlock for Block {
    fn parent(&self) -> Digest {
        Digest(self.header.parent)
    }
}

impl BoundedBlock for Block {
    fn max_encode_size(body_bytes_max: &usize) -> usize {
        HEADER_BYTES + 4 + body_bytes_max
    }
}

#[cfg(test)]
mod tests {
    use commonware_codec::{Decode as _, Encode as _};

    use super::*;

    const BODY: &[u8] = b"\x03\0\0\0one\x01\0\0\0x";

    fn block() -> Block {
        let header = Header {
            height: 3,
            time_ms: 1_000,
            parent: [1; 32],
            leader: 2,
            share: [3; SHARE_BYTES],
            body: body_hash(BODY).unwrap(),
            state: [4; 32],
        };
        Block { header, body: Bytes::from_static(BODY) }
    }

    #[test]
    fn a_block_is_what_its_bytes_say() {
        let bytes = block().encode();
        assert_eq!(Block::decode_cfg(bytes.clone(), &12).unwrap(), block());
        assert!(Block::decode_cfg(bytes.clone(), &11).is_err(), "the body is above its bound");
        for length in 0..bytes.len() {
            assert!(Block::decode_cfg(bytes.slice(..length), &12).is_err());
        }
    }

    #[test]
    fn a_body_ends_with_an_entry() {
        assert!(body_hash(b"").is_some());
        assert_eq!(body_hash(&BODY[..BODY.len() - 1]), None);
        assert_eq!(body_hash(&[BODY, b"\x01"].concat()), None);
        assert_eq!(body_hash(b"\xff\xff\xff\xff"), None);
    }

    #[test]
    fn another_body_is_no_block() {
        let mut bytes = block().encode().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        assert!(Block::decode_cfg(bytes, &100).is_err());
    }
}
