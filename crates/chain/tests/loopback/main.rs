//! Chains on this machine's own network and disk.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

#[path = "../counter/mod.rs"]
mod counter;
mod hostile;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use chain::{
    BeaconKey, Connections, OFFER_EVERY, Peer, Running, Settings, Timing, Validator, launch,
    public_key,
};
use zeroize::Zeroizing;

use counter::{Counter, Replica, assert_agreement};

/// A node's secret and what others know of it.
fn members(count: u8) -> Vec<(Zeroizing<[u8; 32]>, Validator)> {
    let member = |byte| {
        let secret = Zeroizing::new([byte; 32]);
        let key: &[u8] = &public_key(&secret);
        let key = key.try_into().unwrap();
        let beacon = BeaconKey::derive(&secret);
        (secret, Validator { key, beacon })
    };
    let mut members: Vec<_> = (1..=count).map(member).collect();
    members.sort_by_key(|(_, validator)| validator.key);
    members
}

/// Returns so many addresses that are free now.
fn addresses(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

const GENESIS: [u8; 32] = [9; 32];

async fn start(
    members: &[(Zeroizing<[u8; 32]>, Validator)],
    addresses: &[SocketAddr],
    place: usize,
    directory: &Path,
    counter: &Arc<Counter>,
) -> Running {
    start_among(members, members.len(), addresses, place, directory, counter).await
}

/// Starts a node where only the first of its peers vote.
async fn start_among(
    members: &[(Zeroizing<[u8; 32]>, Validator)],
    validators: usize,
    addresses: &[SocketAddr],
    place: usize,
    directory: &Path,
    counter: &Arc<Counter>,
) -> Running {
    let settings = Settings {
        genesis: GENESIS,
        genesis_time_ms: 1_000,
        validators: members[..validators].iter().map(|(_, validator)| *validator).collect(),
        secret: members[place].0.clone(),
        peers: members.len() - 1,
        body_bytes_max: 1_024,
        blocks_kept: u64::MAX,
        offer_every: OFFER_EVERY,
        timing: Timing::of(validators),
        partition: "chain".to_owned(),
    };
    let others = (0..members.len()).filter(|other| *other != place);
    let peer = |other: usize| Peer {
        key: members[other].1.key,
        address: Some(addresses[other].to_string().parse().unwrap()),
    };
    let connections = Connections {
        listen: addresses[place],
        peers: others.map(peer).collect(),
        directory: directory.join(place.to_string()),
    };
    let machine = Arc::new(Replica(Arc::clone(counter)));
    launch(settings, connections, machine, Box::new(())).await.unwrap()
}

/// Waits until what these counters were told is so.
async fn until(what: &str, counters: &[Arc<Counter>], holds: impl Fn(&Counter) -> bool) {
    for counter in counters {
        let told = async {
            loop {
                let told = counter.told.notified();
                if holds(counter) {
                    return;
                }
                told.await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), told).await.is_ok(), "never: {what}");
    }
}

fn give(counter: &Counter, node: &Running, number: u64) {
    counter.waiting.lock().unwrap().insert(number);
    node.handle().wake();
}

#[tokio::test]
async fn one_validator_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let (members, addresses) = (members(1), addresses(1));
    for round in 1..=3 {
        let counter = Arc::<Counter>::default();
        let node = start(&members, &addresses, 0, directory.path(), &counter).await;
        give(&counter, &node, round);
        let counters = std::slice::from_ref(&counter);
        until("the number is final", counters, |one| one.numbers() == [round]).await;
        assert_eq!(counter.height(), round);
        tokio::task::spawn_blocking(|| node.stop()).await.unwrap();
    }
}

#[tokio::test]
async fn four_validators_agree_and_go_on_without_one() {
    let directory = tempfile::tempdir().unwrap();
    let (members, addresses) = (members(4), addresses(4));
    let counters: Vec<Arc<Counter>> = (0..4).map(|_| Arc::default()).collect();
    let node =
        |place: usize| start(&members, &addresses, place, directory.path(), &counters[place]);
    let (one, two, three, four) = tokio::join!(node(0), node(1), node(2), node(3));
    give(&counters[2], &three, 1);
    until("it is final everywhere", &counters, |one| one.numbers() == [1]).await;
    tokio::task::spawn_blocking(|| one.stop()).await.unwrap();
    give(&counters[1], &two, 2);
    until("it is final for the others", &counters[1..], |one| one.numbers() == [1, 2]).await;
    let one = node(0).await;
    until("it is final for all", &counters, |one| one.numbers() == [1, 2]).await;
    assert_agreement(&counters);
    let stop = || [one, two, three, four].map(Running::stop);
    tokio::task::spawn_blocking(stop).await.unwrap();
}
