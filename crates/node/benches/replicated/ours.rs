//! The real ledger and mempool.

use std::time::{Duration, Instant};

use node::replica::{Replica, ReplicaSettings, attend, check};
use tokio::sync::oneshot::Receiver;
use types::{
    Amount, BeaconKey, BeaconShare, Genesis, GenesisWallet, List, Parameters, PublicKey, Reject,
    SecretKey, SignedTransaction, Text, Time, Validator,
};

use crate::chains::{self, Member};
use crate::load::{BATCH, keys, signed};

/// A network whose nodes are in this process.
pub(crate) struct Network {
    pub(crate) replicas: Vec<Replica>,
    chains: Vec<chain::Running>,
    messengers: Vec<tokio::task::JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

fn genesis(members: &[Member]) -> Genesis {
    let validator = |(_, validator): &Member| Validator {
        key: PublicKey::from_bytes(validator.key),
        beacon: BeaconKey::from_bytes(validator.beacon.key),
        proof: BeaconShare::from_bytes(validator.beacon.proof),
    };
    Genesis {
        network: Text::new("bench").expect("short"),
        time: Time::from_ms(api::now().as_ms() - 1_000),
        rules: ledger::RULES,
        token: true,
        validators: Validator::in_order(members.iter().map(validator).collect()).expect("few"),
        issuers: List::default(),
        wallets: List::default(),
        parameters: Parameters::local(),
    }
}

impl Network {
    async fn start(validators: u8, accounts: &[SecretKey]) -> Self {
        let amount = Amount::new(1_000_000_000).expect("in range");
        let wallet = |key: &SecretKey| GenesisWallet { address: key.address(), amount };
        let wallets = List::new(accounts.iter().map(wallet).collect()).expect("within the bound");
        Self::start_with(validators, |genesis| genesis.wallets = wallets).await
    }

    /// Starts a network from a genesis that still can be changed.
    pub(crate) async fn start_with(validators: u8, change: impl FnOnce(&mut Genesis)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let members = chains::members(validators);
        let mut genesis = genesis(&members);
        change(&mut genesis);
        let replica = |place| {
            let read_time = Box::new(Ok);
            let settings = ReplicaSettings { place: Some(place), read_time, rules: ledger::RULES };
            Replica::new(genesis.clone(), settings).expect("a good genesis")
        };
        let replicas: Vec<Replica> = (0..members.len()).map(replica).collect();
        let machines = replicas.iter().map(Replica::machine).collect();
        let (hash, time) = (*genesis.hash().as_bytes(), genesis.time.as_ms());
        let chains = chains::start(&members, hash, time, directory.path(), machines).await;
        for (replica, chain) in replicas.iter().zip(&chains) {
            replica.connect(chain.handle().clone());
        }
        let messengers = replicas.iter().cloned().map(|replica| tokio::spawn(attend(replica)));
        let messengers = messengers.collect();
        Self { replicas, chains, messengers, _directory: directory }
    }

    pub(crate) async fn stop(self) {
        for messenger in &self.messengers {
            messenger.abort();
        }
        chains::stop(self.chains).await;
    }
}

/// Submits transactions to a replica, in their order, and waits until all are final.
pub(crate) async fn submit_all(replica: Replica, transactions: Vec<SignedTransaction>) {
    let mut open: Vec<Receiver<Result<u64, Reject>>> = Vec::new();
    let mut rest = transactions.into_iter();
    loop {
        let batch: Vec<_> = rest.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        let genesis = replica.genesis_hash();
        let checked = tokio::task::spawn_blocking(move || check(batch, &genesis)).await;
        let mut verified: Vec<_> = checked.expect("checking works").into_iter().flatten().collect();
        while !verified.is_empty() {
            let again = verified.clone();
            let answers = replica.submit(verified);
            let placed = answers.iter().take_while(|answer| answer.is_some()).count();
            open.extend(answers.into_iter().flatten());
            verified = again.into_iter().skip(placed).collect();
            if !verified.is_empty() {
                // There is no room: wait for the oldest.
                let oldest = open.drain(..open.len().min(BATCH)).collect::<Vec<_>>();
                finish(oldest).await;
            }
        }
    }
    finish(open).await;
}

async fn finish(open: Vec<Receiver<Result<u64, Reject>>>) {
    for answer in open {
        let answer = answer.await.expect("the node runs");
        assert!(answer.is_ok(), "{answer:?}");
    }
}

/// Returns how many transfers a second become final.
pub(crate) async fn transfers_per_second(validators: u8, count: usize) -> f64 {
    let accounts = keys();
    let network = Network::start(validators, &accounts).await;
    let genesis = network.replicas[0].genesis_hash();
    let parts = signed(&genesis, &accounts, count, network.replicas.len());
    let began = Instant::now();
    let each = network.replicas.iter().cloned().zip(parts);
    let all = each.map(|(replica, part)| tokio::spawn(submit_all(replica, part)));
    for done in all.collect::<Vec<_>>() {
        done.await.expect("all are final");
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    network.stop().await;
    rate
}

/// Returns how long transfers take until they are final, so many a second being sent.
pub(crate) async fn times_to_final(
    validators: u8,
    per_second: u32,
    length: Duration,
) -> Vec<Duration> {
    let accounts = keys();
    let network = Network::start(validators, &accounts).await;
    let genesis = network.replicas[0].genesis_hash();
    let seconds = usize::try_from(length.as_secs()).expect("some seconds");
    let count = usize::try_from(per_second).expect("some hundreds") * seconds;
    let parts = signed(&genesis, &accounts, count, network.replicas.len());
    let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    let mut clock = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut waiting = Vec::with_capacity(count);
    for number in 0..count {
        clock.tick().await;
        let node = number % network.replicas.len();
        let Some(transaction) = parts[node].next() else { continue };
        let (began, replica) = (Instant::now(), network.replicas[node].clone());
        waiting.push(tokio::spawn(async move {
            let checked = check(vec![transaction], &replica.genesis_hash());
            let answers = replica.submit(checked.into_iter().flatten().collect());
            let answer = answers.into_iter().flatten().next().expect("there is room");
            answer.await.expect("the node runs").expect("a good transfer");
            began.elapsed()
        }));
    }
    let mut times = Vec::with_capacity(count);
    for time in waiting {
        times.push(time.await.expect("it is final"));
    }
    network.stop().await;
    times
}
