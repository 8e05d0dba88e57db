//! Who gets what of a lease's escrow.
//!
//! ```text
//! fee      = ceil(gross × (β + τ) / 10000)
//! burn     = floor(gross × β / 10000)
//! treasury = fee − burn
//! net      = gross − fee
//! refund   = escrow − gross − premium
//! ```
//!
//! The remainder of each rounding goes to a named row, so the parts always sum:
//! `net + burn + treasury = gross` and `gross + premium + refund = escrow`.

use types::{Amount, AuditTerms, BasisPoints, OutOfRange, Parameters, Settlement, Units};

/// What a tenant owes at the end of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Nothing.
    Nothing,
    /// The minimum: the tenant closed a lease that had started, and there is no receipt.
    Minimum,
    /// What these units cost, at least the minimum.
    Units(Units),
}

/// The terms of a lease that its settlement depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) rate: types::Rate,
    pub(crate) minimum: Amount,
    pub(crate) audit: AuditTerms,
    pub(crate) escrow: Amount,
}

/// Splits an escrow.
///
/// # Errors
/// [`OutOfRange`] when more is owed than the escrow holds, which its making excludes.
pub(crate) fn split(
    terms: &Terms,
    owed: Owed,
    parameters: &Parameters,
) -> Result<Settlement, OutOfRange> {
    let (units, gross, premium) = match owed {
        Owed::Nothing => (Units::ZERO, Amount::ZERO, Amount::ZERO),
        Owed::Minimum => (Units::ZERO, terms.minimum, Amount::ZERO),
        Owed::Units(units) => {
            let gross = terms.rate.cost(units)?.max(terms.minimum);
            (units, gross, terms.audit.premium(gross)?)
        }
    };
    let (burn_share, treasury_share) = (parameters.burn_share, parameters.treasury_share);
    let fee_share = burn_share.get().checked_add(treasury_share.get()).ok_or(OutOfRange)?;
    let fee = BasisPoints::new(fee_share)?.ceil_of(gross);
    let burn = burn_share.floor_of(gross);
    Ok(Settlement {
        units,
        gross,
        burn,
        treasury: fee.minus(burn)?,
        net: gross.minus(fee)?,
        premium,
        refund: terms.escrow.minus(gross)?.minus(premium)?,
    })
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the ranges of the drawn numbers are small")]
mod tests {
    use proptest::prelude::*;
    use types::{Rate, Readers};

    use super::*;
    use crate::testing::usd;

    fn terms(rate: u64, minimum: u64, audit: AuditTerms, units: u64) -> Terms {
        let (rate, minimum) = (Rate::new(rate).unwrap(), usd(minimum));
        let price = rate.cost(Units::new(units).unwrap()).unwrap().max(minimum);
        let escrow = price.plus(audit.premium(price).unwrap()).unwrap();
        Terms { rate, minimum, audit, escrow }
    }

    fn audit(probability: u16, auditors: u8) -> AuditTerms {
        let probability = BasisPoints::new(probability).unwrap();
        AuditTerms { probability, auditors, readers: Readers::Auditors }
    }

    #[test]
    fn a_worked_example_rounds_as_written() {
        let terms = terms(1_000_000, 1_543, audit(500, 2), 10_001);
        let used = Owed::Units(Units::new(9_999).unwrap());
        let split = split(&terms, used, &Parameters::public()).unwrap();
        // 8 % of 9,999 is 799.92, 5 % is 499.95; 10 % of 10,001 is 1,000.1, of 9,999 it is 999.9.
        let expected = Settlement {
            units: Units::new(9_999).unwrap(),
            gross: usd(9_999),
            burn: usd(499),
            treasury: usd(301),
            net: usd(9_199),
            premium: usd(1_000),
            refund: usd(10_001 + 1_001 - 9_999 - 1_000),
        };
        assert_eq!(split, expected);
    }

    #[test]
    fn without_a_receipt_only_a_tenant_that_closed_owes_the_minimum() {
        let terms = terms(1_000_000, 1_543, audit(500, 2), 10_000);
        let minimum = split(&terms, Owed::Minimum, &Parameters::public()).unwrap();
        assert_eq!((minimum.gross, minimum.premium), (usd(1_543), Amount::ZERO));
        let nothing = split(&terms, Owed::Nothing, &Parameters::public()).unwrap();
        assert_eq!(nothing, Settlement { refund: terms.escrow, ..Settlement::default() });
    }

    proptest! {
        #[test]
        fn the_parts_always_sum(
            rate in 0..10_000_000_000u64,
            minimum in 0..10_000_000u64,
            probability in 0..=10_000u16,
            auditors in 0..=7u8,
            most in 0..1_000_000u64,
            used in 0..=10_000u64,
            burn in 0..=10_000u16,
            treasury in 0..=10_000u16,
        ) {
            let treasury = treasury.min(10_000 - burn);
            let parameters = Parameters {
                burn_share: BasisPoints::new(burn).unwrap(),
                treasury_share: BasisPoints::new(treasury).unwrap(),
                ..Parameters::public()
            };
            let terms = terms(rate, minimum, audit(probability, auditors), most);
            let units = Units::new(most * used / 10_000).unwrap();
            for owed in [Owed::Nothing, Owed::Minimum, Owed::Units(units)] {
                let s = split(&terms, owed, &parameters).unwrap();
                let parts = [s.net, s.burn, s.treasury].map(Amount::get);
                prop_assert_eq!(parts.iter().sum::<u64>(), s.gross.get());
                let parts = [s.gross, s.premium, s.refund].map(Amount::get);
                prop_assert_eq!(parts.iter().sum::<u64>(), terms.escrow.get());
            }
        }
    }
}
