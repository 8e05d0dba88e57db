//! Accounts and the faucet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{
    Account, Address, Amount, Auditor, ClassId, Issuer, Provider, Reputation, TransactionId,
    Unbonding,
};

/// An account with what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// Its address.
    pub address: Address,
    /// Its counters; absent until it first receives funds or is registered as a node key.
    pub account: Option<Account>,
    /// What its wallet holds.
    pub balances: Funds,
    /// What it has staked, in micro-WILD.
    pub stake: Amount,
    /// Stake on its way back.
    pub unbondings: Vec<Unbonding>,
    /// What it is as a provider.
    pub provider: Option<Provider>,
    /// What it is as an auditor, for each class of which it is one.
    pub auditor: Vec<Auditor>,
    /// What is known of its work, for each class of which anything is.
    pub reputation: Vec<ClassReputation>,
    /// The provider whose node key it is.
    pub node_key_of: Option<Address>,
    /// What it may issue.
    pub issuer: Vec<Issuer>,
}

/// What is known of a provider's work in a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassReputation {
    /// The class.
    pub class: ClassId,
    /// What is known, as far as it has not faded.
    pub reputation: Reputation,
}

/// Money of both assets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Funds {
    /// In micro-USD.
    pub usd: Amount,
    /// In micro-WILD.
    pub wild: Amount,
}

/// Who asks a faucet for funds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaucetRequest {
    /// Who receives.
    pub address: Address,
}

/// What a faucet gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaucetGrant {
    /// How much.
    pub funds: Funds,
    /// The block that holds it.
    pub height: u64,
    /// The transactions.
    pub transactions: Vec<TransactionId>,
}
