//! The canonical, bounded encoding of everything that is signed, hashed, stored or sent.
//!
//! Integers are little-endian and of fixed width; an enum is one tag byte and the variant's
//! fields; a list is a `u32` count and its items. Every value has exactly one encoding
//! (`decode(encode(x)) == x` and `encode(decode(b)) == b`), and every collection has a bound in
//! its type, checked before anything is allocated for it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use thiserror::Error;

/// Why bytes are not a value of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("input ends inside a value")]
    Truncated,
    /// Bytes are left after the value.
    #[error("{0} bytes are left after the value")]
    Trailing(usize),
    /// A count is above the bound of its type.
    #[error("a count of {found} is above the bound of {bound}")]
    TooLong {
        /// The count read.
        found: usize,
        /// The bound of the type.
        bound: usize,
    },
    /// A tag byte names no variant.
    #[error("tag {tag} names no variant of {of}")]
    UnknownTag {
        /// The tag read.
        tag: u8,
        /// The enum's name.
        of: &'static str,
    },
    /// The bytes are well formed, but no valid value has this encoding.
    #[error("not a valid {0}")]
    Invalid(&'static str),
}

/// Bytes being decoded, from front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes a `u32` count that must not exceed `bound`.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] above the bound.
    pub fn count(&mut self, bound: usize) -> Result<usize, DecodeError> {
        let found = usize::try_from(u32::decode(self)?).unwrap_or(usize::MAX);
        if found > bound {
            return Err(DecodeError::TooLong { found, bound });
        }
        Ok(found)
    }

    /// Returns how many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Ends the decoding.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}

/// A value with a canonical encoding.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Returns the encoding.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.encode(&mut out);
        out
    }
}

/// A value that can be decoded from bytes nobody vouches for.
pub trait Decode: Sized {
    /// Decodes one value from the front of `reader`.
    ///
    /// # Errors
    /// Any [`DecodeError`]; the reader's position is then unspecified.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Decodes a value that fills `bytes` exactly.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Encode for $integer {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
        impl Decode for $integer {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(reader.array()?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i32, i64);

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array()
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(DecodeError::UnknownTag { tag, of: "bool" }),
        }
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if bool::decode(reader)? { T::decode(reader).map(Some) } else { Ok(None) }
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_ref().encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(reader).map(Self::new)
    }
}

/// At most `MAX` items, in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes `items` if they are within the bound.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] above the bound.
    pub fn new(items: Vec<T>) -> Result<Self, DecodeError> {
        if items.len() > MAX {
            return Err(DecodeError::TooLong { found: items.len(), bound: MAX });
        }
        Ok(Self(items))
    }

    /// Returns the items.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }

    /// Returns an item to change it.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index)
    }
}

impl<T, const MAX: usize> std::ops::Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.0.len(), out);
        for item in &self.0 {
            item.encode(out);
        }
    }
}

impl<T: Decode, const MAX: usize> Decode for List<T, MAX> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count(MAX)?;
        // Every item takes at least one byte, so the input bounds what is reserved.
        let mut items = Vec::with_capacity(count.min(reader.remaining()));
        for _ in 0..count {
            items.push(T::decode(reader)?);
        }
        Ok(Self(items))
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Appends the count of a collection; bounded types keep it within `u32`.
pub(crate) fn encode_count(count: usize, out: &mut Vec<u8>) {
    u32::try_from(count).expect("bounds of collections are below 2^32").encode(out);
}

/// Implements [`Encode`] and [`Decode`] for a struct or enum, field by field.
///
/// `codec!(struct Name { field, … })`, or
/// `codec!(enum Name { 0 = Unit, 1 = Tuple(a, b), 2 = Named { field } })` with stable tags.
#[macro_export]
macro_rules! codec {
    (struct $name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::Encode::encode(&self.$field, out);)*
            }
        }
        impl $crate::Decode for $name {
            fn decode(reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                Ok(Self { $($field: $crate::Decode::decode(reader)?),* })
            }
        }
    };
    (enum $name:ident { $($tag:literal = $variant:ident
        $(( $($item:ident),* ))? $({ $($field:ident),* $(,)? })?),* $(,)? }) => {
        impl $crate::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(( $($item),* ))? $({ $($field),* })? => {
                        out.push($tag);
                        $($($crate::Encode::encode($item, out);)*)?
                        $($($crate::Encode::encode($field, out);)*)?
                    })*
                }
            }
        }
        impl $crate::Decode for $name {
            fn decode(reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                match <u8 as $crate::Decode>::decode(reader)? {
                    $($tag => {
                        $($(let $item = $crate::Decode::decode(reader)?;)*)?
                        Ok(Self::$variant $(( $($item),* ))?
                            $({ $($field: $crate::Decode::decode(reader)?),* })?)
                    })*
                    tag => Err($crate::DecodeError::UnknownTag { tag, of: stringify!($name) }),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Shape {
        Point,
        Line(u16, u16),
        Named { flag: bool, list: List<u8, 3> },
    }
    codec!(enum Shape { 0 = Point, 1 = Line(from, to), 7 = Named { flag, list } });

    fn check(shape: &Shape, bytes: &[u8]) {
        assert_eq!(shape.to_bytes(), bytes);
        assert_eq!(Shape::from_bytes(bytes).as_ref(), Ok(shape));
    }

    #[test]
    fn each_variant_has_one_encoding() {
        check(&Shape::Point, &[0]);
        check(&Shape::Line(1, 258), &[1, 1, 0, 2, 1]);
        let list = List::new(vec![9, 8]).unwrap();
        check(&Shape::Named { flag: true, list }, &[7, 1, 2, 0, 0, 0, 9, 8]);
    }

    #[test]
    fn what_is_not_an_encoding_is_refused() {
        let refused = |bytes: &[u8]| Shape::from_bytes(bytes).unwrap_err();
        assert_eq!(refused(&[]), DecodeError::Truncated);
        assert_eq!(refused(&[2]), DecodeError::UnknownTag { tag: 2, of: "Shape" });
        assert_eq!(refused(&[0, 0]), DecodeError::Trailing(1));
        assert_eq!(refused(&[7, 2]), DecodeError::UnknownTag { tag: 2, of: "bool" });
        let four = [7, 0, 4, 0, 0, 0, 1, 1, 1, 1];
        assert_eq!(refused(&four), DecodeError::TooLong { found: 4, bound: 3 });
    }

    #[test]
    fn a_huge_count_reserves_no_more_than_the_input_could_hold() {
        type Huge = List<u64, 4_000_000_000>;
        assert_eq!(Huge::from_bytes(&[0, 0, 0, 0x7f]), Err(DecodeError::Truncated));
    }
}
