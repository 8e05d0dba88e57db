//! Transactions that wait for a block.
//!
//! They stay until a final block holds them, or until they are refused by one that this node
//! built: what a block holds that may still be dropped is only marked with the block's height.
//! Accounts take turns in the order in which their transactions came, and of each account the
//! lowest nonce goes first. All is bounded, in all and for each account.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use types::{
    Address, Reject, TransactionId, Verified,
    limits::{BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX},
};

/// Transactions that wait.
pub(super) const COUNT_MAX: usize = 2 * BLOCK_TRANSACTIONS_MAX;
/// Bytes of transactions that wait.
pub(super) const BYTES_MAX: usize = 8 * BLOCK_BYTES_MAX;
/// Transactions of one account that wait.
const COUNT_MAX_PER_ACCOUNT: usize = 2_048;
/// Bytes before each entry of a body.
const LENGTH_BYTES: usize = 4;

/// What became of a transaction: the height of the final block that holds it, or why none does.
pub(crate) type Answer = Result<u64, Reject>;

/// A transaction that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) verified: Verified,
    /// Its encoding.
    pub(crate) bytes: Vec<u8>,
}

/// Where a transaction came from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Somebody gave it to this node and may wait for the answer.
    Here(Option<oneshot::Sender<Answer>>),
    /// Another node forwarded it.
    Peer,
}

/// What became of the wish to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    New,
    Known,
    /// There is no room.
    Full,
}

#[derive(Debug)]
struct Entry {
    waiting: Arc<Waiting>,
    answers: Vec<oneshot::Sender<Answer>>,
    /// The height of a block that holds it and may become final.
    marked: Option<u64>,
    /// The last final block when this node last spread it; nothing for what others spread.
    spread: Option<u64>,
}

#[derive(Debug, Default)]
struct Account {
    all: BTreeSet<(u64, TransactionId)>,
    /// Those that no block holds.
    ready: BTreeSet<(u64, TransactionId)>,
}

#[derive(Debug, Default)]
struct Pool {
    entries: HashMap<TransactionId, Entry>,
    accounts: HashMap<Address, Account>,
    /// At least one turn for each transaction that is ready.
    turns: VecDeque<Address>,
    marked: BTreeMap<u64, Vec<TransactionId>>,
    ready: usize,
    bytes: usize,
    /// What came here and is to be spread.
    outbox: Vec<Arc<Waiting>>,
}

/// Transactions that wait for a block.
#[derive(Debug, Default)]
pub(crate) struct Mempool {
    pool: Mutex<Pool>,
}

impl Mempool {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        // It is whole between any two statements that hold the lock.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a transaction wait; `height` is that of the last final block.
    pub(crate) fn admit(&self, waiting: Waiting, origin: Origin, height: u64) -> Admission {
        self.lock().admit(waiting, origin, height)
    }

    /// Returns whether a block is wanted: something waits that none holds.
    pub(crate) fn is_ready(&self) -> bool {
        self.lock().ready > 0
    }

    /// Returns how many transactions wait.
    pub(crate) fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// Returns how many more may wait.
    pub(crate) fn room(&self) -> usize {
        COUNT_MAX.saturating_sub(self.count())
    }

    /// Returns all that waits, each account's in the order of their nonces.
    pub(crate) fn all(&self) -> Vec<Arc<Waiting>> {
        let pool = self.lock();
        let ids = pool.accounts.values().flat_map(|account| &account.all);
        ids.filter_map(|(_, id)| Some(Arc::clone(&pool.entries.get(id)?.waiting))).collect()
    }

    /// Returns the transaction with a name, if it waits.
    pub(crate) fn get(&self, id: &TransactionId) -> Option<Arc<Waiting>> {
        self.lock().entries.get(id).map(|entry| Arc::clone(&entry.waiting))
    }

    /// Takes what goes into the block of a height, as much as a body of so many bytes holds, and
    /// marks it.
    pub(crate) fn pick(&self, height: u64, body_bytes_max: usize) -> Vec<Arc<Waiting>> {
        self.lock().pick(height, body_bytes_max)
    }

    /// Marks what a block of a height holds.
    pub(crate) fn mark(&self, height: u64, ids: &[TransactionId]) {
        let mut pool = self.lock();
        for id in ids {
            pool.mark(*id, height);
        }
    }

    /// Answers what the final block of a height holds, and what was refused when it was built.
    /// What was marked for others of its height, or below, is ready again.
    pub(crate) fn settle(
        &self,
        height: u64,
        held: &[TransactionId],
        refused: &[(TransactionId, Reject)],
    ) {
        let mut pool = self.lock();
        for id in held {
            pool.end(id, Ok(height));
        }
        let above = pool.marked.split_off(&height.saturating_add(1));
        let marked = std::mem::replace(&mut pool.marked, above);
        for id in marked.into_values().flatten() {
            pool.unmark(id);
        }
        for (id, reject) in refused {
            pool.refuse(id, *reject);
        }
    }

    /// Ends the wait of a transaction that the last final state refuses.
    pub(crate) fn refuse(&self, id: &TransactionId, reject: Reject) {
        self.lock().refuse(id, reject);
    }

    /// Takes what is to be spread.
    pub(crate) fn outbox(&self) -> Vec<Arc<Waiting>> {
        std::mem::take(&mut self.lock().outbox)
    }

    /// Takes up to `count_max` transactions that were last spread before the block of a height,
    /// each account's in the order of their nonces.
    pub(crate) fn overdue(&self, before: u64, now: u64, count_max: usize) -> Vec<Arc<Waiting>> {
        let mut pool = self.lock();
        let late = pool.entries.values_mut().filter_map(|entry| {
            let late = entry.spread.is_some_and(|spread| spread < before);
            late.then(|| {
                entry.spread = Some(now);
                Arc::clone(&entry.waiting)
            })
        });
        let mut late: Vec<_> = late.take(count_max).collect();
        drop(pool);
        late.sort_unstable_by_key(|waiting| {
            let transaction = waiting.verified.transaction();
            (transaction.signer, transaction.nonce)
        });
        late
    }
}

impl Pool {
    fn admit(&mut self, waiting: Waiting, origin: Origin, height: u64) -> Admission {
        let id = waiting.verified.id();
        let spread = matches!(origin, Origin::Here(_)).then_some(height);
        let answer = match origin {
            Origin::Here(answer) => answer,
            Origin::Peer => None,
        };
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.answers.extend(answer);
            entry.spread = entry.spread.or(spread);
            return Admission::Known;
        }
        let (signer, nonce) =
            (waiting.verified.transaction().signer, waiting.verified.transaction().nonce);
        let of_signer = self.accounts.get(&signer).map_or(0, |account| account.all.len());
        let bytes = waiting.bytes.len();
        if self.entries.len() >= COUNT_MAX
            || self.bytes + bytes > BYTES_MAX
            || of_signer >= COUNT_MAX_PER_ACCOUNT
        {
            return Admission::Full;
        }
        let waiting = Arc::new(waiting);
        if spread.is_some() {
            self.outbox.push(Arc::clone(&waiting));
        }
        let answers = answer.into_iter().collect();
        self.entries.insert(id, Entry { waiting, answers, marked: None, spread });
        let account = self.accounts.entry(signer).or_default();
        account.all.insert((nonce, id));
        account.ready.insert((nonce, id));
        self.turns.push_back(signer);
        self.bytes += bytes;
        self.ready += 1;
        Admission::New
    }

    fn pick(&mut self, height: u64, body_bytes_max: usize) -> Vec<Arc<Waiting>> {
        // What blocks from this height on hold competes with the one that is built.
        for id in self.marked.split_off(&height).into_values().flatten() {
            self.unmark(id);
        }
        let mut picked = Vec::new();
        let mut bytes = 0;
        while picked.len() < BLOCK_TRANSACTIONS_MAX
            && let Some(signer) = self.turns.front()
        {
            let account = self.accounts.get(signer);
            let next = account.and_then(|account| account.ready.first());
            let Some((_, id)) = next.copied() else {
                self.turns.pop_front();
                continue;
            };
            let waiting = Arc::clone(&self.entries[&id].waiting);
            bytes += LENGTH_BYTES + waiting.bytes.len();
            if bytes > body_bytes_max {
                break;
            }
            self.turns.pop_front();
            self.mark(id, height);
            picked.push(waiting);
        }
        picked
    }

    fn mark(&mut self, id: TransactionId, height: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.marked.is_some() {
            return;
        }
        entry.marked = Some(height);
        self.marked.entry(height).or_default().push(id);
        let transaction = entry.waiting.verified.transaction();
        if let Some(account) = self.accounts.get_mut(&transaction.signer)
            && account.ready.remove(&(transaction.nonce, id))
        {
            self.ready -= 1;
        }
    }

    fn unmark(&mut self, id: TransactionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.marked = None;
        let transaction = entry.waiting.verified.transaction();
        if let Some(account) = self.accounts.get_mut(&transaction.signer)
            && account.ready.insert((transaction.nonce, id))
        {
            self.ready += 1;
            self.turns.push_back(transaction.signer);
        }
    }

    fn refuse(&mut self, id: &TransactionId, reject: Reject) {
        // It may come after one that a block held which was dropped.
        if reject == Reject::NonceAhead && self.follows_another(id) {
            self.unmark(*id);
        } else {
            self.end(id, Err(reject));
        }
    }

    /// Returns whether a lower nonce of the same account waits.
    fn follows_another(&self, id: &TransactionId) -> bool {
        let Some(entry) = self.entries.get(id) else { return false };
        let transaction = entry.waiting.verified.transaction();
        let account = self.accounts.get(&transaction.signer);
        let first = account.and_then(|account| account.all.first());
        first.is_some_and(|(nonce, _)| *nonce < transaction.nonce)
    }

    fn end(&mut self, id: &TransactionId, answer: Answer) {
        let Some(entry) = self.entries.remove(id) else { return };
        let transaction = entry.waiting.verified.transaction();
        self.bytes -= entry.waiting.bytes.len();
        if let hash_map::Entry::Occupied(mut account) = self.accounts.entry(transaction.signer) {
            let place = (transaction.nonce, *id);
            account.get_mut().all.remove(&place);
            if account.get_mut().ready.remove(&place) {
                self.ready -= 1;
            }
            if account.get().all.is_empty() {
                account.remove();
            }
        }
        for waiter in entry.answers {
            // Who went away meanwhile needs no answer.
            let _ = waiter.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Action, Amount, Asset, Encode as _, Hash, SecretKey, Time, Transaction};

    use super::*;

    fn waiting(seed: u8, nonce: u64) -> Waiting {
        let key = SecretKey::from_bytes([seed; 32]);
        let (to, amount) = (key.address(), Amount::new(1).unwrap());
        let action = Action::Transfer { to, asset: Asset::Usd, amount };
        let transaction = Transaction { signer: key.address(), nonce, expires: Time::MAX, action };
        let signed = transaction.sign(&Hash::ZERO, &key);
        Waiting { bytes: signed.to_bytes(), verified: Verified::trust(signed) }
    }

    fn admit(pool: &Mempool, seed: u8, nonce: u64) -> TransactionId {
        let waiting = waiting(seed, nonce);
        let id = waiting.verified.id();
        assert_eq!(pool.admit(waiting, Origin::Peer, 0), Admission::New);
        id
    }

    fn ids(picked: &[Arc<Waiting>]) -> Vec<TransactionId> {
        picked.iter().map(|waiting| waiting.verified.id()).collect()
    }

    #[test]
    fn accounts_take_turns_and_nonces_their_order() {
        let pool = Mempool::default();
        let late = admit(&pool, 1, 7);
        let other = admit(&pool, 2, 0);
        let early = admit(&pool, 1, 6);
        assert_eq!(ids(&pool.pick(1, usize::MAX)), [early, other, late]);
        assert!(!pool.is_ready(), "a block holds all of them");
        assert_eq!(pool.count(), 3, "but it is not final");
    }

    #[test]
    fn what_a_dropped_block_held_is_ready_again() {
        let pool = Mempool::default();
        let [one, two, three] = [0, 1, 2].map(|nonce| admit(&pool, 1, nonce));
        let bytes = waiting(1, 0).bytes.len() + LENGTH_BYTES;
        assert_eq!(ids(&pool.pick(5, bytes)), [one]);
        assert_eq!(ids(&pool.pick(6, bytes)), [two]);
        // Built anew at the same height: what the first try held is there again.
        assert_eq!(ids(&pool.pick(6, bytes)), [two]);
        // Another block of height 5 becomes final.
        pool.settle(5, &[], &[]);
        assert_eq!(ids(&pool.pick(7, usize::MAX)), [one, three]);
        pool.settle(7, &[one, two, three], &[]);
        assert_eq!(pool.count(), 0);
        let inner = pool.lock();
        assert_eq!((inner.bytes, inner.ready, inner.accounts.len()), (0, 0, 0));
    }

    #[test]
    fn who_waits_is_answered_by_final_blocks_only() {
        let pool = Mempool::default();
        let [mut held, mut refused] = [0, 1].map(|nonce| {
            let (answer, answered) = oneshot::channel();
            pool.admit(waiting(1, nonce), Origin::Here(Some(answer)), 0);
            answered
        });
        let (again, mut also) = oneshot::channel();
        let known = pool.admit(waiting(1, 0), Origin::Here(Some(again)), 0);
        assert_eq!(known, Admission::Known);
        let picked = ids(&pool.pick(1, usize::MAX));
        assert!(held.try_recv().is_err());
        pool.settle(1, &picked[..1], &[(picked[1], Reject::FundsShort)]);
        assert_eq!(held.try_recv(), Ok(Ok(1)));
        assert_eq!(also.try_recv(), Ok(Ok(1)));
        assert_eq!(refused.try_recv(), Ok(Err(Reject::FundsShort)));
    }

    #[test]
    fn a_nonce_ahead_waits_for_those_before_it() {
        let pool = Mempool::default();
        let [first, second] = [0, 1].map(|nonce| admit(&pool, 1, nonce));
        pool.mark(4, &[first]);
        assert_eq!(ids(&pool.pick(5, usize::MAX)), [second]);
        pool.settle(5, &[], &[(second, Reject::NonceAhead)]);
        assert_eq!(ids(&pool.pick(6, usize::MAX)), [first, second]);
        pool.settle(6, &[first], &[]);
        pool.settle(7, &[], &[(second, Reject::NonceAhead)]);
        assert_eq!(pool.count(), 0, "nothing is before it any more");
    }

    #[test]
    fn an_account_has_so_many_places_and_gets_them_back() {
        let pool = Mempool::default();
        for nonce in 0..COUNT_MAX_PER_ACCOUNT as u64 {
            admit(&pool, 1, nonce);
        }
        let above = waiting(1, COUNT_MAX_PER_ACCOUNT as u64);
        assert_eq!(pool.admit(above, Origin::Peer, 0), Admission::Full);
        admit(&pool, 2, 0);
        let picked = ids(&pool.pick(1, usize::MAX));
        pool.settle(1, &picked, &[]);
        admit(&pool, 1, 0);
    }

    #[test]
    fn only_what_came_here_is_spread_and_spread_again() {
        let pool = Mempool::default();
        admit(&pool, 1, 0);
        let here = waiting(2, 0);
        let id = here.verified.id();
        pool.admit(here, Origin::Here(None), 10);
        assert_eq!(ids(&pool.outbox()), [id]);
        assert!(pool.outbox().is_empty());
        assert!(pool.overdue(10, 12, 9).is_empty());
        assert_eq!(ids(&pool.overdue(11, 13, 9)), [id]);
        assert!(pool.overdue(13, 14, 9).is_empty());
    }
}
