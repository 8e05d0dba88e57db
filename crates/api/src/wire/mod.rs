//! What goes over the wire: a record for each answer, and the problems.
//!
//! Records of the ledger appear as they are in `types`; the types here put them together.

mod account;
mod bundle;
mod chain;
mod event;
mod market;
mod problem;

pub use account::{AccountView, ClassReputation, FaucetGrant, FaucetRequest, Funds};
pub use bundle::{Bundle, BundleError, Included, ProofView, Row, RowBytes};
pub use chain::{
    BlockRecord, BlockSummary, NetworkStatus, Outcome, Refusal, Submission, Submitted,
    TransactionRecord, TransactionSummary,
};
pub use event::{EventId, EventRecord, NotAnEventId};
pub use market::{
    ClassSupply, Exclusion, LeaseFilter, LeaseView, OfferView, OrderView, Quote, QuotedOffer,
    StoredContent, SupplyView,
};
pub use problem::{Problem, ProblemBody, ProblemDetail};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Some items of a longer list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask for to get the items that follow; absent at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Puts `items` on a page that ends the list when it holds fewer than `limit`.
    #[must_use]
    pub fn new(items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let full = items.len() >= limit;
        let next = if full { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}
