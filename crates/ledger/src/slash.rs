//! Slashing: what a cheat loses of its stake.
//!
//! It reaches what is on its way back, too. Part of it is burned, so that nobody gains by accusing
//! itself; the rest waits in the dispute's row for those who were right.

use types::{
    Address, Amount, Asset, BasisPoints, Decode, Event, Hash, LeaseId, Provider, Unbonding,
};

use crate::{
    auditors,
    key::{Key, Prefix, Row},
    state::{Broken, State},
    tx::vote,
};

/// Returns the row that holds what a dispute has locked.
pub(crate) fn pot(lease: LeaseId) -> Row {
    Row::Dispute(Hash::from_bytes(*lease.as_bytes()))
}

/// Takes from a provider what it loses in the dispute over `lease`.
pub(crate) fn slash(state: &mut State, lease: LeaseId, address: Address) -> Result<(), Broken> {
    let (share, burn_share) = (state.parameters().slash_share, state.parameters().slash_burn_share);
    let staked = share.floor_of(state.balance(Row::Stake(address), Asset::Wild)?);
    state.book().transfer(Row::Stake(address), pot(lease), Asset::Wild, staked)?;
    state.network.stake = state.network.stake.minus(staked)?;
    let unbonding = slash_unbondings(state, lease, address, share)?;
    let amount = staked.plus(unbonding)?;
    let burned = burn_share.ceil_of(amount);
    state.book().transfer(pot(lease), Row::Burned, Asset::Wild, burned)?;
    if !amount.is_zero() {
        state.emit(Event::Slashed { lease, provider: address, amount, burned });
    }
    vote::weaken(state, address)?;
    auditors::bar_cheat(state, address)?;
    suspend(state, address)
}

/// Lets a provider's offers match nothing, and keeps it from being drawn, for an epoch.
fn suspend(state: &mut State, address: Address) -> Result<(), Broken> {
    let until = state.now().after(state.parameters().epoch_ms);
    let mut provider: Provider = state.need(Key::Provider(address))?;
    provider.suspended_until = provider.suspended_until.max(until);
    state.put(Key::Provider(address), &provider)?;
    state.emit(Event::Suspended { provider: address, until: provider.suspended_until });
    Ok(())
}

fn slash_unbondings(
    state: &mut State,
    lease: LeaseId,
    address: Address,
    share: BasisPoints,
) -> Result<Amount, Broken> {
    let unbondings = state.all(Prefix::Unbondings(address));
    let unbondings = unbondings
        .map(|entry| entry.and_then(|(key, bytes)| Ok((key, Unbonding::from_bytes(bytes)?))))
        .collect::<Result<Vec<(Key, Unbonding)>, Broken>>()?;
    let mut sum = Amount::ZERO;
    for (key, Unbonding { amount, until }) in unbondings {
        let part = share.floor_of(amount);
        state.put(key, &Unbonding { amount: amount.minus(part)?, until })?;
        state.book().transfer(Row::Unbonding(address), pot(lease), Asset::Wild, part)?;
        sum = sum.plus(part)?;
    }
    Ok(sum)
}

/// Marks a provider whose receipt was found wrong: nothing unchecked is paid to it any more.
pub(crate) fn mark(state: &mut State, address: Address) -> Result<(), Broken> {
    let mut provider: Provider = state.need(Key::Provider(address))?;
    provider.slashed = Some(state.now());
    state.put(Key::Provider(address), &provider)
}
