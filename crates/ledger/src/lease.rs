//! The life of a lease: how it opens, and how it is settled when it closes.

use types::{
    Asset, Event, Lease, LeaseId, LeaseState, OrderId, OrderTerms, Settlement, Tally, Units,
};

pub(crate) use types::CloseReason;

use crate::{
    epoch,
    key::{Due, Key, Row},
    matching::{self, Take},
    settlement::{self, Owed},
    state::{Broken, State},
};

/// Opens the lease of an order that an offer takes; its escrow comes out of `from`.
pub(crate) fn open(
    state: &mut State,
    order: OrderId,
    tenant: types::Address,
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
    state.put(Key::OfferLeased(offer.id), &leased.checked_add(1).ok_or(Broken)?)?;
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
    state.schedule(start_by, Due::StartBy(id));
    state.schedule(ends, Due::Ends(id));
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

/// Settles a lease that is not closed yet, and closes it.
pub(crate) fn close(
    state: &mut State,
    mut lease: Lease,
    reason: CloseReason,
) -> Result<(), Broken> {
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
    lease.release = None;
    if !lease.settlement.net.is_zero() {
        let release = now.after(state.parameters().release_window_ms);
        lease.release = Some(release);
        state.schedule(release, Due::Release(lease.id));
    }
    let kept = u64::from(state.parameters().closed_lease_epochs)
        .saturating_mul(state.parameters().epoch_ms.as_ms());
    let archived = lease.release.unwrap_or(now).after(types::Duration::from_ms(kept));
    state.schedule(archived, Due::Archive(lease.id));
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
    for (row, amount) in parts {
        state.book().transfer(Row::Escrow(lease.id), row, Asset::Usd, amount)?;
    }
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
    let mut provider: types::Provider = state.need(Key::Provider(lease.provider))?;
    provider.leases = provider.leases.checked_sub(1).ok_or(Broken)?;
    state.put(Key::Provider(lease.provider), &provider)?;
    let leased: u32 = state.need(Key::OfferLeased(lease.offer))?;
    match leased.checked_sub(1).ok_or(Broken)? {
        0 => state.remove(Key::OfferLeased(lease.offer)),
        leased => state.put(Key::OfferLeased(lease.offer), &leased)?,
    }
    matching::grant_passes(state, lease.class)
}
