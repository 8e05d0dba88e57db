//! `close`: a tenant ends a lease.

use types::{CloseReason, Event, Lease, LeaseId, LeaseState, Reject};

use super::{Context, Execute, known_lease};
use crate::{
    key::{Due, Key},
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
    WithGrace(Lease),
}

impl Execute for Close {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let mut lease = known_lease(state, self.lease)?;
        if lease.tenant != context.signer {
            return Err(Reject::LeaseNotYours);
        }
        match lease.state {
            LeaseState::Pending { .. } => Ok(Plan::AtOnce(lease)),
            LeaseState::Active { since } | LeaseState::Reclaiming { since, .. } => {
                let until = context.now.after(state.parameters().grace_window_ms);
                let reason = CloseReason::TenantClosed;
                lease.state = LeaseState::Closing { since, until, reason };
                Ok(Plan::WithGrace(lease))
            }
            LeaseState::Closing { .. } | LeaseState::Closed { .. } => Err(Reject::LeaseState),
        }
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let lease = match plan {
            Plan::AtOnce(lease) => {
                return lease::close(state, lease, CloseReason::TenantClosed);
            }
            Plan::WithGrace(lease) => lease,
        };
        let until = context.now.after(state.parameters().grace_window_ms);
        state.put(Key::Lease(lease.id), &lease)?;
        state.schedule(until, Due::Grace(lease.id));
        state.emit(Event::LeaseClosing {
            lease: lease.id,
            tenant: lease.tenant,
            provider: lease.provider,
            reason: CloseReason::TenantClosed,
        });
        Ok(())
    }
}
