//! A node in this process, and the judge of its validator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use api::Client;
use node::config::read_key;
use node::local::{LocalNetwork, create};
use node::{Config, Node, start};
use provider::{Judge, JudgeConfig};

use crate::failure::{Explain, Outcome};
use crate::network::Network;

/// A running node.
#[derive(Debug)]
pub(crate) struct LocalNode {
    node: Node,
    /// Where the node's key is a validator's.
    judge: Option<Judge>,
    url: String,
}

impl LocalNode {
    /// Starts a node on a free port.
    pub(crate) async fn start_anywhere(data: &Path, network: &LocalNetwork) -> Outcome<Self> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start(data, anywhere, network).await
    }

    /// Starts a node of the network in `data`, which is made if there is none.
    pub(crate) async fn start(
        data: &Path,
        listen: SocketAddr,
        network: &LocalNetwork,
    ) -> Outcome<Self> {
        let mut config = create(data, network).because("cannot make the network")?;
        config.listen = listen;
        Self::run(config).await
    }

    /// Starts a node with these settings.
    pub(crate) async fn run(config: Config) -> Outcome<Self> {
        let data = config.data.clone();
        let key = read_key(&config.validator_key_path());
        let key = Arc::new(key.because("cannot read the validator's key")?);
        let node = start(config).await.because("cannot start the node").hint(
            "another node may use this directory or port: choose others with --data and --port",
        )?;
        let url = format!("http://{}", node.address());
        let program = std::env::current_exe().because("cannot find this program's own file")?;
        let mut judge = None;
        if node.handle().genesis().place_of(&key.public()).is_some() {
            let config = JudgeConfig { node: url.clone(), data: data.join("judge"), program };
            let started = Judge::start(config, key).await;
            judge = Some(started.because("cannot start the validator's judge")?);
        }
        Ok(Self { node, judge, url })
    }

    /// Returns the node's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Reaches the node as anybody would.
    pub(crate) async fn network(&self) -> Outcome<Network> {
        let client = Client::new(&self.url)?;
        let status = client.network().await?;
        Ok(Network { client, status })
    }

    /// Returns whether the node is a validator's.
    pub(crate) const fn is_validator(&self) -> bool {
        self.judge.is_some()
    }

    /// Recounts the whole book.
    pub(crate) fn recount(&self) -> Result<(), ledger::Imbalance> {
        self.node.handle().read().ledger.recount()
    }

    /// Waits until the node has to stop, and says why.
    pub(crate) async fn failed(&self) -> String {
        self.node.fault().await.to_string()
    }

    /// Stops the node; what it acknowledged is on disk.
    pub(crate) async fn stop(self) {
        if let Some(judge) = self.judge {
            judge.stop().await;
        }
        self.node.shutdown().await;
    }
}
