//! Judges disputes: what validators do.
//!
//! A validator does the disputed work on the interpreter. Where that gives what the receipt says,
//! the receipt is right. Where it gives something else, the compiler does it too: only if both
//! engines give the same does the validator say that the receipt is wrong. Rulings follow from the
//! work alone, so nothing has to survive a crash.
//!
//! Work is done for one dispute at a time, that about the most money, however many are open: none
//! takes the memory of another's, and who opens many to keep judges busy pays as much for each as
//! what it wants to hide. Each has as long as what was billed takes a slow interpreter.

use std::{cmp::Reverse, collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use api::{Client, LeaseView};
use executors::wasm::EngineKind;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, timeout_at},
};
use types::{Action, Argument, Dispute, Game, LeaseId, PublicKey, Ruling, SecretKey};

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
/// What each dispute may take, and the Mfuel that a slow interpreter does in a second: what was
/// billed takes it no longer.
const BUDGET_MIN: Duration = Duration::from_secs(60);
const INTERPRETED_MFUEL: u64 = 4;
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
            runner: Workers::new(config.program, 1, WORKER_CACHE_BYTES),
            store: Arc::new(store.map_err(on_data)?),
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

/// Returns how long the work of a dispute may take: whoever bills too little for it gains nothing.
fn budget(view: &LeaseView) -> Duration {
    let seconds = view.lease.settlement.units.get() / INTERPRETED_MFUEL;
    BUDGET_MIN.saturating_add(Duration::from_secs(seconds.saturating_mul(2)))
}

/// What came of doing the work of a dispute.
struct Worked {
    lease: LeaseId,
    until: Instant,
    ruling: Result<Ruling, Lack>,
}

/// What is under way.
struct Docket {
    /// The one dispute that is worked on, if any.
    work: JoinSet<Worked>,
    lease: Option<LeaseId>,
    /// When work that failed is tried again, and how long that was put off.
    later: BTreeMap<LeaseId, (Instant, Duration)>,
    /// Rulings that are on their way.
    rulings: LeaseTasks,
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
            lease: None,
            later: BTreeMap::new(),
            rulings: LeaseTasks::at_most(RULINGS_MAX),
        };
        loop {
            tokio::select! {
                Some(done) = docket.work.join_next() => self.take(done, &mut docket),
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

    /// Sees to it that the dispute is worked on that is about the most, and no other: one that is
    /// decided by now, or is about less than a new one, is left.
    async fn follow(self: &Arc<Self>, views: Vec<LeaseView>, docket: &mut Docket) {
        // What is done by now is not lost to another's turn.
        while let Some(done) = docket.work.try_join_next() {
            self.take(done, docket);
        }
        let now = Instant::now();
        docket.later.retain(|lease, _| views.iter().any(|view| view.lease.id == *lease));
        let is_open = |view: &LeaseView| {
            let lease = &view.lease.id;
            let is_put_off = docket.later.get(lease).is_some_and(|(at, _)| *at > now);
            self.is_awaited(view) && !is_put_off && !docket.rulings.has(lease)
        };
        let open = views.into_iter().filter(is_open);
        let timed = open.filter_map(|view| Some((self.recheck.until(&view)?, view)));
        let first = timed.min_by_key(|(_, view)| {
            let gross = view.lease.settlement.gross;
            (Reverse(gross), view.lease.check.awaited(), view.lease.id)
        });
        let lease = first.as_ref().map(|(_, view)| view.lease.id);
        if lease == docket.lease {
            return;
        }
        docket.work.shutdown().await;
        docket.lease = lease;
        if let Some((until, view)) = first {
            let this = Arc::clone(self);
            docket.work.spawn(async move {
                let until = until.min(Instant::now() + budget(&view));
                let ruling = timeout_at(until, this.rule(&view, until)).await;
                let ruling = ruling.unwrap_or(Err(Lack::Late));
                Worked { lease: view.lease.id, until, ruling }
            });
        }
    }

    /// Takes what came of the work: says it, or tries again later while there is time.
    fn take(self: &Arc<Self>, done: Result<Worked, JoinError>, docket: &mut Docket) {
        let began = docket.lease.take();
        let Worked { lease, until, ruling } = match done {
            Ok(worked) => worked,
            Err(error) => {
                tracing::error!("judging failed: {error}");
                let at = Instant::now() + REFUSED_WAIT;
                docket.later.extend(began.map(|lease| (lease, (at, REFUSED_WAIT))));
                return;
            }
        };
        let wait = docket.later.get(&lease).map_or(RETRY, |(_, wait)| *wait * 2);
        let again = Instant::now() + wait;
        let ruling = match ruling {
            Ok(ruling) => ruling,
            Err(lack) if lack.may_pass() && again < until => {
                tracing::debug!(%lease, "the disputed work waits: {lack}");
                docket.later.insert(lease, (again, wait));
                return;
            }
            Err(lack) => {
                tracing::warn!(%lease, "the disputed work could not be done: {lack}");
                Ruling::Unavailable
            }
        };
        tracing::info!(%lease, ruling = ruling.name(), "judged a dispute");
        // Should it be refused, the work is not done again at once.
        docket.later.insert(lease, (Instant::now() + REFUSED_WAIT, wait));
        let argument = Box::new(Argument::Rule { ruling });
        let this = Arc::clone(self);
        let say = async move { this.say(Action::Argue { lease, argument }, until).await };
        docket.rulings.begin(lease, say);
    }

    /// Returns whether a dispute waits for this validator's ruling.
    fn is_awaited(&self, view: &LeaseView) -> bool {
        let Some(Dispute { game: Game::Rerun(rerun), outcome: None, .. }) = &view.dispute else {
            return false;
        };
        !rerun.rulings.iter().any(|ruled| ruled.validator == self.validator)
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
