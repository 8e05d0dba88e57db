//! The network of the simulation: the ledger itself, blocks that are made when something is
//! submitted or due, and content. Every call can hang or fail, before it took effect or after.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use api::{LeaseView, OfferView};
use classes::job::{self, Exit, Limits, Spec, Terms, Usage};
use executors::{wasm::EngineKind, wasm::specification::METERING_VERSION};
use ledger::{Ledger, Row};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, timeout},
};
use types::{
    Action, Address, Amount, Asset, AuditTerms, Auditor, AuditorTerms, BasisPoints, Blob,
    CheckState, Claims, Constraint, ContentHash, Encode, Event, Genesis, GenesisWallet, Hash,
    Issuer, LeaseId, LeaseState, List, Manifest, OfferId, OfferTerms, OrderId, OrderTerms,
    Parameters, Rate, Readers, Receipt, SecretKey, Signature, SignedReceipt, SignedTransaction,
    Text, Time, Transaction, Validator, Verified,
};

use crate::{
    market::{Hint, Market, MarketError},
    plan::Listing,
};

/// When the network begins.
const BEGAN_MS: u64 = 1_000_000;
/// What an auditor has at stake: two seats.
pub(super) const STAKE: u64 = 200_000_000;
/// How long nothing may take, on the simulated clock: longer than an epoch for which an auditor
/// is barred, and a dispute.
pub(super) const PATIENCE: Duration = Duration::from_secs(3_000);

/// More calls than anybody makes who waits between tries.
const CALLS_MAX: u64 = 5_000;

/// Someone with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Party(pub(super) u8);

pub(super) const BANK: Party = Party(1);
pub(super) const TENANT: Party = Party(2);
pub(super) const PROVIDER: Party = Party(3);
pub(super) const AUDITORS: [Party; 4] = [Party(11), Party(12), Party(13), Party(14)];
pub(super) const VALIDATORS: [Party; 4] = [Party(21), Party(22), Party(23), Party(24)];

impl Party {
    fn key(self) -> SecretKey {
        SecretKey::from_bytes([self.0; 32])
    }

    /// Returns the account.
    pub(super) fn address(self) -> Address {
        self.key().address()
    }

    /// Returns the account's key.
    pub(super) fn public(self) -> types::PublicKey {
        self.key().public()
    }

    /// Returns the node key, which signs for the account.
    pub(super) fn node(self) -> SecretKey {
        SecretKey::from_bytes([self.0 + 100; 32])
    }
}

/// A call at which someone is killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    pub(super) party: Party,
    /// Of all calls of this party and their answers, from 1.
    pub(super) at: u64,
}

/// The network.
pub(super) struct World {
    pub(super) ledger: Ledger,
    /// How many validators take turns to lead blocks.
    validators: u32,
    seed: u64,
    began: Instant,
    contents: BTreeMap<ContentHash, Vec<u8>>,
    /// What is not shown to auditors.
    pub(super) withheld: BTreeSet<ContentHash>,
    /// What the network is too busy to give to anybody.
    pub(super) stuck: BTreeSet<ContentHash>,
    /// Calls and their answers, by who made them.
    pub(super) calls: BTreeMap<Party, u64>,
    pub(super) kill: Option<Kill>,
    /// Of how many submissions one is lost on its way, or its answer; none is without.
    pub(super) losses: Option<u64>,
    /// Whether what is submitted is refused.
    pub(super) refuses: bool,
    /// Actions that were tried, by who tried them, refused ones too.
    pub(super) tried: Vec<(Party, &'static str)>,
    /// Leases that are left out of listings.
    pub(super) unlisted: BTreeSet<LeaseId>,
    /// A lease that the node shows under ever new names, as one that awaits its auditors.
    pub(super) forged: Option<LeaseView>,
    forgeries: u64,
    /// How likely work is audited, in basis points.
    pub(super) probability: u16,
    /// The length of jobs' programs.
    pub(super) program_bytes: usize,
    /// The fuel that jobs may use; they use half of it.
    pub(super) fuel: u64,
    /// How far the clocks of the parties are ahead.
    pub(super) ahead: Duration,
    events: Vec<Event>,
}

/// What all parties share.
pub(super) struct Net {
    world: Mutex<World>,
    /// The height of the last block.
    blocks: watch::Sender<u64>,
    /// Counts what may be of interest to auditors and validators.
    hints: watch::Sender<u64>,
    pub(super) hung: Notify,
}

/// Lets time pass on the simulated clock.
pub(super) async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

fn usd(micro: u64) -> Amount {
    Amount::new(micro).unwrap()
}

fn genesis(validators: &[Party]) -> Genesis {
    let issuer = |asset| Issuer { address: BANK.address(), asset, limit: usd(1_000_000_000_000) };
    let wallet = |party: &Party| GenesisWallet { address: party.address(), amount: usd(STAKE) };
    let parties: Vec<Party> = AUDITORS.into_iter().chain([PROVIDER]).collect();
    let validators = validators.iter().map(|party| Validator::without_beacon(party.public()));
    Genesis {
        network: Text::new("simulated").unwrap(),
        time: Time::from_ms(BEGAN_MS),
        rules: ledger::RULES,
        token: true,
        validators: Validator::in_order(validators.collect()).unwrap(),
        issuers: List::new(vec![issuer(Asset::Usd), issuer(Asset::Wild)]).unwrap(),
        wallets: List::new(parties.iter().map(wallet).collect()).unwrap(),
        parameters: Parameters {
            unbonding_ms: types::Duration::from_seconds(3_600),
            ..Parameters::local()
        },
    }
}

/// Returns what a machine of the simulation can do.
const fn terms(metering: u16) -> Terms {
    let mfuel_per_second = 1_000;
    Terms { metering, mfuel_per_second, memory_pages: 64, output_bytes: 1 << 20 }
}

/// Returns an auditor's terms.
pub(super) fn auditor_terms() -> AuditorTerms {
    let terms = Blob::new(terms(METERING_VERSION).to_bytes()).unwrap();
    AuditorTerms { class: job::ID, terms }
}

/// Returns what doing a job gives; `fault` is what a broken engine adds.
pub(super) fn work(spec: &Spec, fault: Option<EngineKind>) -> (Usage, Hash) {
    let usage = Usage {
        fuel: spec.limits.fuel / 2,
        exit: Exit::Code(0),
        output: Manifest::default().hash(),
    };
    let fault = fault.map_or(String::new(), |engine| format!("{engine:?}"));
    (usage, Hash::of("simulated trace", &[&spec.to_bytes(), fault.as_bytes()]))
}

impl World {
    pub(super) fn now(&self) -> Time {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        Time::from_ms(BEGAN_MS + elapsed)
    }

    /// Makes a block.
    fn block(&mut self, transaction: Option<(Address, Action)>) -> Result<(), types::Reject> {
        let network = self.ledger.network();
        let time = self.now().max(Time::from_ms(network.time.as_ms() + 1));
        let parts = [self.seed.to_le_bytes(), (network.height + 1).to_le_bytes()].concat();
        let beacon = Hash::of("simulated beacon", &[&parts]);
        let turn = u32::try_from(network.height).unwrap() % self.validators;
        self.ledger.begin(time, beacon, turn).unwrap();
        let result = transaction.map_or(Ok(()), |(signer, action)| {
            let nonce = self.ledger.account(&signer).map_or(0, |account| account.nonce);
            let expires = time.after(types::Duration::from_seconds(60));
            let transaction = Transaction { signer, nonce, expires, action };
            let signature = Signature::from_bytes([0; 64]);
            self.ledger.apply(&Verified::trust(SignedTransaction { transaction, signature }))
        });
        self.events.extend(self.ledger.end().events);
        self.ledger.recount().unwrap();
        result
    }

    /// Makes an action happen that must be accepted; returns its name.
    pub(super) fn ok(&mut self, signer: Address, action: Action) -> types::TransactionId {
        let nonce = self.ledger.account(&signer).map_or(0, |account| account.nonce);
        let time = self.now().max(Time::from_ms(self.ledger.network().time.as_ms() + 1));
        let expires = time.after(types::Duration::from_seconds(60));
        let named = Transaction { signer, nonce, expires, action: action.clone() };
        let id = named.id();
        assert_eq!(self.block(Some((signer, action))), Ok(()));
        id
    }

    fn fill(&mut self) {
        for party in AUDITORS.into_iter().chain([PROVIDER, TENANT]) {
            let (to, asset, amount) = (party.address(), Asset::Usd, usd(10_000_000));
            self.ok(BANK.address(), Action::Issue { to, asset, amount });
        }
        for party in AUDITORS.into_iter().chain([PROVIDER]) {
            let consent = Signature::from_bytes([0; 64]);
            let node_key = party.node().public();
            self.ok(party.address(), Action::Register { node_key, consent });
            self.ok(party.address(), Action::Stake { amount: usd(STAKE) });
        }
    }

    fn offer(&mut self, metering: u16) -> OfferId {
        let terms = OfferTerms {
            class: job::ID,
            terms: Blob::new(terms(metering).to_bytes()).unwrap(),
            claims: Claims::default(),
            rate: Rate::new(1_000_000).unwrap(),
            minimum: usd(1_543),
            slots: 64,
            expires: self.now().after(types::Duration::from_seconds(100_000)),
        };
        OfferId::from(self.ok(PROVIDER.node().address(), Action::PostOffer(Box::new(terms))))
    }

    /// Lets the provider hand in a receipt for a job that so many auditors check.
    pub(super) fn hand_in(&mut self, auditors: u8, cheats: bool) -> LeaseId {
        self.hand_in_of(METERING_VERSION, auditors, cheats)
    }

    /// Does the same for a job of a version of the metering.
    pub(super) fn hand_in_of(&mut self, metering: u16, auditors: u8, cheats: bool) -> LeaseId {
        self.hand_in_billed(metering, auditors, cheats, |fuel| fuel)
    }

    /// Does the same, and says that the job used what `bill` makes of what it did use.
    pub(super) fn hand_in_billed(
        &mut self,
        metering: u16,
        auditors: u8,
        cheats: bool,
        bill: impl FnOnce(u64) -> u64,
    ) -> LeaseId {
        let lease = self.lease(metering, auditors);
        let order = self.ledger.order(&self.ledger.lease(&lease).unwrap().order).unwrap();
        let spec: Spec = types::Decode::from_bytes(order.terms.spec.as_slice()).unwrap();
        let (mut usage, trace_root) = work(&spec, None);
        usage.fuel = bill(usage.fuel);
        let trace_root = if cheats { Hash::ZERO } else { trace_root };
        let LeaseState::Active { since } = self.ledger.lease(&lease).unwrap().state else {
            panic!("not started")
        };
        let receipt = Receipt {
            lease,
            sequence: 1,
            from: since,
            to: since,
            usage: Blob::new(usage.to_bytes()).unwrap(),
            trace: Receipt::commit(&Receipt::seal(&lease, &trace_root)),
        };
        let signed = SignedReceipt {
            receipt,
            node_key: PROVIDER.node().public(),
            signature: Signature::from_bytes([0; 64]),
            countersignature: None,
        };
        self.ok(PROVIDER.node().address(), Action::SubmitReceipt(Box::new(signed)));
        lease
    }

    fn lease(&mut self, metering: u16, auditors: u8) -> LeaseId {
        let offers = self.ledger.offers_of(&PROVIDER.address());
        let offered = terms(metering).to_bytes();
        let offer = offers.iter().find(|offer| offer.terms.terms.as_slice() == offered);
        let offer = offer.map(|offer| offer.id).unwrap_or_else(|| self.offer(metering));
        let mut number = self.ledger.network().height.to_le_bytes().to_vec();
        number.resize(self.program_bytes, 0);
        let program = ContentHash::of(&number);
        self.contents.insert(program, number);
        let spec = Spec {
            metering,
            program,
            input: None,
            stdin: None,
            arguments: List::default(),
            environment: List::default(),
            seed: Hash::ZERO,
            limits: Limits { fuel: self.fuel, memory_pages: 1, output_bytes: 9 },
        };
        let probability = BasisPoints::new(self.probability).unwrap();
        let order = OrderTerms {
            class: job::ID,
            spec: Blob::new(spec.to_bytes()).unwrap(),
            constraint: Constraint::default(),
            budget: usd(1_000_000),
            offers: List::new(vec![offer]).unwrap(),
            audit: AuditTerms { probability, auditors, readers: Readers::Auditors },
            duration: types::Duration::from_seconds(500),
            expires: self.now().after(types::Duration::from_seconds(600)),
        };
        let placed = self.ok(TENANT.address(), Action::PlaceOrder(Box::new(order)));
        let lease = LeaseId::from(OrderId::from(placed));
        self.ok(PROVIDER.node().address(), Action::Start { lease });
        lease
    }

    /// Makes the block that draws the auditors of a lease.
    pub(super) fn draw(&mut self, lease: LeaseId) {
        while self.ledger.audit(&lease).is_none() {
            assert_eq!(self.block(None), Ok(()));
        }
    }

    pub(super) fn content(&self, hash: ContentHash) -> Vec<u8> {
        self.contents[&hash].clone()
    }

    /// Returns the program of a lease.
    pub(super) fn program(&self, lease: LeaseId) -> ContentHash {
        crate::plan::specification(&self.view(lease).unwrap()).unwrap().program
    }

    pub(super) fn view(&self, id: LeaseId) -> Option<LeaseView> {
        let lease = self.ledger.lease(&id)?;
        let order = self.ledger.order(&lease.order)?;
        let receipts = self.ledger.receipts(&id);
        let (audit, dispute) = (self.ledger.audit(&id), self.ledger.dispute(&id));
        Some(LeaseView { lease, order, receipts, audit, dispute, archived: false })
    }

    pub(super) fn check(&self, lease: LeaseId) -> CheckState {
        self.ledger.lease(&lease).unwrap().check
    }

    /// Returns whether a lease is paid or refunded.
    pub(super) fn is_settled(&self, lease: LeaseId) -> bool {
        let is_decided = !self.check(lease).is_under_way();
        is_decided && self.ledger.balance(Row::Pending(lease), Asset::Usd).is_zero()
    }

    pub(super) fn wallet(&self, party: Party) -> u64 {
        self.ledger.balance(Row::Wallet(party.address()), Asset::Usd).get()
    }

    pub(super) fn staked(&self, party: Party) -> u64 {
        self.ledger.balance(Row::Stake(party.address()), Asset::Wild).get()
    }

    pub(super) fn auditor(&self, party: Party) -> Option<Auditor> {
        self.ledger.auditor(job::ID, &party.address())
    }

    /// Returns how often a party tried an action.
    pub(super) fn tries(&self, party: Party, action: &str) -> usize {
        self.tried.iter().filter(|(by, what)| (*by, *what) == (party, action)).count()
    }

    /// Returns a page of leases that there are not.
    fn forge(&mut self) -> Vec<LeaseView> {
        let Some(forged) = self.forged.clone() else { return Vec::new() };
        let view = |number: u64| {
            let mut view = forged.clone();
            let name = Hash::of("simulated forgery", &[&number.to_le_bytes()]);
            view.lease.id = LeaseId::from_bytes(*name.as_bytes());
            view
        };
        let first = self.forgeries;
        self.forgeries += 200;
        (first..self.forgeries).map(view).collect()
    }

    fn shows(&self, party: Party, lease: LeaseId, hash: ContentHash) -> bool {
        if self.ledger.lease(&lease).is_none() {
            return self.forged.is_some();
        }
        let audit = self.ledger.audit(&lease);
        let may_read = match self.check(lease) {
            CheckState::Committing { .. } | CheckState::Revealing { .. } => {
                let is_own = |assigned: &types::Assignment| assigned.auditor == party.address();
                let is_drawn = audit.is_some_and(|audit| audit.current().any(is_own));
                is_drawn && !self.withheld.contains(&hash)
            }
            CheckState::Disputed { .. } => VALIDATORS.contains(&party),
            _ => false,
        };
        may_read && self.contents.contains_key(&hash)
    }
}

impl Net {
    /// Starts a network with these validators, and its clock.
    pub(super) fn start(seed: u64, validators: &[Party]) -> Arc<Self> {
        println!("seed {seed}");
        let mut world = World {
            ledger: Ledger::new(&genesis(validators)).unwrap(),
            validators: u32::try_from(validators.len()).unwrap(),
            seed,
            began: Instant::now(),
            contents: BTreeMap::new(),
            withheld: BTreeSet::new(),
            stuck: BTreeSet::new(),
            calls: BTreeMap::new(),
            kill: None,
            losses: None,
            refuses: false,
            tried: Vec::new(),
            unlisted: BTreeSet::new(),
            forged: None,
            forgeries: 0,
            probability: 10_000,
            program_bytes: 8,
            fuel: 10_000_000_000,
            ahead: Duration::ZERO,
            events: Vec::new(),
        };
        world.fill();
        let (blocks, hints) = (watch::Sender::new(0), watch::Sender::new(0));
        let net = Arc::new(Self { world: Mutex::new(world), blocks, hints, hung: Notify::new() });
        tokio::spawn(Arc::clone(&net).clock());
        net
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Changes the network from outside; who watches learns of it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.world());
        self.made_block();
        changed
    }

    fn made_block(&self) {
        let mut world = self.world();
        let is_hint = |event: &Event| {
            matches!(
                event,
                Event::AuditDrawn { .. }
                    | Event::AuditRevealing { .. }
                    | Event::DisputeOpened { .. }
            )
        };
        let hints = std::mem::take(&mut world.events).iter().any(is_hint);
        let height = world.ledger.network().height;
        drop(world);
        self.blocks.send_replace(height);
        if hints {
            self.hints.send_modify(|count| *count += 1);
        }
    }

    /// Makes the blocks in which something happens by itself.
    async fn clock(self: Arc<Self>) {
        let mut blocks = self.blocks.subscribe();
        loop {
            let wait = {
                let world = self.world();
                let due = world.ledger.next_due().unwrap_or(Time::MAX);
                Duration::from_millis(due.since(world.now()).as_ms())
            };
            if timeout(wait, blocks.changed()).await.is_err() {
                assert_eq!(self.world().block(None), Ok(()));
                self.made_block();
            }
        }
    }

    /// Waits for what shows in a block.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&World) -> bool) {
        let mut blocks = self.blocks.subscribe();
        let wait = async {
            while !holds(&self.world()) {
                blocks.changed().await.unwrap();
            }
        };
        let in_time = timeout(PATIENCE, wait).await.is_ok();
        assert!(in_time, "it never came to this: {what}");
    }

    pub(super) fn market(self: &Arc<Self>, party: Party) -> SimulatedMarket {
        SimulatedMarket { net: Arc::clone(self), party }
    }
}

/// The network as one party sees it.
pub(super) struct SimulatedMarket {
    net: Arc<Net>,
    party: Party,
}

impl SimulatedMarket {
    /// Counts a call or an answer; where the party is killed it never comes back.
    async fn call(&self) {
        let is_killed = {
            let mut world = self.net.world();
            let calls = world.calls.entry(self.party).or_default();
            *calls += 1;
            let at = *calls;
            assert!(at < CALLS_MAX, "{:?} calls without end", self.party);
            world.kill.is_some_and(|kill| kill.party == self.party && at >= kill.at)
        };
        if is_killed {
            self.net.hung.notify_one();
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
    }

    fn is_lost(&self) -> bool {
        let world = self.net.world();
        let calls = world.calls[&self.party];
        let parts = [world.seed.to_le_bytes(), calls.to_le_bytes()].concat();
        let dice = Hash::of("simulated loss", &[&parts, &[self.party.0]]);
        let dice = u64::from_le_bytes(*dice.as_bytes().first_chunk().unwrap());
        world.losses.is_some_and(|one_of| dice.is_multiple_of(one_of))
    }

    fn listed(&self, leases: Vec<LeaseId>) -> Vec<LeaseView> {
        let world = self.net.world();
        let leases = leases.into_iter().filter(|lease| !world.unlisted.contains(lease));
        leases.map(|lease| world.view(lease).unwrap()).collect()
    }
}

fn away() -> MarketError {
    MarketError::Away("away".to_owned())
}

impl Market for SimulatedMarket {
    fn now(&self) -> Time {
        let world = self.net.world();
        let ahead = u64::try_from(world.ahead.as_millis()).unwrap();
        world.now().after(types::Duration::from_ms(ahead))
    }

    async fn list(&self) -> Result<(Listing, Vec<OfferView>), MarketError> {
        unreachable!("no lease is served here")
    }

    async fn lease(&self, id: LeaseId) -> Result<LeaseView, MarketError> {
        self.call().await;
        let world = self.net.world();
        let view = world.view(id).or_else(|| world.forged.clone());
        view.ok_or_else(|| MarketError::Absent("no such lease".to_owned()))
    }

    async fn submit(&self, action: Action) -> Result<(), MarketError> {
        self.net.world().tried.push((self.party, action.name()));
        self.call().await;
        if self.is_lost() {
            return Err(away());
        }
        if self.net.world().refuses {
            return Err(MarketError::Refused { reject: None, text: "not now".to_owned() });
        }
        let is_validator = VALIDATORS.contains(&self.party);
        let signer = if is_validator { self.party.address() } else { self.party.node().address() };
        let result = self.net.world().block(Some((signer, action)));
        self.net.made_block();
        // What was done may not be heard of.
        self.call().await;
        if self.is_lost() {
            return Err(away());
        }
        result.map_err(|reject| MarketError::Refused {
            reject: Some(reject),
            text: reject.code().to_owned(),
        })
    }

    async fn no_starts_left(&self) -> Result<u32, MarketError> {
        unreachable!("no lease is served here")
    }

    async fn fetch(
        &self,
        lease: LeaseId,
        hash: ContentHash,
        path: &Path,
        _: u64,
    ) -> Result<u64, MarketError> {
        self.call().await;
        let content = {
            let world = self.net.world();
            if world.stuck.contains(&hash) {
                return Err(away());
            }
            let shown = world.shows(self.party, lease, hash);
            shown.then(|| world.contents[&hash].clone())
        };
        let content = content.ok_or_else(|| MarketError::Absent("not for you".to_owned()))?;
        std::fs::write(path, &content).unwrap();
        Ok(u64::try_from(content.len()).unwrap())
    }

    async fn has(&self, lease: LeaseId, hash: ContentHash) -> Result<bool, MarketError> {
        self.call().await;
        Ok(self.net.world().shows(self.party, lease, hash))
    }

    async fn store(&self, _: Arc<[u8]>) -> Result<(), MarketError> {
        unreachable!("nothing is delivered here")
    }

    async fn auditor(&self) -> Result<Option<Auditor>, MarketError> {
        self.call().await;
        Ok(self.net.world().auditor(self.party))
    }

    async fn audits(&self) -> Result<Vec<LeaseView>, MarketError> {
        self.call().await;
        let address = self.party.address();
        let leases = self.net.world().ledger.audits_of(&address, None, usize::MAX);
        let mut views = self.listed(leases);
        views.extend(self.net.world().forge());
        Ok(views)
    }

    async fn disputes(&self) -> Result<Vec<LeaseView>, MarketError> {
        self.call().await;
        let leases = self.net.world().ledger.open_disputes(None, usize::MAX);
        Ok(self.listed(leases))
    }

    async fn hints(&self, hints: mpsc::Sender<Hint>) {
        let mut counted = self.net.hints.subscribe();
        loop {
            let sent = hints.send(Hint::Audit).await;
            if sent.is_err() || counted.changed().await.is_err() {
                return;
            }
        }
    }
}
