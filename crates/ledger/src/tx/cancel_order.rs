//! `cancel-order`: a tenant takes back an order that waits for a match.

use types::{Asset, Event, Order, OrderId, Reject};

use super::{Context, Execute};
use crate::{
    key::{Key, Row},
    matching,
    state::{Broken, State},
};

pub(super) struct CancelOrder {
    pub(super) order: OrderId,
}

pub(super) struct Plan {
    order: Order,
}

impl Execute for CancelOrder {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        match open_order(state, self.order)? {
            Some(order) if order.tenant == context.signer => Ok(Plan { order }),
            _ => Err(Reject::OrderUnknown),
        }
    }

    fn apply(plan: Plan, state: &mut State, _: &Context) -> Result<(), Broken> {
        take_back(state, &plan.order)
    }
}

/// Returns an order if it waits for a match.
pub(crate) fn open_order(state: &State, id: OrderId) -> Result<Option<Order>, Broken> {
    let order: Option<Order> = state.get(Key::Order(id))?;
    let is_open =
        |order: &Order| state.has(Key::OpenOrder(order.terms.class, order.placed, order.id));
    Ok(order.filter(is_open))
}

/// Takes back an order whose time has come.
pub(crate) fn lapse(state: &mut State, id: OrderId) -> Result<(), Broken> {
    let order = state.need(Key::Order(id))?;
    take_back(state, &order)
}

fn take_back(state: &mut State, order: &Order) -> Result<(), Broken> {
    let &Order { id, tenant, .. } = order;
    state.remove(Key::Order(id));
    matching::forget_open(state, order)?;
    state.book().empty(Row::Order(id), Row::Wallet(tenant), Asset::Usd)?;
    state.emit(Event::OrderClosed { order: id, tenant });
    Ok(())
}
