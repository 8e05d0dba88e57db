//! `kill -9` of each party in each phase of an audit and of a dispute: nothing stays stuck, and
//! nobody is punished who did right.
//!
//! A phase is held by stopping whoever would end it: the auditors, or the process in which the
//! network's validator does the disputed work. Then a party is killed and started again, and all
//! go on.
//!
//! `IDLEWILD_LONG=1` kills every party in every phase, otherwise each phase sees one of them;
//! `IDLEWILD_SEED` chooses which. The network is killed under a cheat, too.

#![expect(clippy::print_stdout, reason = "what a run measured is part of its result")]

use std::fmt;
use std::time::{Duration, Instant};

use api::{AccountView, Client, LeaseView, Submitter};
use classes::job::{Limits, Spec};
use types::{
    Accuser, Action, Address, Amount, Assignment, AuditTerms, BasisPoints, CheckState, LeaseId,
    OfferId, OrderId, OrderTerms, Readers, Reject, Time, Verdict,
};

use crate::common::{patiently, until};
use crate::counter;
use crate::kill::processes::Service;
use crate::kill::{SELLS, free_port, is_long, recount, setting};
use crate::seller::{account, amount, key, order_of, spec};

/// The longest that anything is waited for: all windows of a lease, and a process that starts.
const WAIT_MAX: Duration = Duration::from_secs(180);
/// Steps of the programs: about a second on the interpreter.
const STEPS: u64 = 4_000_000;
/// What is left of a window when all are back is enough for what is to be done in it.
const ENOUGH: types::Duration = types::Duration::from_seconds(5);
/// Leases that are tried until a dispute over one is opened before its provider is paid.
const TRIES: usize = 5;
/// How many auditors each lease has.
const AUDITORS: u8 = 2;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The provider that served the lease.
    Provider,
    /// The auditor that is the first to commit.
    Auditor,
    /// The network: node and validator.
    Network,
}

const VICTIMS: [Victim; 3] = [Victim::Provider, Victim::Auditor, Victim::Network];

/// Where a lease's check is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No auditor has committed.
    Uncommitted,
    /// One has, the other has not.
    HalfCommitted,
    /// Both have; the first has not revealed.
    Revealing,
    /// The validator has not ruled.
    Disputed,
}

const PHASES: [Phase; 4] =
    [Phase::Uncommitted, Phase::HalfCommitted, Phase::Revealing, Phase::Disputed];

impl Phase {
    /// Returns whether a lease is in it.
    fn holds(self, view: &LeaseView, first: Address) -> bool {
        let committed = committed(view);
        match (self, view.lease.check) {
            (Self::Uncommitted, CheckState::Committing { .. }) => committed.is_empty(),
            (Self::HalfCommitted, CheckState::Committing { .. }) => committed == [first],
            (Self::Revealing, CheckState::Revealing { .. }) => {
                committed.len() == usize::from(AUDITORS) && verdict(view, first).is_none()
            }
            (Self::Disputed, CheckState::Disputed { .. }) => true,
            _ => false,
        }
    }
}

/// Returns who has committed.
fn committed(view: &LeaseView) -> Vec<Address> {
    let assigned = view.audit.iter().flat_map(|audit| audit.assignments.iter());
    let has = |assigned: &&Assignment| assigned.commitment.is_some();
    assigned.filter(has).map(|assigned| assigned.auditor).collect()
}

/// Returns what an auditor said of a lease.
fn verdict(view: &LeaseView, auditor: Address) -> Option<Verdict> {
    let mut verdicts = view.audit.as_ref()?.verdicts();
    verdicts.find(|(address, _)| *address == auditor).map(|(_, said)| said)
}

/// A provider: its process and its account.
struct Party {
    service: Service,
    address: Address,
}

impl Party {
    /// Starts new ones and waits until all of them sell and audit.
    async fn begin<const N: usize>(client: &Client, flags: [&[&str]; N]) -> [Self; N] {
        let url = client.address();
        let words = ["provide", "--json", "--no-passphrase", "--slots", "1", "--node", url];
        let mut services = flags.map(|flags| Service::new(&[&words, flags].concat()));
        services.iter_mut().for_each(Service::start);
        let mut parties = Vec::new();
        for mut service in services {
            sells(&mut service).await;
            let log = service.log();
            let (_, said) = log.split_once(SELLS).unwrap();
            let address = said.split(';').next().unwrap().trim().parse().unwrap();
            let party = Self { service, address };
            party.is_enlisted(client).await;
            parties.push(party);
        }
        parties.try_into().unwrap_or_else(|_| unreachable!("as many as there are flags"))
    }

    async fn view(&self, client: &Client) -> AccountView {
        patiently(|| client.account(self.address)).await.unwrap()
    }

    /// Waits until it can be drawn, or is known to be barred; returns whether it can be.
    async fn is_enlisted(&self, client: &Client) -> bool {
        until("an auditor's seats", WAIT_MAX, || async {
            let now = patiently(|| client.network()).await.unwrap().time;
            let view = self.view(client).await;
            let auditor = view.auditor.first()?;
            let is_barred = auditor.barred_until > now;
            (is_barred || !auditor.seats.is_empty()).then_some(!is_barred)
        })
        .await
    }

    async fn restart(&mut self) {
        self.service.kill().await;
        self.service.start();
    }
}

/// Waits until a provider's offer stands.
async fn sells(service: &mut Service) {
    until("an offer", WAIT_MAX, || {
        let says = service.supervised(SELLS);
        async move { says.then_some(()) }
    })
    .await;
}

/// What a party has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Purse {
    /// In its wallet and in its offers' places.
    usd: Amount,
    stake: Amount,
}

impl Purse {
    fn with(self, more: u64) -> Self {
        Self { usd: self.usd.plus(amount(more)).unwrap(), ..self }
    }
}

/// What all have.
struct Purses {
    tenant: Purse,
    seller: Purse,
    auditors: [Purse; AUDITORS as usize],
}

/// Everybody.
struct Stage {
    network: Service,
    client: Client,
    tenant: Submitter,
    /// Who serves.
    seller: Party,
    /// Who audits; nobody takes their offers.
    auditors: [Party; AUDITORS as usize],
    /// Makes each program another one.
    leases: u64,
}

/// Shows where everybody stands when the test fails.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "network:\n{}", self.network.log())?;
        writeln!(f, "provider {}:\n{}", self.seller.address, self.seller.service.log())?;
        for auditor in &self.auditors {
            writeln!(f, "auditor {}:\n{}", auditor.address, auditor.service.log())?;
        }
        Ok(())
    }
}

impl Stage {
    async fn new() -> Self {
        let port = free_port().to_string();
        let client = Client::new(&format!("http://127.0.0.1:{port}")).unwrap();
        let mut network = Service::new(&["up", "--json", "--no-provider", "--port", &port]);
        network.start();
        let genesis = patiently(|| client.network()).await.unwrap().genesis;
        let tenant = account(&client, genesis, key(1)).await;
        let [seller, first, second] = Party::begin(&client, [&[], &[], &[]]).await;
        let auditors = [first, second];
        Self { network, client, tenant, seller, auditors, leases: 0 }
    }

    /// Places an order with the provider that serves, until one of its offers takes it.
    async fn lease(&mut self) -> LeaseId {
        self.leases += 1;
        let (client, tenant, seller) = (&self.client, &self.tenant, self.seller.address);
        let program = counter::program_with_file(STEPS + self.leases);
        let stored = client.store(&key(1), &tenant.genesis(), program).await.unwrap();
        let limits = Limits { fuel: 1_000_000_000, memory_pages: 16, output_bytes: 1 << 16 };
        let spec = Spec { limits, ..spec(stored.hash, None) };
        until("a lease", WAIT_MAX, || async {
            let offers = patiently(|| client.offers_of(seller, None, Some(1))).await.unwrap();
            let order = order(&spec, offers.items.first()?.offer.id);
            let placed = tenant.submit(Action::PlaceOrder(Box::new(order))).await;
            // It may sell by a new offer by now, or the last lease has just been closed.
            let is_unmatched =
                |error: &api::SubmitError| error.reject() == Some(Reject::OrderUnmatched);
            match placed {
                Err(error) if is_unmatched(&error) => None,
                placed => Some(LeaseId::from(OrderId::from(placed.unwrap().id))),
            }
        })
        .await
    }

    async fn view(&self, lease: LeaseId) -> LeaseView {
        patiently(|| self.client.lease(lease)).await.unwrap()
    }

    /// Waits until a lease is as it is wanted.
    async fn reaches(&self, lease: LeaseId, wanted: impl Fn(&LeaseView) -> bool) -> LeaseView {
        let began = Instant::now();
        until("a lease goes on", WAIT_MAX * 2, || async {
            let view = self.view(lease).await;
            let is_there = wanted(&view);
            assert!(is_there || began.elapsed() < WAIT_MAX, "stuck: {view:#?}\n{self}");
            is_there.then_some(view)
        })
        .await
    }

    /// Has a lease served and holds its check in a phase. Returns the lease, and whether it is
    /// there: its provider may be paid before a dispute is opened, and a dispute be over before
    /// the validator's work is stopped.
    async fn hold(&mut self, phase: Phase) -> (LeaseId, bool) {
        let first = self.auditors[0].address;
        if phase == Phase::Uncommitted {
            self.auditors[0].service.pause();
        }
        if phase != Phase::Disputed {
            self.auditors[1].service.pause();
        }
        let lease = self.lease().await;
        match phase {
            Phase::Uncommitted | Phase::HalfCommitted => {}
            Phase::Revealing => {
                self.reaches(lease, |view| Phase::HalfCommitted.holds(view, first)).await;
                self.auditors[0].service.pause();
                self.auditors[1].service.resume();
            }
            Phase::Disputed => return (lease, self.is_disputed(lease).await),
        }
        self.reaches(lease, |view| phase.holds(view, first)).await;
        (lease, true)
    }

    /// Waits until a lease is disputed, by its tenant if it passed its audit, and stops the work
    /// of the validator. Returns whether it came to that before anything was decided.
    async fn is_disputed(&self, lease: LeaseId) -> bool {
        let is_next = |view: &LeaseView| {
            matches!(view.lease.check, CheckState::Passed | CheckState::Disputed { .. })
        };
        if self.reaches(lease, is_next).await.lease.check == CheckState::Passed {
            match self.tenant.submit(Action::Dispute { lease }).await {
                Err(error) if error.reject() == Some(Reject::DisputeState) => return false,
                disputed => drop(disputed.unwrap()),
            }
        }
        until("a validator at work", WAIT_MAX, || async {
            (!self.network.workers().is_empty()).then_some(())
        })
        .await;
        self.network.pause_workers();
        matches!(self.view(lease).await.lease.check, CheckState::Disputed { .. })
    }

    /// Kills a party, starts it again, and lets all go on once it works.
    async fn strike(&mut self, victim: Victim) {
        let began = Instant::now();
        match victim {
            Victim::Provider => self.seller.restart().await,
            Victim::Auditor => self.auditors[0].restart().await,
            Victim::Network => {
                self.network.kill().await;
                self.network.start();
                // A connection of before would only show that it is broken.
                self.client = Client::new(self.client.address()).unwrap();
                patiently(|| self.client.network()).await.unwrap();
                let genesis = self.tenant.genesis();
                self.tenant = Submitter::new(self.client.clone(), key(1), genesis);
            }
        }
        match victim {
            Victim::Provider => sells(&mut self.seller.service).await,
            Victim::Auditor => sells(&mut self.auditors[0].service).await,
            Victim::Network => {}
        }
        println!("  the {victim:?} is back after {:?}", began.elapsed());
        self.network.resume_workers();
        self.auditors.iter().for_each(|auditor| auditor.service.resume());
    }

    /// Returns whether there is enough left of a window.
    async fn is_in_time(&self, until: Option<Time>) -> bool {
        let now = patiently(|| self.client.network()).await.unwrap().time;
        until.is_none_or(|until| until.since(now) >= ENOUGH)
    }

    /// Waits until a lease's check is over and what it is worth is with whom it belongs to.
    async fn settled(&self, lease: LeaseId) -> LeaseView {
        let view = self.reaches(lease, |view| {
            let check = view.lease.check;
            check != CheckState::Unchecked && !check.is_under_way()
        });
        let Some(release) = view.await.lease.release else { return self.view(lease).await };
        until("a lease is paid", WAIT_MAX, || async {
            let now = patiently(|| self.client.network()).await.unwrap().time;
            (release <= now).then_some(())
        })
        .await;
        self.view(lease).await
    }

    async fn purse(&self, address: Address) -> Purse {
        let storage = patiently(|| self.client.parameters()).await.unwrap().storage_stake;
        let view = patiently(|| self.client.account(address)).await.unwrap();
        let offers = view.provider.map_or(0, |provider| u64::from(provider.offers));
        assert!(view.unbondings.is_empty(), "{view:?}");
        let purse = Purse { usd: view.balances.usd, stake: view.stake };
        purse.with(storage.get() * offers)
    }

    async fn purses(&self) -> Purses {
        let [first, second] = &self.auditors;
        Purses {
            tenant: self.purse(self.tenant.address()).await,
            seller: self.purse(self.seller.address).await,
            auditors: [self.purse(first.address).await, self.purse(second.address).await],
        }
    }

    /// Checks that auditors have what they had, and their fees.
    fn auditors_are_paid(&self, before: &Purses, after: &Purses, view: &LeaseView) {
        let fee = view.audit.as_ref().unwrap().fee.get();
        for (index, auditor) in self.auditors.iter().enumerate() {
            let said = verdict(view, auditor.address);
            let earned = if said == Some(Verdict::Agree) { fee } else { 0 };
            let (had, has) = (before.auditors[index], after.auditors[index]);
            assert_eq!(has, had.with(earned), "{said:?} {view:#?}\n{self}");
        }
    }

    /// Kills a party in a phase of a lease whose work is right; returns whether it came to that.
    async fn is_survived(&mut self, phase: Phase, victim: Victim) -> bool {
        let before = self.purses().await;
        let (lease, is_held) = self.hold(phase).await;
        let mut is_in_time = true;
        if is_held {
            // Once it is over, the check waits for something else or for nothing.
            let until = self.view(lease).await.lease.check.awaited();
            self.strike(victim).await;
            is_in_time = self.is_in_time(until).await;
        }
        let view = self.settled(lease).await;
        let agreed = |auditor: &Party| verdict(&view, auditor.address) == Some(Verdict::Agree);
        let is_lost = is_in_time && !self.auditors.iter().all(agreed);
        assert!(!is_lost, "what an auditor found was lost: {view:#?}\n{self}");
        let after = self.purses().await;
        assert_eq!(view.lease.check, CheckState::Passed, "{view:#?}\n{self}");
        let bond = match view.dispute.as_ref().map(|dispute| dispute.accuser) {
            Some(Accuser::Tenant { bond }) => bond.get(),
            // Who misses a window loses seats only, and leaves it to validators.
            Some(Accuser::Nobody) | None => 0,
            Some(accuser) => panic!("{accuser:?} {view:#?}\n{self}"),
        };
        assert!(bond > 0 || !is_held || phase != Phase::Disputed, "{view:#?}");
        let settled = view.lease.settlement;
        let cost = settled.gross.get() + settled.premium.get() + bond;
        assert!(!settled.gross.is_zero() && !settled.premium.is_zero(), "{view:#?}");
        assert_eq!(after.tenant.with(cost), before.tenant, "{view:#?}\n{self}");
        let earned = settled.net.get() + bond / 2;
        assert_eq!(after.seller, before.seller.with(earned), "{view:#?}\n{self}");
        self.auditors_are_paid(&before, &after, &view);
        self.calm_down().await;
        is_held
    }

    /// Kills the network in a phase of a lease whose work is wrong.
    async fn convicts(&mut self, phase: Phase) {
        // Nobody else could be drawn for its lease, nor serve it.
        let [cheat] = Party::begin(&self.client, [&["--cheat"]]).await;
        self.seller = cheat;
        let before = self.purses().await;
        let (lease, is_held) = self.hold(phase).await;
        assert!(is_held, "{}\n{self}", self.view(lease).await.lease.check.name());
        self.strike(Victim::Network).await;
        let view = self.settled(lease).await;
        let after = self.purses().await;
        assert_eq!(view.lease.check, CheckState::Failed, "{view:#?}\n{self}");
        assert_eq!(after.tenant, before.tenant, "{view:#?}\n{self}");
        let lost = amount(before.seller.stake.get() / 2);
        let left = Purse { stake: before.seller.stake.minus(lost).unwrap(), ..before.seller };
        assert_eq!(after.seller, left, "{view:#?}\n{self}");
        for (had, has) in before.auditors.iter().zip(&after.auditors) {
            assert_eq!(had.stake, has.stake, "{view:#?}\n{self}");
        }
        self.seller.service.kill().await;
        self.calm_down().await;
    }

    /// Waits until all that run work again; a new auditor takes the place of one without seats.
    async fn calm_down(&mut self) {
        for auditor in &mut self.auditors {
            sells(&mut auditor.service).await;
            if !auditor.is_enlisted(&self.client).await {
                println!("  auditor {} missed a window and is replaced", auditor.address);
                auditor.service.end().await;
                let [new] = Party::begin(&self.client, [&[]]).await;
                *auditor = new;
            }
        }
    }
}

/// Returns an order that two auditors check in any case.
fn order(spec: &Spec, offer: OfferId) -> OrderTerms {
    let audit = AuditTerms {
        probability: BasisPoints::new(BasisPoints::WHOLE).unwrap(),
        auditors: AUDITORS,
        readers: Readers::Auditors,
    };
    OrderTerms { budget: amount(20_000), audit, ..order_of(spec, offer) }
}

/// Returns who is killed in which phase: each in each, or one in each, another with each seed.
fn table(is_long: bool, seed: u64) -> Vec<(Phase, Victim)> {
    let turn = usize::try_from(seed % 3).unwrap();
    let each = if is_long { VICTIMS.len() } else { 1 };
    let phases = PHASES.iter().enumerate();
    phases
        .flat_map(|(index, phase)| {
            (0..each).map(move |more| (*phase, VICTIMS[(turn + index + more) % VICTIMS.len()]))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_in_an_audit_or_a_dispute_nobody_is_wronged() {
    let seed = setting("IDLEWILD_SEED").unwrap_or_default();
    println!("IDLEWILD_SEED={seed}");
    let began = Instant::now();
    let mut stage = Stage::new().await;
    println!("everybody is there after {:?}", began.elapsed());
    let is_long = is_long();
    for (phase, victim) in table(is_long, seed) {
        println!("{:?}: kill the {victim:?} while {phase:?}", began.elapsed());
        let mut tries = 1;
        while !stage.is_survived(phase, victim).await {
            assert!(tries < TRIES, "paid before it was disputed, {tries} times\n{stage}");
            tries += 1;
        }
        sells(&mut stage.seller.service).await;
    }
    stage.seller.service.end().await;
    let under_a_cheat = if is_long { &PHASES[..] } else { &[Phase::Disputed] };
    for phase in under_a_cheat {
        println!("{:?}: a cheat, kill the Network while {phase:?}", began.elapsed());
        stage.convicts(*phase).await;
    }
    for auditor in &mut stage.auditors {
        auditor.service.end().await;
    }
    recount(stage.network).await;
    println!("{:?} in all", began.elapsed());
}
