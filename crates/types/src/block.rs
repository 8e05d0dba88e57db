//! Blocks: transactions in order, and what the state became.
//!
//! ```text
//! header = height ‖ time ‖ parent ‖ leader ‖ share ‖ body ‖ state          164 bytes
//! hash   = BLAKE3("idlewild header" ‖ 0 ‖ header)
//! ```
//!
//! What a header says of the body stands in [`crate::body`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    BeaconShare, Encode, Hash, List, SignedTransaction, Time, limits::BLOCK_TRANSACTIONS_MAX,
};

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Counts blocks; the genesis is 0, the first block 1.
    pub height: u64,
    /// The block's time, after its parent's.
    pub time: Time,
    /// The hash of the header before; of the genesis, for the header of height 0.
    pub parent: Hash,
    /// The place of the validator that made it, among those of the genesis.
    pub leader: u32,
    /// The leader's signature of the beacon before, from which this block's follows.
    pub share: BeaconShare,
    /// Commits to the transactions and their order.
    pub body: Hash,
    /// The root of the state after the block.
    pub state: Hash,
}
codec!(struct Header { height, time, parent, leader, share, body, state });

impl Header {
    /// Returns the hash that validators sign and the next block names as its parent.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of("idlewild header", &[&self.to_bytes()])
    }
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions, in order.
    pub transactions: List<SignedTransaction, BLOCK_TRANSACTIONS_MAX>,
}
