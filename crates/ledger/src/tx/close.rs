//! `close`: a tenant ends a lease.

use types::{CloseReason, Event, Lease, LeaseId, LeaseState, Reject, Time};

use super::{Context, Execute, known_lease};
use crate::{
    lease,
    state::{Broken, State},
};

pub(super) struct Close {
    pub(super) lease: LeaseId,
}

pub(super) enum Plan {
    /// It has not started: nothing is owed.
    AtOnce(Lease),
    /// It has: a higher receipt still counts for a while.
    WithGrace { lease: Lease, since: Time },
}

impl Execute for Close {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let lease = known_lease(state, self.lease)?;
        if lease.tenant != context.signer {
            return Err(Reject::LeaseNotYours);
        }
        match lease.state {
            LeaseState::Pending { .. } => Ok(Plan::AtOnce(lease)),
            LeaseState::Active { since } | LeaseState::Reclaiming { since, .. } => {
                Ok(Plan::WithGrace { lease, since })
            }
            LeaseState::Closing { .. } | LeaseState::Closed { .. } => Err(Reject::LeaseState),
        }
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let reason = CloseReason::TenantClosed;
        let (lease, since) = match plan {
            Plan::AtOnce(lease) => return lease::close(state, lease, reason),
            Plan::WithGrace { lease, since } => (lease, since),
        };
        let until = context.now.after(state.parameters().grace_window_ms);
        let Lease { id, tenant, provider, .. } = lease;
        lease::advance(state, lease, LeaseState::Closing { since, until, reason })?;
        state.emit(Event::LeaseClosing { lease: id, tenant, provider, reason });
        Ok(())
    }
}
