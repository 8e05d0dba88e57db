//! Prepared modules by content: made once, however many ask at the same time, and bounded.
//!
//! What a job is told is a function of its module and its limits, never of the jobs before it. A
//! fresh machine charges a module function by function and stops where the fuel ends, or where it
//! finds a fault. So of every answer, a refusal like a module, the fuel is kept that was paid until
//! it stood, and it is for those who have as much; all others are out of fuel.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::PrepareError;
use super::instrument::{Instrumented, ModuleError, ModuleLimits, Refusal, instrument};
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

/// The refused modules of which the refusals are kept.
const REFUSALS_MAX: usize = 64;

/// What a prepared module is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    module: [u8; 32],
    version: u16,
    memory_pages: u32,
}

/// The place of one module; whoever locks it first prepares it, the others wait.
type Slot<M> = Arc<Mutex<Option<Answer<M>>>>;

/// What became of a module, for whoever can pay for that.
#[derive(Debug)]
struct Answer<M> {
    compile_fuel: u64,
    result: Result<Arc<M>, PrepareError>,
}

impl<M> Answer<M> {
    /// Returns what a job is told that has so much fuel.
    fn to(&self, fuel: u64) -> Result<Arc<M>, PrepareError> {
        if self.compile_fuel > fuel {
            return Err(ModuleError::OutOfFuel.into());
        }
        self.result.clone()
    }
}

struct Entry<M> {
    slot: Slot<M>,
    bytes: usize,
    used: u64,
    is_refused: bool,
}

/// What is to become of the place of a module.
#[derive(Clone, Copy)]
enum Kept {
    /// It holds a module of so many bytes.
    Module(usize),
    /// It holds the refusal of one.
    Refusal,
    Nothing,
}

struct Entries<M> {
    by_key: BTreeMap<Key, Entry<M>>,
    bytes: usize,
    clock: u64,
}

impl<M> Entries<M> {
    fn refusals(&self) -> usize {
        self.by_key.values().filter(|entry| entry.is_refused).count()
    }

    /// Removes the refusal, or else the module, that was asked for longest ago; returns whether
    /// there was one.
    fn remove_oldest(&mut self, is_refused: bool) -> bool {
        let kind = self.by_key.iter().filter(|(_, entry)| entry.is_refused == is_refused);
        let oldest = kind.min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
        let Some(entry) = oldest.and_then(|key| self.by_key.remove(&key)) else { return false };
        self.bytes -= entry.bytes;
        true
    }
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

    /// Returns the prepared module; `prepare` gets the instrumented one and also returns the size
    /// of what it made, in bytes.
    pub(super) fn get(
        &self,
        module: &[u8],
        limits: &ModuleLimits,
        prepare: impl FnOnce(&Instrumented) -> Result<(M, usize), PrepareError>,
    ) -> Result<Arc<M>, PrepareError> {
        let module_hash = *blake3::hash(module).as_bytes();
        let memory_pages = limits.memory_pages;
        let key = Key { module: module_hash, version: METERING_VERSION, memory_pages };
        let slot = self.slot(key);
        let mut place = lock(&slot);
        if let Some(known) = place.as_ref() {
            return known.to(limits.fuel);
        }
        let (compile_fuel, made) = match instrument(module, limits) {
            Ok(instrumented) => (instrumented.compile_fuel, prepare(&instrumented)),
            Err(Refusal { error, compile_fuel }) => (compile_fuel, Err(error.into())),
        };
        let (result, kept) = match made {
            Ok((module, size)) => (Ok(Arc::new(module)), Kept::Module(size)),
            Err(error @ PrepareError::Module(ModuleError::OutOfFuel)) => {
                // Whoever asks next may have more, and finds the place empty: it is given up before
                // those who wait for it may fill it.
                self.settle(key, &slot, Kept::Nothing);
                return Err(error);
            }
            Err(error @ PrepareError::Module(_)) => (Err(error), Kept::Refusal),
            Err(error @ PrepareError::Abort(_)) => (Err(error), Kept::Nothing),
        };
        *place = Some(Answer { compile_fuel, result: result.clone() });
        drop(place);
        self.settle(key, &slot, kept);
        result
    }

    fn slot(&self, key: Key) -> Slot<M> {
        let mut entries = lock(&self.entries);
        entries.clock += 1;
        let used = entries.clock;
        let new = || Entry { slot: Slot::default(), bytes: 0, used, is_refused: false };
        let entry = entries.by_key.entry(key).or_insert_with(new);
        entry.used = used;
        entry.slot.clone()
    }

    /// Accounts for a module that is now prepared or refused, or forgets one that could not be.
    fn settle(&self, key: Key, slot: &Slot<M>, kept: Kept) {
        let mut entries = lock(&self.entries);
        let ours = |entry: &Entry<M>| Arc::ptr_eq(&entry.slot, slot);
        match (kept, entries.by_key.get_mut(&key).filter(|entry| ours(entry))) {
            (Kept::Module(size), Some(entry)) => {
                entry.bytes = size;
                entries.bytes += size;
            }
            (Kept::Refusal, Some(entry)) => entry.is_refused = true,
            (Kept::Nothing, Some(_)) => {
                entries.by_key.remove(&key);
            }
            (_, None) => {}
        }
        while entries.refusals() > REFUSALS_MAX && entries.remove_oldest(true) {}
        while (entries.by_key.len() - entries.refusals() > self.limits.modules_max
            || entries.bytes > self.limits.bytes_max)
            && entries.remove_oldest(false)
        {}
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

    const LIMITS: ModuleLimits = ModuleLimits { memory_pages: 16, fuel: u64::MAX };

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
        let other = ModuleLimits { memory_pages: 17, ..LIMITS };
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
    fn a_failure_of_this_machine_is_not_kept() {
        let cache = Cache::<u32>::new(CacheLimits::default());
        let module = module(0);
        let failed = cache.get(&module, &LIMITS, |_| Err(HostAbort::OutOfMemory.into()));
        assert_eq!(failed, Err(PrepareError::Abort(HostAbort::OutOfMemory)));
        assert_eq!(*cache.get(&module, &LIMITS, |_| Ok((5, 1))).unwrap(), 5);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn refusals_are_kept_and_push_no_module_out() {
        let cache = Cache::<u32>::new(CacheLimits { modules_max: 1, bytes_max: 100 });
        let refused = |tag: usize| {
            let junk = tag.to_le_bytes();
            let made = cache.get(&junk, &LIMITS, |_| Ok((5, 1)));
            assert_eq!(made, Err(PrepareError::Module(ModuleError::NotWasm)));
        };
        assert_eq!(*cache.get(&module(0), &LIMITS, |_| Ok((7, 10))).unwrap(), 7);
        refused(0);
        refused(0);
        assert_eq!(cache.len(), 2);
        (0..2 * REFUSALS_MAX).for_each(refused);
        assert_eq!(cache.len(), REFUSALS_MAX + 1);
        assert_eq!(*cache.get(&module(0), &LIMITS, |_| Ok((8, 10))).unwrap(), 7);
    }

    #[test]
    fn a_module_that_the_job_cannot_pay_is_not_prepared() {
        let cache = Cache::<u32>::new(CacheLimits::default());
        let cost = instrument(&module(0), &LIMITS).unwrap().compile_fuel;
        assert!(cost > 0);
        let poor = ModuleLimits { fuel: cost - 1, ..LIMITS };
        let made = cache.get(&module(0), &poor, |_| panic!("it was prepared"));
        assert_eq!(made, Err(PrepareError::Module(ModuleError::OutOfFuel)));
        assert_eq!(cache.len(), 0, "it takes no place");
        let enough = ModuleLimits { fuel: cost, ..LIMITS };
        assert_eq!(*cache.get(&module(0), &enough, |_| Ok((7, 1))).unwrap(), 7);
        let known = cache.get(&module(0), &poor, |_| panic!("it was prepared"));
        assert_eq!(known, Err(PrepareError::Module(ModuleError::OutOfFuel)));
    }
}
