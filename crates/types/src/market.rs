//! The two sides of the market: offers (standing signed asks) and orders (demands).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, BasisPoints, Blob, ClassId, Constraint, Duration, List, OfferId, OrderId,
    PublicKey, Rate, Time, Units,
    claim::Claims,
    limits::{OFFER_TERMS_BYTES_MAX, ORDER_OFFERS_MAX, SPEC_BYTES_MAX},
};

/// What a provider offers, and for how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferTerms {
    /// The class of service.
    pub class: ClassId,
    /// The class's own terms, encoded as the class says.
    pub terms: Blob<OFFER_TERMS_BYTES_MAX>,
    /// What the provider claims of its hardware. A claim `region` is part of the market's index.
    pub claims: Claims,
    /// The price of units.
    pub rate: Rate,
    /// The least that a lease costs once it has started; at least the ledger's own minimum.
    pub minimum: Amount,
    /// How many leases it serves at a time, 1 to 4096.
    pub slots: u32,
    /// When it stops to be an offer.
    pub expires: Time,
}
codec!(struct OfferTerms { class, terms, claims, rate, minimum, slots, expires });

/// A standing offer, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// The offer's name.
    pub id: OfferId,
    /// Who offers.
    pub provider: Address,
    /// The key that signs for leases of this offer.
    pub node_key: PublicKey,
    /// When it was posted.
    pub posted: Time,
    /// Units it claims to serve in an epoch, as its class computes them.
    pub capacity: Units,
    /// What it offers.
    pub terms: OfferTerms,
}
codec!(struct Offer { id, provider, node_key, posted, capacity, terms });

/// Who besides the provider may read the inputs of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Readers {
    /// The auditors drawn for it, so that its results can be checked.
    Auditors,
    /// Nobody: the lease is labelled unverified and earns no reward.
    Nobody,
}
codec!(enum Readers { 0 = Auditors, 1 = Nobody });

/// How often a lease's work is checked, and who pays how many to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditTerms {
    /// The probability of an audit, at least the class's minimum.
    pub probability: BasisPoints,
    /// How many auditors each audit draws, 0 to 7.
    pub auditors: u8,
    /// Who may read the inputs.
    pub readers: Readers,
}
codec!(struct AuditTerms { probability, auditors, readers });

impl AuditTerms {
    /// No audits, and nobody else reads the inputs.
    pub const NONE: Self =
        Self { probability: BasisPoints::ZERO, auditors: 0, readers: Readers::Nobody };

    /// Returns the premium on work worth `gross`: probability × auditors × gross, rounded up.
    ///
    /// # Errors
    /// [`crate::OutOfRange`] when it leaves the range of amounts.
    pub fn premium(&self, gross: Amount) -> Result<Amount, crate::OutOfRange> {
        let each = u128::from(self.probability.get()).saturating_mul(u128::from(self.auditors));
        let product = each.saturating_mul(u128::from(gross.get()));
        let premium = product.div_ceil(u128::from(BasisPoints::WHOLE));
        Amount::new(u64::try_from(premium).map_err(|_| crate::OutOfRange)?)
    }
}

/// What a tenant wants, and the most it pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderTerms {
    /// The class of service.
    pub class: ClassId,
    /// What is to be done, encoded as the class says.
    pub spec: Blob<SPEC_BYTES_MAX>,
    /// What an offer's claims must satisfy.
    pub constraint: Constraint,
    /// The most it may cost with everything; locked when the order is placed.
    pub budget: Amount,
    /// The offers to take, best first; empty to take from the market's index.
    pub offers: List<OfferId, ORDER_OFFERS_MAX>,
    /// How it is checked.
    pub audit: AuditTerms,
    /// How long the lease may run.
    pub duration: Duration,
    /// When the order lapses if nothing matches.
    pub expires: Time,
}
codec!(struct OrderTerms {
    class, spec, constraint, budget, offers, audit, duration, expires
});

/// An order, as the ledger keeps it until its lease is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// The order's name.
    pub id: OrderId,
    /// Who orders.
    pub tenant: Address,
    /// When it was placed.
    pub placed: Time,
    /// What is wanted.
    pub terms: OrderTerms,
}
codec!(struct Order { id, tenant, placed, terms });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_premium_is_the_expected_cost_of_all_auditors_rounded_up() {
        let check = |basis_points, auditors, gross, premium| {
            let probability = BasisPoints::new(basis_points).unwrap();
            let terms = AuditTerms { probability, auditors, readers: Readers::Auditors };
            assert_eq!(terms.premium(Amount::new(gross).unwrap()), Amount::new(premium));
        };
        check(500, 2, 1_543, 155);
        check(10_000, 7, 100, 700);
        check(0, 7, 100, 0);
        check(1, 1, 1, 1);
    }
}
