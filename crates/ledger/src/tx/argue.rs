//! `argue`: a move in a dispute.

use types::{Accuser, Argument, Event, Lease, LeaseId, Reject, Time};

use super::{Context, Execute, known_lease, provider_of};
use crate::{
    dispute::{self, Arguer},
    key::Key,
    state::{Broken, State},
};

pub(super) struct Argue<'a> {
    pub(super) lease: LeaseId,
    pub(super) opened: Time,
    pub(super) argument: &'a Argument,
}

pub(super) struct Plan {
    lease: Lease,
    /// The dispute after the move.
    dispute: types::Dispute,
    event: Event,
}

impl Execute for Argue<'_> {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { lease: id, opened, argument } = self;
        let lease = known_lease(state, id)?;
        let known: Option<types::Dispute> = state.get(Key::Dispute(id))?;
        let known = known.filter(|known| known.opened == opened && known.outcome.is_none());
        let dispute = known.ok_or(Reject::DisputeState)?;
        let signer = context.signer;
        let acts_for = provider_of(state, &signer)?;
        let arguer = Arguer {
            signer,
            is_provider: acts_for == Some(lease.provider),
            is_accuser: match dispute.accuser {
                Accuser::Auditor { address } => acts_for == Some(address),
                Accuser::Tenant { .. } => signer == lease.tenant,
                Accuser::Nobody => false,
            },
        };
        let dispute = dispute::argue(state, &lease, dispute, &arguer, argument)?;
        let event = match argument {
            &Argument::Rule { ruling } => {
                Event::Ruled { lease: id, validator: *signer.key(), ruling }
            }
            _ => Event::Argued { lease: id, by: signer },
        };
        Ok(Plan { lease, dispute, event })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        state.emit(plan.event);
        dispute::advance(state, plan.lease, &plan.dispute)
    }
}
