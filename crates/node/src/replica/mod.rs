//! This node's copy of the ledger: the machine that the chain replicates.
//!
//! The chain gives it blocks in the order that the validators agree on. From what waits in the
//! mempool it builds blocks when its turn comes. What is final it publishes, and then it answers
//! those who wait. Whoever runs it lends it the time to do the rest: [`Replica::take_in`] and
//! [`Replica::spread`] when [`Replica::stirred`] says so, [`Replica::review`] now and then.

mod attend;
mod clock;
mod journal;
mod mempool;
mod state;
mod verify;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use chain::{Finalized, Handle, Machine, Restore, State, To};
use ledger::{GenesisError, Ledger};
use tokio::sync::{Notify, broadcast, oneshot, watch};
use types::{
    BeaconShare, Certificate, Decode as _, Encode as _, Genesis, Hash, Header, List, Reject,
    Signature, SignedTransaction, Time, Verified, Vote, body,
    limits::{BLOCK_TRANSACTIONS_MAX, TRANSACTION_BYTES_MAX},
};

use crate::{fault::Fault, metrics::Metrics};

pub use attend::attend;
pub(crate) use clock::Clock;
pub use state::Executed;
pub(crate) use state::replay;
pub use verify::all as check;

use journal::Journal;
use mempool::{Admission, Mempool, Origin, Waiting};
use state::{Common, LedgerState, Restored};

/// Blocks that a subscriber may be behind.
const SUBSCRIPTION_BLOCKS: usize = 16;
/// Messages of other nodes that wait to be taken in.
const INBOX_MESSAGES: usize = 64;
/// Leaders whose turns come next, who are told of a transaction.
const LEADERS_TOLD: u64 = 2;
/// Blocks after which a transaction that none holds is looked at again.
const OVERDUE_BLOCKS: u64 = 2;
/// Transactions that are looked at again at a time.
const OVERDUE_MAX: usize = 1_024;

/// The state after a final block.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The state.
    pub ledger: Ledger,
    /// The block's header; of height 0 before the first block.
    pub header: Header,
    /// The signatures of this very block, if this node has them.
    pub certificate: Option<Certificate>,
}

/// A final block that is on disk, and what came of it.
#[derive(Debug)]
pub struct CommittedBlock {
    /// What it did.
    pub executed: Arc<Executed>,
    /// The state after it.
    pub after: Arc<Committed>,
}

/// Takes over a header from the chain.
pub(crate) fn header(header: &chain::Header) -> Header {
    Header {
        height: header.height,
        time: Time::from_ms(header.time_ms),
        parent: Hash::from_bytes(header.parent),
        leader: header.leader,
        share: BeaconShare::from_bytes(header.share),
        body: Hash::from_bytes(header.body),
        state: Hash::from_bytes(header.state),
    }
}

/// Takes over a certificate from the chain.
pub(crate) fn certificate(certificate: &chain::Certificate) -> Certificate {
    let vote = |(validator, signature): &(u32, [u8; 64])| Vote {
        validator: *validator,
        signature: Signature::from_bytes(*signature),
    };
    let votes = certificate.signatures.iter().map(vote).collect();
    Certificate {
        epoch: certificate.epoch,
        view: certificate.view,
        parent_view: certificate.parent_view,
        votes: List::new(votes).expect("no more votes than validators"),
    }
}

/// How a replica reads this machine's time: from what its clock says, in milliseconds since 1970.
pub type ReadTime = Box<dyn Fn(u64) -> Result<u64, String> + Send + Sync>;

/// What a replica is like.
pub struct ReplicaSettings {
    /// This node's place among the validators, if it is one.
    pub place: Option<usize>,
    /// How it reads the time.
    pub read_time: ReadTime,
    /// The version of the rules up to which it knows them: [`ledger::RULES`], unless a program is
    /// to stand for an older or a newer one.
    pub rules: u16,
}

impl std::fmt::Debug for ReplicaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaSettings").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The state from which the chain went on.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) header: Header,
    pub(crate) ledger: Ledger,
}

struct Shared {
    common: Arc<Common>,
    beginning: Base,
    base: OnceLock<Base>,
    committed: watch::Sender<Arc<Committed>>,
    /// Nothing once there will be no more.
    blocks: Mutex<Option<broadcast::Sender<Arc<CommittedBlock>>>>,
    chain: OnceLock<Handle>,
    /// This node's place among the validators.
    place: Option<usize>,
    inbox: Mutex<VecDeque<Bytes>>,
    stir: Notify,
    /// Where what waits is kept, if it is.
    journal: OnceLock<Journal>,
    read_time: ReadTime,
    fault: Fault,
    metrics: Arc<Metrics>,
}

/// A copy of the ledger. All of its clones are one.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").finish_non_exhaustive()
    }
}

impl Replica {
    /// Begins with the genesis.
    ///
    /// # Errors
    /// [`GenesisError`] when the genesis cannot start a network.
    pub fn new(genesis: Genesis, settings: ReplicaSettings) -> Result<Self, GenesisError> {
        Self::with(genesis, settings, Fault::new(), Arc::default())
    }

    pub(crate) fn with(
        genesis: Genesis,
        settings: ReplicaSettings,
        fault: Fault,
        metrics: Arc<Metrics>,
    ) -> Result<Self, GenesisError> {
        let ReplicaSettings { place, read_time, rules } = settings;
        let ledger = Ledger::new(&genesis)?;
        let genesis_hash = genesis.hash();
        let first = Header {
            height: 0,
            time: genesis.time,
            parent: genesis_hash,
            leader: 0,
            share: BeaconShare::from_bytes([0; 48]),
            body: body::commit(&[]),
            state: ledger.root(),
        };
        let beginning = Base { header: first, ledger: ledger.clone() };
        let committed = Committed { ledger, header: first, certificate: None };
        let shared = Shared {
            common: Arc::new(Common { genesis, genesis_hash, mempool: Mempool::default(), rules }),
            beginning,
            base: OnceLock::new(),
            committed: watch::Sender::new(Arc::new(committed)),
            blocks: Mutex::new(Some(broadcast::channel(SUBSCRIPTION_BLOCKS).0)),
            chain: OnceLock::new(),
            place,
            inbox: Mutex::default(),
            stir: Notify::new(),
            journal: OnceLock::new(),
            read_time,
            fault,
            metrics,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the machine that a chain is launched with.
    #[must_use]
    pub fn machine(&self) -> Arc<dyn Machine> {
        Arc::new(self.clone())
    }

    /// Takes the chain that was launched with this machine.
    pub fn connect(&self, chain: Handle) {
        // It is launched once.
        let _ = self.shared.chain.set(chain);
        self.wake();
    }

    /// Returns what the network began from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.shared.common.genesis
    }

    /// Returns the name of the network.
    #[must_use]
    pub fn genesis_hash(&self) -> Hash {
        self.shared.common.genesis_hash
    }

    /// Returns the last final state.
    #[must_use]
    pub fn committed(&self) -> Arc<Committed> {
        Arc::clone(&self.shared.committed.borrow())
    }

    /// Returns the last final state as it changes.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<Arc<Committed>> {
        self.shared.committed.subscribe()
    }

    /// Returns blocks as they become final. A subscriber that is more than 16 behind loses some
    /// and is told so.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CommittedBlock>> {
        let blocks = self.shared.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        match &*blocks {
            Some(blocks) => blocks.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    /// Tells all who hear of blocks that there will be no more.
    pub(crate) fn close(&self) {
        *self.shared.blocks.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns why the chain cannot go on, if it cannot.
    #[must_use]
    pub fn fault(&self) -> Option<Arc<str>> {
        self.shared.fault.get()
    }

    /// Returns how many transactions wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.common.mempool.count()
    }

    /// Returns the state before any block.
    pub(crate) fn beginning(&self) -> &Base {
        &self.shared.beginning
    }

    /// Returns the state from which the chain went on when it was launched.
    pub(crate) fn base(&self) -> &Base {
        self.shared.base.get().unwrap_or(&self.shared.beginning)
    }

    /// Fills in the signatures of the last final block, where the chain went on from a snapshot
    /// of it.
    pub(crate) async fn complete(&self) {
        let Some(chain) = self.shared.chain.get() else { return };
        let (height, missing) = {
            let committed = self.committed();
            (committed.header.height, committed.certificate.is_none())
        };
        if !missing || height == 0 {
            return;
        }
        let Some(found) = chain.block(height).await.and_then(|block| block.certificate) else {
            return;
        };
        self.shared.committed.send_if_modified(|committed| {
            let same = committed.header.height == height;
            if same {
                let certificate = Some(certificate(&found));
                *committed = Arc::new(Committed { certificate, ..(**committed).clone() });
            }
            same
        });
    }

    /// Keeps what waits in a file from now on, and lets what is in it wait again.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<()> {
        let (journal, found) = Journal::open(path)?;
        let committed = self.committed();
        let read = |bytes: Vec<u8>| SignedTransaction::from_bytes(&bytes).ok();
        let open: Vec<_> = found
            .into_iter()
            .filter_map(read)
            .filter(|signed| is_open(signed, &committed))
            .collect();
        let count = open.len();
        for verified in verify::all(open, &self.genesis_hash()).into_iter().flatten() {
            self.admit(verified, Origin::Here(None), &committed);
        }
        if count > 0 {
            tracing::info!(count, "transactions wait since before the start");
        }
        // It is kept once.
        let _ = self.shared.journal.set(journal);
        self.wake();
        Ok(())
    }

    /// Lets transactions wait for a block, and returns where the answer to each will come; nothing
    /// where there is no room.
    pub fn submit(
        &self,
        transactions: Vec<Verified>,
    ) -> Vec<Option<oneshot::Receiver<Result<u64, Reject>>>> {
        let committed = self.committed();
        let mut is_full = false;
        let mut answers = Vec::with_capacity(transactions.len());
        for verified in transactions {
            let (answer, answered) = oneshot::channel();
            let transaction = verified.transaction();
            let account = committed.ledger.account(&transaction.signer);
            if account.is_some_and(|account| transaction.nonce < account.nonce) {
                let _ = answer.send(Err(Reject::NonceStale));
                answers.push(Some(answered));
                continue;
            }
            // What comes after one without a place would only be ahead of its nonce.
            is_full = is_full || !self.admit(verified, Origin::Here(Some(answer)), &committed);
            answers.push((!is_full).then_some(answered));
        }
        self.wake();
        answers
    }

    fn admit(&self, verified: Verified, origin: Origin, committed: &Committed) -> bool {
        let bytes = verified.signed().to_bytes();
        let kept = self.shared.journal.get().map(|journal| (journal, bytes.clone()));
        let mempool = &self.shared.common.mempool;
        let waiting = Waiting { bytes, verified };
        let admission = mempool.admit(waiting, origin, committed.header.height);
        if admission == Admission::New
            && let Some((journal, bytes)) = kept
        {
            journal.append([&bytes[..]]);
        }
        admission != Admission::Full
    }

    /// Drops from disk what waits no more.
    fn forget(&self) {
        let Some(journal) = self.shared.journal.get() else { return };
        journal.forget(|| {
            let waiting = self.shared.common.mempool.all();
            waiting.iter().map(|waiting| waiting.bytes.clone()).collect()
        });
    }

    fn wake(&self) {
        if let Some(chain) = self.shared.chain.get() {
            chain.wake();
        }
        self.shared.stir.notify_one();
    }

    /// Waits until there is something to take in or to spread.
    pub async fn stirred(&self) {
        self.shared.stir.notified().await;
    }

    /// Checks what other nodes sent and lets it wait.
    pub fn take_in(&self) {
        loop {
            let mut inbox = self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(message) = inbox.pop_front() else { break };
            drop(inbox);
            let Ok(entries) = body::entries(&message, BLOCK_TRANSACTIONS_MAX) else { continue };
            let signed = entries.into_iter().map_while(|entry| {
                // A peer sends nothing that does not read.
                let is_short = entry.len() <= TRANSACTION_BYTES_MAX;
                SignedTransaction::from_bytes(entry).ok().filter(|_| is_short)
            });
            let committed = self.committed();
            let useful = |signed: &SignedTransaction| {
                is_open(signed, &committed)
                    && self.shared.common.mempool.get(&signed.transaction.id()).is_none()
            };
            // What there is no room for is not worth the check.
            let room = self.shared.common.mempool.room();
            let signed: Vec<_> = signed.filter(useful).take(room).collect();
            for verified in verify::all(signed, &self.genesis_hash()).into_iter().flatten() {
                self.admit(verified, Origin::Peer, &committed);
            }
            if let Some(chain) = self.shared.chain.get() {
                chain.wake();
            }
        }
    }

    /// Tells the next leaders of what came here.
    pub fn spread(&self) {
        let outbox = self.shared.common.mempool.outbox();
        self.send(&outbox);
    }

    /// Looks again at what was told to leaders and is in no block: what the last final state
    /// refuses is answered, the rest is spread again.
    pub fn review(&self) {
        self.forget();
        if self.is_alone() {
            return;
        }
        let committed = self.committed();
        let height = committed.header.height;
        let before = height.saturating_sub(OVERDUE_BLOCKS);
        let overdue = self.shared.common.mempool.overdue(before, height, OVERDUE_MAX);
        if overdue.is_empty() {
            return;
        }
        let mut fork = committed.ledger.clone();
        let next = committed.header.time.after(types::Duration::from_ms(1));
        if fork.begin(next, Hash::ZERO, 0).is_err() {
            return;
        }
        let mut good = Vec::with_capacity(overdue.len());
        for waiting in overdue {
            match fork.apply(&waiting.verified) {
                Ok(()) => good.push(waiting),
                Err(reject) => {
                    self.shared.common.mempool.refuse(&waiting.verified.id(), reject);
                }
            }
        }
        self.send(&good);
    }

    fn is_alone(&self) -> bool {
        self.shared.place.is_some() && self.genesis().validators.len() == 1
    }

    fn send(&self, waiting: &[Arc<Waiting>]) {
        let Some(chain) = self.shared.chain.get().filter(|_| !self.is_alone()) else { return };
        let mut leaders: Vec<usize> = (0..LEADERS_TOLD).map(|turn| chain.leader_in(turn)).collect();
        leaders.dedup();
        leaders.retain(|leader| Some(*leader) != self.shared.place);
        let mut message = Vec::new();
        let flush = |message: &mut Vec<u8>| {
            let bytes = Bytes::from(std::mem::take(message));
            for leader in &leaders {
                chain.send(To::Validator(*leader), bytes.clone());
            }
        };
        for waiting in waiting {
            if message.len() + waiting.bytes.len() + 4 > chain::MACHINE_MESSAGE_BYTES_MAX {
                flush(&mut message);
            }
            body::push_entry(&mut message, &waiting.bytes);
        }
        if !message.is_empty() {
            flush(&mut message);
        }
    }

    /// Counts all value on a fork, beside the work.
    fn recount(&self, ledger: Ledger) {
        let fault = self.shared.fault.clone();
        let count = move || {
            let _guard = fault.guard("the recount");
            if let Err(imbalance) = ledger.recount() {
                fault.set(format!("value was made or lost: {}", crate::fault::causes(&imbalance)));
            }
        };
        let started = std::thread::Builder::new().name("recount".to_owned()).spawn(count);
        if let Err(error) = started {
            tracing::warn!("no thread for the recount: {error}");
        }
    }
}

/// Returns whether a transaction may still happen, by its nonce.
fn is_open(signed: &SignedTransaction, committed: &Committed) -> bool {
    let account = committed.ledger.account(&signed.transaction.signer);
    account.is_none_or(|account| signed.transaction.nonce >= account.nonce)
}

impl Machine for Replica {
    fn genesis(&self) -> Arc<dyn State> {
        let ledger = self.shared.beginning.ledger.clone();
        Arc::new(LedgerState::new(Arc::clone(&self.shared.common), ledger))
    }

    fn restore(&self, root: chain::Hash) -> Box<dyn Restore> {
        Box::new(Restored::new(Arc::clone(&self.shared.common), root))
    }

    fn resumed(&self, at: &chain::Header, state: &Arc<dyn State>) {
        let (header, ledger) = (header(at), LedgerState::of(state).ledger.clone());
        self.recount(ledger.clone());
        let committed = Committed { ledger: ledger.clone(), header, certificate: None };
        self.shared.committed.send_replace(Arc::new(committed));
        // The chain resumes once.
        let _ = self.shared.base.set(Base { header, ledger });
    }

    fn finalized(&self, block: &Finalized) {
        let LedgerState { ledger, executed, refused, .. } = LedgerState::of(&block.after);
        let before = LedgerState::of(&block.before);
        let header = header(&block.header);
        let after = Arc::new(Committed {
            ledger: ledger.clone(),
            header,
            certificate: block.certificate.as_ref().map(certificate),
        });
        self.shared.committed.send_replace(Arc::clone(&after));
        if let Some(blocks) = &*self.shared.blocks.lock().unwrap_or_else(PoisonError::into_inner) {
            // Nobody may be listening.
            let told = CommittedBlock { executed: Arc::clone(executed), after };
            let _ = blocks.send(Arc::new(told));
        }
        self.shared.common.mempool.settle(header.height, &executed.ids, refused);
        // What is told again at a start took its time long ago.
        if self.shared.chain.get().is_some() {
            let took = api::now().since(header.time);
            let took = std::time::Duration::from_millis(took.as_ms());
            self.shared.metrics.observe_block(took, executed.ids.len());
        }
        if ledger.network().epoch != before.ledger.network().epoch {
            self.recount(ledger.clone());
        }
        if self.shared.common.mempool.is_ready() {
            self.wake();
        }
    }

    fn heard(&self, message: Bytes) {
        let mut inbox = self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        // It is spread again if need be.
        if inbox.len() < INBOX_MESSAGES {
            inbox.push_back(message);
        }
        drop(inbox);
        self.shared.stir.notify_one();
    }

    fn failed(&self, why: String) {
        self.shared.fault.set(why);
    }

    fn time(&self, clock_ms: u64) -> Result<u64, String> {
        (self.shared.read_time)(clock_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chain knows no ledger, and the ledger's readers know no chain: both write headers,
    /// bodies and what validators sign, and must write the same.
    #[test]
    fn headers_and_bodies_are_those_of_the_chain() {
        let transactions: [&[u8]; 3] = [b"one", b"", b"three"];
        let mut written = Vec::new();
        for transaction in transactions {
            body::push_entry(&mut written, transaction);
        }
        let leaves = transactions.map(body::leaf);
        for count in 0..=3 {
            let mut cut = Vec::new();
            for transaction in &transactions[..count] {
                body::push_entry(&mut cut, transaction);
            }
            let committed = body::commit(&leaves[..count]);
            assert_eq!(chain::body_hash(&cut), Some(*committed.as_bytes()));
        }
        let of_chain = chain::Header {
            height: 5,
            time_ms: 6,
            parent: [7; 32],
            leader: 8,
            share: [9; 48],
            body: chain::body_hash(&written).unwrap(),
            state: [10; 32],
        };
        let ours = header(&of_chain);
        assert_eq!(ours.to_bytes(), of_chain.to_bytes());
        assert_eq!(*ours.hash().as_bytes(), of_chain.digest());
    }
}
