//! How the agent is doing, for those who watch it.

use serde::Serialize;
use types::{Address, Amount};

/// How an agent is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The account that earns.
    pub provider: Address,
    /// Whether the node answered last time.
    pub connected: bool,
    /// Offers that stand.
    pub offers: usize,
    /// Jobs at the same time.
    pub slots: u16,
    /// Leases that are served now.
    pub serving: usize,
    /// Leases whose results are being handed over.
    pub delivering: usize,
    /// Leases whose results are kept.
    pub kept: usize,
    /// Leases whose receipt was accepted since the agent started.
    pub done: u64,
    /// Leases that were not taken, or given up, since the agent started.
    pub failed: u64,
    /// Audits of others' work that were done since the agent started.
    pub audited: u64,
    /// The provider's part of settled leases that waits for its release, in micro-USD.
    pub earned_pending: Amount,
    /// The provider's part that was released since the agent started, in micro-USD.
    pub earned_released: Amount,
    /// The speed of one slot in the self-test, in millions of fuel a second.
    pub mfuel_per_second: u32,
    /// The number of the worker process, while there is one.
    pub worker: Option<u32>,
    /// What keeps the agent from selling, if anything.
    pub problem: Option<String>,
}

impl Status {
    /// Returns how an agent is doing that has not done anything yet.
    pub(crate) const fn new(provider: Address, slots: u16, mfuel_per_second: u32) -> Self {
        Self {
            provider,
            connected: true,
            offers: 0,
            slots,
            serving: 0,
            delivering: 0,
            kept: 0,
            done: 0,
            failed: 0,
            audited: 0,
            earned_pending: Amount::ZERO,
            earned_released: Amount::ZERO,
            mfuel_per_second,
            worker: None,
            problem: None,
        }
    }
}
