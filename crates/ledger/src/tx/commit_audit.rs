//! `commit-audit`: an auditor commits to what it found.

use types::{Audit, CheckState, Event, Hash, Lease, LeaseId, Reject};

use super::{Assigned, Context, Execute, assigned, known_lease, not_now};
use crate::{
    audit, auditors,
    key::Key,
    state::{Broken, State},
};

pub(super) struct CommitAudit {
    pub(super) lease: LeaseId,
    pub(super) commitment: Hash,
}

pub(super) struct Plan {
    lease: Lease,
    audit: Audit,
    /// Which of the assignments is the signer's.
    index: usize,
    commitment: Hash,
}

impl Execute for CommitAudit {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let lease = known_lease(state, self.lease)?;
        let CheckState::Committing { .. } = lease.check else {
            return Err(not_now(state, context));
        };
        let Assigned { audit, index, assignment } = assigned(state, context, &lease)?;
        if assignment.commitment.is_some() {
            return Err(Reject::AuditTwice);
        }
        Ok(Plan { lease, audit, index, commitment: self.commitment })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        let Plan { mut lease, mut audit, index, commitment } = plan;
        let (auditor, time) = {
            let assignment = audit.assignments.get_mut(index).ok_or(Broken)?;
            assignment.commitment = Some(commitment);
            (assignment.auditor, assignment.time)
        };
        state.put(Key::Audit(lease.id), &audit)?;
        auditors::end_work(state, lease.class, auditor, time)?;
        state.emit(Event::AuditCommitted { lease: lease.id, auditor });
        let is_last = audit.current().all(|assigned| assigned.commitment.is_some());
        if is_last { audit::begin_reveals(state, &mut lease, &audit) } else { Ok(()) }
    }
}
