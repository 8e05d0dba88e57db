//! `reclaim`: a provider gives notice that it takes its hardware back.

use types::{Duration, Event, Lease, LeaseId, LeaseState, Reject, Time};

use super::{Context, Execute, acting_provider, known_lease};
use crate::{
    key::{Due, Key},
    state::{Broken, State},
};

pub(super) struct Reclaim {
    pub(super) lease: LeaseId,
    pub(super) notice: Duration,
}

pub(super) struct Plan {
    lease: Lease,
    deadline: Time,
}

impl Execute for Reclaim {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let mut lease = known_lease(state, self.lease)?;
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
        lease.state = LeaseState::Reclaiming { since, deadline };
        Ok(Plan { lease, deadline })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        let Plan { lease: Lease { id, tenant, provider, .. }, deadline } = plan;
        state.put(Key::Lease(id), &plan.lease)?;
        state.schedule(deadline, Due::Deadline(id));
        state.emit(Event::LeaseReclaiming { lease: id, tenant, provider, deadline });
        Ok(())
    }
}
