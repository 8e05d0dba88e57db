//! Measures what an audit costs beyond doing the work once more: a network with a provider and an
//! auditor in this process, workers of the real binary, and jobs of about a second, every one of
//! which is audited.
//!
//! From the block that draws the auditor to the block that has its commitment, over the time that
//! the same program takes in a worker that nobody else uses.
//!
//! `cargo bench -p idlewild --bench audit`

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Client, Submitter};
use bench::{Figure, Report, median};
use classes::job::{Limits, Spec};
use executors::wasm::{EngineKind, specification::METERING_VERSION};
use executors::worker::{Request, Settings, Worker};
use node::Node;
use provider::{Agent, Keys, keystore};
use types::{
    Action, Amount, AuditTerms, BasisPoints, Blob, Constraint, ContentHash, Encode, Event, Hash,
    LeaseId, List, OrderId, OrderTerms, Readers, Time,
};

/// Jobs that count, after one that does not.
const JOBS: usize = 7;
/// How long anything may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
/// A program of about a second.
const PROGRAM: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start") (local $left i32) (local $sum i64)
        (local.set $left (i32.const 600000000))
        (loop $more
            (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (i64.const 7)))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $more (local.get $left)))
        (i64.store (i32.const 0) (local.get $sum))))"#;

fn main() {
    let mut report = Report::new();
    let names = ["audit/beyond doing the work once more", "audit/the work", "audit/in all"];
    if names.iter().any(|name| report.wants(name)) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let program: Arc<[u8]> = wat::parse_str(PROGRAM).expect("a module").into();
        let work = runtime.block_on(work(&program));
        let audit = runtime.block_on(audits(&program));
        let beyond = (audit.as_secs_f64() / work.as_secs_f64() - 1.0) * 100.0;
        report.row(names[0], || Figure::new(beyond, "%").at_most(10.0));
        report.row(names[1], || Figure::new(work.as_secs_f64() * 1e3, "ms"));
        report.row(names[2], || Figure::new(audit.as_secs_f64() * 1e3, "ms"));
    }
    report.finish();
}

fn spec(program: ContentHash) -> Spec {
    Spec {
        metering: METERING_VERSION,
        program,
        input: None,
        stdin: None,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits: Limits { fuel: 10_000_000_000, memory_pages: 16, output_bytes: 1 << 20 },
    }
}

/// Returns how long the work takes in a worker of its own.
async fn work(program: &Arc<[u8]>) -> Duration {
    let settings = Settings {
        program: env!("CARGO_BIN_EXE_idlewild").into(),
        slots: 1,
        content_bytes_max: 1 << 20,
        grace: PATIENCE,
    };
    let worker = Worker::spawn(&settings).await.expect("a worker");
    let hash = ContentHash::of(program);
    let request = Request {
        spec: spec(hash),
        created: Time::from_ms(0),
        wall: PATIENCE,
        engine: EngineKind::Compiler,
        bill: None,
        contents: Arc::new(BTreeMap::from([(hash, Arc::clone(program))])),
    };
    let mut times = Vec::new();
    for _ in 0..=JOBS {
        let began = Instant::now();
        worker.run(request.clone()).await.expect("it ends");
        times.push(began.elapsed());
    }
    median(times.split_off(1))
}

/// Returns how long an audit takes from its draw to its commitment.
async fn audits(program: &Arc<[u8]>) -> Duration {
    let directory = tempfile::tempdir().expect("a directory");
    let network = node::local::LocalNetwork::default();
    let mut config =
        node::local::create(&directory.path().join("node"), &network).expect("a network");
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let node = node::start(config).await.expect("the node starts");
    let stake = network.parameters.stake_minimum;
    let mut agents = Vec::new();
    for name in ["one", "other"] {
        agents.push(agent(&node, &directory.path().join(name), stake).await);
    }
    let url = format!("http://{}", node.address());
    let client = Client::new(&url).expect("an address");
    let genesis = client.network().await.expect("the node answers").genesis;
    let key = Arc::new(keystore::generate().expect("entropy"));
    client.faucet(key.address()).await.expect("the faucet gives");
    let stored = client.store(&key, &genesis, program.to_vec()).await.expect("the node takes it");
    let submitter = Submitter::new(client, key, genesis);
    let mut times = Vec::new();
    for _ in 0..=JOBS {
        times.push(audit(&node, &submitter, stored.hash).await);
    }
    for agent in agents {
        agent.stop().await;
    }
    node.shutdown().await;
    median(times.split_off(1))
}

async fn agent(node: &Node, data: &Path, stake: Amount) -> Agent {
    let config = provider::Config {
        node: format!("http://{}", node.address()),
        data: data.to_owned(),
        slots: Some(1),
        stake,
        faucet: true,
        ..provider::Config::default()
    };
    let key = || Arc::new(keystore::generate().expect("entropy"));
    let keys = Keys { node: key(), account: Some(key()) };
    let program = env!("CARGO_BIN_EXE_idlewild").into();
    let mut blocks = node.handle().subscribe();
    let agent = Agent::start(config, keys, program).await.expect("the agent starts");
    let enlisted = async {
        loop {
            let block = blocks.recv().await.expect("the node runs");
            if block.executed.events.iter().any(|event| matches!(event, Event::Enlisted { .. })) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, enlisted).await.expect("it enlists");
    agent
}

/// Orders a job and waits for its audit.
async fn audit(node: &Node, submitter: &Submitter, program: ContentHash) -> Duration {
    let probability = BasisPoints::new(10_000).expect("the whole");
    let audit = AuditTerms { probability, auditors: 1, readers: Readers::Auditors };
    let terms = OrderTerms {
        class: classes::job::ID,
        spec: Blob::new(spec(program).to_bytes()).expect("it is short"),
        constraint: Constraint::default(),
        budget: Amount::new(10_000_000).expect("in range"),
        offers: List::default(),
        audit,
        duration: types::Duration::from_seconds(60),
        expires: api::now().after(types::Duration::from_seconds(60)),
    };
    let mut blocks = node.handle().subscribe();
    let placed = submitter.submit(Action::PlaceOrder(Box::new(terms))).await;
    let id = LeaseId::from(OrderId::from(placed.expect("the order is taken").id));
    let committed = async {
        let mut drawn = None;
        loop {
            let block = blocks.recv().await.expect("the node runs");
            for event in &block.executed.events {
                match event {
                    Event::AuditDrawn { lease, .. } if *lease == id => drawn = Some(Instant::now()),
                    Event::AuditCommitted { lease, .. } if *lease == id => {
                        return drawn.expect("it was drawn before").elapsed();
                    }
                    _ => {}
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, committed).await.expect("the audit is done")
}
