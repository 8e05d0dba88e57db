//! The agent against a network of a few lines, whose calls fail or hang as a test says.

mod inputs;
mod room;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, MutexGuard},
};

use classes::job::{Exit, Limits, Spec, Usage};
use executors::{
    wasm::specification::METERING_VERSION,
    worker::{Finished, JobError, Request},
};
use tokio::sync::Notify;
use types::{
    Address, AuditTerms, Blob, CloseReason, Constraint, ContentHash, Encode, Hash, Lease, List,
    Manifest, Offer, OfferId, Order, OrderId, OrderTerms, Rate, SecretKey, Settlement,
    SignedReceipt, Units,
};

use super::*;
use crate::{detect::Machine, journal::Journal, results::Results, store::Store};

const PROGRAM: &[u8] = b"program";

/// The network: leases, offers, content, and what happened.
#[derive(Default)]
struct World {
    leases: BTreeMap<LeaseId, LeaseView>,
    offers: Vec<OfferView>,
    contents: BTreeSet<ContentHash>,
    receipts: Vec<SignedReceipt>,
    notices: usize,
    posted: u8,
    calls: u64,
    /// What tenants gave, and whose leases it is shown for.
    inputs: BTreeMap<ContentHash, (Vec<u8>, BTreeSet<Address>)>,
    /// What was asked for, and up to which length.
    fetches: Vec<(ContentHash, u64)>,
    no_starts_left: u32,
    /// Whether it takes no content.
    is_full: bool,
    /// The call that never returns, and with it none after.
    hang_at: Option<u64>,
    /// Where it comes from which calls fail, one in three; none does without.
    failures: Option<u64>,
}

#[derive(Clone, Default)]
struct FakeMarket {
    world: Arc<Mutex<World>>,
    hung: Arc<Notify>,
    called: Arc<Notify>,
    /// What fetches wait for, if for anything.
    transfers: Option<Arc<Notify>>,
}

impl FakeMarket {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Waits for what shows at the latest when the agent calls again.
    async fn until(&self, holds: impl Fn(&World) -> bool) {
        loop {
            let called = self.called.notified();
            if holds(&self.world()) {
                return;
            }
            called.await;
        }
    }

    /// Counts a call; it then hangs, fails, or goes on.
    async fn call(&self) -> Result<(), MarketError> {
        let (call, hang_at, failures) = {
            let mut world = self.world();
            world.calls += 1;
            (world.calls, world.hang_at, world.failures)
        };
        self.called.notify_waiters();
        if hang_at.is_some_and(|at| call >= at) {
            self.hung.notify_one();
            std::future::pending::<()>().await;
        }
        if failures.is_some_and(|seed| mix(seed ^ call).is_multiple_of(3)) {
            return Err(MarketError::Away("away".to_owned()));
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// Scatters the bits of a number.
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

fn refused(reject: types::Reject) -> MarketError {
    MarketError::Refused { reject: Some(reject), text: reject.code().to_owned() }
}

fn usage(signed: &SignedReceipt) -> Usage {
    types::Decode::from_bytes(signed.receipt.usage.as_slice()).unwrap()
}

impl World {
    /// Shows content for the leases of a tenant.
    fn show(&mut self, tenant: u8, content: &[u8]) -> ContentHash {
        let hash = ContentHash::of(content);
        let shown = self.inputs.entry(hash).or_insert_with(|| (content.to_vec(), BTreeSet::new()));
        shown.1.insert(SecretKey::from_bytes([tenant; 32]).address());
        hash
    }

    fn input(&self, lease: LeaseId, hash: ContentHash) -> Option<Vec<u8>> {
        let (content, tenants) = self.inputs.get(&hash)?;
        tenants.contains(&self.leases[&lease].lease.tenant).then(|| content.clone())
    }

    fn states(&self, is: fn(&LeaseState) -> bool) -> usize {
        self.leases.values().filter(|view| is(&view.lease.state)).count()
    }

    fn submit(&mut self, action: Action) -> Result<(), types::Reject> {
        let now = api::now();
        match action {
            Action::Start { lease } => {
                let lease = &mut self.leases.get_mut(&lease).unwrap().lease;
                let LeaseState::Pending { .. } = lease.state else {
                    return Err(types::Reject::LeaseState);
                };
                lease.state = LeaseState::Active { since: now };
            }
            Action::SubmitReceipt(signed) => {
                let lease = &mut self.leases.get_mut(&signed.receipt.lease).unwrap().lease;
                self.receipts.push((*signed).clone());
                let LeaseState::Active { since } = lease.state else {
                    return Err(types::Reject::LeaseState);
                };
                assert_eq!(signed.receipt.from, since);
                assert!(signed.receipt.to <= now);
                assert_eq!(signed.verify(&Hash::ZERO), Ok(()));
                assert!(
                    self.contents.contains(&usage(&signed).output),
                    "paid before it can be fetched"
                );
                let reason = CloseReason::ProviderCompleted;
                lease.state = LeaseState::Closed { at: now, reason };
                lease.receipts = 1;
                lease.settlement.net = Amount::new(7).unwrap();
                lease.release = Some(now.after(types::Duration::from_seconds(3_600)));
            }
            Action::Reclaim { lease, .. } => {
                let lease = &mut self.leases.get_mut(&lease).unwrap().lease;
                let LeaseState::Active { since } = lease.state else {
                    return Err(types::Reject::LeaseState);
                };
                lease.state = LeaseState::Reclaiming { since, deadline: lease.ends };
                self.notices += 1;
            }
            Action::PostOffer(terms) => {
                self.posted += 1;
                let offer = Offer {
                    id: OfferId::from_bytes([self.posted; 32]),
                    provider: key().address(),
                    node_key: key().public(),
                    posted: now,
                    capacity: Units::ZERO,
                    terms: *terms,
                };
                self.offers.push(OfferView { offer, leased: 0 });
            }
            Action::RetireOffer { offer } => self.offers.retain(|view| view.offer.id != offer),
            other => panic!("no agent does {}", other.name()),
        }
        Ok(())
    }
}

impl Market for FakeMarket {
    async fn list(&self) -> Result<(Listing, Vec<OfferView>), MarketError> {
        self.call().await?;
        let world = self.world();
        let is_own_and_open = |view: &LeaseView| {
            view.lease.provider == key().address()
                && !matches!(view.lease.state, LeaseState::Closed { .. })
        };
        let leases = world.leases.iter().filter(|(_, view)| is_own_and_open(view));
        let leases = leases.map(|(id, view)| (*id, view.clone())).collect();
        Ok((Listing { leases, complete: true }, world.offers.clone()))
    }

    async fn lease(&self, id: LeaseId) -> Result<LeaseView, MarketError> {
        self.call().await?;
        Ok(self.world().leases[&id].clone())
    }

    async fn submit(&self, action: Action) -> Result<(), MarketError> {
        self.call().await?;
        let result = self.world().submit(action);
        // What was done may not be heard of.
        self.call().await?;
        result.map_err(refused)
    }

    async fn no_starts_left(&self) -> Result<u32, MarketError> {
        self.call().await?;
        Ok(self.world().no_starts_left)
    }

    async fn fetch(
        &self,
        lease: LeaseId,
        hash: ContentHash,
        path: &Path,
        bytes_max: u64,
    ) -> Result<u64, MarketError> {
        self.world().fetches.push((hash, bytes_max));
        self.call().await?;
        if let Some(transfers) = &self.transfers {
            transfers.notified().await;
        }
        let absent = || MarketError::Absent("no such content, or not for you".to_owned());
        let content = self.world().input(lease, hash).ok_or_else(absent)?;
        let bytes = u64::try_from(content.len()).unwrap();
        if bytes > bytes_max {
            return Err(MarketError::Refused { reject: None, text: "too long".to_owned() });
        }
        std::fs::write(path, content).unwrap();
        Ok(bytes)
    }

    async fn has(&self, lease: LeaseId, hash: ContentHash) -> Result<bool, MarketError> {
        self.call().await?;
        let world = self.world();
        let mut receipts = world.receipts.iter().filter(|signed| signed.receipt.lease == lease);
        let is_result = receipts.any(|signed| usage(signed).output == hash);
        Ok((is_result && world.contents.contains(&hash)) || world.input(lease, hash).is_some())
    }

    async fn auditor(&self) -> Result<Option<types::Auditor>, MarketError> {
        self.call().await?;
        Ok(None)
    }

    async fn audits(&self) -> Result<Vec<LeaseView>, MarketError> {
        self.call().await?;
        Ok(Vec::new())
    }

    async fn disputes(&self) -> Result<Vec<LeaseView>, MarketError> {
        self.call().await?;
        Ok(Vec::new())
    }

    async fn store(&self, content: Arc<[u8]>) -> Result<(), MarketError> {
        self.call().await?;
        let mut world = self.world();
        if world.is_full {
            return Err(MarketError::Refused { reject: None, text: "full".to_owned() });
        }
        world.contents.insert(ContentHash::of(&content));
        Ok(())
    }

    async fn hints(&self, hints: mpsc::Sender<Hint>) {
        // The events of an account are those of what it rents, too, which no listing has.
        let is_rented = |view: &&LeaseView| view.lease.provider != key().address();
        let rented: Vec<_> =
            self.world().leases.values().filter(is_rented).map(|view| view.lease.id).collect();
        for lease in rented {
            let _ = hints.send(Hint::Opened(lease)).await;
        }
        hints.closed().await;
    }
}

/// Runs every job with the same result, or none.
#[derive(Clone, Default)]
struct FakeRunner {
    aborts: bool,
    runs: Arc<Mutex<u32>>,
}

impl Runner for FakeRunner {
    async fn run(&self, request: Request) -> Result<Finished, JobError> {
        *self.runs.lock().unwrap() += 1;
        assert!(request.contents.contains_key(&request.spec.program));
        tokio::task::yield_now().await;
        if self.aborts {
            return Err(JobError::Aborted("no memory".to_owned()));
        }
        let manifest = Manifest::default();
        let contents = BTreeMap::from([(manifest.hash(), manifest.to_bytes())]);
        let usage = Usage { fuel: 1, exit: Exit::Code(0), output: manifest.hash() };
        Ok(Finished {
            usage,
            trace_root: Hash::ZERO,
            manifest,
            contents,
            guest: Duration::ZERO,
            unrunnable: None,
        })
    }

    fn process(&self) -> Option<u32> {
        None
    }
}

fn key() -> Arc<SecretKey> {
    Arc::new(SecretKey::from_bytes([1; 32]))
}

fn spec() -> Spec {
    Spec {
        metering: METERING_VERSION,
        program: ContentHash::of(PROGRAM),
        input: None,
        stdin: None,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits: Limits { fuel: 9, memory_pages: 1, output_bytes: 9 },
    }
}

fn pending(number: u8) -> LeaseView {
    pending_of(number, 2, &spec())
}

fn pending_of(number: u8, tenant: u8, spec: &Spec) -> LeaseView {
    let tenant = SecretKey::from_bytes([tenant; 32]).address();
    let now = api::now();
    let ends = now.after(types::Duration::from_seconds(1_000));
    let start_by = now.after(types::Duration::from_seconds(60));
    let order = OrderId::from_bytes([number; 32]);
    let terms = OrderTerms {
        class: classes::job::ID,
        spec: Blob::new(spec.to_bytes()).unwrap(),
        constraint: Constraint::default(),
        budget: Amount::ZERO,
        offers: List::default(),
        audit: AuditTerms::NONE,
        duration: types::Duration::from_seconds(1_000),
        expires: ends,
    };
    let lease = Lease {
        id: LeaseId::from_bytes([number; 32]),
        order,
        offer: OfferId::from_bytes([0; 32]),
        class: classes::job::ID,
        tenant,
        provider: key().address(),
        node_key: key().public(),
        rate: Rate::ZERO,
        minimum: Amount::ZERO,
        units_max: Units::ZERO,
        audit: AuditTerms::NONE,
        escrow: Amount::ZERO,
        created: now,
        ends,
        state: LeaseState::Pending { start_by },
        receipts: 0,
        settlement: Settlement::default(),
        check: types::CheckState::Unchecked,
        exposure: Amount::ZERO,
        release: None,
    };
    let order = Order { id: order, tenant, placed: now, terms };
    LeaseView { lease, order, receipts: Vec::new(), audit: None, dispute: None, archived: false }
}

fn policy(slots: usize) -> Policy {
    Policy {
        provider: key().address(),
        node_key: key().public(),
        slots,
        accepting: true,
        memory_pages_max: 16,
        output_bytes_max: 100,
        time_left_min: types::Duration::from_seconds(1),
        look_interval: types::Duration::from_ms(0),
        keep_interval: types::Duration::from_seconds(600),
        keep_after: types::Duration::from_seconds(60),
        record_age_max: types::Duration::from_seconds(3_600),
        reclaim_notice: types::Duration::from_seconds(10),
    }
}

fn offer() -> Wanted {
    let terms = classes::job::Terms {
        metering: METERING_VERSION,
        mfuel_per_second: 1,
        memory_pages: 16,
        output_bytes: 100,
    };
    Wanted {
        terms,
        claims: Machine::detect(Path::new("/")).claims(None, api::now()),
        rate: Rate::ZERO,
        minimum: Amount::ZERO,
        slots: 2,
        lifetime: types::Duration::from_seconds(1_000),
    }
}

struct Running {
    status: watch::Receiver<Status>,
    stop: oneshot::Sender<Drain>,
    task: tokio::task::JoinHandle<Instant>,
}

fn start(data: &Path, market: &FakeMarket, runner: &FakeRunner) -> Running {
    start_with_room(data, market, runner, 1 << 30)
}

fn start_with_room(
    data: &Path,
    market: &FakeMarket,
    runner: &FakeRunner,
    results_bytes_max: u64,
) -> Running {
    let (journal, records) = Journal::open(data.join("journal")).unwrap();
    let results = Results::open(data.join("results"), results_bytes_max, &records).unwrap();
    let seller = Seller {
        market: Arc::new(market.clone()),
        runner: runner.clone(),
        store: Arc::new(Store::open(data.join("inputs"), 1 << 20, 0).unwrap()),
        results: Arc::new(results),
        journal: Arc::new(journal),
        key: key(),
        genesis: Hash::ZERO,
        input_bytes_max: 100,
        left: tokio::sync::Mutex::default(),
    };
    let (shown, status) = watch::channel(Status::new(key().address(), 2, 1));
    let (actor, inbox) = Actor::new(seller, policy(2), offer(), records, shown);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(actor.run(inbox, Duration::from_millis(100), stopped));
    Running { status, stop, task }
}

fn market(leases: u8) -> FakeMarket {
    let market = FakeMarket::default();
    {
        let mut world = market.world();
        world.leases = (1..=leases).map(pending).map(|view| (view.lease.id, view)).collect();
        world.show(2, PROGRAM);
        world.no_starts_left = 2;
    }
    market
}

fn add(market: &FakeMarket, view: LeaseView) {
    market.world().leases.insert(view.lease.id, view);
}

fn is_pending(state: &LeaseState) -> bool {
    matches!(state, LeaseState::Pending { .. })
}

#[tokio::test(start_paused = true)]
async fn leases_are_served_within_the_slots_and_paid_once() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(5), FakeRunner::default());
    let mut running = start(data.path(), &market, &runner);
    let all = |status: &Status| status.done == 5 && status.earned_pending.get() == 35;
    running.status.wait_for(all).await.unwrap();
    assert_eq!(market.world().receipts.len(), 5);
    assert_eq!(*runner.runs.lock().unwrap(), 5);
    assert_eq!(running.status.borrow().kept, 5);
}

#[tokio::test(start_paused = true)]
async fn leases_that_this_account_has_as_a_tenant_are_none_of_its_own() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(2), FakeRunner::default());
    let elsewhere = SecretKey::from_bytes([9; 32]);
    for (number, state) in [(3, None), (4, Some(LeaseState::Active { since: api::now() }))] {
        let mut rented = pending_of(number, 1, &spec());
        rented.lease.provider = elsewhere.address();
        rented.lease.node_key = elsewhere.public();
        rented.lease.state = state.unwrap_or(rented.lease.state);
        add(&market, rented);
    }
    let mut running = start(data.path(), &market, &runner);
    running.status.wait_for(|status| status.done == 2).await.unwrap();
    let calls = market.world().calls;
    market.until(|world| world.calls > calls + 20).await;
    assert_eq!((running.status.borrow().failed, market.world().notices), (0, 0));
    assert_eq!(*runner.runs.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_often_away_only_delays() {
    for seed in 0..16_u64 {
        let data = tempfile::tempdir().unwrap();
        let (market, runner) = (market(3), FakeRunner::default());
        market.world().failures = Some(seed << 32);
        let mut running = start(data.path(), &market, &runner);
        let paid = |status: &Status| status.earned_pending.get() == 21;
        running.status.wait_for(paid).await.unwrap();
        let world = market.world();
        let distinct: BTreeSet<_> = world.receipts.iter().map(Encode::to_bytes).collect();
        assert_eq!(distinct.len(), 3, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_killed_at_any_call_is_resumed_by_the_next() {
    let mut killed_at = 1;
    loop {
        let data = tempfile::tempdir().unwrap();
        let (market, runner) = (market(2), FakeRunner::default());
        market.world().hang_at = Some(killed_at);
        let mut first = start(data.path(), &market, &runner);
        let done = |status: &Status| status.earned_pending.get() == 14;
        let ended_before = tokio::select! {
            () = market.hung.notified() => false,
            result = first.status.wait_for(done) => result.is_ok(),
        };
        first.task.abort();
        assert!(first.task.await.unwrap_err().is_cancelled());
        market.world().hang_at = None;
        let mut second = start(data.path(), &market, &runner);
        second.status.wait_for(done).await.unwrap();
        let world = market.world();
        assert!(world.leases.values().all(|view| view.lease.receipts == 1), "{killed_at}");
        let distinct: BTreeSet<_> = world.receipts.iter().map(Encode::to_bytes).collect();
        assert_eq!(distinct.len(), 2, "killed at call {killed_at}");
        if ended_before {
            break;
        }
        drop(world);
        killed_at += 1;
    }
    assert!(killed_at > 10, "the kills came to an end at call {killed_at}");
}

#[tokio::test(start_paused = true)]
async fn what_this_machine_cannot_do_is_given_up_with_notice() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(1), FakeRunner { aborts: true, ..FakeRunner::default() });
    let mut running = start(data.path(), &market, &runner);
    running.status.wait_for(|status| status.failed == 1).await.unwrap();
    market.until(|world| world.notices == 1).await;
    assert_eq!(*runner.runs.lock().unwrap(), 2);
    assert!(market.world().receipts.is_empty());
    running.task.abort();
    let _ = running.task.await;
    let again = start(data.path(), &market, &runner);
    let calls = market.world().calls;
    market.until(|world| world.calls > calls + 50).await;
    assert_eq!(*runner.runs.lock().unwrap(), 2, "what was given up is not tried again");
    drop(again);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_node_lost_comes_back() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(1), FakeRunner::default());
    let mut first = start(data.path(), &market, &runner);
    first.status.wait_for(|status| status.done == 1).await.unwrap();
    first.task.abort();
    let _ = first.task.await;
    market.world().contents.clear();
    let second = start(data.path(), &market, &runner);
    market.until(|world| !world.contents.is_empty()).await;
    assert_eq!(market.world().receipts.len(), 1);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_stops_takes_its_offer_down_and_begins_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (market, runner) = (market(0), FakeRunner::default());
    let mut running = start(data.path(), &market, &runner);
    running.status.wait_for(|status| status.offers == 1).await.unwrap();
    running.stop.send(Drain { retire: true, patience: Duration::from_secs(30) }).unwrap();
    market.world().leases = [pending(1)].map(|view| (view.lease.id, view)).into();
    running.task.await.unwrap();
    assert!(market.world().offers.is_empty());
    assert_eq!(*runner.runs.lock().unwrap(), 0);
}
