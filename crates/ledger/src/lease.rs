//! The life of a lease: how it opens, and how it is settled when it closes.
//!
//! A lease stands in the queue of what happens by itself exactly once, at the time that its state
//! waits for: its start, its end, its deadline, the end of its grace; closed, the release of the
//! provider's part and then its archiving.

use types::{
    Address, Amount, Asset, Duration, Event, Lease, LeaseId, LeaseState, OrderId, OrderTerms,
    Provider, Settlement, Tally, Time, Units,
};

pub(crate) use types::CloseReason;

use crate::{
    archive, epoch,
    key::{Due, Key, Row},
    matching::{self, Take},
    settlement::{self, Owed},
    state::{Broken, State},
};

/// Opens the lease of an order that an offer takes; its escrow comes out of `from`.
pub(crate) fn open(
    state: &mut State,
    order: OrderId,
    tenant: Address,
    terms: &OrderTerms,
    take: Take,
    from: Row,
) -> Result<(), Broken> {
    let Take { offer, mut provider, leased, units, price, premium } = take;
    let (id, now) = (LeaseId::from(order), state.now());
    let escrow = price.plus(premium)?;
    let start_by = now.after(state.parameters().start_window_ms);
    let ends = now.after(terms.duration);
    state.book().transfer(from, Row::Escrow(id), Asset::Usd, escrow)?;
    match leased {
        0 => state.add(Key::OfferLeased(offer.id), &1_u32)?,
        _ => state.put(Key::OfferLeased(offer.id), &leased.checked_add(1).ok_or(Broken)?)?,
    }
    provider.leases = provider.leases.checked_add(1).ok_or(Broken)?;
    state.put(Key::Provider(provider.address), &provider)?;
    let lease = Lease {
        id,
        order,
        offer: offer.id,
        class: terms.class,
        tenant,
        provider: provider.address,
        node_key: provider.node_key,
        rate: offer.terms.rate,
        minimum: offer.terms.minimum,
        units_max: units,
        audit: terms.audit,
        escrow,
        created: now,
        ends,
        state: LeaseState::Pending { start_by },
        receipts: 0,
        settlement: Settlement::default(),
        release: None,
    };
    state.put(Key::Lease(id), &lease)?;
    state.mark(Key::LeaseByProvider(provider.address, id));
    schedule(state, &lease);
    state.emit(Event::LeaseOpened {
        lease: id,
        order,
        offer: offer.id,
        class: terms.class,
        tenant,
        provider: provider.address,
        escrow,
    });
    Ok(())
}

/// Returns what a lease that is not closed waits for by itself.
fn awaited(lease: &Lease) -> Option<Time> {
    match lease.state {
        LeaseState::Pending { start_by } => Some(start_by.min(lease.ends)),
        LeaseState::Active { .. } => Some(lease.ends),
        LeaseState::Reclaiming { deadline, .. } => Some(deadline),
        LeaseState::Closing { until, .. } => Some(until),
        LeaseState::Closed { .. } => None,
    }
}

fn schedule(state: &mut State, lease: &Lease) {
    if let Some(time) = awaited(lease) {
        state.schedule(time, Due::Lease(lease.id));
    }
}

fn unschedule(state: &mut State, lease: &Lease) {
    if let Some(time) = awaited(lease) {
        state.unschedule(time, Due::Lease(lease.id));
    }
}

/// Takes a lease to another state in which it is not closed.
pub(crate) fn advance(state: &mut State, mut lease: Lease, to: LeaseState) -> Result<(), Broken> {
    unschedule(state, &lease);
    lease.state = to;
    schedule(state, &lease);
    state.put(Key::Lease(lease.id), &lease)
}

/// Lets happen what a lease waited for.
pub(crate) fn happen(state: &mut State, id: LeaseId) -> Result<(), Broken> {
    let lease: Lease = state.need(Key::Lease(id))?;
    match lease.state {
        LeaseState::Pending { start_by } if start_by <= lease.ends => {
            let provider = lease.provider;
            close(state, lease, CloseReason::ProviderNoStart)?;
            count_no_start(state, provider)
        }
        LeaseState::Pending { .. } | LeaseState::Active { .. } => {
            close(state, lease, CloseReason::NetworkEnded)
        }
        LeaseState::Reclaiming { .. } => close(state, lease, CloseReason::ProviderReclaimed),
        LeaseState::Closing { reason, .. } => close(state, lease, reason),
        LeaseState::Closed { .. } => match release(state, &lease)? {
            Amount::ZERO => archive::take(state, id),
            _ => Ok(()),
        },
    }
}

/// Counts a lease that a provider did not start, and suspends its offers when it is one too many.
fn count_no_start(state: &mut State, address: Address) -> Result<(), Broken> {
    let mut provider: Provider = state.need(Key::Provider(address))?;
    if provider.no_starts_epoch != state.network.epoch {
        provider.no_starts_epoch = state.network.epoch;
        provider.no_starts = 0;
    }
    provider.no_starts = provider.no_starts.saturating_add(1);
    if provider.no_starts >= state.parameters().no_starts_max {
        let until = state.now().after(state.parameters().epoch_ms);
        provider.suspended_until = until;
        state.emit(Event::Suspended { provider: address, until });
    }
    state.put(Key::Provider(address), &provider)
}

/// Settles a lease that is not closed yet, and closes it.
pub(crate) fn close(
    state: &mut State,
    mut lease: Lease,
    reason: CloseReason,
) -> Result<(), Broken> {
    unschedule(state, &lease);
    let now = state.now();
    let started_then_closed =
        reason == CloseReason::TenantClosed && matches!(lease.state, LeaseState::Closing { .. });
    let owed = match lease.receipts {
        0 if started_then_closed => Owed::Minimum,
        0 => Owed::Nothing,
        _ => Owed::Units(lease.settlement.units),
    };
    let terms = settlement::Terms {
        rate: lease.rate,
        minimum: lease.minimum,
        audit: lease.audit,
        escrow: lease.escrow,
    };
    lease.settlement = settlement::split(&terms, owed, state.parameters())?;
    pay(state, &lease)?;
    lease.state = LeaseState::Closed { at: now, reason };
    lease.release = match lease.settlement.net.is_zero() {
        true => None,
        false => Some(now.after(state.parameters().release_window_ms)),
    };
    match lease.release {
        Some(release) => state.schedule(release, Due::Lease(lease.id)),
        None => schedule_archive(state, lease.id),
    }
    free(state, &lease)?;
    state.put(Key::Lease(lease.id), &lease)?;
    state.emit(Event::LeaseClosed {
        lease: lease.id,
        class: lease.class,
        tenant: lease.tenant,
        provider: lease.provider,
        reason,
        settlement: lease.settlement,
    });
    Ok(())
}

/// Gives a closed lease's provider its part and returns how much that is; nothing if it has it.
fn release(state: &mut State, lease: &Lease) -> Result<Amount, Broken> {
    let &Lease { id, provider, .. } = lease;
    let amount = state.book().empty(Row::Pending(id), Row::Wallet(provider), Asset::Usd)?;
    if !amount.is_zero() {
        state.emit(Event::Released { lease: id, provider, amount });
        schedule_archive(state, id);
    }
    Ok(amount)
}

fn schedule_archive(state: &mut State, id: LeaseId) {
    let parameters = state.parameters();
    let kept_ms =
        u64::from(parameters.closed_lease_epochs).saturating_mul(parameters.epoch_ms.as_ms());
    let archived = state.now().after(Duration::from_ms(kept_ms));
    state.schedule(archived, Due::Lease(id));
}

/// Pays out the escrow as the settlement says, and counts it.
fn pay(state: &mut State, lease: &Lease) -> Result<(), Broken> {
    let Settlement { units, gross, burn, treasury, net, premium, refund } = lease.settlement;
    let parts = [
        (Row::Buyback, burn),
        (Row::Treasury, treasury),
        (Row::Pending(lease.id), net),
        (Row::AuditPool, premium),
        (Row::Wallet(lease.tenant), refund),
    ];
    state.book().divide(Row::Escrow(lease.id), &parts, Asset::Usd)?;
    if units == Units::ZERO && gross.is_zero() {
        return Ok(());
    }
    let mut tally: Tally = epoch::tally(state, lease.class)?;
    tally.supply.earning = tally.supply.earning.saturating_plus(units);
    tally.income.revenue = tally.income.revenue.saturating_plus(gross);
    tally.income.burn = tally.income.burn.saturating_plus(burn);
    state.put(Key::Tally(lease.class), &tally)
}

/// Frees the slot that a lease took.
fn free(state: &mut State, lease: &Lease) -> Result<(), Broken> {
    state.remove(Key::LeaseByProvider(lease.provider, lease.id));
    let mut provider: Provider = state.need(Key::Provider(lease.provider))?;
    provider.leases = provider.leases.checked_sub(1).ok_or(Broken)?;
    state.put(Key::Provider(lease.provider), &provider)?;
    let leased: u32 = state.need(Key::OfferLeased(lease.offer))?;
    match leased.checked_sub(1).ok_or(Broken)? {
        0 => state.remove(Key::OfferLeased(lease.offer)),
        leased => state.put(Key::OfferLeased(lease.offer), &leased)?,
    }
    matching::grant_passes(state, lease.class)
}
