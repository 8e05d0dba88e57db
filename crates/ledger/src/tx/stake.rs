//! `stake`: a provider locks token.

use types::{Amount, Asset, Event, Provider, Reject};

use super::{Context, Execute, covers, fits, known, own_provider, positive};
use crate::{
    auditors,
    key::Row,
    state::{Broken, State},
};

pub(super) struct Stake {
    pub(super) amount: Amount,
}

pub(super) struct Plan {
    provider: Provider,
    amount: Amount,
}

impl Execute for Stake {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { amount } = self;
        positive(amount)?;
        known(state, Asset::Wild)?;
        let provider = own_provider(state, context)?;
        covers(state, Row::Wallet(context.signer), Asset::Wild, amount)?;
        fits(state, Row::Stake(context.signer), Asset::Wild, amount)?;
        Ok(Plan { provider, amount })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let (provider, amount) = (context.signer, plan.amount);
        let (from, to) = (Row::Wallet(provider), Row::Stake(provider));
        state.book().transfer(from, to, Asset::Wild, amount)?;
        state.network.stake = state.network.stake.plus(amount)?;
        state.emit(Event::Staked { provider, amount });
        auditors::follow_stake(state, &plan.provider)
    }
}
