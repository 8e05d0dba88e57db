//! An account's key at work: nonces, signatures, batches and retries.
//!
//! One batch is under way at a time, so nonces follow each other without gaps. A batch whose
//! answer is lost is sent again as it is: a transaction that is in a block already is answered
//! with that block, so nothing happens twice. Where another agent used the account meanwhile, or
//! an earlier transaction was refused, the nonces are fetched anew and what did not happen is
//! signed again.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::sync::Mutex;
use types::{
    Action, Address, Encode, Hash, Reject, SecretKey, SignedTransaction, Time, Transaction,
    TransactionId,
};

use super::{Client, ClientError};
use crate::{
    limits::{SUBMISSION_BYTES_MAX, SUBMISSION_TRANSACTIONS_MAX},
    now,
    wire::{Outcome, Refusal},
};

/// How long a transaction stays good. Long enough for every retry, short enough that nothing
/// surprises later.
const LIFETIME: types::Duration = types::Duration::from_seconds(600);
/// Times that an action is signed anew.
const ROUNDS_MAX: u32 = 8;
/// Times that a batch without an answer is sent again.
const RETRIES_MAX: u32 = 6;
/// The wait before the first retry; doubled for each further one.
const RETRY_WAIT: Duration = Duration::from_millis(50);

/// A transaction that is in a block on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The transaction.
    pub id: TransactionId,
    /// The block.
    pub height: u64,
}

/// Why an action did not happen, or may not have.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// The ledger refused it.
    #[error("{} ({})", .0.meaning, .0.code)]
    Refused(Refusal),
    /// The node could not be asked; what became of the action is open.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl SubmitError {
    /// Returns the ledger's rejection, if it is one.
    #[must_use]
    pub fn reject(&self) -> Option<Reject> {
        match self {
            Self::Refused(refusal) => refusal.reject(),
            Self::Client(_) => None,
        }
    }
}

/// Submits actions in the name of one key. Cheap to clone; clones share the nonces.
#[derive(Debug, Clone)]
pub struct Submitter {
    client: Client,
    key: Arc<SecretKey>,
    genesis: Hash,
    /// The next nonce, while it is known.
    nonce: Arc<Mutex<Option<u64>>>,
}

impl Submitter {
    /// Takes a key for the network of `genesis`.
    #[must_use]
    pub fn new(client: Client, key: Arc<SecretKey>, genesis: Hash) -> Self {
        Self { client, key, genesis, nonce: Arc::default() }
    }

    /// Returns the address whose key this is.
    #[must_use]
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Returns the hash of the network's genesis.
    #[must_use]
    pub const fn genesis(&self) -> Hash {
        self.genesis
    }

    /// Returns the client that it submits through.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Submits one action and waits until it is on disk.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, action: Action) -> Result<Accepted, SubmitError> {
        self.submit_noted(action, |_| ()).await
    }

    /// Submits one action as [`Self::submit`] does, and hands the name of its transaction to
    /// `note` each time before it is sent under a new one. So it is known what to look for where
    /// no answer comes, or nobody waits for it any more; one of an earlier name was refused.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit_noted(
        &self,
        action: Action,
        mut note: impl FnMut(TransactionId) + Send,
    ) -> Result<Accepted, SubmitError> {
        let mut note = |signed: &[SignedTransaction]| {
            signed.iter().for_each(|signed| note(signed.transaction.id()));
        };
        let results = self.submit_in_rounds(vec![action], &mut note).await?;
        let result = results.into_iter().next().expect("one result for each action");
        result.map_err(SubmitError::Refused)
    }

    /// Submits actions in their order and returns what became of each. An action that is refused
    /// does not keep later ones from happening.
    ///
    /// # Errors
    /// [`ClientError`] when the node cannot be asked; what became of the actions is then open.
    pub async fn submit_all(
        &self,
        actions: Vec<Action>,
    ) -> Result<Vec<Result<Accepted, Refusal>>, ClientError> {
        self.submit_in_rounds(actions, &mut |_| ()).await
    }

    /// Submits actions, and hands what is signed to `note` before it is sent.
    async fn submit_in_rounds(
        &self,
        actions: Vec<Action>,
        note: &mut (dyn FnMut(&[SignedTransaction]) + Send),
    ) -> Result<Vec<Result<Accepted, Refusal>>, ClientError> {
        let mut nonce = self.nonce.lock().await;
        let mut results: Vec<Option<Result<Accepted, Refusal>>> = vec![None; actions.len()];
        for round in 0..ROUNDS_MAX {
            let open: Vec<usize> =
                (0..actions.len()).filter(|index| results[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let first = match nonce.take() {
                Some(first) => first,
                None => self.fetch_nonce().await?,
            };
            let signed = self.sign(first, open.iter().map(|index| actions[*index].clone()));
            note(&signed);
            let outcomes = self.send(&signed).await?;
            let last_round = round + 1 == ROUNDS_MAX;
            let mut accepted = 0;
            for (index, outcome) in open.into_iter().zip(outcomes) {
                accepted += u64::from(outcome.height.is_some());
                results[index] = settle(outcome, last_round)?;
            }
            // The nonces are as expected only if everything happened that took one.
            *nonce = (accepted == signed.len() as u64).then(|| first + accepted);
        }
        Ok(results.into_iter().flatten().collect())
    }

    async fn fetch_nonce(&self) -> Result<u64, ClientError> {
        let account = retry(|| self.client.account(self.address())).await?;
        Ok(account.account.map_or(0, |account| account.nonce))
    }

    fn sign(&self, first: u64, actions: impl Iterator<Item = Action>) -> Vec<SignedTransaction> {
        let expires: Time = now().after(LIFETIME);
        let signer = self.address();
        let transaction = |(nonce, action)| Transaction { signer, nonce, expires, action };
        (first..).zip(actions).map(transaction).map(|t| t.sign(&self.genesis, &self.key)).collect()
    }

    /// Sends transactions in as many batches as their bytes need.
    async fn send(&self, signed: &[SignedTransaction]) -> Result<Vec<Outcome>, ClientError> {
        let mut outcomes = Vec::with_capacity(signed.len());
        for batch in batches(signed) {
            outcomes.extend(retry(|| self.client.submit(batch)).await?.results);
        }
        Ok(outcomes)
    }
}

/// Returns what became of an action, or nothing if it is to be signed and sent again.
fn settle(
    outcome: Outcome,
    last_round: bool,
) -> Result<Option<Result<Accepted, Refusal>>, ClientError> {
    let Outcome { id, height, reject } = outcome;
    match (height, reject) {
        (Some(height), None) => Ok(Some(Ok(Accepted { id, height }))),
        (None, Some(refusal)) => {
            let again = matches!(refusal.reject(), Some(Reject::NonceStale | Reject::NonceAhead))
                || refusal.code == Refusal::BUSY;
            Ok(if again && !last_round { None } else { Some(Err(refusal)) })
        }
        _ => Err(ClientError::Answer("a transaction is neither accepted nor refused".to_owned())),
    }
}

/// Cuts transactions into batches that a node takes.
fn batches(signed: &[SignedTransaction]) -> impl Iterator<Item = &[SignedTransaction]> {
    // Two digits a byte, and what JSON puts around each.
    let json_bytes = |signed: &SignedTransaction| signed.to_bytes().len() * 2 + 8;
    let mut rest = signed;
    std::iter::from_fn(move || {
        let mut bytes = 64;
        let count = rest
            .iter()
            .take(SUBMISSION_TRANSACTIONS_MAX)
            .take_while(|signed| {
                bytes += json_bytes(signed);
                bytes <= SUBMISSION_BYTES_MAX
            })
            .count();
        let (batch, after) = rest.split_at(count);
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Asks again, each time after a longer wait, while the node may just be away.
async fn retry<T, F>(ask: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut wait = RETRY_WAIT;
    for _ in 0..RETRIES_MAX {
        match ask().await {
            Err(error) if error.is_transient() => tokio::time::sleep(wait).await,
            result => return result,
        }
        wait *= 2;
    }
    ask().await
}

#[cfg(test)]
mod tests {
    use types::Amount;

    use super::*;

    fn transfers(count: usize) -> Vec<SignedTransaction> {
        let key = SecretKey::from_bytes([1; 32]);
        let to = key.address();
        let client = Client::new("http://127.0.0.1:1").unwrap();
        let submitter = Submitter::new(client, Arc::new(key), Hash::ZERO);
        let action = Action::Transfer { to, asset: types::Asset::Usd, amount: Amount::ZERO };
        submitter.sign(5, std::iter::repeat_n(action, count))
    }

    #[test]
    fn nonces_follow_each_other() {
        let nonces: Vec<u64> = transfers(3).iter().map(|signed| signed.transaction.nonce).collect();
        assert_eq!(nonces, [5, 6, 7]);
    }

    #[test]
    fn batches_hold_everything_once_within_the_bounds() {
        let signed = transfers(600);
        let sizes: Vec<usize> = batches(&signed).map(<[_]>::len).collect();
        assert_eq!(sizes, [256, 256, 88]);
        assert_eq!(batches(&signed).flatten().count(), 600);
        assert_eq!(batches(&[]).count(), 0);
    }

    #[test]
    fn only_a_wrong_nonce_or_a_full_node_is_tried_again() {
        let outcome = |reject: Refusal| Outcome {
            id: TransactionId::from_bytes([0; 32]),
            height: None,
            reject: Some(reject),
        };
        let again = |refusal: Refusal| settle(outcome(refusal), false).unwrap().is_none();
        assert!(again(Reject::NonceStale.into()));
        assert!(again(Reject::NonceAhead.into()));
        assert!(!again(Reject::FundsShort.into()));
        let busy = Refusal { code: Refusal::BUSY.to_owned(), meaning: String::new() };
        assert!(again(busy.clone()));
        assert!(settle(outcome(busy), true).unwrap().is_some());
    }
}
