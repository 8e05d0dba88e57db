//! Judges disputes: what validators do.
//!
//! A validator does the disputed work on the interpreter. Where that gives what the receipt says,
//! the receipt is right. Where it gives something else, the compiler does it too: only if both
//! engines give the same does the validator say that the receipt is wrong. Rulings follow from the
//! work alone, so nothing has to survive a crash.
//!
//! However many are open, one short dispute is worked on at a time, and beside it one long one,
//! each as long as what was billed takes a slow interpreter. Those come first in which somebody
//! accuses, since a cheat loses stake only if they are decided, and of these what is the least
//! work: much work does not hold up little, and who opens many to hide one pays a bond for each.
//! What is begun is ended, or its work would be lost to whatever comes next, unless nobody accuses
//! in it and somebody does in another. A validator's machine has memory for two jobs of the largest
//! kind.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use api::{Client, LeaseView};
use classes::job;
use executors::wasm::EngineKind;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, timeout_at},
};
use types::{Action, Argument, Dispute, Game, LeaseId, PublicKey, Ruling, SecretKey, Time, Units};

use crate::{
    agent::AgentError,
    backoff::Backoff,
    disk,
    market::{Hint, Market, MarketError, NodeMarket},
    recheck::{HAND_IN, Lack, RETRY, Recheck},
    runner::{Runner, Workers},
    store::Store,
    tasks::{LeaseTasks, Progress},
};

/// Hints that wait to be read.
const HINTS_WAITING_MAX: usize = 64;
/// How long a dispute waits of which the work failed, or the ruling was refused.
const REFUSED_WAIT: Duration = Duration::from_secs(60);
/// What each dispute may take besides its work, for bringing the inputs above all.
const BUDGET_MIN: Duration = Duration::from_secs(5 * 60);
/// The longest wait for the next try of work that could not be done, where somebody accuses: each
/// is twice as long as the one before. An honest provider waits for its money where nobody does.
const ACCUSED_WAIT_MAX: Duration = Duration::from_secs(3_600);
/// The same where nobody accuses.
const WAIT_MAX: Duration = Duration::from_secs(3 * 60);
/// Disputes that are worked on at a time: a short and a long one.
const LANES: u16 = 2;
/// What a dispute may take at most that counts as short.
const SHORT_MAX: Duration = Duration::from_secs(15 * 60);
/// How long what was found is kept after its dispute, for a later one over the same lease.
const FOUND_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How often disputes are looked for, besides when one is opened.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Rulings that are on their way to the ledger at a time.
const RULINGS_MAX: usize = 64;
/// Inputs that are kept on disk for later disputes, in bytes.
const STORE_BYTES_MAX: u64 = 1 << 30;
/// Content that the worker keeps in memory, in bytes.
const WORKER_CACHE_BYTES: u64 = 64 << 20;

/// How a judge is set up.
#[derive(Debug, Clone)]
pub struct JudgeConfig {
    /// The address of the network's node.
    pub node: String,
    /// The directory of inputs.
    pub data: PathBuf,
    /// Runs a worker when its first argument is `__worker`.
    pub program: PathBuf,
}

/// A validator that judges disputes. Dropped, it stops.
#[derive(Debug)]
pub struct Judge {
    task: JoinHandle<()>,
}

impl Judge {
    /// Starts to judge in the name of the validator with this key.
    ///
    /// # Errors
    /// [`AgentError`] when node or directory cannot be used.
    pub async fn start(config: JudgeConfig, key: Arc<SecretKey>) -> Result<Self, AgentError> {
        let client = Client::new(&config.node)?;
        let genesis = client.network().await?.genesis;
        let on_data = |source| AgentError::Data { path: config.data.clone(), source };
        disk::create_directory(&config.data).map_err(on_data)?;
        let store = Store::open(config.data.join("inputs"), STORE_BYTES_MAX, disk::FREE_BYTES_MIN);
        let recheck = Recheck {
            market: Arc::new(NodeMarket::of_validator(client, Arc::clone(&key), genesis)),
            runner: Workers::new(config.program, LANES, WORKER_CACHE_BYTES),
            store: Arc::new(store.map_err(on_data)?),
            input_bytes_max: job::CHECKED_INPUT_BYTES_MAX,
        };
        let judging = Judging::new(recheck, key.public());
        Ok(Self { task: tokio::spawn(Arc::new(judging).run()) })
    }

    /// Stops; what is undecided is judged after the next start.
    pub async fn stop(mut self) {
        self.task.abort();
        // It ends by being aborted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything that judging takes.
#[derive(Debug)]
pub(crate) struct Judging<M, R> {
    recheck: Recheck<M, R>,
    validator: PublicKey,
}

/// Which dispute it is, and how long there is time for it.
#[derive(Debug, Clone, Copy)]
struct Matter {
    lease: LeaseId,
    opened: Time,
    is_accused: bool,
    until: Instant,
}

/// A dispute that waits for this validator's ruling.
#[derive(Debug)]
struct Case {
    view: LeaseView,
    matter: Matter,
}

impl Case {
    const fn lease(&self) -> LeaseId {
        self.matter.lease
    }

    /// Returns by what it has its turn: the least first.
    fn turn(&self) -> (bool, Units, Option<Time>, LeaseId) {
        let lease = &self.view.lease;
        (!self.matter.is_accused, lease.settlement.units, lease.check.awaited(), lease.id)
    }

    /// Returns how long it may take at most. Nobody does more than what was billed.
    fn budget(&self) -> Duration {
        let lease = &self.view.lease;
        let class = classes::find(lease.class);
        let ms = class.map_or(0, |class| class.judging_time(lease.settlement.units).as_ms());
        BUDGET_MIN.saturating_add(Duration::from_millis(ms))
    }

    /// Returns whether it belongs to the long ones.
    fn is_long(&self) -> bool {
        self.budget() > SHORT_MAX
    }
}

/// A dispute that is worked on.
struct Begun {
    matter: Matter,
    work: AbortHandle,
}

/// What is under way.
struct Docket {
    work: JoinSet<Result<Ruling, Lack>>,
    /// The disputes that are worked on, by whether they are long.
    lanes: BTreeMap<bool, Begun>,
    /// When work that failed is tried again, and how long that was put off.
    later: BTreeMap<LeaseId, (Instant, Duration)>,
    /// What was found, as long as the ledger may ask for it.
    found: BTreeMap<LeaseId, Found>,
    /// Rulings that are on their way.
    rulings: LeaseTasks,
}

/// What was found in a dispute.
struct Found {
    matter: Matter,
    ruling: Ruling,
}

impl Docket {
    /// Returns what was begun as this task, which has ended.
    fn ended(&mut self, task: Id) -> Option<Begun> {
        let mut lanes = self.lanes.iter();
        let is_long = *lanes.find(|(_, begun)| begun.work.id() == task)?.0;
        self.lanes.remove(&is_long)
    }

    /// Returns what was found in a dispute. What work gives holds in a later one over its lease.
    fn found_in(&self, case: &Case) -> Option<Ruling> {
        let found = self.found.get(&case.lease())?;
        let holds =
            found.ruling != Ruling::Unavailable || found.matter.opened == case.matter.opened;
        holds.then_some(found.ruling)
    }

    /// Returns whether there is something to do for a lease by now.
    fn is_due(&self, lease: &LeaseId, now: Instant) -> bool {
        let is_put_off = self.later.get(lease).is_some_and(|(at, _)| *at > now);
        !is_put_off && !self.rulings.has(lease)
    }
}

impl<M: Market, R: Runner> Judging<M, R> {
    pub(crate) const fn new(recheck: Recheck<M, R>, validator: PublicKey) -> Self {
        Self { recheck, validator }
    }

    /// Judges until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        let (sender, mut hints) = mpsc::channel::<Hint>(HINTS_WAITING_MAX);
        let watched = Arc::clone(&self.recheck.market);
        let mut watcher = JoinSet::new();
        watcher.spawn(async move { watched.hints(sender).await });
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut docket = Docket {
            work: JoinSet::new(),
            lanes: BTreeMap::new(),
            later: BTreeMap::new(),
            found: BTreeMap::new(),
            rulings: LeaseTasks::at_most(RULINGS_MAX),
        };
        loop {
            tokio::select! {
                Some(done) = docket.work.join_next_with_id() => self.take(done, &mut docket),
                _ = docket.rulings.ended() => continue,
                Some(_) = hints.recv() => {}
                _ = tick.tick() => {}
            }
            match self.recheck.market.disputes().await {
                Ok(views) => self.follow(views, &mut docket).await,
                Err(error) => tracing::debug!("disputes are not known: {error}"),
            }
        }
    }

    /// Sees to it that in each lane the dispute is worked on whose turn it is.
    async fn follow(self: &Arc<Self>, views: Vec<LeaseView>, docket: &mut Docket) {
        // What is done by now is not lost to another's turn.
        while let Some(done) = docket.work.try_join_next_with_id() {
            self.take(done, docket);
        }
        let now = Instant::now();
        docket.later.retain(|lease, _| views.iter().any(|view| view.lease.id == *lease));
        let mut cases: Vec<Case> = views.into_iter().filter_map(|view| self.case(view)).collect();
        cases.sort_by_key(Case::turn);
        docket.found.retain(|_, found| now < found.matter.until + FOUND_KEPT);
        for case in &cases {
            if let Some(ruling) = docket.found_in(case)
                && docket.is_due(&case.lease(), now)
            {
                self.submit(case.matter, ruling, docket);
            }
        }
        for is_long in [false, true] {
            let is_open = |case: &&Case| {
                let lease = &case.lease();
                let is_found = docket.found_in(case).is_some();
                case.is_long() == is_long && !is_found && docket.is_due(lease, now)
            };
            let first = cases.iter().find(is_open);
            match (docket.lanes.get(&is_long), first) {
                (Some(begun), first) => {
                    let is_first_accused = first.is_some_and(|case| case.matter.is_accused);
                    let gives_way = !begun.matter.is_accused && is_first_accused;
                    if gives_way || !self.is_wanted(begun.matter.lease, &cases).await {
                        // Its lane is free when it has ended.
                        begun.work.abort();
                    }
                }
                (None, Some(case)) => {
                    let budget = case.matter.until.min(now + case.budget());
                    let (this, view) = (Arc::clone(self), case.view.clone());
                    let work = docket.work.spawn(async move {
                        let ruling = timeout_at(budget, this.rule(&view, budget)).await;
                        ruling.unwrap_or(Err(Lack::Late))
                    });
                    docket.lanes.insert(is_long, Begun { matter: case.matter, work });
                }
                (None, None) => {}
            }
        }
    }

    /// Returns whether a ruling is wanted still on a dispute that is worked on: only the ledger's
    /// own word says otherwise, never that a listing left it out.
    async fn is_wanted(&self, lease: LeaseId, listed: &[Case]) -> bool {
        if listed.iter().any(|case| case.lease() == lease) {
            return true;
        }
        match self.recheck.market.lease(lease).await {
            Ok(view) => self.case(view).is_some(),
            Err(MarketError::Absent(_)) => false,
            Err(_) => true,
        }
    }

    /// Takes what came of the work: says it, or tries again later while there is time.
    fn take(
        self: &Arc<Self>,
        done: Result<(Id, Result<Ruling, Lack>), JoinError>,
        docket: &mut Docket,
    ) {
        let task = done.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let Some(Begun { matter, .. }) = docket.ended(task) else { return };
        let lease = matter.lease;
        let ruling = match done {
            Ok((_, ruling)) => ruling,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!("judging failed: {error}");
                docket.later.insert(lease, (Instant::now() + REFUSED_WAIT, REFUSED_WAIT));
                return;
            }
        };
        let ruling = match ruling {
            Ok(ruling) => ruling,
            Err(lack) => {
                let wait = docket.later.get(&lease).map_or(RETRY, |(_, wait)| *wait * 2);
                let again = Instant::now() + wait;
                let longest = if matter.is_accused { ACCUSED_WAIT_MAX } else { WAIT_MAX };
                if lack.may_pass() && wait <= longest && again < matter.until {
                    tracing::debug!(%lease, "the disputed work waits: {lack}");
                    docket.later.insert(lease, (again, wait));
                    return;
                }
                tracing::warn!(%lease, "the disputed work could not be done: {lack}");
                Ruling::Unavailable
            }
        };
        tracing::info!(%lease, ruling = ruling.name(), "judged a dispute");
        docket.found.insert(lease, Found { matter, ruling });
        self.submit(matter, ruling, docket);
    }

    /// Says what was found. Should it be refused, it is said again after a while, as long as the
    /// ledger waits for it.
    fn submit(self: &Arc<Self>, matter: Matter, ruling: Ruling, docket: &mut Docket) {
        let Matter { lease, opened, until, .. } = matter;
        docket.later.insert(lease, (Instant::now() + REFUSED_WAIT, REFUSED_WAIT));
        let argument = Box::new(Argument::Rule { ruling });
        let this = Arc::clone(self);
        let action = Action::Argue { lease, opened, argument };
        docket.rulings.begin(lease, async move { this.say(action, until).await });
    }

    /// Returns the dispute over a lease, if it waits for this validator's ruling and there is time.
    fn case(&self, view: LeaseView) -> Option<Case> {
        let dispute = view.dispute.as_ref()?;
        let Dispute { game: Game::Rerun(rerun), outcome: None, .. } = dispute else { return None };
        if rerun.rulings.iter().any(|ruled| ruled.validator == self.validator) {
            return None;
        }
        let (lease, until) = (view.lease.id, self.recheck.until(&view)?);
        let (opened, is_accused) = (dispute.opened, dispute.is_accused());
        Some(Case { matter: Matter { lease, opened, is_accused, until }, view })
    }

    /// Submits a ruling until it is heard: the work behind it may have taken hours.
    async fn say(&self, action: Action, until: Instant) -> Progress {
        let mut backoff = Backoff::new();
        loop {
            match self.recheck.market.submit(action.clone()).await {
                Ok(()) => return Progress::Made,
                Err(MarketError::Away(why)) if Instant::now() < until + HAND_IN => {
                    tracing::debug!("a ruling is not heard: {why}");
                    backoff.wait().await;
                }
                Err(error) => {
                    // Most likely the dispute is decided.
                    tracing::info!("a ruling was not taken: {error}");
                    return Progress::Rests;
                }
            }
        }
    }

    /// Returns what doing the work once more gives.
    async fn rule(&self, view: &LeaseView, until: Instant) -> Result<Ruling, Lack> {
        let work = self.recheck.gather(view, until).await?;
        let root = self.recheck.run(&work, EngineKind::Interpreter, until).await?.work_root();
        if view.dispute.as_ref().is_some_and(|dispute| dispute.work_root == root) {
            return Ok(Ruling::Root { root });
        }
        let compiled = self.recheck.run(&work, EngineKind::Compiler, until).await?.work_root();
        Ok(if compiled == root { Ruling::Root { root } } else { Ruling::Differs })
    }
}
