//! Starting a node and taking it down, in order.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use thiserror::Error;
use tokio::{net::TcpListener, sync::watch, task};
use types::{Genesis, SecretKey};

use crate::{
    config::{Config, ConfigError, read_genesis, read_key},
    content::{ContentError, ContentStore},
    faucet::{Faucet, may_issue},
    fault::Fault,
    handle::{Committed, NodeHandle, pair},
    index::{Feed, Index, IndexError, Source},
    metrics::Metrics,
    server::{App, Parts, machine_names, router, serve},
    solo::{Base, Paths, RecoverError, Recovered, Solo, recover},
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
    /// The state cannot be taken up.
    #[error("the ledger cannot be taken up")]
    Recover(#[from] RecoverError),
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

/// A node that runs. Dropped without [`Node::shutdown`] it ends too, once nobody holds its handle
/// any more, but without a last snapshot.
#[derive(Debug)]
pub struct Node {
    handle: NodeHandle,
    index: Index,
    address: SocketAddr,
    fault: Fault,
    stopping: watch::Sender<bool>,
    server: task::JoinHandle<()>,
    sequencer: JoinHandle<()>,
    feed: JoinHandle<()>,
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
    pub async fn shutdown(self) {
        self.stopping.send_replace(true);
        if let Err(error) = self.server.await {
            tracing::warn!("the server ended badly: {error}");
        }
        let (handle, sequencer, feed) = (self.handle, self.sequencer, self.feed);
        let ended = task::spawn_blocking(move || {
            // It may have stopped by itself already.
            let _ = handle.stop();
            // The feed ends when the sequencer is gone.
            (sequencer.join().is_ok(), feed.join().is_ok())
        });
        if !matches!(ended.await, Ok((true, true))) {
            tracing::warn!("a thread of the node ended badly");
        }
    }
}

/// The log of blocks in a data directory.
pub(crate) const BLOCKS: &str = "blocks.log";

/// Where things stand in a data directory.
struct Layout {
    paths: Paths,
    index: PathBuf,
    content: PathBuf,
    lock: PathBuf,
}

impl Layout {
    fn of(data: &Path) -> Self {
        Self {
            paths: Paths { log: data.join(BLOCKS), snapshots: data.join("snapshots") },
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
    lock: Arc<File>,
    layout: Layout,
    genesis: Genesis,
    key: SecretKey,
    faucet_key: Option<SecretKey>,
    recovered: Recovered,
    content: ContentStore,
}

fn load(config: &Config) -> Result<Loaded, StartError> {
    let layout = Layout::of(&config.data);
    let lock = Arc::new(lock(&config.data, &layout)?);
    let genesis = read_genesis(&config.genesis_path())?;
    let key = read_key(&config.validator_key_path())?;
    let faucet_key = match &config.faucet {
        Some(faucet) => Some(read_key(&faucet.issuer_key)?),
        None => None,
    };
    let recovered = recover(&genesis, &key, &layout.paths)?;
    let content = ContentStore::open(&layout.content, &config.limits)?;
    Ok(Loaded { lock, layout, genesis, key, faucet_key, recovered, content })
}

/// Returns where the history comes from.
fn source(genesis: &Genesis, layout: &Layout, recovered: &Recovered) -> Source {
    let now = Base {
        ledger: recovered.ledger.clone(),
        header: recovered.header,
        offset: recovered.span.end,
    };
    let bases = [Some(now), recovered.snapshot.clone()].into_iter().flatten().collect();
    Source {
        genesis: genesis.clone(),
        log: layout.paths.log.clone(),
        beginning: recovered.beginning.clone(),
        bases,
    }
}

/// Starts a node. It serves when this returns.
///
/// # Errors
/// [`StartError`] that says what to do.
pub async fn start(config: Config) -> Result<Node, StartError> {
    let settings = config.clone();
    let loaded = task::spawn_blocking(move || load(&settings)).await;
    let loaded = loaded.map_err(|error| StartError::Data {
        path: config.data.clone(),
        source: io::Error::other(error),
    })??;
    let Loaded { lock, layout, genesis, key, faucet_key, recovered, content } = loaded;
    let address = config.listen;
    let on_listen = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(on_listen)?;
    let address = listener.local_addr().map_err(on_listen)?;

    let (fault, metrics) = (Fault::new(), Arc::new(Metrics::default()));
    let state = Committed { ledger: recovered.ledger.clone(), header: recovered.header };
    let source = source(&genesis, &layout, &recovered);
    let (handle, backend) = pair(genesis, Arc::new(state), fault.clone(), Arc::clone(&metrics));
    let faucet = faucet_key.zip(config.faucet).map(|(key, config)| {
        if may_issue(&key, &handle) {
            Ok(Faucet::new(key, config))
        } else {
            Err(StartError::Faucet)
        }
    });
    let faucet = faucet.transpose()?;
    let (feed, height) = Feed::open(&layout.index, source)?;
    let index = Index::new(layout.index.clone(), height);
    let (blocks, committed) = (backend.blocks.subscribe(), backend.committed.subscribe());
    let solo =
        Solo::new(recovered, key, backend, fault.clone(), Arc::clone(&metrics), &layout.paths);
    let on_thread = |source| StartError::Data { path: config.data.clone(), source };
    // Whoever writes holds the lock.
    let (lock, feed_lock) = (Arc::clone(&lock), lock);
    let guard = fault.guard("the sequencer");
    let sequencer = thread("sequencer", move || {
        let _held = (lock, guard);
        solo.run();
    });
    let sequencer = sequencer.map_err(on_thread)?;
    let (guard, feed_fault) = (fault.guard("the history"), fault.clone());
    let feed = thread("history", move || {
        let _held = (feed_lock, guard);
        feed.run(blocks, committed, &feed_fault);
    });
    let feed = feed.map_err(on_thread)?;

    let (stopping, stops) = watch::channel(false);
    let app = App::new(Parts {
        handle: handle.clone(),
        index: index.clone(),
        content,
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
    tracing::info!(%address, height = handle.read().header.header.height, "the node serves");
    Ok(Node { handle, index, address, fault, stopping, server, sequencer, feed })
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Builds the history of a node that does not run anew from its blocks, and returns its height.
///
/// # Errors
/// [`StartError`].
pub fn rebuild(config: &Config) -> Result<u64, StartError> {
    let Loaded { lock: _lock, layout, genesis, recovered, .. } = load(config)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = layout.index.clone().into_os_string();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StartError::Data { path: name.into(), source: error });
            }
            _ => {}
        }
    }
    let height = recovered.header.header.height;
    let (mut feed, _) = Feed::open(&layout.index, source(&genesis, &layout, &recovered))?;
    feed.catch_up(height)?;
    Ok(height)
}
