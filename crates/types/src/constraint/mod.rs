//! The constraint language: what an order demands of a provider's claims.
//!
//! ```text
//! gpu.vram >= 24GiB @measured && region in ["eu", "us"] && age(gpu.vram) < 7d
//!
//! any      = all { "||" all }
//! all      = not { "&&" not }
//! not      = "!" not | "(" any ")" | "true" | atom
//! atom     = test [ "@" ( "declared" | "measured" | "attested" ) ]
//! test     = key comparison value | key "in" "[" value { "," value } "]"
//!          | "age" "(" key ")" comparison duration | "has" "(" key ")"
//! comparison = "<" | "<=" | "==" | "!=" | ">=" | ">"
//! value    = "true" | "false" | "\"" text "\"" | integer [ bytes | time ] | decimal
//! bytes    = "B" | "kB" | "KiB" | "MB" | "MiB" | "GB" | "GiB" | "TB" | "TiB"
//! time     = "ms" | "s" | "min" | "h" | "d"
//! ```
//!
//! [`parse()`] reads it, `Display` prints the one canonical text of a [`Constraint`],
//! [`evaluate()`] answers in three values and [`explain()`] says which atoms stand in the way.
//! A [`Constraint`] is within all bounds by construction, and its canonical text parses back to
//! it; whoever builds an [`Expression`] by hand goes through [`Constraint::new`].

mod evaluate;
mod parse;
mod print;
mod value;

use std::{borrow::Cow, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

pub use self::{
    evaluate::{Excluded, Found, Truth, evaluate, explain},
    parse::{ParseError, parse},
    value::InvalidValue,
};
use crate::{
    ClaimKey, Decode, DecodeError, Duration, Encode, List, Provenance, Reader, Value,
    codec::encode_count,
};

/// The most bytes that the text of a constraint may take, as written and in canonical form.
pub const CONSTRAINT_BYTES_MAX: usize = 2_048;

/// The most atoms that a constraint may have; each `true` counts as one.
pub const ATOMS_MAX: usize = 64;

/// The most levels of `!` and parentheses; `!(` is one level.
pub const NESTING_MAX: usize = 16;

/// The most values that the list of an `in` may have.
pub const LIST_VALUES_MAX: usize = 16;

/// An expression over claims, within the bounds of the language.
///
/// The default accepts every provider: `true`. In JSON it is its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Constraint(Expression);

impl Constraint {
    /// Takes `expression` if it is in canonical form and within the bounds.
    ///
    /// # Errors
    /// The first [`InvalidConstraint`] found.
    pub fn new(expression: Expression) -> Result<Self, InvalidConstraint> {
        Bounds::default().check(&expression, Shape::Top, 0)?;
        let found = print::length(&expression);
        if found > CONSTRAINT_BYTES_MAX {
            return Err(InvalidConstraint::TooLong { found });
        }
        Ok(Self(expression))
    }

    /// Returns the expression.
    #[must_use]
    pub const fn expression(&self) -> &Expression {
        &self.0
    }
}

/// What a [`Constraint`] is made of.
///
/// In canonical form an `And` or `Or` has at least two parts, none of its own kind;
/// [`Expression::and`] and [`Expression::or`] keep to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Expression {
    /// Always true.
    #[default]
    True,
    /// True where all parts are.
    And(Vec<Self>),
    /// True where any part is.
    Or(Vec<Self>),
    /// True where the part is false.
    Not(Box<Self>),
    /// A test of one claim.
    Atom(Atom),
}

impl Expression {
    /// Returns `self && other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let into_parts = |expression| match expression {
            Self::And(parts) => parts,
            part => vec![part],
        };
        let mut parts = into_parts(self);
        parts.extend(into_parts(other));
        Self::And(parts)
    }

    /// Returns `self || other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let into_parts = |expression| match expression {
            Self::Or(parts) => parts,
            part => vec![part],
        };
        let mut parts = into_parts(self);
        parts.extend(into_parts(other));
        Self::Or(parts)
    }
}

/// A test of one claim and the least provenance that the claim must have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Atom {
    /// The claim's key.
    pub key: ClaimKey,
    /// What is asked of the claim.
    pub test: Test,
    /// The least provenance; every claim is at least declared.
    pub minimum: Provenance,
}
codec!(struct Atom { key, test, minimum });

/// What an [`Atom`] asks of its claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// The claim's value stands in this relation to a value.
    Compare(Comparison, Value),
    /// The claim's value equals one of a list of values of one kind.
    In(List<Value, LIST_VALUES_MAX>),
    /// The time since the claim's observation stands in this relation to a duration.
    Age(Comparison, Duration),
    /// The claim exists; false, not unknown, where it does not.
    Has,
}
codec!(enum Test {
    0 = Compare(comparison, value),
    1 = In(values),
    2 = Age(comparison, age),
    3 = Has,
});

/// A relation of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}
codec!(enum Comparison {
    0 = Less,
    1 = LessOrEqual,
    2 = Equal,
    3 = NotEqual,
    4 = GreaterOrEqual,
    5 = Greater,
});

impl Comparison {
    /// Every comparison.
    pub const ALL: [Self; 6] = [
        Self::Less,
        Self::LessOrEqual,
        Self::Equal,
        Self::NotEqual,
        Self::GreaterOrEqual,
        Self::Greater,
    ];

    /// Returns whether this asks for a smaller or a larger, which text and booleans do not have.
    #[must_use]
    pub const fn needs_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// Why an expression is not a [`Constraint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidConstraint {
    /// More atoms than [`ATOMS_MAX`].
    #[error("more than {ATOMS_MAX} atoms")]
    TooManyAtoms,
    /// More levels than [`NESTING_MAX`].
    #[error("more than {NESTING_MAX} levels of nesting")]
    TooDeep,
    /// The canonical text is longer than [`CONSTRAINT_BYTES_MAX`].
    #[error("the canonical text takes {found} bytes, at most {CONSTRAINT_BYTES_MAX} are allowed")]
    TooLong {
        /// The bytes of the canonical text.
        found: usize,
    },
    /// An `And` or `Or` has fewer than two parts, or a part of its own kind.
    #[error("an `and` or `or` of fewer than two parts, or with a part of its own kind")]
    NotCanonical,
    /// A list has no values.
    #[error("an empty list of values")]
    EmptyList,
    /// A list has values that do not compare with each other.
    #[error("a list of values of several kinds")]
    MixedList,
    /// Text or booleans are asked for a smaller or a larger.
    #[error("text and booleans have no order")]
    NoOrder,
}

/// Where an expression stands, or what it is, as far as the canonical form cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Top,
    Leaf,
    And,
    Or,
    Not,
}

impl Shape {
    const fn of(expression: &Expression) -> Self {
        match expression {
            Expression::True | Expression::Atom(_) => Self::Leaf,
            Expression::And(_) => Self::And,
            Expression::Or(_) => Self::Or,
            Expression::Not(_) => Self::Not,
        }
    }

    /// Returns whether a part of this shape needs parentheses inside `parent`.
    const fn is_grouped_in(self, parent: Self) -> bool {
        matches!((parent, self), (Self::And, Self::Or) | (Self::Not, Self::And | Self::Or))
    }
}

/// What has been used up of the bounds of one constraint, in checking or decoding it.
#[derive(Debug, Default)]
struct Bounds {
    atoms: usize,
}

impl Bounds {
    /// Enters an expression that stands in `parent` under `nesting` levels; returns its own
    /// level. Refusing before going deeper is what bounds every recursion over expressions.
    fn enter(
        &mut self,
        shape: Shape,
        parent: Shape,
        nesting: usize,
    ) -> Result<usize, InvalidConstraint> {
        let nested = match shape {
            Shape::And | Shape::Or if shape == parent => {
                return Err(InvalidConstraint::NotCanonical);
            }
            Shape::Leaf => {
                self.atoms = self.atoms.saturating_add(1);
                false
            }
            Shape::Not => true,
            // Under `!` the parentheses belong to the level of the `!`.
            _ => parent == Shape::And,
        };
        let nesting = nesting.saturating_add(usize::from(nested));
        if self.atoms > ATOMS_MAX {
            return Err(InvalidConstraint::TooManyAtoms);
        }
        if nesting > NESTING_MAX {
            return Err(InvalidConstraint::TooDeep);
        }
        Ok(nesting)
    }

    fn check(
        &mut self,
        expression: &Expression,
        parent: Shape,
        nesting: usize,
    ) -> Result<(), InvalidConstraint> {
        let shape = Shape::of(expression);
        let nesting = self.enter(shape, parent, nesting)?;
        match expression {
            Expression::True => Ok(()),
            Expression::Atom(atom) => check_test(&atom.test),
            Expression::Not(part) => self.check(part, shape, nesting),
            Expression::And(parts) | Expression::Or(parts) => {
                if parts.len() < 2 {
                    return Err(InvalidConstraint::NotCanonical);
                }
                parts.iter().try_for_each(|part| self.check(part, shape, nesting))
            }
        }
    }

    fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        parent: Shape,
        nesting: usize,
    ) -> Result<Expression, DecodeError> {
        let tag = u8::decode(reader)?;
        let shape = match tag {
            TRUE | ATOM => Shape::Leaf,
            AND => Shape::And,
            OR => Shape::Or,
            NOT => Shape::Not,
            _ => return Err(DecodeError::UnknownTag { tag, of: "Expression" }),
        };
        let nesting = self.enter(shape, parent, nesting).map_err(|_| INVALID)?;
        match tag {
            TRUE => Ok(Expression::True),
            ATOM => Atom::decode(reader).map(Expression::Atom),
            NOT => Ok(Expression::Not(Box::new(self.decode(reader, shape, nesting)?))),
            _ => {
                let count = reader.count(ATOMS_MAX)?;
                if count < 2 {
                    return Err(INVALID);
                }
                let mut parts = Vec::with_capacity(count.min(reader.remaining()));
                for _ in 0..count {
                    parts.push(self.decode(reader, shape, nesting)?);
                }
                Ok(if tag == AND { Expression::And(parts) } else { Expression::Or(parts) })
            }
        }
    }
}

fn check_test(test: &Test) -> Result<(), InvalidConstraint> {
    match test {
        Test::Compare(comparison, value) if comparison.needs_order() && !value.is_ordered() => {
            Err(InvalidConstraint::NoOrder)
        }
        Test::In(values) => {
            let first = values.first().ok_or(InvalidConstraint::EmptyList)?;
            if values.iter().any(|value| value.compare(first).is_none()) {
                return Err(InvalidConstraint::MixedList);
            }
            Ok(())
        }
        Test::Compare(..) | Test::Age(..) | Test::Has => Ok(()),
    }
}

const TRUE: u8 = 0;
const AND: u8 = 1;
const OR: u8 = 2;
const NOT: u8 = 3;
const ATOM: u8 = 4;

const INVALID: DecodeError = DecodeError::Invalid("constraint");

impl Encode for Expression {
    fn encode(&self, out: &mut Vec<u8>) {
        let parts = |tag: u8, parts: &[Self], out: &mut Vec<u8>| {
            out.push(tag);
            encode_count(parts.len(), out);
            for part in parts {
                part.encode(out);
            }
        };
        match self {
            Self::True => out.push(TRUE),
            Self::And(all) => parts(AND, all, out),
            Self::Or(any) => parts(OR, any, out),
            Self::Not(part) => {
                out.push(NOT);
                part.encode(out);
            }
            Self::Atom(atom) => {
                out.push(ATOM);
                atom.encode(out);
            }
        }
    }
}

impl Encode for Constraint {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Constraint {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let expression = Bounds::default().decode(reader, Shape::Top, 0)?;
        Self::new(expression).map_err(|_| INVALID)
    }
}

impl FromStr for Constraint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text)
    }
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(|error| D::Error::custom(format_args!("{error}; {}", error.hint)))
    }
}

impl JsonSchema for Constraint {
    fn schema_name() -> Cow<'static, str> {
        "Constraint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An expression over claims; `true` accepts every provider",
            "type": "string",
            "maxLength": CONSTRAINT_BYTES_MAX,
            "examples": ["gpu.vram >= 24GiB @measured && region == \"eu\" && age(gpu.vram) < 7d"],
        })
    }
}

#[cfg(test)]
mod tests;
