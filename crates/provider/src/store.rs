//! The inputs of jobs on disk, by name: a cache that all tenants' jobs share.
//!
//! A name is public and what it names is not, so the store remembers for which tenants the network
//! has shown content and is silent to others; see `inputs`. What is read is checked against its
//! name, so a damaged file is a missing one, and nothing here needs to be flushed. When the store
//! is over its quota, or the disk nearly full, what was used longest ago goes, but for what a job
//! at work has pinned.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use types::{Address, ContentHash};

use crate::disk;

/// Tenants that are remembered for one content; the next one is asked for again.
const TENANTS_MAX: usize = 64;

/// A directory of inputs, shared by all who hold it.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    bytes_max: u64,
    free_min: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<ContentHash, Stored>,
    /// How often each content is pinned.
    pins: BTreeMap<ContentHash, u32>,
    /// What all files take on disk.
    bytes: u64,
    uses: u64,
}

#[derive(Debug)]
struct Stored {
    bytes: u64,
    used: u64,
    /// For whom it may be taken, the latest last.
    tenants: VecDeque<Address>,
    /// Whether this process knows that it is whole.
    is_checked: bool,
}

/// A file on its way into the store; removed if it does not arrive.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
}

impl Draft {
    /// Returns where the content is to be written; there is no file yet.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed away if it arrived; what cannot be removed goes at the next start.
        let _ = disk::remove(&self.path);
    }
}

/// Content that does not leave the store, there or not, until this is dropped.
#[derive(Debug)]
pub(crate) struct Pins {
    store: Arc<Store>,
    hashes: Vec<ContentHash>,
}

impl Pins {
    /// Pins one more.
    pub(crate) fn add(&mut self, hash: ContentHash) {
        *self.store.state().pins.entry(hash).or_default() += 1;
        self.hashes.push(hash);
    }

    /// Returns what is pinned, in the order in which it was.
    pub(crate) fn hashes(&self) -> &[ContentHash] {
        &self.hashes
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for hash in &self.hashes {
            let Some(count) = state.pins.get_mut(hash) else { continue };
            *count -= 1;
            if *count == 0 {
                state.pins.remove(hash);
            }
        }
    }
}

impl Store {
    /// Opens the directory with what is in it, or creates it. Nobody is remembered for what is in
    /// it. Of `bytes_max` it uses only what leaves `free_min` bytes of the disk to others.
    ///
    /// # Errors
    /// When it cannot be created or read.
    pub(crate) fn open(directory: PathBuf, bytes_max: u64, free_min: u64) -> io::Result<Self> {
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
        Ok(Self { directory, bytes_max, free_min, state: Mutex::new(state) })
    }

    /// Returns content, if it is there and whole.
    pub(crate) fn get(&self, hash: &ContentHash) -> Option<Arc<[u8]>> {
        self.state().touch(hash)?;
        match disk::read_content(&self.path(hash), *hash) {
            Ok(bytes) => {
                if let Some(stored) = self.state().files.get_mut(hash) {
                    stored.is_checked = true;
                }
                Some(bytes)
            }
            Err(error) => {
                tracing::warn!(%hash, "an input cannot be read: {error}");
                self.state().drop_file(hash);
                // A file that cannot be removed is replaced by the next that has its name.
                let _ = disk::remove(&self.path(hash));
                None
            }
        }
    }

    /// Returns how many bytes content has, without reading it, if it is there and was whole when
    /// this process last had it in hand.
    pub(crate) fn length(&self, hash: &ContentHash) -> Option<u64> {
        let state = self.state();
        let stored = state.files.get(hash).filter(|stored| stored.is_checked);
        stored.map(|stored| stored.bytes)
    }

    /// Returns whether the network has shown content for this tenant.
    pub(crate) fn is_for(&self, tenant: Address, hash: &ContentHash) -> bool {
        self.state().files.get(hash).is_some_and(|stored| stored.tenants.contains(&tenant))
    }

    /// Remembers that the network has shown content for this tenant.
    pub(crate) fn allow(&self, tenant: Address, hash: &ContentHash) {
        self.state().allow(tenant, hash);
    }

    /// Returns a place for content that is on its way.
    pub(crate) fn draft(&self, hash: ContentHash) -> Draft {
        Draft { path: disk::temporary(&self.path(&hash)) }
    }

    /// Takes in content that the network has shown for this tenant, of so many bytes; the name is
    /// the caller's word, checked when it is read.
    ///
    /// # Errors
    /// When it cannot be moved to its place. It is then not kept.
    pub(crate) fn keep(
        &self,
        draft: Draft,
        hash: ContentHash,
        bytes: u64,
        tenant: Address,
    ) -> io::Result<()> {
        fs::rename(&draft.path, self.path(&hash))?;
        let free = disk::free_bytes(&self.directory);
        let mut state = self.state();
        state.add(hash, bytes).is_checked = true;
        state.allow(tenant, &hash);
        let room = free.map_or(u64::MAX, |free| state.bytes.saturating_add(free));
        let bytes_max = self.bytes_max.min(room.saturating_sub(self.free_min));
        for hash in state.surplus(bytes_max) {
            disk::remove(&self.path(&hash))?;
        }
        Ok(())
    }

    /// Returns pins, of nothing yet.
    pub(crate) fn pins(self: &Arc<Self>) -> Pins {
        Pins { store: Arc::clone(self), hashes: Vec::new() }
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        self.directory.join(Path::new(&hash.to_string()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes a file, in the place of the one of that name.
    fn add(&mut self, hash: ContentHash, bytes: u64) -> &mut Stored {
        let tenants = self.drop_file(&hash).map(|stored| stored.tenants).unwrap_or_default();
        self.uses += 1;
        self.bytes = self.bytes.saturating_add(disk::taken(bytes));
        let stored = Stored { bytes, used: self.uses, tenants, is_checked: false };
        self.files.entry(hash).or_insert(stored)
    }

    fn touch(&mut self, hash: &ContentHash) -> Option<()> {
        self.uses += 1;
        self.files.get_mut(hash)?.used = self.uses;
        Some(())
    }

    fn allow(&mut self, tenant: Address, hash: &ContentHash) {
        let Some(stored) = self.files.get_mut(hash) else { return };
        if stored.tenants.contains(&tenant) {
            return;
        }
        if stored.tenants.len() >= TENANTS_MAX {
            stored.tenants.pop_front();
        }
        stored.tenants.push_back(tenant);
    }

    fn drop_file(&mut self, hash: &ContentHash) -> Option<Stored> {
        let stored = self.files.remove(hash)?;
        self.bytes = self.bytes.saturating_sub(disk::taken(stored.bytes));
        Some(stored)
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
    use types::SecretKey;

    use super::*;
    use crate::disk::BLOCK_BYTES;

    fn tenant(number: u8) -> Address {
        SecretKey::from_bytes([number; 32]).address()
    }

    fn put(store: &Store, bytes: &[u8]) -> ContentHash {
        let hash = ContentHash::of(bytes);
        let draft = store.draft(hash);
        fs::write(draft.path(), bytes).unwrap();
        store.keep(draft, hash, u64::try_from(bytes.len()).unwrap(), tenant(1)).unwrap();
        hash
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_pinned_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("inputs");
        let store = Arc::new(Store::open(path.clone(), 3 * BLOCK_BYTES, 0).unwrap());
        let mut pins = store.pins();
        let pinned = ContentHash::of(b"a");
        pins.add(pinned);
        put(&store, b"a");
        let (second, third) = (put(&store, b"b"), put(&store, b"c"));
        assert!(store.get(&second).is_some());
        let fourth = put(&store, b"d");
        let there = |hash| store.length(&hash).is_some();
        assert!(there(pinned) && there(second) && !there(third) && there(fourth));
        drop(pins);
        put(&store, &[0; 2 * 4096 + 1]);
        assert!(!there(pinned));
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
    }

    #[test]
    fn a_disk_that_others_need_keeps_nothing_that_is_not_pinned() {
        let directory = tempfile::tempdir().unwrap();
        let open = |free_min| {
            Arc::new(Store::open(directory.path().join("inputs"), 1 << 20, free_min).unwrap())
        };
        let store = open(u64::MAX);
        let mut pins = store.pins();
        pins.add(ContentHash::of(b"a"));
        let (pinned, other) = (put(&store, b"a"), put(&store, b"b"));
        assert!(store.length(&pinned).is_some() && store.length(&other).is_none());
        drop(pins);
        let store = open(0);
        let other = put(&store, b"b");
        assert!(store.length(&other).is_some());
    }

    #[test]
    fn content_survives_and_damage_is_absence() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(directory.path().join("inputs"), 1 << 20, 0).unwrap();
        let hash = put(&open(), b"whole");
        let store = open();
        // What an earlier process left may be torn: its length is known once it was read.
        assert_eq!(store.length(&hash), None);
        assert_eq!(store.get(&hash).as_deref(), Some(b"whole".as_slice()));
        assert_eq!(store.length(&hash), Some(5));
        fs::write(store.path(&hash), b"whol").unwrap();
        assert_eq!(store.get(&hash), None);
        assert_eq!(store.length(&hash), None);
        put(&store, b"whole");
        assert!(store.get(&hash).is_some());
        fs::write(store.path(&hash), b"").unwrap();
        assert!(open().get(&hash).is_none());
    }

    #[test]
    fn content_is_for_those_for_whom_it_was_shown_and_for_nobody_after_a_start() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(directory.path().join("inputs"), 1 << 20, 0).unwrap();
        let store = open();
        let hash = put(&store, b"content");
        assert!(store.is_for(tenant(1), &hash) && !store.is_for(tenant(2), &hash));
        store.allow(tenant(2), &hash);
        assert!(store.is_for(tenant(2), &hash));
        for number in 3..=66 {
            store.allow(tenant(number), &hash);
        }
        assert!(!store.is_for(tenant(2), &hash) && store.is_for(tenant(3), &hash));
        assert!(!open().is_for(tenant(3), &hash));
    }

    #[test]
    fn content_that_does_not_arrive_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("inputs");
        let store = Store::open(path.clone(), 1 << 20, 0).unwrap();
        let draft = store.draft(ContentHash::of(b"half"));
        fs::write(draft.path(), b"ha").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(path).unwrap().count(), 0);
    }
}
