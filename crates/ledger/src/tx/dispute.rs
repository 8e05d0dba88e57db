//! `dispute`: a tenant says that a receipt is wrong.

use types::{Accuser, Amount, Asset, CheckState, Hash, Lease, LeaseId, Readers, Reject};

use super::{Context, Execute, covers, known_lease};
use crate::{
    audit, dispute,
    key::{Key, Row},
    slash,
    state::{Broken, State},
};

pub(super) struct Dispute {
    pub(super) lease: LeaseId,
}

pub(super) struct Plan {
    lease: Lease,
    work_root: Hash,
    bond: Amount,
}

impl Execute for Dispute {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let id = self.lease;
        let lease = known_lease(state, id)?;
        if lease.tenant != context.signer {
            return Err(Reject::LeaseNotYours);
        }
        if lease.audit.readers == Readers::Nobody {
            return Err(Reject::DisputeUnreadable);
        }
        let is_between = match lease.check {
            CheckState::Waiting { .. } => !state.has(Key::Audit(id)),
            CheckState::Spared | CheckState::Passed | CheckState::Unattended => true,
            _ => false,
        };
        let is_paid = !state.has(Key::Book(Row::Pending(id), Asset::Usd));
        let earlier: Option<types::Dispute> = state.get(Key::Dispute(id))?;
        let is_over = earlier.is_some_and(|dispute| !dispute.leaves_open());
        if !is_between || is_paid || is_over {
            return Err(Reject::DisputeState);
        }
        let bond = state.parameters().dispute_bond.max(lease.settlement.gross);
        covers(state, Row::Wallet(context.signer), Asset::Usd, bond)?;
        let work_root = audit::work_root(state, &lease)?;
        Ok(Plan { lease, work_root, bond })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { lease, work_root, bond } = plan;
        let (from, to) = (Row::Wallet(context.signer), slash::pot(lease.id));
        state.book().transfer(from, to, Asset::Usd, bond)?;
        dispute::open(state, lease, Accuser::Tenant { bond }, work_root)
    }
}
