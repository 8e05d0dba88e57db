//! Snapshots: the state after a block in a file, so that a start need not replay everything.
//!
//! ```text
//! file = "IWS1" ‖ frame start ‖ frame end ‖ signed header ‖ (length ‖ chunk)… ‖ 0 as u32 ‖ BLAKE3
//! ```
//!
//! The hash at the end is over all before it and shows whether the file is whole. That the state
//! is right shows the header: each chunk is verified against its root, and the header stands in
//! the log of blocks.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use ledger::{
    Ledger,
    map::{CHUNK_BYTES_MAX, Import},
};
use thiserror::Error;
use types::{Decode, Encode, Genesis, Reader, SignedHeader};

use super::log::{HEADER_BYTES, Span};
use crate::files::sync_directory;

const MAGIC: [u8; 4] = *b"IWS1";
/// Snapshots that are kept; an older one is there in case the newest does not read.
const KEPT: usize = 2;

/// The state after a block, and where the block stands in the log.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) ledger: Ledger,
    pub(crate) header: SignedHeader,
    pub(crate) span: Span,
}

/// Why a snapshot cannot be read.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    #[error("it cannot be read")]
    File(#[from] io::Error),
    #[error("it is not whole")]
    Form,
    #[error("its chunks do not lead to its root")]
    Chunks,
    #[error("it is not a state of this network")]
    State,
}

/// Feeds a hasher with everything that passes.
struct Hashed<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, hasher: blake3::Hasher::new() }
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn path_of(directory: &Path, height: u64) -> PathBuf {
    directory.join(format!("{height:020}.snapshot"))
}

/// Returns the snapshots that are there, newest first.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "snapshot") {
            paths.push(path);
        }
    }
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

/// Writes a snapshot and removes those that are no longer needed.
pub(crate) fn write(directory: &Path, snapshot: &Snapshot) -> io::Result<PathBuf> {
    let path = path_of(directory, snapshot.header.header.height);
    // One name for all, so that what a crash leaves is written over by the next.
    let temporary = directory.join("unfinished");
    let written = write_file(&temporary, snapshot).and_then(|()| fs::rename(&temporary, &path));
    if let Err(error) = written {
        // What takes room on a full disk only keeps the blocks from it.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(directory)?;
    for old in list(directory)?.into_iter().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(path)
}

fn write_file(path: &Path, snapshot: &Snapshot) -> io::Result<()> {
    let mut out = Hashed::new(BufWriter::new(File::create(path)?));
    out.write_all(&MAGIC)?;
    out.write_all(&snapshot.span.start.to_le_bytes())?;
    out.write_all(&snapshot.span.end.to_le_bytes())?;
    out.write_all(&snapshot.header.to_bytes())?;
    for chunk in snapshot.ledger.chunks() {
        let length = u32::try_from(chunk.len()).map_err(io::Error::other)?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&chunk)?;
    }
    out.write_all(&0_u32.to_le_bytes())?;
    let hash = out.hasher.finalize();
    let mut file = out.inner;
    file.write_all(hash.as_bytes())?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Reads a snapshot and checks that it is a state of the network with the root it claims.
pub(crate) fn read(path: &Path, genesis: &Genesis) -> Result<Snapshot, SnapshotError> {
    let mut file = Hashed::new(BufReader::new(File::open(path)?));
    let mut head = [0; 4 + 16 + HEADER_BYTES];
    file.read_exact(&mut head)?;
    let (span, header) = parse_head(&head).ok_or(SnapshotError::Form)?;
    let mut import = Import::new(*header.header.state.as_bytes());
    let mut chunk = Vec::new();
    loop {
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 {
            break;
        }
        if length > CHUNK_BYTES_MAX {
            return Err(SnapshotError::Form);
        }
        chunk.resize(length, 0);
        file.read_exact(&mut chunk)?;
        import.accept(&chunk).map_err(|_| SnapshotError::Chunks)?;
    }
    let expected = file.hasher.finalize();
    let mut hash = [0; 32];
    file.inner.read_exact(&mut hash)?;
    if expected != hash {
        return Err(SnapshotError::Form);
    }
    let map = import.finish().map_err(|_| SnapshotError::Chunks)?;
    let ledger = Ledger::restore(genesis, map).map_err(|_| SnapshotError::State)?;
    if ledger.network().height != header.header.height {
        return Err(SnapshotError::State);
    }
    Ok(Snapshot { ledger, header, span })
}

fn parse_head(head: &[u8]) -> Option<(Span, SignedHeader)> {
    let mut reader = Reader::new(head);
    if reader.array().ok()? != MAGIC {
        return None;
    }
    let start = u64::decode(&mut reader).ok()?;
    let end = u64::decode(&mut reader).ok()?;
    let header = SignedHeader::decode(&mut reader).ok()?;
    reader.finish().ok()?;
    Some((Span { start, end }, header))
}

#[cfg(test)]
mod tests {
    use types::{Hash, Header, SecretKey};

    use super::*;
    use crate::{config::read_genesis, local};

    fn snapshot(genesis: &Genesis) -> Snapshot {
        let ledger = Ledger::new(genesis).unwrap();
        let (time, state) = (genesis.time, ledger.root());
        let [parent, transactions] = [Hash::ZERO; 2];
        let header = Header { height: 0, time, parent, transactions, state };
        let header = SignedHeader::sign(header, &genesis.hash(), &SecretKey::from_bytes([1; 32]));
        Snapshot { ledger, header, span: Span { start: 0, end: 0 } }
    }

    #[test]
    fn one_that_fails_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let config = local::create(data.path(), &local::LocalNetwork::default()).unwrap();
        let genesis = read_genesis(&config.genesis_path()).unwrap();
        let directory = data.path().join("snapshots");
        // A directory in its place lets nothing be renamed to it.
        let place = path_of(&directory, 0);
        fs::create_dir_all(&place).unwrap();
        let snapshot = snapshot(&genesis);
        assert!(write(&directory, &snapshot).is_err());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir(&place).unwrap();
        fs::write(directory.join("unfinished"), b"what a crash left").unwrap();
        let path = write(&directory, &snapshot).unwrap();
        assert_eq!(read(&path, &genesis).unwrap().ledger.root(), snapshot.ledger.root());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }
}
