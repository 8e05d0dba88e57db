//! Does the work of a lease once more: what auditors and validators do.
//!
//! A worker of its own runs it, which never served a lease, so that nothing that a job left in the
//! memory of another can be in the way. All of it, from the first input to the last instruction,
//! has until a little before the check's window ends: what cannot be done by then, or is withheld,
//! keeps nobody from saying so, nor from the next check. Work is left as soon as it has used more
//! fuel than its receipt says, which shows that the receipt is wrong: no check takes longer than
//! what was billed.

use std::{sync::Arc, time::Duration};

use api::LeaseView;
use classes::job::{self, Spec, Usage};
use executors::{
    wasm::{EngineKind, specification::METERING_VERSION},
    worker::{JobError, Request},
};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use types::{Finding, Hash, Lease, LeaseId, Receipt};

use crate::{
    inputs::{Contents, Gather, GatherError},
    market::Market,
    plan,
    runner::Runner,
    store::Store,
};

/// How long work waits that failed, since inputs may come yet, and memory may be free again; twice
/// as long after each time.
pub(crate) const RETRY: Duration = Duration::from_secs(5);
/// How long inputs are waited for that the network does not have.
const MISSING_PATIENCE: Duration = Duration::from_secs(5);
/// What of a window is kept to hand in what was found, a quarter of it at most.
pub(crate) const HAND_IN: Duration = Duration::from_secs(10);
/// The longest window that counts; no job may run as long.
const WINDOW_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why the work could not be done once more; says nothing about it.
#[derive(Debug, Error)]
pub(crate) enum Lack {
    #[error("it is none of a job of this version of the metering")]
    Specification,
    #[error("there is no time left for it")]
    Late,
    #[error(transparent)]
    Inputs(#[from] GatherError),
    #[error(transparent)]
    Run(#[from] JobError),
}

impl Lack {
    /// Returns whether it may be otherwise later.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::Specification | Self::Late => false,
            Self::Inputs(error) => !matches!(error, GatherError::Unfit(_)),
            Self::Run(_) => !self.is_of_time(),
        }
    }

    /// Returns whether more time might have helped.
    pub(crate) const fn is_of_time(&self) -> bool {
        matches!(self, Self::Late | Self::Run(JobError::TimedOut))
    }
}

/// What doing the work gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roots {
    pub(crate) result_root: Hash,
    pub(crate) trace_root: Hash,
}

impl Roots {
    /// Returns what stands for the roots of work that uses more fuel than its receipt says.
    fn over_bill(lease: &LeaseId) -> Self {
        let root = Usage::over_bill_root();
        Self { result_root: root, trace_root: Receipt::seal(lease, &root) }
    }

    /// Returns the work root of a right receipt.
    pub(crate) fn work_root(&self) -> Hash {
        Receipt::work_root(&self.result_root, &Receipt::commit(&self.trace_root))
    }

    /// Returns it as what an auditor found.
    pub(crate) const fn finding(self) -> Finding {
        let Self { result_root, trace_root } = self;
        Finding::Work { result_root, trace_root }
    }
}

/// Everything that doing work once more takes.
#[derive(Debug)]
pub(crate) struct Recheck<M, R> {
    pub(crate) market: Arc<M>,
    pub(crate) runner: R,
    pub(crate) store: Arc<Store>,
    /// The inputs that this machine has memory for, in bytes.
    pub(crate) input_bytes_max: u64,
}

/// The work of one lease, ready to be done.
#[derive(Debug)]
pub(crate) struct Work {
    lease: LeaseId,
    spec: Spec,
    contents: Arc<Contents>,
    created: types::Time,
    /// The fuel that it used, as its receipt says.
    bill: u64,
}

impl<M: Market, R: Runner> Recheck<M, R> {
    /// Returns until when a lease's work may be done for its check; nothing when that is over.
    pub(crate) fn until(&self, view: &LeaseView) -> Option<Instant> {
        let left = view.lease.check.awaited()?.since(self.market.now());
        let left = Duration::from_millis(left.as_ms()).min(WINDOW_MAX);
        let left = left.saturating_sub(HAND_IN.min(left / 4));
        (!left.is_zero()).then(|| Instant::now() + left)
    }

    /// Brings here what the work of a lease reads.
    pub(crate) async fn gather(&self, view: &LeaseView, until: Instant) -> Result<Work, Lack> {
        let spec = plan::specification(view).ok_or(Lack::Specification)?;
        let bill = plan::billed(view).ok_or(Lack::Specification)?;
        // By another version's count an honest receipt would be wrong.
        if view.lease.class != job::ID || spec.metering != METERING_VERSION {
            return Err(Lack::Specification);
        }
        let now = Instant::now();
        let patience = until.min(now + MISSING_PATIENCE);
        let gather = Gather::new(&*self.market, &self.store, &view.lease, patience);
        // A node that never comes back with them leaves time for what waits behind this.
        let half = now + until.saturating_duration_since(now) / 2;
        let gathered = timeout_at(half, async {
            let pins = gather.fetch(&spec, self.input_bytes_max).await?;
            gather.read(&pins).await
        });
        let contents = Arc::new(gathered.await.map_err(|_| Lack::Late)??);
        let Lease { id, created, .. } = view.lease;
        Ok(Work { lease: id, spec, contents, created, bill })
    }

    /// Does the work on an engine.
    pub(crate) async fn run(
        &self,
        work: &Work,
        engine: EngineKind,
        until: Instant,
    ) -> Result<Roots, Lack> {
        let began = Instant::now();
        let wall = until.saturating_duration_since(began);
        let Work { lease, spec, contents, created, bill } = work;
        let (spec, contents) = (spec.clone(), Arc::clone(contents));
        let (created, bill) = (*created, *bill);
        let request = Request { spec, created, wall, engine, bill: Some(bill), contents };
        let finished = timeout_at(until, self.runner.run(request)).await;
        let finished = match finished.map_err(|_| Lack::Late)? {
            // The last of the work may go over it unnoticed.
            Ok(finished) if finished.usage.fuel <= bill => finished,
            Ok(_) | Err(JobError::OverBill) => return Ok(Roots::over_bill(lease)),
            Err(error) => return Err(error.into()),
        };
        tracing::debug!(?engine, took = ?began.elapsed(), "did work once more");
        let result_root = finished.usage.result_root();
        let trace_root = Receipt::seal(lease, &finished.trace_root);
        Ok(Roots { result_root, trace_root })
    }
}

#[cfg(test)]
mod tests;
