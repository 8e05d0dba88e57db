//! `kill -9` at any moment: a network with its own provider and another one, with jobs under way,
//! whose processes are killed at random moments and started again.
//!
//! `IDLEWILD_SEED` chooses other moments, `IDLEWILD_LONG=1` two hundred kills.

#![expect(clippy::print_stdout, reason = "what a run measured is part of its result")]

pub(crate) mod processes;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use api::{Accepted, Client, LeaseFilter, LeaseQuery, LeaseView};
use classes::job::{Exit, Spec, Usage};
use node::local::{LocalNetwork, create};
use serde_json::Value;
use tokio::time::interval;
use types::{Address, Amount, CloseReason, ContentHash, Decode, Event, LeaseState, SecretKey};

use crate::common::{ended, patiently, until};
use crate::counter;
use processes::Service;
use traffic::{Parties, Record, Traffic};

/// The seed without `IDLEWILD_SEED`.
const SEED: u64 = 0x1d1e_0911;
/// Kills of a network that is being made.
const KILLS_AT_BIRTH: u64 = 2;
/// Kills after that, in the size that every build can afford.
const KILLS: u64 = 8;
/// Kills after that in the long size: 200 with the first ones.
const KILLS_LONG: u64 = 198;
/// The longest from a start to the first answer.
const RESTART_MAX: Duration = Duration::from_secs(2);
/// The longest that a process runs between two kills.
const MOMENT_MAX_MS: u64 = 1_500;
/// The longest that a start goes on before it is killed, where that is what is tried.
const START_MOMENT_MAX_MS: u64 = 400;
/// The longest until the last lease is settled and paid out: work that auditors had no time left
/// for, since they were killed again and again, waits for the one judge and its interpreter.
const SETTLED_MAX: Duration = Duration::from_secs(300);

/// How often a process is looked at that may have to be started again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a provider says once its offer stands.
pub(crate) const SELLS: &str = "selling as";

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    /// The network, with everything in it.
    Network,
    /// The network, and again while it starts.
    NetworkTwice,
    /// The other provider's agent.
    Provider,
    /// The processes in which the network's own provider runs jobs.
    NetworkWorkers,
    /// Those of the other provider.
    ProviderWorkers,
}

/// Whom it hits, in turn.
const VICTIMS: [Victim; 8] = [
    Victim::Network,
    Victim::NetworkWorkers,
    Victim::NetworkTwice,
    Victim::Provider,
    Victim::Network,
    Victim::ProviderWorkers,
    Victim::Network,
    Victim::NetworkTwice,
];

/// Returns whether the long size is asked for.
pub(crate) fn is_long() -> bool {
    setting("IDLEWILD_LONG").is_some_and(|long| long > 0)
}

pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Chance from a seed: SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn moment(&mut self, most_ms: u64) -> Duration {
        Duration::from_millis(self.next() % most_ms)
    }
}

/// Returns a port that is free, as [`free_ports`] does.
pub(crate) fn free_port() -> u16 {
    free_ports(1)
}

/// Returns the first of so many free ports in a row, below those that the system gives to
/// connections by itself, so that nobody takes them while the network is down.
pub(crate) fn free_ports(count: u16) -> u16 {
    // Tests of one process may look at the same time.
    static ASKED: AtomicU16 = AtomicU16::new(0);
    let apart = 100 * ASKED.fetch_add(1, Ordering::Relaxed);
    // So do other processes, of which those beside each other have numbers beside each other.
    let first = 20_000 + 16 * u16::try_from(std::process::id() % 600).unwrap() + apart;
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = (first..32_000).chain(20_000..first);
    ports.find(|port| (*port..*port + count).all(is_free)).unwrap()
}

/// Ends a network in order, then counts all value from its files alone.
pub(crate) async fn recount(mut network: Service) {
    network.end().await;
    let data = network.home.path("data/node");
    let mut config = create(&data, &LocalNetwork::default()).unwrap();
    config.listen = "127.0.0.1:0".parse().unwrap();
    let node = node::start(config).await.unwrap();
    node.handle().read().ledger.recount().unwrap();
    node.shutdown().await;
}

/// What a provider had before it worked.
struct Purse {
    provider: Address,
    usd: Amount,
    offers: u64,
}

/// The processes and what is measured.
struct Storm {
    dice: Dice,
    network: Service,
    provider: Service,
    client: Client,
    kills: u64,
    /// Leases that were under way when something was killed.
    hit: usize,
    slowest: Duration,
    slowest_wall: Duration,
    /// Acknowledgements that were looked up after a kill.
    checked: usize,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let port = free_port().to_string();
        let url = format!("http://127.0.0.1:{port}");
        let network = Service::new(&["up", "--json", "--slots", "2", "--port", &port]);
        let words = ["provide", "--json", "--no-passphrase", "--slots", "1", "--node", &url];
        Self {
            dice: Dice(seed),
            network,
            provider: Service::new(&words),
            client: Client::new(&url).unwrap(),
            kills: 0,
            hit: 0,
            slowest: Duration::ZERO,
            slowest_wall: Duration::ZERO,
            checked: 0,
        }
    }

    /// Starts the network until it answers, kills it a few times on the way for the first time.
    async fn be_born(&mut self) {
        for _ in 0..KILLS_AT_BIRTH {
            self.network.start();
            self.kill_start().await;
        }
        self.network.start();
        patiently(|| self.client.network()).await.unwrap();
    }

    async fn kill_start(&mut self) {
        let moment = self.dice.moment(START_MOMENT_MAX_MS);
        self.network.keep_running(moment).await;
        self.network.kill().await;
        self.kills += 1;
    }

    /// Starts the network again and measures how long it takes to answer, without the time that
    /// it had to wait for a processor while other processes had them all.
    async fn restart(&mut self) {
        let began = Instant::now();
        self.network.start();
        // A connection of before would only show that it is broken.
        let client = Client::new(self.client.address()).unwrap();
        patiently(|| client.network()).await.unwrap();
        let wall = began.elapsed();
        let took = wall.saturating_sub(self.network.queued());
        println!("  answers after {took:?} ({wall:?} on the clock)");
        assert!(took < RESTART_MAX, "{took:?} to restart\n{}", self.network.log());
        self.slowest = self.slowest.max(took);
        self.slowest_wall = self.slowest_wall.max(wall);
    }

    /// Lets everything run for a moment, then kills.
    async fn strike(&mut self, victim: Victim, traffic: &Traffic) {
        let moment = self.dice.moment(MOMENT_MAX_MS);
        self.network.keep_running(moment).await;
        self.provider.supervised(SELLS);
        let hit = self.under_way().await;
        let known = traffic.record().acknowledged.len();
        println!("kill {}: {victim:?} after {moment:?}, {hit} leases", self.kills + 1);
        self.hit += hit;
        self.kills += 1;
        match victim {
            Victim::Network => self.network.kill().await,
            Victim::NetworkTwice => {
                self.network.kill().await;
                self.network.start();
                self.kill_start().await;
            }
            Victim::Provider => {
                self.provider.kill().await;
                self.provider.start();
                return;
            }
            Victim::NetworkWorkers => return self.network.kill_workers(),
            Victim::ProviderWorkers => return self.provider.kill_workers(),
        }
        self.restart().await;
        let new: Vec<Accepted> = traffic.record().acknowledged[self.checked..known].to_vec();
        self.checked = known;
        self.holds(&new).await;
    }

    /// Returns how many leases are served.
    async fn under_way(&self) -> usize {
        let state = Some(LeaseFilter::Active);
        let query = LeaseQuery { state, limit: Some(200), ..LeaseQuery::default() };
        patiently(|| self.client.leases(&query)).await.unwrap().items.len()
    }

    /// Waits until the other provider sells again.
    async fn calm_down(&mut self) {
        let mut tick = interval(LOOK_EVERY);
        let began = Instant::now();
        while !self.provider.supervised(SELLS) {
            assert!(began.elapsed() < SETTLED_MAX, "{}", self.provider.log());
            tick.tick().await;
        }
    }

    /// Checks that what was acknowledged is where it was said to be.
    async fn holds(&self, acknowledged: &[Accepted]) {
        for Accepted { id, height } in acknowledged {
            let record = patiently(|| self.client.transaction(*id)).await;
            let record = record.unwrap_or_else(|error| panic!("{id} was lost: {error}"));
            assert_eq!(record.height, *height, "{id}");
        }
    }

    async fn balance(&self, address: Address) -> Amount {
        patiently(|| self.client.account(address)).await.unwrap().balances.usd
    }

    /// Returns the providers as they are before they work.
    async fn purses(&self) -> Vec<Purse> {
        until("both providers' offers", SETTLED_MAX, || async {
            let page = patiently(|| self.client.providers(None, None)).await.unwrap();
            let mut purses = Vec::new();
            for provider in page.items {
                let usd = self.balance(provider.address).await;
                let offers = u64::from(provider.offers);
                purses.push(Purse { provider: provider.address, usd, offers });
            }
            (purses.len() == 2 && purses.iter().all(|purse| purse.offers > 0)).then_some(purses)
        })
        .await
    }

    /// Returns all leases of a tenant.
    async fn leases(&self, tenant: Address) -> Vec<LeaseView> {
        let mut query =
            LeaseQuery { tenant: Some(tenant), limit: Some(200), ..LeaseQuery::default() };
        let mut leases = Vec::new();
        loop {
            let page = patiently(|| self.client.leases(&query)).await.unwrap();
            leases.extend(page.items);
            query.after = page.next;
            if query.after.is_none() {
                return leases;
            }
        }
    }

    /// Waits until all leases of a tenant are checked, settled and paid out, and no order waits.
    async fn settled(&self, tenant: Address) -> Vec<LeaseView> {
        let began = Instant::now();
        until("every lease is settled", SETTLED_MAX * 2, || async {
            let page = patiently(|| self.client.orders(tenant, None, Some(200))).await.unwrap();
            let open: Vec<_> = page.items.into_iter().filter(|view| view.open).collect();
            let leases = self.leases(tenant).await;
            let now = patiently(|| self.client.network()).await.unwrap().time;
            let is_over = |view: &&LeaseView| {
                let is_closed = matches!(view.lease.state, LeaseState::Closed { .. });
                let is_checked = !view.lease.check.is_under_way();
                is_closed && is_checked && view.lease.release.is_none_or(|release| release <= now)
            };
            let stuck: Vec<_> = leases.iter().filter(|view| !is_over(view)).collect();
            let is_calm = open.is_empty() && stuck.is_empty();
            let log = || self.network.log() + &self.provider.log();
            let in_time = is_calm || began.elapsed() < SETTLED_MAX;
            assert!(in_time, "stuck at {now}: {open:#?} {stuck:#?}\n{}", log());
            is_calm.then_some(leases)
        })
        .await
    }

    /// Returns the account of the network's main key.
    fn commander(&self) -> Address {
        let mut command = self.network.home.command();
        let keys = ended(&command.args(["keys", "list", "--json"]).output().unwrap());
        let keys = keys.with_code(0).json();
        let is_main = |key: &&Value| key["name"] == "main";
        let main = keys["keys"].as_array().unwrap().iter().find(is_main).unwrap();
        main["address"].as_str().unwrap().parse().unwrap()
    }

    /// Checks that providers hold what their leases brought them, and not more.
    async fn providers_have_what_they_earned(&self, purses: &[Purse], leases: &[LeaseView]) {
        let storage = self.client.parameters().await.unwrap().storage_stake.get();
        for purse in purses {
            let of_provider = leases.iter().filter(|view| view.lease.provider == purse.provider);
            let earned: u64 = of_provider.map(|view| view.lease.settlement.net.get()).sum();
            let before = purse.usd.get() + storage * purse.offers;
            until("the provider has what it earned", SETTLED_MAX, || async {
                let view = self.client.account(purse.provider).await.unwrap();
                let offers = u64::from(view.provider.unwrap().offers);
                let now = view.balances.usd.get() + storage * offers;
                let fees = self.audit_fees(purse.provider).await;
                (now == before + earned + fees).then_some(())
            })
            .await;
        }
    }

    /// Returns what an account was paid for audits.
    async fn audit_fees(&self, auditor: Address) -> u64 {
        let (mut fees, mut before) = (0, None);
        loop {
            let page = self.client.account_history(auditor, before, Some(200)).await.unwrap();
            for record in page.items {
                match record.event {
                    Event::AuditorPaid { auditor: to, amount, .. } if to == auditor => {
                        fees += amount.get();
                    }
                    _ => {}
                }
            }
            let Some(next) = page.next else { return fees };
            before = Some(next.parse().unwrap());
        }
    }

    /// Ends everything in order, then counts all value from the files alone.
    async fn end(mut self) {
        self.provider.end().await;
        recount(self.network).await;
    }

    /// Runs one further job, as anybody would, and checks its answer.
    fn works(&self) {
        const STEPS: u64 = 4_321;
        let file = self.network.home.path("last.wasm");
        std::fs::write(&file, counter::program(STEPS)).unwrap();
        let mut command = self.network.home.command();
        command.env("IDLEWILD_NODE", self.client.address()).arg("run").arg(file);
        let ended = ended(&command.output().unwrap()).with_code(0);
        assert_eq!(ended.stdout, counter::answer(STEPS));
    }
}

/// What a tenant's leases cost, net of what it got back.
fn cost(leases: &[LeaseView]) -> Amount {
    let cost = |view: &LeaseView| view.lease.settlement.gross.plus(view.lease.settlement.premium);
    leases.iter().fold(Amount::ZERO, |sum, view| sum.plus(cost(view).unwrap()).unwrap())
}

/// Checks that each job was paid at most once, for its one receipt, and that its answer is right.
fn jobs_are_paid_once(leases: &[LeaseView], record: &Record) -> usize {
    let mut paid: BTreeSet<ContentHash> = BTreeSet::new();
    for view in leases {
        let lease = &view.lease;
        assert!(view.receipts.len() <= 1, "{view:?}");
        let LeaseState::Closed { reason, .. } = lease.state else { panic!("{view:?}") };
        assert_eq!(reason == CloseReason::ProviderCompleted, view.receipts.len() == 1, "{view:?}");
        let spec = Spec::from_bytes(view.order.terms.spec.as_slice()).unwrap();
        assert!(record.answers.contains_key(&spec.program), "{view:?}");
        if let Some(receipt) = view.receipts.first() {
            let usage = Usage::from_bytes(receipt.receipt.usage.as_slice()).unwrap();
            assert_eq!(usage.exit, Exit::Code(0), "{view:?}");
        }
        if !lease.settlement.gross.is_zero() {
            assert!(paid.insert(spec.program), "paid twice: {view:?}");
        }
    }
    paid.len()
}

/// Checks how the commands ended: with the right answer, or saying that the node is away.
fn commands_brought_answers(record: &Record, leases: &[LeaseView]) -> usize {
    let costs: BTreeMap<String, Amount> = leases
        .iter()
        .map(|view| {
            let settled = &view.lease.settlement;
            (view.lease.id.to_string(), settled.gross.plus(settled.premium).unwrap())
        })
        .collect();
    let mut brought = 0;
    for (ended, answer) in &record.commands {
        if ended.code == 125 {
            // It met the node away before its order was placed or at the very end, or a provider
            // between two offers: it measures itself anew when it starts.
            let is_away = ["cannot be reached", "did not answer", "nobody offers to run jobs"];
            assert!(is_away.iter().any(|text| ended.stderr.contains(text)), "{ended:?}");
            continue;
        }
        let value = ended.json();
        let job = &value["jobs"][0];
        assert_eq!((ended.code, job["stdout"].as_str()), (0, Some(answer.as_str())), "{ended:?}");
        let paid = costs[job["lease"].as_str().unwrap()];
        let shown = paid.get() as f64 / Amount::MICRO as f64;
        assert!((job["paid_usd"].as_f64().unwrap() - shown).abs() < 1e-9, "{ended:?}");
        brought += 1;
    }
    brought
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_killed_at_any_moment_loses_nothing_and_pays_once() {
    let seed = setting("IDLEWILD_SEED").unwrap_or(SEED);
    let kills = if is_long() { KILLS_LONG } else { KILLS };
    println!("IDLEWILD_SEED={seed}: {} kills", kills + KILLS_AT_BIRTH);
    let began = Instant::now();
    let mut storm = Storm::new(seed);
    storm.be_born().await;
    storm.provider.start();
    let purses = storm.purses().await;
    let key = |number| Arc::new(SecretKey::from_bytes([number; 32]));
    let parties = Parties {
        client: storm.client.clone(),
        genesis: storm.client.network().await.unwrap().genesis,
        tenant: key(1),
        sink: key(2),
        home: storm.network.home.directory.path().to_owned(),
    };
    let tenant = parties.tenant.address();
    let given = storm.client.faucet(tenant).await.unwrap().funds.usd;
    let commander = storm.commander();
    let held = storm.balance(commander).await;

    let traffic = Traffic::begin(&parties);
    for victim in VICTIMS.iter().cycle().take(usize::try_from(kills).unwrap()) {
        storm.strike(*victim, &traffic).await;
    }
    storm.calm_down().await;
    let record = traffic.end().await;
    storm.holds(&record.acknowledged).await;
    let mut leases = storm.settled(tenant).await;
    let sent = storm.balance(parties.sink.address()).await;
    assert!((record.sent..=record.sent + record.open).contains(&sent.get()), "{sent}");
    let spent = given.minus(storm.balance(tenant).await).unwrap();
    assert_eq!(spent, cost(&leases).plus(sent).unwrap());
    let ordered = storm.settled(commander).await;
    assert_eq!(held.minus(storm.balance(commander).await).unwrap(), cost(&ordered));
    let brought = commands_brought_answers(&record, &ordered);
    leases.extend(ordered);
    storm.providers_have_what_they_earned(&purses, &leases).await;
    let paid = jobs_are_paid_once(&leases, &record);
    assert!(brought > 0 && paid > brought, "{brought} commands, {paid} jobs");
    assert!(storm.hit > 0, "no kill hit a lease");
    storm.works();
    println!(
        "{} kills hit {} leases, slowest restart {:?} ({:?} on the clock), {} transactions \
         acknowledged and {} open, {} leases, {paid} jobs paid, {brought} of {} commands brought \
         answers, {:?}",
        storm.kills,
        storm.hit,
        storm.slowest,
        storm.slowest_wall,
        record.acknowledged.len(),
        record.open,
        leases.len(),
        record.commands.len(),
        began.elapsed()
    );
    storm.end().await;
}
