//! Two tenants of one provider, who know of each other all that the ledger shows: neither gets
//! at what the other gave or was given, through the provider or through the node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::{Client, ContentError, LeaseView, Submitter};
use classes::job::{Limits, Spec, Usage};
use executors::wasm::specification::METERING_VERSION;
use node::Node;
use node::local::{LocalNetwork, create};
use provider::{Agent, Config, Keys, keystore};
use types::manifest::{Entry, EntryKind, Manifest, RelativePath};
use types::{
    Action, Amount, AuditTerms, Blob, Constraint, ContentHash, Decode, Duration as Length, Encode,
    Hash, LeaseId, LeaseState, List, OrderId, OrderTerms, Parameters, SecretKey,
};

use crate::common::until;

/// The longest that one lease may take to its end.
const LEASE_MAX: Duration = Duration::from_secs(60);
/// What only the first tenant knows at first.
const SECRET: &[u8] = b"what nobody else may see";

/// A network, and the provider that sells on it.
struct Market {
    directory: tempfile::TempDir,
    node: Node,
    agent: Agent,
    node_key: Arc<SecretKey>,
    account: Arc<SecretKey>,
}

impl Market {
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Short enough to see leases end that are not served.
        let parameters = Parameters {
            start_window_ms: Length::from_seconds(4),
            reclaim_notice_ms: Length::from_seconds(1),
            ..Parameters::local()
        };
        let network = LocalNetwork { parameters, ..LocalNetwork::default() };
        let mut config = create(&directory.path().join("node"), &network).unwrap();
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let node = node::start(config).await.unwrap();
        let [node_key, account] = [(); 2].map(|()| Arc::new(keystore::generate().unwrap()));
        let agent = sell(directory.path(), &node, &node_key, &account).await;
        Self { directory, node, agent, node_key, account }
    }

    /// Stops the provider and starts it again from what it has on disk.
    async fn restart_provider(self) -> Self {
        let Self { directory, node, agent, node_key, account } = self;
        agent.stop().await;
        let agent = sell(directory.path(), &node, &node_key, &account).await;
        Self { directory, node, agent, node_key, account }
    }

    /// Returns a tenant with funds.
    async fn tenant(&self) -> Party {
        let party = self.party(Arc::new(keystore::generate().unwrap())).await;
        party.client.faucet(party.key.address()).await.unwrap();
        party
    }

    async fn party(&self, key: Arc<SecretKey>) -> Party {
        let client = Client::new(&url(&self.node)).unwrap();
        let genesis = client.network().await.unwrap().genesis;
        Party { client, genesis, key }
    }
}

fn url(node: &Node) -> String {
    format!("http://{}", node.address())
}

async fn sell(
    directory: &Path,
    node: &Node,
    node_key: &Arc<SecretKey>,
    account: &Arc<SecretKey>,
) -> Agent {
    let config = Config {
        node: url(node),
        data: directory.join("provider"),
        slots: Some(8),
        stake: Parameters::local().stake_minimum,
        faucet: true,
        ..Config::default()
    };
    let keys = Keys { node: Arc::clone(node_key), account: Some(Arc::clone(account)) };
    let program = env!("CARGO_BIN_EXE_idlewild").into();
    let agent = Agent::start(config, keys, program).await.unwrap();
    let mut status = agent.status();
    let offered = status.wait_for(|status| status.offers > 0);
    tokio::time::timeout(LEASE_MAX, offered).await.unwrap().unwrap();
    agent
}

/// Somebody with a key, and the node.
struct Party {
    client: Client,
    genesis: Hash,
    key: Arc<SecretKey>,
}

impl Party {
    async fn store(&self, content: &[u8]) -> ContentHash {
        self.client.store(&self.key, &self.genesis, content.to_vec()).await.unwrap().hash
    }

    /// Returns whether the node shows content, which it does not say in two ways.
    async fn reads(&self, hash: ContentHash, lease: Option<LeaseId>) -> bool {
        let (key, genesis) = (&*self.key, &self.genesis);
        let has = self.client.has_content(key, genesis, hash, lease).await.unwrap();
        match self.client.fetch(key, genesis, hash, lease, 1 << 20).await {
            Ok(_) => assert!(has),
            Err(ContentError::Client(error)) => assert!(error.is_unknown() && !has, "{error}"),
            Err(error) => panic!("{error}"),
        }
        has
    }

    async fn order(&self, spec: &Spec) -> LeaseId {
        let now = api::now();
        let terms = OrderTerms {
            class: classes::job::ID,
            spec: Blob::new(spec.to_bytes()).unwrap(),
            constraint: Constraint::default(),
            budget: Amount::new(1_000_000).unwrap(),
            offers: List::default(),
            audit: AuditTerms::NONE,
            duration: Length::from_seconds(120),
            expires: now.after(Length::from_seconds(30)),
        };
        let submitter = Submitter::new(self.client.clone(), Arc::clone(&self.key), self.genesis);
        let placed = submitter.submit(Action::PlaceOrder(Box::new(terms))).await.unwrap();
        LeaseId::from(OrderId::from(placed.id))
    }

    async fn closed(&self, lease: LeaseId) -> LeaseView {
        until("the end of a lease", LEASE_MAX, || async {
            let view = self.client.lease(lease).await.ok()?;
            matches!(view.lease.state, LeaseState::Closed { .. }).then_some(view)
        })
        .await
    }

    /// Runs a job and returns what it wrote to standard output.
    async fn run(&self, spec: &Spec) -> Done {
        let lease = self.order(spec).await;
        let view = self.closed(lease).await;
        let receipt = view.receipts.last().unwrap_or_else(|| panic!("no receipt: {view:?}"));
        let usage = Usage::from_bytes(receipt.receipt.usage.as_slice()).unwrap();
        let (key, genesis) = (&*self.key, &self.genesis);
        let fetch =
            async |hash| self.client.fetch(key, genesis, hash, Some(lease), 1 << 20).await.unwrap();
        let manifest = Manifest::from_bytes(&fetch(usage.output).await).unwrap();
        let contents = manifest.entries().iter();
        let mut streams = contents.filter(|entry| entry.path.as_str() == "stdout");
        let Some(EntryKind::File { hash, .. }) = streams.next().map(|entry| &entry.kind) else {
            panic!("no standard output: {manifest:?}");
        };
        Done { lease, output: usage.output, stdout: *hash, text: fetch(*hash).await }
    }
}

/// What came of a job.
struct Done {
    lease: LeaseId,
    output: ContentHash,
    stdout: ContentHash,
    text: Vec<u8>,
}

/// Returns a program that writes what it reads; `mark` makes it another program.
fn copier(mark: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 4096) "{mark}")
          (func (export "_start")
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 1024))
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
              (then unreachable))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
              (then unreachable))))"#
    );
    wat::parse_str(text).unwrap()
}

fn manifest(file: ContentHash, bytes: usize) -> Vec<u8> {
    let kind = EntryKind::File { hash: file, bytes: u64::try_from(bytes).unwrap() };
    let entry = Entry { path: RelativePath::new("file").unwrap(), kind };
    Manifest::new(vec![entry]).unwrap().to_bytes()
}

fn spec(program: ContentHash, stdin: Option<ContentHash>, input: Option<ContentHash>) -> Spec {
    Spec {
        metering: METERING_VERSION,
        program,
        input,
        stdin,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits: Limits { fuel: 100_000_000, memory_pages: 16, output_bytes: 1 << 20 },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_gets_at_nothing_of_another_through_provider_or_node() {
    let market = Market::open().await;
    let (first, second) = (market.tenant().await, market.tenant().await);
    let provider = market.party(Arc::clone(&market.node_key)).await;

    let own = first.store(&copier("its own")).await;
    let file = first.store(b"what a file holds").await;
    let input = first.store(&manifest(file, 17)).await;
    let stdin = first.store(SECRET).await;
    let done = first.run(&spec(own, Some(stdin), Some(input))).await;
    assert_eq!(done.text, SECRET);
    // What was copied has one name as input and as result.
    assert_eq!(done.stdout, stdin);
    let given = [own, input, file, stdin];
    let results = [done.output, done.stdout];

    // Both may have the same program, and each has it for itself.
    let common = copier("for all");
    let program = second.store(&common).await;
    assert_eq!(first.store(&common).await, program);
    let word = second.store(b"a word").await;
    let harmless = second.run(&spec(program, Some(word), None)).await;
    assert_eq!(harmless.text, b"a word");

    // Names of the first's content in orders of the second.
    let lures = [
        spec(own, Some(word), None),
        spec(program, Some(stdin), None),
        spec(program, Some(word), Some(input)),
        spec(program, Some(file), None),
        spec(program, Some(word), Some(done.output)),
        spec(program, Some(done.output), None),
    ];
    let mut lured = Vec::new();
    for spec in &lures {
        lured.push(second.order(spec).await);
    }
    for lease in &lured {
        let view = second.closed(*lease).await;
        assert!(view.receipts.is_empty(), "it was served: {view:?}");
        assert_eq!(view.lease.settlement.gross, Amount::ZERO);
    }

    for hash in given.into_iter().chain(results) {
        let theirs = lured.iter().copied().chain([harmless.lease]);
        for lease in theirs {
            assert!(!second.reads(hash, Some(lease)).await);
            assert!(!provider.reads(hash, Some(lease)).await, "{hash}: for another's lease");
        }
        assert!(!second.reads(hash, Some(done.lease)).await);
        assert!(!second.reads(hash, None).await);
        assert!(first.reads(hash, Some(done.lease)).await);
        assert!(provider.reads(hash, Some(done.lease)).await);
    }
    for hash in given {
        assert!(first.reads(hash, None).await);
    }

    // Nobody's orders keep the provider from selling, and it knows its tenants after a restart.
    let market = market.restart_provider().await;
    let again = first.run(&spec(own, Some(stdin), Some(input))).await;
    assert_eq!(again.text, SECRET);
    // Who has the content may order with it, whoever had it first.
    assert_eq!(second.store(SECRET).await, stdin);
    let known = second.run(&spec(program, Some(stdin), None)).await;
    assert_eq!(known.text, SECRET);
    market.agent.stop().await;
    market.node.shutdown().await;
}
