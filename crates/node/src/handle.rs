//! The seam between the API and the ledger: submit, read, prove, subscribe.

use std::{sync::Arc, time::Duration};

use ledger::Key;
use thiserror::Error;
use tokio::sync::{Semaphore, broadcast};
use types::{
    CertifiedHeader, Encode, Genesis, Hash, List, Reject, SignedTransaction, TransactionId,
    Verified, limits::TRANSACTION_BYTES_MAX,
};

use crate::{
    fault::Fault,
    metrics::Metrics,
    replica::{Committed, CommittedBlock, Replica},
};

/// Transactions of one submission.
pub const SUBMISSION_MAX: usize = api::limits::SUBMISSION_TRANSACTIONS_MAX;
/// Signatures that one task checks.
const VERIFY_CHUNK: usize = 64;
/// The longest that a submission waits for a final block; shorter than a request may take.
const FINAL_WAIT: Duration = Duration::from_secs(15);

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The transaction.
    pub id: TransactionId,
    /// The final block that holds it, or why none does.
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
    /// No final block holds it yet, but one may still.
    Open,
}

/// The node stopped; what became of transactions under way shows when it runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the node is stopped")]
pub struct Stopped;

/// The ledger of a node: submit transactions, read the state, prove it, hear of blocks.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    replica: Replica,
    verifiers: Semaphore,
    fault: Fault,
    metrics: Arc<Metrics>,
}

impl NodeHandle {
    pub(crate) fn new(replica: Replica, fault: Fault, metrics: Arc<Metrics>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let verifiers = Semaphore::new(cores);
        Self { shared: Arc::new(Shared { replica, verifiers, fault, metrics }) }
    }

    /// Returns what the network began from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        self.shared.replica.genesis()
    }

    /// Returns the name of the network.
    #[must_use]
    pub fn genesis_hash(&self) -> Hash {
        self.shared.replica.genesis_hash()
    }

    /// Submits transactions and waits until each is in a final block or refused, in their order.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn submit(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<Answer>, Stopped> {
        if self.fault().is_some() {
            return Err(Stopped);
        }
        let ids: Vec<_> = transactions.iter().map(|signed| signed.transaction.id()).collect();
        let mut results = vec![Err(Refused::Busy); ids.len()];
        let (mut indices, mut good) = (Vec::new(), Vec::new());
        let verified = self.verify(transactions).await?;
        for (index, verified) in verified.into_iter().enumerate().take(SUBMISSION_MAX) {
            match verified {
                Some(verified) => {
                    indices.push(index);
                    good.push(verified);
                }
                None => results[index] = Err(Refused::Signature),
            }
        }
        let answers = self.shared.replica.submit(good);
        let until = tokio::time::Instant::now() + FINAL_WAIT;
        for (index, answer) in indices.into_iter().zip(answers) {
            let Some(answer) = answer else { continue };
            let answer = tokio::select! {
                // What is final is told, even by a node that stops.
                biased;
                answer = tokio::time::timeout_at(until, answer) => answer,
                _ = self.shared.fault.wait() => return Err(Stopped),
            };
            results[index] = match answer {
                Ok(Ok(answer)) => answer.map_err(Refused::Reject),
                Ok(Err(_)) => return Err(Stopped),
                Err(_) => Err(Refused::Open),
            };
        }
        self.shared.metrics.count_answers(&results);
        let answers = ids.into_iter().zip(results).map(|(id, result)| Answer { id, result });
        Ok(answers.collect())
    }

    /// Checks signatures on as many cores as there are; returns those that match.
    async fn verify(
        &self,
        mut transactions: Vec<SignedTransaction>,
    ) -> Result<Vec<Option<Verified>>, Stopped> {
        let genesis = self.genesis_hash();
        let mut checks = Vec::new();
        while !transactions.is_empty() {
            let rest = transactions.split_off(transactions.len().min(VERIFY_CHUNK));
            let chunk = std::mem::replace(&mut transactions, rest);
            checks.push(async move {
                let _permit = self.shared.verifiers.acquire().await.map_err(|_| Stopped)?;
                let check = move || verify_all(chunk, &genesis);
                tokio::task::spawn_blocking(check).await.map_err(|_| Stopped)
            });
        }
        let checked: Vec<Vec<_>> = futures_util::future::try_join_all(checks).await?;
        Ok(checked.into_iter().flatten().collect())
    }

    /// Returns the last final state, a fork made in O(1).
    #[must_use]
    pub fn read(&self) -> Arc<Committed> {
        self.shared.replica.committed()
    }

    /// Returns what the last final state says about a key, with the header that proves it;
    /// nothing where validators' signatures of it are not there yet.
    #[must_use]
    pub fn prove(&self, key: &Key) -> Option<(ledger::Proved, CertifiedHeader)> {
        let committed = self.read();
        let certificate = committed.certificate.clone()?;
        let header =
            CertifiedHeader { header: committed.header, later: List::default(), certificate };
        Some((committed.ledger.prove(key), header))
    }

    /// Returns blocks as they become final, from the next one on. A subscriber that is more than
    /// 16 blocks behind loses some and is told so.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CommittedBlock>> {
        self.shared.replica.subscribe()
    }

    /// Returns why the node had to stop, if it had to.
    #[must_use]
    pub fn fault(&self) -> Option<Arc<str>> {
        self.shared.fault.get()
    }

    /// Returns how many transactions wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.replica.waiting()
    }
}

fn verify_all(signed: Vec<SignedTransaction>, genesis: &Hash) -> Vec<Option<Verified>> {
    // What is longer than any transaction may be could not be put into a block.
    let fits = |verified: &Verified| verified.signed().to_bytes().len() <= TRANSACTION_BYTES_MAX;
    let verified = SignedTransaction::verify_all(signed, genesis).into_iter();
    verified.map(|verified| verified.filter(fits)).collect()
}
