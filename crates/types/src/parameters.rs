//! What a network may set for itself, and how it changes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Amount, AuditTerms, BasisPoints, Duration, OutOfRange, Rate};

/// The least part of what a cheat loses that is burned.
const SLASH_BURN_MIN: BasisPoints = match BasisPoints::new(2_500) {
    Ok(share) => share,
    Err(OutOfRange) => BasisPoints::ZERO,
};

/// The parameters of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// β: the part of each payment that buys and burns the token.
    pub burn_share: BasisPoints,
    /// τ: the part of each payment that goes to the treasury.
    pub treasury_share: BasisPoints,
    /// The least that an offer may set as its minimum, in micro-USD.
    pub receipt_minimum: Amount,
    /// What an open order or standing offer locks for its place in the state, in micro-USD.
    pub storage_stake: Amount,
    /// The stake that a provider needs before it offers, in micro-WILD.
    pub stake_minimum: Amount,
    /// How long stake takes to come back; longer than every window below.
    pub unbonding_ms: Duration,
    /// How long a provider has to start a lease.
    pub start_window_ms: Duration,
    /// How long a higher receipt still counts after a lease is closed.
    pub grace_window_ms: Duration,
    /// How long what work costs waits for a dispute before it is released, since the end of the
    /// lease or of its check.
    pub release_window_ms: Duration,
    /// The least notice of a provider that takes its hardware back.
    pub reclaim_notice_ms: Duration,
    /// The length of an epoch.
    pub epoch_ms: Duration,
    /// Epochs that a closed lease stays in the state.
    pub closed_lease_epochs: u32,
    /// Leases that a provider may fail to start in an epoch before its offers are suspended.
    pub no_starts_max: u32,
    /// How far ahead a transaction may set its expiry.
    pub transaction_lifetime_ms: Duration,
    /// How far ahead an offer or order may set its expiry, and how long a lease may run.
    pub market_horizon_ms: Duration,
    /// Orders that an account may have open.
    pub open_orders_max: u32,
    /// Offers that a provider may have standing.
    pub offers_max: u32,
    /// How long a decided change waits before it takes effect.
    pub change_delay_ms: Duration,
    /// How long auditors have to commit, besides twice the time that the work takes them.
    pub commit_window_ms: Duration,
    /// How long auditors have to reveal.
    pub reveal_window_ms: Duration,
    /// How long a dispute may take, or a move in it, besides the time for its work.
    pub dispute_window_ms: Duration,
    /// The least that a tenant locks who disputes a receipt, in micro-USD.
    pub dispute_bond: Amount,
    /// The part of its stake that a cheat loses.
    pub slash_share: BasisPoints,
    /// The part of what a cheat loses that is burned.
    pub slash_burn_share: BasisPoints,
    /// g: the most of a price that a cheat is taken to gain.
    pub gain_max: BasisPoints,
    /// ρ: the part of auditors that is taken to collude with a cheat.
    pub collusion_max: BasisPoints,
    /// What a million micro-WILD of stake count for, in micro-USD.
    pub stake_price: Rate,
}
codec!(struct Parameters {
    burn_share, treasury_share, receipt_minimum, storage_stake, stake_minimum, unbonding_ms,
    start_window_ms, grace_window_ms, release_window_ms, reclaim_notice_ms, epoch_ms,
    closed_lease_epochs, no_starts_max, transaction_lifetime_ms, market_horizon_ms,
    open_orders_max, offers_max, change_delay_ms, commit_window_ms,
    reveal_window_ms, dispute_window_ms, dispute_bond, slash_share, slash_burn_share, gain_max,
    collusion_max, stake_price
});

/// Why parameters cannot govern a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParametersError {
    /// The shares of fee and treasury exceed the payment.
    #[error("burn_share and treasury_share together exceed the whole payment")]
    Shares,
    /// Unbonding does not outlast the windows in which stake can still be lost.
    #[error(
        "unbonding_ms must exceed all windows of a lease, its audits and its disputes together"
    )]
    Unbonding,
    /// Who accuses itself would have its stake back at once.
    #[error("slash_burn_share must be at least 2,500")]
    SlashBurn,
    /// Nobody would be left to find a cheat.
    #[error("collusion_max must be less than 10,000")]
    Collusion,
    /// An epoch is shorter than a second.
    #[error("epoch_ms must be at least 1,000")]
    Epoch,
    /// No change could ever be voted on again.
    #[error("change_delay_ms must not exceed market_horizon_ms")]
    Delay,
    /// Something that must be positive is zero.
    #[error("{0} must not be zero")]
    Zero(&'static str),
}

impl Parameters {
    /// The defaults of a public network.
    #[must_use]
    pub fn public() -> Self {
        let micro = |count| Amount::new(count).expect("defaults are in range");
        let share = |count| BasisPoints::new(count).expect("defaults are in range");
        let hours = |count: u64| Duration::from_seconds(count.saturating_mul(3600));
        Self {
            burn_share: share(500),
            treasury_share: share(300),
            receipt_minimum: micro(1_543),
            storage_stake: micro(1_000),
            stake_minimum: micro(100_000_000),
            unbonding_ms: hours(21 * 24),
            start_window_ms: Duration::from_seconds(60),
            grace_window_ms: Duration::from_seconds(600),
            release_window_ms: hours(1),
            reclaim_notice_ms: hours(1),
            epoch_ms: hours(24),
            closed_lease_epochs: 7,
            no_starts_max: 3,
            transaction_lifetime_ms: hours(24),
            market_horizon_ms: hours(90 * 24),
            open_orders_max: 256,
            offers_max: 64,
            change_delay_ms: hours(7 * 24),
            commit_window_ms: Duration::from_seconds(600),
            reveal_window_ms: Duration::from_seconds(600),
            dispute_window_ms: hours(6),
            dispute_bond: micro(1_000_000),
            slash_share: share(5_000),
            slash_burn_share: share(5_000),
            gain_max: share(10_000),
            collusion_max: share(5_000),
            stake_price: Rate::new(1_000_000).expect("defaults are in range"),
        }
    }

    /// The defaults of a network on one machine: the public ones with windows short enough to
    /// watch.
    #[must_use]
    pub fn local() -> Self {
        Self {
            grace_window_ms: Duration::from_seconds(2),
            release_window_ms: Duration::from_seconds(2),
            reclaim_notice_ms: Duration::from_seconds(10),
            epoch_ms: Duration::from_seconds(600),
            change_delay_ms: Duration::from_seconds(60),
            open_orders_max: 4_096,
            commit_window_ms: Duration::from_seconds(20),
            reveal_window_ms: Duration::from_seconds(10),
            dispute_window_ms: Duration::from_seconds(60),
            dispute_bond: Amount::new(10_000).expect("a cent is in range"),
            ..Self::public()
        }
    }

    /// Checks that the parameters can govern a network.
    ///
    /// # Errors
    /// A [`ParametersError`] that names what is wrong.
    pub fn validate(&self) -> Result<(), ParametersError> {
        let shares =
            u32::from(self.burn_share.get()).saturating_add(u32::from(self.treasury_share.get()));
        if shares > u32::from(BasisPoints::WHOLE) {
            return Err(ParametersError::Shares);
        }
        if self.unbonding_ms <= self.exposed_ms() {
            return Err(ParametersError::Unbonding);
        }
        if self.slash_burn_share < SLASH_BURN_MIN {
            return Err(ParametersError::SlashBurn);
        }
        if self.collusion_max.get() == BasisPoints::WHOLE {
            return Err(ParametersError::Collusion);
        }
        if self.epoch_ms.as_ms() < 1_000 {
            return Err(ParametersError::Epoch);
        }
        let positive = [
            ("start_window_ms", self.start_window_ms.as_ms()),
            ("transaction_lifetime_ms", self.transaction_lifetime_ms.as_ms()),
            ("market_horizon_ms", self.market_horizon_ms.as_ms()),
            ("receipt_minimum", self.receipt_minimum.get()),
            ("open_orders_max", u64::from(self.open_orders_max)),
            ("offers_max", u64::from(self.offers_max)),
            ("no_starts_max", u64::from(self.no_starts_max)),
            ("closed_lease_epochs", u64::from(self.closed_lease_epochs)),
            ("commit_window_ms", self.commit_window_ms.as_ms()),
            ("reveal_window_ms", self.reveal_window_ms.as_ms()),
            ("dispute_window_ms", self.dispute_window_ms.as_ms()),
            ("slash_share", u64::from(self.slash_share.get())),
            ("gain_max", u64::from(self.gain_max.get())),
            ("stake_price", self.stake_price.get()),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ParametersError::Zero(name));
        }
        if self.change_delay_ms > self.market_horizon_ms {
            return Err(ParametersError::Delay);
        }
        Ok(())
    }

    /// Returns the time for the work of a dispute in which somebody accuses: half of what unbonding
    /// takes longer than all windows of a lease together.
    #[must_use]
    pub fn judging(&self) -> Duration {
        let spare = self.unbonding_ms.as_ms().saturating_sub(self.exposed_ms().as_ms());
        Duration::from_ms(spare / 2)
    }

    /// Returns how long stake can still be lost after a lease was matched, but for the time that
    /// its work takes: all its windows, with every round of audits, a dispute that nobody accuses
    /// in and one of the tenant.
    fn exposed_ms(&self) -> Duration {
        let round = [self.commit_window_ms, self.reveal_window_ms];
        let rounds = (0..crate::limits::AUDIT_ROUNDS_MAX).flat_map(|_| round);
        let windows = [
            self.start_window_ms,
            self.grace_window_ms,
            self.release_window_ms,
            self.dispute_window_ms,
            self.dispute_window_ms,
        ];
        let sum = |sum: u64, window: Duration| sum.saturating_add(window.as_ms());
        Duration::from_ms(windows.into_iter().chain(rounds).fold(0, sum))
    }

    /// Returns d, the probability that a cheat is found by audits of these terms when no more
    /// auditors collude than [`Parameters::collusion_max`] says: `p·(1 − ρ^k)`, rounded down.
    #[must_use]
    pub fn detection(&self, audit: &AuditTerms) -> BasisPoints {
        let whole = u64::from(BasisPoints::WHOLE);
        let honest = whole.saturating_sub(self.all_collude(audit.auditors));
        let probability = u64::from(audit.probability.get());
        let found = probability.saturating_mul(honest).checked_div(whole).unwrap_or(0);
        let found = u16::try_from(found).unwrap_or(BasisPoints::WHOLE);
        BasisPoints::new(found).unwrap_or(BasisPoints::ZERO)
    }

    /// Returns ρ^k in basis points, rounded up in each step.
    fn all_collude(&self, auditors: u8) -> u64 {
        let whole = u64::from(BasisPoints::WHOLE);
        let collusion = u64::from(self.collusion_max.get());
        (0..auditors).fold(whole, |power, _| power.saturating_mul(collusion).div_ceil(whole))
    }

    /// Returns what of a provider's stake a lease at `price` takes up, so that cheating does not
    /// pay: `price·(g·(1 + p·k·ρ^k) − d·n)/d`, rounded up, with n the part of a price that is the
    /// provider's. Where nobody may audit, nothing: its tenant wants it unverified.
    ///
    /// Cheating on leases of prices `Rᵢ` gains at most `g·ΣRᵢ`, and `p·k·ρ^k` times as much where
    /// all who are drawn are friends and save the work too. It loses, when it is found on one of
    /// them, the slashed stake `S` and what it is not paid of all. It does not pay iff
    /// `g·(1 + p·k·ρ^k)·ΣRᵢ ≤ d·(S + n·ΣRᵢ)`, which holds when the exposures sum to at most `S`.
    ///
    /// # Errors
    /// [`OutOfRange`] when no stake would do.
    pub fn exposure(&self, audit: &AuditTerms, price: Amount) -> Result<Amount, OutOfRange> {
        if audit.auditors == 0 {
            return Ok(Amount::ZERO);
        }
        let found = u128::from(self.detection(audit).get());
        if found == 0 {
            return Err(OutOfRange);
        }
        // All in parts of 10,000 × 10,000.
        let whole = u128::from(BasisPoints::WHOLE);
        let friends = u128::from(audit.probability.get())
            .saturating_mul(u128::from(audit.auditors))
            .saturating_mul(u128::from(self.all_collude(audit.auditors)))
            .div_ceil(whole);
        let gain = u128::from(self.gain_max.get()).saturating_mul(whole.saturating_add(friends));
        let fees =
            u128::from(self.burn_share.get()).saturating_add(u128::from(self.treasury_share.get()));
        let loss = found.saturating_mul(whole.saturating_sub(fees));
        let short = gain.saturating_sub(loss);
        let exposure =
            u128::from(price.get()).saturating_mul(short).div_ceil(found.saturating_mul(whole));
        Amount::new(u64::try_from(exposure).map_err(|_| OutOfRange)?)
    }

    /// Returns the exposure that a stake covers, in micro-USD: what a cheat would lose of it for
    /// good. Of what is slashed and not burned, who accuses has a part, and up to ρ of those who
    /// do may be its friends.
    #[must_use]
    pub fn cover(&self, stake: Amount) -> Amount {
        let worth = crate::Units::new(stake.get()).and_then(|units| self.stake_price.cost(units));
        // A stake beyond counting covers all that can be counted.
        let slashed = self.slash_share.floor_of(worth.unwrap_or(Amount::MAX));
        let rest = slashed.saturating_minus(self.slash_burn_share.ceil_of(slashed));
        slashed.saturating_minus(self.collusion_max.ceil_of(rest))
    }
}

/// A change of what governs a network, decided by vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// New parameters.
    Parameters(Box<Parameters>),
    /// The next version of the rules.
    Rules(u16),
}
codec!(enum Change { 0 = Parameters(parameters), 1 = Rules(version) });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decode, Encode};

    #[test]
    fn the_defaults_govern() {
        assert_eq!(Parameters::public().validate(), Ok(()));
        assert_eq!(Parameters::local().validate(), Ok(()));
    }

    #[test]
    fn stake_cannot_leave_before_the_windows_close() {
        let release_window_ms = Duration::from_seconds(21 * 24 * 3600);
        let parameters = Parameters { release_window_ms, ..Parameters::local() };
        assert_eq!(parameters.validate(), Err(ParametersError::Unbonding));
    }

    #[test]
    fn exposure_is_the_stake_with_which_cheating_does_not_pay() {
        let parameters = Parameters::public();
        let terms = |probability, auditors| AuditTerms {
            probability: BasisPoints::new(probability).unwrap(),
            auditors,
            readers: crate::Readers::Auditors,
        };
        let check = |probability, auditors, detection, exposure: Option<u64>| {
            let terms = terms(probability, auditors);
            assert_eq!(parameters.detection(&terms).get(), detection);
            let price = Amount::new(1_000).unwrap();
            let found = parameters.exposure(&terms, price).ok().map(Amount::get);
            assert_eq!(found, exposure);
        };
        // Half the auditors may collude: one finds half of what is drawn, two three quarters.
        check(500, 1, 250, Some(40_080));
        check(1_000, 2, 750, Some(13_080));
        check(10_000, 7, 9_921, Some(144));
        check(1, 1, 0, None);
        check(0, 0, 0, Some(0));
        // 100 WILD at 1 USD: half of it can be lost, of which half is burned, and half of the rest
        // may come back.
        assert_eq!(parameters.cover(parameters.stake_minimum).get(), 37_500_000);
        assert!(parameters.cover(Amount::MAX).get() > Amount::MAX.get() / 8 * 3);
    }

    #[test]
    fn a_change_has_one_encoding() {
        let change = Change::Parameters(Box::new(Parameters::public()));
        assert_eq!(Change::from_bytes(&change.to_bytes()), Ok(change));
    }
}
