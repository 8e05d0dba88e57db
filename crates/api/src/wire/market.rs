//! Offers, orders, leases, supply and content.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{
    Address, Amount, Audit, ClassId, ContentHash, Dispute, Lease, LeaseId, Offer, OfferId, Order,
    Rate, SignedReceipt, Tally, Time,
};

/// An offer and how much of it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferView {
    /// The offer.
    pub offer: Offer,
    /// Leases that it serves now.
    pub leased: u32,
}

/// An order and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// The order.
    pub order: Order,
    /// Whether it waits for a match.
    pub open: bool,
    /// The lease that serves it.
    pub lease: Option<LeaseId>,
}

/// A lease with its order and receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseView {
    /// The lease.
    pub lease: Lease,
    /// The order that it serves.
    pub order: Order,
    /// Its receipts, in their sequence.
    pub receipts: Vec<SignedReceipt>,
    /// Its audit, if a beacon drew one.
    pub audit: Option<Audit>,
    /// The dispute over it, if there was one.
    pub dispute: Option<Dispute>,
    /// Whether it left the state, so that only the history knows it.
    pub archived: bool,
}

/// Which leases to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LeaseFilter {
    /// Those that are not closed.
    Open,
    /// Those that wait for their provider's start.
    Pending,
    /// Those that are served.
    Active,
    /// Those whose provider gave notice.
    Reclaiming,
    /// Those that are over but not settled.
    Closing,
    /// Those that are settled.
    Closed,
}

impl LeaseFilter {
    /// Returns the filter's name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Reclaiming => "reclaiming",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

/// What an order would cost, and who could serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    /// The best offers, best first, at most 16.
    pub offers: Vec<QuotedOffer>,
    /// Why others cannot serve it.
    pub excluded: Vec<Exclusion>,
    /// How many offers were examined.
    pub examined: u32,
}

/// An offer that can serve an order, and for how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotedOffer {
    /// The offer.
    pub offer: OfferId,
    /// Who offers.
    pub provider: Address,
    /// Its price of units.
    pub rate: Rate,
    /// The most that the work may cost, in micro-USD.
    pub price: Amount,
    /// The audit premium on top, in micro-USD.
    pub premium: Amount,
}

/// Offers that cannot serve an order for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exclusion {
    /// The reason.
    pub reason: String,
    /// How many offers it excludes.
    pub offers: u32,
}

/// What all classes supply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SupplyView {
    /// The running epoch.
    pub epoch: u64,
    /// When it began.
    pub epoch_began: Time,
    /// One for each class.
    pub classes: Vec<ClassSupply>,
}

/// What a class supplies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassSupply {
    /// The class.
    pub class: ClassId,
    /// Its name.
    pub name: String,
    /// What it counts.
    pub unit: String,
    /// The running epoch so far.
    pub running: Tally,
    /// The last epoch that ended.
    pub past: Option<Tally>,
    /// Seats of those who may be drawn to audit its work: each has one for each smallest stake.
    pub auditor_seats: u32,
}

/// Content that a node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredContent {
    /// Its name.
    pub hash: ContentHash,
    /// Its length in bytes.
    pub bytes: u64,
}
