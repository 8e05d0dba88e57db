//! The life of a lease: how it opens, and how it is settled when it closes.
//!
//! A lease stands in the queue of what happens by itself exactly once, at the time that its state
//! waits for: its start, its end, its deadline, the end of its grace; closed, each step of the
//! check of its work, its release, and then its archiving. While it waits for a draw it stands
//! among the draws instead.
//!
//! What its work costs waits in `Pending` until the check is over. Then it is paid, or the tenant
//! has it back.

use types::{
    Address, Amount, Asset, CheckState, Duration, Event, Lease, LeaseId, LeaseState, OrderId,
    OrderTerms, Provider, Settlement, Tally,
};

pub(crate) use types::CloseReason;

use crate::{
    archive, audit, dispute, epoch,
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
    let Take { offer, mut provider, leased, units, price, premium, exposure } = take;
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
    provider.exposure = provider.exposure.plus(exposure)?;
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
        check: CheckState::Unchecked,
        exposure,
        release: None,
    };
    state.put(Key::Lease(id), &lease)?;
    state.mark(Key::LeaseByProvider(provider.address, id));
    schedule(state, &lease)?;
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

/// Returns where a lease waits, until it is paid or refunded: for a draw, or for a time.
fn place(lease: &Lease) -> Option<Key> {
    let time = match lease.state {
        LeaseState::Pending { start_by } => start_by.min(lease.ends),
        LeaseState::Active { .. } => lease.ends,
        LeaseState::Reclaiming { deadline, .. } => deadline,
        LeaseState::Closing { until, .. } => until,
        LeaseState::Closed { .. } => match lease.check {
            CheckState::Waiting { height } => return Some(Key::Draw(height, lease.id)),
            check => check.awaited().or(lease.release)?,
        },
    };
    Some(Key::Due(time, Due::Lease(lease.id)))
}

fn schedule(state: &mut State, lease: &Lease) -> Result<(), Broken> {
    let leader = state.block.leader;
    match place(lease) {
        Some(place @ Key::Draw(..)) => state.add(place, &leader),
        Some(place) => {
            state.mark(place);
            Ok(())
        }
        None => Ok(()),
    }
}

fn unschedule(state: &mut State, lease: &Lease) {
    if let Some(place) = place(lease) {
        state.remove(place);
    }
}

/// Returns the check of work of which a draw is to decide who does it once more.
pub(crate) const fn waiting(state: &State) -> CheckState {
    CheckState::Waiting { height: state.network.height }
}

/// Takes a lease to another state in which it is not closed.
pub(crate) fn advance(state: &mut State, mut lease: Lease, to: LeaseState) -> Result<(), Broken> {
    unschedule(state, &lease);
    lease.state = to;
    schedule(state, &lease)?;
    state.put(Key::Lease(lease.id), &lease)
}

/// Takes the check of a closed lease's work on; one that is over lets the lease be released.
pub(crate) fn check(state: &mut State, lease: &mut Lease, to: CheckState) -> Result<(), Broken> {
    unschedule(state, lease);
    lease.check = to;
    if !to.is_under_way() {
        // Its tenant may say that it is wrong, whatever auditors said.
        let window = state.parameters().release_window_ms;
        let is_drawn = state.has(Key::Audit(lease.id)) || state.has(Key::Dispute(lease.id));
        let earliest = if is_drawn { state.now().after(window) } else { state.now() };
        lease.release = lease.release.map(|release| release.max(earliest));
        let &mut Lease { id, tenant, provider, .. } = lease;
        state.emit(Event::Checked { lease: id, tenant, provider, check: to });
    }
    schedule(state, lease)?;
    state.put(Key::Lease(lease.id), lease)
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
        LeaseState::Closed { .. } => match lease.check {
            CheckState::Waiting { .. } => audit::draw(state, lease),
            CheckState::Committing { .. } => audit::end_commits(state, lease),
            CheckState::Revealing { .. } => audit::end_round(state, lease),
            CheckState::Disputed { .. } => dispute::lapse(state, lease),
            _ if state.has(Key::Book(Row::Pending(id), Asset::Usd)) => release(state, lease),
            _ => archive::take(state, id),
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
    lock(state, &lease)?;
    lease.state = LeaseState::Closed { at: now, reason };
    let parameters = state.parameters();
    if lease.receipts > 0 && lease.audit.auditors > 0 {
        lease.check = waiting(state);
    }
    if !lease.settlement.gross.is_zero() {
        lease.release = Some(now.after(parameters.release_window_ms));
    }
    match place(&lease) {
        Some(_) => schedule(state, &lease)?,
        None => schedule_archive(state, lease.id),
    }
    free(state, &mut lease)?;
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

/// Pays what a closed lease's work costs, unless its provider was found cheating meanwhile: what
/// is not paid to a cheat yet, and nobody checked, it never gets.
fn release(state: &mut State, mut lease: Lease) -> Result<(), Broken> {
    let mut provider: Provider = state.need(Key::Provider(lease.provider))?;
    let is_cheat = provider.slashed.is_some_and(|slashed| slashed >= lease.created);
    if is_cheat && lease.check != CheckState::Passed {
        check(state, &mut lease, CheckState::Forfeited)?;
        // The premium was for the draw.
        return refund(state, lease, Amount::ZERO);
    }
    if !lease.exposure.is_zero() {
        uncover(state, &mut lease, &mut provider)?;
        state.put(Key::Lease(lease.id), &lease)?;
    }
    let Settlement { units, gross, burn, treasury, net, .. } = lease.settlement;
    let parts =
        [(Row::Buyback, burn), (Row::Treasury, treasury), (Row::Wallet(lease.provider), net)];
    state.book().divide(Row::Pending(lease.id), &parts, Asset::Usd)?;
    let mut tally: Tally = epoch::tally(state, lease.class)?;
    tally.supply.earning = tally.supply.earning.saturating_plus(units);
    if lease.check == CheckState::Passed {
        tally.supply.verified = tally.supply.verified.saturating_plus(units);
    }
    tally.income.revenue = tally.income.revenue.saturating_plus(gross);
    tally.income.burn = tally.income.burn.saturating_plus(burn);
    state.put(Key::Tally(lease.class), &tally)?;
    state.emit(Event::Released { lease: lease.id, provider: lease.provider, amount: net });
    schedule_archive(state, lease.id);
    Ok(())
}

/// Lets what a lease took up of its provider's stake cover other work.
fn uncover(state: &mut State, lease: &mut Lease, provider: &mut Provider) -> Result<(), Broken> {
    provider.exposure = provider.exposure.minus(lease.exposure)?;
    lease.exposure = Amount::ZERO;
    state.put(Key::Provider(lease.provider), provider)?;
    matching::grant_passes(state, lease.class)
}

/// Gives a tenant its money back: what its work would have cost, and of its premium what the pool
/// has of `premium_back`.
pub(crate) fn refund(
    state: &mut State,
    mut lease: Lease,
    premium_back: Amount,
) -> Result<(), Broken> {
    unschedule(state, &lease);
    let Lease { id, tenant, provider: address, .. } = lease;
    let Settlement { gross, premium, refund, .. } = lease.settlement;
    let wallet = Row::Wallet(tenant);
    state.book().transfer(Row::Pending(id), wallet, Asset::Usd, gross)?;
    let back = audit::pay_from_pool(state, wallet, premium_back)?;
    let amount = gross.plus(back)?;
    lease.settlement = Settlement {
        premium: premium.minus(back)?,
        refund: refund.plus(amount)?,
        ..Settlement::default()
    };
    lease.release = None;
    if !lease.exposure.is_zero() {
        let mut provider: Provider = state.need(Key::Provider(address))?;
        uncover(state, &mut lease, &mut provider)?;
    }
    state.put(Key::Lease(id), &lease)?;
    state.emit(Event::Refunded { lease: id, tenant, provider: address, amount });
    schedule_archive(state, id);
    Ok(())
}

fn schedule_archive(state: &mut State, id: LeaseId) {
    let parameters = state.parameters();
    let kept_ms =
        u64::from(parameters.closed_lease_epochs).saturating_mul(parameters.epoch_ms.as_ms());
    let archived = state.now().after(Duration::from_ms(kept_ms));
    state.schedule(archived, Due::Lease(id));
}

/// Divides the escrow as the settlement says; what the work costs waits.
fn lock(state: &mut State, lease: &Lease) -> Result<(), Broken> {
    let Settlement { gross, premium, refund, .. } = lease.settlement;
    let parts = [
        (Row::Pending(lease.id), gross),
        (Row::AuditPool, premium),
        (Row::Wallet(lease.tenant), refund),
    ];
    state.book().divide(Row::Escrow(lease.id), &parts, Asset::Usd)
}

/// Frees the slot that a lease took, and the stake that its price took up beyond what it costs.
fn free(state: &mut State, lease: &mut Lease) -> Result<(), Broken> {
    state.remove(Key::LeaseByProvider(lease.provider, lease.id));
    let mut provider: Provider = state.need(Key::Provider(lease.provider))?;
    provider.leases = provider.leases.checked_sub(1).ok_or(Broken)?;
    let exposure = match lease.receipts {
        0 => Amount::ZERO,
        _ => matching::exposure(state, &lease.audit, lease.settlement.gross)
            .map_or(lease.exposure, |exposure| exposure.min(lease.exposure)),
    };
    provider.exposure = provider.exposure.minus(lease.exposure.minus(exposure)?)?;
    lease.exposure = exposure;
    state.put(Key::Provider(lease.provider), &provider)?;
    let leased: u32 = state.need(Key::OfferLeased(lease.offer))?;
    match leased.checked_sub(1).ok_or(Broken)? {
        0 => state.remove(Key::OfferLeased(lease.offer)),
        leased => state.put(Key::OfferLeased(lease.offer), &leased)?,
    }
    matching::grant_passes(state, lease.class)
}
