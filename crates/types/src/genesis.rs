//! The first state of a network, from which everything else follows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, BeaconKey, BeaconShare, DecodeError, Encode, Hash, List, Parameters,
    PublicKey, Text, Time,
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
    /// Who agrees on blocks, in ascending order of their keys.
    pub validators: List<Validator, VALIDATORS_MAX>,
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

/// Who agrees on blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// The key with which it votes, and the account with which it judges.
    pub key: PublicKey,
    /// The key with which it takes part in the beacon.
    pub beacon: BeaconKey,
    /// Shows that it knows the secret of `beacon`.
    pub proof: BeaconShare,
}
codec!(struct Validator { key, beacon, proof });

impl Validator {
    /// Puts validators in the order in which a genesis lists them.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] above [`VALIDATORS_MAX`].
    pub fn in_order(mut validators: Vec<Self>) -> Result<List<Self, VALIDATORS_MAX>, DecodeError> {
        validators.sort_unstable_by_key(|validator| validator.key);
        List::new(validators)
    }

    /// Returns a validator that has no key for the beacon, for ledgers without a chain.
    #[must_use]
    pub const fn without_beacon(key: PublicKey) -> Self {
        let (beacon, proof) = (BeaconKey::from_bytes([0; 96]), BeaconShare::from_bytes([0; 48]));
        Self { key, beacon, proof }
    }
}

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

    /// Returns the place of the validator with this key, if there is one.
    #[must_use]
    pub fn place_of(&self, key: &PublicKey) -> Option<usize> {
        self.validators.iter().position(|validator| validator.key == *key)
    }
}
