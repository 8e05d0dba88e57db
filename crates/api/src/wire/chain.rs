//! The network, its blocks and transactions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{
    Address, CertifiedHeader, Duration, Hash, Header, Reject, Signature, Text, Time, Transaction,
    TransactionId, limits::NETWORK_NAME_BYTES_MAX,
};

use super::EventRecord;

/// Which network a node serves, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkStatus {
    /// The network's name.
    pub network: Text<NETWORK_NAME_BYTES_MAX>,
    /// The genesis' hash, which everything signed is tied to.
    pub genesis: Hash,
    /// The last block's height; 0 before the first.
    pub height: u64,
    /// The last block's time.
    pub time: Time,
    /// The state's root.
    pub root: Hash,
    /// The running epoch's number.
    pub epoch: u64,
    /// When it began.
    pub epoch_began: Time,
    /// How long an epoch is.
    pub epoch_ms: Duration,
    /// The version of the rules.
    pub rules: u16,
    /// Whether there is a token.
    pub token: bool,
    /// Whether the node gives funds away.
    pub faucet: bool,
    /// The node's version.
    pub version: String,
}

/// Transactions to execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// At most 256, each the canonical encoding of a signed transaction in hexadecimal.
    pub transactions: Vec<String>,
}

/// What became of submitted transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// One for each transaction, in their order.
    pub results: Vec<Outcome>,
}

/// What became of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The transaction.
    pub id: TransactionId,
    /// The block that holds it; absent if it was refused.
    pub height: Option<u64>,
    /// Why it was refused.
    pub reject: Option<Refusal>,
}

/// Why a transaction was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// A rejection's code, or `transaction/signature`, `node/busy` or `node/open`.
    pub code: String,
    /// The one-line meaning.
    pub meaning: String,
}

impl Refusal {
    /// The code of a transaction whose signature does not match.
    pub const SIGNATURE: &str = "transaction/signature";
    /// The code of a transaction for which the node had no room; it may be sent again.
    pub const BUSY: &str = "node/busy";

    /// The code of a transaction of which it is open whether a block will hold it: validators do
    /// not agree on blocks now.
    pub const OPEN: &str = "node/open";

    /// Returns the ledger's rejection, if it is one.
    #[must_use]
    pub fn reject(&self) -> Option<Reject> {
        Reject::ALL.iter().copied().find(|reject| reject.code() == self.code)
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self { code: reject.code().to_owned(), meaning: reject.meaning().to_owned() }
    }
}

/// A transaction that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionRecord {
    /// Its name.
    pub id: TransactionId,
    /// The block that holds it.
    pub height: u64,
    /// Its place in the block, from 0.
    pub position: u32,
    /// The block's time.
    pub time: Time,
    /// The transaction.
    pub transaction: Transaction,
    /// Its signer's signature.
    pub signature: Signature,
    /// What happened in its block to those it names.
    pub events: Vec<EventRecord>,
}

/// A transaction in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionSummary {
    /// Its name.
    pub id: TransactionId,
    /// Who signed it.
    pub signer: Address,
    /// What it asks, such as `place-order`.
    pub action: String,
}

/// A block in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockSummary {
    /// The header's hash.
    pub hash: Hash,
    /// The header.
    pub header: Header,
    /// How many transactions it holds.
    pub transactions: u32,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockRecord {
    /// The header's hash.
    pub hash: Hash,
    /// The header, with what shows that it is final.
    pub header: CertifiedHeader,
    /// Its transactions, in order.
    pub transactions: Vec<TransactionSummary>,
}
