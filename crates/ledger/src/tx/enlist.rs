//! `enlist`: a provider becomes an auditor of a class, or changes its terms.

use types::{Auditor, AuditorTerms, List, Provider, Reject, Time};

use super::{Context, Execute, acting_provider};
use crate::{
    auditors,
    key::Key,
    matching,
    state::{Broken, State},
};

pub(super) struct Enlist<'a> {
    pub(super) terms: &'a AuditorTerms,
}

pub(super) struct Plan {
    provider: Provider,
    auditor: Auditor,
}

impl Execute for Enlist<'_> {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { terms } = self;
        let provider = acting_provider(state, context)?;
        if !matching::is_staked(state, &provider)? {
            return Err(Reject::StakeShort);
        }
        let class = classes::find(terms.class).ok_or(Reject::ClassUnknown)?;
        if class.audits(terms.terms.as_slice()).is_err() {
            return Err(Reject::AuditorMalformed);
        }
        let known: Option<Auditor> = state.get(Key::Auditor(terms.class, provider.address))?;
        let is_barred = known.as_ref().is_some_and(|auditor| auditor.barred_until > context.now);
        if is_barred || provider.suspended_until > context.now {
            return Err(Reject::AuditorBarred);
        }
        let terms = terms.clone();
        let auditor = match known {
            Some(auditor) => Auditor { terms, ..auditor },
            None => {
                let never = Time::from_ms(0);
                let seats = List::default();
                Auditor { terms, seats, open: 0, free_at: never, barred_until: never }
            }
        };
        Ok(Plan { provider, auditor })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        auditors::seat(state, &plan.provider, plan.auditor)
    }
}
