//! `post-offer`: a provider puts a signed ask into the market.

use types::{
    Asset, Claims, Event, Offer, OfferId, OfferTerms, Provenance, Provider, Reject, Units, Value,
    limits::OFFER_SLOTS_MAX,
};

use super::{Context, Execute, acting_provider, covers};
use crate::{
    epoch,
    key::{Due, Key, Region, Row},
    matching,
    state::{Broken, State},
};

pub(super) struct PostOffer<'a> {
    pub(super) terms: &'a OfferTerms,
}

pub(super) struct Plan<'a> {
    terms: &'a OfferTerms,
    provider: Provider,
    region: Region,
    capacity: Units,
}

impl<'a> Execute for PostOffer<'a> {
    type Plan = Plan<'a>;

    fn check(&self, state: &State, context: &Context) -> Result<Plan<'a>, Reject> {
        let &Self { terms } = self;
        let parameters = state.parameters();
        let mut provider = acting_provider(state, context)?;
        if !matching::is_staked(state, &provider)? {
            return Err(Reject::StakeShort);
        }
        let class = classes::find(terms.class).ok_or(Reject::ClassUnknown)?;
        if terms.slots == 0 || terms.slots > OFFER_SLOTS_MAX {
            return Err(Reject::OfferSlots);
        }
        let capacity = class
            .capacity(terms.terms.as_slice(), terms.slots, parameters.epoch_ms)
            .map_err(|_| Reject::OfferMalformed)?;
        let region = region_of(terms).ok_or(Reject::OfferMalformed)?;
        // What was measured or attested, others say of a provider; it cannot say so itself.
        let only_declared = |claims: &Claims| {
            claims.iter().all(|(_, claim)| claim.provenance == Provenance::Declared)
        };
        let claimed = epoch::tally(state, terms.class)?.supply.claimed;
        if !only_declared(&terms.claims) || claimed.plus(capacity).is_err() {
            return Err(Reject::OfferMalformed);
        }
        if terms.minimum < parameters.receipt_minimum || terms.rate < class.rate_min() {
            return Err(Reject::OfferMinimum);
        }
        let latest = context.now.after(parameters.market_horizon_ms);
        if terms.expires <= context.now || terms.expires > latest {
            return Err(Reject::OfferExpiry);
        }
        if provider.offers >= parameters.offers_max {
            return Err(Reject::OffersFull);
        }
        covers(state, Row::Wallet(provider.address), Asset::Usd, parameters.storage_stake)?;
        provider.offers = provider.offers.saturating_add(1);
        Ok(Plan { terms, provider, region, capacity })
    }

    fn apply(plan: Plan<'a>, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { terms, provider, region, capacity } = plan;
        let (id, posted) = (OfferId::from(context.id), context.now);
        let storage = state.parameters().storage_stake;
        let wallet = Row::Wallet(provider.address);
        state.book().transfer(wallet, Row::Offer(id), Asset::Usd, storage)?;
        let offer = Offer {
            id,
            provider: provider.address,
            node_key: provider.node_key,
            posted,
            capacity,
            terms: terms.clone(),
        };
        state.put(Key::Offer(id), &offer)?;
        state.put(Key::Provider(provider.address), &provider)?;
        let price = matching::listed_price(terms)?;
        let in_region = |region| Key::OfferByPrice(terms.class, region, price, posted, id);
        state.mark(in_region(Region::NONE));
        if region != Region::NONE {
            state.mark(in_region(region));
        }
        state.mark(Key::OfferByProvider(provider.address, id));
        state.schedule(terms.expires, Due::OfferExpiry(id));
        epoch::claim(state, terms.class, capacity)?;
        matching::grant_passes(state, terms.class)?;
        state.emit(Event::OfferPosted {
            offer: id,
            provider: provider.address,
            class: terms.class,
            rate: terms.rate,
            slots: terms.slots,
            capacity,
        });
        Ok(())
    }
}

/// Returns the region that an offer claims, or nothing if the index cannot hold the claim.
pub(super) fn region_of(terms: &OfferTerms) -> Option<Region> {
    match terms.claims.get(matching::REGION_CLAIM) {
        None => Some(Region::NONE),
        Some(claim) => match &claim.value {
            Value::Text(name) => Region::new(name.as_str()),
            _ => None,
        },
    }
}
