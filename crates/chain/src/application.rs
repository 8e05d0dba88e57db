//! What the engine asks of us: build a block, check a block.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use commonware_consensus::{
    Application as EngineApplication,
    marshal::ancestry::Ancestry,
    simplex::{scheme::ed25519::Scheme, types::Context},
};
use commonware_cryptography::{Digested, Digestible as _, blake3::Digest, ed25519::PublicKey};
use commonware_runtime::{Clock, Spawner};
use futures_util::{StreamExt as _, future::pending};
use tokio::sync::Notify;

use crate::{
    beacon::{Secret, Verifier, beacon},
    block::{Block, Header, body_hash},
    machine::{Built, Machine, Refusal, Trust, Wanted},
    tree::{Node, Tree},
};

/// How long a block may not be final before one after it is made, wanted or not. The turn in which
/// a crash came is passed over, and what it held becomes final with a block that stands on it.
const OPEN_WAIT: Duration = Duration::from_secs(1);
/// How far the time of a block may be ahead of a validator's clock.
const AHEAD_MAX: Duration = Duration::from_millis(500);

/// When blocks are made though nobody waits for one.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The least time after the block before of a block that only the state asks for.
    pub unasked: Duration,
    /// The time after the block before in which a leader makes one though it is empty.
    pub heartbeat: Duration,
}

/// What all parts of a running chain share.
pub(crate) struct Shared {
    pub(crate) machine: Arc<dyn Machine>,
    /// In the order of their places.
    pub(crate) validators: Vec<(PublicKey, Verifier)>,
    /// A follower has none.
    pub(crate) secret: Option<Secret>,
    pub(crate) pace: Pace,
    pub(crate) body_bytes_max: usize,
    /// Called when a state may want a block now that did not before.
    pub(crate) wake: Notify,
    tree: Mutex<Tree>,
}

/// Parts that are given once.
pub(crate) struct Parts {
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) validators: Vec<(PublicKey, Verifier)>,
    pub(crate) secret: Option<Secret>,
    pub(crate) pace: Pace,
    pub(crate) body_bytes_max: usize,
}

impl Shared {
    /// Goes on from a final block.
    pub(crate) fn new(parts: Parts, last_final: Node) -> Self {
        let Parts { machine, validators, secret, pace, body_bytes_max } = parts;
        Self {
            machine,
            validators,
            secret,
            pace,
            body_bytes_max,
            wake: Notify::new(),
            tree: Mutex::new(Tree::new(last_final)),
        }
    }

    pub(crate) fn tree(&self) -> MutexGuard<'_, Tree> {
        // It is whole between any two statements that hold the lock.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a block on its parent.
    pub(crate) fn execute(
        &self,
        parent: &Node,
        block: &Block,
        trust: Trust,
    ) -> Result<Node, Refusal> {
        let header = &block.header;
        let invalid = |what: &str| Err(Refusal::Invalid(what.to_owned()));
        if header.parent != parent.digest {
            return invalid("its parent is another");
        }
        if Some(header.height) != parent.header.height.checked_add(1) {
            return invalid("its height is not the next one");
        }
        if header.time_ms <= parent.header.time_ms {
            return invalid("its time is not after its parent's");
        }
        if trust == Trust::Candidate {
            let place = usize::try_from(header.leader).unwrap_or(usize::MAX);
            let Some((_, key)) = self.validators.get(place) else {
                return invalid("its leader is no validator");
            };
            if !key.accepts(&beacon(&parent.header), &header.share) {
                return invalid("its share of the beacon is not its leader's");
            }
        }
        let after = parent.state.execute(&header.setting(), &block.body, trust)?;
        if after.root() != header.state {
            return invalid("it leads to another state");
        }
        Ok(Node::new(*header, after))
    }

    /// Builds a block on its parent, for the validator at a place.
    fn build(&self, parent: &Node, leader: u32, now_ms: u64) -> Result<(Block, Node), Refusal> {
        let secret = self.secret.as_ref();
        let secret = secret.ok_or_else(|| Refusal::Fault("a follower has no turn".to_owned()))?;
        let mut header = Header {
            height: parent.header.height + 1,
            time_ms: now_ms.max(parent.header.time_ms + 1),
            parent: parent.digest,
            leader,
            share: secret.share(&beacon(&parent.header)),
            body: [0; 32],
            state: [0; 32],
        };
        let setting = header.setting();
        let Built { body, after } = parent.state.build(&setting, self.body_bytes_max)?;
        assert!(body.len() <= self.body_bytes_max, "the machine keeps to the bound of a body");
        header.body = body_hash(&body).expect("the machine writes whole entries");
        header.state = after.root();
        Ok((Block { header, body }, Node::new(header, after)))
    }

    pub(crate) fn place_of(&self, validator: &PublicKey) -> Option<u32> {
        let place = self.validators.iter().position(|(key, _)| key == validator)?;
        u32::try_from(place).ok()
    }
}

/// Returns a clock's time in milliseconds since 1970.
pub(crate) fn clock_ms(clock: &impl Clock) -> u64 {
    let since = clock.current().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time_of(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// Runs what takes long beside the tasks that must not wait. Never returns when the runtime ends.
pub(crate) async fn beside<E: Spawner, T: Send + 'static>(
    context: &E,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let spawned = context.child("beside").shared(true).spawn(|_| async move { work() });
    match spawned.await {
        Ok(done) => done,
        Err(_) => pending().await,
    }
}

/// Our side of the engine.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) shared: Arc<Shared>,
}

impl Application {
    /// Returns the state after the newest block of `ancestry`, executing those that this program
    /// has not executed yet; nothing when it is not on the final chain.
    async fn state_after<E: Spawner>(
        &self,
        context: &E,
        mut ancestry: impl Ancestry<Block>,
    ) -> Option<Node> {
        let mut missing: Vec<Digested<Block>> = Vec::new();
        let base = loop {
            let block = ancestry.next().await?;
            let tree = self.shared.tree();
            if let Some(node) = tree.get(&block.digest().0) {
                break node.clone();
            }
            let (height, last) = (block.inner().header.height, tree.last_final().header.height);
            if height <= last {
                tracing::warn!(height, last, "a block before the next one is not the final one");
                return None;
            }
            drop(tree);
            missing.push(block);
        };
        let mut node = base;
        while let Some(block) = missing.pop() {
            let height = block.inner().header.height;
            match self.execute(context, node, block, Trust::Candidate).await {
                Ok(after) => node = after,
                Err(refusal) => {
                    tracing::warn!(height, "a block before the next one is refused: {refusal}");
                    return None;
                }
            }
        }
        Some(node)
    }

    /// Executes a block and keeps its state.
    async fn execute<E: Spawner>(
        &self,
        context: &E,
        parent: Node,
        block: Digested<Block>,
        trust: Trust,
    ) -> Result<Node, Refusal> {
        let shared = Arc::clone(&self.shared);
        let executed = beside(context, move || shared.execute(&parent, block.inner(), trust)).await;
        if let Ok(node) = &executed {
            self.shared.tree().insert(node.clone());
        }
        executed
    }

    /// Waits until a block after `parent` is wanted.
    async fn wanted<E: Clock>(&self, context: &E, parent: &Node) {
        let pace = self.shared.pace;
        let unasked = time_of(parent.header.time_ms) + pace.unasked;
        loop {
            let woken = self.shared.wake.notified();
            let is_final = self.shared.tree().last_final().header.height >= parent.header.height;
            let silence = if is_final { pace.heartbeat } else { pace.heartbeat.min(OPEN_WAIT) };
            let heartbeat = time_of(parent.header.time_ms) + silence;
            let until = match parent.state.wanted() {
                Wanted::Now => return,
                Wanted::At(ms) => time_of(ms).max(unasked).min(heartbeat),
                Wanted::No => heartbeat,
            };
            if until <= context.current() {
                return;
            }
            tokio::select! {
                biased;
                () = woken => {}
                () = context.sleep_until(until) => {}
            }
        }
    }

    /// Waits until a block's time is hardly ahead any more.
    async fn await_time<E: Clock>(&self, context: &E, time_ms: u64) {
        loop {
            match self.shared.machine.time(clock_ms(context)) {
                Ok(now_ms) => {
                    let ahead = Duration::from_millis(time_ms.saturating_sub(now_ms));
                    let Some(wait) = ahead.checked_sub(AHEAD_MAX).filter(|wait| !wait.is_zero())
                    else {
                        return;
                    };
                    context.sleep(wait).await;
                }
                Err(why) => return self.stop(why).await,
            }
        }
    }

    /// Hears of a program that cannot go on. Consensus waits for what never comes.
    async fn stop<T>(&self, why: String) -> T {
        self.shared.machine.failed(why);
        pending().await
    }
}

impl<E: Clock + Spawner> EngineApplication<E> for Application {
    type SigningScheme = Scheme;
    type Context = Context<Digest, PublicKey>;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        (context, round): (E, Self::Context),
        ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let parent = self.state_after(&context, ancestry).await?;
        let leader = self.shared.place_of(&round.leader)?;
        self.wanted(&context, &parent).await;
        let now_ms = match self.shared.machine.time(clock_ms(&context)) {
            Ok(now_ms) => now_ms,
            Err(why) => return self.stop(why).await,
        };
        let shared = Arc::clone(&self.shared);
        let built = beside(&context, move || shared.build(&parent, leader, now_ms)).await;
        match built {
            Ok((block, node)) => {
                let digest = Digest(node.digest);
                self.shared.tree().insert(node);
                Some(Digested::precomputed(block, digest))
            }
            Err(Refusal::Fault(why)) => self.stop(why).await,
            Err(Refusal::Invalid(why)) => {
                self.stop(format!("a block could not be built: {why}")).await
            }
        }
    }

    async fn verify(
        &mut self,
        (context, round): (E, Self::Context),
        mut ancestry: impl Ancestry<Block>,
    ) -> bool {
        let Some(block) = ancestry.next().await else { return pending().await };
        let header = block.inner().header;
        let leader = self.shared.place_of(&round.leader);
        if leader != Some(header.leader) {
            tracing::warn!(height = header.height, "a block names another leader than its own");
            return false;
        }
        // Of a block below the final ones nothing is to be said any more.
        let Some(parent) = self.state_after(&context, ancestry).await else {
            return pending().await;
        };
        self.await_time(&context, header.time_ms).await;
        match self.execute(&context, parent, block, Trust::Candidate).await {
            Ok(_) => true,
            Err(Refusal::Invalid(why)) => {
                let leader = header.leader;
                tracing::warn!(height = header.height, leader, "a block is refused: {why}");
                false
            }
            Err(Refusal::Fault(why)) => self.stop(why).await,
        }
    }
}
