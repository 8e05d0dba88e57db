//! What happens by itself: a queue in the order of time, worked through at each block's begin.

use types::{Address, Asset, Change, Event, Provider, Time, Unbonding, limits::BLOCK_DUE_MAX};

use crate::{
    key::{Due, Key, Prefix, Row},
    lease,
    state::{Broken, State},
    tx::{cancel_order, retire_offer, vote::Proposal},
};

impl State {
    /// Puts something into the queue.
    pub(crate) fn schedule(&mut self, time: Time, due: Due) {
        self.mark(Key::Due(time, due));
    }

    /// Takes something out of the queue that will not happen any more.
    pub(crate) fn unschedule(&mut self, time: Time, due: Due) {
        self.remove(Key::Due(time, due));
    }

    /// Returns what stands first in the queue.
    pub(crate) fn first_due(&self) -> Option<(Time, Due)> {
        let (key, _) = self.map().first_from(Prefix::Due.to_bytes().as_slice())?;
        match Key::from_bytes(key)? {
            Key::Due(time, due) => Some((time, due)),
            _ => None,
        }
    }
}

/// Lets happen what is due, at most [`BLOCK_DUE_MAX`] entries of the queue.
pub(crate) fn run(state: &mut State) {
    for _ in 0..BLOCK_DUE_MAX {
        let Some((time, due)) = state.first_due().filter(|(time, _)| *time <= state.now()) else {
            return;
        };
        let happened = state.attempt(|state| {
            state.remove(Key::Due(time, due));
            happen(state, due)
        });
        if happened == Err(Broken) {
            debug_assert!(false, "{due:?} found the state inconsistent");
            // What it would have done stays undone, but it must not hold up the queue.
            let removed = state.attempt(|state| {
                state.remove(Key::Due(time, due));
                Ok(())
            });
            debug_assert_eq!(removed, Ok(()));
        }
    }
}

fn happen(state: &mut State, due: Due) -> Result<(), Broken> {
    match due {
        Due::OrderExpiry(order) => cancel_order::lapse(state, order),
        Due::OfferExpiry(offer) => retire_offer::lapse(state, offer),
        Due::Lease(id) => lease::happen(state, id),
        Due::Unbonding(address, sequence) => unbond(state, address, sequence),
        Due::Change(proposal) => take_effect(state, proposal),
    }
}

fn unbond(state: &mut State, address: Address, sequence: u64) -> Result<(), Broken> {
    let Unbonding { amount, .. } = state.need(Key::Unbonding(address, sequence))?;
    state.remove(Key::Unbonding(address, sequence));
    let mut provider: Provider = state.need(Key::Provider(address))?;
    provider.unbondings = provider.unbondings.checked_sub(1).ok_or(Broken)?;
    state.put(Key::Provider(address), &provider)?;
    let (from, to) = (Row::Unbonding(address), Row::Wallet(address));
    state.book().transfer(from, to, Asset::Wild, amount)?;
    state.emit(Event::Unbonded { provider: address, amount });
    Ok(())
}

/// Ends a vote: the change takes effect if it was decided, and goes with its votes.
fn take_effect(state: &mut State, hash: types::Hash) -> Result<(), Broken> {
    forget_votes(state, hash)?;
    // Absent when only votes were left over from the block before.
    let Some(proposal) = state.get::<Proposal>(Key::Proposal(hash))? else {
        return Ok(());
    };
    state.remove(Key::Proposal(hash));
    state.network.proposals = state.network.proposals.checked_sub(1).ok_or(Broken)?;
    if !proposal.decided {
        return Ok(());
    }
    match &proposal.change {
        Change::Parameters(parameters) => state.set_parameters((**parameters).clone())?,
        Change::Rules(version) if state.network.rules.checked_add(1) == Some(*version) => {
            state.network.rules = *version;
        }
        Change::Rules(_) => return Ok(()),
    }
    state.emit(Event::ChangeTookEffect { change: proposal.change });
    Ok(())
}

/// Takes votes out of the state; what is too much for one block is left to the next.
fn forget_votes(state: &mut State, hash: types::Hash) -> Result<(), Broken> {
    let votes = state.all(Prefix::Votes(hash)).take(BLOCK_DUE_MAX.saturating_add(1));
    let votes = votes.collect::<Result<Vec<_>, Broken>>()?;
    let keys: Vec<Key> = votes.iter().map(|(key, _)| *key).collect();
    for vote in keys.iter().take(BLOCK_DUE_MAX) {
        state.remove(*vote);
    }
    if keys.len() > BLOCK_DUE_MAX {
        let next = state.now().after(types::Duration::from_ms(1));
        state.schedule(next, Due::Change(hash));
    }
    Ok(())
}
