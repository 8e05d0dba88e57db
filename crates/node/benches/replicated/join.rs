//! A node that joins a network which has many accounts and blocks behind it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use api::Client;
use node::Node;
use node::config::read_genesis;
use node::init::{MadeNode, Nodes};
use node::local::LocalNetwork;
use types::{
    Action, Address, Amount, Asset, GenesisWallet, Hash, List, PublicKey, SecretKey,
    SignedTransaction, Subject, Transaction,
};

/// Transfers in a block; each is to a new account.
const BLOCK: usize = 100;

/// What joining took.
pub(crate) struct Joined {
    /// Until the node proves what the network's state says, at the same root.
    pub(crate) took: Duration,
    /// Accounts that the state has.
    pub(crate) accounts: usize,
    /// The height at which it was.
    pub(crate) height: u64,
}

fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it listens").port()
}

/// Makes a validator and a follower whose network funds an account.
fn create(directory: &Path, payer: Address) -> Vec<MadeNode> {
    let nodes =
        Nodes { validators: 1, followers: 1, hosts: Vec::new(), api_port: 0, chain_port: port() };
    let made = node::init::create(directory, &LocalNetwork::default(), &nodes);
    let made = made.unwrap_or_else(|error| panic!("the network is made: {error}"));
    for node in &made {
        let path = node.directory.join("genesis.json");
        let mut genesis = read_genesis(&path).expect("it was just written");
        let amount = Amount::new(1_000_000_000_000).expect("in range");
        genesis.wallets = List::new(vec![GenesisWallet { address: payer, amount }]).expect("one");
        let text = serde_json::to_vec(&genesis).expect("a genesis is JSON");
        fs::write(path, text).expect("it can be written");
    }
    made
}

async fn start(made: &MadeNode) -> Node {
    let mut config = made.config.clone().in_directory(&made.directory);
    config.listen.set_port(0);
    let node = node::start(config).await;
    node.unwrap_or_else(|error| panic!("a node does not start: {error}"))
}

fn transfer(genesis: &Hash, key: &SecretKey, nonce: u64) -> SignedTransaction {
    let new = Hash::of("bench new account", &[&nonce.to_le_bytes()]);
    let to = Address::new(PublicKey::from_bytes(*new.as_bytes()));
    let amount = Amount::new(1).expect("in range");
    let action = Action::Transfer { to, asset: Asset::Wild, amount };
    let expires = api::now().after(types::Duration::from_seconds(600));
    Transaction { signer: key.address(), nonce, expires, action }.sign(genesis, key)
}

/// Makes as many blocks, in which as many accounts come to be.
async fn fill(node: &Node, key: &SecretKey, blocks: usize) {
    let handle = node.handle();
    let genesis = handle.genesis_hash();
    for block in 0..blocks {
        let nonces = (block * BLOCK)..((block + 1) * BLOCK);
        let transfers = nonces.map(|nonce| transfer(&genesis, key, nonce as u64)).collect();
        let answers = handle.submit(transfers).await.expect("the node runs");
        assert!(answers.iter().all(|answer| answer.result.is_ok()), "all are final");
    }
}

/// Lets a node join a network with so many blocks.
pub(crate) async fn joining(blocks: usize) -> Joined {
    let directory = tempfile::tempdir().expect("a directory");
    let key = SecretKey::from_bytes([5; 32]);
    let made = create(directory.path(), key.address());
    let validator = start(&made[0]).await;
    fill(&validator, &key, blocks).await;
    let began = Instant::now();
    let follower = start(&made[1]).await;
    let target = validator.handle().read().header;
    let client = Client::new(&format!("http://{}", follower.address())).expect("an address");
    let subject = Subject::Account(key.address());
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let header = loop {
        looks.tick().await;
        // Until the node has caught up it may have nothing to prove.
        match client.proof(&subject).await {
            Ok(view) if view.header.header.height >= target.height => break view.header,
            Ok(_) | Err(_) => {}
        }
    };
    let took = began.elapsed();
    header.verify(validator.handle().genesis()).expect("its header is final");
    if header.header.height == target.height {
        assert_eq!(header.header.state, target.state, "the roots are equal");
    }
    let (height, accounts) = (target.height, blocks * BLOCK);
    follower.shutdown().await;
    validator.shutdown().await;
    Joined { took, accounts, height }
}
