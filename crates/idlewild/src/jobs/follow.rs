//! From an order to a receipt, or to the conclusion that there will be none.

use std::time::{Duration, Instant};

use api::SubmitError;
use classes::job::Spec;
use types::{Action, Address, CloseReason, Lease, LeaseId, LeaseState, OrderId};

use super::proof::{self, Closed};
use super::{Done, Jobs};
use crate::failure::{Exit, Outcome};

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
    /// Its lease is closed and there is no receipt.
    Lost {
        /// Who let it down.
        provider: Address,
        /// How.
        why: &'static str,
        /// Whether more time might have helped.
        too_short: bool,
    },
}

impl Jobs {
    /// Follows an order to the end of its lease.
    pub(super) async fn follow(
        &self,
        order: OrderId,
        spec: &Spec,
        step: &Step<'_>,
    ) -> Outcome<End> {
        let lease = LeaseId::from(order);
        let mut news = self.news.subscribe();
        let mut seen = Seen::default();
        let mut answered = Instant::now();
        loop {
            match self.look(order, spec, &mut seen, step).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => answered = Instant::now(),
                Err(failure) if answered.elapsed() > NODE_AWAY_MAX => return Err(failure),
                Err(failure) if failure.kind() == Exit::Unreachable => {}
                Err(failure) => return Err(failure),
            }
            news.wait(LOOK_EVERY.min(self.terms.start_wait), |heard| heard == lease).await;
        }
    }

    /// Looks at a lease once. What the node says of a lease that is not closed decides no more
    /// than when to look again and when to give it up; its end is proven.
    async fn look(
        &self,
        order: OrderId,
        spec: &Spec,
        seen: &mut Seen,
        step: &Step<'_>,
    ) -> Outcome<Option<End>> {
        let lease = match self.signer.client.lease(LeaseId::from(order)).await {
            Ok(view) => view.lease,
            Err(error) if error.is_unknown() => return self.look_for_order(order).await,
            Err(error) => return Err(error.into()),
        };
        seen.tell(&lease, step);
        match lease.state {
            LeaseState::Pending { .. }
                if !seen.given_up && seen.waited() > self.terms.start_wait =>
            {
                seen.given_up = self.give_up(LeaseId::from(order)).await?;
                Ok(None)
            }
            LeaseState::Pending { .. }
            | LeaseState::Active { .. }
            | LeaseState::Reclaiming { .. }
            | LeaseState::Closing { .. } => Ok(None),
            LeaseState::Closed { .. } => {
                let ended = proof::ended(&self.signer, LeaseId::from(order), spec).await?;
                Ok(Some(match ended {
                    Closed::Done(done) => End::Receipt(done),
                    Closed::Empty(lease) => lost(&lease, seen),
                }))
            }
        }
    }

    /// Closes a lease that its provider does not start, and returns whether that is done. Before
    /// the start this is free and the provider can start no more, so that the job may be placed
    /// again without being paid twice. What the ledger refuses has started or ended meanwhile,
    /// and is followed like any other.
    async fn give_up(&self, lease: LeaseId) -> Outcome<bool> {
        match self.signer.submitter.submit(Action::Close { lease }).await {
            Ok(_) => Ok(true),
            Err(SubmitError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
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
    /// Whether this tenant closed it, since it was not started in time.
    given_up: bool,
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

fn lost(lease: &Lease, seen: &Seen) -> End {
    let reason = match lease.state {
        LeaseState::Closed { reason, .. } => reason,
        _ => CloseReason::NetworkEnded,
    };
    let why = match reason {
        CloseReason::TenantClosed if seen.given_up => "it did not start",
        CloseReason::ProviderNoStart => "it did not start",
        CloseReason::ProviderReclaimed => "it took its hardware back",
        CloseReason::NetworkEnded => "its lease ended without a result",
        CloseReason::TenantClosed => "its lease was closed",
        CloseReason::ProviderCompleted => "it completed without a receipt",
    };
    let too_short = reason == CloseReason::NetworkEnded;
    End::Lost { provider: lease.provider, why, too_short }
}
