//! A lease from offer to settlement, over HTTP only, and what proves it.

use std::sync::Arc;

use api::{Bundle, ClientError, EventFilter, LeaseFilter, LeaseQuery, Row, RowBytes, Submitter};
use classes::job::{Exit, ID, Limits, Spec, Terms, Usage};
use ledger::Key;
use types::{
    Action, Amount, AuditTerms, Blob, Claims, ContentHash, Decode, Duration, Encode, Hash, Lease,
    LeaseId, LeaseState, List, NodeKeyConsent, OfferId, OfferTerms, Order, OrderId, OrderTerms,
    Rate, Receipt, SecretKey, SignedReceipt, Subject, Time, TransactionId,
};

use crate::network::{Network, key, quick};

pub(crate) const MICRO: u64 = Amount::MICRO;

/// A provider with a standing offer, and a tenant.
pub(crate) struct Market {
    pub(crate) provider: Submitter,
    pub(crate) node_key: Arc<SecretKey>,
    pub(crate) tenant: Submitter,
    pub(crate) offer: OfferId,
}

pub(crate) fn amount(micro: u64) -> Amount {
    Amount::new(micro).unwrap()
}

fn soon() -> Time {
    api::now().after(Duration::from_seconds(3_600))
}

impl Market {
    pub(crate) async fn open(network: &Network) -> Self {
        let (provider, tenant) = (network.account(1).await, network.account(2).await);
        let node_key = Arc::new(key(3));
        let terms = Terms {
            metering: 1,
            mfuel_per_second: 500,
            memory_pages: 1_024,
            output_bytes: 1 << 20,
        };
        let terms = OfferTerms {
            class: ID,
            terms: Blob::new(terms.to_bytes()).unwrap(),
            claims: Claims::new(),
            rate: Rate::new(1_000_000).unwrap(),
            minimum: amount(1_543),
            slots: 8,
            expires: soon(),
        };
        let consent = NodeKeyConsent { provider: provider.address() };
        let consent = node_key.sign(&provider.genesis(), &consent);
        let actions = vec![
            Action::Register { node_key: node_key.public(), consent },
            Action::Stake { amount: amount(200 * MICRO) },
            Action::PostOffer(Box::new(terms)),
        ];
        let accepted = provider.submit_all(actions).await.unwrap();
        let posted = accepted.last().unwrap().as_ref().unwrap().id;
        Self { provider, node_key, tenant, offer: posted.into() }
    }

    pub(crate) fn spec(program: ContentHash, input: Option<ContentHash>) -> Spec {
        Spec {
            metering: 1,
            program,
            input,
            stdin: None,
            arguments: List::default(),
            environment: List::default(),
            seed: Hash::ZERO,
            limits: Limits { fuel: 5_000_000_000, memory_pages: 16, output_bytes: 1 << 16 },
        }
    }

    pub(crate) fn order(&self, spec: &Spec) -> OrderTerms {
        OrderTerms {
            class: ID,
            spec: Blob::new(spec.to_bytes()).unwrap(),
            constraint: "true".parse().unwrap(),
            budget: amount(MICRO),
            offers: List::new(vec![self.offer]).unwrap(),
            audit: AuditTerms::NONE,
            duration: Duration::from_seconds(600),
            expires: soon(),
        }
    }

    /// Places an order and starts its lease.
    pub(crate) async fn lease(&self, spec: &Spec) -> LeaseId {
        self.lease_of(self.order(spec)).await
    }

    /// Places this order and starts its lease.
    pub(crate) async fn lease_of(&self, terms: OrderTerms) -> LeaseId {
        let order = Action::PlaceOrder(Box::new(terms));
        let placed: TransactionId = self.tenant.submit(order).await.unwrap().id;
        let lease = LeaseId::from(OrderId::from(placed));
        self.agent().submit(Action::Start { lease }).await.unwrap();
        lease
    }

    /// Hands in the receipt that ends a job.
    pub(crate) async fn finish(&self, lease: LeaseId, output: ContentHash, genesis: &Hash) {
        let view = self.agent().client().lease(lease).await.unwrap();
        let LeaseState::Active { since } = view.lease.state else { panic!("{view:?}") };
        let usage = Usage { fuel: 3_999_000_001, exit: Exit::Code(0), output };
        let receipt = Receipt {
            lease,
            sequence: 1,
            from: since,
            to: since,
            usage: Blob::new(usage.to_bytes()).unwrap(),
            trace: Hash::ZERO,
        };
        let signed = SignedReceipt::sign(receipt, genesis, &self.node_key);
        self.agent().submit(Action::SubmitReceipt(Box::new(signed))).await.unwrap();
    }

    /// The provider's agent, which has only the node key.
    pub(crate) fn agent(&self) -> Submitter {
        let genesis = self.genesis();
        Submitter::new(self.tenant.client().clone(), Arc::clone(&self.node_key), genesis)
    }

    fn genesis(&self) -> Hash {
        self.tenant.genesis()
    }
}

fn proved(root: &Hash, key: Key, row: &Row) -> Option<Vec<u8>> {
    let RowBytes { key: bytes, value, proof } = row.parts().unwrap();
    assert_eq!(bytes, key.to_bytes().as_slice());
    let shown = ledger::verify_proof(root, &key, &proof).unwrap();
    assert_eq!(shown, value);
    shown
}

/// Checks a bundle with nothing but the genesis that it names, and returns the lease.
fn check_bundle(bundle: &Bundle, id: LeaseId, network: &Network) -> Lease {
    assert_eq!(bundle.genesis.hash(), network.genesis);
    bundle.header.verify(&bundle.genesis).unwrap();
    let root = &bundle.header.header.state;
    let lease = Lease::from_bytes(&proved(root, Key::Lease(id), &bundle.lease).unwrap()).unwrap();
    let order = proved(root, Key::Order(lease.order), &bundle.order).unwrap();
    assert_eq!(Order::from_bytes(&order).unwrap().id, lease.order);
    assert_eq!(bundle.receipts.len(), 1);
    let receipt = proved(root, Key::Receipt(id, 1), &bundle.receipts[0]).unwrap();
    let receipt = SignedReceipt::from_bytes(&receipt).unwrap();
    receipt.verify(&network.genesis).unwrap();
    let names: Vec<_> = bundle
        .transactions
        .iter()
        .map(|included| {
            let verified = included.verify(&bundle.genesis).unwrap();
            verified.transaction().action.name()
        })
        .collect();
    assert_eq!(names, ["place-order", "start", "submit-receipt"]);
    let settled_with = &bundle.parameters[0];
    settled_with.header.verify(&bundle.genesis).unwrap();
    let root = &settled_with.header.header.state;
    let parameters = proved(root, Key::Parameters, &settled_with.row).unwrap();
    assert_eq!(parameters, bundle.genesis.parameters.to_bytes());
    let LeaseState::Closed { at, .. } = lease.state else { panic!("{lease:?}") };
    assert_eq!(settled_with.header.header.time, at);
    let mut forged = bundle.transactions[0].clone();
    forged.path.position += 1;
    assert!(forged.verify(&bundle.genesis).is_err());
    lease
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_goes_from_offer_to_settlement() {
    let network = Network::start().await;
    let market = Market::open(&network).await;
    let client = &network.client;
    let spec = Market::spec(ContentHash::of(b"program"), None);
    let quote = client.quote(&market.order(&spec)).await.unwrap();
    assert_eq!(quote.offers[0].offer, market.offer);
    assert_eq!(quote.offers[0].price, amount(5_000));
    // What the ledger would refuse has the ledger's code.
    let low = OrderTerms { budget: amount(1), ..market.order(&spec) };
    match client.quote(&low).await {
        Err(ClientError::Problem { status: 422, code, .. }) => assert_eq!(code, "order/budget"),
        other => panic!("{other:?}"),
    }
    let before = client.account(market.tenant.address()).await.unwrap().balances.usd;

    let id = market.lease(&spec).await;
    assert_eq!(client.offer(market.offer).await.unwrap().leased, 1);
    let provider = Some(market.provider.address());
    let query = LeaseQuery { provider, state: Some(LeaseFilter::Open), ..LeaseQuery::default() };
    assert_eq!(client.leases(&query).await.unwrap().items[0].lease.id, id);

    let filter = EventFilter { kind: Some("released".to_owned()), ..EventFilter::default() };
    let mut released = client.events(filter).await.unwrap();
    market.finish(id, ContentHash::of(b"output"), &network.genesis).await;
    assert!(client.leases(&query).await.unwrap().items.is_empty());
    let view = client.lease(id).await.unwrap();
    assert!(matches!(view.lease.state, LeaseState::Closed { .. }), "{view:?}");
    // 3,999.000001 Mfuel are 4,000 units at a micro-USD each.
    assert_eq!(view.lease.settlement.gross, amount(4_000));
    let after = client.account(market.tenant.address()).await.unwrap().balances.usd;
    assert_eq!(before.minus(after).unwrap(), amount(4_000));

    let lease = check_bundle(&client.bundle(id).await.unwrap(), id, &network);
    assert_eq!(lease, view.lease);
    // What counts as supplied is what was paid.
    released.next().await.unwrap();
    let supply = client.supply().await.unwrap();
    assert_eq!(supply.classes[0].running.supply.earning.get(), 4_000);
    assert_eq!(supply.classes[0].running.supply.verified.get(), 0);
    assert_eq!(client.receipt(id, 1).await.unwrap(), view.receipts[0]);
    assert!(client.receipt(id, 2).await.unwrap_err().is_unknown());

    let tenant = market.tenant.address();
    let orders = client.orders(tenant, None, None).await.unwrap();
    assert_eq!((orders.items.len(), orders.items[0].lease), (1, Some(id)));
    let history = client.account_history(tenant, None, Some(2)).await.unwrap();
    assert_eq!(history.items.len(), 2);
    let next = history.next.unwrap().parse().unwrap();
    let older = client.account_history(tenant, Some(next), None).await.unwrap();
    assert!(older.items.iter().all(|event| event.id < next) && !older.items.is_empty());
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_left_the_state_can_still_be_proved() {
    let network = Network::start_with(quick(), |_| ()).await;
    let market = Market::open(&network).await;
    let kind = Some("lease-archived".to_owned());
    let filter = EventFilter { kind, ..EventFilter::default() };
    let mut archived = network.client.events(filter).await.unwrap();
    let id = market.lease(&Market::spec(ContentHash::of(b"program"), None)).await;
    market.finish(id, ContentHash::of(b"output"), &network.genesis).await;
    archived.next().await.unwrap();

    let client = &network.client;
    assert!(network.node.handle().read().ledger.lease(&id).is_none());
    let view = client.lease(id).await.unwrap();
    assert!(view.archived && view.receipts.len() == 1);
    let lease = check_bundle(&client.bundle(id).await.unwrap(), id, &network);
    assert_eq!(lease, view.lease);
    let gone = [Subject::Lease(id), Subject::Receipt(id, 1), Subject::Audit(id)];
    for subject in gone.into_iter().chain([Subject::Dispute(id)]) {
        let absent = client.proof(&subject).await.unwrap();
        assert_eq!(proved(&absent.header.header.state, subject.into(), &absent.row), None);
    }
    let closed = LeaseQuery {
        tenant: Some(market.tenant.address()),
        state: Some(LeaseFilter::Closed),
        ..LeaseQuery::default()
    };
    assert_eq!(client.leases(&closed).await.unwrap().items, [view]);
    // Blocks that no transaction asked for keep their distance.
    let blocks = client.blocks(None, Some(200)).await.unwrap().items;
    let unasked = blocks.windows(2).filter(|pair| pair[0].transactions == 0);
    let distances = unasked.map(|pair| {
        let [after, before] = [0, 1].map(|at| pair[at].header.time.as_ms());
        after - before
    });
    assert!(distances.min().unwrap() >= 100);
    // Epochs went by, and their tallies stand in the history.
    assert!(!client.supply_history(ID, None, None).await.unwrap().items.is_empty());
    network.node.shutdown().await;
}
