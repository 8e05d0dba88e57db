//! The engine, put together: consensus, block dissemination, archives, and our parts around them.
//!
//! Everything here is generic over the runtime and the network, so that the same code runs on real
//! machines and in a simulation.

use std::{
    num::{NonZeroU16, NonZeroU64, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_broadcast::buffered;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_consensus::{
    Reporter, Reporters, Viewable as _,
    marshal::{
        self, Start,
        core::Actor as MarshalActor,
        resolver::p2p as backfill,
        standard::{Inline, Standard},
    },
    simplex::{
        self, Floor, ForwardPolicy, SkipBudget, SkipPolicy, elector::RoundRobin,
        scheme::ed25519::Scheme, types::Activity,
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Sha256, Signer as _,
    blake3::Digest,
    certificate::{ConstantProvider, Verifier as _},
    ed25519::{PrivateKey, PublicKey},
};
use commonware_p2p::{Blocker, Provider, Receiver, Recipients, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{
    Clock, Handle as Task, Metrics, Quota, Spawner, Storage, buffer::paged::CacheRef,
};
use commonware_storage::{
    archive::{self, Identifier, prunable},
    translator::EightCap,
};
use commonware_utils::{NZDuration, NZU16, NZU32, NZU64, NZUsize, ordered::Set};
use rand_core::CryptoRng;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::{
    alone::Patience,
    application::{Application, Pace, Parts, Shared},
    beacon::{BeaconKey, Secret, Verifier},
    block::{Block, Hash},
    finality::{Finalizer, Inlet, Marshal},
    handle::{Handle, Request, To},
    machine::{Machine, State},
    snapshot::{Final, Snapshot, Snapshots},
    sync::{self, Joining, Offers},
    tree::Node,
};

/// Channels of the network, by number, with how many messages a peer may send a second.
pub const CHANNELS: [(u64, Quota); 7] = [
    (VOTES, Quota::per_second(NZU32!(512))),
    (CERTIFICATES, Quota::per_second(NZU32!(512))),
    (RESOLVER, Quota::per_second(NZU32!(128))),
    (BACKFILL, Quota::per_second(NZU32!(256))),
    (BLOCKS, Quota::per_second(NZU32!(128))),
    (STATES, Quota::per_second(NZU32!(128))),
    (MESSAGES, Quota::per_second(NZU32!(256))),
];
const VOTES: u64 = 0;
const CERTIFICATES: u64 = 1;
const RESOLVER: u64 = 2;
const BACKFILL: u64 = 3;
const BLOCKS: u64 = 4;
const STATES: u64 = 5;
const MESSAGES: u64 = 6;

/// Epochs of validators are not in use yet: there is one.
const EPOCH: Epoch = Epoch::zero();
const EPOCH_BLOCKS: NonZeroU64 = NZU64!(u64::MAX);
const MAILBOX: NonZeroUsize = NZUsize!(1_024);
const BUFFER_BYTES: NonZeroUsize = NZUsize!(64 * 1024);
const PAGE_BYTES: NonZeroU16 = NZU16!(4_096);
/// Together 4 MiB, taken at once.
const CACHE_PAGES: NonZeroUsize = NZUsize!(1_024);
/// Blocks of an archive that are dropped together.
const SECTION_BLOCKS: NonZeroU64 = NZU64!(1_024);
/// Views behind the last final one of which everything is kept.
const VIEWS_KEPT: ViewDelta = ViewDelta::new(256);
/// Final blocks that wait to be executed.
const BEHIND_MAX: NonZeroUsize = NZUsize!(16);
/// Blocks fetched at a time.
const REPAIR_MAX: NonZeroUsize = NZUsize!(32);
const FETCH_WAIT: Duration = Duration::from_secs(2);
/// How long a validator that is alone waits for a block of its own.
const ALONE_WAIT: Duration = Duration::from_secs(1);
/// Blocks of each peer that are kept until they are final.
const BUFFERED_BLOCKS: usize = 8;
/// Most bytes of another machine's message.
pub const MACHINE_MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A validator, as the genesis lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validator {
    /// Its ed25519 key, with which it votes.
    pub key: [u8; 32],
    /// Its key for the beacon.
    pub beacon: BeaconKey,
}

/// How long a turn lasts.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// When leaders make blocks that nobody waits for.
    pub pace: Pace,
    /// How long others wait for a leader's block.
    pub leader: Duration,
    /// How long they wait for agreement on it. Longer than `leader`.
    pub certification: Duration,
}

impl Timing {
    /// Returns what suits a number of validators.
    #[must_use]
    pub fn of(validators: usize) -> Self {
        let unasked = Duration::from_millis(100);
        // Who is alone needs no sign of life. Its turns are short all the same, since what a crash
        // interrupted ends with the turn; now and then a block lets old turns be forgotten.
        let (heartbeat, leader, certification) =
            if validators == 1 { (60_000, 1_000, 1_100) } else { (1_000, 2_000, 4_000) };
        let [heartbeat, leader, certification] =
            [heartbeat, leader, certification].map(Duration::from_millis);
        Self { pace: Pace { unasked, heartbeat }, leader, certification }
    }

    /// Returns when the turn of a leader that has not been heard of for a while is passed over.
    fn skip(&self) -> SkipPolicy {
        let timeout = self.certification + self.leader;
        SkipPolicy::Enabled { timeout, budget: SkipBudget::Participants }
    }
}

/// What a chain is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tells networks apart: the hash of what this one began from.
    pub genesis: Hash,
    /// The time of the beginning, in milliseconds since 1970.
    pub genesis_time_ms: u64,
    /// In ascending order of their keys.
    pub validators: Vec<Validator>,
    /// This node's secret: a validator's, or any other for a follower.
    pub secret: zeroize::Zeroizing<[u8; 32]>,
    /// How many other nodes it is connected to.
    pub peers: usize,
    /// Most bytes of a body.
    pub body_bytes_max: usize,
    /// Blocks that are kept behind the last one; all of them, if this is the most there can be.
    pub blocks_kept: u64,
    /// Nodes offer their state at multiples of this height. Who is further behind takes it.
    pub offer_every: u64,
    /// How long turns last.
    pub timing: Timing,
    /// The name of its part of the storage.
    pub partition: String,
}

/// Why a chain cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Keys are missing, twice there, or not in order.
    #[error("the validators are not in ascending order of their keys")]
    Order,
    /// A key is none.
    #[error("validator {0} has a key that is none, or lacks the proof for it")]
    Key(usize),
    /// The stored chain cannot be taken up.
    #[error("the stored chain cannot be taken up: {0}")]
    Stored(String),
    /// The network cannot be used.
    #[error("{0}")]
    Network(String),
}

impl Settings {
    /// Returns the most bytes of a message between nodes.
    #[must_use]
    pub fn message_bytes_max(&self) -> u32 {
        let participants = u32::try_from(self.validators.len()).unwrap_or(u32::MAX);
        commonware_p2p::max_message_size(&[
            simplex::max_payload_size::<Scheme, Digest>(participants),
            marshal::max_payload_size::<Standard<Block>, Scheme>(
                participants,
                &self.body_bytes_max,
            ),
            sync::MESSAGE_BYTES_MAX,
            MACHINE_MESSAGE_BYTES_MAX,
        ])
    }

    fn check(&self) -> Result<Vec<(PublicKey, Verifier)>, StartError> {
        if self.validators.is_empty()
            || !self.validators.is_sorted_by(|one, other| one.key < other.key)
        {
            return Err(StartError::Order);
        }
        let open = |(place, validator): (usize, &Validator)| {
            let key = PublicKey::decode(Copying(&validator.key[..])).ok();
            key.zip(validator.beacon.open()).ok_or(StartError::Key(place))
        };
        self.validators.iter().enumerate().map(open).collect()
    }
}

/// Follows the views of consensus, to know whose turn comes.
#[derive(Clone, Default)]
pub(crate) struct Views(Arc<AtomicU64>);

impl Views {
    /// Returns the place of the leader of the view that comes in so many views.
    pub(crate) fn leader_in(&self, views: u64, validators: usize) -> usize {
        let view = self.0.load(Ordering::Relaxed) + 1 + views;
        usize::try_from(view % validators as u64).expect("below the number of validators")
    }
}

impl Reporter for Views {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        let over = match activity {
            Activity::Notarization(notarization) => notarization.view(),
            Activity::Nullification(nullification) => nullification.view(),
            Activity::Finalization(finalization) => finalization.view(),
            Activity::ConflictingNotarize(_)
            | Activity::ConflictingFinalize(_)
            | Activity::NullifyFinalize(_) => {
                tracing::warn!("a validator contradicts itself");
                return Feedback::Ok;
            }
            _ => return Feedback::Ok,
        };
        self.0.fetch_max(over.get(), Ordering::Relaxed);
        Feedback::Ok
    }
}

/// The channels of a network, in the order of [`CHANNELS`].
pub type Channels<S, R> = [(S, R); 7];

/// What all parts are made from.
struct Common {
    settings: Settings,
    machine: Arc<dyn Machine>,
    validators: Vec<(PublicKey, Verifier)>,
    scheme: Scheme,
    /// Whether this node is a validator.
    votes: bool,
    cache: CacheRef,
    /// The block before all others, and the state after it.
    beginning: Block,
    genesis: Arc<dyn State>,
}

impl Common {
    fn new(settings: Settings, machine: Arc<dyn Machine>) -> Result<Self, StartError> {
        let validators = settings.check()?;
        let namespace = [b"idlewild chain ", &settings.genesis[..]].concat();
        let keys = Set::from_iter_dedup(validators.iter().map(|(key, _)| key.clone()));
        let signer = Scheme::signer(&namespace, keys.clone(), private_key(&settings.secret));
        let votes = signer.is_some();
        let genesis = machine.genesis();
        let beginning =
            Block::beginning(&settings.genesis, settings.genesis_time_ms, genesis.root());
        Ok(Self {
            settings,
            machine,
            validators,
            scheme: signer.unwrap_or_else(|| Scheme::verifier(&namespace, keys)),
            votes,
            cache: CacheRef::new(PAGE_BYTES, CACHE_PAGES),
            beginning,
            genesis,
        })
    }

    fn partition(&self, name: &str) -> String {
        format!("{}-{name}", self.settings.partition)
    }

    fn archive<C>(&self, name: &str, codec_config: C) -> prunable::Config<EightCap, C> {
        prunable::Config {
            translator: EightCap,
            metadata_partition: self.partition(&format!("{name}-metadata")),
            key_partition: self.partition(&format!("{name}-key")),
            key_page_cache: self.cache.clone(),
            value_partition: self.partition(&format!("{name}-value")),
            compression: None,
            codec_config,
            items_per_section: SECTION_BLOCKS,
            key_write_buffer: BUFFER_BYTES,
            value_write_buffer: BUFFER_BYTES,
            replay_buffer: BUFFER_BYTES,
        }
    }

    fn shared(&self, last_final: Node) -> Arc<Shared> {
        let parts = Parts {
            machine: Arc::clone(&self.machine),
            validators: self.validators.clone(),
            secret: self.votes.then(|| Secret::derive(&self.settings.secret)),
            pace: self.settings.timing.pace,
            body_bytes_max: self.settings.body_bytes_max,
        };
        Arc::new(Shared::new(parts, last_final))
    }
}

/// The certificates of final blocks.
type Certificates<E> = prunable::Archive<EightCap, E, Digest, Final>;
/// Final blocks.
type Blocks<E> = prunable::Archive<EightCap, E, Digest, Arc<Block>>;

/// What is on disk.
struct Disk<E: commonware_storage::Context> {
    snapshots: Snapshots<E>,
    /// The newest snapshot.
    stored: Option<Snapshot>,
    certificates: Certificates<E>,
    blocks: Blocks<E>,
}

impl<E: Clock + CryptoRng + Metrics + Spawner + Storage> Disk<E> {
    async fn open(context: &E, common: &Common) -> Result<Self, StartError> {
        let stored = |error: archive::Error| StartError::Stored(error.to_string());
        let (snapshots, newest) = Snapshots::open(
            context.child("snapshots"),
            common.partition("snapshots"),
            &common.machine,
            &common.scheme,
        )
        .await
        .map_err(StartError::Stored)?;
        let certificates = prunable::Archive::init(
            context.child("certificates"),
            common.archive("certificates", common.scheme.certificate_codec_config()),
        );
        let blocks = prunable::Archive::init(
            context.child("blocks"),
            common.archive("blocks", common.settings.body_bytes_max),
        );
        Ok(Self {
            snapshots,
            stored: newest,
            certificates: certificates.await.map_err(stored)?,
            blocks: blocks.await.map_err(stored)?,
        })
    }

    /// Returns the certificate of the newest final block that is stored with one.
    async fn last_certificate(&self) -> Result<Option<Final>, StartError> {
        let Some(height) = archive::Archive::last_index(&self.certificates) else {
            return Ok(None);
        };
        let found = archive::Archive::get(&self.certificates, Identifier::Index(height)).await;
        found.map_err(|error| StartError::Stored(error.to_string()))
    }
}

/// Where a chain goes on.
struct Beginning {
    node: Node,
    /// The certificate of `node`, if it came from peers just now.
    anchor: Option<Final>,
    /// The last view in which this node cannot have voted, if its votes may be lost.
    floor: Option<Final>,
    offers: Offers,
}

/// Asks others where they are, and takes their state if it is far ahead.
async fn begin<E, B, S, R>(
    context: &mut E,
    common: &Common,
    disk: &mut Disk<E>,
    blocker: B,
    (sender, receiver): (S, R),
) -> Result<Beginning, StartError>
where
    E: Clock + CryptoRng + Metrics + Spawner + Storage,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let offers = Offers::default();
    if let Some(stored) = &disk.stored {
        offers.set_tip(stored.finalization.clone());
        offers.add(stored.clone());
    }
    // Who lost its disk asks where the chain is, and all may have started just now.
    if let Some(tip) = disk.last_certificate().await? {
        offers.set_tip(tip);
    }
    let (answers, inbox) = sync::inbox();
    context.child("states").spawn({
        let (offers, scheme) = (offers.clone(), common.scheme.clone());
        let (sender, blocker) = (sender.clone(), blocker.clone());
        move |context| sync::serve(context, offers, scheme, sender, receiver, blocker, answers)
    });
    let last_block = archive::Archive::last_index(&disk.blocks).unwrap_or(0);
    let stored_height = disk.stored.as_ref().map_or(0, |stored| stored.node.header.height);
    let height = last_block.max(stored_height);
    let amnesia = common.votes && height == 0;
    let turns = 2 * common.validators.len() as u64;
    let joining = Joining {
        context,
        scheme: &common.scheme,
        machine: &common.machine,
        sender,
        blocker,
        answers: inbox,
        peers: common.settings.peers,
        far_blocks: common.settings.offer_every,
    };
    let joined = joining.join(height, if amnesia { turns } else { 0 }).await;
    if let Some(snapshot) = &joined.snapshot {
        let written = disk.snapshots.write(snapshot).await;
        written.map_err(|error| StartError::Stored(error.to_string()))?;
        offers.add(snapshot.clone());
    }
    let floor = joined.tip.filter(|_| amnesia || joined.snapshot.is_some());
    let anchor = joined.snapshot.as_ref().map(|snapshot| snapshot.finalization.clone());
    let first = || Node::new(common.beginning.header, Arc::clone(&common.genesis));
    let node = joined.snapshot.or(disk.stored.take()).map_or_else(first, |base| base.node);
    Ok(Beginning { node, anchor, floor, offers })
}

/// Starts a chain on a runtime and a network, and returns when it is up to where it was.
///
/// # Errors
/// [`StartError`].
pub async fn start<E, P, B, S, R>(
    mut context: E,
    settings: Settings,
    machine: Arc<dyn Machine>,
    peer_provider: P,
    blocker: B,
    channels: Channels<S, R>,
) -> Result<(Handle, Task<()>), StartError>
where
    E: Clock + CryptoRng + Metrics + Spawner + Storage,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let common = Common::new(settings, machine)?;
    let [votes, certificates, resolver, backfill, blocks, states, messages] = channels;
    let mut disk = Disk::open(&context, &common).await?;
    let beginning = begin(&mut context, &common, &mut disk, blocker.clone(), states).await?;
    common.machine.resumed(&beginning.node.header, &beginning.node.state);
    let shared = common.shared(beginning.node);
    let (marshal_actor, marshal, _) = MarshalActor::<_, Standard<Block>, _, _, _, _, _>::init(
        context.child("marshal"),
        disk.certificates,
        disk.blocks,
        marshal_config(&common, beginning.anchor),
    )
    .await;
    let (inlet, updates) = Inlet::new();
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        broadcast_config(&common, peer_provider.clone()),
    );
    broadcast.start(blocks);
    let resolver_config = backfill_config(&common, peer_provider, blocker.clone());
    let fetching = backfill::init(context.child("backfill"), resolver_config, backfill);
    let marshal_task = marshal_actor.start(inlet, buffer, fetching);
    let mut finalizer = Finalizer {
        context: context.child("finalizer"),
        shared: Arc::clone(&shared),
        marshal: marshal.clone(),
        snapshots: disk.snapshots,
        offers: beginning.offers,
        last: None,
        blocks_kept: common.settings.blocks_kept,
        offer_every: common.settings.offer_every,
    };
    let processed = marshal.get_processed().await.map_or(0, |processed| processed.height().get());
    finalizer.replay(processed).await.map_err(|refusal| StartError::Stored(refusal.to_string()))?;
    let stopped = context.stopped();
    let finalizer_task = context.child("finalizer").spawn(move |_| finalizer.run(updates, stopped));
    let views = Views::default();
    let config =
        simplex_config(&context, &common, &shared, &marshal, &views, blocker, beginning.floor);
    let simplex_task =
        simplex::Engine::new(context.child("simplex"), config).start(votes, certificates, resolver);
    let handle = talk(&context, common.machine, shared, views, marshal, messages);
    let task = context.child("chain").spawn(move |_| async move {
        tokio::select! {
            biased;
            _ = marshal_task => {}
            _ = finalizer_task => {}
            _ = simplex_task => {}
        }
    });
    Ok((handle, task))
}

fn marshal_config(
    common: &Common,
    anchor: Option<Final>,
) -> marshal::Config<Provided, FixedEpocher, Sequential, Block, Digested<Block>> {
    let first = || {
        let digest = Digest(common.beginning.header.digest());
        Start::Genesis(Digested::precomputed(common.beginning.clone(), digest))
    };
    marshal::Config {
        provider: Provided::new(common.scheme.clone()),
        epocher: FixedEpocher::new(EPOCH_BLOCKS),
        start: anchor.map_or_else(first, Start::Floor),
        partition_prefix: common.partition("marshal"),
        mailbox_size: MAILBOX,
        view_retention: VIEWS_KEPT,
        prunable_items_per_section: SECTION_BLOCKS,
        page_cache: common.cache.clone(),
        replay_buffer: BUFFER_BYTES,
        key_write_buffer: BUFFER_BYTES,
        value_write_buffer: BUFFER_BYTES,
        block_codec_config: common.settings.body_bytes_max,
        max_repair: REPAIR_MAX,
        max_pending_acks: BEHIND_MAX,
        strategy: Sequential,
    }
}

/// The one set of validators, for all epochs.
type Provided = ConstantProvider<Scheme, Epoch>;

fn broadcast_config<P: Provider<PublicKey = PublicKey>>(
    common: &Common,
    peer_provider: P,
) -> buffered::Config<PublicKey, usize, P, Sequential> {
    buffered::Config {
        public_key: public_key(&common.settings.secret),
        mailbox_size: MAILBOX,
        deque_size: BUFFERED_BLOCKS,
        priority: false,
        codec_config: common.settings.body_bytes_max,
        peer_provider,
        strategy: Sequential,
    }
}

fn backfill_config<P, B>(
    common: &Common,
    peer_provider: P,
    blocker: B,
) -> backfill::Config<PublicKey, P, B>
where
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    backfill::Config {
        public_key: public_key(&common.settings.secret),
        peer_provider,
        blocker,
        mailbox_size: MAILBOX,
        fetch_timeout: NZDuration!(FETCH_WAIT),
        fetch_retry_delay: Duration::from_millis(100),
        priority_requests: false,
        priority_responses: false,
    }
}

/// Our side of consensus, as the engine sees it.
type Inlined<E> = Inline<E, Scheme, Application, Block, FixedEpocher>;
type SimplexConfig<E, B> = simplex::Config<
    Scheme,
    RoundRobin<Sha256>,
    B,
    Digest,
    Patience<E, Inlined<E>>,
    Inlined<E>,
    Reporters<Inlined<E>, Views>,
    Sequential,
>;

fn simplex_config<E, B>(
    context: &E,
    common: &Common,
    shared: &Arc<Shared>,
    marshal: &Marshal,
    views: &Views,
    blocker: B,
    floor: Option<Final>,
) -> SimplexConfig<E, B>
where
    E: Clock + Metrics + Spawner,
    B: Blocker<PublicKey = PublicKey>,
{
    let inline = Inline::new(
        context.child("application"),
        Application { shared: Arc::clone(shared) },
        marshal.clone(),
        FixedEpocher::new(EPOCH_BLOCKS),
    );
    let timing = common.settings.timing;
    let genesis = Digest(common.beginning.header.digest());
    simplex::Config {
        scheme: common.scheme.clone(),
        elector: RoundRobin::default(),
        blocker,
        automaton: Patience {
            context: context.child("patience"),
            inner: inline.clone(),
            limit: (common.validators.len() == 1).then_some(ALONE_WAIT),
        },
        relay: inline.clone(),
        reporter: Reporters::from((inline, views.clone())),
        track_historical_votes: false,
        strategy: Sequential,
        partition: common.partition("votes"),
        mailbox_size: MAILBOX,
        epoch: EPOCH,
        floor: floor.map_or(Floor::Genesis(genesis), Floor::Finalized),
        replay_buffer: BUFFER_BYTES,
        write_buffer: BUFFER_BYTES,
        page_cache: common.cache.clone(),
        leader_timeout: timing.leader,
        certification_timeout: timing.certification,
        timeout_retry: timing.certification,
        view_retention: VIEWS_KEPT,
        skip: timing.skip(),
        fetch_timeout: NZDuration!(FETCH_WAIT),
        fetch_retry_delay: FETCH_WAIT,
        forward: ForwardPolicy::SilentLeader,
    }
}

/// Starts what the machine and the rest of the program talk to.
fn talk<E, S, R>(
    context: &E,
    machine: Arc<dyn Machine>,
    shared: Arc<Shared>,
    views: Views,
    marshal: Marshal,
    (sender, receiver): (S, R),
) -> Handle
where
    E: Spawner,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let (requests, asked) = mpsc::channel(MAILBOX.get());
    let handle = Handle::new(Arc::clone(&shared), views, requests);
    context.child("messages").spawn(move |_| hear(machine, receiver));
    context.child("requests").spawn(move |_| answer(asked, marshal, shared, sender));
    handle
}

/// Hands other machines' messages over.
async fn hear(machine: Arc<dyn Machine>, mut receiver: impl Receiver<PublicKey = PublicKey>) {
    while let Ok((_, bytes)) = receiver.recv().await {
        machine.heard(Bytes::copy_from_slice(bytes.as_ref()));
    }
}

/// Does what the handle asks for.
async fn answer(
    mut requests: mpsc::Receiver<Request>,
    marshal: Marshal,
    shared: Arc<Shared>,
    mut sender: impl Sender<PublicKey = PublicKey>,
) {
    while let Some(request) = requests.recv().await {
        match request {
            Request::Block(height, answer) => {
                // Nobody may be waiting any more.
                let _ = answer.send(crate::handle::stored_block(&marshal, height).await);
            }
            Request::Send(to, message) => {
                let recipients = match to {
                    To::All => Recipients::All,
                    To::Validator(place) => match shared.validators.get(place) {
                        Some((key, _)) => Recipients::One(key.clone()),
                        None => continue,
                    },
                };
                sender.send(recipients, message, false);
            }
        }
    }
}

pub(crate) fn private_key(secret: &[u8; 32]) -> PrivateKey {
    PrivateKey::decode(Copying(&secret[..])).expect("any 32 bytes are a secret")
}

/// Returns the ed25519 key that belongs to a secret.
#[must_use]
pub fn public_key(secret: &[u8; 32]) -> PublicKey {
    private_key(secret).public_key()
}
