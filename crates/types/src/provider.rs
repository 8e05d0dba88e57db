//! Accounts, providers and issuers, as the ledger keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Address, Amount, Asset, PublicKey, Time};

/// An account's counters. Its funds stand in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// The nonce of its next transaction.
    pub nonce: u64,
    /// Orders that wait for a match.
    pub open_orders: u32,
}
codec!(struct Account { nonce, open_orders });

/// A supplier of hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provider {
    /// Its account, which owns stake and earnings.
    pub address: Address,
    /// The key that its agent signs with: offers, starts, receipts. It moves no funds.
    pub node_key: PublicKey,
    /// When it was registered.
    pub registered: Time,
    /// Offers that it has standing.
    pub offers: u32,
    /// Leases that it has running.
    pub leases: u32,
    /// Unbondings that it has waiting.
    pub unbondings: u32,
    /// Votes of its stake that are not concluded.
    pub votes: u32,
    /// The epoch that `no_starts` counts in.
    pub no_starts_epoch: u64,
    /// Leases that it failed to start in that epoch.
    pub no_starts: u32,
    /// Its offers match nothing before this time.
    pub suspended_until: Time,
    /// What of its stake its leases take up that are not released, in micro-USD.
    pub exposure: Amount,
    /// When it was last found cheating.
    pub slashed: Option<Time>,
}
codec!(struct Provider {
    address, node_key, registered, offers, leases, unbondings, votes, no_starts_epoch, no_starts,
    suspended_until, exposure, slashed
});

/// Stake on its way back to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unbonding {
    /// How much, in micro-WILD.
    pub amount: Amount,
    /// When it is back.
    pub until: Time,
}
codec!(struct Unbonding { amount, until });

/// Who may mint an asset against deposits, and redeem it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issuer {
    /// Its account.
    pub address: Address,
    /// What it issues.
    pub asset: Asset,
    /// The most that it may have issued and not redeemed.
    pub limit: Amount,
}
codec!(struct Issuer { address, asset, limit });
