//! From an order to a receipt, or to the conclusion that there will be none.

use std::time::{Duration, Instant};

use classes::job::Usage;
use types::{Address, CloseReason, Decode, Lease, LeaseId, LeaseState, OrderId};

use super::{Done, Jobs};
use crate::failure::{Explain, Outcome};

/// The longest time without looking.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a node may be away before the job is given up.
const NODE_AWAY_MAX: Duration = Duration::from_secs(120);

/// Sees the steps of one job.
pub(super) type Step<'a> = dyn Fn(super::Step) + Sync + 'a;

/// How following a job ended.
pub(super) enum End {
    /// It is done.
    Receipt(Box<Done>),
    /// Nobody took the order while it stood.
    Unmatched,
    /// There will be no receipt.
    Lost {
        /// Who let it down.
        provider: Address,
        /// How.
        why: &'static str,
        /// Whether the lease is closed.
        over: bool,
        /// Whether more time might have helped.
        too_short: bool,
    },
}

impl Jobs {
    /// Follows an order to its end.
    pub(super) async fn follow(&self, order: OrderId, step: &Step<'_>) -> Outcome<End> {
        let lease = LeaseId::from(order);
        let mut news = self.news.subscribe();
        let mut seen = Seen::default();
        let mut answered = Instant::now();
        loop {
            match self.look(order, &mut seen, step).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => answered = Instant::now(),
                Err(failure) if answered.elapsed() > NODE_AWAY_MAX => return Err(failure),
                Err(failure) if failure.kind() == crate::failure::Exit::Unreachable => {}
                Err(failure) => return Err(failure),
            }
            news.wait(LOOK_EVERY.min(self.terms.start_wait), |heard| heard == lease).await;
        }
    }

    /// Looks at a lease once.
    async fn look(&self, order: OrderId, seen: &mut Seen, step: &Step<'_>) -> Outcome<Option<End>> {
        let view = match self.signer.client.lease(LeaseId::from(order)).await {
            Ok(view) => view,
            Err(error) if error.is_unknown() => return self.look_for_order(order).await,
            Err(error) => return Err(error.into()),
        };
        let lease = view.lease;
        seen.tell(&lease, step);
        match lease.state {
            LeaseState::Pending { .. } if seen.waited() > self.terms.start_wait => {
                let (provider, why) = (lease.provider, "it did not start");
                Ok(Some(End::Lost { provider, why, over: false, too_short: false }))
            }
            LeaseState::Pending { .. }
            | LeaseState::Active { .. }
            | LeaseState::Reclaiming { .. }
            | LeaseState::Closing { .. } => Ok(None),
            LeaseState::Closed { reason, .. } => match view.receipts.into_iter().last() {
                Some(receipt) => {
                    let usage = Usage::from_bytes(receipt.receipt.usage.as_slice())
                        .because("the receipt's usage cannot be decoded")?;
                    let done = Done { lease, receipt, usage, attempts: 1 };
                    Ok(Some(End::Receipt(Box::new(done))))
                }
                None => Ok(Some(lost(&lease, reason))),
            },
        }
    }

    /// Looks at an order that has no lease yet.
    async fn look_for_order(&self, order: OrderId) -> Outcome<Option<End>> {
        match self.signer.client.order(order).await {
            Ok(view) if view.open || view.lease.is_some() => Ok(None),
            Ok(_) => Ok(Some(End::Unmatched)),
            Err(error) if error.is_unknown() => Ok(Some(End::Unmatched)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What was seen of a lease so far.
#[derive(Debug, Default)]
struct Seen {
    leased: Option<Instant>,
    started: bool,
}

impl Seen {
    fn tell(&mut self, lease: &Lease, step: &Step<'_>) {
        if self.leased.is_none() {
            self.leased = Some(Instant::now());
            step(super::Step::Leased(lease.provider));
        }
        if !self.started && matches!(lease.state, LeaseState::Active { .. }) {
            self.started = true;
            step(super::Step::Started(lease.provider));
        }
    }

    fn waited(&self) -> Duration {
        self.leased.map_or(Duration::ZERO, |at| at.elapsed())
    }
}

fn lost(lease: &Lease, reason: CloseReason) -> End {
    let why = match reason {
        CloseReason::ProviderNoStart => "it did not start",
        CloseReason::ProviderReclaimed => "it took its hardware back",
        CloseReason::NetworkEnded => "its lease ended without a result",
        CloseReason::TenantClosed => "its lease was closed",
        CloseReason::ProviderCompleted => "it completed without a receipt",
    };
    let too_short = reason == CloseReason::NetworkEnded;
    End::Lost { provider: lease.provider, why, over: true, too_short }
}
