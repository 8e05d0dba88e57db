//! Measures how soon a job is served: a network as `up` runs it, in this process, with a worker
//! process of the real binary, and one tenant that rents it for one small job after the other.
//!
//! A lease is active when the block with its start is on disk, which is what those who subscribe
//! to the node hear; the agent's log says when it signed the receipt, and how long the guest ran.
//! The agent runs the guest while the start is on its way, so most of the guest's time has passed
//! by then, and nothing of it is taken off here: the bar holds for the whole time. What a tenant
//! waits for in all is in the other rows.
//!
//! `cargo bench -p idlewild --bench dispatch`

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::{Client, Submitter};
use bench::{Figure, Report, percentile};
use classes::job::{Limits, Spec};
use executors::wasm::specification::METERING_VERSION;
use node::{CommittedBlock, Node};
use provider::{Agent, Keys, keystore};
use tokio::sync::{broadcast, watch};
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use types::{
    Action, Amount, AuditTerms, Blob, Constraint, ContentHash, Encode, Event, Hash, LeaseId, List,
    OfferId, OrderId, OrderTerms, SecretKey, Text,
};

/// Jobs before those that count.
const WARM_JOBS: usize = 20;
/// Jobs that count.
const JOBS: usize = 300;
/// How long one job may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);
/// The agent's log line for a signed receipt.
const SIGNED: &str = "receipt signed";

fn main() {
    let mut report = Report::new();
    let names = ["dispatch/p50", "dispatch/p99", "dispatch/leased to signed p50"];
    let names =
        [names.as_slice(), &["dispatch/ordered to paid p50", "dispatch/guest p50"]].concat();
    if names.iter().any(|name| report.wants(name)) {
        let marks = Marks::default();
        let agents = Targets::new().with_target("provider", LevelFilter::DEBUG);
        tracing_subscriber::registry().with(agents).with(Listener(marks.clone())).init();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let jobs = runtime.block_on(measure(&marks));
        let row = |pick: fn(&Job) -> Duration, percent| {
            let times = jobs.iter().map(pick).collect();
            Figure::new(percentile(times, percent).as_secs_f64() * 1e3, "ms")
        };
        report.row(names[0], || row(|job| job.since(job.active, job.signed), 50).at_most(5.0));
        report.row(names[1], || row(|job| job.since(job.active, job.signed), 99));
        report.row(names[2], || row(|job| job.since(job.leased, job.signed), 50));
        report.row(names[3], || row(|job| job.since(job.ordered, job.paid), 50));
        report.row(names[4], || row(|job| job.guest.unwrap_or_default(), 50));
    }
    report.finish();
}

/// What happened to one job, and when.
#[derive(Debug, Clone, Copy, Default)]
struct Job {
    ordered: Option<Instant>,
    leased: Option<Instant>,
    active: Option<Instant>,
    signed: Option<Instant>,
    paid: Option<Instant>,
    guest: Option<Duration>,
}

impl Job {
    /// Returns the time between two of its moments; nothing if they came together.
    fn since(&self, from: Option<Instant>, to: Option<Instant>) -> Duration {
        let seen = "every moment of a job that was paid was seen";
        to.expect(seen).saturating_duration_since(from.expect(seen))
    }
}

/// What is known of all jobs.
#[derive(Debug, Clone, Default)]
struct Marks(Arc<Mutex<BTreeMap<LeaseId, Job>>>);

impl Marks {
    fn jobs(&self) -> MutexGuard<'_, BTreeMap<LeaseId, Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, lease: LeaseId, change: impl FnOnce(&mut Job)) {
        change(self.jobs().entry(lease).or_default());
    }

    /// Notes what happened in each block, as soon as it is on disk.
    fn follow(&self, mut blocks: broadcast::Receiver<Arc<CommittedBlock>>) -> watch::Receiver<u64> {
        let (marks, (told, paid)) = (self.clone(), watch::channel(0));
        let work = move || {
            while let Ok(block) = blocks.blocking_recv() {
                let now = Some(Instant::now());
                for event in &block.executed.events {
                    match event {
                        Event::LeaseOpened { lease, .. } => {
                            marks.note(*lease, |job| job.leased = now)
                        }
                        Event::LeaseStarted { lease, .. } => {
                            marks.note(*lease, |job| job.active = now);
                        }
                        Event::ReceiptAccepted { lease, .. } => {
                            marks.note(*lease, |job| job.paid = now);
                            told.send_modify(|count| *count += 1);
                        }
                        _ => {}
                    }
                }
            }
        };
        std::thread::Builder::new().name("blocks".to_owned()).spawn(work).expect("a thread");
        paid
    }
}

/// Hears the agent's log.
struct Listener(Marks);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let now = Instant::now();
        let mut line = Line::default();
        event.record(&mut line);
        if line.message == SIGNED {
            let lease: LeaseId = line.lease.parse().expect("the agent logs the lease's name");
            let guest = Some(Duration::from_micros(line.guest_us));
            self.0.note(lease, |job| (job.signed, job.guest) = (Some(now), guest));
        }
    }
}

/// The fields of a log line.
#[derive(Default)]
struct Line {
    message: String,
    lease: String,
    guest_us: u64,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "lease" => self.lease = format!("{value:?}"),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "guest_us" {
            self.guest_us = value;
        }
    }
}

/// Runs all jobs and returns what happened to those that count.
async fn measure(marks: &Marks) -> Vec<Job> {
    let directory = tempfile::tempdir().expect("a directory");
    let (node, agent) = start(directory.path()).await;
    let mut paid = marks.follow(node.handle().subscribe());
    let tenant = Tenant::new(&format!("http://{}", node.address())).await;
    let mut leases = Vec::new();
    for number in 0..WARM_JOBS + JOBS {
        let ordered = Instant::now();
        let lease = tenant.order(number).await;
        marks.note(lease, |job| job.ordered = Some(ordered));
        let done = paid.wait_for(|count| *count == number as u64 + 1);
        tokio::time::timeout(PATIENCE, done).await.expect("the job ends").expect("the node runs");
        leases.push(lease);
    }
    agent.stop().await;
    node.shutdown().await;
    let jobs = marks.jobs();
    leases[WARM_JOBS..].iter().map(|lease| jobs[lease]).collect()
}

/// Starts a node and a provider with the settings of `up`.
async fn start(directory: &Path) -> (Node, Agent) {
    let network = node::local::LocalNetwork::default();
    let mut config = node::local::create(&directory.join("node"), &network).expect("a network");
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let node = node::start(config).await.expect("the node starts");
    let config = provider::Config {
        node: format!("http://{}", node.address()),
        data: directory.join("provider"),
        stake: network.parameters.stake_minimum,
        faucet: true,
        ..provider::Config::default()
    };
    let key = || Arc::new(keystore::generate().expect("entropy"));
    let keys = Keys { node: key(), account: Some(key()) };
    let program = env!("CARGO_BIN_EXE_idlewild").into();
    let agent = Agent::start(config, keys, program).await.expect("the agent starts");
    let mut status = agent.status();
    let offered = status.wait_for(|status| status.offers > 0);
    tokio::time::timeout(PATIENCE, offered).await.expect("it offers").expect("the agent runs");
    (node, agent)
}

/// A tenant with funds and a program on the node.
struct Tenant {
    submitter: Submitter,
    program: ContentHash,
    offer: OfferId,
}

impl Tenant {
    async fn new(url: &str) -> Self {
        let client = Client::new(url).expect("an address");
        let genesis = client.network().await.expect("the node answers").genesis;
        let key: Arc<SecretKey> = Arc::new(keystore::generate().expect("entropy"));
        client.faucet(key.address()).await.expect("the faucet gives");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello.wasm");
        let program = std::fs::read(example).expect("the example is there");
        let stored = client.store(&key, &genesis, program).await.expect("the node takes it");
        let offers = client.offers(classes::job::ID, None, None).await.expect("the node answers");
        let offer = offers.items.first().expect("the provider offers").offer.id;
        let submitter = Submitter::new(client, key, genesis);
        Self { submitter, program: stored.hash, offer }
    }

    /// Orders a job that no other one is like.
    async fn order(&self, number: usize) -> LeaseId {
        let word = Text::new(number.to_string()).expect("a number is short");
        let spec = Spec {
            metering: METERING_VERSION,
            program: self.program,
            input: None,
            stdin: None,
            arguments: List::new(vec![word]).expect("one word"),
            environment: List::default(),
            seed: Hash::ZERO,
            limits: Limits { fuel: 1_000_000_000, memory_pages: 256, output_bytes: 1 << 20 },
        };
        let terms = OrderTerms {
            class: classes::job::ID,
            spec: Blob::new(spec.to_bytes()).expect("it is short"),
            constraint: Constraint::default(),
            budget: Amount::new(10_000_000).expect("in range"),
            offers: List::new(vec![self.offer]).expect("one offer"),
            audit: AuditTerms::NONE,
            duration: types::Duration::from_seconds(60),
            expires: api::now().after(types::Duration::from_seconds(60)),
        };
        let placed = self.submitter.submit(Action::PlaceOrder(Box::new(terms))).await;
        LeaseId::from(OrderId::from(placed.expect("the order is taken").id))
    }
}
