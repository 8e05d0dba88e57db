//! The first state of a network, from which everything else follows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Encode, Hash, List, Parameters, PublicKey, Text, Time,
    limits::{GENESIS_WALLETS_MAX, ISSUERS_MAX, NETWORK_NAME_BYTES_MAX, VALIDATORS_MAX},
    provider::Issuer,
};

/// What a network starts from. Its hash names the network in everything that is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The network's name.
    pub network: Text<NETWORK_NAME_BYTES_MAX>,
    /// When it starts.
    pub time: Time,
    /// The version of the rules it starts with.
    pub rules: u16,
    /// Whether there is a token. Without one there is no stake and no burn: a private pool.
    pub token: bool,
    /// Who signs blocks.
    pub validators: List<PublicKey, VALIDATORS_MAX>,
    /// Who mints and redeems credits.
    pub issuers: List<Issuer, ISSUERS_MAX>,
    /// Token that exists from the start.
    pub wallets: List<GenesisWallet, GENESIS_WALLETS_MAX>,
    /// What governs it.
    pub parameters: Parameters,
}
codec!(struct Genesis {
    network, time, rules, token, validators, issuers, wallets, parameters
});

/// Token that an account holds from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GenesisWallet {
    /// The account.
    pub address: Address,
    /// How much, in micro-WILD.
    pub amount: Amount,
}
codec!(struct GenesisWallet { address, amount });

impl Genesis {
    /// Returns the hash that names the network.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of("idlewild genesis", &[&self.to_bytes()])
    }
}
