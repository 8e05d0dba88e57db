//! Nodes with the real ledger, and what each was told.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU16, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chain::{Finalized, Header, Machine, Restore, State};
use faults::{BEGINNING_MS, Line, Options, World, validators};
use node::replica::{Replica, ReplicaSettings};
use types::{
    Amount, BeaconKey, BeaconShare, Genesis, GenesisWallet, Hash, List, Parameters, PublicKey,
    SecretKey, Text, Time, TransactionId, Validator,
};

/// How often nodes do what the chain leaves to them.
const TICK: Duration = Duration::from_millis(10);
/// Ticks between looks at what waits for long.
const REVIEW_TICKS: u64 = 50;

/// What a node was told of a final block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) digest: [u8; 32],
    pub(crate) ids: Vec<TransactionId>,
}

/// What outlives a node's crashes: what it was told, and how far its clock is off.
pub(crate) struct Memory {
    told: Mutex<BTreeMap<u64, Told>>,
    skew_ms: AtomicI64,
    /// The rules that its program knows.
    rules: AtomicU16,
    failed: Mutex<Option<String>>,
    /// What it was told though it had been told otherwise.
    wrong: Mutex<Option<String>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            told: Mutex::default(),
            skew_ms: AtomicI64::new(0),
            rules: AtomicU16::new(ledger::RULES),
            failed: Mutex::new(None),
            wrong: Mutex::new(None),
        }
    }
}

/// The replicas that run, by the places of their nodes.
pub(crate) type Replicas = Arc<Mutex<Vec<Option<Replica>>>>;

/// A replica that writes down what it is told.
struct Recorded {
    replica: Replica,
    machine: Arc<dyn Machine>,
    memory: Arc<Memory>,
}

impl Machine for Recorded {
    fn genesis(&self) -> Arc<dyn State> {
        self.machine.genesis()
    }

    fn restore(&self, root: chain::Hash) -> Box<dyn Restore> {
        self.machine.restore(root)
    }

    fn resumed(&self, header: &Header, state: &Arc<dyn State>) {
        self.machine.resumed(header, state);
    }

    fn finalized(&self, block: &Finalized) {
        let mut blocks = self.replica.subscribe();
        self.machine.finalized(block);
        let ids = blocks.try_recv().unwrap().executed.ids.clone();
        let told = Told { digest: block.header.digest(), ids };
        let height = block.header.height;
        let before = self.memory.told.lock().unwrap().insert(height, told.clone());
        if before.is_some_and(|before| before != told) {
            // A panic would end the node, which may be expected to end.
            *self.memory.wrong.lock().unwrap() = Some(format!("block {height} was told otherwise"));
        }
    }

    fn heard(&self, message: Bytes) {
        self.machine.heard(message);
    }

    fn failed(&self, why: String) {
        *self.memory.failed.lock().unwrap() = Some(why.clone());
        self.machine.failed(why);
    }

    fn time(&self, clock_ms: u64) -> Result<u64, String> {
        self.machine.time(clock_ms)
    }
}

/// A network of nodes with the real ledger.
pub(crate) struct Network {
    pub(crate) world: World,
    pub(crate) genesis: Hash,
    memories: Vec<Arc<Memory>>,
    replicas: Replicas,
    connected: Vec<bool>,
    /// Nodes before the second ones of dishonest validators.
    keyed: usize,
    ticks: u64,
}

/// Returns the genesis of a network with so many validators, in which these people have funds.
pub(crate) fn genesis(count: usize, people: &[SecretKey]) -> Genesis {
    let validator = |member: &chain::Validator| Validator {
        key: PublicKey::from_bytes(member.key),
        beacon: BeaconKey::from_bytes(member.beacon.key),
        proof: BeaconShare::from_bytes(member.beacon.proof),
    };
    let members = validators(count).iter().map(|(_, member)| validator(member)).collect();
    let amount = Amount::new(1_000_000_000).unwrap();
    let wallet = |key: &SecretKey| GenesisWallet { address: key.address(), amount };
    Genesis {
        network: Text::new("faults").unwrap(),
        time: Time::from_ms(BEGINNING_MS),
        rules: ledger::RULES,
        token: true,
        validators: Validator::in_order(members).unwrap(),
        issuers: List::default(),
        wallets: List::new(people.iter().map(wallet).collect()).unwrap(),
        parameters: Parameters::local(),
    }
}

/// Returns what a world of such nodes is made of, and where they will be. Validators at `twins`
/// are two nodes.
pub(crate) fn options(
    genesis: &Genesis,
    followers: usize,
    twins: &[usize],
) -> (Options, Vec<Arc<Memory>>, Replicas) {
    let count = genesis.validators.len();
    let keys: Vec<usize> = (0..count + followers).chain(twins.iter().copied()).collect();
    let memories: Vec<Arc<Memory>> = keys.iter().map(|_| Arc::default()).collect();
    let replicas = Arc::new(Mutex::new(vec![None; keys.len()]));
    let (of_machines, into) = (memories.clone(), Arc::clone(&replicas));
    let network = genesis.clone();
    let machine = move |place: usize| -> Arc<dyn Machine> {
        let memory = Arc::clone(&of_machines[place]);
        let clock = Arc::clone(&memory);
        let read_time = move |clock_ms: u64| {
            Ok(clock_ms.saturating_add_signed(clock.skew_ms.load(Ordering::Relaxed)))
        };
        let settings = ReplicaSettings {
            place: (keys[place] < count).then_some(keys[place]),
            read_time: Box::new(read_time),
            rules: memory.rules.load(Ordering::Relaxed),
        };
        let replica = Replica::new(network.clone(), settings).unwrap();
        into.lock().unwrap()[place] = Some(replica.clone());
        Arc::new(Recorded { machine: replica.machine(), replica, memory })
    };
    let options = Options {
        validators: count,
        followers,
        twins: twins.to_vec(),
        genesis: *genesis.hash().as_bytes(),
        machines: Arc::new(machine),
        body_bytes_max: 64 * 1024,
        blocks_kept: 64,
        offer_every: 32,
        link: Line::GOOD,
    };
    (options, memories, replicas)
}

/// Nodes without power.
pub(crate) struct Nodes {
    genesis: Hash,
    memories: Vec<Arc<Memory>>,
    replicas: Replicas,
    keyed: usize,
}

impl Nodes {
    /// Gives them a world again.
    pub(crate) fn restart(self, world: World) -> Network {
        let Self { genesis, memories, replicas, keyed } = self;
        replicas.lock().unwrap().fill(None);
        let connected = vec![false; memories.len()];
        Network { world, genesis, memories, replicas, connected, keyed, ticks: 0 }
    }
}

impl Network {
    pub(crate) fn new(
        world: World,
        genesis: &Genesis,
        memories: Vec<Arc<Memory>>,
        replicas: Replicas,
        twins: &[usize],
    ) -> Self {
        let (connected, keyed) = (vec![false; memories.len()], memories.len() - twins.len());
        Self { world, genesis: genesis.hash(), memories, replicas, connected, keyed, ticks: 0 }
    }

    /// Returns how many nodes there are, of which dishonest validators have two.
    pub(crate) fn len(&self) -> usize {
        self.memories.len()
    }

    /// Returns the places of all nodes but the second ones of dishonest validators.
    pub(crate) fn keyed(&self) -> Vec<usize> {
        (0..self.keyed).collect()
    }

    /// Returns the node at a place, if it runs and takes part.
    pub(crate) fn replica(&self, place: usize) -> Option<Replica> {
        self.connected[place].then(|| self.replicas.lock().unwrap()[place].clone()).flatten()
    }

    pub(crate) async fn start(&mut self, place: usize) {
        self.crash(place).await;
        self.world.start(place).await;
    }

    pub(crate) async fn crash(&mut self, place: usize) {
        self.connected[place] = false;
        self.world.crash(place).await;
        self.replicas.lock().unwrap()[place] = None;
    }

    /// Takes the nodes' machines away; what they were told is remembered.
    pub(crate) fn lose_power(self) -> (World, Nodes) {
        let Self { world, genesis, memories, replicas, keyed, .. } = self;
        (world, Nodes { genesis, memories, replicas, keyed })
    }

    /// Gives a node a program that knows these rules, from its next start on.
    pub(crate) fn update(&self, place: usize, rules: u16) {
        self.memories[place].rules.store(rules, Ordering::Relaxed);
    }

    /// Returns why a node stopped itself, if it did, and forgets it.
    pub(crate) fn take_failure(&self, place: usize) -> Option<String> {
        self.memories[place].failed.lock().unwrap().take()
    }

    /// Returns which nodes ended by themselves, and why.
    pub(crate) fn ended(&self) -> Vec<(usize, String)> {
        let ended = |place| Some((place, self.world.ended(place)?));
        (0..self.len()).filter_map(ended).collect()
    }

    /// Lets a node's clock be off.
    pub(crate) fn skew(&self, place: usize, ms: i64) {
        self.memories[place].skew_ms.store(ms, Ordering::Relaxed);
    }

    /// Forgets what a node was told, as its disk does.
    pub(crate) fn wipe(&mut self, place: usize) {
        self.world.wipe(place);
        self.memories[place].told.lock().unwrap().clear();
    }

    /// Lets a little time pass, and nodes do what the chain leaves to them.
    pub(crate) async fn tick(&mut self) {
        self.world.sleep(TICK).await;
        self.ticks += 1;
        for place in 0..self.len() {
            let Some(handle) = self.world.handle(place) else { continue };
            let Some(replica) = self.replicas.lock().unwrap()[place].clone() else { continue };
            if !self.connected[place] {
                replica.connect(handle);
                self.connected[place] = true;
            }
            replica.spread();
            replica.take_in();
            if self.ticks.is_multiple_of(REVIEW_TICKS) {
                replica.review();
            }
        }
    }

    /// All nodes tell the same of each block that they tell of; returns what they tell.
    pub(crate) fn agreed(&self) -> BTreeMap<u64, Told> {
        let mut all: BTreeMap<u64, Told> = BTreeMap::new();
        for (place, memory) in self.memories.iter().enumerate() {
            assert_eq!(*memory.wrong.lock().unwrap(), None, "at node {place}");
            let failed = memory.failed.lock().unwrap().clone();
            assert_eq!(failed, None, "node {place} stopped itself");
            for (height, told) in memory.told.lock().unwrap().iter() {
                let first = all.entry(*height).or_insert_with(|| told.clone());
                assert_eq!(first, told, "block {height} at node {place}");
            }
        }
        all
    }
}
