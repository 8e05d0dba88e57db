//! `vote`: for a change of what governs the network.

use types::{
    Address, Asset, BasisPoints, Change, Duration, Encode, Event, Hash, Parameters, Provider,
    Reject, Time, codec, limits::BLOCK_DUE_MAX,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Execute};
use crate::{
    key::{Due, Key, Prefix, Row},
    state::{Broken, State},
};

/// Changes that may be voted on at a time.
const PROPOSALS_MAX: u32 = 64;

/// A change that is being voted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// The change.
    pub change: Change,
    /// When it takes effect, if more than two thirds of all weight are for it then.
    pub effective: Time,
    /// The weight of the votes for it.
    pub weight: u64,
}
codec!(struct Proposal { change, effective, weight });

pub(super) struct Vote<'a> {
    pub(super) change: &'a Change,
    pub(super) effective: Time,
}

pub(super) struct Plan {
    hash: Hash,
    /// The proposal with the vote counted.
    proposal: Proposal,
    weight: u64,
    is_new: bool,
}

impl Execute for Vote<'_> {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { change, effective } = self;
        let weight = weight_of(state, context)?;
        if weight == 0 {
            return Err(Reject::VoteWeight);
        }
        let earliest = context.now.after(state.parameters().change_delay_ms);
        let latest = context.now.after(state.parameters().market_horizon_ms);
        if effective < earliest || effective > latest || !is_possible(state, change) {
            return Err(Reject::VoteChange);
        }
        let hash = name(change, effective);
        if state.has(Key::Vote(hash, context.signer)) {
            return Err(Reject::VoteTwice);
        }
        let stored: Option<Proposal> = state.get(Key::Proposal(hash))?;
        let is_new = stored.is_none();
        if is_new && weight < state.parameters().stake_minimum.get() {
            return Err(Reject::VoteWeight);
        }
        if is_new && state.network.proposals >= PROPOSALS_MAX {
            return Err(Reject::VotesFull);
        }
        let change = change.clone();
        let mut proposal = stored.unwrap_or(Proposal { change, effective, weight: 0 });
        proposal.weight = proposal.weight.saturating_add(weight);
        Ok(Plan { hash, proposal, weight, is_new })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { hash, proposal, weight, is_new } = plan;
        state.put(Key::Vote(hash, context.signer), &weight)?;
        state.put(Key::Proposal(hash), &proposal)?;
        let Proposal { change, effective, .. } = proposal;
        if is_new {
            state.network.proposals = state.network.proposals.checked_add(1).ok_or(Broken)?;
            state.schedule(effective, Due::Change(hash));
        }
        let voter = context.signer;
        if state.charter().token {
            let mut provider: Provider = state.need(Key::Provider(voter))?;
            provider.votes = provider.votes.checked_add(1).ok_or(Broken)?;
            state.put(Key::Provider(voter), &provider)?;
        }
        state.emit(Event::Voted { voter, change, effective });
        Ok(())
    }
}

/// Ends a vote: the change takes effect if more than two thirds of all weight are for it now, and
/// goes with its votes. Until it goes, the stake that voted stays where it is.
pub(crate) fn conclude(state: &mut State, hash: Hash) -> Result<(), Broken> {
    forget_votes(state, hash)?;
    // Absent when only votes were left over from the block before.
    let Some(Proposal { change, weight, .. }) = state.get(Key::Proposal(hash))? else {
        return Ok(());
    };
    state.remove(Key::Proposal(hash));
    state.network.proposals = state.network.proposals.checked_sub(1).ok_or(Broken)?;
    let of = weight_of_all(state)?;
    if u128::from(weight).saturating_mul(3) <= u128::from(of).saturating_mul(2) {
        return Ok(());
    }
    match &change {
        Change::Parameters(parameters) => state.set_parameters((**parameters).clone())?,
        Change::Rules(version) if state.network.rules.checked_add(1) == Some(*version) => {
            state.network.rules = *version;
        }
        Change::Rules(_) => return Ok(()),
    }
    state.emit(Event::ChangeTookEffect { change });
    Ok(())
}

/// Lets the votes of a voter that lost stake weigh no more than what stays.
pub(crate) fn weaken(state: &mut State, voter: Address) -> Result<(), Broken> {
    let stake = state.balance(Row::Stake(voter), Asset::Wild)?;
    // Without a token each validator weighs one, whatever it did.
    if !state.charter().token || state.need::<Provider>(Key::Provider(voter))?.votes == 0 {
        return Ok(());
    }
    let proposals = state.all(Prefix::Proposals).map(|entry| entry.map(|(key, _)| key));
    for key in proposals.collect::<Result<Vec<_>, Broken>>()? {
        let Key::Proposal(hash) = key else { return Err(Broken) };
        let Some(weight) = state.get::<u64>(Key::Vote(hash, voter))? else { continue };
        let mut proposal: Proposal = state.need(key)?;
        let part = weight.saturating_sub(stake.get());
        proposal.weight = proposal.weight.checked_sub(part).ok_or(Broken)?;
        state.put(key, &proposal)?;
        state.put(Key::Vote(hash, voter), &weight.saturating_sub(part))?;
    }
    Ok(())
}

/// Takes votes out of the state; what is too much for one block is left to the next.
fn forget_votes(state: &mut State, hash: Hash) -> Result<(), Broken> {
    let votes = state.all(Prefix::Votes(hash)).take(BLOCK_DUE_MAX.saturating_add(1));
    let votes = votes.map(|vote| vote.map(|(key, _)| key)).collect::<Result<Vec<_>, Broken>>()?;
    for key in votes.iter().take(BLOCK_DUE_MAX) {
        let &Key::Vote(_, voter) = key else {
            return Err(Broken);
        };
        state.remove(*key);
        if state.charter().token {
            let mut provider: Provider = state.need(Key::Provider(voter))?;
            provider.votes = provider.votes.checked_sub(1).ok_or(Broken)?;
            state.put(Key::Provider(voter), &provider)?;
        }
    }
    if votes.len() > BLOCK_DUE_MAX {
        let next = state.now().after(Duration::from_ms(1));
        // The change may have been proposed once more, and have the same votes to forget.
        if !state.has(Key::Due(next, Due::Change(hash))) {
            state.schedule(next, Due::Change(hash));
        }
    }
    Ok(())
}

/// Returns the name of a change at a time.
fn name(change: &Change, effective: Time) -> Hash {
    let mut bytes = change.to_bytes();
    effective.encode(&mut bytes);
    Hash::of("idlewild proposal", &[&bytes])
}

fn weight_of(state: &State, context: &Context) -> Result<u64, Broken> {
    let charter = state.charter();
    if charter.token {
        return Ok(state.balance(Row::Stake(context.signer), Asset::Wild)?.get());
    }
    Ok(u64::from(charter.validators.contains(context.signer.key())))
}

fn weight_of_all(state: &State) -> Result<u64, Broken> {
    let charter = state.charter();
    if charter.token {
        return Ok(state.network.stake.get());
    }
    u64::try_from(charter.validators.len()).map_err(|_| Broken)
}

fn is_possible(state: &State, change: &Change) -> bool {
    match change {
        Change::Parameters(parameters) => {
            parameters.validate().is_ok() && (state.charter().token || needs_no_token(parameters))
        }
        Change::Rules(version) => state.network.rules.checked_add(1) == Some(*version),
    }
}

fn needs_no_token(parameters: &Parameters) -> bool {
    parameters.burn_share == BasisPoints::ZERO && parameters.stake_minimum.is_zero()
}
