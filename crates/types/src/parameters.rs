//! What a network may set for itself, and how it changes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Amount, BasisPoints, Duration};

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
    /// How long a provider's part waits for audits and disputes before it is released.
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
}
codec!(struct Parameters {
    burn_share, treasury_share, receipt_minimum, storage_stake, stake_minimum, unbonding_ms,
    start_window_ms, grace_window_ms, release_window_ms, reclaim_notice_ms, epoch_ms,
    closed_lease_epochs, no_starts_max, transaction_lifetime_ms, market_horizon_ms,
    open_orders_max, offers_max, change_delay_ms
});

/// Why parameters cannot govern a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParametersError {
    /// The shares of fee and treasury exceed the payment.
    #[error("burn_share and treasury_share together exceed the whole payment")]
    Shares,
    /// Unbonding does not outlast the windows in which stake can still be lost.
    #[error("unbonding_ms must exceed start, grace and release windows together")]
    Unbonding,
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
            unbonding_ms: Duration::from_seconds(600),
            change_delay_ms: Duration::from_seconds(60),
            open_orders_max: 4_096,
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
        let windows = [self.start_window_ms, self.grace_window_ms, self.release_window_ms];
        let exposed = windows.iter().fold(0_u64, |sum, window| sum.saturating_add(window.as_ms()));
        if self.unbonding_ms.as_ms() <= exposed {
            return Err(ParametersError::Unbonding);
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
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ParametersError::Zero(name));
        }
        if self.change_delay_ms > self.market_horizon_ms {
            return Err(ParametersError::Delay);
        }
        Ok(())
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
        let release_window_ms = Duration::from_seconds(600);
        let parameters = Parameters { release_window_ms, ..Parameters::local() };
        assert_eq!(parameters.validate(), Err(ParametersError::Unbonding));
    }

    #[test]
    fn a_change_has_one_encoding() {
        let change = Change::Parameters(Box::new(Parameters::public()));
        assert_eq!(Change::from_bytes(&change.to_bytes()), Ok(change));
    }
}
