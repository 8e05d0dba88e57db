//! Audits the work of others: what this provider was drawn for.
//!
//! | the ledger says | nothing here | found |
//! |---|---|---|
//! | committing, not committed | do the work | commit |
//! | revealing, committed to what was found, not revealed | – | reveal |
//! | anything else | – | – |
//! | not among this provider's audits | – | ask for it; forget if it is over |
//!
//! What was found is on disk with its salt before anybody is told, so a crash at any instant costs
//! at most doing the work once more. A finding that accuses is made twice, the second time on the
//! other engine if that is fast enough, so that no fault of this machine accuses anybody.
//!
//! What fails is tried again at the next look, not at once: a refusal that stays, or a full disk,
//! would else keep machine and node busy with nothing. An audit is forgotten on the ledger's own
//! word only, never because a listing left it out, for without its salt it could not be revealed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use api::LeaseView;
use classes::job;
use executors::wasm::EngineKind;
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, timeout, timeout_at},
};
use types::{
    Action, Address, Assignment, Audit, Auditor, AuditorTerms, CheckState, Finding, Hash, LeaseId,
    Opening, Time, codec,
};

use crate::{
    backoff::Backoff,
    journal::{Entry, Journal},
    market::{Hint, Market, MarketError},
    recheck::{Lack, RETRY, Recheck, Work},
    runner::Runner,
    status::Status,
    tasks::{LeaseTasks, Progress},
};

/// Hints that wait to be read.
const HINTS_WAITING_MAX: usize = 64;
/// Audits that are under way here, and findings that none is begun beside: more than the ledger
/// gives an auditor, and few enough that a node that makes some up fills neither memory nor disk.
const AUDITS_MAX: usize = 96;
/// How much longer than counted an audit may take, and than the first time the other engine that
/// accuses.
const CONFIRM: Duration = Duration::from_secs(60);
/// How long an auditor that stops waits for its seats to be gone.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an auditor waits that was refused its seats.
const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// What an auditor found, with the salt of its commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The lease.
    lease: LeaseId,
    /// The round in which it was drawn.
    round: u8,
    /// What nobody else knows.
    salt: Hash,
    /// What it found.
    finding: Finding,
}
codec!(struct Found { lease, round, salt, finding });

impl Entry for Found {
    const SUFFIX: &'static str = "audit";

    fn lease(&self) -> LeaseId {
        self.lease
    }
}

impl Found {
    /// Returns what commits an auditor to it.
    fn commitment(&self, auditor: Address) -> Hash {
        let Self { lease, salt, finding, .. } = *self;
        Opening { lease, auditor, salt, finding }.commit()
    }
}

/// One thing to do about an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Work,
    Commit(Found),
    Reveal(Found),
    Rest,
}

/// Returns an auditor's part in an audit that is under way, with its round.
fn part(view: &LeaseView, auditor: Address) -> Option<(&Audit, &Assignment)> {
    let is_under_way =
        matches!(view.lease.check, CheckState::Committing { .. } | CheckState::Revealing { .. });
    let audit = view.audit.as_ref().filter(|_| is_under_way)?;
    let assigned = audit.current().find(|assigned| assigned.auditor == auditor)?;
    Some((audit, assigned))
}

/// Returns what to do about an audit of `auditor`, of which `found` is here.
fn plan(view: &LeaseView, auditor: Address, found: Option<&Found>) -> Step {
    let Some((audit, assigned)) = part(view, auditor) else { return Step::Rest };
    let found = found.filter(|found| found.round == audit.round);
    match (view.lease.check, assigned, found) {
        (CheckState::Committing { .. }, Assignment { commitment: None, .. }, None) => Step::Work,
        (CheckState::Committing { .. }, Assignment { commitment: None, .. }, Some(found)) => {
            Step::Commit(*found)
        }
        (
            CheckState::Revealing { .. },
            Assignment { commitment: Some(commitment), finding: None, .. },
            Some(found),
        ) if found.commitment(auditor) == *commitment => Step::Reveal(*found),
        _ => Step::Rest,
    }
}

/// Everything that auditing takes.
#[derive(Debug)]
pub(crate) struct Auditing<M, R> {
    recheck: Recheck<M, R>,
    journal: Journal<Found>,
    /// The account that audits.
    address: Address,
    /// What it does.
    terms: AuditorTerms,
    /// One audit at a time is done, so that leases have the rest of the machine.
    turn: Mutex<()>,
    /// What was found, of audits that are not known to be over.
    found: Mutex<BTreeMap<LeaseId, Found>>,
    /// Who sees to seats has it: when they may be asked for again.
    seats: Mutex<Instant>,
    is_leaving: AtomicBool,
    status: watch::Sender<Status>,
}

impl<M: Market, R: Runner> Auditing<M, R> {
    /// Takes over what the journal says that the last one found.
    pub(crate) fn new(
        recheck: Recheck<M, R>,
        (journal, records): (Journal<Found>, Vec<Found>),
        address: Address,
        terms: AuditorTerms,
        status: watch::Sender<Status>,
    ) -> Self {
        let found = records.into_iter().map(|found| (found.lease, found)).collect();
        Self {
            recheck,
            journal,
            address,
            terms,
            turn: Mutex::default(),
            found: Mutex::new(found),
            seats: Mutex::new(Instant::now()),
            is_leaving: AtomicBool::new(false),
            status,
        }
    }

    /// Audits until it is aborted; what it then leaves, the next start takes up.
    pub(crate) async fn run(self: Arc<Self>, look_every: Duration) {
        let (sender, mut hints) = mpsc::channel(HINTS_WAITING_MAX);
        let watched = Arc::clone(&self.recheck.market);
        let mut besides = JoinSet::new();
        besides.spawn(async move { watched.hints(sender).await });
        // Not among what audits wait for: each of them has a window.
        besides.spawn(Arc::clone(&self).keep_seats(look_every));
        let mut tick = interval(look_every);
        let mut tasks = LeaseTasks::at_most(AUDITS_MAX);
        loop {
            tokio::select! {
                progress = tasks.ended() => {
                    if progress == Progress::Rests {
                        continue;
                    }
                }
                Some(hint) = hints.recv() => {
                    if !matches!(hint, Hint::Audit | Hint::List) {
                        continue;
                    }
                }
                _ = tick.tick() => {}
            }
            match self.recheck.market.audits().await {
                Ok(views) => self.follow(views, &mut tasks).await,
                Err(error) => tracing::debug!("audits are not known: {error}"),
            }
        }
    }

    async fn keep_seats(self: Arc<Self>, look_every: Duration) {
        let mut tick = interval(look_every);
        loop {
            tick.tick().await;
            self.see_to_seats().await;
        }
    }

    /// Does about each audit what is to be done, and asks for those that are not listed.
    async fn follow(self: &Arc<Self>, mut views: Vec<LeaseView>, tasks: &mut LeaseTasks) {
        // The ledger gives time for one after the other, in the order of their windows.
        views.sort_by_key(|view| view.lease.check.awaited());
        let known = self.found.lock().await.clone();
        let listed: BTreeSet<LeaseId> = views.iter().map(|view| view.lease.id).collect();
        for view in views {
            let lease = view.lease.id;
            let step = plan(&view, self.address, known.get(&lease));
            if step == Step::Rest || (step == Step::Work && known.len() >= AUDITS_MAX) {
                continue;
            }
            let this = Arc::clone(self);
            tasks.begin(lease, async move { this.take(step, &view).await });
        }
        for lease in known.into_keys().filter(|lease| !listed.contains(lease)) {
            let this = Arc::clone(self);
            tasks.begin(lease, async move { this.look(lease).await });
        }
    }

    /// Asks for a lease that is not among this provider's audits, and forgets it if it is over.
    async fn look(&self, lease: LeaseId) -> Progress {
        match self.recheck.market.lease(lease).await {
            Ok(view) if part(&view, self.address).is_some() => {
                let found = self.found.lock().await.get(&lease).copied();
                return self.take(plan(&view, self.address, found.as_ref()), &view).await;
            }
            Ok(_) | Err(MarketError::Absent(_)) => {
                self.found.lock().await.remove(&lease);
                if let Err(error) = self.journal.remove(&lease) {
                    tracing::warn!(%lease, "what was found stays on disk: {error}");
                }
            }
            Err(error) => tracing::debug!(%lease, "not looked up: {error}"),
        }
        Progress::Rests
    }

    async fn take(&self, step: Step, view: &LeaseView) -> Progress {
        let lease = view.lease.id;
        let done = match step {
            Step::Work => match self.work(view).await {
                Some(found) => self.commit(found).await,
                None => return Progress::Rests,
            },
            Step::Commit(found) => self.commit(found).await,
            Step::Reveal(found) => self.reveal(found).await,
            Step::Rest => return Progress::Rests,
        };
        match done {
            Ok(()) => return Progress::Made,
            Err(error @ MarketError::Away(_)) => tracing::debug!(%lease, "not yet: {error}"),
            Err(error @ MarketError::Disk(_)) => {
                tracing::error!(%lease, "what was found cannot be written: {error}");
            }
            // Most likely its window is over.
            Err(error) => tracing::info!(%lease, "the audit goes no further: {error}"),
        }
        Progress::Rests
    }

    /// Puts on disk what was found, and commits to it.
    async fn commit(&self, found: Found) -> Result<(), MarketError> {
        let journal = self.journal.clone();
        let written = spawn_blocking(move || journal.write(&found)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        written.map_err(|error| MarketError::Disk(error.to_string()))?;
        let commitment = found.commitment(self.address);
        self.recheck.market.submit(Action::CommitAudit { lease: found.lease, commitment }).await
    }

    async fn reveal(&self, found: Found) -> Result<(), MarketError> {
        let Found { lease, salt, finding, .. } = found;
        self.recheck.market.submit(Action::RevealAudit { lease, salt, finding }).await?;
        self.status.send_modify(|status| status.audited += 1);
        Ok(())
    }

    /// Does the work of a lease once more, while there is time to commit to what that gives.
    async fn work(&self, view: &LeaseView) -> Option<Found> {
        let (audit, assigned) = part(view, self.address)?;
        let (lease, round) = (view.lease.id, audit.round);
        let until = self.recheck.until(view)?;
        let own = Duration::from_millis(assigned.time.as_ms());
        let finding = self.find(view, &audit.work_root, own, until).await;
        let mut salt = [0; 32];
        if let Err(error) = getrandom::fill(&mut salt) {
            tracing::error!("no randomness for a salt: {error}");
            return None;
        }
        let found = Found { lease, round, salt: Hash::from_bytes(salt), finding };
        self.found.lock().await.insert(lease, found);
        Some(found)
    }

    /// Returns what doing the work gives, or that it could not be done: then it was tried until
    /// there was no time left for another try.
    async fn find(
        &self,
        view: &LeaseView,
        work_root: &Hash,
        own: Duration,
        until: Instant,
    ) -> Finding {
        let lease = view.lease.id;
        let mut wait = RETRY;
        loop {
            let lack = match self.attempt(view, work_root, own, until).await {
                Ok(finding) => return finding,
                Err(lack) => lack,
            };
            if !lack.may_pass() || Instant::now() + wait >= until {
                tracing::warn!(%lease, "the work could not be done once more: {lack}");
                return Finding::Unavailable;
            }
            tracing::debug!(%lease, "the work waits: {lack}");
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    async fn attempt(
        &self,
        view: &LeaseView,
        work_root: &Hash,
        own: Duration,
        until: Instant,
    ) -> Result<Finding, Lack> {
        let _turn = timeout_at(until, self.turn.lock()).await.map_err(|_| Lack::Late)?;
        let work = self.recheck.gather(view, until).await?;
        let began = Instant::now();
        // Work that is slower than its units keeps no other audit waiting longer than the ledger
        // has counted.
        let until = until.min(began + own + CONFIRM);
        let roots = self.recheck.run(&work, EngineKind::Compiler, until).await?;
        if roots.work_root() == *work_root {
            return Ok(roots.finding());
        }
        // What the ledger gives for the work is twice what it takes; the next audit waits.
        let now = Instant::now();
        let half = until.saturating_duration_since(now) / 2;
        let other = now + half.min(began.elapsed() + CONFIRM);
        self.confirm(view.lease.id, &work, roots.finding(), other, until).await
    }

    /// Does work once more that did not give what the receipt says: on the other engine, or where
    /// that does not come to the end before `other`, on the same.
    async fn confirm(
        &self,
        lease: LeaseId,
        work: &Work,
        finding: Finding,
        other: Instant,
        until: Instant,
    ) -> Result<Finding, Lack> {
        let again = match self.recheck.run(work, EngineKind::Interpreter, other).await {
            Err(lack) if lack.is_of_time() => {
                tracing::debug!(%lease, "not confirmed by the other engine: {lack}");
                self.recheck.run(work, EngineKind::Compiler, until).await
            }
            done => done,
        };
        match again {
            Ok(roots) if roots.finding() == finding => {
                tracing::warn!(%lease, "its receipt is wrong");
                Ok(finding)
            }
            Ok(_) => {
                tracing::error!(%lease, "this machine gives one and another; nobody is accused");
                Ok(Finding::Unavailable)
            }
            // Validators have more time, and do it on both engines.
            Err(lack) => Err(lack),
        }
    }

    /// Sees to it that this provider can be drawn, or cannot, once it leaves.
    async fn see_to_seats(&self) {
        let mut refused_until = self.seats.lock().await;
        let known = match self.recheck.market.auditor().await {
            Ok(known) => known,
            Err(error) => {
                tracing::debug!("seats are not known: {error}");
                return;
            }
        };
        let now = self.recheck.market.now();
        let action = if self.is_leaving.load(Ordering::SeqCst) {
            let has_seats = known.is_some_and(|auditor| !auditor.seats.is_empty());
            has_seats.then_some(Action::Delist { class: job::ID })
        } else {
            let wants = wants_seats(known.as_ref(), &self.terms, now);
            let may = wants && Instant::now() >= *refused_until;
            may.then(|| Action::Enlist(Box::new(self.terms.clone())))
        };
        let Some(action) = action else { return };
        let name = action.name();
        if let Err(error) = self.recheck.market.submit(action).await {
            tracing::debug!("no {name}: {error}");
            if let MarketError::Refused { .. } = error {
                *refused_until = Instant::now() + REFUSED_WAIT;
            }
        }
    }

    /// Waits until nothing is left to audit.
    pub(crate) async fn drained(&self) {
        let mut backoff = Backoff::new();
        loop {
            match self.recheck.market.audits().await {
                Ok(views) if views.is_empty() => return,
                Ok(views) => tracing::debug!("{} audits are left", views.len()),
                Err(error) => tracing::debug!("audits are not known: {error}"),
            }
            backoff.wait().await;
        }
    }

    /// Lets nobody draw this provider any more, if the network takes that in time. It does not
    /// ask for seats again.
    pub(crate) async fn leave(&self) {
        self.is_leaving.store(true, Ordering::SeqCst);
        if timeout(LEAVE_TIMEOUT, self.see_to_seats()).await.is_err() {
            tracing::debug!("not delisted in time");
        }
    }
}

fn interval(every: Duration) -> tokio::time::Interval {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Returns whether an auditor would have to enlist to be drawn by its terms.
fn wants_seats(known: Option<&Auditor>, terms: &AuditorTerms, now: Time) -> bool {
    known.is_none_or(|auditor| {
        let is_drawn_so = !auditor.seats.is_empty() && auditor.terms == *terms;
        auditor.barred_until <= now && !is_drawn_so
    })
}

#[cfg(test)]
mod tests;
