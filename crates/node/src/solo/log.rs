//! The log of blocks: one file that only grows.
//!
//! A frame holds one block:
//!
//! ```text
//! frame = "IWB1" ‖ length as u32 ‖ BLAKE3 of length and payload ‖ payload
//! ```
//!
//! A block is answered for only when its frame is on disk, and frames are written one at a time.
//! So a crash can leave at most one bad frame, the last: it is cut off when the log is opened.
//! A bad frame with later blocks behind it is no crash but damage, and the log is not opened. What
//! a bad frame holds was written by strangers, so only what a validator signed counts as a later
//! block: nobody else can make a torn log look damaged.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;
use types::{Block, Decode, Encode, Genesis, Hash, Reader, SignedHeader, limits::BLOCK_BYTES_MAX};

const MAGIC: [u8; 4] = *b"IWB1";
/// Bytes before the payload: magic, length, hash.
const HEAD_BYTES: usize = 4 + 4 + 32;
/// Bytes of the longest payload: the transactions and what is around them.
const PAYLOAD_BYTES_MAX: usize = BLOCK_BYTES_MAX + 64 * 1024;
/// Bytes of a signed header, with which a payload begins: height, time, three hashes, key,
/// signature.
pub(super) const HEADER_BYTES: usize = 8 + 8 + 3 * 32 + 32 + 64;
/// Bytes of a frame from its beginning to the end of its block's header.
const OPENING_BYTES: usize = HEAD_BYTES + HEADER_BYTES;
/// Bytes that are looked at in one go when the log is searched for a later block.
const SEARCH_BYTES: usize = 1024 * 1024;

/// Why the log of blocks cannot be used.
#[derive(Debug, Error)]
pub enum LogError {
    /// The system does not let it be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A frame is damaged, but later blocks follow.
    #[error("{path} is damaged at byte {offset}; blocks follow, so this was no crash")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged frame begins.
        offset: u64,
    },
}

/// Where a frame stands in the log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A block that was read.
#[derive(Debug)]
pub(crate) struct Framed {
    pub(crate) block: Block,
    pub(crate) span: Span,
}

/// Reads frames from front to back.
#[derive(Debug)]
pub(crate) struct LogReader {
    path: PathBuf,
    file: File,
    offset: u64,
}

impl LogReader {
    /// Starts at a frame's beginning.
    pub(crate) fn open(path: &Path, offset: u64) -> Result<Self, LogError> {
        let on_file = |source| LogError::File { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(on_file)?;
        file.seek(SeekFrom::Start(offset)).map_err(on_file)?;
        Ok(Self { path: path.to_owned(), file, offset })
    }

    /// Returns where the next frame begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next block; nothing when no good frame stands here.
    pub(crate) fn next(&mut self) -> Result<Option<Framed>, LogError> {
        let start = self.offset;
        let framed = self.frame().map_err(|source| self.on_file(source))?;
        match framed {
            Some((block, bytes)) => {
                self.offset = start + bytes;
                let span = Span { start, end: self.offset };
                Ok(Some(Framed { block, span }))
            }
            None => {
                let back = self.file.seek(SeekFrom::Start(start));
                back.map_err(|source| self.on_file(source))?;
                Ok(None)
            }
        }
    }

    /// Passes over a block that is known to stand here and returns its header.
    pub(crate) fn skip(&mut self) -> Result<SignedHeader, LogError> {
        let mut opening = [0; OPENING_BYTES];
        let read = read_full(&mut self.file, &mut opening);
        let read = read.map_err(|source| self.on_file(source))?;
        let (length, header) = parse_opening(&opening)
            .filter(|_| read)
            .ok_or_else(|| LogError::Damaged { path: self.path.clone(), offset: self.offset })?;
        self.offset += (HEAD_BYTES + length) as u64;
        let onward = self.file.seek(SeekFrom::Start(self.offset));
        onward.map_err(|source| self.on_file(source))?;
        Ok(header)
    }

    fn frame(&mut self) -> io::Result<Option<(Block, u64)>> {
        let mut head = [0; HEAD_BYTES];
        if !read_full(&mut self.file, &mut head)? {
            return Ok(None);
        }
        let Some((length, hash)) = parse_head(&head) else { return Ok(None) };
        let mut payload = vec![0; length];
        if !read_full(&mut self.file, &mut payload)? || hash != frame_hash(&payload) {
            return Ok(None);
        }
        let block = Block::from_bytes(&payload).ok();
        Ok(block.map(|block| (block, (HEAD_BYTES + length) as u64)))
    }

    /// Returns whether a later block begins anywhere behind the bad frame that stands here. Each
    /// byte is looked at once, and each candidate costs a signature at most.
    fn finds_later(&mut self, past: &Past<'_>) -> Result<bool, LogError> {
        let mut place = self.offset + 1;
        let mut buffer = vec![0; SEARCH_BYTES];
        loop {
            let read = self
                .file
                .seek(SeekFrom::Start(place))
                .and_then(|_| read_some(&mut self.file, &mut buffer))
                .map_err(|source| self.on_file(source))?;
            let mut openings = buffer[..read].windows(OPENING_BYTES);
            if openings.any(|opening| past.is_before(opening)) {
                return Ok(true);
            }
            if read < SEARCH_BYTES {
                return Ok(false);
            }
            // An opening may stand across the border of two reads.
            place += (read - OPENING_BYTES + 1) as u64;
        }
    }

    fn on_file(&self, source: io::Error) -> LogError {
        LogError::File { path: self.path.clone(), source }
    }
}

/// What is known of the network when the log has been read to its last good block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past<'a> {
    pub(crate) genesis: &'a Genesis,
    pub(crate) genesis_hash: &'a Hash,
    /// The last good block's height.
    pub(crate) height: u64,
}

impl Past<'_> {
    /// Returns whether the opening of a frame is that of a later block.
    fn is_before(&self, opening: &[u8]) -> bool {
        if !opening.starts_with(&MAGIC) {
            return false;
        }
        let header = opening.first_chunk().and_then(parse_opening).map(|(_, header)| header);
        header.is_some_and(|header| {
            header.header.height > self.height
                && self.genesis.validators.contains(&header.validator)
                && header.verify(self.genesis_hash).is_ok()
        })
    }
}

/// Reads the length of a frame's payload and the header in it.
fn parse_opening(opening: &[u8; OPENING_BYTES]) -> Option<(usize, SignedHeader)> {
    let (head, header) = opening.split_first_chunk()?;
    let (length, _) = parse_head(head)?;
    let mut reader = Reader::new(header);
    let header = SignedHeader::decode(&mut reader).ok()?;
    reader.finish().ok()?;
    Some((length, header))
}

fn parse_head(head: &[u8; HEAD_BYTES]) -> Option<(usize, [u8; 32])> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (length, hash) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let in_form = *magic == MAGIC && length <= PAYLOAD_BYTES_MAX;
    Some((length, hash.try_into().ok()?)).filter(|_| in_form)
}

fn frame_hash(payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(payload.len() as u64).to_le_bytes()).update(payload);
    *hasher.finalize().as_bytes()
}

fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<bool> {
    Ok(read_some(file, buffer)? == buffer.len())
}

/// The log, opened to be written.
#[derive(Debug)]
pub(crate) struct BlockLog {
    path: PathBuf,
    file: File,
    end: u64,
}

impl BlockLog {
    /// Opens the log behind the last good frame, given as the reader that came to its end, and
    /// cuts off what a crash left behind it.
    pub(crate) fn open_after(mut reader: LogReader, past: &Past<'_>) -> Result<Self, LogError> {
        let (path, end) = (reader.path.clone(), reader.offset());
        let on_file = |source| LogError::File { path: path.clone(), source };
        let length = reader.file.metadata().map_err(on_file)?.len();
        if length > end {
            if reader.finds_later(past)? {
                return Err(LogError::Damaged { path, offset: end });
            }
            tracing::warn!(bytes = length - end, "cut off a block that a crash left unfinished");
        }
        let mut file = OpenOptions::new().write(true).open(&path).map_err(on_file)?;
        file.set_len(end).and_then(|()| file.sync_all()).map_err(on_file)?;
        file.seek(SeekFrom::Start(end)).map_err(on_file)?;
        Ok(Self { path, file, end })
    }

    /// Makes an empty log if there is none.
    pub(crate) fn create(path: &Path) -> Result<(), LogError> {
        let on_file = |source| LogError::File { path: path.to_owned(), source };
        if path.try_exists().map_err(on_file)? {
            return Ok(());
        }
        File::create_new(path).and_then(|file| file.sync_all()).map_err(on_file)?;
        crate::files::sync_directory(path.parent().unwrap_or(Path::new("."))).map_err(on_file)
    }

    /// Writes a block and waits until it is on disk. After an error the log must not be used.
    pub(crate) fn append(&mut self, block: &Block) -> Result<Span, LogError> {
        let payload = block.to_bytes();
        let length = u32::try_from(payload.len()).ok();
        let length = length.filter(|_| payload.len() <= PAYLOAD_BYTES_MAX);
        let length = length.expect("the sequencer keeps blocks within their bound");
        let frame = [&MAGIC[..], &length.to_le_bytes(), &frame_hash(&payload), &payload].concat();
        let written = self.file.write_all(&frame).and_then(|()| self.file.sync_data());
        written.map_err(|source| LogError::File { path: self.path.clone(), source })?;
        let start = self.end;
        self.end += frame.len() as u64;
        Ok(Span { start, end: self.end })
    }
}

#[cfg(test)]
mod tests {
    use types::{Header, List, Parameters, SecretKey, Text, Time};

    use super::*;

    const VALIDATOR: u8 = 1;

    fn genesis() -> Genesis {
        let validator = SecretKey::from_bytes([VALIDATOR; 32]).public();
        Genesis {
            network: Text::new("log").unwrap(),
            time: Time::from_ms(0),
            rules: 1,
            token: false,
            validators: List::new(vec![validator]).unwrap(),
            issuers: List::default(),
            wallets: List::default(),
            parameters: Parameters::local(),
        }
    }

    fn signed_by(seed: u8, height: u64) -> Block {
        let time = Time::from_ms(height);
        let [parent, transactions, state] = [Hash::ZERO; 3];
        let header = Header { height, time, parent, transactions, state };
        let key = SecretKey::from_bytes([seed; 32]);
        let header = SignedHeader::sign(header, &genesis().hash(), &key);
        Block { header, transactions: List::default() }
    }

    fn block(height: u64) -> Block {
        signed_by(VALIDATOR, height)
    }

    /// Opens a log and returns the heights of its blocks.
    fn open(path: &Path) -> Result<(Vec<u64>, BlockLog), LogError> {
        BlockLog::create(path)?;
        let mut reader = LogReader::open(path, 0)?;
        let mut heights = Vec::new();
        while let Some(framed) = reader.next()? {
            heights.push(framed.block.header.header.height);
        }
        let (genesis, height) = (genesis(), heights.last().copied().unwrap_or(0));
        let past = Past { genesis: &genesis, genesis_hash: &genesis.hash(), height };
        Ok((heights, BlockLog::open_after(reader, &past)?))
    }

    /// Returns the bytes of a block's frame.
    fn frame(block: &Block) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (_, mut log) = open(&path).unwrap();
        log.append(block).unwrap();
        std::fs::read(&path).unwrap()
    }

    fn three_blocks(path: &Path) -> Vec<Span> {
        let (_, mut log) = open(path).unwrap();
        (1..=3).map(|height| log.append(&block(height)).unwrap()).collect()
    }

    #[test]
    fn blocks_come_back_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        three_blocks(&path);
        let (heights, mut log) = open(&path).unwrap();
        assert_eq!(heights, [1, 2, 3]);
        log.append(&block(4)).unwrap();
        assert_eq!(open(&path).unwrap().0, [1, 2, 3, 4]);
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let spans = three_blocks(&path);
        let whole = std::fs::read(&path).unwrap();
        for length in spans[2].start..spans[2].end {
            std::fs::write(&path, &whole[..usize::try_from(length).unwrap()]).unwrap();
            assert_eq!(open(&path).unwrap().0, [1, 2]);
            assert_eq!(std::fs::metadata(&path).unwrap().len(), spans[1].end);
        }
    }

    #[test]
    fn garbage_behind_the_last_block_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        three_blocks(&path);
        let whole = std::fs::read(&path).unwrap();
        for garbage in [vec![0; 5000], MAGIC.to_vec(), [MAGIC.as_slice(), &[255; 100]].concat()] {
            std::fs::write(&path, [whole.as_slice(), &garbage].concat()).unwrap();
            assert_eq!(open(&path).unwrap().0, [1, 2, 3]);
        }
    }

    /// A stranger's bytes stand in a torn block as they would in a transaction.
    #[test]
    fn only_what_a_validator_signed_is_a_later_block() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        three_blocks(&path);
        let whole = std::fs::read(&path).unwrap();
        let torn = |inside: &[u8]| {
            let bytes = [&whole[..], &frame(&block(4))[..100], inside, &[7; 50]].concat();
            std::fs::write(&path, bytes).unwrap();
            open(&path)
        };
        for harmless in [signed_by(2, 9), block(3)] {
            assert_eq!(torn(&frame(&harmless)).unwrap().0, [1, 2, 3]);
        }
        // Wherever it stands with regard to the pieces that are searched.
        for before in [0, SEARCH_BYTES - 150, SEARCH_BYTES - 101, SEARCH_BYTES] {
            let inside = [vec![0; before], frame(&block(5))].concat();
            let found = torn(&inside);
            assert!(matches!(found, Err(LogError::Damaged { .. })), "{before}: {found:?}");
        }
    }

    #[test]
    fn a_flipped_bit_before_good_blocks_is_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let spans = three_blocks(&path);
        let whole = std::fs::read(&path).unwrap();
        for place in (spans[0].start..spans[1].end).step_by(7) {
            let mut flipped = whole.clone();
            flipped[usize::try_from(place).unwrap()] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            let bad = if place < spans[0].end { 0 } else { spans[0].end };
            match open(&path) {
                Err(LogError::Damaged { offset, .. }) => assert_eq!(offset, bad),
                other => panic!("byte {place}: {other:?}"),
            }
            assert_eq!(std::fs::read(&path).unwrap(), flipped, "nothing is changed");
        }
    }
}
