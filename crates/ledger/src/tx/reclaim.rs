//! `reclaim`: a provider gives notice that it takes its hardware back.

use types::{Duration, Event, Lease, LeaseId, LeaseState, Reject, Time};

use super::{Context, Execute, acting_provider, known_lease};
use crate::{
    lease,
    state::{Broken, State},
};

pub(super) struct Reclaim {
    pub(super) lease: LeaseId,
    pub(super) notice: Duration,
}

pub(super) struct Plan {
    lease: Lease,
    since: Time,
    deadline: Time,
}

impl Execute for Reclaim {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let lease = known_lease(state, self.lease)?;
        if acting_provider(state, context)?.address != lease.provider {
            return Err(Reject::LeaseNotYours);
        }
        let LeaseState::Active { since } = lease.state else {
            return Err(Reject::LeaseState);
        };
        let deadline = context.now.after(self.notice);
        if self.notice < state.parameters().reclaim_notice_ms || deadline >= lease.ends {
            return Err(Reject::NoticeShort);
        }
        Ok(Plan { lease, since, deadline })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        let Plan { lease, since, deadline } = plan;
        let Lease { id, tenant, provider, .. } = lease;
        lease::advance(state, lease, LeaseState::Reclaiming { since, deadline })?;
        state.emit(Event::LeaseReclaiming { lease: id, tenant, provider, deadline });
        Ok(())
    }
}
