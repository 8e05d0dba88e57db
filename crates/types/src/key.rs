//! Keys, addresses and signatures.
//!
//! A signature is over `"idlewild" 0 kind 0 genesis encoding`: the genesis hash ties it to one
//! network, the kind (which names a version) to one meaning. So nothing that was signed as one
//! thing, or for one network, verifies as another.

use std::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp};
use ed25519_dalek::{Signer, SigningKey};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;
use zeroize::Zeroize;

use crate::{
    Decode, DecodeError, Encode, Hash, Reader,
    hash::{NotAnIdentifier, hash_forms},
    signature::Statement,
    text::{from_hex, to_hex},
};

/// The human-readable part of every address.
const ADDRESS_PREFIX: Hrp = Hrp::parse_unchecked("idle");

/// Something that is signed: its encoding under a kind of its own.
pub trait Signable: Encode {
    /// Names what is signed and its version; no two signed types share one.
    const KIND: &'static str;
}

fn signed_bytes<T: Signable>(genesis: &Hash, value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(b"idlewild\0");
    bytes.extend_from_slice(T::KIND.as_bytes());
    bytes.push(0);
    genesis.encode(&mut bytes);
    value.encode(&mut bytes);
    bytes
}

/// An ed25519 public key; whether it is a point on the curve shows when a signature is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the 32 bytes of a key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that this key signed `value` on the network of `genesis`.
    ///
    /// # Errors
    /// [`BadSignature`] when it did not, or when this is no key at all.
    pub fn verify<T: Signable>(
        &self,
        genesis: &Hash,
        value: &T,
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        self.verify_bytes(&signed_bytes(genesis, value), signature)
    }

    /// Checks that this key signed these very bytes.
    pub(crate) fn verify_bytes(
        &self,
        bytes: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        if Statement::new(self, bytes, signature).holds() { Ok(()) } else { Err(BadSignature) }
    }

    /// States that this key signed `value` on the network of `genesis`.
    pub(crate) fn statement<T: Signable>(
        &self,
        genesis: &Hash,
        value: &T,
        signature: &Signature,
    ) -> Statement {
        Statement::new(self, &signed_bytes(genesis, value), signature)
    }
}

hash_forms!(PublicKey);

/// A signature does not match its key, network, kind or content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature does not match its key and content")]
pub struct BadSignature;

/// An ed25519 secret key. Its bytes are wiped when it is dropped and never shown.
pub struct SecretKey(SigningKey);

/// Why bytes are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is 32 bytes")]
pub struct KeyError;

impl SecretKey {
    /// Takes 32 secret bytes, which come from entropy or a seed phrase, and wipes them.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(SigningKey::from_bytes(&bytes));
        bytes.zeroize();
        key
    }

    /// Returns the secret bytes, for a keystore to encrypt. The caller wipes them.
    #[must_use]
    pub fn expose(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Returns the public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Returns the address whose funds this key moves.
    #[must_use]
    pub fn address(&self) -> Address {
        Address(self.public())
    }

    /// Signs `value` for the network of `genesis`.
    #[must_use]
    pub fn sign<T: Signable>(&self, genesis: &Hash, value: &T) -> Signature {
        self.sign_bytes(&signed_bytes(genesis, value))
    }

    /// Signs these very bytes.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

/// Gives a wrapper of many bytes its text, JSON and binary forms.
macro_rules! byte_forms {
    ($name:ident, $bytes:literal, $pattern:literal, $wrong:literal) => {
        impl $name {
            /// Takes its bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Returns its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.array().map(Self)
            }
        }

        impl FromStr for $name {
            type Err = NotAnIdentifier;

            fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
                let bytes = from_hex(text).ok_or(NotAnIdentifier)?;
                bytes.try_into().map(Self).map_err(|_| NotAnIdentifier)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|_| D::Error::custom($wrong))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);
byte_forms!(Signature, 64, "^[0-9a-f]{128}$", "a signature is 128 hexadecimal digits");

/// A validator's public key for the beacon: a point of G2 on BLS12-381.
///
/// Whether it is one shows when the chain starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BeaconKey([u8; 96]);
byte_forms!(BeaconKey, 96, "^[0-9a-f]{192}$", "a beacon key is 192 hexadecimal digits");

/// What a validator signs with its key for the beacon: a point of G1 on BLS12-381.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BeaconShare([u8; 48]);
byte_forms!(BeaconShare, 48, "^[0-9a-f]{96}$", "a beacon share is 96 hexadecimal digits");

/// An account: the public key that moves its funds, shown as bech32m text `idle1…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(PublicKey);

impl Address {
    /// Takes the key of an account.
    #[must_use]
    pub const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// Returns the key of the account.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.0
    }

    /// Returns the 32 bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32m>(ADDRESS_PREFIX, self.as_bytes());
        f.write_str(&text.expect("32 bytes fit a bech32m code"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an address is bech32m text that starts with idle1; this one is mistyped or cut")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|_| AddressError)?;
        // Upper case would be a second text for the same address.
        if checked.hrp() != ADDRESS_PREFIX || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(AddressError);
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        bytes.try_into().map(|bytes| Self(PublicKey(bytes))).map_err(|_| AddressError)
    }
}

impl Encode for Address {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Address {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        PublicKey::decode(reader).map(Self)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^idle1[02-9ac-hj-np-z]{58}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Note(u64);
    impl Encode for Note {
        fn encode(&self, out: &mut Vec<u8>) {
            self.0.encode(out);
        }
    }
    impl Signable for Note {
        const KIND: &'static str = "note/1";
    }

    struct OtherNote(u64);
    impl Encode for OtherNote {
        fn encode(&self, out: &mut Vec<u8>) {
            self.0.encode(out);
        }
    }
    impl Signable for OtherNote {
        const KIND: &'static str = "note/2";
    }

    #[test]
    fn a_signature_holds_for_one_key_network_kind_and_content() {
        let (key, other) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
        let (here, there) = (Hash::from_bytes([8; 32]), Hash::from_bytes([9; 32]));
        let signature = key.sign(&here, &Note(5));
        assert_eq!(key.public().verify(&here, &Note(5), &signature), Ok(()));
        assert_eq!(key.public().verify(&here, &Note(6), &signature), Err(BadSignature));
        assert_eq!(key.public().verify(&there, &Note(5), &signature), Err(BadSignature));
        assert_eq!(key.public().verify(&here, &OtherNote(5), &signature), Err(BadSignature));
        assert_eq!(other.public().verify(&here, &Note(5), &signature), Err(BadSignature));
    }

    #[test]
    fn an_address_has_one_text() {
        let address = SecretKey::from_bytes([7; 32]).address();
        let text = address.to_string();
        assert!(text.starts_with("idle1"), "{text}");
        assert_eq!(text.parse(), Ok(address));
        assert_eq!(text.to_uppercase().parse::<Address>(), Err(AddressError));
        assert_eq!(text[..text.len() - 1].parse::<Address>(), Err(AddressError));
        for at in "idle1".len()..text.len() {
            let mut mistyped = text.clone();
            let other = if &text[at..=at] == "q" { "p" } else { "q" };
            mistyped.replace_range(at..=at, other);
            assert_eq!(mistyped.parse::<Address>(), Err(AddressError), "{mistyped}");
        }
    }

    #[test]
    fn a_secret_key_does_not_show_itself() {
        let key = SecretKey::from_bytes([3; 32]);
        assert!(!format!("{key:?}").contains("0303"));
    }
}
