//! Claims: what is said about a provider's hardware, by whom it is vouched for, and since when.
//!
//! A claim earns nothing by itself. It carries its [`Provenance`] and the time of its
//! observation, so that a [`Constraint`](crate::Constraint) can ask for both.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};
use thiserror::Error;

use crate::{Decode, DecodeError, Duration, Encode, Reader, Text, Time, codec::encode_count};

/// The most bytes that a claim key may take.
pub const CLAIM_KEY_BYTES_MAX: usize = 64;

/// The most bytes that the text of a claim may take.
pub const CLAIM_TEXT_BYTES_MAX: usize = 64;

/// The most claims that one provider may make.
pub const CLAIMS_MAX: usize = 64;

/// The words of the constraint language, which cannot be claim keys.
const RESERVED: [&str; 5] = ["age", "false", "has", "in", "true"];

/// Text that is not a claim key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a claim key is a dotted lower-case name of at most {CLAIM_KEY_BYTES_MAX} bytes, such as \
     gpu.vram"
)]
pub struct InvalidClaimKey;

/// A map of claims that holds [`CLAIMS_MAX`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than {CLAIMS_MAX} claims")]
pub struct TooManyClaims;

/// The name of an attribute, such as `gpu.vram`.
///
/// Names of `a-z`, `0-9`, `_` and `-`, joined by dots; each starts with a letter or digit, the
/// first with a letter. The words of the constraint language are excluded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimKey(Text<CLAIM_KEY_BYTES_MAX>);

impl ClaimKey {
    /// Takes `text` if it is a claim key.
    ///
    /// # Errors
    /// [`InvalidClaimKey`] when it is not.
    pub fn new(text: &str) -> Result<Self, InvalidClaimKey> {
        if !is_claim_key(text) {
            return Err(InvalidClaimKey);
        }
        Text::new(text).map(Self).map_err(|_| InvalidClaimKey)
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Returns whether text is a claim key but for its length.
fn is_claim_key(text: &str) -> bool {
    let starts_with_letter = text.starts_with(|first: char| first.is_ascii_lowercase());
    // As if after a dot, where a letter or digit must follow.
    let mut before = b'.';
    let well_formed = text.bytes().chain([b'.']).all(|byte| {
        let joins = matches!(byte, b'.' | b'_' | b'-');
        let fits = byte.is_ascii_lowercase() || byte.is_ascii_digit() || joins && before != b'.';
        before = byte;
        fits
    });
    starts_with_letter && well_formed && !RESERVED.contains(&text)
}

impl FromStr for ClaimKey {
    type Err = InvalidClaimKey;

    fn from_str(text: &str) -> Result<Self, InvalidClaimKey> {
        Self::new(text)
    }
}

impl TryFrom<String> for ClaimKey {
    type Error = InvalidClaimKey;

    fn try_from(text: String) -> Result<Self, InvalidClaimKey> {
        Self::new(&text)
    }
}

impl From<ClaimKey> for String {
    fn from(key: ClaimKey) -> Self {
        key.as_str().to_owned()
    }
}

impl fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Encode for ClaimKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for ClaimKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = Text::<CLAIM_KEY_BYTES_MAX>::decode(reader)?;
        if is_claim_key(text.as_str()) {
            Ok(Self(text))
        } else {
            Err(DecodeError::Invalid("claim key"))
        }
    }
}

impl JsonSchema for ClaimKey {
    fn schema_name() -> Cow<'static, str> {
        "ClaimKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of an attribute, such as gpu.vram",
            "type": "string",
            "pattern": r"^[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$",
            "maxLength": CLAIM_KEY_BYTES_MAX,
        })
    }
}

/// Who vouches for a claim, weakest first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// The provider says so.
    #[default]
    Declared,
    /// The network measured it.
    Measured,
    /// The hardware's evidence proves it.
    Attested,
}
codec!(enum Provenance { 0 = Declared, 1 = Measured, 2 = Attested });

impl Provenance {
    /// Every provenance, weakest first.
    pub const ALL: [Self; 3] = [Self::Declared, Self::Measured, Self::Attested];

    /// Returns the word for it in constraints and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Measured => "measured",
            Self::Attested => "attested",
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A number with six digits after the point, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(i64);

impl Decimal {
    /// Takes a count of millionths.
    #[must_use]
    pub const fn from_micro(micro: i64) -> Self {
        Self(micro)
    }

    /// Returns the count of millionths.
    #[must_use]
    pub const fn as_micro(self) -> i64 {
        self.0
    }
}

impl Encode for Decimal {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Decimal {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        i64::decode(reader).map(Self)
    }
}

/// The value of a claim, or the value that a constraint compares it with.
///
/// Integers, counts of bytes and decimals are numbers and compare with each other exactly; every
/// other kind compares with its own only, by [`Value::compare`]. `==` in Rust is equality of kind
/// and content. The text form, by `Display`, is that of the constraint language.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "ValueJson", into = "ValueJson")]
pub enum Value {
    /// A truth value: `true`.
    Bool(bool),
    /// A whole number: `8`.
    Integer(i64),
    /// A count of bytes: `24GiB`.
    Bytes(u64),
    /// A number with up to six digits after the point: `0.25`.
    Decimal(Decimal),
    /// Text: `"eu"`.
    Text(Text<CLAIM_TEXT_BYTES_MAX>),
    /// A length of time: `7d`.
    Duration(Duration),
}
codec!(enum Value {
    0 = Bool(value),
    1 = Integer(value),
    2 = Bytes(value),
    3 = Decimal(value),
    4 = Text(value),
    5 = Duration(value),
});

impl Value {
    /// Takes `text` as a value.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] above [`CLAIM_TEXT_BYTES_MAX`].
    pub fn text(text: &str) -> Result<Self, DecodeError> {
        Text::new(text).map(Self::Text)
    }
}

/// The JSON of a [`Value`]: the plain JSON type where there is one, else an object of one field
/// that names the unit.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected a boolean, an integer, text of at most 64 bytes, {\"bytes\": …}, \
                 {\"decimal\": \"0.5\"} or {\"duration_ms\": …}"
)]
#[schemars(rename = "Value")]
enum ValueJson {
    Bool(bool),
    Integer(i64),
    Text(Text<CLAIM_TEXT_BYTES_MAX>),
    Bytes { bytes: u64 },
    Decimal { decimal: Decimal },
    Duration { duration_ms: Duration },
}

impl From<ValueJson> for Value {
    fn from(json: ValueJson) -> Self {
        match json {
            ValueJson::Bool(value) => Self::Bool(value),
            ValueJson::Integer(value) => Self::Integer(value),
            ValueJson::Text(value) => Self::Text(value),
            ValueJson::Bytes { bytes } => Self::Bytes(bytes),
            ValueJson::Decimal { decimal } => Self::Decimal(decimal),
            ValueJson::Duration { duration_ms } => Self::Duration(duration_ms),
        }
    }
}

impl From<Value> for ValueJson {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Text(value) => Self::Text(value),
            Value::Bytes(bytes) => Self::Bytes { bytes },
            Value::Decimal(decimal) => Self::Decimal { decimal },
            Value::Duration(duration_ms) => Self::Duration { duration_ms },
        }
    }
}

/// A value with who vouches for it and when it was observed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// What is claimed.
    pub value: Value,
    /// Who vouches for it.
    pub provenance: Provenance,
    /// When it was observed.
    #[serde(rename = "at_ms")]
    pub at: Time,
}
codec!(struct Claim { value, provenance, at });

/// At most [`CLAIMS_MAX`] claims, one for each key, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Claims(Vec<(ClaimKey, Claim)>);

impl Claims {
    /// Returns the map without claims.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the claim of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Claim> {
        let index = self.position(key).ok()?;
        self.0.get(index).map(|(_, claim)| claim)
    }

    /// Sets the claim of `key` and returns the one it replaces.
    ///
    /// # Errors
    /// [`TooManyClaims`] when the key is new and the map is full.
    pub fn insert(&mut self, key: ClaimKey, claim: Claim) -> Result<Option<Claim>, TooManyClaims> {
        match self.position(key.as_str()) {
            Ok(index) => {
                let (_, held) = self.0.get_mut(index).expect("the search found this index");
                Ok(Some(std::mem::replace(held, claim)))
            }
            Err(_) if self.0.len() >= CLAIMS_MAX => Err(TooManyClaims),
            Err(index) => {
                self.0.insert(index, (key, claim));
                Ok(None)
            }
        }
    }

    /// Removes the claim of `key` and returns it.
    pub fn remove(&mut self, key: &str) -> Option<Claim> {
        let index = self.position(key).ok()?;
        let (_, claim) = self.0.remove(index);
        Some(claim)
    }

    /// Returns the claims in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ClaimKey, &Claim)> {
        self.0.iter().map(|(key, claim)| (key, claim))
    }

    /// Returns how many claims there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no claims.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.as_str().cmp(key))
    }
}

impl Encode for Claims {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.0.len(), out);
        for (key, claim) in &self.0 {
            key.encode(out);
            claim.encode(out);
        }
    }
}

impl Decode for Claims {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count(CLAIMS_MAX)?;
        let mut claims: Vec<(ClaimKey, Claim)> = Vec::with_capacity(count);
        for _ in 0..count {
            let key = ClaimKey::decode(reader)?;
            if claims.last().is_some_and(|(last, _)| *last >= key) {
                return Err(DecodeError::Invalid("map of claims: keys out of order"));
            }
            claims.push((key, Claim::decode(reader)?));
        }
        Ok(Self(claims))
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClaimsVisitor;

        impl<'de> Visitor<'de> for ClaimsVisitor {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a map of at most {CLAIMS_MAX} claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Claims, A::Error> {
                let mut claims = Claims::new();
                while let Some((key, claim)) = entries.next_entry::<ClaimKey, Claim>()? {
                    let name = key.clone();
                    if claims.insert(key, claim).map_err(A::Error::custom)?.is_some() {
                        return Err(A::Error::custom(format_args!("two claims of {name}")));
                    }
                }
                Ok(claims)
            }
        }

        deserializer.deserialize_map(ClaimsVisitor)
    }
}

impl JsonSchema for Claims {
    fn schema_name() -> Cow<'static, str> {
        "Claims".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Claims by key",
            "type": "object",
            "propertyNames": generator.subschema_for::<ClaimKey>(),
            "additionalProperties": generator.subschema_for::<Claim>(),
            "maxProperties": CLAIMS_MAX,
        })
    }
}

#[cfg(test)]
mod tests;
