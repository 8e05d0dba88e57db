//! `delist`: a provider ends being an auditor of a class. Audits that it was drawn for stay.

use types::{Address, Auditor, ClassId, Reject};

use super::{Context, Execute, acting_provider};
use crate::{
    auditors,
    key::Key,
    state::{Broken, State},
};

pub(super) struct Delist {
    pub(super) class: ClassId,
}

pub(super) struct Plan {
    address: Address,
    auditor: Auditor,
}

impl Execute for Delist {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let address = acting_provider(state, context)?.address;
        let auditor: Option<Auditor> = state.get(Key::Auditor(self.class, address))?;
        let auditor = auditor.filter(|auditor| !auditor.seats.is_empty());
        Ok(Plan { address, auditor: auditor.ok_or(Reject::AuditorUnknown)? })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        auditors::leave(state, plan.address, plan.auditor)
    }
}
