//! What happened: the ledger's account of a block, for the index, the page and the stream.
//!
//! No rule reads events; the state is the truth. An agent that acts on them acts on a hint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Accuser, Address, Amount, Asset, Change, CheckState, ClassId, CloseReason, LeaseId, List,
    OfferId, OrderId, Outcome, PublicKey, Rate, Ruling, Settlement, Tally, Time, Units, Verdict,
    limits::AUDITORS_MAX,
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
    /// A provider became an auditor, or one with other terms or more or fewer seats.
    Enlisted { auditor: Address, class: ClassId, seats: u32 },
    /// A provider is no auditor any more.
    Delisted { auditor: Address, class: ClassId, barred_until: Time },
    /// A beacon drew auditors for a lease.
    AuditDrawn {
        lease: LeaseId,
        tenant: Address,
        provider: Address,
        round: u8,
        auditors: List<Address, { AUDITORS_MAX as usize }>,
        until: Time,
    },
    /// An auditor committed to what it found.
    AuditCommitted { lease: LeaseId, auditor: Address },
    /// All auditors committed, or their time is over: they reveal.
    AuditRevealing {
        lease: LeaseId,
        auditors: List<Address, { AUDITORS_MAX as usize }>,
        until: Time,
    },
    /// An auditor revealed what it found.
    AuditRevealed { lease: LeaseId, auditor: Address, verdict: Verdict },
    /// An auditor was paid.
    AuditorPaid { lease: LeaseId, auditor: Address, amount: Amount },
    /// The check of a lease's work is over.
    Checked { lease: LeaseId, tenant: Address, provider: Address, check: CheckState },
    /// A receipt is disputed.
    DisputeOpened { lease: LeaseId, tenant: Address, provider: Address, accuser: Accuser },
    /// A validator ruled.
    Ruled { lease: LeaseId, validator: PublicKey, ruling: Ruling },
    /// A party of a dispute moved.
    Argued { lease: LeaseId, by: Address },
    /// A dispute ended.
    DisputeEnded { lease: LeaseId, tenant: Address, provider: Address, outcome: Outcome },
    /// A provider lost stake.
    Slashed { lease: LeaseId, provider: Address, amount: Amount, burned: Amount },
    /// Who was right in a dispute got a part of what who was wrong lost.
    Rewarded { lease: LeaseId, to: Address, asset: Asset, amount: Amount },
    /// A tenant has its money back.
    Refunded { lease: LeaseId, tenant: Address, provider: Address, amount: Amount },
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
    25 = Enlisted { auditor, class, seats },
    26 = Delisted { auditor, class, barred_until },
    27 = AuditDrawn { lease, tenant, provider, round, auditors, until },
    28 = AuditCommitted { lease, auditor },
    29 = AuditRevealing { lease, auditors, until },
    30 = AuditRevealed { lease, auditor, verdict },
    31 = AuditorPaid { lease, auditor, amount },
    32 = Checked { lease, tenant, provider, check },
    33 = DisputeOpened { lease, tenant, provider, accuser },
    34 = Ruled { lease, validator, ruling },
    35 = Argued { lease, by },
    36 = DisputeEnded { lease, tenant, provider, outcome },
    37 = Slashed { lease, provider, amount, burned },
    38 = Rewarded { lease, to, asset, amount },
    39 = Refunded { lease, tenant, provider, amount },
});
