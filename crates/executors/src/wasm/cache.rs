//! Prepared modules by content: made once, however many ask at the same time, and bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::PrepareError;
use super::instrument::{ModuleLimits, instrument};
use super::specification::METERING_VERSION;

/// How much a cache may hold.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// The number of modules.
    pub modules_max: usize,
    /// The bytes of prepared code.
    pub bytes_max: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { modules_max: 256, bytes_max: 512 << 20 }
    }
}

/// What a prepared module is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    module: [u8; 32],
    version: u16,
    limits: ModuleLimits,
}

/// The place of one module; whoever locks it first prepares it, the others wait.
type Slot<M> = Arc<Mutex<Option<Result<Arc<M>, PrepareError>>>>;

struct Entry<M> {
    slot: Slot<M>,
    bytes: usize,
    used: u64,
}

struct Entries<M> {
    by_key: BTreeMap<Key, Entry<M>>,
    bytes: usize,
    clock: u64,
}

/// A bounded cache of modules prepared for one engine.
pub(super) struct Cache<M> {
    limits: CacheLimits,
    entries: Mutex<Entries<M>>,
}

impl<M> std::fmt::Debug for Cache<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<M> Cache<M> {
    pub(super) fn new(limits: CacheLimits) -> Self {
        let entries = Entries { by_key: BTreeMap::new(), bytes: 0, clock: 0 };
        Self { limits, entries: Mutex::new(entries) }
    }

    /// Returns the prepared module; `prepare` gets the instrumented bytes and also returns the
    /// size of what it made, in bytes.
    pub(super) fn get(
        &self,
        module: &[u8],
        limits: &ModuleLimits,
        prepare: impl FnOnce(&[u8]) -> Result<(M, usize), PrepareError>,
    ) -> Result<Arc<M>, PrepareError> {
        let module_hash = *blake3::hash(module).as_bytes();
        let key = Key { module: module_hash, version: METERING_VERSION, limits: *limits };
        let slot = self.slot(key);
        let mut place = lock(&slot);
        if let Some(known) = place.as_ref() {
            return known.clone();
        }
        let made = instrument(module, limits).map_err(PrepareError::from).and_then(|bytes| {
            let (module, size) = prepare(&bytes)?;
            Ok((Arc::new(module), size))
        });
        let (result, size) = match made {
            Ok((module, size)) => (Ok(module), Some(size)),
            Err(error) => (Err(error), None),
        };
        *place = Some(result.clone());
        drop(place);
        self.settle(key, &slot, size);
        result
    }

    fn slot(&self, key: Key) -> Slot<M> {
        let mut entries = lock(&self.entries);
        entries.clock += 1;
        let used = entries.clock;
        let new = || Entry { slot: Slot::default(), bytes: 0, used };
        let entry = entries.by_key.entry(key).or_insert_with(new);
        entry.used = used;
        entry.slot.clone()
    }

    /// Accounts for a module that is now prepared, or forgets one that could not be.
    fn settle(&self, key: Key, slot: &Slot<M>, size: Option<usize>) {
        let mut entries = lock(&self.entries);
        let ours = |entry: &Entry<M>| Arc::ptr_eq(&entry.slot, slot);
        match (size, entries.by_key.get_mut(&key).filter(|entry| ours(entry))) {
            (Some(size), Some(entry)) => {
                entry.bytes = size;
                entries.bytes += size;
            }
            (None, Some(_)) => {
                entries.by_key.remove(&key);
            }
            (_, None) => {}
        }
        while entries.by_key.len() > self.limits.modules_max
            || entries.bytes > self.limits.bytes_max
        {
            let oldest = entries.by_key.iter().min_by_key(|(_, entry)| entry.used);
            let Some(key) = oldest.map(|(key, _)| *key) else { break };
            if let Some(entry) = entries.by_key.remove(&key) {
                entries.bytes -= entry.bytes;
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.entries).by_key.len()
    }
}

/// Locks; a thread that panicked while it held the lock left nothing half-made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::wasm::engine::HostAbort;

    fn module(tag: u32) -> Vec<u8> {
        let text = format!(
            "(module (memory (export \"memory\") 1) (global i32 (i32.const {tag}))
               (func (export \"_start\")))"
        );
        wat::parse_str(text).unwrap()
    }

    const LIMITS: ModuleLimits = ModuleLimits { memory_pages: 16 };

    #[test]
    fn a_module_is_prepared_once_for_all_who_ask() {
        let cache = Cache::<u32>::new(CacheLimits::default());
        let made = AtomicUsize::new(0);
        let module = module(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let prepared = cache.get(&module, &LIMITS, |_| {
                        made.fetch_add(1, Ordering::SeqCst);
                        Ok((7, 1))
                    });
                    assert_eq!(*prepared.unwrap(), 7);
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn limits_are_part_of_the_key() {
        let cache = Cache::<u32>::new(CacheLimits::default());
        let module = module(0);
        let other = ModuleLimits { memory_pages: 17 };
        assert_eq!(*cache.get(&module, &LIMITS, |_| Ok((1, 1))).unwrap(), 1);
        assert_eq!(*cache.get(&module, &other, |_| Ok((2, 1))).unwrap(), 2);
    }

    #[test]
    fn the_least_recently_used_leaves_first() {
        let cache = Cache::<u32>::new(CacheLimits { modules_max: 2, bytes_max: 100 });
        let get = |tag, size| *cache.get(&module(tag), &LIMITS, |_| Ok((tag, size))).unwrap();
        get(1, 10);
        get(2, 10);
        get(1, 10);
        get(3, 10);
        assert_eq!(cache.len(), 2);
        let again = cache.get(&module(1), &LIMITS, |_| Ok((9, 10))).unwrap();
        assert_eq!(*again, 1);
        get(4, 95);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let cache = Cache::<u32>::new(CacheLimits::default());
        let module = module(0);
        let failed = cache.get(&module, &LIMITS, |_| Err(HostAbort::OutOfMemory.into()));
        assert_eq!(failed, Err(PrepareError::Abort(HostAbort::OutOfMemory)));
        assert_eq!(*cache.get(&module, &LIMITS, |_| Ok((5, 1))).unwrap(), 5);
        assert!(cache.get(b"junk", &LIMITS, |_| Ok((5, 1))).is_err());
        assert_eq!(cache.len(), 1);
    }
}
