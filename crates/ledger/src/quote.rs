//! Quotes: what the market would answer to an order, and whom it leaves out for what reason.
//!
//! A quote runs the code of matching over the same offers in the same order, without the bound of
//! a block. It looks on until it has found four times as many as an order may name, and answers
//! with the cheapest of them: the index knows the price of a million units, not of this order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{
    Address, Amount, OfferId, OrderTerms, Rate, Reject, constraint::explain,
    limits::ORDER_OFFERS_MAX,
};

use crate::{
    matching::{self, Examined, Obstacle},
    state::State,
    tx::place_order,
};

/// Offers that would take the order and are compared by what it would cost.
const COMPARED_MAX: usize = 4 * ORDER_OFFERS_MAX;

/// An offer that would take the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quoted {
    /// The offer.
    pub offer: OfferId,
    /// Whose it is.
    pub provider: Address,
    /// Its price of units.
    pub rate: Rate,
    /// The most that the work can cost, in micro-USD.
    pub price: Amount,
    /// The premium for audits on that, in micro-USD.
    pub premium: Amount,
}

/// A reason that excludes offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exclusion {
    /// The reason; for a constraint, the atom that is not true.
    pub reason: String,
    /// How many of the examined offers it excludes.
    pub offers: u32,
}

/// What the market would answer to an order now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    /// The offers that would take it, at most 16, cheapest first.
    pub offers: Vec<Quoted>,
    /// Why others would not, most frequent first; an offer counts under each atom that excludes it.
    pub excluded: Vec<Exclusion>,
    /// Offers that were examined.
    pub examined: u32,
}

/// Answers an order without placing it.
pub(crate) fn quote(state: &State, terms: &OrderTerms) -> Result<Quote, Reject> {
    let demand = place_order::demand(state, terms)?;
    let mut offers: Vec<Quoted> = Vec::with_capacity(COMPARED_MAX);
    let mut exclusions = Exclusions::default();
    let mut examined: u32 = 0;
    for candidate in matching::candidates(state, terms) {
        let id = candidate.map_err(Reject::from)?;
        examined = examined.saturating_add(1);
        match matching::examine(state, &demand, id).map_err(Reject::from)? {
            Examined::Takes(take) => offers.push(Quoted {
                offer: id,
                provider: take.provider.address,
                rate: take.offer.terms.rate,
                price: take.price,
                premium: take.premium,
            }),
            Examined::Not(Obstacle::Constraint, Some(offer)) => {
                for atom in explain(&terms.constraint, &offer.terms.claims, state.now()) {
                    exclusions.count_atom(format!("{} is {}", atom.atom, atom.truth));
                }
            }
            Examined::Not(obstacle, _) => exclusions.count(obstacle),
        }
        if offers.len() == COMPARED_MAX {
            break;
        }
    }
    offers.sort_by_key(|quoted| quoted.price);
    offers.truncate(ORDER_OFFERS_MAX);
    Ok(Quote { offers, excluded: exclusions.sorted(), examined })
}

#[derive(Debug, Default)]
struct Exclusions {
    obstacles: BTreeMap<Obstacle, u32>,
    atoms: BTreeMap<String, u32>,
}

impl Exclusions {
    fn count(&mut self, obstacle: Obstacle) {
        let count = self.obstacles.entry(obstacle).or_default();
        *count = count.saturating_add(1);
    }

    fn count_atom(&mut self, atom: String) {
        let count = self.atoms.entry(atom).or_default();
        *count = count.saturating_add(1);
    }

    fn sorted(self) -> Vec<Exclusion> {
        let obstacles = self.obstacles.into_iter();
        let reasons = obstacles.map(|(obstacle, offers)| (obstacle.to_string(), offers));
        let mut sorted: Vec<Exclusion> = reasons
            .chain(self.atoms)
            .map(|(reason, offers)| Exclusion { reason, offers })
            .collect();
        sorted.sort_by_key(|exclusion| std::cmp::Reverse(exclusion.offers));
        sorted
    }
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gone => "it is not standing",
            Self::OtherClass => "it is of another class",
            Self::Expired => "it has expired",
            Self::Suspended => "its provider is suspended",
            Self::StakeShort => "its provider's stake is below the minimum",
            Self::Full => "all its slots are taken",
            Self::Budget => "it costs more than the budget",
            Self::Exposed => "its provider's stake does not cover more unchecked work",
            Self::Mismatch(what) => what,
            Self::Constraint => "its claims do not meet the constraint",
        })
    }
}
