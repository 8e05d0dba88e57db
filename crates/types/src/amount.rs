//! Money, units of work and prices: whole numbers with checked arithmetic.
//!
//! Money is counted in micro units of its asset, so one USD is 1,000,000. Prices are finer than
//! money, since a million fuel costs far less than a micro-USD: a [`Rate`] is micro-USD for a
//! million units, and the cost of some units rounds up.
//!
//! Each quantity is at most 2⁵³ − 1, so that JSON numbers carry it exactly, and so that no sum of
//! two can overflow the `u64` beneath.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use thiserror::Error;

use crate::{Decode, DecodeError, Encode, Reader};

/// The largest quantity: 2⁵³ − 1.
const QUANTITY_MAX: u64 = (1 << 53) - 1;

/// A quantity left its range of 0 to 2⁵³ − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a quantity left its range of 0 to 2^53 - 1")]
pub struct OutOfRange;

macro_rules! quantity {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest value: 2⁵³ − 1.
            pub const MAX: Self = Self(QUANTITY_MAX);

            /// Takes a count.
            ///
            /// # Errors
            /// [`OutOfRange`] above [`Self::MAX`].
            pub const fn new(count: u64) -> Result<Self, OutOfRange> {
                if count > QUANTITY_MAX { Err(OutOfRange) } else { Ok(Self(count)) }
            }

            /// Returns the count.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Returns whether this is nothing.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// Returns the sum.
            ///
            /// # Errors
            /// [`OutOfRange`] above [`Self::MAX`].
            pub const fn plus(self, other: Self) -> Result<Self, OutOfRange> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Self::new(sum),
                    None => Err(OutOfRange),
                }
            }

            /// Returns the difference.
            ///
            /// # Errors
            /// [`OutOfRange`] below zero.
            pub const fn minus(self, other: Self) -> Result<Self, OutOfRange> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Ok(Self(difference)),
                    None => Err(OutOfRange),
                }
            }

            /// Returns the sum, at most [`Self::MAX`].
            #[must_use]
            pub const fn saturating_plus(self, other: Self) -> Self {
                match self.plus(other) {
                    Ok(sum) => sum,
                    Err(OutOfRange) => Self::MAX,
                }
            }

            /// Returns the difference, at least zero.
            #[must_use]
            pub const fn saturating_minus(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Self::new(u64::decode(reader)?)
                    .map_err(|OutOfRange| DecodeError::Invalid("quantity"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(u64::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "minimum": 0, "maximum": QUANTITY_MAX })
            }
        }
    };
}

quantity! {
    /// Money: a count of micro units of an asset.
    Amount
}
quantity! {
    /// Work: a count of what its class counts.
    Units
}
quantity! {
    /// A price: micro-USD for a million units.
    Rate
}

impl Amount {
    /// Micro units in one whole unit of an asset.
    pub const MICRO: u64 = 1_000_000;
}

/// Shows whole units with six decimals, as in `0.001543`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / Self::MICRO, self.0 % Self::MICRO)
    }
}

/// Why text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an amount is a decimal number with at most six decimals, such as 0.25")]
pub struct NotAnAmount;

/// Reads whole units with at most six decimals, as in `0.25`.
impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if decimals.is_empty() || decimals.len() > 6 || !all_digits(whole) || !all_digits(decimals)
        {
            return Err(NotAnAmount);
        }
        let whole: u64 = whole.parse().map_err(|_| NotAnAmount)?;
        let micro: u64 = format!("{decimals:0<6}").parse().map_err(|_| NotAnAmount)?;
        let count = whole.checked_mul(Self::MICRO).and_then(|whole| whole.checked_add(micro));
        Self::new(count.ok_or(NotAnAmount)?).map_err(|OutOfRange| NotAnAmount)
    }
}

impl Rate {
    /// Returns what `units` cost at this rate, rounded up to a micro-USD.
    ///
    /// # Errors
    /// [`OutOfRange`] when the cost is above [`Amount::MAX`].
    pub fn cost(self, units: Units) -> Result<Amount, OutOfRange> {
        let product = u128::from(self.0).checked_mul(u128::from(units.0)).ok_or(OutOfRange)?;
        let cost = product.div_ceil(u128::from(Amount::MICRO));
        Amount::new(u64::try_from(cost).map_err(|_| OutOfRange)?)
    }
}

/// What money is made of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Asset {
    /// Prepaid credits, backed by deposits: prices, escrow, earnings.
    Usd,
    /// The token: stake and rewards.
    Wild,
}
codec!(enum Asset { 0 = Usd, 1 = Wild });

impl Asset {
    /// Both assets.
    pub const ALL: [Self; 2] = [Self::Usd, Self::Wild];
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usd => "usd",
            Self::Wild => "wild",
        })
    }
}

impl FromStr for Asset {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        match text {
            "usd" => Ok(Self::Usd),
            "wild" => Ok(Self::Wild),
            _ => Err(DecodeError::Invalid("asset: usd or wild")),
        }
    }
}

/// A share in ten-thousandths, at most the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Basis points in the whole.
    pub const WHOLE: u16 = 10_000;

    /// Takes a count of basis points.
    ///
    /// # Errors
    /// [`OutOfRange`] above 10,000.
    pub const fn new(count: u16) -> Result<Self, OutOfRange> {
        if count > Self::WHOLE { Err(OutOfRange) } else { Ok(Self(count)) }
    }

    /// Returns the count.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns this share of `amount`, rounded down; never more than `amount`.
    #[must_use]
    pub fn floor_of(self, amount: Amount) -> Amount {
        let product = u128::from(amount.0).saturating_mul(u128::from(self.0));
        Amount(narrow(product.checked_div(u128::from(Self::WHOLE)).unwrap_or(0)))
    }

    /// Returns this share of `amount`, rounded up; never more than `amount`.
    #[must_use]
    pub fn ceil_of(self, amount: Amount) -> Amount {
        let product = u128::from(amount.0).saturating_mul(u128::from(self.0));
        Amount(narrow(product.div_ceil(u128::from(Self::WHOLE))))
    }
}

fn narrow(share: u128) -> u64 {
    u64::try_from(share).expect("a share of a u64 fits a u64")
}

impl Encode for BasisPoints {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for BasisPoints {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(u16::decode(reader)?)
            .map_err(|OutOfRange| DecodeError::Invalid("share in basis points"))
    }
}

impl<'de> Deserialize<'de> for BasisPoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for BasisPoints {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BasisPoints".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": Self::WHOLE })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_read_and_show_whole_units() {
        let check = |text: &str, micro: u64, shown: &str| {
            let amount: Amount = text.parse().unwrap();
            assert_eq!((amount.get(), amount.to_string().as_str()), (micro, shown));
        };
        check("0.001543", 1_543, "0.001543");
        check("12", 12_000_000, "12.000000");
        check("0.25", 250_000, "0.250000");
        for bad in ["", ".", "1.", ".5", "-1", "1.0000001", "1e3", "9007199255", "+1"] {
            assert_eq!(bad.parse::<Amount>(), Err(NotAnAmount), "{bad}");
        }
    }

    #[test]
    fn ranges_hold_at_the_bound_and_not_above() {
        assert!(Amount::new(Amount::MAX.get()).is_ok());
        assert_eq!(Amount::new(Amount::MAX.get() + 1), Err(OutOfRange));
        assert_eq!(Amount::MAX.plus(Amount(1)), Err(OutOfRange));
        assert_eq!(Amount::ZERO.minus(Amount(1)), Err(OutOfRange));
        assert!(Amount::from_bytes(&u64::MAX.to_le_bytes()).is_err());
        assert!(BasisPoints::new(10_001).is_err());
        assert_eq!(Rate::MAX.cost(Units::MAX), Err(OutOfRange));
    }

    proptest! {
        #[test]
        fn cost_rounds_up_and_never_favours_splitting(
            rate in 0..1_000_000_000u64, a in 0..1_000_000_000u64, b in 0..1_000_000_000u64,
        ) {
            let cost = |units| Rate(rate).cost(Units(units)).unwrap().get();
            prop_assert!(cost(a + b) <= cost(a) + cost(b));
            prop_assert!(cost(a) <= cost(a + b));
        }

        #[test]
        fn a_share_and_its_rest_make_the_whole(
            amount in 0..=QUANTITY_MAX, share in 0..=10_000u16,
        ) {
            let (amount, share) = (Amount(amount), BasisPoints(share));
            let rest = BasisPoints(BasisPoints::WHOLE - share.get());
            let parts = share.floor_of(amount).plus(rest.ceil_of(amount)).unwrap();
            prop_assert_eq!(parts, amount);
            prop_assert!(share.ceil_of(amount) <= amount);
        }
    }
}
