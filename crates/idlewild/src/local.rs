//! A node in this process, and the judge of its validator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::Client;
use node::config::read_key;
use node::local::{LocalNetwork, create};
use node::{Config, DiskTrouble, Node, StartError, start};
use provider::{Judge, JudgeConfig};

use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::network::Network;

/// A running node.
#[derive(Debug)]
pub(crate) struct LocalNode {
    node: Node,
    /// Where the node's key is a validator's.
    judge: Option<Judge>,
    url: String,
    data: PathBuf,
}

/// Says what ails the disk of a directory, if anything does: then that is why something failed.
pub(crate) fn explain_disk(failure: Failure, directory: &Path) -> Failure {
    match DiskTrouble::find(directory) {
        Some(trouble) => failure.context(&trouble).hint(trouble.hint()),
        None => failure,
    }
}

/// Returns where this machine reaches what listens on an address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn not_started(error: StartError, data: &Path) -> Failure {
    let is_taken = error.is_taken();
    let failure = Failure::from(error).context("cannot start the node");
    if is_taken {
        failure.hint(
            "another node may use this directory or port: choose others with --data and --port",
        )
    } else {
        explain_disk(failure, data)
    }
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
        let made = create(data, network).because("cannot make the network");
        let mut config = made.map_err(|failure| explain_disk(failure, data))?;
        config.listen = listen;
        Self::run(config).await
    }

    /// Starts a node with these settings.
    pub(crate) async fn run(config: Config) -> Outcome<Self> {
        let data = config.data.clone();
        let key = read_key(&config.validator_key_path());
        let key = Arc::new(key.because("cannot read the validator's key")?);
        let node = start(config).await.map_err(|error| not_started(error, &data))?;
        let url = format!("http://{}", reachable(node.address()));
        let program = std::env::current_exe().because("cannot find this program's own file")?;
        let mut judge = None;
        if node.handle().genesis().place_of(&key.public()).is_some() {
            let config = JudgeConfig { node: url.clone(), data: data.join("judge"), program };
            let started = Judge::start(config, key).await;
            let started = started.because("cannot start the validator's judge");
            judge = Some(started.map_err(|failure| explain_disk(failure, &data))?);
        }
        Ok(Self { node, judge, url, data })
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
    pub(crate) async fn failed(&self) -> Failure {
        let why = self.node.fault().await;
        let failure = Failure::new(Exit::Failed, format_args!("the node had to stop: {why}"));
        explain_disk(failure, &self.data)
    }

    /// Stops the node; what it acknowledged is on disk.
    pub(crate) async fn stop(self) {
        if let Some(judge) = self.judge {
            judge.stop().await;
        }
        self.node.shutdown().await;
    }
}
