//! The simplest machine: a list of numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use chain::{
    Built, Chunk, Finalized, Header, Machine, Refusal, Restore, Setting, State, Trust, Wanted,
};
use tokio::sync::Notify;

pub(crate) type Hash = [u8; 32];

/// Numbers that wait, and those in final blocks, by height.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) waiting: Mutex<BTreeSet<u64>>,
    pub(crate) finals: Mutex<BTreeMap<u64, (Hash, Vec<u64>)>>,
    /// Called for each final block.
    pub(crate) told: Notify,
}

#[derive(Clone)]
struct Numbers {
    counter: Arc<Counter>,
    height: u64,
    all: Arc<Vec<u64>>,
}

fn root(height: u64, all: &[u64]) -> Hash {
    *blake3::hash(&encode(height, all)).as_bytes()
}

fn encode(height: u64, all: &[u64]) -> Vec<u8> {
    std::iter::once(&height).chain(all).flat_map(|number| number.to_le_bytes()).collect()
}

fn decode(bytes: &[u8]) -> Option<Vec<u64>> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| numbers.iter().map(|number| u64::from_le_bytes(*number)).collect())
}

/// Returns numbers as entries of a body.
fn body(numbers: &[u64]) -> Bytes {
    let entry = |number: &u64| [&8_u32.to_le_bytes()[..], &number.to_le_bytes()].concat();
    numbers.iter().flat_map(entry).collect()
}

fn numbers(body: &[u8]) -> Option<Vec<u64>> {
    let (entries, rest) = body.as_chunks::<12>();
    let number = |entry: &[u8; 12]| u64::from_le_bytes(entry[4..].try_into().unwrap());
    rest.is_empty().then(|| entries.iter().map(number).collect())
}

impl Numbers {
    fn after(&self, height: u64, numbers: &[u64]) -> Arc<dyn State> {
        let all = self.all.iter().chain(numbers).copied().collect();
        Arc::new(Self { counter: Arc::clone(&self.counter), height, all: Arc::new(all) })
    }

    fn waiting(&self) -> Vec<u64> {
        let waiting = self.counter.waiting.lock().unwrap();
        waiting.iter().filter(|number| !self.all.contains(number)).copied().take(16).collect()
    }
}

impl State for Numbers {
    fn root(&self) -> Hash {
        root(self.height, &self.all)
    }

    fn wanted(&self) -> Wanted {
        if self.waiting().is_empty() { Wanted::No } else { Wanted::Now }
    }

    fn build(&self, setting: &Setting, _: usize) -> Result<Built, Refusal> {
        let numbers = self.waiting();
        Ok(Built { body: body(&numbers), after: self.after(setting.height, &numbers) })
    }

    fn execute(
        &self,
        setting: &Setting,
        body: &Bytes,
        _: Trust,
    ) -> Result<Arc<dyn State>, Refusal> {
        let numbers = numbers(body).ok_or_else(|| Refusal::Invalid("no numbers".to_owned()))?;
        if numbers.iter().any(|number| self.all.contains(number)) {
            return Err(Refusal::Invalid("a number comes twice".to_owned()));
        }
        Ok(self.after(setting.height, &numbers))
    }

    fn chunk(&self, from: &[u8]) -> Option<Chunk> {
        let bytes = encode(self.height, &self.all);
        from.is_empty().then_some(Chunk { bytes, next: None })
    }
}

struct Restored {
    counter: Arc<Counter>,
    root: Hash,
    numbers: Option<Vec<u64>>,
}

impl Restore for Restored {
    fn accept(&mut self, chunk: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        if *blake3::hash(chunk).as_bytes() != self.root {
            return Err(Refusal::Invalid("another root".to_owned()));
        }
        self.numbers = decode(chunk);
        Ok(None)
    }

    fn finish(self: Box<Self>, header: &Header) -> Result<Arc<dyn State>, Refusal> {
        let missing = || Refusal::Invalid("a chunk is missing".to_owned());
        let mut numbers = self.numbers.ok_or_else(missing)?;
        let height = numbers.remove(0);
        assert_eq!(height, header.height);
        Ok(Arc::new(Numbers { counter: self.counter, height, all: Arc::new(numbers) }))
    }
}

pub(crate) struct Replica(pub(crate) Arc<Counter>);

impl Machine for Replica {
    fn genesis(&self) -> Arc<dyn State> {
        Arc::new(Numbers { counter: Arc::clone(&self.0), height: 0, all: Arc::default() })
    }

    fn restore(&self, root: Hash) -> Box<dyn Restore> {
        Box::new(Restored { counter: Arc::clone(&self.0), root, numbers: None })
    }

    fn resumed(&self, _: &Header, _: &Arc<dyn State>) {}

    fn finalized(&self, block: &Finalized) {
        let numbers = numbers(&block.body).unwrap();
        let height = block.header.height;
        let told = (block.header.digest(), numbers);
        let before = self.0.finals.lock().unwrap().insert(height, told.clone());
        assert!(before.is_none_or(|before| before == told), "height {height} was told otherwise");
        self.0.told.notify_waiters();
    }

    fn heard(&self, message: Bytes) {
        // Nobody signs numbers; noise is long.
        let numbers = decode(&message).filter(|numbers| numbers.len() <= 4).unwrap_or_default();
        let is_small = |number: &u64| *number < 1 << 32;
        self.0.waiting.lock().unwrap().extend(numbers.into_iter().filter(is_small));
    }

    fn failed(&self, why: String) {
        panic!("{why}");
    }

    fn time(&self, clock_ms: u64) -> Result<u64, String> {
        Ok(clock_ms)
    }
}

impl Counter {
    /// Returns the height of the last final block.
    pub(crate) fn height(&self) -> u64 {
        self.finals.lock().unwrap().keys().next_back().copied().unwrap_or(0)
    }

    /// Returns the numbers in final blocks.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let finals = self.finals.lock().unwrap();
        finals.values().flat_map(|(_, numbers)| numbers.clone()).collect()
    }
}

/// All nodes tell the same of each height that they tell of.
pub(crate) fn assert_agreement(counters: &[Arc<Counter>]) {
    let mut told: BTreeMap<u64, (Hash, Vec<u64>)> = BTreeMap::new();
    for counter in counters {
        for (height, block) in counter.finals.lock().unwrap().iter() {
            let first = told.entry(*height).or_insert_with(|| block.clone());
            assert_eq!(first, block, "height {height}");
        }
    }
}
