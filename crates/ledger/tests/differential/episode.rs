//! One genesis and a sequence of blocks, executed on both ledgers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ledger::Ledger;
use types::{Event, Genesis, Hash, Reject, Time, Verified, limits::BLOCK_DUE_MAX};

use crate::{
    compare,
    coverage::Coverage,
    reference::Reference,
    world::{Theme, World},
};

/// What was asked of the ledgers in one block.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) time: Time,
    pub(crate) leader: u32,
    pub(crate) transactions: Vec<Verified>,
}

/// Both ledgers in lock step; every step says what differs.
pub(crate) struct Pair {
    pub(crate) real: Ledger,
    pub(crate) naive: Reference,
}

/// What a block did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// It worked through as much as a block may.
    pub(crate) is_backlogged: bool,
    /// It examined as many offers as a block may.
    pub(crate) is_exhausted: bool,
    /// How many blocks each of its draws has waited for.
    pub(crate) waited: Vec<u64>,
    pub(crate) events: Vec<Event>,
}

/// Returns the beacon of the block of a time: what the world knows nothing of.
pub(crate) fn beacon(time: Time) -> Hash {
    Hash::of("test beacon", &[&time.as_ms().to_le_bytes()])
}

/// Text that says what differs.
pub(crate) type Difference = String;

impl Pair {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let real = Ledger::new(genesis).expect("the world makes valid geneses");
        Self { real, naive: Reference::new(genesis) }
    }

    /// Begins a block on both; false when both refuse its time or its leader.
    pub(crate) fn begin(&mut self, time: Time, leader: u32) -> Result<bool, Difference> {
        let naive = self.naive.begin(time, beacon(time), leader);
        let real = self.real.begin(time, beacon(time), leader).is_ok();
        if real != naive {
            return Err(format!("begin at {time} by {leader}: {real} instead of {naive}"));
        }
        Ok(naive)
    }

    pub(crate) fn apply(&mut self, verified: &Verified) -> Result<Result<(), Reject>, Difference> {
        let naive = self.naive.apply(verified);
        let real = self.real.apply(verified);
        if real != naive {
            let transaction = verified.transaction();
            return Err(format!("{real:?} instead of {naive:?} for {transaction:?}"));
        }
        Ok(naive)
    }

    /// Ends the block on both and compares events and state.
    pub(crate) fn end(&mut self) -> Result<Done, Difference> {
        let naive = self.naive.end();
        let ended = self.real.end();
        for (index, event) in naive.iter().enumerate() {
            if ended.events.get(index) != Some(event) {
                let found = ended.events.get(index);
                return Err(format!("event {index} is {found:?} instead of {event:?}"));
            }
        }
        if let Some(event) = ended.events.get(naive.len()) {
            return Err(format!("another event: {event:?}"));
        }
        compare::all(&self.real, &mut self.naive)?;
        let waited = std::mem::take(&mut self.naive.waited);
        let is_backlogged = self.naive.worked == BLOCK_DUE_MAX;
        let is_exhausted = self.naive.allowance == 0;
        Ok(Done { is_backlogged, is_exhausted, waited, events: naive })
    }

    /// Executes what was asked before.
    pub(crate) fn replay(&mut self, asked: &Asked) -> Result<(), Difference> {
        if !self.begin(asked.time, asked.leader)? {
            return Ok(());
        }
        for verified in &asked.transactions {
            let _ = self.apply(verified)?;
        }
        self.end().map(|_| ())
    }
}

/// A world with both its ledgers, and what was asked of them so far.
pub(crate) struct Episode {
    world: World,
    pub(crate) pair: Pair,
    pub(crate) log: Vec<Asked>,
}

impl Episode {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mixed = seed.wrapping_add(number.wrapping_mul(0xa076_1d64_78bd_642f));
        let world = World::new(mixed, Theme::of_episode(number));
        let pair = Pair::new(&world.genesis);
        Self { world, pair, log: Vec::new() }
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        &self.world.genesis
    }

    /// Makes a transaction that fits the state.
    pub(crate) fn next(&mut self) -> Verified {
        self.world.transaction(&self.pair.naive)
    }

    /// Executes blocks until they had `transactions`.
    pub(crate) fn run(
        &mut self,
        transactions: u64,
        coverage: &mut Coverage,
    ) -> Result<(), Difference> {
        let mut made = 0;
        while made < transactions {
            made += guarded(|| self.block(coverage))?;
        }
        Ok(())
    }

    fn block(&mut self, coverage: &mut Coverage) -> Result<u64, Difference> {
        let time = self.world.block_time(&self.pair.naive);
        let leader = self.world.leader(&self.pair.naive);
        self.log.push(Asked { time, leader, transactions: Vec::new() });
        if !self.pair.begin(time, leader)? {
            coverage.refused += 1;
            return Ok(0);
        }
        let length = self.world.block_length();
        for _ in 0..length {
            let verified = self.next();
            self.log.last_mut().expect("it was just pushed").transactions.push(verified.clone());
            let answer = self.pair.apply(&verified)?;
            coverage.count_answer(&verified, answer);
        }
        let done = self.pair.end()?;
        coverage.blocks += 1;
        coverage.backlogs += u64::from(done.is_backlogged);
        coverage.exhausted += u64::from(done.is_exhausted);
        done.waited.iter().for_each(|blocks| coverage.count_draw(*blocks));
        done.events.iter().for_each(|event| coverage.count_event(event));
        Ok(length)
    }
}

/// Runs `step`; a panic in it is a difference, too.
pub(crate) fn guarded<T>(step: impl FnOnce() -> Result<T, Difference>) -> Result<T, Difference> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}
