//! `reveal-audit`: an auditor says what it committed to.

use types::{Audit, CheckState, Event, Finding, Hash, Lease, LeaseId, Opening, Reject};

use super::{Assigned, Context, Execute, assigned, known_lease, not_now};
use crate::{
    audit,
    key::Key,
    state::{Broken, State},
};

pub(super) struct RevealAudit {
    pub(super) lease: LeaseId,
    pub(super) salt: Hash,
    pub(super) finding: Finding,
}

pub(super) struct Plan {
    lease: Lease,
    audit: Audit,
    /// Which of the assignments is the signer's.
    index: usize,
    finding: Finding,
}

impl Execute for RevealAudit {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { lease: id, salt, finding } = self;
        let lease = known_lease(state, id)?;
        let CheckState::Revealing { .. } = lease.check else {
            return Err(not_now(state, context));
        };
        let Assigned { audit, index, assignment } = assigned(state, context, &lease)?;
        let commitment = assignment.commitment.ok_or(Reject::AuditNotYours)?;
        if assignment.finding.is_some() {
            return Err(Reject::AuditTwice);
        }
        let opening = Opening { lease: id, auditor: assignment.auditor, salt, finding };
        if opening.commit() != commitment {
            return Err(Reject::AuditCommitment);
        }
        Ok(Plan { lease, audit, index, finding })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        let Plan { lease, mut audit, index, finding } = plan;
        let auditor = {
            let assignment = audit.assignments.get_mut(index).ok_or(Broken)?;
            assignment.finding = Some(finding);
            assignment.auditor
        };
        state.put(Key::Audit(lease.id), &audit)?;
        let verdict = finding.verdict(&audit.work_root);
        state.emit(Event::AuditRevealed { lease: lease.id, auditor, verdict });
        let is_last = audit
            .current()
            .all(|assigned| assigned.commitment.is_none() || assigned.finding.is_some());
        if is_last { audit::end_round(state, lease) } else { Ok(()) }
    }
}
