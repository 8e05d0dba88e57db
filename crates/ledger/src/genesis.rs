//! The first state.

use std::collections::BTreeSet;

use types::{Address, Amount, Asset, BasisPoints, Genesis, OutOfRange, ParametersError, PublicKey};

use thiserror::Error;

use crate::{
    RULES, epoch,
    key::{Key, Row},
    map::Map,
    state::{Broken, Charter, Network, State},
};

/// The account that issued the token that exists from the start; nobody can sign for it.
pub const GENESIS_ISSUER: Address = Address::new(PublicKey::from_bytes([0; 32]));

/// Why a genesis cannot start a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// Its parameters cannot govern.
    #[error("the parameters cannot govern a network")]
    Parameters(#[source] ParametersError),
    /// It starts with rules that this program does not know.
    #[error("the rules must start with version {RULES}, not {0}")]
    Rules(u16),
    /// Nobody signs blocks.
    #[error("there must be a validator")]
    NoValidator,
    /// A validator is listed twice, or not in its place.
    #[error("the validators are not in ascending order of their keys, each once")]
    ValidatorsUnordered,
    /// An issuer is listed twice for an asset.
    #[error("an issuer is listed twice for one asset")]
    IssuerTwice,
    /// Without a token there is something that needs one.
    #[error("without a token there must be no {0}")]
    NoToken(&'static str),
    /// More of an asset could exist than amounts can count.
    #[error("more {0} could exist than an amount can hold")]
    Supply(Asset),
}

/// Builds the first state.
pub(crate) fn state(genesis: &Genesis) -> Result<State, GenesisError> {
    validate(genesis)?;
    let network = Network {
        genesis: genesis.hash(),
        rules: genesis.rules,
        height: 0,
        time: genesis.time,
        epoch: 0,
        epoch_began: genesis.time,
        stake: Amount::ZERO,
        proposals: 0,
    };
    let parameters = genesis.parameters.clone();
    let mut state = State::new(Charter::of(genesis), parameters, network, Map::new());
    state
        .attempt(|state| fill(state, genesis))
        .expect("a validated genesis holds no amount that leaves its range");
    state.settle();
    Ok(state)
}

fn validate(genesis: &Genesis) -> Result<(), GenesisError> {
    genesis.parameters.validate().map_err(GenesisError::Parameters)?;
    if genesis.rules != RULES {
        return Err(GenesisError::Rules(genesis.rules));
    }
    if genesis.validators.is_empty() {
        return Err(GenesisError::NoValidator);
    }
    if !genesis.validators.is_sorted_by(|one, next| one.key < next.key) {
        return Err(GenesisError::ValidatorsUnordered);
    }
    let issuers: BTreeSet<_> =
        genesis.issuers.iter().map(|issuer| (issuer.address, issuer.asset)).collect();
    if issuers.len() != genesis.issuers.len() {
        return Err(GenesisError::IssuerTwice);
    }
    if !genesis.token {
        without_token(genesis)?;
    }
    for asset in Asset::ALL {
        supply_max(genesis, asset).map_err(|OutOfRange| GenesisError::Supply(asset))?;
    }
    Ok(())
}

fn without_token(genesis: &Genesis) -> Result<(), GenesisError> {
    if genesis.parameters.burn_share != BasisPoints::ZERO {
        return Err(GenesisError::NoToken("burn share"));
    }
    if !genesis.parameters.stake_minimum.is_zero() {
        return Err(GenesisError::NoToken("stake minimum"));
    }
    if genesis.issuers.iter().any(|issuer| issuer.asset == Asset::Wild) {
        return Err(GenesisError::NoToken("issuer of it"));
    }
    if !genesis.wallets.is_empty() {
        return Err(GenesisError::NoToken("wallet"));
    }
    Ok(())
}

/// Returns the most of an asset that can ever exist, which bounds every row of the book.
fn supply_max(genesis: &Genesis, asset: Asset) -> Result<Amount, OutOfRange> {
    let limits =
        genesis.issuers.iter().filter(|issuer| issuer.asset == asset).map(|issuer| issuer.limit);
    let held = match asset {
        Asset::Usd => &[][..],
        Asset::Wild => &genesis.wallets[..],
    };
    limits.chain(held.iter().map(|wallet| wallet.amount)).try_fold(Amount::ZERO, Amount::plus)
}

fn fill(state: &mut State, genesis: &Genesis) -> Result<(), Broken> {
    state.set_parameters(genesis.parameters.clone())?;
    for class in classes::CLASSES {
        state.put(Key::Tally(class.id()), &epoch::fresh(0, class.id(), types::Units::ZERO))?;
    }
    for validator in genesis.validators.iter() {
        state.open_account(Address::new(validator.key))?;
    }
    for issuer in genesis.issuers.iter() {
        state.open_account(issuer.address)?;
        state.put(Key::Issuer(issuer.address, issuer.asset), issuer)?;
    }
    for wallet in genesis.wallets.iter() {
        state.open_account(wallet.address)?;
        let (from, to) = (Row::Issued(GENESIS_ISSUER), Row::Wallet(wallet.address));
        state.book().transfer(from, to, Asset::Wild, wallet.amount)?;
    }
    Ok(())
}
