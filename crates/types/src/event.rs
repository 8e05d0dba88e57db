//! What happened: the ledger's account of a block, for the index, the page and the stream.
//!
//! No rule reads events; the state is the truth. An agent that acts on them acts on a hint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Asset, Change, ClassId, CloseReason, LeaseId, OfferId, OrderId, PublicKey,
    Rate, Settlement, Tally, Time, Units,
};

/// One thing that happened in a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "fields are named as in the records they are taken from")]
pub enum Event {
    /// Funds moved between accounts.
    Transferred { from: Address, to: Address, asset: Asset, amount: Amount },
    /// An issuer minted.
    Issued { issuer: Address, to: Address, asset: Asset, amount: Amount },
    /// An issuer redeemed.
    Redeemed { issuer: Address, asset: Asset, amount: Amount },
    /// An account became a provider.
    Registered { provider: Address, node_key: PublicKey },
    /// A provider changed its node key.
    NodeKeyRotated { provider: Address, node_key: PublicKey },
    /// Stake was locked.
    Staked { provider: Address, amount: Amount },
    /// Stake began to unlock.
    Unstaked { provider: Address, amount: Amount, until: Time },
    /// Stake came back.
    Unbonded { provider: Address, amount: Amount },
    /// A provider's offers were suspended, since it did not start its leases.
    Suspended { provider: Address, until: Time },
    /// An offer stands.
    OfferPosted {
        offer: OfferId,
        provider: Address,
        class: ClassId,
        rate: Rate,
        slots: u32,
        capacity: Units,
    },
    /// An offer was taken down, or expired.
    OfferRetired { offer: OfferId, provider: Address, class: ClassId },
    /// An order was placed.
    OrderPlaced { order: OrderId, tenant: Address, class: ClassId, budget: Amount },
    /// An order was taken back, or lapsed.
    OrderClosed { order: OrderId, tenant: Address },
    /// An order was matched.
    LeaseOpened {
        lease: LeaseId,
        order: OrderId,
        offer: OfferId,
        class: ClassId,
        tenant: Address,
        provider: Address,
        escrow: Amount,
    },
    /// A provider serves.
    LeaseStarted { lease: LeaseId, tenant: Address, provider: Address },
    /// A provider gave notice.
    LeaseReclaiming { lease: LeaseId, tenant: Address, provider: Address, deadline: Time },
    /// A receipt was accepted.
    ReceiptAccepted {
        lease: LeaseId,
        tenant: Address,
        provider: Address,
        sequence: u32,
        units: Units,
    },
    /// A lease ended, but a higher receipt still counts.
    LeaseClosing { lease: LeaseId, tenant: Address, provider: Address, reason: CloseReason },
    /// A lease was settled.
    LeaseClosed {
        lease: LeaseId,
        class: ClassId,
        tenant: Address,
        provider: Address,
        reason: CloseReason,
        settlement: Settlement,
    },
    /// A provider's part of a lease was released to it.
    Released { lease: LeaseId, provider: Address, amount: Amount },
    /// A closed lease left the state; a proof of it stays.
    LeaseArchived { lease: LeaseId, position: u64 },
    /// An epoch ended for a class.
    EpochClosed { tally: Tally },
    /// A change was voted for.
    Voted { voter: Address, change: Change, effective: Time },
    /// A change took effect.
    ChangeTookEffect { change: Change },
}

codec!(enum Event {
    0 = Transferred { from, to, asset, amount },
    1 = Issued { issuer, to, asset, amount },
    2 = Redeemed { issuer, asset, amount },
    3 = Registered { provider, node_key },
    4 = NodeKeyRotated { provider, node_key },
    5 = Staked { provider, amount },
    6 = Unstaked { provider, amount, until },
    7 = Unbonded { provider, amount },
    8 = Suspended { provider, until },
    9 = OfferPosted { offer, provider, class, rate, slots, capacity },
    10 = OfferRetired { offer, provider, class },
    11 = OrderPlaced { order, tenant, class, budget },
    12 = OrderClosed { order, tenant },
    13 = LeaseOpened { lease, order, offer, class, tenant, provider, escrow },
    14 = LeaseStarted { lease, tenant, provider },
    15 = LeaseReclaiming { lease, tenant, provider, deadline },
    16 = ReceiptAccepted { lease, tenant, provider, sequence, units },
    17 = LeaseClosing { lease, tenant, provider, reason },
    18 = LeaseClosed { lease, class, tenant, provider, reason, settlement },
    19 = Released { lease, provider, amount },
    20 = LeaseArchived { lease, position },
    21 = EpochClosed { tally },
    22 = Voted { voter, change, effective },
    24 = ChangeTookEffect { change },
});
