//! Content by name, as long as there is room for it.
//!
//! What one job brings serves another, so nothing is kept under a name that is not its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blake3::Hasher;
use types::ContentHash;

/// What a content takes besides its bytes.
const OVERHEAD_BYTES: u64 = 256;

/// Content that came from the parent, kept for later jobs.
#[derive(Default)]
pub(super) struct Store {
    whole: BTreeMap<ContentHash, Kept>,
    /// What was used longest ago comes first.
    by_use: BTreeMap<u64, ContentHash>,
    partial: BTreeMap<ContentHash, Partial>,
    asked: BTreeSet<ContentHash>,
    /// How many jobs wait for each content; these are not forgotten.
    waiting: BTreeMap<ContentHash, u32>,
    bytes: u64,
    bytes_max: u64,
    uses: u64,
}

struct Kept {
    bytes: Arc<[u8]>,
    used: u64,
}

/// Content that has not come whole; hashed as it comes, as others wait while that is done.
#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    hasher: Hasher,
}

impl Store {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    pub(super) fn get(&mut self, hash: &ContentHash) -> Option<Arc<[u8]>> {
        let kept = self.whole.get_mut(hash)?;
        self.uses += 1;
        self.by_use.remove(&kept.used);
        self.by_use.insert(self.uses, *hash);
        kept.used = self.uses;
        Some(Arc::clone(&kept.bytes))
    }

    /// Notes that a job waits for a content.
    pub(super) fn wait_for(&mut self, hash: ContentHash) {
        *self.waiting.entry(hash).or_default() += 1;
    }

    /// Returns whether a content is on its way.
    pub(super) fn is_asked(&self, hash: &ContentHash) -> bool {
        self.asked.contains(hash)
    }

    /// Notes that a job asks for a content.
    pub(super) fn ask(&mut self, hash: ContentHash) {
        self.asked.insert(hash);
    }

    /// Notes that a job does not wait for a content any more.
    pub(super) fn end_wait(&mut self, hash: &ContentHash) {
        if let Some(count) = self.waiting.get_mut(hash) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(hash);
            }
        }
    }

    /// Takes the next part of a content, and drops the whole of what has another's name.
    pub(super) fn append(&mut self, hash: ContentHash, chunk: &[u8], last: bool) {
        let partial = self.partial.entry(hash).or_default();
        partial.bytes.extend_from_slice(chunk);
        partial.hasher.update(chunk);
        if last && let Some(Partial { bytes, hasher }) = self.partial.remove(&hash) {
            self.asked.remove(&hash);
            if hasher.finalize() != *hash.as_bytes() {
                return;
            }
            self.forget(&hash);
            self.uses += 1;
            self.bytes += size(&bytes);
            self.by_use.insert(self.uses, hash);
            self.whole.insert(hash, Kept { bytes: bytes.into(), used: self.uses });
        }
    }

    /// Forgets what was used longest ago, until the rest fits. Jobs that run keep what they have.
    pub(super) fn shrink(&mut self) {
        if self.bytes <= self.bytes_max {
            return;
        }
        let mut oldest = Vec::new();
        let mut bytes = self.bytes;
        for hash in self.by_use.values().filter(|hash| !self.waiting.contains_key(*hash)) {
            if bytes <= self.bytes_max {
                break;
            }
            bytes -= self.whole.get(hash).map_or(0, |kept| size(&kept.bytes));
            oldest.push(*hash);
        }
        oldest.iter().for_each(|hash| self.forget(hash));
    }

    fn forget(&mut self, hash: &ContentHash) {
        if let Some(kept) = self.whole.remove(hash) {
            self.bytes -= size(&kept.bytes);
            self.by_use.remove(&kept.used);
        }
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_add(OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u8) -> ContentHash {
        ContentHash::of(&[number])
    }

    fn fill(store: &mut Store, number: u8) {
        store.wait_for(name(number));
        store.ask(name(number));
        store.append(name(number), &[number], true);
        store.end_wait(&name(number));
    }

    #[test]
    fn parts_make_the_whole() {
        let mut store = Store::new(10_000);
        let name = ContentHash::of(b"abc");
        store.ask(name);
        store.append(name, b"ab", false);
        assert!(store.get(&name).is_none() && store.is_asked(&name));
        store.append(name, b"c", true);
        assert_eq!(store.get(&name).as_deref(), Some(&b"abc"[..]));
        assert!(!store.is_asked(&name));
    }

    #[test]
    fn what_is_not_what_its_name_says_is_not_kept() {
        let mut store = Store::new(10_000);
        store.ask(name(1));
        store.append(name(1), &[2], true);
        assert!(store.get(&name(1)).is_none() && !store.is_asked(&name(1)));
        assert_eq!((store.bytes, store.partial.len()), (0, 0));
        fill(&mut store, 1);
        store.append(name(1), &[2], true);
        assert_eq!(store.get(&name(1)).as_deref(), Some(&[1][..]), "nor does it replace");
    }

    #[test]
    fn the_least_recently_used_is_forgotten_first() {
        let mut store = Store::new(2 * (OVERHEAD_BYTES + 1));
        fill(&mut store, 1);
        fill(&mut store, 2);
        store.get(&name(1));
        fill(&mut store, 3);
        store.shrink();
        let kept = [1, 2, 3].map(|number| store.get(&name(number)).is_some());
        assert_eq!(kept, [true, false, true]);
        assert_eq!(store.bytes, 2 * (OVERHEAD_BYTES + 1));
        assert!(!store.is_asked(&name(2)), "what was forgotten can be asked for again");
    }

    #[test]
    fn what_a_job_waits_for_stays() {
        let mut store = Store::new(0);
        store.wait_for(name(1));
        store.append(name(1), &[1], true);
        store.shrink();
        assert!(store.get(&name(1)).is_some());
        store.end_wait(&name(1));
        store.shrink();
        assert!(store.get(&name(1)).is_none());
        assert_eq!((store.bytes, store.by_use.len(), store.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn content_that_comes_twice_counts_once() {
        let mut store = Store::new(10_000);
        fill(&mut store, 1);
        fill(&mut store, 1);
        assert_eq!((store.bytes, store.by_use.len()), (OVERHEAD_BYTES + 1, 1));
    }
}
