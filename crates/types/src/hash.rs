//! Identifiers: BLAKE3 hashes, each kind a type of its own.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    Decode, DecodeError, Encode, Reader,
    text::{from_hex, to_hex},
};

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash that stands for "none", such as the parent of the first block.
    pub const ZERO: Self = Self([0; 32]);

    /// Hashes `parts`, one after another, in `domain`.
    ///
    /// The domain is part of the input, ended by a zero byte, so equal bytes in two domains have
    /// unrelated hashes. The caller sees to it that the parts cannot be confused with each other:
    /// all but the last have a fixed length or carry their own.
    #[must_use]
    pub fn of(domain: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(domain.as_bytes());
        hasher.update(&[0]);
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Takes 32 bytes that are a hash already.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier is 64 lower-case hexadecimal digits")]
pub struct NotAnIdentifier;

/// Gives a wrapper of 32 bytes its text, JSON and binary forms.
macro_rules! hash_forms {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(self.as_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnIdentifier;

            fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
                let bytes = from_hex(text).ok_or(NotAnIdentifier)?;
                bytes.try_into().map(Self::from_bytes).map_err(|_| NotAnIdentifier)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.as_bytes().encode(out);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.array().map(Self::from_bytes)
            }
        }
    };
}
pub(crate) use hash_forms;
hash_forms!(Hash);

/// Declares an identifier of its own kind.
macro_rules! identifier {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes the 32 bytes of an identifier.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        hash_forms!($name);
    };
}

identifier! {
    /// Names a transaction: the hash of what was signed.
    TransactionId
}
identifier! {
    /// Names an offer: derived from the transaction that posted it.
    OfferId
}
identifier! {
    /// Names an order: derived from the transaction that placed it.
    OrderId
}
identifier! {
    /// Names a lease: as its order, which becomes one lease at most.
    LeaseId
}
identifier! {
    /// Names content: the plain BLAKE3 hash of its bytes.
    ContentHash
}

impl ContentHash {
    /// Returns the name of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl From<TransactionId> for OfferId {
    fn from(id: TransactionId) -> Self {
        Self(*Hash::of("idlewild offer", &[id.as_bytes()]).as_bytes())
    }
}

impl From<TransactionId> for OrderId {
    fn from(id: TransactionId) -> Self {
        Self(*Hash::of("idlewild order", &[id.as_bytes()]).as_bytes())
    }
}

impl From<OrderId> for LeaseId {
    fn from(id: OrderId) -> Self {
        Self(id.0)
    }
}

impl From<LeaseId> for OrderId {
    fn from(id: LeaseId) -> Self {
        Self(id.0)
    }
}

/// Numbers a class of service; the table of classes gives it a meaning.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct ClassId(pub u16);

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for ClassId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for ClassId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u16::decode(reader).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_separate_equal_bytes() {
        assert_ne!(Hash::of("a", &[b"x"]), Hash::of("b", &[b"x"]));
        assert_ne!(Hash::of("a", &[b"x"]), Hash::of("ax", &[b""]));
        let id = TransactionId::from_bytes([7; 32]);
        assert_ne!(OfferId::from(id).as_bytes(), OrderId::from(id).as_bytes());
    }

    #[test]
    fn text_form_reads_back() {
        let id = LeaseId::from_bytes([0xa5; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("a5".parse::<LeaseId>(), Err(NotAnIdentifier));
    }
}
