//! `place-order`: a tenant asks for work and is matched at once, or waits.

use types::{
    Account, Asset, Duration, Encode, Event, OrderId, OrderTerms, Readers, Reject, Time,
    limits::AUDITORS_MAX,
};

use super::{Context, Execute, covers};
use crate::{
    key::{Due, Key, Row},
    lease,
    matching::{self, Demand, Take},
    state::{Broken, State},
};

/// The shortest time that a lease may run.
const DURATION_MIN: Duration = Duration::from_seconds(1);

pub(super) struct PlaceOrder<'a> {
    pub(super) terms: &'a OrderTerms,
}

pub(super) struct Plan<'a> {
    terms: &'a OrderTerms,
    /// The offer that takes it; without one it waits.
    take: Option<Box<Take>>,
    /// How much of the block's allowance the search used.
    examined: usize,
}

impl<'a> Execute for PlaceOrder<'a> {
    type Plan = Plan<'a>;

    fn check(&self, state: &State, context: &Context) -> Result<Plan<'a>, Reject> {
        let &Self { terms } = self;
        let parameters = state.parameters();
        let demand = demand(state, terms)?;
        if context.account.open_orders >= parameters.open_orders_max {
            return Err(Reject::OrdersFull);
        }
        let wallet = Row::Wallet(context.signer);
        if !terms.offers.is_empty() {
            covers(state, wallet, Asset::Usd, terms.budget)?;
            let (take, _) = matching::search(state, &demand, terms.offers.len())?;
            let take = Some(take.ok_or(Reject::OrderUnmatched)?);
            return Ok(Plan { terms, take, examined: 0 });
        }
        // More than an amount can hold is more than any wallet holds.
        let locked = terms.budget.plus(parameters.storage_stake).map_err(|_| Reject::FundsShort)?;
        covers(state, wallet, Asset::Usd, locked)?;
        let (take, examined) = match matching::allowance(state) {
            0 => (None, 0),
            allowance => matching::search(state, &demand, allowance)?,
        };
        Ok(Plan { terms, take, examined })
    }

    fn apply(plan: Plan<'a>, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { terms, take, examined } = plan;
        let (id, tenant, placed) = (OrderId::from(context.id), context.signer, context.now);
        state.block.examined = state.block.examined.saturating_add(examined);
        // The fields of an order in their order, without a copy of the terms.
        state.put_with(Key::Order(id), |out| {
            id.encode(out);
            tenant.encode(out);
            placed.encode(out);
            terms.encode(out);
        })?;
        let &OrderTerms { class, budget, .. } = terms;
        state.emit(Event::OrderPlaced { order: id, tenant, class, budget });
        match take {
            Some(take) => lease::open(state, id, tenant, terms, *take, Row::Wallet(tenant)),
            None => wait(state, id, context, terms),
        }
    }
}

/// Puts an order into the queue of open ones and locks its funds.
fn wait(
    state: &mut State,
    id: OrderId,
    context: &Context,
    terms: &OrderTerms,
) -> Result<(), Broken> {
    let tenant = context.signer;
    let locked = terms.budget.plus(state.parameters().storage_stake)?;
    state.book().transfer(Row::Wallet(tenant), Row::Order(id), Asset::Usd, locked)?;
    let mut account: Account = state.need(Key::Account(tenant))?;
    account.open_orders = account.open_orders.checked_add(1).ok_or(Broken)?;
    state.put(Key::Account(tenant), &account)?;
    state.mark(Key::OpenOrder(terms.class, context.now, id));
    state.schedule(terms.expires, Due::OrderExpiry(id));
    if matching::allowance(state) == 0 {
        // Its search ended early; without a pass it might wait for long beside a fitting offer.
        matching::grant_passes(state, terms.class)?;
    }
    Ok(())
}

/// Checks what an order says by itself, and returns what it asks of offers.
pub(crate) fn demand<'a>(state: &State, terms: &'a OrderTerms) -> Result<Demand<'a>, Reject> {
    let (parameters, now): (_, Time) = (state.parameters(), state.now());
    let class = classes::find(terms.class).ok_or(Reject::ClassUnknown)?;
    let units = class.units_max(terms.spec.as_slice()).map_err(|_| Reject::OrderMalformed)?;
    if terms.expires <= now || terms.expires > now.after(parameters.market_horizon_ms) {
        return Err(Reject::OrderExpiry);
    }
    if terms.duration < DURATION_MIN || terms.duration > parameters.market_horizon_ms {
        return Err(Reject::OrderDuration);
    }
    let audit = terms.audit;
    let is_audited = audit.auditors > 0;
    let audit_holds = match audit.readers {
        Readers::Nobody => !is_audited && audit.probability.get() == 0,
        Readers::Auditors => {
            audit.probability >= class.audit_probability_min()
                && audit.auditors <= AUDITORS_MAX
                && is_audited == (audit.probability.get() > 0)
        }
    };
    if !audit_holds {
        return Err(Reject::OrderAudit);
    }
    if is_audited && class.judging_time(units) > parameters.judging() {
        return Err(Reject::OrderUnjudgeable);
    }
    if terms.budget < parameters.receipt_minimum {
        return Err(Reject::OrderBudget);
    }
    Ok(Demand { class, terms, units })
}
