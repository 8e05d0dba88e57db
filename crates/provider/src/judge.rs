//! Judges disputes: what validators do.
//!
//! A validator does the disputed work on the interpreter. Where that gives what the receipt says,
//! the receipt is right. Where it gives something else, the compiler does it too: only if both
//! engines give the same does the validator say that the receipt is wrong. Rulings follow from the
//! work alone, so nothing has to survive a crash.
//!
//! Work is done for one dispute at a time, that whose window ends first, however many are open: a
//! tenant pays a bond for each, and none may take the memory of another's.

use std::{path::PathBuf, sync::Arc, time::Duration};

use api::{Client, LeaseView};
use executors::wasm::EngineKind;
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, timeout_at},
};
use types::{Action, Argument, Dispute, Game, PublicKey, Ruling, SecretKey};

use crate::{
    agent::AgentError,
    backoff::Backoff,
    disk,
    market::{Hint, Market, MarketError, NodeMarket},
    recheck::{HAND_IN, Lack, Recheck},
    runner::{Runner, Workers},
    store::Store,
    tasks::{LeaseTasks, Progress},
};

/// Hints that wait to be read.
const HINTS_WAITING_MAX: usize = 64;
/// How long work waits that failed: inputs may come yet, and memory may be free again.
const RETRY: Duration = Duration::from_secs(30);
/// How often disputes are looked for, besides when one is opened.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Disputes that are seen to at a time: one is worked on, the others wait or are ruled on.
const DISPUTES_MAX: usize = 64;
/// Inputs that are kept on disk for later disputes, in bytes.
const STORE_BYTES_MAX: u64 = 1 << 30;
/// Inputs of one job, in bytes.
const INPUT_BYTES_MAX: u64 = 1 << 30;
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
            input_bytes_max: INPUT_BYTES_MAX,
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
    /// Who works has it, with what one job reads in memory.
    turn: Mutex<()>,
}

impl<M: Market, R: Runner> Judging<M, R> {
    pub(crate) fn new(recheck: Recheck<M, R>, validator: PublicKey) -> Self {
        Self { recheck, validator, turn: Mutex::default() }
    }

    /// Judges until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        let (sender, mut hints) = mpsc::channel::<Hint>(HINTS_WAITING_MAX);
        let watched = Arc::clone(&self.recheck.market);
        let mut watcher = JoinSet::new();
        watcher.spawn(async move { watched.hints(sender).await });
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tasks = LeaseTasks::at_most(DISPUTES_MAX);
        loop {
            tokio::select! {
                _ = tasks.ended() => continue,
                Some(_) = hints.recv() => {}
                _ = tick.tick() => {}
            }
            match self.recheck.market.disputes().await {
                Ok(views) => self.follow(views, &mut tasks),
                Err(error) => tracing::debug!("disputes are not known: {error}"),
            }
        }
    }

    fn follow(self: &Arc<Self>, mut views: Vec<LeaseView>, tasks: &mut LeaseTasks) {
        views.retain(|view| self.is_awaited(view));
        views.sort_by_key(|view| view.lease.check.awaited());
        for view in views {
            let this = Arc::clone(self);
            tasks.begin(view.lease.id, async move { this.judge(view).await });
        }
    }

    /// Returns whether a dispute waits for this validator's ruling.
    fn is_awaited(&self, view: &LeaseView) -> bool {
        let Some(Dispute { game: Game::Rerun(rerun), outcome: None, .. }) = &view.dispute else {
            return false;
        };
        !rerun.rulings.iter().any(|ruled| ruled.validator == self.validator)
    }

    async fn judge(&self, view: LeaseView) -> Progress {
        let lease = view.lease.id;
        let Some(until) = self.recheck.until(&view) else { return Progress::Rests };
        let ruling = loop {
            let ruling = timeout_at(until, async {
                let _turn = self.turn.lock().await;
                // It may have been decided while this waited.
                let view = self.recheck.market.lease(lease).await.unwrap_or_else(|_| view.clone());
                if self.is_awaited(&view) { Some(self.rule(&view, until).await) } else { None }
            });
            match ruling.await {
                Ok(None) => return Progress::Rests,
                Ok(Some(Err(lack))) if lack.may_pass() && Instant::now() + RETRY < until => {
                    tracing::debug!(%lease, "the disputed work waits: {lack}");
                    tokio::time::sleep(RETRY).await;
                }
                Ok(Some(ruling)) => break ruling,
                Err(_) => break Err(Lack::Late),
            }
        };
        let ruling = ruling.unwrap_or_else(|lack| {
            tracing::warn!(%lease, "the disputed work could not be done: {lack}");
            Ruling::Unavailable
        });
        tracing::info!(%lease, ruling = ruling.name(), "judged a dispute");
        let argument = Box::new(Argument::Rule { ruling });
        self.say(Action::Argue { lease, argument }, until).await
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
