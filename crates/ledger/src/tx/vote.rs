//! `vote`: for a change of what governs the network.

use types::{Asset, BasisPoints, Change, Encode, Event, Hash, Parameters, Reject, Time, codec};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Execute};
use crate::{
    key::{Due, Key, Row},
    state::{Broken, State},
};

/// Changes that may be voted on at a time.
const PROPOSALS_MAX: u32 = 64;

/// A change that is being voted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// The change.
    pub change: Change,
    /// When it takes effect, if it is decided by then.
    pub effective: Time,
    /// The weight of the votes for it.
    pub weight: u64,
    /// Whether more than two thirds of all weight was for it.
    pub decided: bool,
}
codec!(struct Proposal { change, effective, weight, decided });

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
    decides: bool,
}

impl Execute for Vote<'_> {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { change, effective } = self;
        let (weight, of) = weights(state, context)?;
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
        if is_new && state.network.proposals >= PROPOSALS_MAX {
            return Err(Reject::VotesFull);
        }
        let change = change.clone();
        let mut proposal =
            stored.unwrap_or(Proposal { change, effective, weight: 0, decided: false });
        proposal.weight = proposal.weight.saturating_add(weight);
        let above =
            u128::from(proposal.weight).saturating_mul(3) > u128::from(of).saturating_mul(2);
        let decides = above && !proposal.decided;
        proposal.decided |= above;
        Ok(Plan { hash, proposal, weight, is_new, decides })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { hash, proposal, weight, is_new, decides } = plan;
        state.put(Key::Vote(hash, context.signer), &weight)?;
        state.put(Key::Proposal(hash), &proposal)?;
        let Proposal { change, effective, .. } = proposal;
        if is_new {
            state.network.proposals = state.network.proposals.checked_add(1).ok_or(Broken)?;
            state.schedule(effective, Due::Change(hash));
        }
        let voter = context.signer;
        state.emit(Event::Voted { voter, change: change.clone(), effective });
        if decides {
            state.emit(Event::ChangeDecided { change, effective });
        }
        Ok(())
    }
}

/// Returns the name of a change at a time.
fn name(change: &Change, effective: Time) -> Hash {
    let mut bytes = change.to_bytes();
    effective.encode(&mut bytes);
    Hash::of("idlewild proposal", &[&bytes])
}

/// Returns the signer's weight, and the weight of all.
fn weights(state: &State, context: &Context) -> Result<(u64, u64), Broken> {
    let charter = state.charter();
    if charter.token {
        let stake = state.balance(Row::Stake(context.signer), Asset::Wild)?;
        return Ok((stake.get(), state.network.stake.get()));
    }
    let is_validator = charter.validators.contains(context.signer.key());
    let all = u64::try_from(charter.validators.len()).map_err(|_| Broken)?;
    Ok((u64::from(is_validator), all))
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
