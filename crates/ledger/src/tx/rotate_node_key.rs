//! `rotate-node-key`: a provider replaces the key that its agent signs with.

use types::{Address, Event, Provider, PublicKey, Reject};

use super::{Context, Execute, free_node_key, own_provider};
use crate::{
    key::Key,
    state::{Broken, State},
};

pub(super) struct RotateNodeKey {
    pub(super) node_key: PublicKey,
}

pub(super) struct Plan {
    old: PublicKey,
    provider: Provider,
}

impl Execute for RotateNodeKey {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let mut provider = own_provider(state, context)?;
        free_node_key(state, context, self.node_key)?;
        let old = std::mem::replace(&mut provider.node_key, self.node_key);
        Ok(Plan { old, provider })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let (provider, node_key) = (context.signer, plan.provider.node_key);
        state.remove(Key::NodeKey(plan.old));
        state.put(Key::NodeKey(node_key), &provider)?;
        state.put(Key::Provider(provider), &plan.provider)?;
        state.open_account(Address::new(node_key))?;
        state.emit(Event::NodeKeyRotated { provider, node_key });
        Ok(())
    }
}
