//! `submit-receipt`: a meter reading that a provider signed; anyone may carry it.

use classes::{Assurance, Class};
use types::{
    DecodeError, Event, Lease, LeaseState, Reader, Receipt, Reject, SignedReceipt, Time, Units,
    limits::SPEC_BYTES_MAX,
};

use super::{Context, Execute, known_lease};
use crate::{
    key::Key,
    lease::{self, CloseReason},
    state::{Broken, State},
};

pub(super) struct SubmitReceipt<'a> {
    pub(super) signed: &'a SignedReceipt,
}

pub(super) struct Plan<'a> {
    signed: &'a SignedReceipt,
    /// The lease with the receipt counted.
    lease: Lease,
    /// Whether the class allows no further receipt.
    is_last: bool,
}

impl<'a> Execute for SubmitReceipt<'a> {
    type Plan = Plan<'a>;

    fn check(&self, state: &State, context: &Context) -> Result<Plan<'a>, Reject> {
        let &Self { signed } = self;
        let receipt = &signed.receipt;
        let mut lease = known_lease(state, receipt.lease)?;
        let since = match lease.state {
            LeaseState::Active { since }
            | LeaseState::Reclaiming { since, .. }
            | LeaseState::Closing { since, .. } => since,
            LeaseState::Pending { .. } | LeaseState::Closed { .. } => {
                return Err(Reject::LeaseState);
            }
        };
        let class = classes::find(lease.class).ok_or(Broken)?;
        check_signatures(class, signed, &lease)?;
        if receipt.sequence.checked_sub(1) != Some(lease.receipts)
            || receipt.sequence > class.receipts_max()
        {
            return Err(Reject::ReceiptSequence);
        }
        let begins = begins(state, &lease, since)?;
        if receipt.from != begins || receipt.to < receipt.from || receipt.to > context.now {
            return Err(Reject::ReceiptRange);
        }
        let units = units(state, class, &lease, receipt)?;
        if units < lease.settlement.units || units > lease.units_max {
            return Err(Reject::ReceiptUsage);
        }
        lease.receipts = receipt.sequence;
        lease.settlement.units = units;
        Ok(Plan { signed, lease, is_last: receipt.sequence == class.receipts_max() })
    }

    fn apply(plan: Plan<'a>, state: &mut State, _: &Context) -> Result<(), Broken> {
        let Plan { signed, lease, is_last } = plan;
        state.put(Key::Receipt(lease.id, lease.receipts), signed)?;
        state.emit(Event::ReceiptAccepted {
            lease: lease.id,
            tenant: lease.tenant,
            provider: lease.provider,
            sequence: lease.receipts,
            units: lease.settlement.units,
        });
        if is_last {
            return lease::close(state, lease, CloseReason::ProviderCompleted);
        }
        state.put(Key::Lease(lease.id), &lease)
    }
}

fn check_signatures(
    class: &dyn Class,
    signed: &SignedReceipt,
    lease: &Lease,
) -> Result<(), Reject> {
    if signed.node_key != lease.node_key {
        return Err(Reject::ReceiptKey);
    }
    let holds = match &signed.countersignature {
        Some(counter) => counter.tenant == lease.tenant,
        None => class.assurance() != Assurance::Countersigned,
    };
    if holds { Ok(()) } else { Err(Reject::ReceiptCountersignature) }
}

/// Returns where the range of the next receipt begins.
fn begins(state: &State, lease: &Lease, since: Time) -> Result<Time, Broken> {
    if lease.receipts == 0 {
        return Ok(since);
    }
    let last: SignedReceipt = state.need(Key::Receipt(lease.id, lease.receipts))?;
    Ok(last.receipt.to)
}

fn units(
    state: &State,
    class: &dyn Class,
    lease: &Lease,
    receipt: &Receipt,
) -> Result<Units, Reject> {
    let order = state.get_bytes(Key::Order(lease.order)).ok_or(Broken)?;
    let spec = spec_of(order).map_err(Broken::from)?;
    class.units(spec, receipt.usage.as_slice()).map_err(|_| Reject::ReceiptMalformed)
}

/// Returns the specification in an encoded order, without decoding the rest.
pub(crate) fn spec_of(order: &[u8]) -> Result<&[u8], DecodeError> {
    /// Identifier, tenant, time and class.
    const BEFORE_SPEC_BYTES: usize = 32 + 32 + 8 + 2;
    let mut reader = Reader::new(order);
    reader.take(BEFORE_SPEC_BYTES)?;
    let count = reader.count(SPEC_BYTES_MAX)?;
    reader.take(count)
}
