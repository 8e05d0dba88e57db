//! `register`: an account becomes a provider.

use types::{Address, Amount, Event, Provider, PublicKey, Reject, Time};

use super::{Context, Execute, free_node_key, provider_of};
use crate::{
    key::Key,
    state::{Broken, State},
};

pub(super) struct Register {
    pub(super) node_key: PublicKey,
}

pub(super) struct Plan {
    provider: Provider,
}

impl Execute for Register {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        if provider_of(state, &context.signer)?.is_some() {
            return Err(Reject::ProviderExists);
        }
        free_node_key(state, context, self.node_key)?;
        let provider = Provider {
            address: context.signer,
            node_key: self.node_key,
            registered: context.now,
            offers: 0,
            leases: 0,
            unbondings: 0,
            votes: 0,
            no_starts_epoch: 0,
            no_starts: 0,
            suspended_until: Time::from_ms(0),
            exposure: Amount::ZERO,
            slashed: None,
        };
        Ok(Plan { provider })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        let Provider { address: provider, node_key, .. } = plan.provider;
        state.put(Key::Provider(provider), &plan.provider)?;
        state.put(Key::NodeKey(node_key), &provider)?;
        state.open_account(Address::new(node_key))?;
        state.emit(Event::Registered { provider, node_key });
        Ok(())
    }
}
