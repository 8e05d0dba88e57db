//! Chains on simulated machines: clock, disks and network are made from a seed.
//!
//! [`simulate`] runs a script against a [`World`] of validators and followers. The script starts
//! nodes, crashes them, wipes their disks, cuts and mends links; time passes only where it waits.
//! The same seed gives the same run, whatever the machine that it runs on.
//!
//! Each node has a disk of its own, which can be sick, and whatever ends a node, a panic too, ends
//! only that node. Validators can be dishonest: of a key in [`Options::twins`] there are two nodes,
//! honest each by itself, which talk with different others, and so propose two blocks and vote for
//! both.
#![forbid(unsafe_code)]

mod disk;
mod host;
mod record;
mod wires;

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chain::{BeaconKey, CHANNELS, Handle, Machine, Settings, Timing, Validator};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    Manager as _, Receiver as _, TrackedPeers,
    simulated::{Config, Link, Network, Oracle},
};
use commonware_runtime::{
    Clock as _, Handle as Task, Runner as _, Spawner as _, Supervisor as _,
    deterministic::{self, Context, FaultConfig, PartialWriteMode, Runner, WriteConfig},
};
use commonware_utils::{Probability, ordered::Set};
use zeroize::Zeroizing;

use crate::{
    disk::Disk,
    host::Host,
    wires::{Inbox, Mouth, Post, Raw},
};
pub use crate::{
    disk::{DISK_FAILS, Sickness},
    record::Record,
    wires::Disorder,
};

/// Makes the machine of the node at a place, each time it starts.
pub type Machines = Arc<dyn Fn(usize) -> Arc<dyn Machine>>;

/// What a world is made of.
#[derive(Clone)]
pub struct Options {
    /// Nodes that vote; they have the first places.
    pub validators: usize,
    /// Nodes that only follow.
    pub followers: usize,
    /// Places of validators of which a second node runs with the same key. Those have the last
    /// places, in this order.
    pub twins: Vec<usize>,
    /// What tells the network from others.
    pub genesis: [u8; 32],
    /// What they replicate.
    pub machines: Machines,
    /// Most bytes of a block's body.
    pub body_bytes_max: usize,
    /// Blocks that nodes keep.
    pub blocks_kept: u64,
    /// At multiples of this height nodes offer their state.
    pub offer_every: u64,
    /// How links are while nothing is said of them.
    pub link: Line,
}

impl Options {
    fn nodes(&self) -> usize {
        self.validators + self.followers + self.twins.len()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// How messages fare between two nodes, in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// How long a message takes, on average.
    pub latency: Duration,
    /// The deviation from it.
    pub jitter: Duration,
    /// How many of a hundred messages arrive.
    pub arrive_percent: u8,
}

impl Line {
    /// A network within a building.
    pub const GOOD: Self = Self {
        latency: Duration::from_millis(5),
        jitter: Duration::from_millis(1),
        arrive_percent: 100,
    };

    fn link(self) -> Link {
        Link {
            latency: self.latency,
            jitter: self.jitter,
            success_rate: probability(self.arrive_percent),
        }
    }
}

/// A node's place in the world.
struct Node {
    secret: Zeroizing<[u8; 32]>,
    key: PublicKey,
    /// Counts disks: a wiped node gets a new one.
    disks: u32,
    disk: Arc<Disk>,
    inbox: Arc<Inbox>,
    /// What it sends goes here, by channels; how much it may have to receive.
    raw: Vec<(Raw, NonZeroUsize)>,
    starts: u32,
    running: Option<Task<()>>,
    handle: Arc<Mutex<Option<Handle>>>,
    /// Why it ended by itself.
    ended: Arc<Mutex<Option<String>>>,
}

/// Nodes and what lies between them.
pub struct World {
    context: Context,
    options: Options,
    validators: Vec<Validator>,
    oracle: Oracle<PublicKey, Context>,
    nodes: Vec<Node>,
    disorder: Arc<Mutex<Disorder>>,
    record: Arc<Record>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// The beginning of a world, in milliseconds since 1970.
pub const BEGINNING_MS: u64 = 1_800_000_000_000;
/// The longest that a world may last, in its own time.
const DURATION_MAX: Duration = Duration::from_secs(3_600);

/// Returns the validators of worlds with so many, in the order of their places.
#[must_use]
pub fn validators(count: usize) -> Vec<(Zeroizing<[u8; 32]>, Validator)> {
    let mut members: Vec<_> = (0..count).map(member).collect();
    members.sort_by_key(|(_, validator)| validator.key);
    members
}

fn member(index: usize) -> (Zeroizing<[u8; 32]>, Validator) {
    let byte = u8::try_from(index + 1).expect("worlds have few nodes");
    let secret = Zeroizing::new([byte; 32]);
    let key = key_of(&secret);
    let bytes: &[u8] = key.as_ref();
    let validator = Validator {
        key: bytes.try_into().expect("an ed25519 key has 32 bytes"),
        beacon: BeaconKey::derive(&secret),
    };
    (secret, validator)
}

fn key_of(secret: &[u8; 32]) -> PublicKey {
    chain::public_key(secret)
}

/// Runs a script in a world made from a seed, and returns what it returns.
///
/// # Panics
/// When the script does, or lasts longer than an hour of its own time.
pub fn simulate<T, F, Fut>(seed: u64, options: Options, script: F) -> T
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = T>,
{
    let (disks, record) = (vec![0; options.nodes()], Arc::default());
    Runner::new(config(seed)).start(|context| async move {
        script(World::new(context, options, disks, record).await).await
    })
}

/// Runs a script, which gives the world back, takes the power from all machines at once, and runs
/// another with what is on their disks: of writes that were not synced, some parts are there and
/// others not.
///
/// # Panics
/// When a script does, or both together last longer than an hour of their own time.
pub fn simulate_power_loss<S, T>(
    seed: u64,
    options: Options,
    before: impl AsyncFnOnce(World) -> (World, S),
    after: impl AsyncFnOnce(World, S) -> T,
) -> T {
    let torn = WriteConfig {
        failure_rate: probability(0),
        retention_rate: probability(50),
        mode: PartialWriteMode::Prefix,
    };
    let config = config(seed).with_storage_fault_config(FaultConfig::default().write(torn));
    let (disks, record) = (vec![0; options.nodes()], Arc::<Record>::default());
    let (first, heard) = (options.clone(), Arc::clone(&record));
    let ((kept, disks), checkpoint) = Runner::new(config).start_and_recover(|context| async move {
        let (world, kept) = before(World::new(context, first, disks, heard).await).await;
        (kept, world.nodes.iter().map(|node| node.disks).collect())
    });
    Runner::from(checkpoint).start(|context| async move {
        after(World::new(context, options, disks, record).await, kept).await
    })
}

fn config(seed: u64) -> deterministic::Config {
    deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(UNIX_EPOCH + Duration::from_millis(BEGINNING_MS))
        .with_timeout(Some(DURATION_MAX))
}

fn probability(percent: u8) -> Probability {
    Probability::try_from(f64::from(percent) / 100.0).expect("at most a hundred of a hundred")
}

impl World {
    /// Makes the world in which each node has this disk.
    async fn new(context: Context, options: Options, disks: Vec<u32>, record: Arc<Record>) -> Self {
        let mut members = validators(options.validators);
        let validators: Vec<Validator> = members.iter().map(|(_, validator)| *validator).collect();
        let followers = options.validators..options.validators + options.followers;
        members.extend(followers.map(member));
        members
            .extend(options.twins.iter().map(|place| members[*place].clone()).collect::<Vec<_>>());
        let nodes = members.iter().zip(disks).map(|((secret, _), disks)| Node {
            secret: secret.clone(),
            key: key_of(secret),
            disks,
            disk: Arc::new(Disk::new(context.child("disk"))),
            inbox: Arc::default(),
            raw: Vec::new(),
            starts: 0,
            running: None,
            handle: Arc::default(),
            ended: Arc::default(),
        });
        let nodes: Vec<Node> = nodes.collect();
        let settings = settings(&options, &validators, Zeroizing::new([1; 32]), String::new());
        let (network, oracle) = Network::new(
            context.child("network"),
            Config {
                max_size: settings.message_bytes_max(),
                max_peers_per_set: nodes.len().try_into().expect("a world has nodes"),
                disconnect_on_block: true,
                tracked_peer_sets: 1.try_into().expect("one is not zero"),
            },
        );
        network.start();
        let (voting, others) = nodes.split_at(options.validators);
        let following = &others[..options.followers];
        let keys = |nodes: &[Node]| Set::from_iter_dedup(nodes.iter().map(|node| node.key.clone()));
        oracle.manager().track(0, TrackedPeers::new(keys(voting), keys(following)));
        let disorder = Arc::default();
        let mut world = Self { context, options, validators, oracle, nodes, disorder, record };
        world.connect().await;
        let all: Vec<usize> = (0..world.nodes.len()).collect();
        world.join(&all, &all, world.options.link).await;
        world
    }

    /// Connects each key with the network once; nodes come and go behind it.
    async fn connect(&mut self) {
        for place in 0..self.options.validators + self.options.followers {
            let key = self.nodes[place].key.clone();
            let same: Vec<usize> =
                (0..self.len()).filter(|other| self.nodes[*other].key == key).collect();
            let control = self.oracle.control(key);
            for (channel, (number, quota)) in CHANNELS.into_iter().enumerate() {
                let registered = control.register(number, quota).await;
                let (raw, receiver) = registered.expect("the network runs");
                for place in &same {
                    self.nodes[*place].raw.push((raw.clone(), receiver.capacity()));
                }
                let inboxes = same.iter().map(|place| Arc::clone(&self.nodes[*place].inbox));
                let post = Post {
                    context: self.context.child("post"),
                    channel,
                    inboxes: inboxes.collect(),
                    disorder: Arc::clone(&self.disorder),
                    record: Arc::clone(&self.record),
                };
                self.context.child("post").spawn(move |_| post.run(receiver));
            }
        }
    }

    /// Returns how many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether there are none, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the world's time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.context.current()
    }

    /// Lets time pass.
    pub async fn sleep(&self, duration: Duration) {
        self.context.sleep(duration).await;
    }

    /// Lets all links from one of `from` to one of `to` be so.
    pub async fn join(&self, from: &[usize], to: &[usize], line: Line) {
        self.each(from, to, async |sender, receiver| {
            // There may be none.
            let _ = self.oracle.remove_link(sender.clone(), receiver.clone()).await;
            let added = self.oracle.add_link(sender, receiver, line.link()).await;
            added.expect("links between nodes of the world can be made");
        })
        .await;
    }

    /// Cuts all links from one of `from` to one of `to`.
    pub async fn cut(&self, from: &[usize], to: &[usize]) {
        self.each(from, to, async |sender, receiver| {
            // There may be none.
            let _ = self.oracle.remove_link(sender, receiver).await;
        })
        .await;
    }

    async fn each(&self, from: &[usize], to: &[usize], act: impl AsyncFn(PublicKey, PublicKey)) {
        for (sender, receiver) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
            let [sender, receiver] = [sender, receiver].map(|place| self.nodes[*place].key.clone());
            if sender != receiver {
                act(sender, receiver).await;
            }
        }
    }

    /// Starts the node at a place, from what is on its disk.
    pub async fn start(&mut self, place: usize) {
        self.crash(place).await;
        self.forgive(place).await;
        let node = &mut self.nodes[place];
        let context = self.context.child("node").with_attribute("place", place);
        let context = context.with_attribute("start", node.starts);
        node.starts += 1;
        let partition = format!("node-{place}-{}", node.disks);
        let settings = settings(&self.options, &self.validators, node.secret.clone(), partition);
        let capacities: Vec<_> = node.raw.iter().map(|(_, capacity)| *capacity).collect();
        let lines = node.inbox.open(&capacities);
        let mouths = node
            .raw
            .iter()
            .map(|(raw, _)| Mouth { raw: raw.clone(), inbox: Arc::clone(&node.inbox) });
        let channels: Vec<_> = mouths.zip(lines).collect();
        let Ok(channels) = channels.try_into() else { unreachable!("one for each number") };
        let machine = (self.options.machines)(place);
        let (manager, control) = (self.oracle.manager(), self.oracle.control(node.key.clone()));
        let (handle, ended) = (Arc::clone(&node.handle), Arc::clone(&node.ended));
        let disk = Arc::clone(&node.disk);
        node.running = Some(context.spawn(move |context| async move {
            let told = Arc::clone(&machine);
            let run = Host::run(context, disk, move |host| async move {
                let chain = chain::start(host, settings, machine, manager, control, channels);
                match Box::pin(chain).await {
                    Ok((started, task)) => {
                        *lock(&handle) = Some(started);
                        let _ = task.await;
                        "the chain's engine ended".to_owned()
                    }
                    Err(error) => error.to_string(),
                }
            });
            let why = run.await;
            told.failed(why.clone());
            *lock(&ended) = Some(why);
        }));
    }

    /// Forgets whom a node refused to talk with, as it does itself when it starts.
    async fn forgive(&self, place: usize) {
        let key = &self.nodes[place].key;
        let blocked = self.oracle.blocked().await.expect("the network runs");
        for (from, to) in blocked.into_iter().filter(|(from, _)| from == key) {
            self.oracle.unblock(from, to).await.expect("the network runs");
        }
    }

    /// Stops a node in the midst of whatever it does.
    pub async fn crash(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        if let Some(running) = node.running.take() {
            running.abort();
            let _ = running.await;
        }
        *lock(&node.handle) = None;
        *lock(&node.ended) = None;
        node.inbox.close();
    }

    /// Returns why a node ended by itself, if it did.
    #[must_use]
    pub fn ended(&self, place: usize) -> Option<String> {
        lock(&self.nodes[place].ended).clone()
    }

    /// Takes a node's disk away. It must not be running.
    pub fn wipe(&mut self, place: usize) {
        assert!(self.nodes[place].running.is_none(), "a running node keeps its disk");
        self.nodes[place].disks += 1;
    }

    /// Returns the chain of a node that has started.
    #[must_use]
    pub fn handle(&self, place: usize) -> Option<Handle> {
        lock(&self.nodes[place].handle).clone()
    }

    /// Sets how a node's disk fails from now on; not at all, if nothing is said.
    pub fn sicken(&self, place: usize, sickness: Option<Sickness>) {
        self.nodes[place].disk.set_sickness(sickness);
    }

    /// Returns how often a node's disk failed.
    #[must_use]
    pub fn disk_failures(&self, place: usize) -> u64 {
        self.nodes[place].disk.failures()
    }

    /// Sets how messages get out of order from now on.
    pub fn set_disorder(&self, disorder: Disorder) {
        *lock(&self.disorder) = disorder;
    }

    /// Lets a node talk only with those at these places from now on.
    pub fn limit_talk(&self, place: usize, with: &[usize]) {
        let circle = with.iter().map(|place| self.nodes[*place].key.clone());
        self.nodes[place].inbox.set_circle(Some(circle.collect::<BTreeSet<_>>()));
    }

    /// Lets all talk again with a node that they refused to talk with, as they do after hours.
    pub async fn pardon(&self, place: usize) {
        let key = &self.nodes[place].key;
        let blocked = self.oracle.blocked().await.expect("the network runs");
        for (from, to) in blocked.into_iter().filter(|(_, to)| to == key) {
            self.oracle.unblock(from, to).await.expect("the network runs");
        }
    }

    /// Returns whom which node refuses to talk with, by the places of their keys.
    pub async fn blocked(&self) -> Vec<(usize, usize)> {
        let place = |key: PublicKey| {
            let found = self.nodes.iter().position(|node| node.key == key);
            found.expect("all keys are of nodes")
        };
        let blocked = self.oracle.blocked().await.expect("the network runs");
        blocked.into_iter().map(|(from, to)| (place(from), place(to))).collect()
    }

    /// Returns what happened, before any power loss too.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn settings(
    options: &Options,
    validators: &[Validator],
    secret: Zeroizing<[u8; 32]>,
    partition: String,
) -> Settings {
    Settings {
        genesis: options.genesis,
        genesis_time_ms: BEGINNING_MS,
        validators: validators.to_vec(),
        secret,
        peers: options.validators + options.followers - 1,
        body_bytes_max: options.body_bytes_max,
        blocks_kept: options.blocks_kept,
        offer_every: options.offer_every,
        timing: Timing::of(options.validators),
        partition,
    }
}
