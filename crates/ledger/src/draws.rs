//! Draws that wait until enough other leaders have made blocks.
//!
//! The beacon of a block follows from its leader's signature of the one before. So a leader knows
//! it before all others, and leaders who are friends know the beacons of blocks that they lead one
//! after the other. They could choose what stands in the block before by what these would draw.
//!
//! ```text
//! f = ⌊(n − 1) / 3⌋          of n validators so many may be false
//! k = min(f + 1, n − 1)
//! what waits since block h is drawn in the first block b > h
//!     such that k different leaders of h + 1, …, b are other than that of h
//! ```
//!
//! One of these leaders is honest and told nobody its beacon before its block, and all that come
//! after follow from that. With one validator the next block draws.
//!
//! Draws wait in the order of their blocks, and none is ready before one that is ahead of it: let
//! one wait since h, which L led, and another since i > h, which M led. Whoever counts for the
//! second has led after h, too. Should L be among them, it does not count for the first, but M
//! does, which led i and does not count for the second. So the first has as many at least, and the
//! search ends at one that is not ready.

use types::{Decode, LeaseId, List, limits::VALIDATORS_MAX};

use crate::{
    due,
    key::{Key, Prefix},
    lease,
    state::{Broken, State},
};

/// For each validator, in the order of their places, the last block that it led; 0 if none.
type Leaders = List<u64, VALIDATORS_MAX>;

/// Returns how many others must have led blocks before something is drawn.
fn needed(validators: usize) -> usize {
    let others = validators.saturating_sub(1);
    others.checked_div(3).unwrap_or(0).saturating_add(1).min(others)
}

/// Returns who led blocks; it is not kept where nobody else could.
fn leaders(state: &State) -> Result<Leaders, Broken> {
    match state.get(Key::Leaders)? {
        Some(leaders) => Ok(leaders),
        None => Ok(List::new(vec![0; state.charter().validators.len()])?),
    }
}

/// Notes who leads the block.
pub(crate) fn note_leader(state: &mut State) -> Result<(), Broken> {
    let mut leaders = leaders(state)?.into_inner();
    if leaders.len() < 2 {
        return Ok(());
    }
    let place = usize::try_from(state.block.leader).map_err(|_| Broken)?;
    *leaders.get_mut(place).ok_or(Broken)? = state.network.height;
    state.put(Key::Leaders, &Leaders::new(leaders)?)
}

/// Returns the draws that wait when a block begins, each with the leader that does not count.
fn waiting(state: &State) -> impl Iterator<Item = (u64, LeaseId, usize)> {
    state.all(Prefix::Draws).map_while(|entry| {
        let Ok((Key::Draw(height, lease), value)) = entry else { return None };
        let leader = u32::from_bytes(value).ok()?;
        Some((height, lease, usize::try_from(leader).ok()?))
    })
}

/// Returns whether a draw waits, after a block.
pub(crate) fn is_waiting(state: &State) -> bool {
    waiting(state).next().is_some()
}

/// Draws what is ready, in order, at most `most` times; returns how many it was.
pub(crate) fn run(state: &mut State, most: usize) -> usize {
    let Ok(leaders) = leaders(state) else {
        debug_assert!(false, "who led blocks does not read");
        return 0;
    };
    let needed = needed(leaders.len());
    let is_ready = |&(height, _, leader): &(u64, LeaseId, usize)| {
        let led = leaders.iter().enumerate().filter(|(_, last)| **last > height);
        led.filter(|(place, _)| *place != leader).count() >= needed
    };
    let ready: Vec<_> = waiting(state).take(most).take_while(is_ready).collect();
    for &(height, lease, _) in &ready {
        due::take(state, Key::Draw(height, lease), |state| lease::happen(state, lease));
    }
    ready.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_may_be_false_must_lead_if_there_are_so_many_others() {
        let expected = [(1, 0), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (VALIDATORS_MAX, 22)];
        for (validators, others) in expected {
            assert_eq!(needed(validators), others, "{validators}");
        }
    }
}
