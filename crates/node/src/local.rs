//! A network on one machine: a genesis with one validator and one issuer, whose keys are made here.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;
use types::{
    Amount, Asset, BasisPoints, BeaconKey, BeaconShare, Genesis, GenesisWallet, Issuer, List,
    Parameters, SecretKey, Text, Time, Validator, limits::VALIDATORS_MAX, text::to_hex,
};
use zeroize::Zeroizing;

use crate::{
    config::{Config, ConfigError, FaucetConfig, read_key},
    files::{write_secret, write_whole},
    start::CHAIN,
};

/// What a local network is to be like.
#[derive(Debug, Clone)]
pub struct LocalNetwork {
    /// Its name.
    pub name: String,
    /// Whether there is a token. Without one there is no stake and no burn: a private pool.
    pub token: bool,
    /// What governs it.
    pub parameters: Parameters,
    /// What its faucet gives at a time, in micro-USD.
    pub faucet_usd: Amount,
    /// What its faucet gives at a time, in micro-WILD, where there is a token.
    pub faucet_wild: Amount,
    /// Times that an address gets this within 24 hours.
    pub faucet_times_a_day: u32,
    /// Times that all addresses together get this within 24 hours.
    pub faucet_grants_a_day: u32,
}

impl Default for LocalNetwork {
    fn default() -> Self {
        let whole = |count: u64| Amount::new(count * Amount::MICRO).expect("defaults are in range");
        Self {
            name: "local".to_owned(),
            token: true,
            parameters: Parameters::local(),
            faucet_usd: whole(100),
            faucet_wild: whole(1_000),
            faucet_times_a_day: 10,
            faucet_grants_a_day: 10_000,
        }
    }
}

/// Why a local network cannot be made.
#[derive(Debug, Error)]
pub enum LocalError {
    /// A file cannot be written.
    #[error("the network's files cannot be written")]
    File(#[from] io::Error),
    /// The system gives no randomness for keys.
    #[error("the system gives no randomness")]
    Entropy,
    /// There are blocks, but not what they began from.
    #[error("{0} holds the blocks of a network, but its genesis.json is missing; restore it")]
    GenesisMissing(PathBuf),
    /// A key that is there already cannot be used.
    #[error("a key of the network cannot be used")]
    Key(#[from] ConfigError),
    /// There are none, or too many validators.
    #[error("a network has 1 to {0} validators")]
    Validators(usize),
    /// There is not one host for each validator.
    #[error("{hosts} hosts are named for {validators} validators; name one for each, or none")]
    Hosts {
        /// How many hosts.
        hosts: usize,
        /// How many validators.
        validators: usize,
    },
    /// The directory holds a network.
    #[error("{0} holds a network already; choose another directory")]
    Exists(PathBuf),
    /// The name is longer than 32 bytes.
    #[error("a network's name has at most 32 bytes")]
    Name,
}

const ISSUER_KEY: &str = "issuer.key";

/// Makes a network's files in `data`, unless there are some, and returns the settings of its
/// node.
///
/// # Errors
/// [`LocalError`].
pub fn create(data: &Path, network: &LocalNetwork) -> Result<Config, LocalError> {
    fs::create_dir_all(data)?;
    let mut config = Config::new(data);
    config.faucet = Some(FaucetConfig {
        issuer_key: data.join(ISSUER_KEY),
        usd: network.faucet_usd,
        wild: if network.token { network.faucet_wild } else { Amount::ZERO },
        times_a_day: network.faucet_times_a_day,
        grants_a_day: network.faucet_grants_a_day,
    });
    // The genesis is written last: once it is there, so is everything else.
    if config.genesis_path().try_exists()? {
        return Ok(config);
    }
    if data.join(CHAIN).try_exists()? {
        return Err(LocalError::GenesisMissing(data.to_owned()));
    }
    let validator = key(&config.validator_key_path())?;
    let issuer = key(&data.join(ISSUER_KEY))?;
    let genesis = genesis(network, &[&validator], &issuer)?;
    let text = serde_json::to_vec_pretty(&genesis).map_err(io::Error::other)?;
    write_whole(&config.genesis_path(), &text)?;
    Ok(config)
}

/// Returns the key that is there, or makes one: a key that exists may be all that somebody has.
pub(crate) fn key(path: &Path) -> Result<SecretKey, LocalError> {
    if path.try_exists()? {
        return Ok(read_key(path)?);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(|_| LocalError::Entropy)?;
    write_secret(path, Zeroizing::new(to_hex(bytes.as_ref())).as_bytes())?;
    Ok(SecretKey::from_bytes(*bytes))
}

/// Returns what a genesis says of the validator with this key.
fn validator_of(secret: &SecretKey) -> Validator {
    let beacon = chain::BeaconKey::derive(&Zeroizing::new(secret.expose()));
    Validator {
        key: secret.public(),
        beacon: BeaconKey::from_bytes(beacon.key),
        proof: BeaconShare::from_bytes(beacon.proof),
    }
}

/// Returns the genesis of a network with these validators, which begins now.
pub(crate) fn genesis(
    network: &LocalNetwork,
    validators: &[&SecretKey],
    issuer: &SecretKey,
) -> Result<Genesis, LocalError> {
    let list = "one item is within the bound";
    let many = LocalError::Validators(VALIDATORS_MAX);
    let validators = validators.iter().copied().map(validator_of).collect();
    let half = Amount::new(Amount::MAX.get() / 2).expect("half of the most is in range");
    let address = issuer.address();
    let mut parameters = network.parameters.clone();
    let mut wallets = List::default();
    if network.token {
        wallets = List::new(vec![GenesisWallet { address, amount: half }]).expect(list);
    } else {
        parameters.burn_share = BasisPoints::ZERO;
        parameters.stake_minimum = Amount::ZERO;
    }
    // A little in the past, so that the first block may come at once.
    let time = api::now().as_ms().saturating_sub(1);
    let issuer = Issuer { address, asset: Asset::Usd, limit: half };
    Ok(Genesis {
        network: Text::new(network.name.as_str()).map_err(|_| LocalError::Name)?,
        time: Time::from_ms(time),
        rules: ledger::RULES,
        token: network.token,
        validators: Validator::in_order(validators).map_err(|_| many)?,
        issuers: List::new(vec![issuer]).expect(list),
        wallets,
        parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{read_genesis, read_key};

    #[test]
    fn a_network_is_made_once() {
        let data = tempfile::tempdir().unwrap();
        let config = create(data.path(), &LocalNetwork::default()).unwrap();
        let genesis = read_genesis(&config.genesis_path()).unwrap();
        assert_eq!(create(data.path(), &LocalNetwork::default()).unwrap(), config);
        assert_eq!(read_genesis(&config.genesis_path()).unwrap().hash(), genesis.hash());
        let validator = read_key(&config.validator_key_path()).unwrap();
        assert_eq!(genesis.place_of(&validator.public()), Some(0));
        assert!(ledger::Ledger::new(&genesis).is_ok());
    }

    #[test]
    fn keys_outlive_a_lost_genesis() {
        let data = tempfile::tempdir().unwrap();
        let network = LocalNetwork::default();
        let config = create(data.path(), &network).unwrap();
        let keys = || {
            let issuer = data.path().join(ISSUER_KEY);
            [config.validator_key_path(), issuer].map(|path| read_key(&path).unwrap().public())
        };
        let before = keys();
        fs::remove_file(config.genesis_path()).unwrap();
        create(data.path(), &network).unwrap();
        assert_eq!(keys(), before);
        // Beside blocks, a new genesis would only hide what is wrong.
        fs::remove_file(config.genesis_path()).unwrap();
        fs::create_dir(data.path().join(CHAIN)).unwrap();
        let refused = create(data.path(), &network);
        assert!(matches!(refused, Err(LocalError::GenesisMissing(_))), "{refused:?}");
        assert_eq!(keys(), before);
        assert!(!config.genesis_path().exists());
    }

    #[test]
    fn a_private_pool_has_no_token() {
        let data = tempfile::tempdir().unwrap();
        let network = LocalNetwork { token: false, ..LocalNetwork::default() };
        let config = create(data.path(), &network).unwrap();
        let genesis = read_genesis(&config.genesis_path()).unwrap();
        assert!(ledger::Ledger::new(&genesis).is_ok());
        assert_eq!(config.faucet.unwrap().wild, Amount::ZERO);
    }
}
