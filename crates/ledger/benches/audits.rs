//! Measures what audits and time ask of the ledger on one core, each block with its root.
//!
//! `cargo bench -p ledger --bench audits`

#[path = "market/mod.rs"]
mod market;

use std::collections::BTreeMap;

use bench::{Figure, Report, core_time};
use classes::CLASSES;
use market::{BLOCK_MS, Chain, Signers, address, handed_in, issue, market, order};
use types::{
    Action, Address, AuditTerms, AuditorTerms, BasisPoints, Blob, Duration, Finding, Hash, LeaseId,
    OfferId, Opening, OrderId, Parameters, Readers, Signature, Verified,
};

const PROVIDERS: usize = 100;
const TENANTS: usize = 1_000;
/// Leases of one block, and times that blocks are measured; the fastest counts.
const LEASES: usize = 500;
const ROUNDS: usize = 20;
/// What one block works through from the queue.
const EXPIRIES: usize = 1_000;

/// A market whose providers audit each other.
struct World {
    chain: Chain,
    offers: Vec<OfferId>,
    tenants: Signers,
    nodes: Signers,
    numbers: BTreeMap<Address, usize>,
}

impl World {
    fn new(parameters: Parameters) -> Self {
        let mut chain = Chain::new(PROVIDERS, parameters);
        let offers = market(&mut chain, PROVIDERS, 10);
        let mut bank = Signers::new("bank", 1, PROVIDERS as u64);
        issue(&mut chain, &mut bank, (0..TENANTS).map(|number| address("tenant", number)));
        let mut nodes = Signers::new("node", PROVIDERS, 0);
        let terms = AuditorTerms {
            class: CLASSES[0].id(),
            terms: Blob::new(CLASSES[0].sample(1).terms).expect("short"),
        };
        let enlist = |number| {
            let action = Action::Enlist(Box::new(terms.clone()));
            nodes.sign(number, chain.time + 60_000, action)
        };
        let block: Vec<Verified> = (0..PROVIDERS).map(enlist).collect();
        chain.block(&block);
        let numbers = (0..PROVIDERS).map(|number| (address("provider", number), number)).collect();
        Self { chain, offers, tenants: Signers::new("tenant", TENANTS, 0), nodes, numbers }
    }

    /// Hands in the receipts of so many leases, of which every one is audited by `auditors`.
    fn hand_in(&mut self, leases: usize, auditors: u8, duration: Duration) -> Vec<LeaseId> {
        let now = self.chain.time + BLOCK_MS;
        let probability = BasisPoints::new(10_000).expect("the whole");
        let audit = AuditTerms { probability, auditors, readers: Readers::Auditors };
        let audit = if auditors == 0 { AuditTerms::NONE } else { audit };
        let (mut block, mut ids) = (Vec::new(), Vec::new());
        for number in 0..leases {
            let at = number * 7 % self.offers.len();
            let terms = order(now, vec![self.offers[at]], duration);
            let terms = types::OrderTerms { audit, ..terms };
            let tenant = (&mut self.tenants, number % TENANTS);
            let node = (&mut self.nodes, at / 10);
            let trace = types::Receipt::commit(&Hash::ZERO);
            let (lease, signed) = handed_in(now, terms, tenant, node, trace);
            block.extend(signed);
            ids.push(lease);
        }
        self.chain.block(&block);
        ids
    }

    /// Starts so many leases.
    fn start(&mut self, leases: usize, duration: Duration) {
        let now = self.chain.time + BLOCK_MS;
        let mut block = Vec::new();
        for number in 0..leases {
            let at = number * 7 % self.offers.len();
            let terms = order(now, vec![self.offers[at]], duration);
            let place = Action::PlaceOrder(Box::new(terms));
            let place = self.tenants.sign(number % TENANTS, now + 60_000, place);
            let lease = LeaseId::from(OrderId::from(place.id()));
            let start = self.nodes.sign(at / 10, now + 60_000, Action::Start { lease });
            block.extend([place, start]);
        }
        self.chain.block(&block);
    }

    /// Returns who audits each lease.
    fn drawn(&self, leases: &[LeaseId]) -> Vec<(LeaseId, Address)> {
        let of = |lease: &LeaseId| {
            let audit = self.chain.ledger.audit(lease).expect("it was drawn");
            audit.current().map(|assigned| (*lease, assigned.auditor)).collect::<Vec<_>>()
        };
        leases.iter().flat_map(of).collect()
    }

    /// Signs an action for each audit.
    fn sign(
        &mut self,
        audits: &[(LeaseId, Address)],
        action: impl Fn(LeaseId, Address) -> Action,
    ) -> Vec<Verified> {
        let expires = self.chain.time + 60_000;
        let (numbers, nodes) = (&self.numbers, &mut self.nodes);
        let sign = |(lease, auditor): &(LeaseId, Address)| {
            nodes.sign(numbers[auditor], expires, action(*lease, *auditor))
        };
        audits.iter().map(sign).collect()
    }
}

fn work() -> Finding {
    let usage = CLASSES[0].sample(market::UNITS_MAX * 1_000_000).usage;
    let result_root = CLASSES[0].result_root(&usage).expect("it is a sample");
    Finding::Work { result_root, trace_root: Hash::ZERO }
}

/// Commitments and reveals, a block of each in turn.
fn transactions() -> Figure {
    let mut world = World::new(Parameters::local());
    let mut fastest = f64::MAX;
    for _ in 0..ROUNDS {
        let leases = world.hand_in(LEASES, 3, Duration::from_seconds(600));
        world.chain.block(&[]);
        let audits = world.drawn(&leases);
        let commits = world.sign(&audits, |lease, auditor| {
            let opening = Opening { lease, auditor, salt: Hash::ZERO, finding: work() };
            Action::CommitAudit { lease, commitment: opening.commit() }
        });
        let reveals = world.sign(&audits, |lease, _| Action::RevealAudit {
            lease,
            salt: Hash::ZERO,
            finding: work(),
        });
        let began = core_time();
        world.chain.block(&commits);
        world.chain.block(&reveals);
        let seconds = (core_time() - began).as_secs_f64();
        fastest = fastest.min(seconds / (commits.len() + reveals.len()) as f64);
    }
    Figure::new(1.0 / fastest, "transactions/s").at_least(20_000.0)
}

/// Returns how long the block takes that comes so many milliseconds after what `prepare` does, in
/// which as much is due as a block works through.
fn expiries(prepare: impl Fn(&mut World) -> u64) -> Figure {
    let mut fastest = f64::MAX;
    for _ in 0..5 {
        let mut world = World::new(Parameters::local());
        let ms = prepare(&mut world);
        let began = core_time();
        world.chain.block_after(ms, &[]);
        fastest = fastest.min((core_time() - began).as_secs_f64());
    }
    Figure::new(fastest * 1e3, "ms").at_most(20.0)
}

/// What the close of an epoch adds to a block where there are a million providers.
fn epoch_close() -> Figure {
    let providers = 1_000_000;
    let mut chain = Chain::new(0, Parameters::local());
    let mut bank = Signers::new("bank", 1, 0);
    issue(&mut chain, &mut bank, (0..providers).map(|number| address("provider", number)));
    let mut signers = Signers::new("provider", providers, 0);
    let consent = Signature::from_bytes([0; 64]);
    for first in (0..providers).step_by(4_000) {
        let expires = chain.time + 60_000;
        let register = |number| {
            let node_key = *address("node", number).key();
            signers.sign(number, expires, Action::Register { node_key, consent })
        };
        let block: Vec<Verified> = (first..first + 4_000).map(register).collect();
        chain.block(&block);
    }
    let mut timed = |ms| {
        let began = core_time();
        chain.block_after(ms, &[]);
        (core_time() - began).as_secs_f64()
    };
    let quiet = (0..5).map(|_| timed(1)).fold(f64::MAX, f64::min);
    let closing = (0..5).map(|_| timed(600_000)).fold(0.0, f64::max);
    Figure::new((closing - quiet).max(0.0) * 1e3, "ms").at_most(50.0)
}

fn main() {
    let mut report = Report::new();
    report.row("ledger/audit transactions", transactions);
    report.row("ledger/1,000 releases in a block", || {
        expiries(|world| {
            world.hand_in(EXPIRIES, 0, Duration::from_seconds(600));
            2_000
        })
    });
    report.row("ledger/1,000 missed audits in a block", || {
        expiries(|world| {
            world.hand_in(EXPIRIES, 1, Duration::from_seconds(600));
            world.chain.block(&[]);
            // The longest window of those that were drawn.
            10_000_000
        })
    });
    report.row("ledger/1,000 leases that end in a block", || {
        expiries(|world| {
            world.start(EXPIRIES, Duration::from_seconds(30));
            30_000
        })
    });
    report.row("ledger/epoch close with 1,000,000 providers", epoch_close);
    report.finish();
}
