//! What a market does: orders that name an offer, starts, receipts that close the leases.
//!
//! A wave is as many leases as providers can hold. What is signed by whom depends on the wave
//! before, so it is signed between the phases, while no clock runs.

use std::time::{Duration, Instant};

use classes::CLASSES;
use ledger::Key;
use node::replica::Replica;
use types::{
    Action, Amount, Asset, AuditTerms, Blob, Claims, Constraint, Decode as _, Duration as Span,
    GenesisWallet, Hash, Issuer, Lease, LeaseId, LeaseState, List, NodeKeyConsent, OfferId,
    OfferTerms, OrderId, OrderTerms, Rate, Receipt, SecretKey, SignedReceipt, SignedTransaction,
    Transaction,
};

use crate::ours::{Network, submit_all};

const PROVIDERS: usize = 40;
const TENANTS: usize = 400;
/// Leases of a wave; each tenant has as many as any other, and so has each provider.
const LEASES: usize = 4_000;
const WAVES: usize = 3;

/// Somebody who signs.
struct Account {
    key: SecretKey,
    nonce: u64,
}

impl Account {
    fn all(kind: &str, count: usize) -> Vec<Self> {
        let key = |number: usize| {
            let hash = Hash::of("bench signer", &[kind.as_bytes(), &number.to_le_bytes()]);
            Self { key: SecretKey::from_bytes(*hash.as_bytes()), nonce: 0 }
        };
        (0..count).map(key).collect()
    }

    fn sign(&mut self, genesis: &Hash, action: Action) -> SignedTransaction {
        let (signer, nonce) = (self.key.address(), self.nonce);
        self.nonce += 1;
        let expires = api::now().after(Span::from_seconds(600));
        Transaction { signer, nonce, expires, action }.sign(genesis, &self.key)
    }
}

fn micro(count: u64) -> Amount {
    Amount::new(count).expect("in range")
}

/// Transactions for each node, those of an account in their order for one.
struct Phase(Vec<Vec<SignedTransaction>>);

impl Phase {
    fn new(network: &Network) -> Self {
        Self(vec![Vec::new(); network.replicas.len()])
    }

    fn push(&mut self, account: usize, transaction: SignedTransaction) {
        let node = account % self.0.len();
        self.0[node].push(transaction);
    }

    /// Submits all of it, and returns how long it took until all was final everywhere.
    async fn run(self, network: &Network) -> Duration {
        let count = self.0.iter().map(Vec::len).sum::<usize>();
        let began = Instant::now();
        let parts = network.replicas.iter().cloned().zip(self.0);
        let all = parts.map(|(replica, part)| tokio::spawn(submit_all(replica, part)));
        for done in all.collect::<Vec<_>>() {
            done.await.expect("all are final");
        }
        let took = began.elapsed();
        assert!(count > 0, "a phase has transactions");
        // What is read next may be asked of any node.
        let height = |replica: &Replica| replica.committed().header.height;
        let highest = network.replicas.iter().map(height).max().expect("there are nodes");
        for replica in &network.replicas {
            let mut states = replica.states();
            let reached = states.wait_for(|committed| committed.header.height >= highest).await;
            drop(reached.expect("the node runs"));
        }
        took
    }
}

struct Market {
    network: Network,
    genesis: Hash,
    providers: Vec<Account>,
    nodes: Vec<Account>,
    tenants: Vec<Account>,
    offers: Vec<Vec<OfferId>>,
}

impl Market {
    async fn open(validators: u8) -> Self {
        let (providers, tenants) =
            (Account::all("provider", PROVIDERS), Account::all("tenant", TENANTS));
        let mut bank = Account::all("bank", 1);
        let limit = micro(1 << 50);
        let issuer = Issuer { address: bank[0].key.address(), asset: Asset::Usd, limit };
        let network = Network::start_with(validators, |genesis| {
            let wallet = |account: &Account| GenesisWallet {
                address: account.key.address(),
                amount: micro(200_000_000_000),
            };
            let wallets = providers.iter().map(wallet).collect();
            genesis.wallets = List::new(wallets).expect("few");
            genesis.issuers = List::new(vec![issuer]).expect("one");
        })
        .await;
        let genesis = network.replicas[0].genesis_hash();
        let mut issues = Phase::new(&network);
        for account in providers.iter().chain(&tenants) {
            let (to, asset, amount) = (account.key.address(), Asset::Usd, micro(1_000_000_000));
            issues.push(0, bank[0].sign(&genesis, Action::Issue { to, asset, amount }));
        }
        issues.run(&network).await;
        let nodes = Account::all("node", PROVIDERS);
        let mut market = Self { network, genesis, providers, nodes, tenants, offers: Vec::new() };
        market.offer().await;
        market
    }

    /// Registers providers with stake and two offers each.
    async fn offer(&mut self) {
        let mut posts = Phase::new(&self.network);
        let sample = CLASSES[0].sample(1_000_000);
        for (number, account) in self.providers.iter_mut().enumerate() {
            let (node, genesis) = (&self.nodes[number].key, &self.genesis);
            let consent = NodeKeyConsent { provider: account.key.address() };
            let consent = node.sign(genesis, &consent);
            let register = Action::Register { node_key: node.public(), consent };
            posts.push(number, account.sign(genesis, register));
            let stake = Action::Stake { amount: micro(150_000_000_000) };
            posts.push(number, account.sign(genesis, stake));
            let offers = (0..2).map(|offer| {
                let terms = OfferTerms {
                    class: CLASSES[0].id(),
                    terms: Blob::new(sample.terms.clone()).expect("short"),
                    claims: Claims::default(),
                    rate: Rate::new(1_000_000 + offer).expect("in range"),
                    minimum: micro(1_543),
                    slots: 64,
                    expires: api::now().after(Span::from_seconds(3_600)),
                };
                let post = account.sign(genesis, Action::PostOffer(Box::new(terms)));
                let id = OfferId::from(post.transaction.id());
                posts.push(number, post);
                id
            });
            self.offers.push(offers.collect());
        }
        posts.run(&self.network).await;
    }

    fn order(&self, lease: usize) -> OrderTerms {
        let offers = &self.offers[lease % PROVIDERS];
        let offer = offers[lease / PROVIDERS % offers.len()];
        OrderTerms {
            class: CLASSES[0].id(),
            spec: Blob::new(CLASSES[0].sample(1_000_000).spec).expect("short"),
            constraint: Constraint::default(),
            budget: micro(10_000_000),
            offers: List::new(vec![offer]).expect("one"),
            audit: AuditTerms::NONE,
            duration: Span::from_seconds(600),
            expires: api::now().after(Span::from_seconds(600)),
        }
    }

    fn receipt(&self, lease: LeaseId, key: &SecretKey) -> SignedReceipt {
        let committed = self.network.replicas[0].committed();
        let row = committed.ledger.prove(&Key::Lease(lease)).value.expect("the lease is there");
        let row = Lease::from_bytes(&row).expect("the ledger wrote it");
        let LeaseState::Active { since } = row.state else { panic!("{row:?} is not active") };
        let usage = Blob::new(CLASSES[0].sample(1_000_000).usage).expect("short");
        let receipt =
            Receipt { lease, sequence: 1, from: since, to: since, usage, trace: Hash::ZERO };
        SignedReceipt::sign(receipt, &self.genesis, key)
    }

    /// Does as many leases as providers hold, from the order to the payment.
    async fn wave(&mut self) -> Duration {
        let mut orders = Phase::new(&self.network);
        let mut leases = Vec::with_capacity(LEASES);
        for lease in 0..LEASES {
            let (terms, tenant) = (self.order(lease), lease % TENANTS);
            let action = Action::PlaceOrder(Box::new(terms));
            let placed = self.tenants[tenant].sign(&self.genesis, action);
            leases.push(LeaseId::from(OrderId::from(placed.transaction.id())));
            orders.push(tenant, placed);
        }
        let mut took = orders.run(&self.network).await;
        let mut starts = Phase::new(&self.network);
        for (place, lease) in leases.iter().enumerate() {
            let node = place % PROVIDERS;
            let start = Action::Start { lease: *lease };
            starts.push(node, self.nodes[node].sign(&self.genesis, start));
        }
        took += starts.run(&self.network).await;
        let mut receipts = Phase::new(&self.network);
        for (place, lease) in leases.iter().enumerate() {
            let node = place % PROVIDERS;
            let receipt = Box::new(self.receipt(*lease, &self.nodes[node].key));
            let submit = self.nodes[node].sign(&self.genesis, Action::SubmitReceipt(receipt));
            receipts.push(node, submit);
        }
        took + receipts.run(&self.network).await
    }
}

/// Returns how many transactions of a market become final in a second.
pub(crate) async fn transactions_per_second(validators: u8) -> f64 {
    let mut market = Market::open(validators).await;
    let mut took = Duration::ZERO;
    for _ in 0..WAVES {
        took += market.wave().await;
    }
    let Market { network, .. } = market;
    network.stop().await;
    (3 * LEASES * WAVES) as f64 / took.as_secs_f64()
}
