//! The state machine of the market: a deterministic function of a state and a block.
//!
//! [`Ledger`] holds the state and executes blocks: [`Ledger::begin`] lets time pass,
//! [`Ledger::apply`] executes a transaction whose signatures were checked, [`Ledger::end`] matches
//! open orders and takes the root. What happened comes out as events; no rule reads them. A clone
//! is a fork, made in O(1).
//!
//! The rules stand in `docs/ledger.md`. The parts: typed keys ([`key`]) over a Merkle map
//! ([`map`]); the book, through which alone value moves; `tx`, one file for each action; matching
//! and quotes; leases and their settlement; audits, and the draws that wait for other leaders; the
//! queue of what happens by itself; epochs. The ledger knows no class of service by name: it asks
//! the table of `classes`.
//!
//! Time, transactions and the genesis come in as arguments: there is no clock, no randomness, no
//! file and no float here.
//!
//! ```
//! use ledger::{Ledger, key::{Key, Row}};
//! use types::{Asset, Genesis, List, Parameters, PublicKey, Text, Time, Validator};
//!
//! let genesis = Genesis {
//!     network: Text::new("example")?,
//!     time: Time::from_ms(0),
//!     rules: ledger::RULES,
//!     token: true,
//!     validators: List::new(vec![Validator::without_beacon(PublicKey::from_bytes([1; 32]))])?,
//!     issuers: List::default(),
//!     wallets: List::default(),
//!     parameters: Parameters::local(),
//! };
//! let mut ledger = Ledger::new(&genesis)?;
//! ledger.begin(Time::from_ms(500), genesis.hash(), 0)?;
//! let ended = ledger.end();
//! let key = Key::Book(Row::Treasury, Asset::Usd);
//! let proved = ledger.prove(&key);
//! assert_eq!(ledger::verify_proof(&ended.root, &key, &proved.proof)?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

mod archive;
mod audit;
mod auditors;
mod book;
mod dispute;
mod draws;
mod due;
mod epoch;
mod genesis;
pub mod key;
mod lease;
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "positions within the map's own bounded nodes and buffers"
)]
pub mod map;
mod matching;
mod pending;
mod query;
mod quote;
mod settlement;
mod slash;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tx;

use thiserror::Error;
use types::{Event, Genesis, Hash, OrderTerms, Reject, Time, Verified};

pub use archive::Archive;
pub use genesis::{GENESIS_ISSUER, GenesisError};
pub use key::{Key, Row};
pub use query::{Imbalance, Proved, RestoreError, verify_proof};
pub use quote::{Exclusion, Quote, Quoted};
pub use state::Network;
pub use tx::vote::Proposal;

use state::State;

/// The version of the rules that this program executes.
pub const RULES: u16 = 1;

/// The state of a network. A clone is a fork, made in O(1), and independent from then on.
///
/// Queries answer for the state after the last block that was ended.
#[derive(Debug, Clone)]
pub struct Ledger {
    state: State,
}

/// Why a block cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BeginError {
    /// Its time is not after that of the block before.
    #[error("the block's time, {given}, is not after the last one's, {last}")]
    Time {
        /// The last block's time.
        last: Time,
        /// The time given.
        given: Time,
    },
    /// Its leader has no place among the validators.
    #[error("the block's leader, number {leader}, is none of {validators} validators")]
    Leader {
        /// The place given.
        leader: u32,
        /// How many validators there are.
        validators: usize,
    },
}

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What happened, in order: when it began, by each accepted transaction, when it ended.
    pub events: Vec<Event>,
    /// The root of the state after it.
    pub root: Hash,
}

impl Ledger {
    /// Starts a network.
    ///
    /// # Errors
    /// [`GenesisError`] when the genesis cannot start one.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        genesis::state(genesis).map(|state| Self { state })
    }

    /// Begins a block: the epoch closes if its time has come, and what is due happens.
    ///
    /// `beacon` decides what is drawn: a hash that nobody who sends transactions could foresee when
    /// the block before was made. `leader` is the place of the block's maker among the genesis'
    /// validators.
    ///
    /// # Errors
    /// [`BeginError`], and nothing changes, when `time` is not after the last block's, or no
    /// validator has the place of the leader.
    pub fn begin(&mut self, time: Time, beacon: Hash, leader: u32) -> Result<(), BeginError> {
        let validators = self.state.charter().validators.len();
        let network = &mut self.state.network;
        if time <= network.time {
            return Err(BeginError::Time { last: network.time, given: time });
        }
        if usize::try_from(leader).is_ok_and(|place| place >= validators) {
            return Err(BeginError::Leader { leader, validators });
        }
        network.time = time;
        network.height = network.height.saturating_add(1);
        self.state.block.beacon = beacon;
        self.state.block.leader = leader;
        let noted = self.state.attempt(draws::note_leader);
        debug_assert!(noted.is_ok(), "a leader could not be noted");
        let advanced = self.state.attempt(epoch::advance);
        debug_assert!(advanced.is_ok(), "an epoch could not close");
        due::run(&mut self.state);
        Ok(())
    }

    /// Executes a transaction of the block that was begun.
    ///
    /// # Errors
    /// A [`Reject`], and nothing changes.
    pub fn apply(&mut self, transaction: &Verified) -> Result<(), Reject> {
        tx::execute(&mut self.state, transaction)
    }

    /// Ends the block: open orders are matched and the root is taken.
    ///
    /// # Panics
    /// When the block made or lost value, which every attempt checks for itself.
    pub fn end(&mut self) -> Ended {
        matching::run(&mut self.state);
        let block = std::mem::take(&mut self.state.block);
        assert_eq!(block.moved, [0, 0], "the movements of a block sum to zero for each asset");
        Ended { events: block.events, root: self.state.settle() }
    }

    /// Returns what the market would answer to an order now, from all offers.
    ///
    /// # Errors
    /// The [`Reject`] of an order that says something impossible.
    pub fn quote(&self, terms: &OrderTerms) -> Result<Quote, Reject> {
        quote::quote(&self.state, terms)
    }
}
