//! A lease's bill, computed anew.
//!
//! ```text
//! gross    = max(minimum, ceil(rate × units / 10⁶)) with a receipt; without one the minimum if
//!            the tenant closed a lease that had started, otherwise zero
//! fee      = ceil(gross × (β + τ) / 10000)      burn = floor(gross × β / 10000)
//! treasury = fee − burn                         net  = gross − fee
//! premium  = ceil(gross × p × k / 10000)        with a receipt
//! refund   = escrow − gross − premium
//! ```
//!
//! Where the check of the work gave the tenant its money back, nothing is paid and everything but
//! what the pool lacked of the premium is refunded.
//!
//! β and τ are those in force when the lease was closed. A change takes effect at the beginning of
//! a block, where it stands among what else is due; so in a block that changes them, leases may
//! have been settled with either. Of two changes in one block the one between is not shown, and a
//! lease that was settled with it would be refused.

use thiserror::Error;
use types::{Amount, CloseReason, Lease, LeaseState, OutOfRange, Parameters, Units};

use crate::output::usd;

/// Why a bill is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum MoneyError {
    /// A part is not what it must be.
    #[error("{part} is {found}, and must be {expected}")]
    Part {
        /// Which part.
        part: &'static str,
        /// What the lease says.
        found: Amount,
        /// What follows from the receipt and the network's parameters.
        expected: Amount,
    },
    /// The parts do not follow from what was locked.
    #[error("more is owed than was locked")]
    Range,
    /// A lease that is not closed has paid somebody.
    #[error("money moved before the lease was closed")]
    Early,
    /// Nothing shows the parameters that were in force.
    #[error("the parameters in force when the lease was closed are not shown")]
    Unshown,
}

impl From<OutOfRange> for MoneyError {
    fn from(OutOfRange: OutOfRange) -> Self {
        Self::Range
    }
}

/// Checks a lease's settlement and returns it in words. The last receipt, if there is one, bills
/// so many units. Of the parameters, `either` may have been in force.
pub(super) fn check(
    lease: &Lease,
    billed: Option<Units>,
    either: &[Parameters],
) -> Result<String, MoneyError> {
    let settled = &lease.settlement;
    let LeaseState::Closed { reason, .. } = lease.state else {
        let moved = [settled.gross, settled.net, settled.premium, settled.refund];
        return match moved.iter().all(|amount| amount.is_zero()) {
            true => Ok(format!("{} are locked, nothing is settled yet", usd(lease.escrow))),
            false => Err(MoneyError::Early),
        };
    };
    if lease.check.is_refunded() {
        return refunded(lease, billed.unwrap_or_default());
    }
    let mut first = Err(MoneyError::Unshown);
    for parameters in either {
        match recompute(lease, billed, reason, parameters) {
            Err(error) if matches!(first, Err(MoneyError::Unshown)) => first = Err(error),
            Err(_) => {}
            fits => return fits,
        }
    }
    first
}

/// Checks that a tenant has its money back: nothing is paid, and of the premium no more is kept
/// than there was; how much of it the pool had, or auditors were paid, is not in the lease.
fn refunded(lease: &Lease, billed: Units) -> Result<String, MoneyError> {
    let settled = &lease.settlement;
    let price = lease.rate.cost(billed)?.max(lease.minimum);
    let premium = lease.audit.premium(price)?.min(settled.premium);
    let parts = [
        ("the price", settled.gross, Amount::ZERO),
        ("the audit premium", settled.premium, premium),
        ("the burned part", settled.burn, Amount::ZERO),
        ("the treasury's part", settled.treasury, Amount::ZERO),
        ("the provider's part", settled.net, Amount::ZERO),
        ("the refund", settled.refund, lease.escrow.minus(premium)?),
    ];
    for (part, found, expected) in parts {
        if found != expected {
            return Err(MoneyError::Part { part, found, expected });
        }
    }
    Ok(format!(
        "nothing is paid; {} refunded of {} locked, {} premium kept",
        usd(settled.refund),
        usd(lease.escrow),
        usd(settled.premium),
    ))
}

fn recompute(
    lease: &Lease,
    billed: Option<Units>,
    reason: CloseReason,
    parameters: &Parameters,
) -> Result<String, MoneyError> {
    let settled = &lease.settlement;
    let gross = owed(lease, billed, reason, settled.gross)?;
    let premium = if billed.is_some() { lease.audit.premium(gross)? } else { Amount::ZERO };
    let (fee, burn) = fee(gross, parameters)?;
    let refund = lease.escrow.minus(gross)?.minus(premium)?;
    let parts = [
        ("the price", settled.gross, gross),
        ("the audit premium", settled.premium, premium),
        ("the burned part", settled.burn, burn),
        ("the treasury's part", settled.treasury, fee.minus(burn)?),
        ("the provider's part", settled.net, gross.minus(fee)?),
        ("the refund", settled.refund, refund),
    ];
    for (part, found, expected) in parts {
        if found != expected {
            return Err(MoneyError::Part { part, found, expected });
        }
    }
    Ok(format!(
        "{} = {} to the provider + {} burned + {} treasury; {} premium, {} refunded of {} locked",
        usd(gross),
        usd(settled.net),
        usd(settled.burn),
        usd(settled.treasury),
        usd(settled.premium),
        usd(settled.refund),
        usd(lease.escrow),
    ))
}

/// Returns what the tenant owes. Whether a lease without a receipt had started is not in its row
/// once it is closed, so where the tenant closed it both answers are possible.
fn owed(
    lease: &Lease,
    billed: Option<Units>,
    reason: CloseReason,
    found: Amount,
) -> Result<Amount, MoneyError> {
    if let Some(units) = billed {
        return Ok(lease.rate.cost(units)?.max(lease.minimum));
    }
    match reason {
        CloseReason::TenantClosed if !found.is_zero() => Ok(lease.minimum),
        _ => Ok(Amount::ZERO),
    }
}

/// Returns fee and burned part, from the two shares as written.
fn fee(gross: Amount, parameters: &Parameters) -> Result<(Amount, Amount), MoneyError> {
    let shares = u32::from(parameters.burn_share.get())
        .saturating_add(u32::from(parameters.treasury_share.get()));
    let whole = u128::from(types::BasisPoints::WHOLE);
    let fee = u128::from(gross.get()).saturating_mul(u128::from(shares)).div_ceil(whole);
    let fee = Amount::new(u64::try_from(fee).map_err(|_| MoneyError::Range)?)?;
    Ok((fee, parameters.burn_share.floor_of(gross)))
}

#[cfg(test)]
mod tests {
    use types::{
        Address, AuditTerms, BasisPoints, ClassId, Hash, LeaseId, OfferId, OrderId, PublicKey,
        Rate, Readers, Settlement, Time,
    };

    use super::*;

    fn amount(micro: u64) -> Amount {
        Amount::new(micro).unwrap()
    }

    fn closed(reason: CloseReason, settlement: Settlement) -> Lease {
        let someone = Address::new(PublicKey::from_bytes([1; 32]));
        let probability = BasisPoints::new(500).unwrap();
        Lease {
            id: LeaseId::from_bytes(*Hash::ZERO.as_bytes()),
            order: OrderId::from_bytes([0; 32]),
            offer: OfferId::from_bytes([0; 32]),
            class: ClassId(1),
            tenant: someone,
            provider: someone,
            node_key: PublicKey::from_bytes([2; 32]),
            rate: Rate::new(1_000_000).unwrap(),
            minimum: amount(1_543),
            units_max: Units::new(10_001).unwrap(),
            audit: AuditTerms { probability, auditors: 2, readers: Readers::Auditors },
            escrow: amount(11_002),
            created: Time::from_ms(1),
            ends: Time::from_ms(2),
            state: LeaseState::Closed { at: Time::from_ms(2), reason },
            receipts: 1,
            settlement,
            check: types::CheckState::Unchecked,
            exposure: Amount::ZERO,
            release: None,
        }
    }

    fn bill() -> Settlement {
        Settlement {
            units: Units::new(9_999).unwrap(),
            gross: amount(9_999),
            burn: amount(499),
            treasury: amount(301),
            net: amount(9_199),
            premium: amount(1_000),
            refund: amount(3),
        }
    }

    /// What the receipt bills.
    fn billed() -> Option<Units> {
        Some(bill().units)
    }

    #[test]
    fn a_right_bill_passes() {
        let lease = closed(CloseReason::ProviderCompleted, bill());
        let words = check(&lease, billed(), &[Parameters::public()]).unwrap();
        assert_eq!(
            words,
            "$0.009999 = $0.009199 to the provider + $0.000499 burned + $0.000301 treasury; \
             $0.001000 premium, $0.000003 refunded of $0.011002 locked"
        );
    }

    #[test]
    fn each_part_that_is_off_by_one_is_found() {
        let more = |amount: &mut Amount| *amount = Amount::new(amount.get() + 1).unwrap();
        type PartOf = fn(&mut Settlement) -> &mut Amount;
        let wrong: [(&str, PartOf); 6] = [
            ("the price", |s| &mut s.gross),
            ("the audit premium", |s| &mut s.premium),
            ("the burned part", |s| &mut s.burn),
            ("the treasury's part", |s| &mut s.treasury),
            ("the provider's part", |s| &mut s.net),
            ("the refund", |s| &mut s.refund),
        ];
        for (name, part_of) in wrong {
            let mut settlement = bill();
            more(part_of(&mut settlement));
            let lease = closed(CloseReason::ProviderCompleted, settlement);
            match check(&lease, billed(), &[Parameters::public()]) {
                Err(MoneyError::Part { part, .. }) => assert_eq!(part, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn of_what_is_given_back_no_more_is_kept_than_the_premium_of_the_price() {
        let check_of = |premium, refund| {
            let (premium, refund) = (amount(premium), amount(refund));
            let settlement = Settlement { premium, refund, ..Settlement::default() };
            let mut lease = closed(CloseReason::ProviderCompleted, settlement);
            lease.check = types::CheckState::Failed;
            check(&lease, billed(), &[])
        };
        for premium in [0, 1, 1_000] {
            assert!(check_of(premium, 11_002 - premium).is_ok(), "{premium}");
        }
        // The whole escrow would give a premium of 1,101.
        for (premium, refund, wrong) in
            [(1_001, 10_001, "the audit premium"), (1_000, 10_001, "the refund")]
        {
            match check_of(premium, refund) {
                Err(MoneyError::Part { part, .. }) => assert_eq!(part, wrong),
                other => panic!("{premium} {refund}: {other:?}"),
            }
        }
    }

    #[test]
    fn in_a_block_that_changes_the_fees_either_may_have_been_in_force() {
        let lease = closed(CloseReason::ProviderCompleted, bill());
        let share = |points| BasisPoints::new(points).unwrap();
        let changed = Parameters { burn_share: share(100), ..Parameters::public() };
        let off = check(&lease, billed(), std::slice::from_ref(&changed)).unwrap_err();
        assert!(matches!(off, MoneyError::Part { part: "the burned part", .. }), "{off}");
        assert!(check(&lease, billed(), &[changed, Parameters::public()]).is_ok());
        assert_eq!(check(&lease, billed(), &[]), Err(MoneyError::Unshown));
    }

    #[test]
    fn without_a_receipt_only_a_tenant_that_closed_owes_the_minimum() {
        let minimum = Settlement {
            gross: amount(1_543),
            burn: amount(77),
            treasury: amount(47),
            net: amount(1_419),
            refund: amount(9_459),
            ..Settlement::default()
        };
        let parameters = [Parameters::public()];
        assert!(check(&closed(CloseReason::TenantClosed, minimum), None, &parameters).is_ok());
        let ended = check(&closed(CloseReason::NetworkEnded, minimum), None, &parameters);
        assert!(matches!(ended, Err(MoneyError::Part { part: "the price", .. })));
        let refund = Settlement { refund: amount(11_002), ..Settlement::default() };
        assert!(check(&closed(CloseReason::ProviderNoStart, refund), None, &parameters).is_ok());
    }
}
