//! The evaluation in three values, after Kleene.
//!
//! A claim that is missing, of too little provenance or of a kind that does not compare makes its
//! atom unknown, and so does the age of a claim dated after `now`. `&&` is the minimum and `||`
//! the maximum of false < unknown < true; `!` swaps the ends and keeps unknown. An order accepts
//! only true, so what is unknown matches neither a constraint nor its negation. `has` alone is
//! never unknown: it asks whether a claim of the provenance exists.

use std::{cmp::Ordering, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Atom, Comparison, Constraint, Expression, Test, value::RoundedDuration};
use crate::{Claim, Claims, Duration, Provenance, Time, Value};

/// An answer in three values; false < unknown < true.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// The claims contradict it.
    False,
    /// The claims do not say.
    Unknown,
    /// The claims support it.
    True,
}

impl Truth {
    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::False => "false",
            Self::Unknown => "unknown",
            Self::True => "true",
        }
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns whether `claims` meet `constraint` at the time `now`; allocates nothing.
#[must_use]
pub fn evaluate(constraint: &Constraint, claims: &Claims, now: Time) -> Truth {
    evaluate_expression(constraint.expression(), claims, now)
}

fn evaluate_expression(expression: &Expression, claims: &Claims, now: Time) -> Truth {
    match expression {
        Expression::True => Truth::True,
        Expression::Atom(atom) => evaluate_atom(atom, claims.get(atom.key.as_str()), now),
        Expression::Not(part) => !evaluate_expression(part, claims, now),
        Expression::And(parts) => {
            let mut least = Truth::True;
            for part in parts {
                least = least.min(evaluate_expression(part, claims, now));
                if least == Truth::False {
                    break;
                }
            }
            least
        }
        Expression::Or(parts) => {
            let mut greatest = Truth::False;
            for part in parts {
                greatest = greatest.max(evaluate_expression(part, claims, now));
                if greatest == Truth::True {
                    break;
                }
            }
            greatest
        }
    }
}

fn evaluate_atom(atom: &Atom, claim: Option<&Claim>, now: Time) -> Truth {
    let claim = claim.filter(|claim| claim.provenance >= atom.minimum);
    let known = match (&atom.test, claim) {
        (Test::Has, claim) => Some(claim.is_some()),
        (_, None) => None,
        (Test::Compare(comparison, value), Some(claim)) => {
            claim.value.compare(value).map(|order| comparison.holds(order))
        }
        (Test::In(values), Some(claim)) => is_among(&claim.value, values),
        (Test::Age(comparison, limit), Some(claim)) => {
            age(claim, now).map(|age| comparison.holds(age.cmp(limit)))
        }
    };
    known.map_or(Truth::Unknown, Truth::from)
}

/// Returns whether `values` contain `value`, or nothing if they are of another kind.
fn is_among(value: &Value, values: &[Value]) -> Option<bool> {
    values.first().and_then(|first| value.compare(first))?;
    Some(values.iter().any(|other| value.compare(other) == Some(Ordering::Equal)))
}

/// Returns how old a claim is; a claim from the future has no age.
fn age(claim: &Claim, now: Time) -> Option<Duration> {
    (claim.at <= now).then(|| now.since(claim.at))
}

impl Comparison {
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        }
    }
}

/// The one excluded atom that asks about no claim.
const NEVER: &str = "!true";

/// An atom that keeps a constraint from being true, and what was found of its claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excluded {
    /// The canonical text of what had to be true: the atom, negated where the constraint needs
    /// it false.
    pub atom: String,
    /// What it is instead: false or unknown.
    pub truth: Truth,
    /// The claim that the atom asks about, if there is one.
    pub found: Option<Found>,
}

/// A claim as an evaluation found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// What is claimed.
    pub value: Value,
    /// Who vouches for it.
    pub provenance: Provenance,
    /// How long ago it was observed, unless it is dated in the future.
    #[serde(rename = "age_ms")]
    pub age: Option<Duration>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.provenance, self.value)?;
        match self.age {
            Some(age) => write!(f, ", {} old", RoundedDuration(age)),
            None => f.write_str(", dated in the future"),
        }
    }
}

impl fmt::Display for Excluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.atom, self.truth)?;
        match &self.found {
            Some(found) => write!(f, ": {found}"),
            None if self.atom == NEVER => Ok(()),
            None => f.write_str(": no such claim"),
        }
    }
}

/// Returns the atoms that keep `constraint` from being true, in the order of its text; nothing
/// when it is true.
///
/// Of an `&&` these are the atoms of each part that is not true, of an `||` those of all parts.
#[must_use]
pub fn explain(constraint: &Constraint, claims: &Claims, now: Time) -> Vec<Excluded> {
    let mut explanation = Explanation { claims, now, excluded: Vec::new() };
    explanation.blame(constraint.expression(), Truth::True);
    explanation.excluded
}

struct Explanation<'a> {
    claims: &'a Claims,
    now: Time,
    excluded: Vec<Excluded>,
}

impl Explanation<'_> {
    /// Collects the atoms that keep `expression` from being `wanted`, which is true or false.
    fn blame(&mut self, expression: &Expression, wanted: Truth) {
        let truth = evaluate_expression(expression, self.claims, self.now);
        if truth == wanted {
            return;
        }
        match expression {
            Expression::And(parts) | Expression::Or(parts) => {
                for part in parts {
                    self.blame(part, wanted);
                }
            }
            Expression::Not(part) => self.blame(part, !wanted),
            Expression::True | Expression::Atom(_) => self.exclude(expression, truth, wanted),
        }
    }

    fn exclude(&mut self, leaf: &Expression, truth: Truth, wanted: Truth) {
        let claim = match leaf {
            Expression::Atom(atom) => self.claims.get(atom.key.as_str()),
            _ => None,
        };
        let found = claim.map(|claim| Found {
            value: claim.value.clone(),
            provenance: claim.provenance,
            age: age(claim, self.now),
        });
        let (atom, truth) = match wanted {
            Truth::False => (Expression::Not(Box::new(leaf.clone())).to_string(), !truth),
            _ => (leaf.to_string(), truth),
        };
        self.excluded.push(Excluded { atom, truth, found });
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};
    use crate::{ClaimKey, claim::Decimal};

    const DAY_MS: u64 = 86_400_000;

    fn claims() -> Claims {
        let mut claims = Claims::new();
        let mut add = |key: &str, value: Value, provenance, at_ms| {
            let claim = Claim { value, provenance, at: Time::from_ms(at_ms) };
            claims.insert(ClaimKey::new(key).unwrap(), claim).unwrap();
        };
        add("yes", Value::Bool(true), Provenance::Declared, 0);
        add("gpu.vram", Value::Bytes(24 << 30), Provenance::Measured, 3 * DAY_MS);
        add("cores", Value::Integer(8), Provenance::Attested, 10 * DAY_MS);
        add("load", Value::Decimal(Decimal::from_micro(250_000)), Provenance::Measured, 0);
        add("region", Value::text("eu").unwrap(), Provenance::Declared, 0);
        add("uptime", Value::Duration(Duration::from_ms(DAY_MS)), Provenance::Measured, 0);
        add("future", Value::Integer(1), Provenance::Measured, 11 * DAY_MS);
        claims
    }

    fn truth(text: &str) -> Truth {
        evaluate(&parse(text).unwrap(), &claims(), Time::from_ms(10 * DAY_MS))
    }

    fn check(expected: Truth, texts: &[&str]) {
        for text in texts {
            assert_eq!(truth(text), expected, "{text}");
        }
    }

    fn explained(text: &str) -> Vec<String> {
        let excluded = explain(&parse(text).unwrap(), &claims(), Time::from_ms(10 * DAY_MS));
        excluded.iter().map(ToString::to_string).collect()
    }

    /// Constraints that are false, unknown and true of `claims`, in this order.
    const THREE: [(&str, Truth); 3] = [
        ("yes == false", Truth::False),
        ("missing == true", Truth::Unknown),
        ("yes == true", Truth::True),
    ];

    #[test]
    fn and_or_not_follow_the_tables_of_kleene() {
        use Truth::{False as F, True as T, Unknown as U};
        let and = [[F, F, F], [F, U, U], [F, U, T]];
        let or = [[F, U, T], [U, U, T], [T, T, T]];
        let not = [T, U, F];
        for (row, (left, value)) in THREE.into_iter().enumerate() {
            assert_eq!(truth(left), value);
            assert_eq!(truth(&format!("!({left})")), not[row]);
            for (column, (right, _)) in THREE.into_iter().enumerate() {
                assert_eq!(truth(&format!("{left} && {right}")), and[row][column]);
                assert_eq!(truth(&format!("{left} || {right}")), or[row][column]);
            }
        }
    }

    #[test]
    fn each_comparison_holds_on_its_side_of_the_value() {
        check(Truth::True, &["cores < 9", "cores <= 8", "cores == 8", "cores != 7"]);
        check(Truth::True, &["cores >= 8", "cores > 7", "cores > 7.999999", "cores == 8.0"]);
        check(Truth::False, &["cores < 8", "cores <= 7", "cores == 7", "cores != 8"]);
        check(Truth::False, &["cores >= 9", "cores > 8", "cores < 7.999999"]);
        check(Truth::True, &["gpu.vram >= 24GiB", "gpu.vram > 25.7", "gpu.vram == 25769803776"]);
        check(Truth::True, &["load < 1", "load == 0.25", "uptime >= 24h", "region == \"eu\""]);
        check(Truth::False, &["gpu.vram > 24GiB", "uptime > 1d", "region != \"eu\""]);
    }

    #[test]
    fn a_list_holds_where_one_of_its_values_is_equal() {
        check(Truth::True, &["region in [\"us\", \"eu\"]", "cores in [8.0]", "yes in [true]"]);
        check(Truth::False, &["region in [\"us\"]", "cores in [7, 9]"]);
        check(Truth::Unknown, &["missing in [1]", "cores in [\"8\"]", "region in [1, 2]"]);
    }

    #[test]
    fn a_missing_claim_matches_neither_way() {
        check(Truth::Unknown, &["missing == 1", "missing != 1", "!(missing == 1)"]);
        check(Truth::Unknown, &["age(missing) < 1d", "age(missing) >= 1d"]);
    }

    #[test]
    fn a_value_of_another_kind_matches_neither_way() {
        check(Truth::Unknown, &["region == 1", "region != 1", "cores == \"8\"", "uptime > 5"]);
        check(Truth::Unknown, &["yes == 1", "cores > 1d", "gpu.vram != true"]);
    }

    #[test]
    fn too_little_provenance_matches_neither_way() {
        check(Truth::True, &["cores == 8 @declared", "cores == 8 @measured"]);
        check(Truth::True, &["cores == 8 @attested", "gpu.vram > 1 @measured"]);
        check(Truth::Unknown, &["gpu.vram > 1 @attested", "!(gpu.vram > 1 @attested)"]);
        check(Truth::Unknown, &["region == \"eu\" @measured", "age(region) > 1d @measured"]);
    }

    #[test]
    fn age_counts_from_the_observation_to_now() {
        check(Truth::True, &["age(gpu.vram) == 7d", "age(gpu.vram) <= 7d", "age(cores) < 1ms"]);
        check(Truth::False, &["age(gpu.vram) < 7d", "age(gpu.vram) > 604800000ms"]);
    }

    #[test]
    fn a_claim_from_the_future_is_neither_fresh_nor_old() {
        check(Truth::Unknown, &["age(future) < 1d", "age(future) >= 0s"]);
        check(Truth::True, &["future == 1"]);
    }

    #[test]
    fn has_is_never_unknown() {
        check(Truth::True, &["has(cores)", "!has(missing)", "has(gpu.vram) @measured"]);
        check(Truth::False, &["has(missing)", "!has(cores)", "has(gpu.vram) @attested"]);
    }

    #[test]
    fn a_match_has_nothing_to_explain() {
        let text = "gpu.vram >= 24GiB @measured && (missing == 1 || region == \"eu\")";
        assert_eq!(explained(text), [""; 0]);
    }

    #[test]
    fn each_part_of_an_and_that_is_not_true_is_named_with_what_was_found() {
        let text = "gpu.vram >= 48GiB && cores == 8 && region == \"eu\" @measured && missing > 1 \
                    && age(future) < 1d";
        assert_eq!(
            explained(text),
            [
                "gpu.vram >= 48GiB is false: measured 24GiB, 7d old",
                "region == \"eu\" @measured is unknown: declared \"eu\", 10d old",
                "missing > 1 is unknown: no such claim",
                "age(future) < 1d is unknown: measured 1, dated in the future",
            ]
        );
    }

    #[test]
    fn all_parts_of_an_or_are_named() {
        assert_eq!(
            explained("(cores > 8 || load > 0.5) && yes == true"),
            [
                "cores > 8 is false: attested 8, 0ms old",
                "load > 0.5 is false: measured 0.25, 10d old",
            ]
        );
    }

    #[test]
    fn under_not_the_negated_atom_is_named() {
        assert_eq!(
            explained("!(cores == 8 || missing == 1 || cores == 7) && !true"),
            [
                "!(cores == 8) is false: attested 8, 0ms old",
                "!(missing == 1) is unknown: no such claim",
                "!true is false",
            ]
        );
    }

    #[test]
    fn an_explanation_in_json_has_stable_words() {
        let excluded = explain(
            &parse("cores > 8 && missing > 1").unwrap(),
            &claims(),
            Time::from_ms(10 * DAY_MS),
        );
        assert_eq!(
            serde_json::to_string(&excluded).unwrap(),
            concat!(
                r#"[{"atom":"cores > 8","truth":"false","found":"#,
                r#"{"value":8,"provenance":"attested","age_ms":0}},"#,
                r#"{"atom":"missing > 1","truth":"unknown","found":null}]"#,
            )
        );
    }
}
