//! `retire-offer`: a provider takes an offer down. Leases that run go on.

use types::{Asset, Event, Offer, OfferId, Reject};

use super::{Context, Execute, acting_provider, post_offer::region_of};
use crate::{
    epoch,
    key::{Due, Key, Region, Row},
    matching,
    state::{Broken, State},
};

pub(super) struct RetireOffer {
    pub(super) offer: OfferId,
}

pub(super) struct Plan {
    offer: Offer,
}

impl Execute for RetireOffer {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let provider = acting_provider(state, context)?;
        let offer: Offer = state.get(Key::Offer(self.offer))?.ok_or(Reject::OfferUnknown)?;
        if offer.provider != provider.address {
            return Err(Reject::OfferUnknown);
        }
        Ok(Plan { offer })
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        retire(state, &plan.offer)
    }
}

/// Takes an offer down whose time has come.
pub(crate) fn lapse(state: &mut State, id: OfferId) -> Result<(), Broken> {
    let offer = state.need(Key::Offer(id))?;
    retire(state, &offer)
}

fn retire(state: &mut State, offer: &Offer) -> Result<(), Broken> {
    let &Offer { id, provider: address, posted, capacity, ref terms, .. } = offer;
    let mut provider: types::Provider = state.need(Key::Provider(address))?;
    provider.offers = provider.offers.checked_sub(1).ok_or(Broken)?;
    state.put(Key::Provider(address), &provider)?;
    state.remove(Key::Offer(id));
    state.unschedule(terms.expires, Due::OfferExpiry(id));
    let price = matching::listed_price(terms)?;
    for region in [region_of(terms).ok_or(Broken)?, Region::NONE] {
        state.remove(Key::OfferByPrice(terms.class, region, price, posted, id));
    }
    state.remove(Key::OfferByProvider(address, id));
    state.book().empty(Row::Offer(id), Row::Wallet(address), Asset::Usd)?;
    epoch::disclaim(state, terms.class, capacity)?;
    state.emit(Event::OfferRetired { offer: id, provider: address, class: terms.class });
    Ok(())
}
