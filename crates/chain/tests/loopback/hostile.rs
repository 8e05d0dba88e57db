//! Peers and strangers that send whatever they like.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use chain::{CHANNELS, Running, Wire};
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{
    ChaCha20Poly1305,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_p2p::{
    Address, AddressableManager as _, AddressableTrackedPeers, Receiver, Recipients, Sender as _,
    authenticated::lookup::{Config, Network},
};
use commonware_runtime::{Quota, Runner as _, Spawner as _, Supervisor as _, tokio as engine};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize, ordered::Map};

use super::*;

/// Connections that strangers open, to all validators together.
const STRANGERS: usize = 1_000;
/// How much more memory four validators and ten attackers may take together.
const GROWTH_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// How much of it after all attackers are there.
const LATE_GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Blocks that become final while all attackers are there.
const NUMBERS: u64 = 60;
/// Blocks by which all of them are there.
const NUMBERS_MAX: u64 = 600;
/// Messages that a hostile peer sends at a time.
const BURST: usize = 4;
/// Things that a peer heard and keeps.
const HEARD_MAX: usize = 256;

/// Connections that say nothing, or nothing that makes sense, and never end.
struct Strangers(Vec<TcpStream>);

impl Strangers {
    fn come(addresses: &[SocketAddr]) -> Self {
        let mut open = Vec::new();
        for number in 0..STRANGERS {
            let address = addresses[number % addresses.len()];
            let Ok(mut stream) = TcpStream::connect(address) else { continue };
            let _ = stream.set_nonblocking(true);
            // They may be cut off already.
            let _ = match number % 4 {
                0 => Ok(0),
                1 => stream.write(&[0xff; 1_024]),
                2 => stream.write(&u32::MAX.to_be_bytes()),
                _ => stream.write(b"GET / HTTP/1.1\r\n\r\n"),
            };
            open.push(stream);
        }
        Self(open)
    }
}

/// A peer with a good key that floods a channel.
struct Peer {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// What a peer does.
#[derive(Clone, Copy)]
enum Malice {
    /// It sends noise of all lengths on a channel.
    Noise(usize),
    /// It sends damaged messages on all channels.
    Damage,
    /// It sends again and again what it heard from others, on all channels.
    Replay,
    /// It asks for much and reads nothing.
    Deaf,
}

fn config(
    secret: &[u8; 32],
    listen: SocketAddr,
    peers: usize,
) -> Config<Cups<Sake<PrivateKey>, ChaCha20Poly1305>> {
    let signer = PrivateKey::decode(Copying(&secret[..])).unwrap();
    let sake = Sake {
        signer,
        synchrony_bound: Duration::from_secs(5),
        max_handshake_age: Duration::from_secs(10),
        version: sake::Version::V1,
    };
    let namespace = [&b"idlewild network "[..], &GENESIS].concat();
    let cups = Cups::new(sake, cups::Version::V1);
    let length_max = 16 * 1024 * 1024;
    let mut config =
        Config::local(cups, &namespace, listen, NZUsize!(peers), length_max, NZUsize!(64));
    config.bypass_ip_check = true;
    config
}

impl Peer {
    /// Connects to validators with a key that they know.
    fn come(
        secret: [u8; 32],
        listen: SocketAddr,
        validators: Vec<(PublicKey, SocketAddr)>,
        malice: Malice,
    ) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stops, counts) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let runner = engine::Runner::new(engine::Config::new().with_worker_threads(1));
            runner.start(|context| async move {
                let config = config(&secret, listen, validators.len() + 1);
                let (mut network, mut oracle) = Network::new(context.child("network"), config);
                let channels = CHANNELS.map(|(number, _)| network.register(number, malice.quota()));
                let own = (public_key(&secret), Address::Symmetric(listen));
                let all = validators.into_iter().map(|(key, at)| (key, Address::Symmetric(at)));
                let known = Map::from_iter_dedup(all.chain([own]));
                oracle.track(0, AddressableTrackedPeers::new(known, Map::default()));
                network.start();
                let heard = Arc::<Mutex<Vec<(usize, Bytes)>>>::default();
                let (mut senders, mut receivers) = (Vec::new(), Vec::new());
                for (sender, receiver) in channels {
                    senders.push(sender);
                    receivers.push(receiver);
                }
                if !matches!(malice, Malice::Deaf) {
                    for (place, receiver) in receivers.drain(..).enumerate() {
                        let heard = Arc::clone(&heard);
                        context.child("ear").spawn(move |_| listen_to(receiver, place, heard));
                    }
                }
                let mut pace = tokio::time::interval(Duration::from_millis(20));
                while !stops.load(Ordering::Relaxed) {
                    for (place, message) in malice.next(counts.load(Ordering::Relaxed), &heard) {
                        let to = senders[place].send(Recipients::All, message, false);
                        counts.fetch_add(to.len(), Ordering::Relaxed);
                    }
                    pace.tick().await;
                }
            });
        });
        Self { stop, sent, thread }
    }

    fn leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Keeps what a peer hears.
async fn listen_to(
    mut receiver: impl Receiver<PublicKey = PublicKey>,
    place: usize,
    heard: Arc<Mutex<Vec<(usize, Bytes)>>>,
) {
    while let Ok((_, bytes)) = receiver.recv().await {
        let mut heard = heard.lock().unwrap();
        if heard.len() == HEARD_MAX {
            heard.remove(0);
        }
        heard.push((place, Bytes::copy_from_slice(bytes.as_ref())));
    }
}

impl Malice {
    /// Returns how many messages it sends in a second; what it keeps ready grows with that.
    const fn quota(self) -> Quota {
        match self {
            Self::Deaf => Quota::per_second(NZU32!(1_000)),
            Self::Noise(_) | Self::Damage | Self::Replay => Quota::per_second(NZU32!(100)),
        }
    }

    /// Returns what to send next, and on which channels.
    fn next(self, sent: usize, heard: &Mutex<Vec<(usize, Bytes)>>) -> Vec<(usize, Bytes)> {
        let mut random = blake3::Hasher::new().update(&sent.to_le_bytes()).finalize_xof();
        let mut draw = |count: usize| {
            let mut bytes = vec![0; count];
            random.fill(&mut bytes);
            bytes
        };
        let all = 0..CHANNELS.len();
        match self {
            Self::Noise(place) => {
                // Mostly short, and now and then as long as a message may be.
                let length = [3, 40, 200, 70_000, 1_500_000][sent % 5];
                (0..BURST).map(|_| (place, draw(length).into())).collect()
            }
            Self::Damage => {
                let examples: Vec<_> = Wire::ALL.into_iter().flat_map(Wire::examples).collect();
                let damaged = |place: usize| {
                    let mut message = examples[(sent + place) % examples.len()].clone();
                    let at = usize::from(draw(1)[0]) % message.len();
                    message[at] ^= 1 << (draw(1)[0] % 8);
                    (place, message.into())
                };
                all.map(damaged).collect()
            }
            Self::Replay => heard.lock().unwrap().iter().take(64).cloned().collect(),
            Self::Deaf => {
                // States begin with the least key; the second is about any block.
                let get = [&[2][..], &1_u64.to_le_bytes()].concat();
                [vec![0], get].map(|ask| (5, ask.into())).into()
            }
        }
    }
}

/// Returns how much memory this process has.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[tokio::test]
async fn hostile_peers_and_strangers_take_bounded_memory_and_others_keep_finality() {
    let directory = tempfile::tempdir().unwrap();
    let malice = (0..CHANNELS.len()).map(Malice::Noise);
    let malice: Vec<_> = malice.chain([Malice::Damage, Malice::Replay, Malice::Deaf]).collect();
    let all = members(4 + u8::try_from(malice.len()).unwrap());
    // Whoever is listed last does not vote.
    let addresses = addresses(all.len());
    let counters: Vec<Arc<Counter>> = (0..4).map(|_| Arc::default()).collect();
    let node =
        |place: usize| start_among(&all, 4, &addresses, place, directory.path(), &counters[place]);
    let (one, two, three, four) = tokio::join!(node(0), node(1), node(2), node(3));
    give(&counters[0], &one, 1);
    until("it is final before anybody comes", &counters, |one| one.numbers() == [1]).await;
    let before = resident_bytes();

    let strangers = Strangers::come(&addresses[..4]);
    assert!(strangers.0.len() > STRANGERS / 2, "validators can be connected to");
    let known: Vec<_> = (0..4).map(|place| (public_key(&all[place].0), addresses[place])).collect();
    let peers: Vec<Peer> = malice
        .into_iter()
        .enumerate()
        .map(|(number, malice)| {
            let place = 4 + number;
            Peer::come(*all[place].0, addresses[place], known.clone(), malice)
        })
        .collect();
    let nodes = [&one, &two, &three, &four];
    let mut early = None;
    let sent = || peers.iter().map(|peer| peer.sent.load(Ordering::Relaxed)).collect::<Vec<_>>();
    for number in 2..=NUMBERS_MAX {
        let place = usize::try_from(number).unwrap() % 4;
        give(&counters[place], nodes[place], number);
        let expected: Vec<u64> = (1..=number).collect();
        until("it is final under attack", &counters, |one| one.numbers() == expected).await;
        let all_came = sent().iter().all(|count| *count > 0);
        match early {
            None if all_came => early = Some((number, resident_bytes())),
            Some((came, _)) if number >= came + NUMBERS => break,
            _ => {}
        }
    }
    let sent = sent();
    assert!(early.is_some(), "a peer was not connected: {sent:?}");
    let since = |bytes: u64| resident_bytes().saturating_sub(bytes);
    let (grown, late) = (since(before), since(early.unwrap().1));
    let [grown_mib, late_mib] = [grown, late].map(|bytes| bytes / 1024 / 1024);
    println!("sent: {sent:?}; memory grew by {grown_mib} MiB, at last by {late_mib} MiB");
    assert!(grown <= GROWTH_BYTES_MAX, "memory grew by {grown} bytes");
    assert!(late <= LATE_GROWTH_BYTES_MAX, "memory goes on growing: {late} bytes");
    tokio::task::spawn_blocking(|| peers.into_iter().for_each(Peer::leave)).await.unwrap();
    drop(strangers);
    assert_agreement(&counters);
    let stop = || [one, two, three, four].map(Running::stop);
    tokio::task::spawn_blocking(stop).await.unwrap();
}
