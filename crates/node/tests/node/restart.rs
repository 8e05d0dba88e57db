//! What a node keeps across restarts, crashes and damage.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use api::{Client, Submitter};
use node::{
    Config, Node, StartError,
    local::{self, LocalNetwork},
};
use types::{Action, Asset, Change, ContentHash, Parameters};

use crate::{
    network::{Network, key, quick, start},
    trade::{Market, amount},
};

/// Where the chain keeps snapshots, in a data directory.
const SNAPSHOTS: &str = "chain/ledger-snapshots";

fn transfer(seed: u8) -> Action {
    Action::Transfer { to: key(seed).address(), asset: Asset::Usd, amount: amount(1) }
}

/// Copies a data directory as a crash would leave it: without asking the node.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn moved(config: &Config, data: &Path) -> Config {
    let mut config = config.clone();
    config.data = data.to_owned();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_leads_to_the_same_root() {
    let network = Network::start().await;
    let account = network.account(1).await;
    for seed in 10..20 {
        account.submit(transfer(seed)).await.unwrap();
    }
    let (root, height) = (network.root(), network.client.network().await.unwrap().height);

    // As after a crash: no snapshot was written, so every block is executed again.
    let crashed = tempfile::tempdir().unwrap();
    copy(network.data.path(), crashed.path());
    assert!(!crashed.path().join(SNAPSHOTS).exists());
    let (replayed, client) = start(&moved(&network.config, crashed.path())).await;
    assert_eq!(replayed.handle().read().ledger.root(), root);
    assert_eq!(client.block(height).await.unwrap().header.header.state, root);
    replayed.shutdown().await;

    // In order: the snapshot is taken up.
    let network = network.restart().await;
    assert!(network.data.path().join(SNAPSHOTS).read_dir().unwrap().any(|_| true));
    assert_eq!(network.root(), root);
    network.account(2).await;

    // Without it, from the blocks again.
    let root = network.root();
    let Network { data, config, node, .. } = network;
    node.shutdown().await;
    for snapshot in data.path().join(SNAPSHOTS).read_dir().unwrap() {
        flip(&snapshot.unwrap().path());
    }
    let (node, _) = start(&config).await;
    assert_eq!(node.handle().read().ledger.root(), root);
    node.shutdown().await;
}

/// Damages a file in the middle.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// What nobody could agree on before a node died happens after it, without being sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_a_restart() {
    let network = Network::start().await;
    let genesis = network.genesis;
    network.account(1).await;
    let Network { data, config, node, .. } = network;
    node.shutdown().await;
    // A node that was killed before it could make a block of it left this.
    let transaction = types::Transaction {
        signer: key(1).address(),
        nonce: 0,
        expires: api::now().after(types::Duration::from_seconds(600)),
        action: transfer(2),
    };
    let signed = transaction.sign(&genesis, &key(1));
    let mut waiting = Vec::new();
    types::body::push_entry(&mut waiting, &types::Encode::to_bytes(&signed));
    fs::write(data.path().join("waiting"), waiting).unwrap();
    let (node, client) = start(&config).await;
    let id = signed.transaction.id();
    let filter = api::EventFilter { kind: Some("transferred".to_owned()), ..Default::default() };
    client.events(filter).await.unwrap().next().await.unwrap();
    assert_eq!(client.transaction(id).await.unwrap().id, id);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_at_a_time_uses_a_directory() {
    let network = Network::start().await;
    let second = node::start(network.config.clone()).await;
    assert!(matches!(second, Err(StartError::InUse(_))), "{second:?}");
    network.restart().await.node.shutdown().await;
}

/// Returns all files below a directory, by their paths from it.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Whatever byte on disk is another, the node goes on with what it acknowledged, or what is left
/// of it, or says that it cannot; it never tells anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_refused_or_cut_off_and_never_believed() {
    let network = Network::start().await;
    let account = network.account(1).await;
    for seed in 2..8 {
        account.submit(transfer(seed)).await.unwrap();
    }
    network.index_settled().await;
    let last = network.node.handle().read().header.height;
    let mut hashes = vec![network.client.block(1).await.unwrap().header.header.parent];
    for height in 1..=last {
        hashes.push(network.client.block(height).await.unwrap().hash);
    }
    let Network { data, config, node, .. } = network;
    node.shutdown().await;
    let chain = data.path().join("chain");
    let (mut gone_on, mut refused) = (0, 0);
    for damaged in files(&chain) {
        let copied = tempfile::tempdir().unwrap();
        copy(data.path(), copied.path());
        let path = copied.path().join("chain").join(&damaged);
        if fs::metadata(&path).unwrap().len() == 0 {
            continue;
        }
        flip(&path);
        let started = node::start(moved(&config, copied.path()));
        let started = tokio::time::timeout(Duration::from_secs(30), started).await.unwrap();
        match started {
            Ok(node) => {
                let header = node.handle().read().header;
                let known = hashes.get(usize::try_from(header.height).unwrap());
                assert!(
                    known.is_none_or(|hash| *hash == header.hash()),
                    "{}: block {} is another",
                    damaged.display(),
                    header.height
                );
                gone_on += 1;
                node.shutdown().await;
            }
            Err(error) => {
                assert!(matches!(error, StartError::Chain(_)), "{}: {error:?}", damaged.display());
                refused += 1;
            }
        }
    }
    println!("{gone_on} went on, {refused} were refused");
    assert!(gone_on > 0);
}

/// Everything that a table of the history holds, as text.
fn dump(index: &Path) -> BTreeMap<String, Vec<String>> {
    let store = rusqlite::Connection::open(index).unwrap();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = store.prepare(names).unwrap();
    let names: Vec<String> =
        names.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let table = |name: String| {
        let mut rows = store.prepare(&format!("SELECT * FROM {name} ORDER BY 1, 2")).unwrap();
        let columns = rows.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap()));
            Ok(values.collect::<Vec<_>>().join("|"))
        };
        let rows = rows.query_map((), row).unwrap().map(Result::unwrap).collect();
        (name, rows)
    };
    names.into_iter().map(table).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_built_anew_equals_the_old_one() {
    let network = Network::start_with(quick(), |_| ()).await;
    let market = Market::open(&network).await;
    let filter = api::EventFilter { kind: Some("lease-archived".to_owned()), ..Default::default() };
    let mut archived = network.client.events(filter).await.unwrap();
    let id = market.lease(&Market::spec(ContentHash::of(b"program"), None)).await;
    market.finish(id, ContentHash::of(b"output"), &network.genesis).await;
    market.lease(&Market::spec(ContentHash::of(b"other"), None)).await;
    archived.next().await.unwrap();
    network.index_settled().await;
    let index = network.data.path().join("index.sqlite");
    let before = dump(&index);
    assert!(!before["archive"].is_empty() && !before["tallies"].is_empty());
    let Network { data: _data, config, node, .. } = network.rebuild().await;
    node.shutdown().await;
    let anew = dump(&index);
    // The second lease went on meanwhile; what was there before is the same.
    for table in ["archive", "blocks", "events", "orders", "receipts", "tallies", "transactions"] {
        assert!(!before[table].is_empty(), "{table}");
        assert!(before[table].iter().all(|row| anew[table].contains(row)), "{table}");
    }

    // A node that finds none, or one that does not read, builds it while it serves.
    fs::write(&index, b"not a database, but long enough to be looked at as if it were one")
        .unwrap();
    let (node, client) = start(&config).await;
    assert!(client.lease(id).await.unwrap().archived);
    node.shutdown().await;
    let after = dump(&index);
    // The second lease went on meanwhile; what was there before is the same.
    for table in ["transactions", "orders", "receipts", "archive"] {
        assert!(after[table].starts_with(&before[table]), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_another_past_is_built_anew() {
    let network = Network::start().await;
    network.account(1).await;
    let Network { data, config, node, .. } = network;
    node.shutdown().await;
    // Two ways on from the same block; the second goes further.
    let go_on = async |seeds: &[u8]| {
        let branch = tempfile::tempdir().unwrap();
        copy(data.path(), branch.path());
        let config = moved(&config, branch.path());
        let (node, client) = start(&config).await;
        let key = Arc::new(key(1));
        let account = Submitter::new(client.clone(), key, node.handle().genesis_hash());
        let mut last = None;
        for seed in seeds {
            last = Some(account.submit(transfer(*seed)).await.unwrap());
        }
        let height = last.unwrap().height;
        node.index().wait_for(height).await.unwrap();
        node.shutdown().await;
        (branch, config, height)
    };
    let (short, _, height) = go_on(&[2]).await;
    let (long, config, _) = go_on(&[3, 4, 5]).await;
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("index.sqlite{suffix}");
        // In order, a history that is closed is one file.
        let _ = fs::remove_file(long.path().join(&name));
        if short.path().join(&name).exists() {
            fs::copy(short.path().join(&name), long.path().join(&name)).unwrap();
        }
    }
    let (node, client) = start(&config).await;
    node.index().wait_for(height + 1).await.unwrap();
    let above = client.block(height + 1).await.unwrap();
    assert_eq!(client.block(height).await.unwrap().hash, above.header.header.parent);
    node.shutdown().await;
}

/// Waits until a node stops itself.
async fn stopped(node: &Node) -> Arc<str> {
    tokio::time::timeout(Duration::from_secs(60), node.fault()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_history_says_so() {
    let network = Network::start().await;
    let account = network.account(1).await;
    network.index_settled().await;
    let index = network.data.path().join("index.sqlite");
    let store = rusqlite::Connection::open(index).unwrap();
    store.execute_batch("DROP TABLE events").unwrap();
    // The node may stop before the answer is out.
    let _ = account.submit(transfer(2)).await;
    let why = stopped(&network.node).await;
    assert!(why.contains("the history cannot be written"), "{why}");
    let health = reqwest::get(network.url("/healthz")).await.unwrap();
    assert_eq!(health.status().as_u16(), 503);
    assert!(health.text().await.unwrap().contains(&*why));
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_rules_stop_a_node_that_does_not_know_them() {
    let data = tempfile::tempdir().unwrap();
    let change_delay_ms = types::Duration::from_ms(1);
    let parameters = Parameters { change_delay_ms, ..Parameters::local() };
    let network = LocalNetwork { token: false, parameters, ..LocalNetwork::default() };
    let mut config = local::create(data.path(), &network).unwrap();
    config.listen = "127.0.0.1:0".parse().unwrap();
    let (node, client) = start(&config).await;
    let validator = node::config::read_key(&config.validator_key_path()).unwrap();
    client.faucet(validator.address()).await.unwrap();
    let genesis = node.handle().genesis_hash();
    let effective = api::now().after(types::Duration::from_seconds(3));
    let vote = Action::Vote { change: Change::Rules(ledger::RULES + 1), effective };
    Submitter::new(client, Arc::new(validator), genesis).submit(vote).await.unwrap();
    let height = node.handle().read().header.height;
    let why = stopped(&node).await;
    assert!(why.contains("rules are version 2") && why.contains("update"), "{why}");
    node.shutdown().await;
    // It never goes past that block.
    let (node, _) = start(&config).await;
    assert_eq!(stopped(&node).await, why);
    assert_eq!(node.handle().read().header.height, height);
    node.shutdown().await;
}

/// Runs as a node of its own when it is told where; otherwise there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_node() {
    let Ok(config) = std::env::var("NODE_TEST_CONFIG") else { return };
    let (node, _) = start(&serde_json::from_str(&config).unwrap()).await;
    println!("\nserves {}", node.address());
    node.fault().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_keeps_all_that_it_acknowledged() {
    let Network { data, config, node, genesis, .. } = Network::start().await;
    node.shutdown().await;
    let mut acknowledged = Vec::new();
    for round in 0..5_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "restart::child_node", "--nocapture"])
            .env("NODE_TEST_CONFIG", serde_json::to_string(&config).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| line.unwrap().strip_prefix("serves ").map(ToOwned::to_owned))
            .unwrap();
        let client = Client::new(&format!("http://{address}")).unwrap();
        let key = Arc::new(key(1));
        if round == 0 {
            client.faucet(key.address()).await.unwrap();
        }
        let submitter = Submitter::new(client.clone(), key, genesis);
        for _ in 0..=round * 3 {
            acknowledged.push(submitter.submit(transfer(2)).await.unwrap());
        }
        // One more is under way when the node dies; whether it happened is open.
        let (last, ()) = tokio::join!(
            tokio::time::timeout(Duration::from_secs(1), submitter.submit(transfer(2))),
            async { child.kill().unwrap() }
        );
        if let Ok(Ok(accepted)) = last {
            acknowledged.push(accepted);
        }
        child.wait().unwrap();
    }
    let (node, client) = start(&config).await;
    for accepted in &acknowledged {
        let record = client.transaction(accepted.id).await.unwrap();
        assert_eq!(record.height, accepted.height);
    }
    let received = client.account(key(2).address()).await.unwrap().balances.usd.get();
    let sent = acknowledged.len() as u64;
    assert!((sent..=sent + 5).contains(&received), "{sent} acknowledged, {received} received");
    node.handle().read().ledger.recount().unwrap();
    node.shutdown().await;
    drop(data);
}
