//! A network for a test: a node in a directory of its own, and accounts with funds.

use std::fs;
use std::sync::Arc;

use api::{Client, Submitter};
use node::{
    Config, Node,
    local::{self, LocalNetwork},
};
use types::{Duration, Hash, Parameters, SecretKey};

pub(crate) struct Network {
    pub(crate) data: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) node: Node,
    pub(crate) client: Client,
    pub(crate) genesis: Hash,
}

/// Parameters under which what takes days passes in a second or two.
pub(crate) fn quick() -> Parameters {
    Parameters {
        start_window_ms: Duration::from_seconds(60),
        grace_window_ms: Duration::from_ms(1),
        release_window_ms: Duration::from_ms(2),
        epoch_ms: Duration::from_ms(1_000),
        closed_lease_epochs: 1,
        ..Parameters::local()
    }
}

impl Network {
    pub(crate) async fn start() -> Self {
        Self::start_with(Parameters::local(), |_| ()).await
    }

    pub(crate) async fn start_with(
        parameters: Parameters,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let network = LocalNetwork { parameters, ..LocalNetwork::default() };
        let mut config = local::create(data.path(), &network).unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        let (node, client) = start(&config).await;
        let genesis = node.handle().genesis_hash();
        Self { data, config, node, client, genesis }
    }

    /// Takes the node down and up again.
    pub(crate) async fn restart(self) -> Self {
        let Self { data, config, node, genesis, .. } = self;
        node.shutdown().await;
        let (node, client) = start(&config).await;
        Self { data, config, node, client, genesis }
    }

    /// Returns an account with funds of the faucet.
    pub(crate) async fn account(&self, seed: u8) -> Submitter {
        let key = Arc::new(key(seed));
        self.client.faucet(key.address()).await.unwrap();
        Submitter::new(self.client.clone(), key, self.genesis)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.address())
    }

    /// Returns the node's name as it stands in the header of requests.
    pub(crate) fn host(&self) -> String {
        self.node.address().to_string()
    }

    pub(crate) fn root(&self) -> Hash {
        self.node.handle().read().ledger.root()
    }

    /// Takes the node down, removes its history, and takes it up again: the history is built anew.
    pub(crate) async fn rebuild(self) -> Self {
        let Self { data, config, node, genesis, .. } = self;
        node.shutdown().await;
        for suffix in ["", "-wal", "-shm"] {
            // In order, a history that is closed is one file.
            let _ = fs::remove_file(data.path().join(format!("index.sqlite{suffix}")));
        }
        let (node, client) = start(&config).await;
        let network = Self { data, config, node, client, genesis };
        network.index_settled().await;
        network
    }

    pub(crate) async fn index_settled(&self) {
        let height = self.node.handle().read().header.height;
        self.node.index().wait_for(height).await.unwrap();
    }
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes([seed; 32])
}

pub(crate) async fn start(config: &Config) -> (Node, Client) {
    let node = node::start(config.clone()).await.unwrap();
    let client = Client::new(&format!("http://{}", node.address())).unwrap();
    (node, client)
}
