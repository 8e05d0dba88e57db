//! The canonical text: one space around operators, and the parentheses that the parser needs,
//! plus those around a comparison under `!`, which without them would read as a negated key.

use std::fmt::{self, Write};

use super::{Atom, Comparison, Constraint, Expression, Shape, Test};
use crate::{Provenance, Value};

/// Returns the length in bytes of an expression's canonical text.
pub(super) fn length(expression: &Expression) -> usize {
    struct Counter(usize);

    impl Write for Counter {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.saturating_add(text.len());
            Ok(())
        }
    }

    let mut counter = Counter(0);
    write!(counter, "{expression}").expect("counting does not fail");
    counter.0
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::True => f.write_str("true"),
            Self::Atom(atom) => atom.fmt(f),
            Self::And(parts) => write_joined(f, parts, " && ", Shape::And),
            Self::Or(parts) => write_joined(f, parts, " || ", Shape::Or),
            Self::Not(part) => {
                f.write_str("!")?;
                match part.as_ref() {
                    Self::Atom(atom) if atom.test != Test::Has => write!(f, "({atom})"),
                    part => write_part(f, part, Shape::Not),
                }
            }
        }
    }
}

fn write_joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    joint: &str,
    parent: Shape,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(joint)?;
        }
        write_part(f, part, parent)?;
    }
    Ok(())
}

fn write_part(f: &mut fmt::Formatter<'_>, part: &Expression, parent: Shape) -> fmt::Result {
    if Shape::of(part).is_grouped_in(parent) { write!(f, "({part})") } else { write!(f, "{part}") }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, test, minimum } = self;
        match test {
            Test::Compare(comparison, value) => write!(f, "{key} {comparison} {value}")?,
            Test::In(values) => {
                write!(f, "{key} in [")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")?;
            }
            Test::Age(comparison, age) => {
                write!(f, "age({key}) {comparison} {}", Value::Duration(*age))?;
            }
            Test::Has => write!(f, "has({key})")?,
        }
        match minimum {
            Provenance::Declared => Ok(()),
            _ => write!(f, " @{minimum}"),
        }
    }
}

impl Comparison {
    /// Returns the sign for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn check(text: &str, printed: &str) {
        let constraint = parse(text).unwrap();
        assert_eq!(constraint.to_string(), printed);
        assert_eq!(parse(printed).unwrap(), constraint);
    }

    #[test]
    fn parentheses_stay_only_where_they_are_needed() {
        check("((a<1)&&(b<2))||(c<3)", "a < 1 && b < 2 || c < 3");
        check("(a<1||b<2)&&c<3", "(a < 1 || b < 2) && c < 3");
        check("a<1&&(b<2&&c<3)", "a < 1 && b < 2 && c < 3");
        check("a<1||(b<2||c<3)", "a < 1 || b < 2 || c < 3");
        check("!(a<1&&b<2)", "!(a < 1 && b < 2)");
        check("!(has(a))", "!has(a)");
        check("!!(!has(a))", "!!!has(a)");
        check("!a<1", "!(a < 1)");
    }

    #[test]
    fn the_default_provenance_is_not_printed() {
        check("a < 1 @declared", "a < 1");
        check("a < 1@measured", "a < 1 @measured");
        check("has(a)@attested", "has(a) @attested");
    }

    #[test]
    fn values_print_in_their_canonical_text() {
        check("a in [1024MiB,0.50,7]", "a in [1GiB, 0.5, 7]");
        check("age(a)<=168h", "age(a) <= 7d");
        check("a==\"x\\\"y\"", "a == \"x\\\"y\"");
        check("true||!true", "true || !true");
    }
}
