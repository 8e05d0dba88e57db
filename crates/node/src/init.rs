//! A network of several machines: one genesis, and the files of each node in a directory of its
//! own, which is copied to its machine as it is.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use types::{SecretKey, limits::VALIDATORS_MAX};

use crate::{
    config::{ChainConfig, Config, FaucetConfig, PeerConfig},
    files::write_whole,
    local::{LocalError, LocalNetwork, genesis, key},
};

/// The genesis in the directory of the network, and in each of its nodes'.
const GENESIS: &str = "genesis.json";
const ISSUER_KEY: &str = "issuer.key";
const NODE_KEY: &str = "node.key";

/// Which nodes there are, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// How many validators.
    pub validators: usize,
    /// How many nodes that only follow.
    pub followers: usize,
    /// The host of each validator, by name or address; all on this machine if there are none.
    pub hosts: Vec<String>,
    /// The first port of the API. On one machine each node takes the next.
    pub api_port: u16,
    /// The first port on which nodes hear each other. On one machine each takes the next.
    pub chain_port: u16,
}

/// A node whose files were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeNode {
    /// Its directory.
    pub directory: PathBuf,
    /// Its settings, with paths from its directory.
    pub config: Config,
    /// Its place among the validators, if it is one.
    pub validator: Option<usize>,
}

/// Makes the files of a network in a directory: the genesis, for each node a directory with its
/// key, and the issuer's key, which the first validator has where it gives funds away. What is to
/// be written as each node's settings is returned.
///
/// # Errors
/// [`LocalError`]; among them that the directory holds a network already.
pub fn create(
    directory: &Path,
    network: &LocalNetwork,
    nodes: &Nodes,
) -> Result<Vec<MadeNode>, LocalError> {
    let hosts = nodes.hosts.len();
    if nodes.validators == 0 || nodes.validators > VALIDATORS_MAX {
        return Err(LocalError::Validators(VALIDATORS_MAX));
    }
    if hosts > 0 && hosts != nodes.validators {
        return Err(LocalError::Hosts { hosts, validators: nodes.validators });
    }
    fs::create_dir_all(directory)?;
    if directory.join(GENESIS).try_exists()? {
        return Err(LocalError::Exists(directory.to_owned()));
    }
    let faucet = network.faucet_times_a_day > 0;
    let first = directory.join("validator-1");
    fs::create_dir_all(&first)?;
    let holder = if faucet { &first } else { directory };
    let issuer = key(&holder.join(ISSUER_KEY))?;
    let made = |name: &str, count: usize| -> Result<Vec<(PathBuf, SecretKey)>, LocalError> {
        let make = |number| {
            let directory = directory.join(format!("{name}-{number}"));
            fs::create_dir_all(&directory)?;
            let key = key(&directory.join(NODE_KEY))?;
            Ok((directory, key))
        };
        (1..=count).map(make).collect()
    };
    let validators = made("validator", nodes.validators)?;
    let followers = made("follower", nodes.followers)?;
    let keys: Vec<&SecretKey> = validators.iter().map(|(_, key)| key).collect();
    let genesis = genesis(network, &keys, &issuer)?;
    let text = serde_json::to_vec_pretty(&genesis).map_err(io::Error::other)?;
    let configs = configs(network, nodes, &validators, &followers);
    let mut all = Vec::new();
    for ((node, key), config) in validators.iter().chain(&followers).zip(configs) {
        write_whole(&node.join(GENESIS), &text)?;
        let validator = genesis.place_of(&key.public());
        all.push(MadeNode { directory: node.clone(), config, validator });
    }
    // Written last: once it is there, so is everything else.
    write_whole(&directory.join(GENESIS), &text)?;
    Ok(all)
}

/// Returns the settings of all nodes, in their order.
fn configs(
    network: &LocalNetwork,
    nodes: &Nodes,
    validators: &[(PathBuf, SecretKey)],
    followers: &[(PathBuf, SecretKey)],
) -> Vec<Config> {
    let on_one_machine = nodes.hosts.is_empty();
    let port = |first: u16, place: usize| {
        let step = if on_one_machine { u16::try_from(place).unwrap_or(u16::MAX) } else { 0 };
        first.saturating_add(step)
    };
    let ip = if on_one_machine { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let peer = |(place, (_, key)): (usize, &(PathBuf, SecretKey))| {
        let host = nodes.hosts.get(place).map_or("127.0.0.1", String::as_str);
        let is_validator = place < validators.len();
        let address = is_validator.then(|| format!("{host}:{}", port(nodes.chain_port, place)));
        // Where followers will be on several machines, nobody knows yet.
        let api = (is_validator || on_one_machine)
            .then(|| format!("http://{host}:{}", port(nodes.api_port, place)));
        PeerConfig { key: key.public(), address, api }
    };
    let peers: Vec<PeerConfig> = validators.iter().chain(followers).enumerate().map(peer).collect();
    let config = |(place, own): (usize, &PeerConfig)| {
        let others = peers.iter().filter(|peer| peer.key != own.key);
        let mut config = Config::new("data");
        config.listen = SocketAddr::from((ip, port(nodes.api_port, place)));
        config.names = nodes.hosts.get(place).cloned().into_iter().collect();
        config.genesis = Some(GENESIS.into());
        config.validator_key = Some(NODE_KEY.into());
        config.chain = ChainConfig {
            listen: SocketAddr::from((ip, port(nodes.chain_port, place))),
            blocks_kept: None,
            peers: others.cloned().collect(),
        };
        // One node alone: two would use the issuer's nonces twice.
        config.faucet = (place == 0 && network.faucet_times_a_day > 0).then(|| FaucetConfig {
            issuer_key: ISSUER_KEY.into(),
            usd: network.faucet_usd,
            wild: if network.token { network.faucet_wild } else { types::Amount::ZERO },
            times_a_day: network.faucet_times_a_day,
            grants_a_day: network.faucet_grants_a_day,
        });
        config
    };
    peers.iter().enumerate().map(config).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_genesis;

    fn nodes() -> Nodes {
        let hosts = Vec::new();
        Nodes { validators: 4, followers: 1, hosts, api_port: 7_460, chain_port: 7_560 }
    }

    #[test]
    fn each_node_knows_the_others_and_has_the_same_genesis() {
        let directory = tempfile::tempdir().unwrap();
        let made = create(directory.path(), &LocalNetwork::default(), &nodes()).unwrap();
        let genesis = read_genesis(&directory.path().join(GENESIS)).unwrap();
        assert!(ledger::Ledger::new(&genesis).is_ok());
        let mut places: Vec<_> = made.iter().filter_map(|node| node.validator).collect();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3]);
        for (place, node) in made.iter().enumerate() {
            let own = read_genesis(&node.directory.join(GENESIS)).unwrap();
            assert_eq!(own.hash(), genesis.hash());
            assert_eq!(node.config.chain.peers.len(), 4, "of node {place}");
            assert_eq!(node.config.faucet.is_some(), place == 0);
        }
        let listens = |node: &MadeNode| node.config.chain.listen.to_string();
        let addresses: Vec<_> = made[..4].iter().map(listens).collect();
        let called = made[4].config.chain.peers.iter().map(|peer| peer.address.clone().unwrap());
        assert_eq!(called.collect::<Vec<_>>(), addresses);
        let again = create(directory.path(), &LocalNetwork::default(), &nodes());
        assert!(matches!(again, Err(LocalError::Exists(_))), "{again:?}");
    }

    #[test]
    fn hosts_are_one_for_each_validator() {
        let directory = tempfile::tempdir().unwrap();
        let mut nodes = nodes();
        nodes.hosts = vec!["one.example".to_owned()];
        let refused = create(directory.path(), &LocalNetwork::default(), &nodes);
        assert!(matches!(refused, Err(LocalError::Hosts { .. })), "{refused:?}");
        nodes.hosts = (1..=4).map(|host| format!("{host}.example")).collect();
        let made = create(directory.path(), &LocalNetwork::default(), &nodes).unwrap();
        let first = made[0].config.chain.clone();
        assert_eq!(first.listen.to_string(), "0.0.0.0:7560");
        assert_eq!(first.peers[0].address.as_deref(), Some("2.example:7560"));
    }
}
