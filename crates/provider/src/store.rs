//! Content on disk by name: a cache of inputs, and the results that are kept.
//!
//! Results are pinned as long as a journal record names them; everything else goes, what was used
//! longest ago first, when the cache is over its quota. What is read is checked against its name,
//! so a damaged file is a missing one.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use types::ContentHash;

use crate::disk;

/// A directory of content, shared by all who hold it.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<ContentHash, Stored>,
    /// How often each content is pinned.
    pins: BTreeMap<ContentHash, u32>,
    bytes: u64,
    uses: u64,
}

#[derive(Debug, Clone, Copy)]
struct Stored {
    bytes: u64,
    used: u64,
}

impl Store {
    /// Opens the directory with what is in it, or creates it.
    ///
    /// # Errors
    /// When it cannot be created or read.
    pub(crate) fn open(directory: PathBuf, bytes_max: u64) -> io::Result<Self> {
        disk::create_directory(&directory)?;
        let mut found = Vec::new();
        for path in disk::files(&directory)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(Ok(hash)) = name.map(str::parse::<ContentHash>) else { continue };
            let metadata = fs::metadata(&path)?;
            found.push((metadata.modified()?, hash, metadata.len()));
        }
        found.sort();
        let mut state = State::default();
        for (_, hash, bytes) in found {
            state.add(hash, bytes);
        }
        Ok(Self { directory, bytes_max, state: Mutex::new(state) })
    }

    /// Returns content, if it is there and whole.
    pub(crate) fn get(&self, hash: &ContentHash) -> Option<Arc<[u8]>> {
        {
            let mut state = self.state();
            state.uses += 1;
            let used = state.uses;
            state.files.get_mut(hash)?.used = used;
        }
        match fs::read(self.path(hash)) {
            Ok(bytes) if ContentHash::of(&bytes) == *hash => Some(bytes.into()),
            damaged => {
                let why = damaged.err().map_or("it is damaged".to_owned(), |e| e.to_string());
                tracing::warn!(%hash, "content cannot be read: {why}");
                self.remove(hash);
                None
            }
        }
    }

    /// Returns whether content is there, without reading it.
    pub(crate) fn has(&self, hash: &ContentHash) -> bool {
        self.state().files.contains_key(hash)
    }

    /// Keeps content; the name is the caller's word, checked when it is read.
    ///
    /// # Errors
    /// When it cannot be written. It is then not kept.
    pub(crate) fn put(&self, hash: ContentHash, bytes: &[u8]) -> io::Result<()> {
        if self.has(&hash) {
            return Ok(());
        }
        disk::replace(&self.path(&hash), bytes)?;
        let mut state = self.state();
        state.add(hash, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        for hash in state.surplus(self.bytes_max) {
            disk::remove(&self.path(&hash))?;
        }
        Ok(())
    }

    /// Keeps content from leaving until it was unpinned as often.
    pub(crate) fn pin(&self, hashes: &[ContentHash]) {
        let mut state = self.state();
        for hash in hashes {
            *state.pins.entry(*hash).or_default() += 1;
        }
    }

    /// Takes back one [`Store::pin`].
    pub(crate) fn unpin(&self, hashes: &[ContentHash]) {
        let mut state = self.state();
        for hash in hashes {
            let Some(count) = state.pins.get_mut(hash) else { continue };
            *count -= 1;
            if *count == 0 {
                state.pins.remove(hash);
            }
        }
    }

    fn remove(&self, hash: &ContentHash) {
        let mut state = self.state();
        state.drop_file(hash);
        // A file that cannot be removed is replaced by the next that has its name.
        let _ = disk::remove(&self.path(hash));
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        self.directory.join(Path::new(&hash.to_string()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, hash: ContentHash, bytes: u64) {
        self.drop_file(&hash);
        self.uses += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.files.insert(hash, Stored { bytes, used: self.uses });
    }

    fn drop_file(&mut self, hash: &ContentHash) {
        if let Some(stored) = self.files.remove(hash) {
            self.bytes = self.bytes.saturating_sub(stored.bytes);
        }
    }

    /// Forgets what has to go for the rest to fit, and returns it.
    fn surplus(&mut self, bytes_max: u64) -> Vec<ContentHash> {
        if self.bytes <= bytes_max {
            return Vec::new();
        }
        let mut oldest: Vec<(u64, ContentHash)> = self
            .files
            .iter()
            .filter(|(hash, _)| !self.pins.contains_key(*hash))
            .map(|(hash, stored)| (stored.used, *hash))
            .collect();
        oldest.sort_unstable();
        let mut surplus = Vec::new();
        for (_, hash) in oldest {
            if self.bytes <= bytes_max {
                break;
            }
            self.drop_file(&hash);
            surplus.push(hash);
        }
        surplus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &Store, bytes: &[u8]) -> ContentHash {
        let hash = ContentHash::of(bytes);
        store.put(hash, bytes).unwrap();
        hash
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_pinned_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("content"), 10).unwrap();
        let pinned = ContentHash::of(b"aaaa");
        store.pin(&[pinned]);
        put(&store, b"aaaa");
        let (second, third) = (put(&store, b"bbb"), put(&store, b"ccc"));
        assert!(store.get(&second).is_some());
        let fourth = put(&store, b"ddd");
        let there = |hash| store.has(&hash);
        assert!(there(pinned) && there(second) && !there(third) && there(fourth));
        store.unpin(&[pinned]);
        put(&store, b"eeeeeeeeee");
        assert!(!there(pinned));
        assert_eq!(fs::read_dir(directory.path().join("content")).unwrap().count(), 1);
    }

    #[test]
    fn content_survives_and_damage_is_absence() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(directory.path().join("content"), 100).unwrap();
        let hash = put(&open(), b"whole");
        let store = open();
        assert_eq!(store.get(&hash).as_deref(), Some(b"whole".as_slice()));
        fs::write(store.path(&hash), b"whol").unwrap();
        assert_eq!(store.get(&hash), None);
        assert!(!store.has(&hash));
        put(&store, b"whole");
        assert!(store.get(&hash).is_some());
    }
}
