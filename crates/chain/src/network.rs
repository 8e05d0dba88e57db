//! A chain on a real machine: a thread with the engine's runtime, and encrypted connections.

use std::{
    any::Any,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use ::tokio::sync::oneshot;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{
    ChaCha20Poly1305,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_p2p::{
    Address, AddressableManager as _, AddressableTrackedPeers, Ingress,
    authenticated::lookup::{self, Network},
};
use commonware_runtime::{Quota, Runner as _, Spawner as _, Supervisor as _, tokio};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{Hostname, NZUsize, ordered::Map};

use crate::{
    engine::{self, CHANNELS, Settings, StartError, private_key},
    handle::Handle,
    machine::Machine,
};

/// Threads of the engine's runtime.
const THREADS: usize = 2;
/// Threads for what takes long: files, and the machine's work.
const BLOCKING_THREADS: usize = 16;
const MAILBOX: usize = 1_024;
/// Handshakes under way at a time.
const HANDSHAKES_MAX: NonZeroU32 = NonZeroU32::new(64).expect("not zero");
/// Handshakes that one address may begin in a second. They take at most five, so that one address
/// leaves room for others.
const HANDSHAKES_PER_SECOND: NonZeroU32 = NonZeroU32::new(8).expect("not zero");
/// How long a peer may say nothing, and a message take, before it is called anew. Peers say
/// something every 5 s, and a connection that was cut off for a while may take as long again until
/// the system sends what was lost.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How long parts may take to stop.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// Where a peer listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress(Ingress);

/// Text is no address of a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address; write HOST:PORT")]
pub struct NotAnAddress(String);

impl FromStr for PeerAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self(Ingress::Socket(address)));
        }
        let wrong = || NotAnAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = Hostname::new(host).map_err(|_| wrong())?;
        Ok(Self(Ingress::Dns { host, port }))
    }
}

/// Another node of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its ed25519 key.
    pub key: [u8; 32],
    /// Where it listens. Followers are not called: they call.
    pub address: Option<PeerAddress>,
}

/// How a node is connected to others.
#[derive(Debug, Clone)]
pub struct Connections {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The other nodes.
    pub peers: Vec<Peer>,
    /// The directory of the chain's files.
    pub directory: PathBuf,
}

/// A chain that runs in a thread of its own.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Returns the chain.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Stops the chain and waits until everything is on disk.
    pub fn stop(self) {
        // It may have stopped by itself.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// Starts a chain, and returns when it is up to where it was. `held`, such as a lock on its
/// directory, is dropped when it has ended.
///
/// # Errors
/// [`StartError`].
pub async fn launch(
    settings: Settings,
    connections: Connections,
    machine: Arc<dyn Machine>,
    held: Box<dyn Any + Send>,
) -> Result<Running, StartError> {
    let address = connections.listen;
    // The engine would end in a panic.
    drop(TcpListener::bind(address).map_err(|error| {
        StartError::Network(format!("{address} cannot be listened on: {error}"))
    })?);
    let (started, starts) = oneshot::channel();
    let (stop, stops) = oneshot::channel();
    let thread = std::thread::Builder::new().name("chain".to_owned()).spawn(move || {
        let _held = held;
        let told = Arc::clone(&machine);
        let run = AssertUnwindSafe(|| run(settings, connections, machine, started, stops));
        if let Err(panic) = catch_unwind(run) {
            told.failed(format!("the chain ended in a panic: {}", text_of(&*panic)));
        }
    });
    let thread =
        thread.map_err(|error| StartError::Network(format!("no thread for the chain: {error}")))?;
    match starts.await {
        Ok(Ok(handle)) => Ok(Running { handle, stop, thread }),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            Err(StartError::Stored("the engine ended in a panic; the log says where".to_owned()))
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

fn run(
    settings: Settings,
    connections: Connections,
    machine: Arc<dyn Machine>,
    started: oneshot::Sender<Result<Handle, StartError>>,
    stops: oneshot::Receiver<()>,
) {
    let config = tokio::Config::new()
        .with_worker_threads(THREADS)
        .with_max_blocking_threads(BLOCKING_THREADS)
        .with_tcp_nodelay(Some(true))
        .with_read_write_timeout(SILENCE_MAX)
        .with_storage_directory(&connections.directory);
    tokio::Runner::new(config).start(|context| async move {
        let (mut network, mut oracle) =
            Network::new(context.child("network"), network_config(&settings, connections.listen));
        let channels = CHANNELS.map(|(number, quota)| network.register(number, quota));
        match peers(&settings, &connections) {
            Ok(peers) => oracle.track(0, peers),
            Err(error) => {
                // Whoever started it may be gone.
                let _ = started.send(Err(error));
                return;
            }
        };
        network.start();
        let (manager, blocker) = (oracle.clone(), oracle);
        let chain = engine::start(
            context.child("chain"),
            settings,
            Arc::clone(&machine),
            manager,
            blocker,
            channels,
        );
        let task = match Box::pin(chain).await {
            Ok((handle, task)) => {
                let _ = started.send(Ok(handle));
                task
            }
            Err(error) => {
                let _ = started.send(Err(error));
                return;
            }
        };
        ::tokio::select! {
            _ = stops => {}
            _ = task => machine.failed("the chain's engine ended; the log says why".to_owned()),
        }
        if context.stop(0, Some(STOP_WAIT)).await.is_err() {
            tracing::warn!("a part of the chain did not stop in time");
        }
    });
}

fn network_config(
    settings: &Settings,
    listen: SocketAddr,
) -> lookup::Config<Cups<Sake<PrivateKey>, ChaCha20Poly1305>> {
    let sake = Sake {
        signer: private_key(&settings.secret),
        synchrony_bound: Duration::from_secs(5),
        max_handshake_age: Duration::from_secs(10),
        version: sake::Version::V1,
    };
    let namespace = [b"idlewild network ", &settings.genesis[..]].concat();
    let mut config = lookup::Config::local(
        Cups::new(sake, cups::Version::V1),
        &namespace,
        listen,
        NZUsize!(settings.peers + 1),
        settings.message_bytes_max(),
        NZUsize!(MAILBOX),
    );
    // Keys tell who a peer is; where it comes from may change.
    config.bypass_ip_check = true;
    config.max_concurrent_handshakes = HANDSHAKES_MAX;
    config.allowed_handshake_rate_per_ip = Quota::per_second(HANDSHAKES_PER_SECOND);
    config.tracked_peer_sets = NZUsize!(1);
    config
}

/// Returns who may connect: validators, which are called, and followers, which call.
fn peers(
    settings: &Settings,
    connections: &Connections,
) -> Result<AddressableTrackedPeers<PublicKey>, StartError> {
    let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    let (mut voting, mut following) = (Vec::new(), Vec::new());
    let own = (engine::public_key(&settings.secret), Address::Symmetric(connections.listen));
    let votes = |key: &[u8]| settings.validators.iter().any(|validator| validator.key == key);
    if votes(own.0.as_ref()) {
        voting.push(own)
    } else {
        following.push(own)
    }
    for (place, peer) in connections.peers.iter().enumerate() {
        let key = PublicKey::decode(Copying(&peer.key[..]));
        let key = key.map_err(|_| StartError::Network(format!("peer {place} has no good key")))?;
        let ingress = peer.address.clone().map_or(Ingress::Socket(nowhere), |address| address.0);
        let address = Address::Asymmetric { ingress, egress: nowhere };
        if votes(&peer.key) { voting.push((key, address)) } else { following.push((key, address)) }
    }
    Ok(AddressableTrackedPeers::new(Map::from_iter_dedup(voting), Map::from_iter_dedup(following)))
}
