//! Transfers without end: one account for each node, whose transfers go to that node first, and to
//! the others where it does not answer for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use api::{Client, ClientError, Outcome, Refusal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use types::{
    Action, Address, Amount, Asset, Duration as Length, Hash, Reject, SecretKey, SignedTransaction,
    Transaction, TransactionId,
};

use crate::common::{patiently, until};

/// Transfers that an account sends at a time.
const BATCH: usize = 8;
/// The pause between two batches of an account.
const BATCH_EVERY: Duration = Duration::from_millis(50);
/// The pause before a batch is sent to another node.
const AGAIN_EVERY: Duration = Duration::from_millis(100);
/// How long a transfer stays good: longer than any test.
const LIFETIME: Length = Length::from_seconds(4 * 3_600);
/// The longest that everything under way may take to end once nothing fails any more.
const END_MAX: Duration = Duration::from_secs(60);
/// The longest until acknowledgements go on where they must.
pub(super) const GO_ON_MAX: Duration = Duration::from_secs(30);
/// How long a node may take to tell a block that is final.
const BLOCK_MAX: Duration = Duration::from_secs(30);

/// What was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The block of each transfer.
    acknowledged: BTreeMap<TransactionId, u64>,
    /// What each account sent, and had before.
    senders: BTreeMap<Address, (u64, Amount)>,
    sink: Option<Address>,
}

impl Record {
    pub(super) fn count(&self) -> usize {
        self.acknowledged.len()
    }

    /// Checks that a node that stands at a height tells every acknowledged transfer, once and in
    /// the block that was said, and that its balances are what they must be.
    pub(super) async fn holds(&self, node: usize, client: &Client, height: u64) {
        let mut told = BTreeMap::new();
        for height in 1..=height {
            let block =
                until("a final block", BLOCK_MAX, || async { client.block(height).await.ok() });
            for transaction in block.await.transactions {
                let before = told.insert(transaction.id, height);
                assert_eq!(before, None, "node {node} has {} twice", transaction.id);
            }
        }
        for (id, height) in &self.acknowledged {
            let found = told.get(id);
            assert_eq!(found, Some(height), "node {node} lost {id}");
        }
        let usd = |address| async move {
            patiently(|| client.account(address)).await.unwrap().balances.usd.get()
        };
        let mut sent = 0;
        for (sender, (count, before)) in &self.senders {
            assert_eq!(usd(*sender).await, before.get() - count, "{sender} at node {node}");
            sent += count;
        }
        assert_eq!(usd(self.sink.unwrap()).await, sent, "what arrived at node {node}");
    }
}

/// Everything that goes on.
pub(super) struct Load {
    record: Arc<Mutex<Record>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Begins once the accounts have funds, which the first node gives.
    pub(super) async fn begin(clients: &[Client]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let key = |number: usize| SecretKey::from_bytes([u8::try_from(number).unwrap() + 1; 32]);
        let sink = key(clients.len()).address();
        let record = Arc::new(Mutex::new(Record { sink: Some(sink), ..Record::default() }));
        let genesis = patiently(|| clients[0].network()).await.unwrap().genesis;
        let mut tasks = JoinSet::new();
        for place in 0..clients.len() {
            let key = key(place);
            let given = clients[0].faucet(key.address()).await.unwrap().funds.usd;
            record.lock().unwrap().senders.insert(key.address(), (0, given));
            let hand = Hand {
                clients: clients.to_vec(),
                place,
                key,
                sink,
                genesis,
                nonce: 0,
                record: Arc::clone(&record),
                stopped: stopped.clone(),
            };
            tasks.spawn(hand.work());
        }
        Self { record, stop, tasks }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// Returns how many transfers are acknowledged.
    pub(super) fn count(&self) -> usize {
        self.record().count()
    }

    /// Returns the newest block of which something was acknowledged.
    pub(super) fn newest(&self) -> u64 {
        self.record().acknowledged.values().copied().max().unwrap_or_default()
    }

    /// Waits until so many more transfers are acknowledged, and returns how long it took.
    pub(super) async fn goes_on(&self, count: usize) -> Duration {
        let (began, wanted) = (Instant::now(), self.count() + count);
        until("acknowledgements", GO_ON_MAX, || async { (self.count() >= wanted).then_some(()) })
            .await;
        began.elapsed()
    }

    /// Begins nothing new, and waits until everything under way is acknowledged.
    pub(super) async fn end(mut self) -> Record {
        self.stop.send_replace(true);
        let all = async {
            while let Some(task) = self.tasks.join_next().await {
                task.unwrap();
            }
        };
        timeout(END_MAX, all).await.expect("everything is acknowledged once nothing fails");
        std::mem::take(&mut self.record())
    }
}

/// Who sends from one account.
struct Hand {
    clients: Vec<Client>,
    /// The node that it asks first.
    place: usize,
    key: SecretKey,
    sink: Address,
    genesis: Hash,
    nonce: u64,
    record: Arc<Mutex<Record>>,
    stopped: watch::Receiver<bool>,
}

impl Hand {
    async fn work(mut self) {
        let mut tick = every(BATCH_EVERY);
        while !*self.stopped.borrow() {
            tick.tick().await;
            let batch = self.sign();
            self.deliver(batch).await;
        }
    }

    fn sign(&mut self) -> Vec<SignedTransaction> {
        let one = Amount::new(1).unwrap();
        let action = Action::Transfer { to: self.sink, asset: Asset::Usd, amount: one };
        let first = self.nonce;
        self.nonce += BATCH as u64;
        let expires = api::now().after(LIFETIME);
        let transfer = |nonce| {
            let signer = self.key.address();
            let transaction = Transaction { signer, nonce, expires, action: action.clone() };
            transaction.sign(&self.genesis, &self.key)
        };
        (first..self.nonce).map(transfer).collect()
    }

    /// Sends a batch as it is to one node after the other, until all of it is acknowledged.
    async fn deliver(&self, mut batch: Vec<SignedTransaction>) {
        let mut tick = every(AGAIN_EVERY);
        for try_number in 0.. {
            tick.tick().await;
            let client = &self.clients[(self.place + try_number) % self.clients.len()];
            match client.submit(&batch).await {
                Ok(submitted) => {
                    let mut is_open = submitted.results.into_iter().map(|one| !self.note(one));
                    batch.retain(|_| is_open.next().unwrap());
                }
                Err(error) => assert!(is_away(&error), "{}: {error}", client.address()),
            }
            if batch.is_empty() {
                return;
            }
        }
    }

    /// Takes what became of a transfer; returns whether it is acknowledged.
    fn note(&self, outcome: Outcome) -> bool {
        let Outcome { id, height, reject } = outcome;
        let mut record = self.record.lock().unwrap();
        if let Some(height) = height {
            assert_eq!(record.acknowledged.insert(id, height), None, "{id} is acknowledged twice");
            record.senders.get_mut(&self.key.address()).unwrap().0 += 1;
            return true;
        }
        let refusal = reject.unwrap();
        let is_open = refusal.code == Refusal::BUSY
            || refusal.code == Refusal::OPEN
            // One before it found no place.
            || refusal.reject() == Some(Reject::NonceAhead);
        assert!(is_open, "{id}: {refusal:?}");
        false
    }
}

/// Returns whether a node may answer so that goes down, or comes up.
fn is_away(error: &ClientError) -> bool {
    error.is_transient() || matches!(error, ClientError::Problem { status: 500.., .. })
}

fn every(pause: Duration) -> Interval {
    let mut tick = interval(pause);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
