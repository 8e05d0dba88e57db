//! The results of jobs on disk, apart from inputs: nothing here is ever read by a job.
//!
//! A lease holds its result from before its record is written until the lease is forgotten. Room
//! for a result is reserved before its lease is started, within a quota and what the disk has
//! free. When there is none, results go that the node was given and that were paid, oldest first:
//! those are kept only in case the node loses them. What is not handed over yet never goes.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;
use types::{ContentHash, LeaseId};

use crate::{disk, journal::Record};

/// A directory of results, shared by all who hold it.
#[derive(Debug)]
pub(crate) struct Results {
    directory: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<ContentHash, Kept>,
    leases: BTreeMap<LeaseId, Held>,
    /// What all files take on disk.
    bytes: u64,
    reserved: u64,
    turns: u64,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: u64,
    holders: u32,
    is_written: bool,
}

/// What one lease holds.
#[derive(Debug)]
struct Held {
    contents: Vec<ContentHash>,
    turn: u64,
    is_spare: bool,
}

/// Why there is no room for a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NoRoom {
    /// Results that must stay have taken it.
    #[error("results that are not handed over yet take up the room for its result")]
    Taken,
    /// The disk would not have it without these either.
    #[error("the disk has no room for its result")]
    Disk,
}

/// Room for one result, until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    results: Arc<Results>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = self.results.state();
        state.reserved = state.reserved.saturating_sub(self.bytes);
    }
}

impl Results {
    /// Opens the directory, or creates it, and removes what no record names.
    ///
    /// # Errors
    /// When it cannot be created, read or cleared.
    pub(crate) fn open(directory: PathBuf, bytes_max: u64, records: &[Record]) -> io::Result<Self> {
        disk::create_directory(&directory)?;
        let mut found = BTreeMap::new();
        for path in disk::files(&directory)? {
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(Ok(hash)) = name.map(str::parse::<ContentHash>) {
                found.insert(hash, fs::metadata(&path)?.len());
            }
        }
        let mut state = State::default();
        for record in records.iter().filter(|record| !record.contents().is_empty()) {
            let contents = record.contents().iter();
            let lengths = contents.map(|hash| (*hash, found.get(hash).copied())).collect();
            state.hold(record.lease, lengths);
        }
        for (hash, kept) in &mut state.files {
            kept.is_written = found.contains_key(hash);
        }
        let results = Self { directory, bytes_max, state: Mutex::new(state) };
        for hash in found.keys() {
            if !results.state().files.contains_key(hash) {
                disk::remove(&results.path(hash))?;
            }
        }
        Ok(results)
    }

    /// Reserves room for a result of at most so many bytes.
    ///
    /// # Errors
    /// [`NoRoom`], though what may go went.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Result<Room, NoRoom> {
        let mut free = disk::free_bytes(&self.directory).unwrap_or(u64::MAX);
        let mut state = self.state();
        while !fits(&state, bytes, self.bytes_max, free) {
            let spare = state.leases.iter().filter(|(_, held)| held.is_spare);
            let oldest = spare.min_by_key(|(_, held)| held.turn).map(|(lease, _)| *lease);
            let Some(oldest) = oldest else {
                let free = free.saturating_add(state.bytes);
                let would_fit = fits(&State::default(), bytes, self.bytes_max, free);
                return Err(if would_fit { NoRoom::Taken } else { NoRoom::Disk });
            };
            tracing::info!(lease = %oldest, "its result goes to make room");
            let before = state.bytes;
            self.let_go(&mut state, oldest);
            free = free.saturating_add(before.saturating_sub(state.bytes));
        }
        state.reserved = state.reserved.saturating_add(bytes);
        drop(state);
        Ok(Room { results: Arc::clone(self), bytes })
    }

    /// Reserves what a result takes beyond its `room`.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub(crate) fn reserve_beyond(
        self: &Arc<Self>,
        room: &Room,
        contents: &BTreeMap<ContentHash, Vec<u8>>,
    ) -> Result<Option<Room>, NoRoom> {
        let taken = contents.values().map(|bytes| disk::taken(length(bytes)));
        match taken.fold(0, u64::saturating_add).saturating_sub(room.bytes) {
            0 => Ok(None),
            beyond => self.reserve(beyond).map(Some),
        }
    }

    /// Keeps the result of a lease, on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written; the lease then holds what there is of it.
    pub(crate) fn keep(
        &self,
        lease: LeaseId,
        contents: &BTreeMap<ContentHash, Vec<u8>>,
    ) -> io::Result<()> {
        {
            let mut state = self.state();
            self.let_go(&mut state, lease);
            if contents.is_empty() {
                return Ok(());
            }
            let named = contents.iter().map(|(hash, bytes)| (*hash, Some(length(bytes))));
            state.hold(lease, named.collect());
        }
        for (hash, bytes) in contents {
            if self.has(hash) {
                continue;
            }
            disk::replace(&self.path(hash), bytes)?;
            if let Some(kept) = self.state().files.get_mut(hash) {
                kept.is_written = true;
            }
        }
        Ok(())
    }

    /// Returns content of a result, if it is there and whole.
    pub(crate) fn get(&self, hash: &ContentHash) -> Option<Arc<[u8]>> {
        if !self.has(hash) {
            return None;
        }
        match disk::read_content(&self.path(hash), *hash) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(%hash, "a result cannot be read: {error}");
                if let Some(kept) = self.state().files.get_mut(hash) {
                    kept.is_written = false;
                }
                None
            }
        }
    }

    /// Returns whether content is there, without reading it.
    pub(crate) fn has(&self, hash: &ContentHash) -> bool {
        self.state().files.get(hash).is_some_and(|kept| kept.is_written)
    }

    /// Says that the result of a lease may go where room is needed.
    pub(crate) fn spare(&self, lease: LeaseId) {
        if let Some(held) = self.state().leases.get_mut(&lease) {
            held.is_spare = true;
        }
    }

    /// Removes the result of a lease, as far as no other has the same.
    pub(crate) fn forget(&self, lease: LeaseId) {
        self.let_go(&mut self.state(), lease);
    }

    /// Takes back what a lease holds. Files go while the state is locked, so that none goes that
    /// is being written for another lease.
    fn let_go(&self, state: &mut State, lease: LeaseId) {
        for hash in state.let_go(lease) {
            // One that cannot be removed goes at the next start.
            let _ = disk::remove(&self.path(&hash));
        }
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        self.directory.join(Path::new(&hash.to_string()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Returns whether so many bytes more have room.
fn fits(state: &State, bytes: u64, bytes_max: u64, free: u64) -> bool {
    let reserved = state.reserved.saturating_add(bytes);
    state.bytes.saturating_add(reserved) <= bytes_max
        && reserved.saturating_add(disk::FREE_BYTES_MIN) <= free
}

impl State {
    /// Notes what a lease holds, with the lengths of what is there or will be.
    fn hold(&mut self, lease: LeaseId, contents: Vec<(ContentHash, Option<u64>)>) {
        self.turns += 1;
        let hashes = contents.iter().map(|(hash, _)| *hash).collect();
        self.leases.insert(lease, Held { contents: hashes, turn: self.turns, is_spare: false });
        for (hash, bytes) in contents {
            let kept = self.files.entry(hash).or_default();
            kept.holders += 1;
            if !kept.is_written {
                let taken = bytes.map_or(0, disk::taken);
                self.bytes = self.bytes.saturating_sub(kept.bytes).saturating_add(taken);
                kept.bytes = taken;
            }
        }
    }

    /// Forgets what a lease holds, and returns what nobody holds any more.
    fn let_go(&mut self, lease: LeaseId) -> Vec<ContentHash> {
        let Some(held) = self.leases.remove(&lease) else { return Vec::new() };
        let mut gone = Vec::new();
        for hash in held.contents {
            let Some(kept) = self.files.get_mut(&hash) else { continue };
            kept.holders -= 1;
            if kept.holders == 0 {
                self.bytes = self.bytes.saturating_sub(kept.bytes);
                self.files.remove(&hash);
                gone.push(hash);
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use types::{List, Receipt, SecretKey, SignedReceipt, Time};

    use super::*;
    use crate::{disk::BLOCK_BYTES, journal::Ending};

    fn lease(number: u8) -> LeaseId {
        LeaseId::from_bytes([number; 32])
    }

    fn result(bytes: &[&[u8]]) -> BTreeMap<ContentHash, Vec<u8>> {
        bytes.iter().map(|bytes| (ContentHash::of(bytes), bytes.to_vec())).collect()
    }

    fn record(number: u8, contents: &BTreeMap<ContentHash, Vec<u8>>) -> Record {
        let time = Time::from_ms(1);
        let receipt = Receipt {
            lease: lease(number),
            sequence: 1,
            from: time,
            to: time,
            usage: types::Blob::default(),
            trace: types::Hash::ZERO,
        };
        let key = SecretKey::from_bytes([1; 32]);
        let receipt = Box::new(SignedReceipt::sign(receipt, &types::Hash::ZERO, &key));
        let contents = List::new(contents.keys().copied().collect()).unwrap();
        Record { lease: lease(number), ends: time, ending: Ending::Finished { receipt, contents } }
    }

    fn files(results: &Results) -> usize {
        fs::read_dir(&results.directory).unwrap().count()
    }

    #[test]
    fn room_ends_with_the_quota_and_comes_from_what_may_go_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        let open = Results::open(directory.path().join("results"), 4 * BLOCK_BYTES, &[]);
        let results = Arc::new(open.unwrap());
        let all = results.reserve(4 * BLOCK_BYTES).unwrap();
        assert_eq!(results.reserve(1).unwrap_err(), NoRoom::Taken);
        assert_eq!(results.reserve(4 * BLOCK_BYTES + 1).unwrap_err(), NoRoom::Disk);
        drop(all);
        for (number, bytes) in [(1, b"1"), (2, b"2"), (3, b"3")] {
            results.keep(lease(number), &result(&[bytes, b"common"])).unwrap();
        }
        // Three of their own and the common one: nothing of it was handed over.
        assert!(results.reserve(1).is_err());
        results.spare(lease(2));
        results.spare(lease(1));
        let room = results.reserve(1).unwrap();
        let has = |bytes: &[u8]| results.get(&ContentHash::of(bytes)).is_some();
        assert!(!has(b"1") && has(b"2") && has(b"3") && has(b"common"));
        assert!(results.reserve(BLOCK_BYTES).is_ok() && !has(b"2"));
        assert!(results.reserve(3 * BLOCK_BYTES).is_err() && has(b"3") && has(b"common"));
        drop(room);
        results.forget(lease(3));
        assert_eq!(files(&results), 0);
        assert!(results.reserve(4 * BLOCK_BYTES).is_ok());
    }

    #[test]
    fn what_is_larger_than_its_room_needs_more() {
        let directory = tempfile::tempdir().unwrap();
        let open = Results::open(directory.path().join("results"), 3 * BLOCK_BYTES, &[]);
        let results = Arc::new(open.unwrap());
        let room = results.reserve(BLOCK_BYTES).unwrap();
        assert!(results.reserve_beyond(&room, &result(&[b"1"])).unwrap().is_none());
        let more = results.reserve_beyond(&room, &result(&[b"1", b"2"])).unwrap();
        assert_eq!(more.as_ref().map(|more| more.bytes), Some(BLOCK_BYTES));
        let beyond = results.reserve_beyond(&room, &result(&[b"1", b"2", b"3"]));
        assert_eq!(beyond.unwrap_err(), NoRoom::Taken);
    }

    #[test]
    fn the_disk_is_not_filled() {
        let state = State { bytes: 5, reserved: 10, ..State::default() };
        let free = disk::FREE_BYTES_MIN + 30;
        assert!(fits(&state, 20, u64::MAX, free) && !fits(&state, 21, u64::MAX, free));
        assert!(fits(&state, 20, 35, u64::MAX) && !fits(&state, 21, 35, u64::MAX));
        assert!(!fits(&state, u64::MAX, u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn what_records_name_survives_and_the_rest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let open = |records: &[Record]| {
            Results::open(directory.path().join("results"), 1 << 20, records).unwrap()
        };
        let (one, two) = (result(&[b"one"]), result(&[b"two"]));
        let results = open(&[]);
        results.keep(lease(1), &one).unwrap();
        results.keep(lease(2), &two).unwrap();
        let results = open(&[record(1, &one)]);
        assert_eq!(results.get(&ContentHash::of(b"one")).as_deref(), Some(b"one".as_slice()));
        assert!(!results.has(&ContentHash::of(b"two")));
        assert_eq!(files(&results), 1);
        results.forget(lease(1));
        assert_eq!(files(&results), 0);
    }

    #[test]
    fn a_damaged_result_is_absent_until_it_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let results = Results::open(directory.path().join("results"), 1 << 20, &[]).unwrap();
        let (whole, hash) = (result(&[b"whole"]), ContentHash::of(b"whole"));
        results.keep(lease(1), &whole).unwrap();
        results.keep(lease(2), &whole).unwrap();
        fs::write(results.path(&hash), b"whol").unwrap();
        assert!(results.get(&hash).is_none() && !results.has(&hash));
        results.forget(lease(2));
        results.keep(lease(2), &whole).unwrap();
        assert_eq!(results.get(&hash).as_deref(), Some(b"whole".as_slice()));
    }
}
