//! `unstake`: a provider starts to unlock token.

use types::{Amount, Asset, Event, Provider, Reject, Unbonding};

use super::{Context, Execute, covers, known, own_provider, positive};
use crate::{
    auditors,
    key::{Due, Key, Row},
    state::{Broken, State},
};

/// Unbondings that a provider may have waiting.
const UNBONDINGS_MAX: u32 = 16;

pub(super) struct Unstake {
    pub(super) amount: Amount,
}

pub(super) struct Plan {
    provider: Provider,
    unbonding: Unbonding,
}

impl Execute for Unstake {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { amount } = self;
        positive(amount)?;
        known(state, Asset::Wild)?;
        let mut provider = own_provider(state, context)?;
        let stake = Row::Stake(context.signer);
        covers(state, stake, Asset::Wild, amount)?;
        let stays = state.balance(stake, Asset::Wild)?.saturating_minus(amount);
        let has_audits = auditors::has_open(state, context.signer)?;
        let in_use = provider.offers > 0 || provider.leases > 0 || has_audits;
        let parameters = state.parameters();
        let is_short = in_use && stays < parameters.stake_minimum;
        if provider.votes > 0 || is_short || parameters.cover(stays) < provider.exposure {
            return Err(Reject::StakeInUse);
        }
        if provider.unbondings >= UNBONDINGS_MAX {
            return Err(Reject::UnbondingsFull);
        }
        provider.unbondings = provider.unbondings.saturating_add(1);
        let until = context.now.after(state.parameters().unbonding_ms);
        Ok(Plan { provider, unbonding: Unbonding { amount, until } })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { provider, unbonding: Unbonding { amount, until } } = plan;
        let (address, sequence) = (provider.address, context.nonce);
        let (from, to) = (Row::Stake(address), Row::Unbonding(address));
        state.book().transfer(from, to, Asset::Wild, amount)?;
        state.network.stake = state.network.stake.minus(amount)?;
        state.put(Key::Provider(address), &provider)?;
        state.put(Key::Unbonding(address, sequence), &plan.unbonding)?;
        state.schedule(until, Due::Unbonding(address, sequence));
        state.emit(Event::Unstaked { provider: address, amount, until });
        auditors::follow_stake(state, &provider)
    }
}
