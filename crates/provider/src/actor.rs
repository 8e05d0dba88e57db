//! The loop of the agent: what it learns, what it then does.
//!
//! One task owns the local side of the difference and does nothing that waits: listing, looking
//! and serving are tasks of their own, whose ends come back as reports. Events of the network
//! only make it ask sooner.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use api::{LeaseView, OfferView};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior},
};
use types::{Action, Amount, LeaseId, LeaseState, Time};

use crate::{
    journal::{Ending, Record},
    market::{Hint, Market, MarketError},
    offers::{self, OfferStep, Wanted},
    plan::{self, Listing, LocalLease, Policy, Stage, Step},
    runner::Runner,
    seller::{End, Seller},
    status::Status,
};

/// Hints that wait to be read.
const HINTS_WAITING_MAX: usize = 1024;
/// Records that wait to be read.
const RECORDS_WAITING_MAX: usize = 64;

/// What a task found out.
#[derive(Debug)]
enum Report {
    Listed(Result<(Listing, Vec<OfferView>), MarketError>),
    Looked(LeaseId, Result<Box<LeaseView>, MarketError>),
    Ended(LeaseId, End),
    Kept(LeaseId, bool),
    Noticed(LeaseId, Result<(), MarketError>),
    Offered(Result<(), MarketError>),
}

/// What a task is about, should it end without a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    List,
    Offers,
    Work(LeaseId),
    Other,
}

/// How the agent stops.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    /// Whether offers are taken down.
    pub(crate) retire: bool,
    /// How long work may go on.
    pub(crate) patience: Duration,
}

impl Drain {
    /// At once, with everything left as it is.
    const NONE: Self = Self { retire: false, patience: Duration::ZERO };
}

/// The agent's loop.
pub(crate) struct Actor<M, R> {
    seller: Arc<Seller<M, R>>,
    policy: Policy,
    wanted: Option<Wanted>,
    local: BTreeMap<LeaseId, LocalLease>,
    records: BTreeMap<LeaseId, Arc<Record>>,
    tasks: JoinSet<Report>,
    subjects: HashMap<Id, Subject>,
    work: BTreeMap<LeaseId, AbortHandle>,
    recorded: mpsc::Sender<Arc<Record>>,
    listing: bool,
    /// Whether something changed since the listing that is under way began.
    stale: bool,
    offering: bool,
    /// Whether leases wait for a slot.
    waiting: bool,
    /// Whether the offers are down, or cannot be taken down.
    retired: bool,
    /// The provider's part of settled leases, and when it is released.
    settled: BTreeMap<LeaseId, (Amount, Time)>,
    status: watch::Sender<Status>,
}

impl<M: Market, R: Runner> Actor<M, R> {
    /// Takes over where the journal's `records` say that the last one ended.
    pub(crate) fn new(
        seller: Seller<M, R>,
        policy: Policy,
        wanted: Wanted,
        records: Vec<Record>,
        status: watch::Sender<Status>,
    ) -> (Self, mpsc::Receiver<Arc<Record>>) {
        let (recorded, inbox) = mpsc::channel(RECORDS_WAITING_MAX);
        let mut actor = Self {
            seller: Arc::new(seller),
            policy,
            wanted: Some(wanted),
            local: BTreeMap::new(),
            records: BTreeMap::new(),
            tasks: JoinSet::new(),
            subjects: HashMap::new(),
            work: BTreeMap::new(),
            recorded,
            listing: false,
            stale: false,
            offering: false,
            waiting: false,
            retired: false,
            settled: BTreeMap::new(),
            status,
        };
        for record in records {
            let stage = match record.ending {
                Ending::Finished { .. } => Stage::Finished,
                Ending::GivenUp { .. } => Stage::GivenUp,
            };
            actor.set(record.lease, stage, record.ends);
            actor.records.insert(record.lease, Arc::new(record));
        }
        (actor, inbox)
    }

    /// Runs until `stop` says so, or is dropped, and then as long as the drain lasts; returns when
    /// its time is over.
    pub(crate) async fn run(
        mut self,
        mut records: mpsc::Receiver<Arc<Record>>,
        list_every: Duration,
        mut stop: oneshot::Receiver<Drain>,
    ) -> Instant {
        let (sender, mut hints) = mpsc::channel(HINTS_WAITING_MAX);
        let watched = Arc::clone(&self.seller);
        let watcher = tokio::spawn(async move { watched.market.hints(sender).await });
        let mut tick = tokio::time::interval(list_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drain: Option<Instant> = None;
        loop {
            self.show();
            if drain.is_some() && self.is_drained() {
                break;
            }
            tokio::select! {
                // In this order: a record is taken before the end of the task that sent it.
                biased;
                how = &mut stop, if drain.is_none() => {
                    // A handle that was dropped stops at once and leaves all to the next start.
                    let how = how.unwrap_or(Drain::NONE);
                    drain = Some(Instant::now() + how.patience);
                    self.begin_drain(how);
                }
                () = at(drain), if drain.is_some() => break,
                Some(record) = records.recv() => self.on_record(record),
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    self.on_ended(ended);
                }
                Some(hint) = hints.recv() => self.on_hint(hint),
                _ = tick.tick(), if !self.listing => self.list(),
            }
        }
        watcher.abort();
        // What is still at work is resumed by the next start.
        self.tasks.shutdown().await;
        self.show();
        drain.unwrap_or_else(Instant::now)
    }

    fn begin_drain(&mut self, how: Drain) {
        tracing::info!(at_work = self.work.len(), "stopping");
        self.policy.accepting = false;
        self.retired = !how.retire;
        if how.retire {
            self.wanted = None;
            self.list();
        }
    }

    fn is_drained(&self) -> bool {
        self.work.is_empty() && self.retired && !self.offering
    }

    fn on_hint(&mut self, hint: Hint) {
        match hint {
            Hint::Opened(lease) => self.look(lease),
            Hint::Changed(lease) if self.local.contains_key(&lease) => self.look(lease),
            Hint::Changed(_) | Hint::Audit => {}
            Hint::List => self.list(),
        }
    }

    /// A result is on disk: its slot is free.
    fn on_record(&mut self, record: Arc<Record>) {
        let lease = record.lease;
        let still_at_work = self.work.contains_key(&lease);
        let stage = if still_at_work { Stage::Delivering } else { Stage::Finished };
        self.set(lease, stage, record.ends);
        self.records.insert(lease, record);
        if self.waiting {
            self.list();
        }
    }

    fn on_ended(&mut self, ended: Result<(Id, Report), JoinError>) {
        match ended {
            Ok((id, report)) => {
                self.subjects.remove(&id);
                self.on_report(report);
            }
            Err(error) => {
                let subject = self.subjects.remove(&error.id()).unwrap_or(Subject::Other);
                if !error.is_cancelled() {
                    tracing::error!(?subject, "a task failed: {error}");
                }
                match subject {
                    Subject::List => self.listing = false,
                    Subject::Offers => self.offering = false,
                    Subject::Work(lease) if error.is_cancelled() => self.end(lease, End::Over),
                    Subject::Work(lease) => {
                        self.end(lease, End::GivenUp("a fault of the agent".to_owned()));
                    }
                    Subject::Other => {}
                }
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Listed(result) => self.on_listed(result),
            Report::Looked(lease, Ok(view)) => {
                self.on_view(&view);
                let leases = BTreeMap::from([(lease, *view)]);
                self.follow(Listing { leases, complete: false });
            }
            Report::Looked(lease, Err(error)) => {
                tracing::debug!(%lease, "not looked up: {error}");
                if let (MarketError::Away(_), Some(known)) = (&error, self.local.get_mut(&lease)) {
                    known.looked = Time::from_ms(0);
                }
            }
            Report::Ended(lease, end) => self.end(lease, end),
            Report::Kept(lease, true) => {
                if let Some(known) = self.local.get_mut(&lease) {
                    known.kept = api::now();
                }
            }
            Report::Noticed(lease, Err(error)) => {
                tracing::warn!(%lease, "no notice given: {error}");
                if let (MarketError::Away(_), Some(known)) = (&error, self.local.get_mut(&lease)) {
                    known.stage = Stage::GivenUp;
                }
            }
            Report::Kept(_, false) | Report::Noticed(_, Ok(())) => {}
            Report::Offered(result) => {
                self.offering = false;
                let problem = result.err().map(|error| error.to_string());
                if let Some(problem) = &problem {
                    tracing::warn!("the offer does not stand: {problem}");
                    // Trying to take it down again would only keep the agent from stopping.
                    self.retired |= self.wanted.is_none();
                }
                self.status.send_if_modified(|status| {
                    std::mem::replace(&mut status.problem, problem.clone()) != problem
                });
                if self.wanted.is_none() && !self.retired {
                    self.list();
                }
            }
        }
    }

    fn on_listed(&mut self, result: Result<(Listing, Vec<OfferView>), MarketError>) {
        self.listing = false;
        let connected = result.is_ok();
        self.status.send_if_modified(|status| {
            std::mem::replace(&mut status.connected, connected) != connected
        });
        match result {
            Ok((listing, standing)) => {
                let open = listing.leases.len();
                let complete = listing.complete;
                self.status.send_modify(|status| status.offers = standing.len());
                self.follow(listing);
                if complete {
                    self.offer(&standing, open);
                }
            }
            Err(error) => {
                tracing::warn!("the ledger cannot be listed: {error}");
                self.retired |= self.wanted.is_none();
            }
        }
        if std::mem::take(&mut self.stale) {
            self.list();
        }
    }

    /// Does what the difference between `listing` and the local side asks for.
    fn follow(&mut self, listing: Listing) {
        let listing = listing.of(self.policy.provider);
        let steps = plan::plan(api::now(), &listing, &self.local, &self.policy);
        for step in steps {
            self.step(step, &listing);
        }
        let unserved = |(id, view): (&LeaseId, &LeaseView)| {
            matches!(view.lease.state, LeaseState::Pending { .. } | LeaseState::Active { .. })
                && !self.local.contains_key(id)
        };
        let waiting = listing.leases.iter().any(unserved);
        self.waiting = waiting || (self.waiting && !listing.complete);
    }

    fn step(&mut self, step: Step, listing: &Listing) {
        match step {
            Step::Serve(id) => {
                let Some(view) = listing.leases.get(&id).cloned() else { return };
                tracing::info!(lease = %id, tenant = %view.lease.tenant, "serving");
                self.set(id, Stage::Serving, view.lease.ends);
                let (seller, recorded) = (Arc::clone(&self.seller), self.recorded.clone());
                self.work(id, async move { seller.serve(view, recorded).await });
            }
            Step::Refuse(id, refusal) => {
                tracing::warn!(lease = %id, "not taken: {refusal}");
                let ends = listing.leases.get(&id).map_or(Time::MAX, |view| view.lease.ends);
                self.set(id, Stage::Refused, ends);
                self.status.send_modify(|status| status.failed += 1);
            }
            Step::Deliver(id) => {
                let Some(record) = self.records.get(&id).cloned() else { return };
                self.set_stage(id, Stage::Delivering);
                let seller = Arc::clone(&self.seller);
                self.work(id, async move { seller.deliver(record).await });
            }
            Step::Notice(id) => {
                self.set_stage(id, Stage::Noticed);
                let (seller, notice) = (Arc::clone(&self.seller), self.policy.reclaim_notice);
                self.spawn(Subject::Other, async move {
                    let action = Action::Reclaim { lease: id, notice };
                    Report::Noticed(id, seller.market.submit(action).await)
                });
            }
            Step::Stop(id) => {
                tracing::info!(lease = %id, "stopped: the ledger closed it");
                if let Some(work) = self.work.get(&id) {
                    work.abort();
                }
            }
            Step::Look(id) => self.look(id),
            Step::Keep(id) => {
                let Some(record) = self.records.get(&id).cloned() else { return };
                let seller = Arc::clone(&self.seller);
                self.spawn(
                    Subject::Other,
                    async move { Report::Kept(id, seller.keep(record).await) },
                );
            }
            Step::Forget(id) => self.forget(id),
        }
    }

    fn work(&mut self, id: LeaseId, work: impl Future<Output = End> + Send + 'static) {
        let task = async move { Report::Ended(id, work.await) };
        let handle = self.spawn(Subject::Work(id), task);
        self.work.insert(id, handle);
    }

    fn spawn(
        &mut self,
        subject: Subject,
        task: impl Future<Output = Report> + Send + 'static,
    ) -> AbortHandle {
        let handle = self.tasks.spawn(task);
        self.subjects.insert(handle.id(), subject);
        handle
    }

    /// The work for a lease is over.
    fn end(&mut self, lease: LeaseId, end: End) {
        self.work.remove(&lease);
        let finished = self
            .records
            .get(&lease)
            .is_some_and(|record| matches!(record.ending, Ending::Finished { .. }));
        match end {
            End::Delivered => {
                tracing::info!(%lease, "the receipt is in the ledger");
                self.set_stage(lease, Stage::Delivered);
                self.status.send_modify(|status| status.done += 1);
            }
            End::GivenUp(why) => {
                tracing::error!(%lease, "given up: {why}");
                self.set_stage(lease, Stage::GivenUp);
                self.status.send_modify(|status| status.failed += 1);
            }
            End::Over if finished => {
                self.set_stage(lease, Stage::Finished);
                // What it closed with says whether its result is kept.
                if let Some(known) = self.local.get_mut(&lease) {
                    known.looked = Time::from_ms(0);
                }
            }
            End::Over => drop(self.local.remove(&lease)),
            End::Lost => {
                tracing::warn!(%lease, "the result is lost; it is made again");
                self.forget(lease);
            }
        }
        if self.waiting {
            self.list();
        }
    }

    fn forget(&mut self, lease: LeaseId) {
        self.local.remove(&lease);
        self.records.remove(&lease);
        self.seller.results.forget(lease);
        if let Some((net, _)) = self.settled.remove(&lease) {
            self.status.send_modify(|status| {
                status.earned_released = status.earned_released.saturating_plus(net);
            });
        }
        if let Err(error) = self.seller.journal.remove(&lease) {
            tracing::warn!(%lease, "its record stays: {error}");
        }
    }

    /// Takes down what a lease earned.
    fn on_view(&mut self, view: &LeaseView) {
        let lease = &view.lease;
        match (lease.state, lease.release) {
            (LeaseState::Closed { .. }, Some(release)) if self.records.contains_key(&lease.id) => {
                self.settled.insert(lease.id, (lease.settlement.net, release));
            }
            // Its tenant has the money back.
            (LeaseState::Closed { .. }, None) => drop(self.settled.remove(&lease.id)),
            _ => {}
        }
    }

    fn list(&mut self) {
        if self.listing {
            self.stale = true;
            return;
        }
        self.listing = true;
        let seller = Arc::clone(&self.seller);
        self.spawn(Subject::List, async move { Report::Listed(seller.market.list().await) });
    }

    fn look(&mut self, lease: LeaseId) {
        if let Some(known) = self.local.get_mut(&lease) {
            known.looked = api::now();
        }
        let seller = Arc::clone(&self.seller);
        self.spawn(Subject::Other, async move {
            Report::Looked(lease, seller.market.lease(lease).await.map(Box::new))
        });
    }

    fn offer(&mut self, standing: &[OfferView], open: usize) {
        if self.offering {
            return;
        }
        let steps = offers::plan(api::now(), standing, open, self.wanted.as_ref());
        if steps.is_empty() {
            self.retired |= self.wanted.is_none();
            return;
        }
        self.offering = true;
        let seller = Arc::clone(&self.seller);
        self.spawn(Subject::Offers, async move {
            Report::Offered(follow_offers(&*seller.market, steps).await)
        });
    }

    fn set(&mut self, lease: LeaseId, stage: Stage, ends: Time) {
        let never = Time::from_ms(0);
        self.local.insert(lease, LocalLease { stage, looked: never, kept: never, ends });
    }

    fn set_stage(&mut self, lease: LeaseId, stage: Stage) {
        if let Some(known) = self.local.get_mut(&lease) {
            known.stage = stage;
        }
    }

    /// Shows how things are to those who watch.
    fn show(&self) {
        let count = |stage| self.local.values().filter(|known| known.stage == stage).count();
        let now = api::now();
        let waits = self.settled.values().filter(|(_, release)| *release > now);
        let pending = waits.fold(Amount::ZERO, |sum, (net, _)| sum.saturating_plus(*net));
        let (serving, delivering) = (count(Stage::Serving), count(Stage::Delivering));
        let worker = self.seller.runner.process();
        let kept = self.records.len();
        self.status.send_if_modified(|status| {
            let shown = Status {
                serving,
                delivering,
                kept,
                earned_pending: pending,
                worker,
                ..status.clone()
            };
            let changed = shown != *status;
            *status = shown;
            changed
        });
    }
}

async fn follow_offers<M: Market>(market: &M, steps: Vec<OfferStep>) -> Result<(), MarketError> {
    for step in steps {
        let action = match step {
            OfferStep::Retire(offer) => Action::RetireOffer { offer },
            OfferStep::Post(terms) => {
                let slots = terms.slots;
                tracing::info!(slots, rate = terms.rate.get(), "posting an offer");
                Action::PostOffer(terms)
            }
        };
        market.submit(action).await?;
    }
    Ok(())
}

/// Waits until `deadline`; for ever without one.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
