//! Which offer takes an order.
//!
//! An order that names offers tries these in its order. Another walks the market's index, which
//! stands in the order of price and then of time, under the region that its constraint demands.
//! All orders that name none share a block's allowance of offers to examine; what they leave over
//! lets open orders try again, each class from where its search stopped, for as many passes
//! through its queue as it was granted.

use classes::Class;
use types::{
    Amount, Asset, AuditTerms, ClassId, Constraint, Offer, OfferId, OfferTerms, Order, OrderId,
    OrderTerms, OutOfRange, Provider, Time, Truth, Units, Value, codec,
    constraint::{Comparison, Expression, Test, evaluate},
    limits::BLOCK_OFFERS_EXAMINED_MAX,
};

use crate::{
    key::{Due, Key, Prefix, Region, Row},
    lease,
    state::{Broken, State},
};

/// Passes through its open orders that a class gets when something may have changed for them: the
/// first may begin in the middle of the queue.
const PASSES: u8 = 2;

/// The claim that the market's index knows.
pub(crate) const REGION_CLAIM: &str = "region";

/// What an order asks of an offer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand<'a> {
    pub(crate) class: &'static dyn Class,
    pub(crate) terms: &'a OrderTerms,
    /// The most units that its specification can use.
    pub(crate) units: Units,
}

/// An offer that takes an order, with all that its lease needs.
#[derive(Debug, Clone)]
pub(crate) struct Take {
    pub(crate) offer: Offer,
    pub(crate) provider: Provider,
    pub(crate) leased: u32,
    pub(crate) units: Units,
    /// The most that the work can cost.
    pub(crate) price: Amount,
    /// The premium on that.
    pub(crate) premium: Amount,
    /// What of the provider's stake it takes up.
    pub(crate) exposure: Amount,
}

/// Why an offer does not take an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// It is not standing.
    Gone,
    /// It is of another class.
    OtherClass,
    /// It has expired.
    Expired,
    /// Its provider is suspended.
    Suspended,
    /// Its provider's stake is below the minimum.
    StakeShort,
    /// All its slots serve leases.
    Full,
    /// It costs more than the budget.
    Budget,
    /// Its provider's stake does not cover more work that is not checked yet.
    Exposed,
    /// The class says that it cannot serve the specification.
    Mismatch(&'static str),
    /// Its claims do not make the constraint true.
    Constraint,
}

/// What came of examining an offer.
#[derive(Debug)]
pub(crate) enum Examined {
    Takes(Box<Take>),
    /// The offer is handed back for an explanation, if there is one.
    Not(Obstacle, Option<Box<Offer>>),
}

/// Examines whether an offer takes an order now.
pub(crate) fn examine(state: &State, demand: &Demand<'_>, id: OfferId) -> Result<Examined, Broken> {
    let Some(offer) = state.get::<Offer>(Key::Offer(id))? else {
        return Ok(Examined::Not(Obstacle::Gone, None));
    };
    let provider: Provider = state.need(Key::Provider(offer.provider))?;
    let leased = state.get(Key::OfferLeased(id))?.unwrap_or(0);
    let obstacle = match price(demand, &offer) {
        _ if offer.terms.class != demand.terms.class => Obstacle::OtherClass,
        _ if offer.terms.expires <= state.now() => Obstacle::Expired,
        _ if provider.suspended_until > state.now() => Obstacle::Suspended,
        _ if !is_staked(state, &provider)? => Obstacle::StakeShort,
        _ if leased >= offer.terms.slots => Obstacle::Full,
        None => Obstacle::Budget,
        Some((price, premium)) => match covered(state, &demand.terms.audit, price, &provider)? {
            None => Obstacle::Exposed,
            Some(exposure) => match suits(state, demand, &offer) {
                Some(obstacle) => obstacle,
                None => {
                    let units = demand.units;
                    let take = Take { offer, provider, leased, units, price, premium, exposure };
                    return Ok(Examined::Takes(Box::new(take)));
                }
            },
        },
    };
    Ok(Examined::Not(obstacle, Some(Box::new(offer))))
}

/// Returns the price and the premium on it, if both together are within the budget.
fn price(demand: &Demand<'_>, offer: &Offer) -> Option<(Amount, Amount)> {
    let price = offer.terms.rate.cost(demand.units).ok()?.max(offer.terms.minimum);
    let premium = demand.terms.audit.premium(price).ok()?;
    let total = price.plus(premium).ok()?;
    (total <= demand.terms.budget).then_some((price, premium))
}

/// Returns what of its provider's stake a lease at `price` takes up; without a token, nothing.
pub(crate) fn exposure(
    state: &State,
    audit: &AuditTerms,
    price: Amount,
) -> Result<Amount, OutOfRange> {
    match state.charter().token {
        true => state.parameters().exposure(audit, price),
        false => Ok(Amount::ZERO),
    }
}

/// Returns what of its provider's stake a lease at `price` takes up, if the stake covers it.
fn covered(
    state: &State,
    audit: &AuditTerms,
    price: Amount,
    provider: &Provider,
) -> Result<Option<Amount>, Broken> {
    let Ok(exposure) = exposure(state, audit, price) else { return Ok(None) };
    if exposure.is_zero() {
        return Ok(Some(exposure));
    }
    let stake = state.balance(Row::Stake(provider.address), Asset::Wild)?;
    let cover = state.parameters().cover(stake);
    let sum = provider.exposure.plus(exposure);
    Ok(sum.is_ok_and(|sum| sum <= cover).then_some(exposure))
}

/// Returns the price by which the market's index compares offers: that of a million units.
///
/// By the rate alone, an offer with no rate and a great minimum would come before all others.
pub(crate) fn listed_price(terms: &OfferTerms) -> Result<Amount, Broken> {
    let million = Units::new(1_000_000)?;
    Ok(terms.rate.cost(million)?.max(terms.minimum))
}

/// Returns whether a provider's stake lets its offers stand; without a token it always does.
pub(crate) fn is_staked(state: &State, provider: &Provider) -> Result<bool, Broken> {
    if !state.charter().token {
        return Ok(true);
    }
    let stake = state.balance(Row::Stake(provider.address), Asset::Wild)?;
    Ok(stake >= state.parameters().stake_minimum)
}

fn suits(state: &State, demand: &Demand<'_>, offer: &Offer) -> Option<Obstacle> {
    let Demand { class, terms, .. } = demand;
    let claims = &offer.terms.claims;
    if let Err(mismatch) =
        class.matches(terms.spec.as_slice(), offer.terms.terms.as_slice(), claims)
    {
        return Some(Obstacle::Mismatch(mismatch.0));
    }
    let truth = evaluate(&terms.constraint, claims, state.now());
    (truth != Truth::True).then_some(Obstacle::Constraint)
}

/// Returns the region that a constraint demands: its first top-level `region == "…"`.
pub(crate) fn region_of(constraint: &Constraint) -> Region {
    let parts = match constraint.expression() {
        Expression::And(parts) => parts.as_slice(),
        part => std::slice::from_ref(part),
    };
    let demanded = parts.iter().find_map(|part| match part {
        Expression::Atom(atom) if atom.key.as_str() == REGION_CLAIM => match &atom.test {
            Test::Compare(Comparison::Equal, Value::Text(name)) => Region::new(name.as_str()),
            _ => None,
        },
        _ => None,
    });
    demanded.unwrap_or(Region::NONE)
}

/// Returns the offers that an order may take, in the order in which it tries them.
pub(crate) fn candidates<'a>(
    state: &'a State,
    terms: &'a OrderTerms,
) -> impl Iterator<Item = Result<OfferId, Broken>> + 'a {
    let named = terms.offers.iter().copied().map(Ok);
    let listed = terms.offers.is_empty().then(|| {
        let prefix = Prefix::OffersByPrice(terms.class, region_of(&terms.constraint));
        state.all(prefix).map(|entry| match entry? {
            (Key::OfferByPrice(_, _, _, _, offer), _) => Ok(offer),
            _ => Err(Broken),
        })
    });
    named.chain(listed.into_iter().flatten())
}

/// Looks for the first offer that takes an order, examining at most `allowance`; returns it and
/// how much of the allowance that used, at least one.
pub(crate) fn search(
    state: &State,
    demand: &Demand<'_>,
    allowance: usize,
) -> Result<(Option<Box<Take>>, usize), Broken> {
    let mut examined: usize = 0;
    for offer in candidates(state, demand.terms).take(allowance) {
        examined = examined.saturating_add(1);
        if let Examined::Takes(take) = examine(state, demand, offer?)? {
            return Ok((Some(take), examined));
        }
    }
    Ok((None, examined.max(1)))
}

/// Returns how many offers the block may still examine for orders that name none.
pub(crate) const fn allowance(state: &State) -> usize {
    BLOCK_OFFERS_EXAMINED_MAX.saturating_sub(state.block.examined)
}

/// Where the search for the open orders of a class stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Matching {
    /// The order that was examined last, by its place in the queue.
    last: Option<Place>,
    /// How many arrivals at the end of the queue are left.
    passes: u8,
}
codec!(struct Matching { last, passes });

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    placed: Time,
    order: OrderId,
}
codec!(struct Place { placed, order });

/// Lets the open orders of a class try again.
pub(crate) fn grant_passes(state: &mut State, class: ClassId) -> Result<(), Broken> {
    let matching: Matching = state.get(Key::Matching(class))?.unwrap_or_default();
    if matching.passes == PASSES {
        return Ok(());
    }
    state.put(Key::Matching(class), &Matching { passes: PASSES, ..matching })
}

/// Returns whether the end of the next block would search for open orders.
pub(crate) fn is_waiting(state: &State) -> bool {
    let waits = |class: ClassId| {
        let queue = Prefix::OpenOrders(class).to_bytes();
        let first = state.map().first_from(queue.as_slice());
        state.has(Key::Matching(class))
            && first.is_some_and(|(key, _)| key.starts_with(queue.as_slice()))
    };
    classes::CLASSES.iter().any(|class| waits(class.id()))
}

/// Matches open orders with what is left of the block's allowance.
pub(crate) fn run(state: &mut State) {
    for class in classes::CLASSES {
        while allowance(state) > 0 && state.has(Key::Matching(class.id())) {
            let tried = state.attempt(|state| next_order(state, *class));
            if tried.is_err() {
                debug_assert!(false, "an open order found the state inconsistent");
                break;
            }
        }
    }
}

/// Tries the next open order of a class, or notes that its queue is at its end.
fn next_order(state: &mut State, class: &'static dyn Class) -> Result<(), Broken> {
    let key = Key::Matching(class.id());
    let matching: Matching = state.need(key)?;
    let after =
        matching.last.map(|Place { placed, order }| Key::OpenOrder(class.id(), placed, order));
    let next = state.after(Prefix::OpenOrders(class.id()), after).next().transpose()?;
    match next {
        Some((Key::OpenOrder(_, placed, order), _)) => {
            let last = Some(Place { placed, order });
            state.put(key, &Matching { last, ..matching })?;
            try_open(state, class, order)
        }
        Some(_) => Err(Broken),
        None => {
            match matching.passes.saturating_sub(1) {
                0 => state.remove(key),
                passes => state.put(key, &Matching { last: None, passes })?,
            }
            Ok(())
        }
    }
}

fn try_open(state: &mut State, class: &'static dyn Class, id: OrderId) -> Result<(), Broken> {
    let order: Order = state.need(Key::Order(id))?;
    let units = class.units_max(order.terms.spec.as_slice()).map_err(|_| Broken)?;
    let demand = Demand { class, terms: &order.terms, units };
    let (take, examined) = search(state, &demand, allowance(state))?;
    state.block.examined = state.block.examined.saturating_add(examined);
    let Some(take) = take else {
        return Ok(());
    };
    lease::open(state, id, order.tenant, &order.terms, *take, Row::Order(id))?;
    forget_open(state, &order)?;
    state.book().empty(Row::Order(id), Row::Wallet(order.tenant), Asset::Usd)?;
    Ok(())
}

/// Takes an order out of the queue of open ones.
pub(crate) fn forget_open(state: &mut State, order: &Order) -> Result<(), Broken> {
    state.remove(Key::OpenOrder(order.terms.class, order.placed, order.id));
    state.unschedule(order.terms.expires, Due::OrderExpiry(order.id));
    let key = Key::Account(order.tenant);
    let mut account: types::Account = state.need(key)?;
    account.open_orders = account.open_orders.checked_sub(1).ok_or(Broken)?;
    state.put(key, &account)
}
