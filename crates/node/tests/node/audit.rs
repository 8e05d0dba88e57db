//! Audits and disputes: who may read what they are about, and how they are listed.

use std::{collections::BTreeSet, sync::Arc};

use api::{AuditQuery, DisputeQuery, EventFilter, LeaseView, Submitter};
use classes::job::{ID, Terms};
use types::{
    Action, Argument, AuditTerms, AuditorTerms, BasisPoints, Blob, CheckState, ContentHash,
    Duration, Encode, Finding, Hash, LeaseId, NodeKeyConsent, Opening, OrderTerms, Parameters,
    Readers, Ruling, SecretKey,
};

use crate::{
    content::{reads, store},
    network::{Network, key},
    trade::{MICRO, Market, amount},
};

/// What an auditor finds here: never what the receipt says.
const FINDING: Finding = Finding::Work { result_root: Hash::ZERO, trace_root: Hash::ZERO };
const SALT: Hash = Hash::ZERO;

/// An auditor: its account's key and its node key.
struct Auditor {
    account: SecretKey,
    node: Submitter,
    node_key: Arc<SecretKey>,
}

impl Auditor {
    async fn enlist(network: &Network, seed: u8) -> Self {
        let account = network.account(seed).await;
        let node_key = Arc::new(key(seed + 100));
        let consent = NodeKeyConsent { provider: account.address() };
        let consent = node_key.sign(&network.genesis, &consent);
        let terms = Terms {
            metering: 1,
            mfuel_per_second: 500,
            memory_pages: 1_024,
            output_bytes: 1 << 20,
        };
        let terms = Blob::new(terms.to_bytes()).unwrap();
        let terms = AuditorTerms { class: ID, terms };
        let actions = vec![
            Action::Register { node_key: node_key.public(), consent },
            Action::Stake { amount: amount(200 * MICRO) },
            Action::Enlist(Box::new(terms)),
        ];
        let accepted = account.submit_all(actions).await.unwrap();
        assert!(accepted.iter().all(Result::is_ok), "{accepted:?}");
        let node = Submitter::new(network.client.clone(), Arc::clone(&node_key), network.genesis);
        Self { account: key(seed), node, node_key }
    }

    async fn commit(&self, lease: LeaseId) {
        let opening =
            Opening { lease, auditor: self.account.address(), salt: SALT, finding: FINDING };
        let commitment = opening.commit();
        self.node.submit(Action::CommitAudit { lease, commitment }).await.unwrap();
    }

    async fn reveal(&self, lease: LeaseId) {
        let action = Action::RevealAudit { lease, salt: SALT, finding: FINDING };
        self.node.submit(action).await.unwrap();
    }
}

/// Starts a network in which nothing runs out while a test looks.
async fn start() -> Network {
    let long = Duration::from_seconds(600);
    let parameters = Parameters {
        commit_window_ms: long,
        reveal_window_ms: long,
        dispute_window_ms: long,
        unbonding_ms: Duration::from_seconds(36_000),
        ..Parameters::local()
    };
    Network::start_with(parameters, |_| ()).await
}

async fn validator(network: &Network) -> (Submitter, Arc<SecretKey>) {
    let key = node::config::read_key(&network.config.validator_key_path()).unwrap();
    network.client.faucet(key.address()).await.unwrap();
    let key = Arc::new(key);
    (Submitter::new(network.client.clone(), Arc::clone(&key), network.genesis), key)
}

/// Lets a receipt for a program be handed in, and so many auditors be drawn.
async fn drawn(network: &Network, market: &Market, program: ContentHash, auditors: u8) -> LeaseId {
    let kind = Some("audit-drawn".to_owned());
    let filter = EventFilter { kind, ..EventFilter::default() };
    let mut events = network.client.events(filter).await.unwrap();
    let probability = BasisPoints::new(10_000).unwrap();
    let audit = AuditTerms { probability, auditors, readers: Readers::Auditors };
    let terms = OrderTerms { audit, ..market.order(&Market::spec(program, None)) };
    let lease = market.lease_of(terms).await;
    market.finish(lease, ContentHash::of(b"output"), &network.genesis).await;
    events.next().await.unwrap();
    lease
}

async fn rule(network: &Network, validator: &Submitter, lease: LeaseId) {
    let view = network.client.lease(lease).await.unwrap();
    let opened = view.dispute.unwrap().opened;
    let argument = Box::new(Argument::Rule { ruling: Ruling::Unavailable });
    validator.submit(Action::Argue { lease, opened, argument }).await.unwrap();
}

/// Returns which of the auditors have the audit of a lease to do.
async fn assigned<'a>(
    network: &Network,
    lease: LeaseId,
    auditors: &'a [Auditor],
) -> Vec<&'a Auditor> {
    let audit = network.client.lease(lease).await.unwrap().audit.unwrap();
    let is_drawn = |auditor: &&Auditor| {
        audit.current().any(|assigned| assigned.auditor == auditor.account.address())
    };
    auditors.iter().filter(is_drawn).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_checks_a_lease_reads_its_inputs_as_long_as_that_takes_and_no_others() {
    let network = start().await;
    let market = Market::open(&network).await;
    let mut auditors = Vec::new();
    for seed in [5, 6, 7, 8] {
        auditors.push(Auditor::enlist(&network, seed).await);
    }
    let (ruler, validator) = validator(&network).await;
    let (tenant, stranger) = (key(2), key(4));
    network.account(4).await;
    let program = store(&network, &tenant, b"program").await;
    let other = store(&network, &tenant, b"other").await;
    let unnamed = store(&network, &tenant, b"unnamed").await;

    let lease = drawn(&network, &market, program, 2).await;
    let other_lease = drawn(&network, &market, other, 2).await;
    let checks = assigned(&network, lease, &auditors).await;
    assert_eq!(checks.len(), 2);
    let check = async |may_audit: bool, may_judge: bool| {
        for auditor in &auditors {
            let is_drawn = checks.iter().any(|drawn| std::ptr::eq(*drawn, auditor));
            for key in [&auditor.account, &*auditor.node_key] {
                let reads = async |hash, lease| reads(&network, key, hash, lease).await;
                assert_eq!(reads(program, Some(lease)).await, may_audit && is_drawn);
                // By no other way, and nothing else.
                assert!(!reads(program, None).await && !reads(program, Some(other_lease)).await);
                assert!(!reads(unnamed, Some(lease)).await && !reads(other, Some(lease)).await);
            }
        }
        assert_eq!(reads(&network, &validator, program, Some(lease)).await, may_judge);
        assert!(!reads(&network, &validator, other, Some(other_lease)).await);
        assert!(!reads(&network, &validator, unnamed, Some(lease)).await);
        assert!(!reads(&network, &stranger, program, Some(lease)).await);
        assert!(reads(&network, &tenant, program, Some(lease)).await);
        assert!(reads(&network, &market.node_key, program, Some(lease)).await);
    };
    check(true, false).await;
    for auditor in &checks {
        auditor.commit(lease).await;
        check(true, false).await;
    }
    checks[0].reveal(lease).await;
    check(true, false).await;
    checks[1].reveal(lease).await;
    check(false, true).await;
    rule(&network, &ruler, lease).await;
    check(false, false).await;
    let ended = network.client.lease(lease).await.unwrap();
    assert_eq!(ended.lease.check, CheckState::Undecided);
    // Where a lease is not checked yet, nobody checks.
    let unchecked = market.lease(&Market::spec(program, None)).await;
    for key in [&*validator, &auditors[0].account, &stranger] {
        assert!(!reads(&network, key, program, Some(unchecked)).await);
    }
    network.node.shutdown().await;
}

/// Lists all audits, or those of an auditor, two on a page.
async fn audits(network: &Network, auditor: Option<&Auditor>) -> Vec<LeaseView> {
    let auditor = auditor.map(|auditor| auditor.account.address());
    let mut query = AuditQuery { auditor, limit: Some(2), after: None };
    let mut listed = Vec::new();
    loop {
        let page = network.client.audits(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        listed.extend(page.items);
        query.after = page.next;
        if query.after.is_none() {
            return listed;
        }
    }
}

/// Lists all disputes, or the open ones, two on a page.
async fn disputes(network: &Network, open: bool) -> Vec<LeaseView> {
    let mut query = DisputeQuery { open, limit: Some(2), after: None };
    let mut listed = Vec::new();
    loop {
        let page = network.client.disputes(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        listed.extend(page.items);
        query.after = page.next;
        if query.after.is_none() {
            return listed;
        }
    }
}

fn names(views: &[LeaseView]) -> Vec<LeaseId> {
    views.iter().map(|view| view.lease.id).collect()
}

fn sorted(leases: &[LeaseId]) -> Vec<LeaseId> {
    leases.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audits_and_disputes_are_listed_page_by_page_and_outlive_node_and_history() {
    let network = start().await;
    let market = Market::open(&network).await;
    let auditors = [Auditor::enlist(&network, 5).await, Auditor::enlist(&network, 6).await];
    let (ruler, _) = validator(&network).await;
    let mut leases = Vec::new();
    for number in 0..5_u8 {
        leases.push(drawn(&network, &market, ContentHash::of(&[number]), 1).await);
    }
    for lease in &leases[..4] {
        let auditor = assigned(&network, *lease, &auditors).await[0];
        auditor.commit(*lease).await;
        if *lease != leases[3] {
            auditor.reveal(*lease).await;
        }
    }
    rule(&network, &ruler, leases[1]).await;

    let all = async |network: &Network| {
        (
            [audits(network, Some(&auditors[0])).await, audits(network, Some(&auditors[1])).await],
            audits(network, None).await,
            disputes(network, true).await,
            disputes(network, false).await,
        )
    };
    let before = all(&network).await;
    let (to_do, audited, open, disputed) = &before;
    // What is to do comes by name; what was, the newest first.
    let to_do: Vec<LeaseId> = to_do.iter().flat_map(|views| names(views)).collect();
    assert_eq!(sorted(&to_do), sorted(&leases[3..]));
    let newest = |leases: &[LeaseId]| leases.iter().rev().copied().collect::<Vec<_>>();
    assert_eq!(names(audited), newest(&leases));
    assert_eq!(names(open), sorted(&[leases[0], leases[2]]));
    assert_eq!(names(disputed), newest(&leases[..3]));
    assert!(audited.iter().all(|view| view.audit.is_some()));
    let outcomes = disputed.iter().map(|view| view.dispute.as_ref().unwrap().outcome.is_some());
    assert_eq!(outcomes.collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(audits(&network, None).await, *audited);

    // A place that there is not is behind everything.
    let after = Some(LeaseId::from_bytes([0xff; 32]).to_string());
    let query = AuditQuery { after: after.clone(), ..AuditQuery::default() };
    assert!(network.client.audits(&query).await.unwrap().items.is_empty());
    let query = DisputeQuery { after, ..DisputeQuery::default() };
    assert!(network.client.disputes(&query).await.unwrap().items.is_empty());

    let network = network.restart().await;
    assert_eq!(all(&network).await, before);
    let network = network.rebuild().await;
    assert_eq!(all(&network).await, before);
    network.node.shutdown().await;
}
