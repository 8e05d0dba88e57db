//! Has jobs run on the market and brings the results home.
//!
//! Each job is quoted, ordered from the best offers by name, followed until its lease is closed
//! and its receipt proven, and its result is fetched and checked against its hash. A provider that
//! does not start, or whose lease ends without a receipt, costs time and no money: only then is
//! the job placed again, with others first. A lease that is not started in time is closed before;
//! if it starts in the very same moment, the offer's minimum is owed. Where every offer is taken,
//! an order waits in the ledger's queue.
//!
//! Orders are placed one at a time, the others wait in line, so that a slot that becomes free is
//! not asked for by all of them at once.

mod checked;
mod close;
mod content;
mod follow;
mod news;
mod place;
mod price;
mod proof;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use classes::job::Spec;
use futures_util::{StreamExt, stream};
use tokio::sync::Mutex as Turn;
use types::{Address, Amount, AuditTerms, Constraint, LeaseId, OrderId};

pub(crate) use close::Ends;
pub(crate) use content::{Contents, Names, Results, results, save, upload};
pub(crate) use place::{ask_for_quote, order_terms};
pub(crate) use price::Market;
pub(crate) use proof::{Done, prove};

use crate::failure::{Exit, Failure, Outcome};
use crate::network::Signer;
use news::News;

/// Jobs that are under way at the same time; the rest wait in line.
const JOBS_ABREAST_MAX: usize = 64;

/// Times that a job is placed before it is given up.
const ATTEMPTS_MAX: u32 = 6;

/// The longest lease that repeated attempts ask for.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What a tenant asks of whoever runs its jobs.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// What an offer's claims must satisfy.
    pub(crate) constraint: Constraint,
    /// The most that one job may cost; otherwise the market says.
    pub(crate) max_price: Option<Amount>,
    /// How the work is checked.
    pub(crate) audit: AuditTerms,
    /// How long a lease may run before the job is placed again.
    pub(crate) duration: Duration,
    /// How long an order waits for somebody who is free.
    pub(crate) order_wait: Duration,
    /// How long a provider may take to start before the job is placed elsewhere.
    pub(crate) start_wait: Duration,
}

/// What happens to a job on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A provider has it.
    Leased(Address),
    /// The provider serves it.
    Started(Address),
    /// The provider is taken to be lost; the job is placed again.
    Lost(Address, &'static str),
    /// Everybody within reach is busy; its order waits.
    Waiting {
        /// The most that the job may cost.
        reach: Option<Amount>,
        /// What the cheapest of those that are free could take, but is not offered.
        beyond: Option<Amount>,
    },
    /// Its receipt is in a block.
    Done(Address),
}

/// A tenant's jobs on their way.
#[derive(Debug)]
pub(crate) struct Jobs {
    signer: Signer,
    terms: Terms,
    news: News,
    turn: Turn<()>,
    state: Mutex<State>,
}

/// What the jobs know of each other.
#[derive(Debug, Default)]
struct State {
    /// Leases and orders that are not over, those included that are only on their way.
    open: BTreeMap<LeaseId, OrderId>,
    /// Every lease that may ever have been.
    placed: Vec<LeaseId>,
    /// Leases that came to a receipt.
    paid: Vec<LeaseId>,
    /// Whether a job failed or the tenant wants no more, so that none are placed.
    ending: bool,
    /// Providers that let a job down; asked last.
    shunned: BTreeSet<Address>,
}

/// Sees each job's steps.
pub(crate) type Watch<'a> = &'a (dyn Fn(usize, Step) + Sync);

impl Jobs {
    /// Begins to listen for what happens to the signer's leases.
    pub(crate) async fn new(signer: Signer, terms: Terms) -> Outcome<Self> {
        let news = News::listen(&signer).await?;
        let (turn, state) = (Turn::default(), Mutex::default());
        Ok(Self { signer, terms, news, turn, state })
    }

    /// Runs jobs, as many at a time as the market takes, and hands over each that is done to
    /// `deliver`. After one that fails none is placed any more; those that are leased, and paid
    /// for anyway, are followed to their ends.
    ///
    /// # Errors
    /// The first job that cannot be run at all, or cannot be delivered.
    pub(crate) async fn run_many(
        &self,
        specs: &[Spec],
        watch: Watch<'_>,
        deliver: impl AsyncFn(usize, Done) -> Outcome<()>,
    ) -> Outcome<()> {
        let deliver = &deliver;
        let mut running = stream::iter(specs.iter().enumerate())
            .map(|(index, spec)| async move {
                let step = |step| watch(index, step);
                match self.run_one(index, spec, &step).await? {
                    Some(done) => deliver(index, done).await,
                    None => Ok(()),
                }
            })
            .buffer_unordered(JOBS_ABREAST_MAX);
        let mut end = Ok(());
        while let Some(result) = running.next().await {
            if result.is_err() {
                self.state().ending = true;
                end = end.and(result);
            }
        }
        end
    }

    /// Runs a job to its end; nothing comes of one that is not placed since another failed.
    async fn run_one(
        &self,
        index: usize,
        spec: &Spec,
        step: &follow::Step<'_>,
    ) -> Outcome<Option<Done>> {
        let mut duration = self.terms.duration;
        for attempts in 1..=ATTEMPTS_MAX {
            let Some(order) = self.place(index, spec, duration, step).await? else {
                return Ok(None);
            };
            let lease = LeaseId::from(order);
            let end = self.follow(order, spec, step).await?;
            self.state().open.remove(&lease);
            match end {
                follow::End::Receipt(done) => {
                    self.state().paid.push(lease);
                    step(Step::Done(done.lease.provider));
                    return Ok(Some(Done { attempts, ..*done }));
                }
                follow::End::Unmatched => {
                    return Err(self.untaken(spec, duration).await);
                }
                follow::End::Lost { provider, why, too_short } => {
                    self.state().shunned.insert(provider);
                    step(Step::Lost(provider, why));
                    if too_short {
                        duration = duration.saturating_mul(2).min(DURATION_MAX);
                    }
                }
            }
        }
        let text = format!("no provider finished the job in {ATTEMPTS_MAX} attempts");
        Err(Failure::new(Exit::NoProvider, text).hint(
            "allow more time with --start-wait or --timeout, or choose providers with --require",
        ))
    }

    /// Returns the leases of all orders so far, those that came to nothing included.
    pub(crate) fn placed(&self) -> Vec<LeaseId> {
        self.state().placed.clone()
    }

    /// Returns the leases that came to a receipt, whether or not their results are here.
    pub(crate) fn paid(&self) -> Vec<LeaseId> {
        self.state().paid.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches what a job wrote.
    ///
    /// # Errors
    /// When the node does not have it, or has something else, or more than the job could write.
    pub(crate) async fn results(&self, done: &Done) -> Outcome<Results> {
        content::results(&self.signer, done).await
    }

    /// Fetches the files of `/out` into the directory `to`, which must not hold any of them.
    ///
    /// # Errors
    /// When the node does not have them, or they cannot be written.
    pub(crate) async fn save(&self, done: &Done, results: &Results, to: &Path) -> Outcome<u64> {
        content::save(&self.signer, done.lease.id, results, to).await
    }
}
