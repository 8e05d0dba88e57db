//! What happens by itself: a queue in the order of time, worked through at each block's begin,
//! after the draws that are ready ([`draws`]).

use types::{Address, Asset, Event, Provider, Time, Unbonding, limits::BLOCK_DUE_MAX};

use crate::{
    draws,
    key::{Due, Key, Prefix, Row},
    lease,
    state::{Broken, State},
    tx::{cancel_order, retire_offer, vote},
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

    /// Returns what stands in the queue when a block begins, in order.
    fn queue(&self) -> impl Iterator<Item = (Time, Due)> {
        self.all(Prefix::Due).map_while(|entry| match entry {
            Ok((Key::Due(time, due), _)) => Some((time, due)),
            _ => None,
        })
    }

    /// Returns when the first entry of the queue is due, after a block.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.queue().next().map(|(time, _)| time)
    }
}

/// Lets happen what is due: draws first, then entries of the queue, together at most
/// [`BLOCK_DUE_MAX`]. What these add waits for a later block.
pub(crate) fn run(state: &mut State) {
    let now = state.now();
    let drawn = draws::run(state, BLOCK_DUE_MAX);
    let left = BLOCK_DUE_MAX.saturating_sub(drawn);
    let due = state.queue().take(left).take_while(|(time, _)| *time <= now);
    for (time, due) in due.collect::<Vec<_>>() {
        if !state.is_removed(Key::Due(time, due)) {
            take(state, Key::Due(time, due), |state| happen(state, due));
        }
    }
}

/// Takes an entry out of its queue, and lets happen what it waited for.
pub(crate) fn take(
    state: &mut State,
    entry: Key,
    happen: impl FnOnce(&mut State) -> Result<(), Broken>,
) {
    let happened = state.attempt(|state| {
        state.remove(entry);
        happen(state)
    });
    if happened == Err(Broken) {
        debug_assert!(false, "{entry:?} found the state inconsistent");
        // What it would have done stays undone, but it must not hold up the queue.
        let removed = state.attempt(|state| {
            state.remove(entry);
            Ok(())
        });
        debug_assert_eq!(removed, Ok(()));
    }
}

fn happen(state: &mut State, due: Due) -> Result<(), Broken> {
    match due {
        Due::OrderExpiry(order) => cancel_order::lapse(state, order),
        Due::OfferExpiry(offer) => retire_offer::lapse(state, offer),
        Due::Lease(id) => lease::happen(state, id),
        Due::Unbonding(address, sequence) => unbond(state, address, sequence),
        Due::Change(proposal) => vote::conclude(state, proposal),
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
