//! The two honest metrics: what hardware is there, and who paid.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Amount, ClassId, Units};

/// What a class supplies in an epoch; the three numbers are always shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Supply {
    /// Units that standing offers claim to serve in an epoch.
    pub claimed: Units,
    /// Units of the claimed that audits found to be there.
    pub verified: Units,
    /// Units that tenants paid for.
    pub earning: Units,
}
codec!(struct Supply { claimed, verified, earning });

/// What a class took in in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Income {
    /// What tenants paid for work, in micro-USD.
    pub revenue: Amount,
    /// The part of it that buys and burns the token, in micro-USD.
    pub burn: Amount,
    /// What was minted to reward it, in micro-WILD.
    pub reward: Amount,
}
codec!(struct Income { revenue, burn, reward });

/// The metrics of one class in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// The epoch's number.
    pub epoch: u64,
    /// The class.
    pub class: ClassId,
    /// The hardware.
    pub supply: Supply,
    /// The money.
    pub income: Income,
}
codec!(struct Tally { epoch, class, supply, income });
