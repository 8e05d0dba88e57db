//! Chains of several validators over TCP on this machine.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use chain::{
    BeaconKey, Connections, Machine, OFFER_EVERY, Peer, Running, Settings, Timing, Validator,
    launch,
};
use zeroize::Zeroizing;

/// Most bytes of a block's body, as nodes have it.
pub(crate) const BODY_BYTES_MAX: usize = types::limits::BLOCK_BYTES_MAX;

/// A validator's secret, and what a genesis says of it.
pub(crate) type Member = (Zeroizing<[u8; 32]>, Validator);

/// Returns so many validators, in the order of their places.
pub(crate) fn members(count: u8) -> Vec<Member> {
    let member = |byte| {
        let secret = Zeroizing::new([byte; 32]);
        let key = types::SecretKey::from_bytes(*secret).public();
        let beacon = BeaconKey::derive(&secret);
        (secret, Validator { key: *key.as_bytes(), beacon })
    };
    let mut members: Vec<Member> = (1..=count).map(member).collect();
    members.sort_by_key(|(_, validator)| validator.key);
    members
}

/// Starts a chain for each machine.
pub(crate) async fn start(
    members: &[Member],
    genesis: [u8; 32],
    genesis_time_ms: u64,
    directory: &Path,
    machines: Vec<Arc<dyn Machine>>,
) -> Vec<Running> {
    let listeners: Vec<_> =
        members.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let address = |listener: &TcpListener| listener.local_addr().expect("it listens");
    let addresses: Vec<SocketAddr> = listeners.iter().map(address).collect();
    drop(listeners);
    let starts = machines.into_iter().enumerate().map(|(place, machine)| {
        let settings = Settings {
            genesis,
            genesis_time_ms,
            validators: members.iter().map(|(_, validator)| *validator).collect(),
            secret: members[place].0.clone(),
            peers: members.len() - 1,
            body_bytes_max: BODY_BYTES_MAX,
            blocks_kept: u64::MAX,
            offer_every: OFFER_EVERY,
            timing: Timing::of(members.len()),
            partition: "chain".to_owned(),
        };
        let peer = |other: usize| Peer {
            key: members[other].1.key,
            address: Some(addresses[other].to_string().parse().expect("an address")),
        };
        let connections = Connections {
            listen: addresses[place],
            peers: (0..members.len()).filter(|other| *other != place).map(peer).collect(),
            directory: directory.join(place.to_string()),
        };
        launch(settings, connections, machine, Box::new(()))
    });
    let started = futures_util::future::try_join_all(starts).await;
    started.unwrap_or_else(|error| panic!("a chain does not start: {error}"))
}

/// Stops chains and waits until they have.
pub(crate) async fn stop(chains: Vec<Running>) {
    let stopped = tokio::task::spawn_blocking(|| chains.into_iter().for_each(Running::stop));
    stopped.await.expect("chains stop");
}
