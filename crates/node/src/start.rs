//! Starting a node and taking it down, in order.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use chain::{Connections, Running};
use ledger::GenesisError;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    runtime,
    sync::{broadcast, watch},
    task,
};
use types::{Genesis, SecretKey, Time, limits::BLOCK_BYTES_MAX};
use zeroize::Zeroizing;

use crate::{
    config::{ChainConfig, Config, ConfigError, PeerConfig, read_genesis, read_key},
    content::{ContentError, ContentStore},
    faucet::{Faucet, may_issue},
    fault::Fault,
    handle::NodeHandle,
    index::{Feed, Index, IndexError, Source},
    metrics::Metrics,
    replica::{Clock, CommittedBlock, Replica, ReplicaSettings, attend},
    server::{App, Parts, Relay, machine_names, router, serve},
};

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its own files cannot be used.
    #[error("the node's settings cannot be used")]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error("the data directory {path} cannot be used")]
    Data {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another node uses the data directory.
    #[error("another node uses {0}; stop it first, or choose another data directory")]
    InUse(PathBuf),
    /// The genesis cannot start a network.
    #[error("the genesis cannot start a network")]
    Genesis(#[from] GenesisError),
    /// The chain cannot be taken up.
    #[error("the chain cannot be taken up")]
    Chain(#[from] chain::StartError),
    /// There are other validators, but nothing says where.
    #[error("the network has {0} other validators: say where they are with `chain.peers`")]
    NoPeers(usize),
    /// The node is no validator and knows none.
    #[error(
        "the key is not among the genesis' validators; a node that only follows needs to know \
         where they are: say it with `chain.peers`"
    )]
    Stranger,
    /// A peer's address is none.
    #[error("the address of a peer cannot be used")]
    Peer(#[source] chain::NotAnAddress),
    /// The address of a peer's API is none.
    #[error("the API of a peer cannot be used: {0}")]
    PeerApi(String),
    /// The history cannot be opened.
    #[error("the history cannot be opened")]
    Index(#[from] IndexError),
    /// The content store cannot be opened.
    #[error("the content store cannot be opened")]
    Content(#[from] ContentError),
    /// The faucet's key issues nothing on this network.
    #[error("the faucet's key is not an issuer of credits on this network")]
    Faucet,
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on; is another node running there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl StartError {
    /// Returns whether something else may have the directory or an address.
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(
            self,
            Self::InUse(_) | Self::Listen { .. } | Self::Chain(chain::StartError::Network(_))
        )
    }
}

/// A node that runs. Dropped without [`Node::shutdown`] it ends too, but without a last snapshot.
#[derive(Debug)]
pub struct Node {
    handle: NodeHandle,
    index: Index,
    address: SocketAddr,
    fault: Fault,
    stopping: watch::Sender<bool>,
    server: task::JoinHandle<()>,
    messenger: task::JoinHandle<()>,
    chain: Option<Running>,
    feed: Option<JoinHandle<()>>,
    closer: Closer,
}

/// Ends what hears of blocks.
#[derive(Debug)]
struct Closer(Replica);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Node {
    /// Returns the node's ledger.
    #[must_use]
    pub const fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Returns the node's history.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the address that the API listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the node has to stop by itself, and returns why.
    pub async fn fault(&self) -> Arc<str> {
        self.fault.wait().await
    }

    /// Takes the node down: no new requests, those under way end, what was submitted is answered,
    /// a snapshot is written.
    pub async fn shutdown(mut self) {
        self.stopping.send_replace(true);
        if let Err(error) = (&mut self.server).await {
            tracing::warn!("the server ended badly: {error}");
        }
        self.messenger.abort();
        let (chain, feed) = (self.chain.take(), self.feed.take());
        let closer = self.closer;
        let ended = task::spawn_blocking(move || {
            if let Some(chain) = chain {
                chain.stop();
            }
            drop(closer);
            feed.is_none_or(|feed| feed.join().is_ok())
        });
        if !matches!(ended.await, Ok(true)) {
            tracing::warn!("a thread of the node ended badly");
        }
    }
}

/// The directory of the chain in a data directory.
pub(crate) const CHAIN: &str = "chain";

/// Where things stand in a data directory.
struct Layout {
    chain: PathBuf,
    waiting: PathBuf,
    index: PathBuf,
    content: PathBuf,
    lock: PathBuf,
}

impl Layout {
    fn of(data: &Path) -> Self {
        Self {
            chain: data.join(CHAIN),
            waiting: data.join("waiting"),
            index: data.join("index.sqlite"),
            content: data.join("content"),
            lock: data.join("lock"),
        }
    }
}

fn lock(data: &Path, layout: &Layout) -> Result<File, StartError> {
    let on_data = |source| StartError::Data { path: data.to_owned(), source };
    fs::create_dir_all(data).map_err(on_data)?;
    let file = File::create(&layout.lock).map_err(on_data)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(on_data(source)),
    }
}

/// What is read from disk before anything runs.
struct Loaded {
    lock: File,
    layout: Layout,
    genesis: Genesis,
    key: SecretKey,
    faucet_key: Option<SecretKey>,
    content: ContentStore,
}

fn load(config: &Config) -> Result<Loaded, StartError> {
    let layout = Layout::of(&config.data);
    let lock = lock(&config.data, &layout)?;
    let genesis = read_genesis(&config.genesis_path())?;
    let key = read_key(&config.validator_key_path())?;
    let faucet_key = match &config.faucet {
        Some(faucet) => Some(read_key(&faucet.issuer_key)?),
        None => None,
    };
    let content = ContentStore::open(&layout.content, &config.limits)?;
    Ok(Loaded { lock, layout, genesis, key, faucet_key, content })
}

/// Returns what the chain is to be like.
fn chain_settings(
    genesis: &Genesis,
    key: &SecretKey,
    config: &ChainConfig,
) -> Result<chain::Settings, StartError> {
    let is_validator = genesis.place_of(&key.public()).is_some();
    let others = genesis.validators.len().saturating_sub(usize::from(is_validator));
    if config.peers.is_empty() && others > 0 {
        return Err(if is_validator { StartError::NoPeers(others) } else { StartError::Stranger });
    }
    let validator = |validator: &types::Validator| chain::Validator {
        key: *validator.key.as_bytes(),
        beacon: chain::BeaconKey {
            key: *validator.beacon.as_bytes(),
            proof: *validator.proof.as_bytes(),
        },
    };
    Ok(chain::Settings {
        genesis: *genesis.hash().as_bytes(),
        genesis_time_ms: genesis.time.as_ms(),
        validators: genesis.validators.iter().map(validator).collect(),
        secret: Zeroizing::new(key.expose()),
        peers: config.peers.len(),
        body_bytes_max: BLOCK_BYTES_MAX,
        blocks_kept: config.blocks_kept.unwrap_or(u64::MAX),
        offer_every: chain::OFFER_EVERY,
        timing: chain::Timing::of(genesis.validators.len()),
        partition: "ledger".to_owned(),
    })
}

fn connections(config: &ChainConfig, directory: PathBuf) -> Result<Connections, StartError> {
    let peer = |peer: &PeerConfig| {
        let address = peer.address.as_deref().map(str::parse).transpose();
        let address = address.map_err(|error: chain::NotAnAddress| StartError::Peer(error))?;
        Ok(chain::Peer { key: *peer.key.as_bytes(), address })
    };
    let peers = config.peers.iter().map(peer).collect::<Result<_, StartError>>()?;
    Ok(Connections { listen: config.listen, peers, directory })
}

/// Launches the chain with a replica of the ledger, and returns what will be told of its blocks.
async fn launch(
    genesis: Genesis,
    key: &SecretKey,
    config: &ChainConfig,
    layout: &Layout,
    lock: &Arc<File>,
    (fault, metrics): (Fault, Arc<Metrics>),
) -> Result<(Replica, Running, broadcast::Receiver<Arc<CommittedBlock>>), StartError> {
    let settings = chain_settings(&genesis, key, config)?;
    let connections = connections(config, layout.chain.clone())?;
    let clock = Mutex::new(Clock::new());
    let read_time = move |clock_ms| {
        let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
        let time = clock.read(Time::from_ms(clock_ms)).map_err(|jumped| jumped.to_string())?;
        Ok(time.as_ms())
    };
    let place = genesis.place_of(&key.public());
    let own = ReplicaSettings { place, read_time: Box::new(read_time), rules: ledger::RULES };
    let replica = Replica::with(genesis, own, fault, metrics)?;
    let blocks = replica.subscribe();
    // Whoever writes holds the lock.
    let held = Box::new(Arc::clone(lock));
    let chain = chain::launch(settings, connections, replica.machine(), held).await?;
    replica.connect(chain.handle().clone());
    replica.complete().await;
    if let Err(error) = replica.keep(&layout.waiting) {
        tracing::warn!("what waits is not kept for a restart: {error}");
    }
    Ok((replica, chain, blocks))
}

/// Starts a node. It serves when this returns.
///
/// # Errors
/// [`StartError`] that says what to do.
pub async fn start(config: Config) -> Result<Node, StartError> {
    let (data, settings) = (config.data.clone(), config.clone());
    let on_thread = |source| StartError::Data { path: data.clone(), source };
    let loaded = task::spawn_blocking(move || load(&settings)).await;
    let loaded = loaded.map_err(|error| on_thread(io::Error::other(error)))??;
    let Loaded { lock, layout, genesis, key, faucet_key, content } = loaded;
    let address = config.listen;
    let on_listen = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(on_listen)?;
    let address = listener.local_addr().map_err(on_listen)?;

    let (fault, metrics) = (Fault::new(), Arc::new(Metrics::default()));
    let lock = Arc::new(lock);
    let common = (fault.clone(), Arc::clone(&metrics));
    let (replica, chain, blocks) =
        launch(genesis, &key, &config.chain, &layout, &lock, common).await?;
    let relay = Relay::new(replica.genesis(), &config.chain.peers, key);
    let relay = relay.map_err(StartError::PeerApi)?;
    let handle = NodeHandle::new(replica.clone(), fault.clone(), Arc::clone(&metrics));
    let faucet = faucet_key.zip(config.faucet).map(|(key, config)| {
        if may_issue(&key, &handle) {
            Ok(Faucet::new(key, config))
        } else {
            Err(StartError::Faucet)
        }
    });
    let faucet = faucet.transpose()?;
    let source = Source {
        replica: replica.clone(),
        chain: chain.handle().clone(),
        runtime: runtime::Handle::current(),
    };
    let path = layout.index.clone();
    let opened = task::spawn_blocking(move || Feed::open(&path, source)).await;
    let (feed, height) = opened.map_err(|error| on_thread(io::Error::other(error)))??;
    let index = Index::new(layout.index.clone(), height);
    let feed = start_feed(feed, blocks, &fault, lock).map_err(on_thread)?;

    let (stopping, stops) = watch::channel(false);
    let app = App::new(Parts {
        handle: handle.clone(),
        index: index.clone(),
        content,
        relay,
        faucet,
        metrics,
        limits: config.limits,
        names: config.names.into_iter().chain(machine_names()).collect(),
        stopping: stops,
    });
    let guard = fault.guard("the server");
    let server = tokio::spawn(async move {
        let _guard = guard;
        serve(listener, router(&app), app).await;
    });
    let messenger = tokio::spawn(attend(replica.clone()));
    tracing::info!(%address, height = handle.read().header.height, "the node serves");
    Ok(Node {
        handle,
        index,
        address,
        fault,
        stopping,
        server,
        messenger,
        chain: Some(chain),
        feed: Some(feed),
        closer: Closer(replica),
    })
}

fn start_feed(
    feed: Feed,
    blocks: broadcast::Receiver<Arc<CommittedBlock>>,
    fault: &Fault,
    lock: Arc<File>,
) -> io::Result<JoinHandle<()>> {
    let (guard, fault) = (fault.guard("the history"), fault.clone());
    std::thread::Builder::new().name("history".to_owned()).spawn(move || {
        let _held = (lock, guard);
        feed.run(blocks, &fault);
    })
}
