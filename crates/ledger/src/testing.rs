//! A small network for tests: a bank that issues, a tenant, a provider with stake and a node key.

use classes::{CLASSES, Sample};
use types::{
    Action, Address, Amount, Argument, Asset, AuditTerms, AuditorTerms, BasisPoints, Blob, Claim,
    Claims, ClassId, Constraint, Duration, Event, Finding, Genesis, GenesisWallet, Hash, Issuer,
    Lease, LeaseId, List, OfferId, OfferTerms, Opening, OrderId, OrderTerms, Parameters,
    Provenance, PublicKey, Rate, Readers, Receipt, Reject, Ruling, Signature, SignedReceipt,
    SignedTransaction, Text, Time, Transaction, Validator, Value, Verified,
};

use crate::{Ledger, RULES, key::Row};

/// Units that the fixture's orders may use at most.
pub(crate) const UNITS: u64 = 10_000;

/// Returns an amount of micro-USD or micro-WILD.
pub(crate) fn usd(micro: u64) -> Amount {
    Amount::new(micro).unwrap()
}

/// Makes the signer a provider with the node key of that name; no signature is looked at here.
pub(crate) fn register(node: &str) -> Action {
    Action::Register { node_key: key(node), consent: Signature::from_bytes([0; 64]) }
}

/// Replaces the signer's node key by that of that name.
pub(crate) fn rotate(node: &str) -> Action {
    Action::RotateNodeKey { node_key: key(node), consent: Signature::from_bytes([0; 64]) }
}

/// Returns the key that a name stands for; nobody knows its secret.
pub(crate) fn key(name: &str) -> PublicKey {
    PublicKey::from_bytes(*Hash::of("test key", &[name.as_bytes()]).as_bytes())
}

/// Returns the account that a name stands for.
pub(crate) fn address(name: &str) -> Address {
    Address::new(key(name))
}

/// Returns the beacon of a test's block.
pub(crate) fn beacon(seed: u64) -> Hash {
    Hash::of("test beacon", &[&seed.to_le_bytes()])
}

/// Returns the first class of the table.
pub(crate) fn class() -> ClassId {
    CLASSES[0].id()
}

/// Returns encodings of the first class, for an order of at most [`UNITS`].
pub(crate) fn sample() -> Sample {
    CLASSES[0].sample(UNITS * 1_000_000)
}

/// Returns the genesis of a network with a token.
pub(crate) fn genesis() -> Genesis {
    let issuer = |asset| Issuer { address: address("bank"), asset, limit: usd(1_000_000_000_000) };
    let wallet = |name| GenesisWallet { address: address(name), amount: usd(1_000_000_000) };
    let validators = ["validator", "validator 2"].map(|name| Validator::without_beacon(key(name)));
    Genesis {
        network: Text::new("test").unwrap(),
        time: Time::from_ms(1_000_000),
        rules: RULES,
        token: true,
        validators: Validator::in_order(validators.to_vec()).unwrap(),
        issuers: List::new(vec![issuer(Asset::Usd), issuer(Asset::Wild)]).unwrap(),
        wallets: List::new(vec![wallet("provider"), wallet("provider 2")]).unwrap(),
        parameters: Parameters::local(),
    }
}

/// Returns that of a network with so many validators.
pub(crate) fn genesis_of(validators: usize) -> Genesis {
    let names = (0..validators).map(|number| format!("validator {number}"));
    let validators = names.map(|name| Validator::without_beacon(key(&name))).collect();
    Genesis { validators: Validator::in_order(validators).unwrap(), ..genesis() }
}

/// Returns the genesis of a private pool.
pub(crate) fn private_genesis() -> Genesis {
    let mut genesis = genesis();
    genesis.token = false;
    genesis.wallets = List::default();
    let usd_issuers = genesis.issuers.iter().copied().filter(|issuer| issuer.asset == Asset::Usd);
    genesis.issuers = List::new(usd_issuers.collect()).unwrap();
    genesis.parameters.burn_share = BasisPoints::ZERO;
    genesis.parameters.stake_minimum = Amount::ZERO;
    genesis
}

/// Auditors of networks that have some.
pub(crate) const AUDITORS: [&str; 4] = ["ann", "bob", "cid", "dan"];

/// A ledger within a block.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) ledger: Ledger,
    /// The last transaction that was tried.
    last: Option<Verified>,
    /// Events of this block that were handed out when it began.
    seen: usize,
}

impl Fixture {
    /// Starts a network with a token, whose providers have stake.
    pub(crate) fn new() -> Self {
        Self::of(&genesis())
    }

    /// Starts one of this genesis.
    pub(crate) fn of(genesis: &Genesis) -> Self {
        let mut fixture = Self::bare(genesis);
        fixture.fill();
        for name in ["provider", "provider 2"] {
            fixture.ok(name, Action::Stake { amount: usd(200_000_000) });
        }
        fixture.advance(1);
        fixture
    }

    /// Starts a private pool.
    pub(crate) fn private() -> Self {
        let mut fixture = Self::bare(&private_genesis());
        fixture.fill();
        fixture.advance(1);
        fixture
    }

    /// Starts a network and begins its first block.
    pub(crate) fn bare(genesis: &Genesis) -> Self {
        let mut ledger = Ledger::new(genesis).unwrap();
        ledger.begin(Time::from_ms(1_000_001), beacon(1_000_001), 0).unwrap();
        Self { ledger, last: None, seen: 0 }
    }

    fn fill(&mut self) {
        for name in ["tenant", "tenant 2", "provider", "provider 2"] {
            let (to, asset, amount) = (address(name), Asset::Usd, usd(10_000_000));
            self.ok("bank", Action::Issue { to, asset, amount });
        }
        self.ok("provider", register("node"));
        self.ok("provider 2", register("node 2"));
    }

    /// Returns the ledger as it would be if the block ended now.
    pub(crate) fn ended(&self) -> Ledger {
        let mut ledger = self.ledger.clone();
        ledger.end();
        ledger
    }

    pub(crate) fn tenant(&self) -> Address {
        address("tenant")
    }

    pub(crate) fn provider(&self) -> Address {
        address("provider")
    }

    pub(crate) fn now(&self) -> Time {
        self.ledger.network().time
    }

    pub(crate) fn in_ms(&self, ms: u64) -> Time {
        self.now().after(Duration::from_ms(ms))
    }

    /// Returns a transaction that the ledger admits.
    pub(crate) fn transaction(&self, signer: &str, action: Action) -> Transaction {
        let signer = address(signer);
        let nonce = self.ledger.account(&signer).map_or(0, |account| account.nonce);
        Transaction { signer, nonce, expires: self.in_ms(60_000), action }
    }

    /// Executes a transaction.
    pub(crate) fn execute(&mut self, transaction: Transaction) -> Result<(), Reject> {
        let signature = Signature::from_bytes([0; 64]);
        let verified = Verified::trust(SignedTransaction { transaction, signature });
        let result = self.ledger.apply(&verified);
        self.last = Some(verified);
        result
    }

    /// Executes an action.
    pub(crate) fn run(&mut self, signer: &str, action: Action) -> Result<(), Reject> {
        self.execute(self.transaction(signer, action))
    }

    /// Executes an action that must be accepted.
    pub(crate) fn ok(&mut self, signer: &str, action: Action) {
        assert_eq!(self.run(signer, action), Ok(()));
    }

    /// Executes an action that must be refused for this reason, and leave no trace.
    pub(crate) fn refused(&mut self, signer: &str, action: Action, reject: Reject) {
        let before = self.ledger.clone().end();
        assert_eq!(self.run(signer, action), Err(reject));
        assert_eq!(self.ledger.clone().end(), before);
    }

    /// Lets the time pass until which a lease's check waits.
    pub(crate) fn lapse(&mut self, lease: LeaseId) -> Vec<Event> {
        let until = self.lease(lease).check.awaited().unwrap();
        self.advance(until.since(self.now()).as_ms())
    }

    /// Ends the block, begins another so much later, and returns what the block and the
    /// beginning of the next brought. Validators take turns.
    pub(crate) fn advance(&mut self, ms: u64) -> Vec<Event> {
        let validators = u64::try_from(self.ledger.state.charter().validators.len()).unwrap();
        let turn = self.ledger.network().height.checked_rem(validators).unwrap();
        self.advance_with(ms, u32::try_from(turn).unwrap())
    }

    /// The same where the validator of this place leads the block that begins.
    pub(crate) fn advance_with(&mut self, ms: u64, leader: u32) -> Vec<Event> {
        let time = self.in_ms(ms);
        let mut events = self.ledger.end().events.split_off(self.seen);
        self.ledger.recount().unwrap();
        self.ledger.begin(time, beacon(time.as_ms()), leader).unwrap();
        events.extend(self.ledger.state.block.events.iter().cloned());
        self.seen = self.ledger.state.block.events.len();
        events
    }

    pub(crate) fn balance(&self, row: Row) -> u64 {
        self.ledger.balance(row, Asset::Usd).get()
    }

    pub(crate) fn wallet(&self, name: &str) -> u64 {
        self.balance(Row::Wallet(address(name)))
    }

    /// Returns the terms of an offer at one micro-USD a unit.
    pub(crate) fn offer(&self) -> OfferTerms {
        OfferTerms {
            class: class(),
            terms: Blob::new(sample().terms).unwrap(),
            claims: Claims::default(),
            rate: Rate::new(1_000_000).unwrap(),
            minimum: usd(1_543),
            slots: 4,
            expires: self.in_ms(1_000_000),
        }
    }

    /// Returns the terms of an order that the offer of [`Fixture::offer`] can take.
    pub(crate) fn order(&self) -> OrderTerms {
        OrderTerms {
            class: class(),
            spec: Blob::new(sample().spec).unwrap(),
            constraint: Constraint::default(),
            budget: usd(20_000),
            offers: List::default(),
            audit: AuditTerms::NONE,
            duration: Duration::from_seconds(500),
            expires: self.in_ms(600_000),
        }
    }

    /// Posts an offer with the provider's node key.
    pub(crate) fn post(&mut self, terms: OfferTerms) -> OfferId {
        self.post_as("node", terms)
    }

    pub(crate) fn post_as(&mut self, signer: &str, terms: OfferTerms) -> OfferId {
        self.ok(signer, Action::PostOffer(Box::new(terms)));
        OfferId::from(self.last.as_ref().unwrap().id())
    }

    /// Places an order of the tenant.
    pub(crate) fn place(&mut self, terms: OrderTerms) -> OrderId {
        self.ok("tenant", Action::PlaceOrder(Box::new(terms)));
        OrderId::from(self.last.as_ref().unwrap().id())
    }

    /// Posts an offer and opens a lease on it.
    pub(crate) fn leased(&mut self) -> LeaseId {
        let offer = self.post(self.offer());
        let offers = List::new(vec![offer]).unwrap();
        LeaseId::from(self.place(OrderTerms { offers, ..self.order() }))
    }

    /// Posts an offer, opens a lease on it and starts it.
    pub(crate) fn started(&mut self) -> LeaseId {
        let lease = self.leased();
        self.ok("node", Action::Start { lease });
        lease
    }

    /// Returns a network with the auditors of [`AUDITORS`], of one seat each.
    pub(crate) fn with_auditors() -> Self {
        let mut fixture = Self::new();
        for name in AUDITORS {
            fixture.enlist(name);
        }
        fixture
    }

    /// Makes `name` a provider that can be drawn as an auditor; its node key is `name node`.
    pub(crate) fn enlist(&mut self, name: &str) {
        let to = address(name);
        for (asset, amount) in [(Asset::Usd, 1_000_000), (Asset::Wild, 200_000_000)] {
            self.ok("bank", Action::Issue { to, asset, amount: usd(amount) });
        }
        self.ok(name, register(&format!("{name} node")));
        self.ok(name, Action::Stake { amount: usd(100_000_000) });
        self.ok(name, Action::Enlist(Box::new(self.auditor())));
    }

    /// Returns the terms of an auditor that does what the fixture's orders ask.
    pub(crate) fn auditor(&self) -> AuditorTerms {
        AuditorTerms { class: class(), terms: Blob::new(sample().terms).unwrap() }
    }

    /// Opens a lease whose audit is certain and has so many auditors, and hands in a receipt for
    /// the work of this name.
    pub(crate) fn handed_in(&mut self, auditors: u8, work: &str) -> LeaseId {
        let probability = BasisPoints::new(10_000).unwrap();
        self.handed_in_for(AuditTerms { probability, auditors, readers: Readers::Auditors }, work)
    }

    pub(crate) fn handed_in_for(&mut self, audit: AuditTerms, work: &str) -> LeaseId {
        self.billed(audit, work, |_| {})
    }

    /// Hands in a receipt for the work of this name, of which `bill` changes what it says.
    pub(crate) fn billed(
        &mut self,
        audit: AuditTerms,
        work: &str,
        bill: impl FnOnce(&mut SignedReceipt),
    ) -> LeaseId {
        let offer = self.post(self.offer());
        let offers = List::new(vec![offer]).unwrap();
        let budget = usd(100_000);
        let lease = LeaseId::from(self.place(OrderTerms { offers, audit, budget, ..self.order() }));
        self.ok("node", Action::Start { lease });
        let mut signed = self.receipt(lease);
        signed.receipt.trace = trace(work);
        bill(&mut signed);
        self.ok("node", Action::SubmitReceipt(Box::new(signed)));
        lease
    }

    /// Returns the names of those of `names` that have the audit of a lease to do.
    pub(crate) fn drawn<'a>(&self, lease: LeaseId, names: &[&'a str]) -> Vec<&'a str> {
        let audit = self.ledger.audit(&lease).unwrap();
        let is_drawn =
            |name: &&&str| audit.current().any(|assigned| assigned.auditor == address(name));
        names.iter().filter(is_drawn).copied().collect()
    }

    /// Commits an auditor's node key to a finding.
    pub(crate) fn commit(&mut self, lease: LeaseId, name: &str, finding: Finding) {
        let opening = Opening { lease, auditor: address(name), salt: salt(name), finding };
        let action = Action::CommitAudit { lease, commitment: opening.commit() };
        self.ok(&format!("{name} node"), action);
    }

    /// Reveals what an auditor's node key has committed to.
    pub(crate) fn reveal(&mut self, lease: LeaseId, name: &str, finding: Finding) {
        let action = Action::RevealAudit { lease, salt: salt(name), finding };
        self.ok(&format!("{name} node"), action);
    }

    /// Lets both validators of the fixture say what they found.
    pub(crate) fn rule(&mut self, lease: LeaseId, ruling: Ruling) {
        for validator in ["validator", "validator 2"] {
            self.ok(validator, self.argue(lease, Argument::Rule { ruling }));
        }
    }

    /// Returns a move in the dispute over a lease, if there is one.
    pub(crate) fn argue(&self, lease: LeaseId, argument: Argument) -> Action {
        let dispute = self.ledger.dispute(&lease);
        let opened = dispute.map_or(Time::from_ms(0), |dispute| dispute.opened);
        Action::Argue { lease, opened, argument: Box::new(argument) }
    }

    pub(crate) fn staked(&self, name: &str) -> u64 {
        self.ledger.balance(Row::Stake(address(name)), Asset::Wild).get()
    }

    pub(crate) fn wild(&self, row: Row) -> u64 {
        self.ledger.balance(row, Asset::Wild).get()
    }

    pub(crate) fn lease(&self, id: LeaseId) -> Lease {
        self.ledger.lease(&id).unwrap()
    }

    /// Returns how far the check of a lease's work has come.
    pub(crate) fn check(&self, id: LeaseId) -> &'static str {
        self.lease(id).check.name()
    }

    /// Returns the first receipt of a lease that starts now.
    pub(crate) fn receipt(&self, lease: LeaseId) -> SignedReceipt {
        let receipt = Receipt {
            lease,
            sequence: 1,
            from: self.now(),
            to: self.now(),
            usage: Blob::new(sample().usage).unwrap(),
            trace: Hash::ZERO,
        };
        let signature = Signature::from_bytes([0; 64]);
        SignedReceipt { receipt, node_key: key("node"), signature, countersignature: None }
    }
}

/// Returns what doing the work of this name gives.
pub(crate) fn found(work: &str) -> Finding {
    let class = classes::find(class()).unwrap();
    let result_root = class.result_root(&sample().usage).unwrap();
    Finding::Work { result_root, trace_root: trace_root(work) }
}

fn trace_root(work: &str) -> Hash {
    Hash::of("test trace", &[work.as_bytes()])
}

/// Returns what a receipt for the work of this name says of how it came about.
pub(crate) fn trace(work: &str) -> Hash {
    types::Receipt::commit(&trace_root(work))
}

/// Returns the ruling of one whom the work of this name gives.
pub(crate) fn ruling(work: &str) -> Ruling {
    Ruling::Root { root: found(work).work_root().unwrap() }
}

/// Returns an auditor's salt.
pub(crate) fn salt(name: &str) -> Hash {
    Hash::of("test salt", &[name.as_bytes()])
}

/// Returns claims of text, declared at time zero.
pub(crate) fn claims(pairs: &[(&str, &str)]) -> Claims {
    let mut claims = Claims::default();
    for (key, text) in pairs {
        let claim = Claim {
            value: Value::text(text).unwrap(),
            provenance: Provenance::Declared,
            at: Time::from_ms(0),
        };
        claims.insert(key.parse().unwrap(), claim).unwrap();
    }
    claims
}
