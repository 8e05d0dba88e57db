//! What waits, on disk: so that a node that was killed still has it.
//!
//! ```text
//! file = (length as u32 ‖ transaction)…            in the order in which they came
//! ```
//!
//! What is written is with the system at once, and on disk when the system likes: it is no promise
//! to anybody, since only final blocks are. A tail that is torn is left out.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
};

use types::body;

use super::mempool::{BYTES_MAX, COUNT_MAX};

/// Bytes of transactions that wait no more, after which the file is written anew.
const DEAD_BYTES_MAX: u64 = 256 * 1024;

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

/// The file of what waits.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Nothing once it could not be written.
    open: Mutex<Option<Open>>,
}

impl Journal {
    /// Opens a file, which is made if there is none, and returns the transactions in it.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let mut options = File::options();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        // As much as a mempool holds, twice: an old file may hold what waits no more.
        (&file).take(2 * BYTES_MAX as u64).read_to_end(&mut bytes)?;
        let (found, whole) = whole_entries(&bytes);
        // What comes next would be read as the rest of what is torn.
        file.set_len(whole)?;
        let open = Open { bytes: file.seek(SeekFrom::Start(whole))?, file };
        Ok((Self { open: Mutex::new(Some(open)) }, found))
    }

    /// Adds transactions.
    pub(crate) fn append<'a>(&self, transactions: impl IntoIterator<Item = &'a [u8]>) {
        let mut written = Vec::new();
        for transaction in transactions {
            body::push_entry(&mut written, transaction);
        }
        if !written.is_empty() {
            self.write(|open| open.append(&written));
        }
    }

    /// Writes the file anew if much of it waits no more. `waiting` says what does.
    pub(crate) fn forget(&self, waiting: impl FnOnce() -> Vec<Vec<u8>>) {
        self.write(|open| {
            if open.bytes < DEAD_BYTES_MAX {
                return Ok(());
            }
            let mut live = Vec::new();
            for transaction in waiting() {
                body::push_entry(&mut live, &transaction);
            }
            if open.bytes < 2 * live.len() as u64 + DEAD_BYTES_MAX {
                return Ok(());
            }
            open.file.set_len(0)?;
            open.file.seek(SeekFrom::Start(0))?;
            open.bytes = 0;
            open.append(&live)
        });
    }

    fn write(&self, act: impl FnOnce(&mut Open) -> io::Result<()>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = open.as_mut() else { return };
        if let Err(error) = act(file) {
            // What waits is no promise, so the node goes on without it.
            tracing::warn!("what waits is no longer kept for a restart: {error}");
            *open = None;
        }
    }
}

impl Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Returns the entries before the first that is torn, and how many bytes they are.
fn whole_entries(bytes: &[u8]) -> (Vec<Vec<u8>>, u64) {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((entry, after)) = after.split_at_checked(length) else { break };
        if found.len() == 2 * COUNT_MAX {
            break;
        }
        found.push(entry.to_vec());
        rest = after;
    }
    (found, (bytes.len() - rest.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_there_again_without_a_torn_tail() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waiting");
        let (journal, found) = Journal::open(&path).unwrap();
        assert!(found.is_empty());
        journal.append([&b"one"[..], b"two"]);
        journal.append([&b"three"[..]]);
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (journal, found) = Journal::open(&path).unwrap();
            let expected: &[&[u8]] = match length {
                0..7 => &[],
                7..14 => &[b"one"],
                14..23 => &[b"one", b"two"],
                _ => &[b"one", b"two", b"three"],
            };
            assert_eq!(found, expected, "{length}");
            journal.append([&b"next"[..]]);
            let (_, again) = Journal::open(&path).unwrap();
            assert_eq!(again.last().unwrap(), b"next", "{length}");
            assert_eq!(again[..again.len() - 1], *expected, "{length}");
        }
    }

    #[test]
    fn what_waits_no_more_is_forgotten_and_what_waits_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("waiting");
        let (journal, _) = Journal::open(&path).unwrap();
        let long = vec![7; 100_000];
        let live = vec![b"waits".to_vec()];
        journal.append([&long[..], &live[0]]);
        journal.forget(|| live.clone());
        assert_eq!(Journal::open(&path).unwrap().1.len(), 2, "it is not much yet");
        journal.append([&long[..], &long]);
        journal.forget(|| live.clone());
        assert_eq!(Journal::open(&path).unwrap().1, live);
        journal.append([&b"more"[..]]);
        assert_eq!(Journal::open(&path).unwrap().1.len(), 2);
    }
}
