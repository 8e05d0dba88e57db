//! A machine that does nothing but check signatures and book transfers.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use chain::{
    Built, Chunk, Finalized, Handle, Header, Machine, Refusal, Restore, Setting, State, Trust,
    Wanted,
};
use node::replica::check;
use tokio::sync::Notify;
use types::{
    Action, Address, Decode as _, Encode as _, Hash, SignedTransaction, Verified, body,
    limits::BLOCK_TRANSACTIONS_MAX,
};

use crate::chains;
use crate::load::{BATCH, keys, signed};

/// What each account holds at first.
const FUNDS: u64 = 1_000_000_000;
const GENESIS: [u8; 32] = [3; 32];

/// What waits at a node, and how many transfers are final there.
#[derive(Default)]
struct Node {
    waiting: Mutex<VecDeque<(Verified, Vec<u8>)>>,
    finals: AtomicUsize,
    told: Notify,
}

/// Balance and next nonce of each account.
type Balances = HashMap<Address, (u64, u64)>;

#[derive(Clone)]
struct Booked {
    node: Arc<Node>,
    balances: Arc<Balances>,
    root: [u8; 32],
    count: usize,
}

fn book(balances: &mut Balances, verified: &Verified) -> bool {
    let transaction = verified.transaction();
    let Action::Transfer { to, amount, .. } = transaction.action else { return false };
    let Some((held, nonce)) = balances.get_mut(&transaction.signer) else { return false };
    let Some(left) = held.checked_sub(amount.get()) else { return false };
    if *nonce != transaction.nonce {
        return false;
    }
    (*held, *nonce) = (left, *nonce + 1);
    balances.entry(to).or_default().0 += amount.get();
    true
}

impl Booked {
    fn after(&self, balances: Balances, body: &[u8], count: usize) -> Arc<Self> {
        let root = *Hash::of("bench root", &[&self.root, body]).as_bytes();
        Arc::new(Self { node: Arc::clone(&self.node), balances: Arc::new(balances), root, count })
    }
}

impl State for Booked {
    fn root(&self) -> chain::Hash {
        self.root
    }

    fn wanted(&self) -> Wanted {
        let empty = self.node.waiting.lock().expect("whole").is_empty();
        if empty { Wanted::No } else { Wanted::Now }
    }

    fn build(&self, _: &Setting, body_bytes_max: usize) -> Result<Built, Refusal> {
        let mut balances = (*self.balances).clone();
        let mut bytes = Vec::new();
        let mut count = 0;
        let mut waiting = self.node.waiting.lock().expect("whole");
        while let Some((verified, entry)) = waiting.front() {
            if count == BLOCK_TRANSACTIONS_MAX || bytes.len() + entry.len() + 4 > body_bytes_max {
                break;
            }
            assert!(book(&mut balances, verified), "transfers come in order");
            body::push_entry(&mut bytes, entry);
            waiting.pop_front();
            count += 1;
        }
        let after = self.after(balances, &bytes, count);
        Ok(Built { body: bytes.into(), after })
    }

    fn execute(&self, _: &Setting, body: &Bytes, trust: Trust) -> Result<Arc<dyn State>, Refusal> {
        let invalid = || Refusal::Invalid("a transfer is none".to_owned());
        let entries = body::entries(body, BLOCK_TRANSACTIONS_MAX).map_err(|_| invalid())?;
        let read = |entry: &[u8]| SignedTransaction::from_bytes(entry).map_err(|_| invalid());
        let all = entries.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<Verified> = match trust {
            Trust::Finalized => all.into_iter().map(Verified::trust).collect(),
            Trust::Candidate => check(all, &Hash::from_bytes(GENESIS))
                .into_iter()
                .collect::<Option<_>>()
                .ok_or_else(invalid)?,
        };
        let mut balances = (*self.balances).clone();
        if !all.iter().all(|verified| book(&mut balances, verified)) {
            return Err(invalid());
        }
        Ok(self.after(balances, body, all.len()))
    }

    fn chunk(&self, _: &[u8]) -> Option<Chunk> {
        None
    }
}

struct Bare {
    node: Arc<Node>,
    genesis: Arc<Balances>,
}

impl Machine for Bare {
    fn genesis(&self) -> Arc<dyn State> {
        let (node, balances) = (Arc::clone(&self.node), Arc::clone(&self.genesis));
        Arc::new(Booked { node, balances, root: [0; 32], count: 0 })
    }

    fn restore(&self, _: chain::Hash) -> Box<dyn Restore> {
        unreachable!("all start together")
    }

    fn resumed(&self, _: &Header, _: &Arc<dyn State>) {}

    fn finalized(&self, block: &Finalized) {
        let after: &dyn std::any::Any = block.after.as_ref();
        let booked: &Booked = after.downcast_ref().expect("its own");
        self.node.finals.fetch_add(booked.count, Ordering::Relaxed);
        self.node.told.notify_waiters();
    }

    fn heard(&self, _: Bytes) {}

    fn failed(&self, why: String) {
        panic!("{why}");
    }

    fn time(&self, clock_ms: u64) -> Result<u64, String> {
        Ok(clock_ms)
    }
}

async fn submit_all(node: Arc<Node>, chain: Handle, transactions: Vec<SignedTransaction>) {
    let mut rest = transactions.into_iter();
    loop {
        let batch: Vec<_> = rest.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return;
        }
        let checked = tokio::task::spawn_blocking(move || check(batch, &Hash::from_bytes(GENESIS)));
        let verified = checked.await.expect("checking works").into_iter().flatten();
        let entries: Vec<_> = verified
            .map(|verified| {
                let bytes = verified.signed().to_bytes();
                (verified, bytes)
            })
            .collect();
        node.waiting.lock().expect("whole").extend(entries);
        chain.wake();
    }
}

/// Returns how many transfers a second become final.
pub(crate) async fn transfers_per_second(validators: u8, count: usize) -> f64 {
    let accounts = keys();
    let members = chains::members(validators);
    let directory = tempfile::tempdir().expect("a directory");
    let funded = accounts.iter().map(|key| (key.address(), (FUNDS, 0))).collect();
    let genesis: Arc<Balances> = Arc::new(funded);
    let nodes: Vec<Arc<Node>> = members.iter().map(|_| Arc::default()).collect();
    let machine = |node: &Arc<Node>| -> Arc<dyn Machine> {
        Arc::new(Bare { node: Arc::clone(node), genesis: Arc::clone(&genesis) })
    };
    let machines = nodes.iter().map(machine).collect();
    let time = api::now().as_ms() - 1_000;
    let chains = chains::start(&members, GENESIS, time, directory.path(), machines).await;
    let parts = signed(&Hash::from_bytes(GENESIS), &accounts, count, nodes.len());
    let began = Instant::now();
    let each = nodes.iter().cloned().zip(&chains).zip(parts);
    let all = each
        .map(|((node, chain), part)| tokio::spawn(submit_all(node, chain.handle().clone(), part)));
    for done in all.collect::<Vec<_>>() {
        done.await.expect("all are submitted");
    }
    loop {
        let told = nodes[0].told.notified();
        if nodes[0].finals.load(Ordering::Relaxed) == count {
            break;
        }
        told.await;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    chains::stop(chains).await;
    rate
}
