//! Leases: the agreement between a tenant and a provider, and its way from start to settlement.
//!
//! ```text
//! Pending ──Start──▶ Active ──notice──▶ Reclaiming
//!    │                 │  └──Close──▶ Closing ◀──┘
//!    │                 ▼                 ▼
//!    └─────────────▶ Closed ◀────────────┘
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, AuditTerms, CheckState, ClassId, LeaseId, OfferId, OrderId, PublicKey, Rate,
    Time, Units,
};

/// Why a lease ended; the tens digit says whose doing it was.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum CloseReason {
    /// The tenant closed it.
    #[serde(rename = "tenant/closed")]
    TenantClosed,
    /// The provider delivered all of it.
    #[serde(rename = "provider/completed")]
    ProviderCompleted,
    /// The provider did not start in time.
    #[serde(rename = "provider/no-start")]
    ProviderNoStart,
    /// The provider took its hardware back, after notice.
    #[serde(rename = "provider/reclaimed")]
    ProviderReclaimed,
    /// The lease reached its end.
    #[serde(rename = "network/ended")]
    NetworkEnded,
}
codec!(enum CloseReason {
    10 = TenantClosed,
    20 = ProviderCompleted,
    21 = ProviderNoStart,
    22 = ProviderReclaimed,
    30 = NetworkEnded,
});

impl CloseReason {
    /// Returns the reason's stable name, such as `provider/no-start`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TenantClosed => "tenant/closed",
            Self::ProviderCompleted => "provider/completed",
            Self::ProviderNoStart => "provider/no-start",
            Self::ProviderReclaimed => "provider/reclaimed",
            Self::NetworkEnded => "network/ended",
        }
    }
}

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum LeaseState {
    /// Capacity is reserved and the escrow locked; the provider has not signed `Start`.
    Pending {
        /// When it closes for want of a start.
        start_by: Time,
    },
    /// The provider serves.
    Active {
        /// When it started.
        since: Time,
    },
    /// The provider has given notice and still serves.
    Reclaiming {
        /// When it started.
        since: Time,
        /// When the provider may stop.
        deadline: Time,
    },
    /// It is over, but a higher receipt still counts.
    Closing {
        /// When it started.
        since: Time,
        /// When it is settled.
        until: Time,
        /// Why it ends.
        reason: CloseReason,
    },
    /// It is settled.
    Closed {
        /// When it closed.
        at: Time,
        /// Why it ended.
        reason: CloseReason,
    },
}
codec!(enum LeaseState {
    0 = Pending { start_by },
    1 = Active { since },
    2 = Reclaiming { since, deadline },
    3 = Closing { since, until, reason },
    4 = Closed { at, reason },
});

impl LeaseState {
    /// Returns the state's name in lower case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Active { .. } => "active",
            Self::Reclaiming { .. } => "reclaiming",
            Self::Closing { .. } => "closing",
            Self::Closed { .. } => "closed",
        }
    }
}

/// Where a lease's money goes. `gross + premium + refund` is the escrow, once it is closed, and
/// `net + burn + treasury` is `gross`. What is gross waits until the work's check is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Settlement {
    /// Units that were paid.
    pub units: Units,
    /// What the tenant paid for them, in micro-USD.
    pub gross: Amount,
    /// The part that buys and burns the token.
    pub burn: Amount,
    /// The part that goes to the treasury.
    pub treasury: Amount,
    /// The provider's part.
    pub net: Amount,
    /// What the tenant paid into the audit pool, on top.
    pub premium: Amount,
    /// What went back to the tenant.
    pub refund: Amount,
}
codec!(struct Settlement { units, gross, burn, treasury, net, premium, refund });

/// A lease, as the ledger keeps it. What is to be done stands in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    /// The lease's name.
    pub id: LeaseId,
    /// The order it serves.
    pub order: OrderId,
    /// The offer it takes.
    pub offer: OfferId,
    /// The class of service.
    pub class: ClassId,
    /// Who pays.
    pub tenant: Address,
    /// Who serves.
    pub provider: Address,
    /// The provider's key that signs its receipts, pinned.
    pub node_key: PublicKey,
    /// The price of units.
    pub rate: Rate,
    /// The least it costs once there is a receipt, or once the tenant closes it.
    pub minimum: Amount,
    /// The most units it may use.
    pub units_max: Units,
    /// How it is checked.
    pub audit: AuditTerms,
    /// What was locked for it, in micro-USD.
    pub escrow: Amount,
    /// When it was matched.
    pub created: Time,
    /// When it ends at the latest.
    pub ends: Time,
    /// Where it stands.
    pub state: LeaseState,
    /// How many receipts it has.
    pub receipts: u32,
    /// Where its money went.
    pub settlement: Settlement,
    /// How far the check of its work has come.
    pub check: CheckState,
    /// What of its provider's stake it takes up until it is released, in micro-USD.
    pub exposure: Amount,
    /// When the provider's part was released to it, or will be at the earliest, once it is closed.
    pub release: Option<Time>,
}
codec!(struct Lease {
    id, order, offer, class, tenant, provider, node_key, rate, minimum, units_max, audit, escrow,
    created, ends, state, receipts, settlement, check, exposure, release
});
