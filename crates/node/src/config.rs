//! What a node is told: where its data is, what it listens on, and its limits.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{Amount, Genesis, PublicKey, SecretKey, text::from_hex};
use zeroize::Zeroizing;

/// The settings of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory that holds everything the node keeps. One node at a time may use it.
    pub data: PathBuf,
    /// The address that the API listens on. Port 0 takes a free one.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The genesis as JSON; `genesis.json` in the data directory if absent.
    #[serde(default)]
    pub genesis: Option<PathBuf>,
    /// The names that requests may call the node by, besides the address that they come to,
    /// `localhost`, and the machine's own name. A request for another name is not answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The key that votes on blocks, or that of a node which only follows, as 64 hexadecimal
    /// digits in a file that only its owner may read; `validator.key` in the data directory if
    /// absent.
    #[serde(default)]
    pub validator_key: Option<PathBuf>,
    /// How the node takes part in the chain.
    #[serde(default)]
    pub chain: ChainConfig,
    /// Gives funds away, if there.
    #[serde(default)]
    pub faucet: Option<FaucetConfig>,
    /// What the node bears.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
}

/// How a node takes part in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainConfig {
    /// The address on which other nodes are heard. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Blocks that are kept behind the last one. The history can be built anew from the first
    /// block on as long as all are kept, which they are if this is absent.
    pub blocks_kept: Option<u64>,
    /// The other nodes.
    pub peers: Vec<PeerConfig>,
}

impl Default for ChainConfig {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, blocks_kept: None, peers: Vec::new() }
    }
}

/// Another node of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its public key.
    pub key: PublicKey,
    /// Where it listens, as `HOST:PORT`; absent for one that only follows, which calls itself.
    #[serde(default)]
    pub address: Option<String>,
    /// Where its API is, as `http://HOST:PORT`: content that it keeps is asked for there.
    #[serde(default)]
    pub api: Option<String>,
}

/// What a faucet gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaucetConfig {
    /// The key of an issuer of credits, in a file as the validator's.
    pub issuer_key: PathBuf,
    /// What an address gets at a time, in micro-USD.
    pub usd: Amount,
    /// What an address gets at a time from the issuer's wallet, in micro-WILD; zero where there
    /// is no token.
    pub wild: Amount,
    /// Times that an address gets this within 24 hours.
    pub times_a_day: u32,
    /// Times that all addresses together get this within 24 hours.
    pub grants_a_day: u32,
}

/// What the node bears from outside. A peer is an IPv4 address or the /64 network of an IPv6
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at a time.
    pub connections: u32,
    /// Connections of one peer at a time.
    pub connections_per_peer: u32,
    /// Streams of events at a time.
    pub event_streams: u32,
    /// Streams of events of one peer at a time.
    pub event_streams_per_peer: u32,
    /// Uploads at a time.
    pub uploads: u32,
    /// Uploads of one peer at a time.
    pub uploads_per_peer: u32,
    /// Requests a second from one peer; twice as many in a burst.
    pub requests_a_second: u32,
    /// Bytes of content that all accounts together may store; what two of them store counts
    /// twice.
    pub content_bytes: u64,
    /// Bytes of content that one account may store.
    pub content_bytes_per_account: u64,
    /// Pieces of content that one account may store.
    pub content_count_per_account: u64,
    /// Bytes of the disk that content leaves free: the chain needs them.
    pub free_disk_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_peer: 256,
            event_streams: 128,
            event_streams_per_peer: 64,
            uploads: 32,
            uploads_per_peer: 16,
            requests_a_second: 2_000,
            content_bytes: 64 << 30,
            content_bytes_per_account: 4 << 30,
            content_count_per_account: 100_000,
            free_disk_bytes: 2 << 30,
        }
    }
}

fn is_default(limits: &Limits) -> bool {
    *limits == Limits::default()
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 7070))
}

impl Config {
    /// Takes a data directory and leaves everything else as it is by default.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: default_listen(),
            genesis: None,
            names: Vec::new(),
            validator_key: None,
            chain: ChainConfig::default(),
            faucet: None,
            limits: Limits::default(),
        }
    }

    /// Takes relative paths from a directory, such as that of the file that says them.
    #[must_use]
    pub fn in_directory(mut self, directory: &Path) -> Self {
        let paths = [Some(&mut self.data), self.genesis.as_mut(), self.validator_key.as_mut()];
        let faucet = self.faucet.as_mut().map(|faucet| &mut faucet.issuer_key);
        for path in paths.into_iter().chain([faucet]).flatten() {
            *path = directory.join(&*path);
        }
        self
    }

    /// Returns where the genesis is.
    #[must_use]
    pub fn genesis_path(&self) -> PathBuf {
        self.genesis.clone().unwrap_or_else(|| self.data.join("genesis.json"))
    }

    /// Returns where the validator's key is.
    #[must_use]
    pub fn validator_key_path(&self) -> PathBuf {
        self.validator_key.clone().unwrap_or_else(|| self.data.join("validator.key"))
    }
}

/// Why the node's own files cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The genesis is not one.
    #[error("{path} is not a genesis")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A key is not 64 hexadecimal digits.
    #[error("{0} is not a key of 64 hexadecimal digits")]
    Key(PathBuf),
    /// Others may read a key.
    #[error("{0} may be read by others; chmod 600 it")]
    Exposed(PathBuf),
}

/// Reads a genesis from JSON.
///
/// # Errors
/// [`ConfigError`].
pub fn read_genesis(path: &Path) -> Result<Genesis, ConfigError> {
    let text = fs::read(path).map_err(|source| ConfigError::File { path: path.into(), source })?;
    serde_json::from_slice(&text)
        .map_err(|source| ConfigError::Genesis { path: path.into(), source })
}

/// Reads a secret key from a file that only its owner may read.
///
/// # Errors
/// [`ConfigError`].
pub fn read_key(path: &Path) -> Result<SecretKey, ConfigError> {
    let on_file = |source| ConfigError::File { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(on_file)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(ConfigError::Exposed(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(on_file)?);
    let not_a_key = || ConfigError::Key(path.to_owned());
    let bytes = Zeroizing::new(from_hex(text.trim_end()).ok_or_else(not_a_key)?);
    let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| not_a_key())?;
    Ok(SecretKey::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_do_not_exist_are_refused() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        assert_eq!(read(r#"{"data":"/x"}"#).unwrap(), Config::new("/x"));
        assert!(read(r#"{"data":"/x","port":1}"#).is_err());
        assert!(read(r#"{"data":"/x","limits":{"uploads":1,"speed":2}}"#).is_err());
        let limits = read(r#"{"data":"/x","limits":{"uploads":1}}"#).unwrap().limits;
        assert_eq!(limits, Limits { uploads: 1, ..Limits::default() });
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        crate::files::write_secret(&path, format!("{}\n", "07".repeat(32)).as_bytes()).unwrap();
        assert_eq!(read_key(&path).unwrap().expose(), [7; 32]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_key(&path), Err(ConfigError::Exposed(_))));
    }
}
