//! A small network: tenants, providers, auditors and validators that play what a row lets them.
//!
//! Nobody here knows more than its party could: honest auditors and validators find what the work
//! truly gives, or nothing where its inputs are withheld; the coalition knows what its own
//! receipts say, and what it has agreed to say of others'.

use std::collections::{BTreeMap, BTreeSet};

use crate::players::{Auditing, Judging};
use classes::{CLASSES, job};
use ledger::{Ledger, RULES, Row};
use types::{
    Action, Address, Amount, Asset, AuditTerms, AuditorTerms, BasisPoints, Blob, Claims, ClassId,
    Constraint, Duration, Encode, Event, Finding, Genesis, GenesisWallet, Hash, Issuer, Lease,
    LeaseId, List, OfferId, OfferTerms, OrderTerms, Parameters, PublicKey, Rate, Readers, Receipt,
    Reject, Signature, SignedReceipt, SignedTransaction, Text, Time, Transaction, TransactionId,
    Validator, Verified,
};

/// Auditors, one seat each.
pub(crate) const AUDITORS: [&str; 8] = ["ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"];
/// Providers that serve.
pub(crate) const PROVIDERS: [&str; 4] = ["provider", "provider 2", "provider 3", "provider 4"];
pub(crate) const TENANTS: [&str; 3] = ["tenant", "tenant 2", "tenant 3"];
pub(crate) const VALIDATORS: [&str; 4] = ["validator", "validator 2", "validator 3", "validator 4"];
/// Micro-WILD that each provider and auditor stakes.
pub(crate) const STAKE: u64 = 100_000_000;
/// Units that each machine does in a second.
const SPEED: u64 = 1_000;

/// What a provider hands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Right,
    /// Right, and the coalition knows it without doing it.
    Known,
    Fake,
    /// Fake, and neither auditors nor one of the validators can have its inputs.
    Withheld,
    /// What another lease's work gave.
    Of(LeaseId),
    /// Right, but with a bill for twice as much.
    Padded,
}

/// A lease that was played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) lease: LeaseId,
    pub(crate) price: u64,
    /// What the receipt commits to.
    pub(crate) claimed: Finding,
    /// What the work gives.
    pub(crate) truth: Finding,
    /// Whether the coalition knows what the receipt commits to.
    pub(crate) is_ours: bool,
    pub(crate) is_withheld: bool,
    pub(crate) is_over: bool,
}

/// A lease to be played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deal {
    pub(crate) provider: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) work: Work,
    pub(crate) price: u64,
    pub(crate) audit: AuditTerms,
}

/// The network within a block. A clone is a fork.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) parameters: Parameters,
    seed: u64,
    has_short_leases: bool,
    last: TransactionId,
    pub(crate) jobs: Vec<Job>,
    offers: BTreeMap<&'static str, OfferId>,
    /// What doing work cost whom, in micro-USD.
    costs: BTreeMap<&'static str, u64>,
    pub(crate) auditing: BTreeMap<&'static str, Auditing>,
    pub(crate) judging: [Judging; 4],
    pub(crate) committed: BTreeMap<(LeaseId, &'static str), Finding>,
    pub(crate) slashed: BTreeSet<Address>,
}

/// Returns the account of a name.
pub(crate) fn address(name: &str) -> Address {
    Address::new(key(name))
}

pub(crate) fn key(name: &str) -> PublicKey {
    PublicKey::from_bytes(*Hash::of("adversary key", &[name.as_bytes()]).as_bytes())
}

pub(crate) fn micro(count: u64) -> Amount {
    Amount::new(count).unwrap()
}

/// Returns audits of this probability, in basis points, by so many.
pub(crate) fn audits(probability: u16, auditors: u8) -> AuditTerms {
    let probability = BasisPoints::new(probability).unwrap();
    AuditTerms { probability, auditors, readers: Readers::Auditors }
}

/// Returns the meter reading of a lease at this price.
fn usage(lease: LeaseId, price: u64) -> job::Usage {
    let output = types::ContentHash::of(lease.as_bytes());
    job::Usage { fuel: price * job::FUEL_PER_UNIT, exit: job::Exit::Code(0), output }
}

fn trace_root(kind: &str, lease: LeaseId) -> Hash {
    Hash::of("adversary trace", &[kind.as_bytes(), lease.as_bytes()])
}

/// Returns what work of this kind gives for a lease at this price, with the result that its
/// receipt says.
pub(crate) fn done(kind: &str, lease: LeaseId, price: u64) -> Finding {
    let result_root = usage(lease, price).result_root();
    Finding::Work { result_root, trace_root: trace_root(kind, lease) }
}

/// Returns what somebody makes up.
pub(crate) fn found(kind: &str, lease: LeaseId) -> Finding {
    let root = |part: &str| {
        Hash::of("adversary work", &[kind.as_bytes(), part.as_bytes(), lease.as_bytes()])
    };
    Finding::Work { result_root: root(" result "), trace_root: root(" trace ") }
}

fn class() -> ClassId {
    CLASSES[0].id()
}

fn genesis(parameters: &Parameters) -> Genesis {
    let limit = micro(1_000_000_000_000);
    let issuer = |asset| Issuer { address: address("bank"), asset, limit };
    let validators = VALIDATORS.map(|name| Validator::without_beacon(key(name)));
    Genesis {
        network: Text::new("adversaries").unwrap(),
        time: Time::from_ms(1_000_000),
        rules: RULES,
        token: true,
        validators: Validator::in_order(validators.to_vec()).unwrap(),
        issuers: List::new(vec![issuer(Asset::Usd), issuer(Asset::Wild)]).unwrap(),
        wallets: List::new(vec![GenesisWallet { address: address("rest"), amount: micro(1) }])
            .unwrap(),
        parameters: parameters.clone(),
    }
}

impl World {
    /// Starts a network in which everybody is honest.
    pub(crate) fn new(parameters: Parameters) -> Self {
        let mut ledger = Ledger::new(&genesis(&parameters)).unwrap();
        ledger.begin(Time::from_ms(1_000_001), Hash::ZERO, 1).unwrap();
        let mut world = Self {
            ledger,
            parameters,
            seed: 0,
            has_short_leases: false,
            last: TransactionId::from_bytes([0; 32]),
            jobs: Vec::new(),
            offers: BTreeMap::new(),
            costs: BTreeMap::new(),
            auditing: AUDITORS.map(|name| (name, Auditing::Honest)).into(),
            judging: [Judging::Honest; 4],
            committed: BTreeMap::new(),
            slashed: BTreeSet::new(),
        };
        for name in TENANTS {
            world.fund(name, Asset::Usd, 10_000_000_000);
        }
        for name in AUDITORS {
            world.provide(name, STAKE);
            world.ok(name, Action::Enlist(Box::new(world.auditor())));
        }
        for name in PROVIDERS {
            world.provide(name, STAKE);
            world.post(name, 1_000_000);
        }
        world.fill_treasury();
        world.costs.clear();
        world.jobs.clear();
        world
    }

    /// Lets one great lease fill the treasury, which bears how audits by chance differ from their
    /// premiums.
    fn fill_treasury(&mut self) {
        let (provider, tenant, work) = ("provider 4", "tenant 3", Work::Right);
        let deal = Deal { provider, tenant, work, price: 1_000_000_000, audit: AuditTerms::NONE };
        self.play(&deal).unwrap();
        self.settle();
    }

    /// Returns a fork whose beacons are those of a seed.
    pub(crate) fn fork(&self, seed: u64) -> Self {
        let mut fork = self.clone();
        fork.seed = seed;
        fork.pass(1);
        fork
    }

    /// Lets the first so many auditors play this way.
    pub(crate) fn with_auditors(mut self, count: usize, auditing: Auditing) -> Self {
        self.auditing.extend(AUDITORS.into_iter().take(count).map(|name| (name, auditing)));
        self
    }

    pub(crate) fn with_auditor(&mut self, name: &'static str, auditing: Auditing) {
        self.auditing.insert(name, auditing);
    }

    /// Lets one of the four validators lie.
    pub(crate) fn with_a_lying_validator(mut self) -> Self {
        self.judging[0] = Judging::Lies;
        self
    }

    /// Lets tenants ask for more in a lease than any machine does in its time.
    pub(crate) fn with_short_leases(mut self) -> Self {
        self.has_short_leases = true;
        self
    }

    pub(crate) fn fund(&mut self, name: &str, asset: Asset, amount: u64) {
        self.ok("bank", Action::Issue { to: address(name), asset, amount: micro(amount) });
    }

    /// Makes a name a provider with stake.
    pub(crate) fn provide(&mut self, name: &'static str, stake: u64) {
        self.fund(name, Asset::Usd, 100_000_000);
        self.fund(name, Asset::Wild, stake);
        let consent = Signature::from_bytes([0; 64]);
        let node_key = key(&format!("{name} node"));
        self.ok(name, Action::Register { node_key, consent });
        self.ok(name, Action::Stake { amount: micro(stake) });
    }

    /// Returns the terms of an auditor.
    pub(crate) fn auditor(&self) -> AuditorTerms {
        AuditorTerms { class: class(), terms: Blob::new(CLASSES[0].sample(1).terms).unwrap() }
    }

    /// Returns the terms of an offer at so much for a million units.
    pub(crate) fn offer(&self, rate: u64) -> OfferTerms {
        OfferTerms {
            class: class(),
            terms: Blob::new(CLASSES[0].sample(1).terms).unwrap(),
            claims: Claims::default(),
            rate: Rate::new(rate).unwrap(),
            minimum: self.parameters.receipt_minimum,
            slots: 4_096,
            expires: self.now().after(self.parameters.market_horizon_ms),
        }
    }

    /// Posts a provider's offer at so much for a million units.
    pub(crate) fn post(&mut self, name: &'static str, rate: u64) {
        let terms = self.offer(rate);
        self.ok(name, Action::PostOffer(Box::new(terms)));
        self.offers.insert(name, OfferId::from(self.last));
    }

    pub(crate) fn retire(&mut self, name: &'static str) {
        let offer = self.offers[name];
        self.ok(name, Action::RetireOffer { offer });
    }

    pub(crate) fn now(&self) -> Time {
        self.ledger.network().time
    }

    /// Executes an action.
    pub(crate) fn run(&mut self, signer: &str, action: Action) -> Result<(), Reject> {
        let signer = address(signer);
        let nonce = self.ledger.account(&signer).map_or(0, |account| account.nonce);
        let expires = self.now().after(Duration::from_seconds(60));
        let transaction = Transaction { signer, nonce, expires, action };
        let signature = Signature::from_bytes([0; 64]);
        let verified = Verified::trust(SignedTransaction { transaction, signature });
        self.last = verified.id();
        self.ledger.apply(&verified)
    }

    /// Executes an action that must be accepted.
    pub(crate) fn ok(&mut self, signer: &str, action: Action) {
        let name = action.name();
        assert_eq!(self.run(signer, action), Ok(()), "{signer}'s {name}, seed {}", self.seed);
    }

    /// Ends the block and begins another so much later.
    pub(crate) fn pass(&mut self, ms: u64) {
        let time = self.now().after(Duration::from_ms(ms));
        self.next(|_| time, self.leader(1));
    }

    /// Ends the block and begins another when the ledger next does something by itself.
    pub(crate) fn wait(&mut self) {
        let next_due = |ledger: &Ledger| ledger.next_due().expect("an epoch is always to close");
        self.next(next_due, self.leader(1));
    }

    /// Ends the block and begins another that this validator leads.
    pub(crate) fn lead(&mut self, leader: u32) {
        let time = self.now().after(Duration::from_ms(1));
        self.next(|_| time, leader);
    }

    /// Lets the draw of what was handed in come: two others must lead a block.
    pub(crate) fn draw(&mut self) {
        self.pass(1);
        self.pass(1);
    }

    /// Returns whose turn it is to lead the block that comes so many after this one.
    pub(crate) fn leader(&self, blocks: u64) -> u32 {
        let validators = u64::try_from(VALIDATORS.len()).unwrap();
        u32::try_from((self.ledger.network().height + blocks) % validators).unwrap()
    }

    fn next(&mut self, time: impl FnOnce(&Ledger) -> Time, leader: u32) {
        for event in self.ledger.end().events {
            if let Event::Slashed { provider, .. } = event {
                self.slashed.insert(provider);
            }
        }
        let time = time(&self.ledger);
        let number = self.ledger.network().height;
        let parts = [&self.seed.to_le_bytes()[..], &number.to_le_bytes()];
        self.ledger.begin(time, Hash::of("adversary beacon", &parts), leader).unwrap();
    }

    /// Returns how long a lease may run: twice what its work takes a machine of this network, at
    /// least an hour, or less than it takes.
    fn duration(&self, price: u64) -> Duration {
        match self.has_short_leases {
            true => Duration::from_seconds(price / SPEED),
            false => Duration::from_seconds((price / (SPEED / 2)).max(3_600)),
        }
    }

    pub(crate) fn order(&self, deal: &Deal) -> OrderTerms {
        let premium = deal.audit.premium(micro(deal.price)).unwrap();
        OrderTerms {
            class: class(),
            spec: Blob::new(CLASSES[0].sample(deal.price * job::FUEL_PER_UNIT).spec).unwrap(),
            constraint: Constraint::default(),
            budget: micro(deal.price).plus(premium).unwrap(),
            offers: List::new(vec![self.offers[deal.provider]]).unwrap(),
            audit: deal.audit,
            duration: self.duration(deal.price),
            expires: self.now().after(Duration::from_seconds(600)),
        }
    }

    /// Opens a lease, as far as the ledger takes the order.
    pub(crate) fn open(&mut self, deal: &Deal) -> Result<LeaseId, Reject> {
        let order = self.order(deal);
        self.run(deal.tenant, Action::PlaceOrder(Box::new(order)))?;
        Ok(LeaseId::from(types::OrderId::from(self.last)))
    }

    /// Plays a deal up to its receipt, which ends the lease.
    pub(crate) fn play(&mut self, deal: &Deal) -> Result<LeaseId, Reject> {
        let lease = self.open(deal)?;
        self.ok(deal.provider, Action::Start { lease });
        let result_root = usage(lease, deal.price).result_root();
        let claimed = match deal.work {
            Work::Right | Work::Known | Work::Padded => done("right", lease, deal.price),
            Work::Fake | Work::Withheld => done("fake", lease, deal.price),
            Work::Of(other) => {
                Finding::Work { result_root, trace_root: trace_root("right", other) }
            }
        };
        let truth = match deal.work {
            Work::Padded => done("right", lease, deal.price / 2),
            _ => done("right", lease, deal.price),
        };
        match deal.work {
            Work::Right => self.cost(deal.provider, deal.price),
            Work::Padded => self.cost(deal.provider, deal.price / 2),
            _ => {}
        }
        let signed = self.receipt(lease, deal, &claimed);
        self.ok(deal.provider, Action::SubmitReceipt(Box::new(signed)));
        self.jobs.push(Job {
            lease,
            price: deal.price,
            claimed,
            truth,
            is_ours: deal.work != Work::Right,
            is_withheld: deal.work == Work::Withheld,
            is_over: false,
        });
        Ok(lease)
    }

    /// Returns a receipt for a lease that starts now.
    pub(crate) fn receipt(&self, lease: LeaseId, deal: &Deal, claimed: &Finding) -> SignedReceipt {
        let Finding::Work { trace_root, .. } = claimed else { unreachable!("it is work") };
        let receipt = Receipt {
            lease,
            sequence: 1,
            from: self.now(),
            to: self.now(),
            usage: Blob::new(usage(lease, deal.price).to_bytes()).unwrap(),
            trace: Receipt::commit(trace_root),
        };
        let node_key = key(&format!("{} node", deal.provider));
        let signature = Signature::from_bytes([0; 64]);
        SignedReceipt { receipt, node_key, signature, countersignature: None }
    }

    /// Notes what doing work of a price costs: the most of it that a cheat is taken to save.
    pub(crate) fn cost(&mut self, name: &'static str, price: u64) {
        let cost = self.parameters.gain_max.floor_of(micro(price)).get();
        *self.costs.entry(name).or_default() += cost;
    }

    pub(crate) fn lease(&self, lease: LeaseId) -> Lease {
        self.ledger.lease(&lease).unwrap()
    }

    pub(crate) fn check(&self, lease: LeaseId) -> &'static str {
        self.lease(lease).check.name()
    }

    /// Lets everybody act until nothing is left to check or pay.
    pub(crate) fn settle(&mut self) {
        while self.jobs.iter().any(|job| !job.is_over) {
            match self.act() {
                true => self.pass(1_000),
                false => self.wait(),
            }
            self.note_what_is_over(|ledger, lease| {
                ledger.balance(Row::Pending(lease), Asset::Usd) == Amount::ZERO
            });
        }
    }

    /// Lets everybody act until nothing is left to check; what it costs still waits.
    pub(crate) fn judge(&mut self) {
        while self.jobs.iter().any(|job| !job.is_over) {
            match self.act() {
                true => self.pass(1_000),
                false => self.wait(),
            }
            self.note_what_is_over(|ledger, lease| {
                ledger.lease(&lease).is_none_or(|lease| !lease.check.is_under_way())
            });
        }
    }

    /// Lets what was judged be played on.
    pub(crate) fn reopen(&mut self) {
        for job in &mut self.jobs {
            job.is_over = false;
        }
    }

    fn note_what_is_over(&mut self, is_over: impl Fn(&Ledger, LeaseId) -> bool) {
        for job in &mut self.jobs {
            job.is_over |= is_over(&self.ledger, job.lease);
        }
    }

    /// Returns what names have and earned together, less what their work cost, in micro-USD.
    pub(crate) fn wealth(&self, names: &[&'static str]) -> i64 {
        let wealth = |name: &&str| {
            let of = |row, asset| i64::try_from(self.ledger.balance(row, asset).get()).unwrap();
            let address = address(name);
            let wild = [Row::Wallet(address), Row::Stake(address), Row::Unbonding(address)];
            let wild = wild.map(|row| of(row, Asset::Wild)).into_iter().sum::<i64>();
            // A million micro-WILD count for `stake_price`: one to one in both sets of defaults.
            let price = i64::try_from(self.parameters.stake_price.get()).unwrap();
            let cost = i64::try_from(self.costs.get(*name).copied().unwrap_or(0)).unwrap();
            of(Row::Wallet(address), Asset::Usd) + wild * price / 1_000_000 - cost
        };
        names.iter().map(wealth).sum()
    }

    /// Asserts that nobody but these lost stake, and that the book balances.
    pub(crate) fn assert_only_slashed(&self, names: &[&'static str]) {
        let cheats: BTreeSet<Address> = names.iter().map(|name| address(name)).collect();
        let honest: Vec<&Address> = self.slashed.difference(&cheats).collect();
        assert!(honest.is_empty(), "honest and slashed, seed {}: {honest:?}", self.seed);
        let mut ended = self.ledger.clone();
        ended.end();
        ended.recount().unwrap();
    }
}

/// Numbers from a seed: splitmix64, the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Returns a number below `bound`.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
