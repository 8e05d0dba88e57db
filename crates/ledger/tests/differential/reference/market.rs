//! Which offer takes an order, and what a match does.

use ledger::key::Row;
use types::{
    Amount, Asset, CheckState, Constraint, Event, Lease, LeaseId, LeaseState, Offer, OfferId,
    OrderId, OrderTerms, Provider, Reject, Settlement, Truth, Units, Value,
    constraint::{Atom, Comparison, Expression, Test, evaluate},
};

use super::{Reference, What};

impl Reference {
    /// Returns the escrow that the offer asks for the order, if it takes it now.
    pub(crate) fn takes(&self, offer: &Offer, terms: &OrderTerms) -> Option<Amount> {
        let class = classes::find(terms.class)?;
        let is_its = |provider: &&Provider| provider.address == offer.provider;
        let provider = self.providers.iter().find(is_its)?;
        let units = class.units_max(terms.spec.as_slice()).ok()?;
        let price = price(offer, units)?;
        let escrow = price.plus(terms.audit.premium(price).ok()?).ok()?;
        let stake = self.stake_of(&offer.provider);
        let has_stake = !self.genesis.token || stake >= self.parameters.stake_minimum;
        let exposure = self.exposure(&terms.audit, price)?;
        let exposed = self.provider(&offer.provider)?.exposure.get().checked_add(exposure)?;
        let spec = terms.spec.as_slice();
        let takes = offer.terms.class == terms.class
            && offer.terms.expires > self.time
            && provider.suspended_until <= self.time
            && has_stake
            && self.leased(&offer.id) < offer.terms.slots
            && escrow <= terms.budget
            && (!self.genesis.token || exposure == 0 || self.covers(stake, exposed))
            && class.matches(spec, offer.terms.terms.as_slice(), &offer.terms.claims).is_ok()
            && evaluate(&terms.constraint, &offer.terms.claims, self.time) == Truth::True;
        takes.then_some(escrow)
    }

    /// Returns the offer that takes the order: of those it names, or of the market.
    pub(super) fn search(&mut self, terms: &OrderTerms) -> Option<OfferId> {
        if !terms.offers.is_empty() {
            let takes =
                |id: &&OfferId| self.offer(id).is_some_and(|it| self.takes(it, terms).is_some());
            return terms.offers.iter().find(takes).copied();
        }
        let candidates = self.candidates(terms);
        if candidates.is_empty() {
            self.allowance = self.allowance.saturating_sub(1);
        }
        for id in candidates {
            if self.allowance == 0 {
                return None;
            }
            self.allowance -= 1;
            let offer = self.offer(&id).expect("candidates stand");
            if self.takes(offer, terms).is_some() {
                return Some(id);
            }
        }
        None
    }

    /// Returns the 16 cheapest of the first 64 offers that take the order, and what they ask.
    pub(crate) fn quote(&self, terms: &OrderTerms) -> Result<Vec<(OfferId, Amount)>, Reject> {
        self.check_terms(terms)?;
        let class = classes::find(terms.class).expect("it was checked");
        let units = class.units_max(terms.spec.as_slice()).expect("it was checked");
        let named = terms.offers.to_vec();
        let listed = if named.is_empty() { self.candidates(terms) } else { named };
        let offers = listed.iter().filter_map(|id| self.offer(id));
        let taking = offers.filter(|offer| self.takes(offer, terms).is_some());
        let asked = |offer: &Offer| (offer.id, price(offer, units).expect("it takes the order"));
        let mut quoted: Vec<_> = taking.take(64).map(asked).collect();
        quoted.sort_by_key(|(_, price)| *price);
        quoted.truncate(16);
        Ok(quoted)
    }

    /// Returns the offers that the order looks through, cheapest first.
    fn candidates(&self, terms: &OrderTerms) -> Vec<OfferId> {
        let demanded = demanded_region(&terms.constraint);
        let stands_there = |offer: &&Offer| {
            let region = offer.terms.claims.get("region").map_or("", |claim| name(&claim.value));
            offer.terms.class == terms.class && (demanded.is_empty() || region == demanded)
        };
        let mut offers: Vec<&Offer> = self.offers.iter().filter(stands_there).collect();
        offers.sort_by_key(|offer| (listed_price(offer), offer.posted, offer.id));
        offers.into_iter().map(|offer| offer.id).collect()
    }

    /// Matches what is open, as far as the block's allowance goes.
    pub(super) fn match_open_orders(&mut self) {
        for class in classes::CLASSES {
            let mut matching = self.matching.get(&class.id()).copied().unwrap_or_default();
            while matching.passes > 0 && self.allowance > 0 {
                let open = self.open.iter().filter_map(|id| self.order(id));
                let next = open
                    .filter(|order| order.terms.class == class.id())
                    .map(|order| (order.placed, order.id))
                    .filter(|place| matching.last.is_none_or(|last| *place > last))
                    .min();
                matching.last = next;
                match next {
                    None => matching.passes -= 1,
                    Some((_, id)) => {
                        let terms = self.order(&id).expect("it is open").terms.clone();
                        if let Some(offer) = self.search(&terms) {
                            self.open_lease(id, offer);
                        }
                    }
                }
            }
            self.matching.insert(class.id(), matching);
        }
    }

    /// Opens the lease of an order that an offer takes; its budget sits in its row.
    pub(super) fn open_lease(&mut self, order: OrderId, offer: OfferId) {
        let now = self.time;
        let order = self.order(&order).expect("it is kept").clone();
        let offer = self.offer(&offer).expect("it stands").clone();
        let provider = self.provider(&offer.provider).expect("it has an offer");
        let escrow = self.takes(&offer, &order.terms).expect("it takes the order");
        let class = classes::find(order.terms.class).expect("it was checked");
        let id = LeaseId::from(order.id);
        let start_by = now.after(self.parameters.start_window_ms);
        let ends = now.after(order.terms.duration);
        let units = class.units_max(order.terms.spec.as_slice()).expect("it was checked");
        let price = price(&offer, units).expect("it takes the order");
        let exposure = self.exposure(&order.terms.audit, price).expect("it takes the order");
        self.book.transfer(Row::Order(order.id), Row::Escrow(id), Asset::Usd, escrow);
        let tenant_row = Row::Wallet(order.tenant);
        self.book.transfer_all(Row::Order(order.id), tenant_row, Asset::Usd);
        self.open.remove(&order.id);
        self.leases.push(Lease {
            id,
            order: order.id,
            offer: offer.id,
            class: order.terms.class,
            tenant: order.tenant,
            provider: offer.provider,
            node_key: provider.node_key,
            rate: offer.terms.rate,
            minimum: offer.terms.minimum,
            units_max: units,
            audit: order.terms.audit,
            escrow,
            created: now,
            ends,
            state: LeaseState::Pending { start_by },
            receipts: 0,
            settlement: Settlement::default(),
            check: CheckState::Unchecked,
            exposure: Amount::new(exposure).expect("a stake covers it"),
            release: None,
        });
        self.due.retain(|(_, what)| *what != What::OrderExpires(order.id));
        self.wait(id, start_by.min(ends));
        self.events.push(Event::LeaseOpened {
            lease: id,
            order: order.id,
            offer: offer.id,
            class: order.terms.class,
            tenant: order.tenant,
            provider: offer.provider,
            escrow,
        });
    }
}

fn price(offer: &Offer, units: Units) -> Option<Amount> {
    Some(offer.terms.minimum.max(offer.terms.rate.cost(units).ok()?))
}

/// Returns the price by which offers are listed.
pub(crate) fn listed_price(offer: &Offer) -> Amount {
    price(offer, Units::new(1_000_000).expect("in range")).expect("a rate fits an amount")
}

/// Returns a region's name; empty for no region.
fn name(value: &Value) -> &str {
    match value {
        Value::Text(text) => text.as_str().trim_end_matches('\0'),
        _ => "",
    }
}

/// Returns the region on which the whole constraint depends; empty for none.
fn demanded_region(constraint: &Constraint) -> &str {
    let parts = match constraint.expression() {
        Expression::And(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    parts.iter().find_map(region_of).unwrap_or("")
}

fn region_of(atom: &Expression) -> Option<&str> {
    let Expression::Atom(Atom { key, test: Test::Compare(Comparison::Equal, value), .. }) = atom
    else {
        return None;
    };
    match value {
        Value::Text(text) if key.as_str() == "region" && text.as_str().len() <= 16 => {
            Some(name(value))
        }
        _ => None,
    }
}
