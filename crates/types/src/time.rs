//! Points in time and lengths of time, in milliseconds, as the ledger counts them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decode, DecodeError, Encode, Reader};

macro_rules! milliseconds {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
            Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Takes a count of milliseconds.
            #[must_use]
            pub const fn from_ms(ms: u64) -> Self {
                Self(ms)
            }

            /// Returns the count of milliseconds.
            #[must_use]
            pub const fn as_ms(self) -> u64 {
                self.0
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                u64::decode(reader).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} ms", self.0)
            }
        }
    };
}

milliseconds! {
    /// A point in time: milliseconds since 1970-01-01 UTC.
    Time
}

milliseconds! {
    /// A length of time in milliseconds.
    Duration
}

impl Time {
    /// The latest time there is; the sum of a time and a duration stops here.
    pub const MAX: Self = Self(u64::MAX);

    /// Returns the time `duration` later, at most [`Time::MAX`].
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// Returns the time this long before, the epoch at the earliest.
    #[must_use]
    pub const fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.0))
    }

    /// Returns how long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// Takes a count of seconds, at most `u64::MAX` milliseconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }
}
