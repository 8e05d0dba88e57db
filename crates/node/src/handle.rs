//! The seam between the API and what orders transactions: submit, read, prove, subscribe.
//!
//! Whoever holds a [`NodeHandle`] does not know what is behind it. Today that is the sequencer of
//! `solo`; a replicated chain takes its place behind the same four calls.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use ledger::{Key, Ledger};
use thiserror::Error;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use types::{
    Address, Block, Encode, Event, Genesis, Hash, Reject, SignedHeader, SignedTransaction,
    TransactionId, Verified,
    limits::{BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, TRANSACTION_BYTES_MAX},
};

use crate::{fault::Fault, metrics::Metrics};

/// Transactions of one submission.
pub const SUBMISSION_MAX: usize = api::limits::SUBMISSION_TRANSACTIONS_MAX;
/// Transactions that wait for a block.
const QUEUE_MAX: usize = 2 * BLOCK_TRANSACTIONS_MAX;
/// Bytes of transactions that wait for a block.
const QUEUE_BYTES_MAX: usize = 8 * BLOCK_BYTES_MAX;
/// Transactions of one account that wait for a block.
const QUEUE_MAX_PER_ACCOUNT: u32 = 2_048;
/// Submissions that wait for a block.
const SUBMISSIONS_MAX: usize = 4_096;
/// Blocks that a subscriber may be behind.
const SUBSCRIPTION_BLOCKS: usize = 16;
/// Signatures that one task checks.
const VERIFY_CHUNK: usize = 64;

/// The committed state after a block.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The state.
    pub ledger: Ledger,
    /// The block's header; of height 0 before the first block.
    pub header: SignedHeader,
}

/// A block that is on disk, and what came of it.
#[derive(Debug)]
pub struct CommittedBlock {
    /// The block.
    pub block: Block,
    /// The names of its transactions, in order.
    pub ids: Vec<TransactionId>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The state after it.
    pub after: Arc<Committed>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The transaction.
    pub id: TransactionId,
    /// The block that holds it, or why none does.
    pub result: Result<u64, Refused>,
}

/// Why a transaction is in no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The ledger refused it.
    Reject(Reject),
    /// Its signature does not match.
    Signature,
    /// There is no room for it now.
    Busy,
}

/// The node stopped; what became of transactions under way shows when it runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the node is stopped")]
pub struct Stopped;

/// Transactions on their way into a block.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) transactions: Vec<Verified>,
    /// Sent when the block is on disk, one result for each transaction.
    pub(crate) answer: oneshot::Sender<Vec<Result<u64, Reject>>>,
    /// Keeps their places in the queue until they are answered.
    pub(crate) places: Places,
}

/// What comes to whoever orders transactions.
#[derive(Debug)]
pub(crate) enum Inbox {
    Batch(Batch),
    Stop,
}

/// The other side of a handle.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) inbox: Receiver<Inbox>,
    pub(crate) committed: watch::Sender<Arc<Committed>>,
    pub(crate) blocks: broadcast::Sender<Arc<CommittedBlock>>,
}

/// The ledger of a node: submit transactions, read the state, prove it, hear of blocks.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    genesis: Genesis,
    genesis_hash: Hash,
    inbox: SyncSender<Inbox>,
    committed: watch::Receiver<Arc<Committed>>,
    blocks: broadcast::WeakSender<Arc<CommittedBlock>>,
    queue: Arc<Queue>,
    verifiers: Semaphore,
    fault: Fault,
    metrics: Arc<Metrics>,
}

/// Makes a handle and its other side.
pub(crate) fn pair(
    genesis: Genesis,
    start: Arc<Committed>,
    fault: Fault,
    metrics: Arc<Metrics>,
) -> (NodeHandle, Backend) {
    let (to_inbox, inbox) = sync_channel(SUBMISSIONS_MAX);
    let (to_committed, committed) = watch::channel(start);
    let (blocks, _) = broadcast::channel(SUBSCRIPTION_BLOCKS);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shared = Shared {
        genesis_hash: genesis.hash(),
        genesis,
        inbox: to_inbox,
        committed,
        blocks: blocks.downgrade(),
        queue: Arc::default(),
        verifiers: Semaphore::new(cores),
        fault,
        metrics,
    };
    let handle = NodeHandle { shared: Arc::new(shared) };
    (handle, Backend { inbox, committed: to_committed, blocks })
}

impl NodeHandle {
    /// Returns what the network started from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.shared.genesis
    }

    /// Returns the hash of what the network started from.
    #[must_use]
    pub fn genesis_hash(&self) -> Hash {
        self.shared.genesis_hash
    }

    /// Submits at most [`SUBMISSION_MAX`] transactions and waits until their block is on disk;
    /// further ones are refused as [`Refused::Busy`]. Answers stand in the order of the
    /// transactions.
    ///
    /// # Errors
    /// [`Stopped`] when the node goes down before it answers.
    pub async fn submit(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<Answer>, Stopped> {
        let ids: Vec<_> = transactions.iter().map(|signed| signed.transaction.id()).collect();
        let mut results = vec![Err(Refused::Busy); ids.len()];
        let mut good = Vec::new();
        let verified = self.verify(transactions).await?;
        for (index, verified) in verified.into_iter().enumerate().take(SUBMISSION_MAX) {
            match verified {
                Some((verified, bytes)) => good.push((index, verified, bytes)),
                None => results[index] = Err(Refused::Signature),
            }
        }
        let mut places = Places::new(&self.shared.queue);
        // What comes after a transaction without a place would only be ahead of its nonce.
        let room = good
            .iter()
            .take_while(|(_, verified, bytes)| places.take(verified.transaction().signer, *bytes))
            .count();
        good.truncate(room);
        let placed = good.into_iter().map(|(index, verified, _)| (index, verified));
        let (indices, transactions): (Vec<_>, Vec<_>) = placed.unzip();
        if let Some(answers) = self.enqueue(transactions, places).await? {
            for (index, answer) in indices.into_iter().zip(answers) {
                results[index] = answer.map_err(Refused::Reject);
            }
        }
        self.shared.metrics.count_answers(&results);
        let answers = ids.into_iter().zip(results).map(|(id, result)| Answer { id, result });
        Ok(answers.collect())
    }

    /// Puts transactions into the queue and waits; nothing when the queue is full.
    async fn enqueue(
        &self,
        transactions: Vec<Verified>,
        places: Places,
    ) -> Result<Option<Vec<Result<u64, Reject>>>, Stopped> {
        if transactions.is_empty() {
            return Ok(None);
        }
        let (answer, answered) = oneshot::channel();
        let batch = Batch { transactions, answer, places };
        match self.shared.inbox.try_send(Inbox::Batch(batch)) {
            Ok(()) => answered.await.map(Some).map_err(|_| Stopped),
            Err(TrySendError::Full(_)) => Ok(None),
            Err(TrySendError::Disconnected(_)) => Err(Stopped),
        }
    }

    /// Checks signatures on as many cores as there are; returns those that match with their bytes.
    async fn verify(
        &self,
        mut transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<Option<(Verified, usize)>>, Stopped> {
        let genesis = self.shared.genesis_hash;
        let mut checks = Vec::new();
        while !transactions.is_empty() {
            let rest = transactions.split_off(transactions.len().min(VERIFY_CHUNK));
            let chunk = std::mem::replace(&mut transactions, rest);
            checks.push(async move {
                let _permit = self.shared.verifiers.acquire().await.map_err(|_| Stopped)?;
                let check = move || chunk.into_iter().map(|t| verify_one(t, &genesis)).collect();
                tokio::task::spawn_blocking(check).await.map_err(|_| Stopped)
            });
        }
        let checked: Vec<Vec<_>> = futures_util::future::try_join_all(checks).await?;
        Ok(checked.into_iter().flatten().collect())
    }

    /// Returns the last committed state, a fork made in O(1).
    #[must_use]
    pub fn read(&self) -> Arc<Committed> {
        Arc::clone(&self.shared.committed.borrow())
    }

    /// Returns what the last committed state says about a key, with the header that proves it.
    #[must_use]
    pub fn prove(&self, key: &Key) -> (ledger::Proved, SignedHeader) {
        let committed = self.read();
        (committed.ledger.prove(key), committed.header)
    }

    /// Returns blocks as they are committed, from the next one on. A subscriber that is more than
    /// 16 blocks behind loses some and is told so.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn subscribe(&self) -> Result<broadcast::Receiver<Arc<CommittedBlock>>, Stopped> {
        Ok(self.shared.blocks.upgrade().ok_or(Stopped)?.subscribe())
    }

    /// Returns why the node had to stop, if it had to.
    #[must_use]
    pub fn fault(&self) -> Option<Arc<str>> {
        self.shared.fault.get()
    }

    /// Returns how many transactions wait for a block.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.queue.lock().waiting
    }

    pub(crate) fn stop(&self) -> Result<(), Stopped> {
        // Waits for room, so not for a task; a full inbox empties within some blocks.
        self.shared.inbox.send(Inbox::Stop).map_err(|_| Stopped)
    }
}

fn verify_one(signed: SignedTransaction, genesis: &Hash) -> Option<(Verified, usize)> {
    let bytes = signed.to_bytes().len();
    // What is longer than any transaction may be could not be put into a block.
    if bytes > TRANSACTION_BYTES_MAX {
        return None;
    }
    signed.verify(genesis).ok().map(|verified| (verified, bytes))
}

/// How many transactions wait, in all and of each account.
#[derive(Debug, Default)]
struct Queue {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: usize,
    bytes: usize,
    of: HashMap<Address, u32>,
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        // The counts are whole between any two statements that hold the lock.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places in the queue, given back when dropped.
#[derive(Debug)]
pub(crate) struct Places {
    queue: Arc<Queue>,
    taken: Vec<Address>,
    bytes: usize,
}

impl Places {
    fn new(queue: &Arc<Queue>) -> Self {
        Self { queue: Arc::clone(queue), taken: Vec::new(), bytes: 0 }
    }

    /// Returns the bytes of the transactions that have a place.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a place for a transaction of `signer`, if there is one.
    fn take(&mut self, signer: Address, bytes: usize) -> bool {
        let mut counts = self.queue.lock();
        let of_signer = counts.of.get(&signer).copied().unwrap_or(0);
        let full = counts.waiting >= QUEUE_MAX || counts.bytes + bytes > QUEUE_BYTES_MAX;
        if full || of_signer >= QUEUE_MAX_PER_ACCOUNT {
            return false;
        }
        counts.waiting += 1;
        counts.bytes += bytes;
        self.bytes += bytes;
        counts.of.insert(signer, of_signer + 1);
        self.taken.push(signer);
        true
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let mut counts = self.queue.lock();
        counts.bytes -= self.bytes;
        for signer in self.taken.drain(..) {
            counts.waiting -= 1;
            if let Some(count) = counts.of.get_mut(&signer) {
                *count -= 1;
                if *count == 0 {
                    counts.of.remove(&signer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use types::SecretKey;

    use super::*;

    #[test]
    fn an_account_has_so_many_places_and_gets_them_back() {
        let queue = Arc::new(Queue::default());
        let [one, other] = [1, 2].map(|byte| SecretKey::from_bytes([byte; 32]).address());
        let mut places = Places::new(&queue);
        for _ in 0..QUEUE_MAX_PER_ACCOUNT {
            assert!(places.take(one, 1));
        }
        assert!(!places.take(one, 1));
        assert!(places.take(other, 1));
        drop(places);
        let Counts { waiting, bytes, of } = std::mem::take(&mut *queue.lock());
        assert_eq!((waiting, bytes, of.len()), (0, 0, 0));
        assert!(Places::new(&queue).take(one, QUEUE_BYTES_MAX));
        assert!(!Places::new(&queue).take(one, QUEUE_BYTES_MAX + 1));
    }
}
