//! `start`: a provider says that it serves a lease from now on.

use types::{Event, Lease, LeaseId, LeaseState, Reject};

use super::{Context, Execute, known_lease};
use crate::{
    lease,
    state::{Broken, State},
};

pub(super) struct Start {
    pub(super) lease: LeaseId,
}

pub(super) struct Plan {
    lease: Lease,
}

impl Execute for Start {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let lease = known_lease(state, self.lease)?;
        if context.signer != lease.provider && *context.signer.key() != lease.node_key {
            return Err(Reject::LeaseNotYours);
        }
        let LeaseState::Pending { .. } = lease.state else {
            return Err(Reject::LeaseState);
        };
        Ok(Plan { lease })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Lease { id, tenant, provider, .. } = plan.lease;
        lease::advance(state, plan.lease, LeaseState::Active { since: context.now })?;
        state.emit(Event::LeaseStarted { lease: id, tenant, provider });
        Ok(())
    }
}
