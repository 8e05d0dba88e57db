//! The text and the order of values: `24GiB`, `0.25`, `"eu"`, `7d`.
//!
//! Printing takes the largest suffix that loses nothing, so each value has one text, and parsing
//! that text gives the value back, kind included.

use std::{borrow::Cow, cmp::Ordering, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use crate::{
    Duration, Text, Value,
    claim::{CLAIM_TEXT_BYTES_MAX, Decimal},
};

/// Suffixes of counts of bytes, largest first.
const BYTE_SUFFIXES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Suffixes of lengths of time in milliseconds, largest first.
const DURATION_SUFFIXES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];

/// Millionths in one.
const MICRO: i128 = 1_000_000;

/// Digits that a decimal may have after the point.
const FRACTION_DIGITS_MAX: usize = 6;

/// Why text is not a value; the message is a hint for whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidValue {
    /// The text does not start with a digit.
    #[error("a number starts with a digit, or with a minus sign and a digit")]
    NoDigits,
    /// The number does not fit its kind.
    #[error("the number is too large")]
    TooLarge,
    /// The point is not between digits, or more than six digits follow it.
    #[error("write one to six digits after the point")]
    Fraction,
    /// The suffix is none of the language's.
    #[error("suffixes are B kB KiB MB MiB GB GiB TB TiB, and ms s min h d")]
    Suffix,
    /// Percentages have no form of their own.
    #[error("leave out the percent sign and write the plain number")]
    Percent,
    /// A count of bytes or a length of time has a sign or a fraction.
    #[error("write a whole number of a smaller unit, such as 1536MiB for one and a half GiB")]
    NotWhole,
    /// The text is longer than a claim's text may be.
    #[error("text is at most {CLAIM_TEXT_BYTES_MAX} bytes")]
    TextTooLong,
    /// A backslash is not followed by a known escape.
    #[error("after a backslash comes a quote, a backslash or u{{…}} with a hexadecimal code")]
    Escape,
}

impl Value {
    /// Compares the contents of two values; numbers compare across their kinds, and `None` says
    /// that the kinds cannot be compared.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(right)),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Duration(left), Self::Duration(right)) => Some(left.cmp(right)),
            _ => Some(self.micro()?.cmp(&other.micro()?)),
        }
    }

    /// Returns whether the values of this kind have a smaller and a larger.
    #[must_use]
    pub const fn is_ordered(&self) -> bool {
        !matches!(self, Self::Bool(_) | Self::Text(_))
    }

    /// Returns a number in millionths; 2^64 · 10^6 is far inside the range of `i128`.
    fn micro(&self) -> Option<i128> {
        match self {
            Self::Integer(value) => Some(i128::from(*value).saturating_mul(MICRO)),
            Self::Bytes(value) => Some(i128::from(*value).saturating_mul(MICRO)),
            Self::Decimal(value) => Some(i128::from(value.as_micro())),
            Self::Bool(_) | Self::Text(_) | Self::Duration(_) => None,
        }
    }
}

/// Reads a number with an optional suffix; `text` starts with a digit or with `-`.
pub(super) fn parse_number(text: &str) -> Result<Value, InvalidValue> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, rest) = split_digits(magnitude);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, suffix) = split_digits(rest);
            (Some(fraction), suffix)
        }
        None => (None, rest),
    };
    if whole.is_empty() {
        return Err(InvalidValue::NoDigits);
    }
    let whole: u64 = whole.parse().map_err(|_| InvalidValue::TooLarge)?;
    if !suffix.is_empty() {
        let value = with_suffix(whole, suffix)?;
        return if negative || fraction.is_some() {
            Err(InvalidValue::NotWhole)
        } else {
            Ok(value)
        };
    }
    let sign = if negative { -1 } else { 1 };
    let Some(fraction) = fraction else {
        let integer = i64::try_from(i128::from(whole).saturating_mul(sign));
        return integer.map(Value::Integer).map_err(|_| InvalidValue::TooLarge);
    };
    let micro = i128::from(whole).saturating_mul(MICRO).saturating_add(fraction_micro(fraction)?);
    let micro = i64::try_from(micro.saturating_mul(sign)).map_err(|_| InvalidValue::TooLarge)?;
    Ok(Value::Decimal(Decimal::from_micro(micro)))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn fraction_micro(digits: &str) -> Result<i128, InvalidValue> {
    if digits.is_empty() || digits.len() > FRACTION_DIGITS_MAX {
        return Err(InvalidValue::Fraction);
    }
    format!("{digits:0<FRACTION_DIGITS_MAX$}").parse().map_err(|_| InvalidValue::Fraction)
}

fn with_suffix(whole: u64, suffix: &str) -> Result<Value, InvalidValue> {
    let scaled = |table: &[(&str, u64)]| {
        let (_, unit) = table.iter().find(|(name, _)| *name == suffix)?;
        Some(whole.checked_mul(*unit).ok_or(InvalidValue::TooLarge))
    };
    if let Some(bytes) = scaled(&BYTE_SUFFIXES) {
        return bytes.map(Value::Bytes);
    }
    if let Some(ms) = scaled(&DURATION_SUFFIXES) {
        return ms.map(|ms| Value::Duration(Duration::from_ms(ms)));
    }
    Err(if suffix == "%" { InvalidValue::Percent } else { InvalidValue::Suffix })
}

/// Reads what stands between the quotes of a text.
pub(super) fn parse_text(quoted: &str) -> Result<Value, InvalidValue> {
    let mut text = String::new();
    let mut rest = quoted.chars();
    while let Some(next) = rest.next() {
        let plain = if next == '\\' { parse_escape(&mut rest)? } else { next };
        text.push(plain);
        if text.len() > CLAIM_TEXT_BYTES_MAX {
            return Err(InvalidValue::TextTooLong);
        }
    }
    Text::new(text).map(Value::Text).map_err(|_| InvalidValue::TextTooLong)
}

fn parse_escape(rest: &mut std::str::Chars<'_>) -> Result<char, InvalidValue> {
    match rest.next() {
        Some(plain @ ('"' | '\\')) => Ok(plain),
        Some('u') => {
            let (code, after) = rest
                .as_str()
                .strip_prefix('{')
                .and_then(|code| code.split_once('}'))
                .ok_or(InvalidValue::Escape)?;
            *rest = after.chars();
            let hexadecimal = code.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = u32::from_str_radix(code, 16).ok().filter(|_| hexadecimal);
            code.and_then(char::from_u32).ok_or(InvalidValue::Escape)
        }
        _ => Err(InvalidValue::Escape),
    }
}

/// Writes `count` with the largest suffix that divides it.
fn write_suffixed(f: &mut fmt::Formatter<'_>, count: u64, table: &[(&str, u64)]) -> fmt::Result {
    let exact = |unit: u64| count != 0 && count.is_multiple_of(unit);
    let found = table.iter().find(|(_, unit)| exact(*unit)).or(table.last());
    let (suffix, unit) = found.copied().unwrap_or(("", 1));
    write!(f, "{}{suffix}", count.checked_div(unit).unwrap_or(count))
}

/// A length of time for people: whole units of the largest unit that it fills.
pub(super) struct RoundedDuration(pub(super) Duration);

impl fmt::Display for RoundedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_ms();
        let found = DURATION_SUFFIXES.iter().find(|(_, unit)| ms >= *unit);
        let (suffix, unit) = found.copied().unwrap_or(("ms", 1));
        write!(f, "{}{suffix}", ms.checked_div(unit).unwrap_or(ms))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Bytes(value) => write_suffixed(f, *value, &BYTE_SUFFIXES),
            Self::Decimal(value) => write!(f, "{value}"),
            Self::Text(value) => write_quoted(f, value.as_str()),
            Self::Duration(value) => write_suffixed(f, value.as_ms(), &DURATION_SUFFIXES),
        }
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for next in text.chars() {
        match next {
            '"' | '\\' => write!(f, "\\{next}")?,
            // A claim must not move the cursor of whoever reads it in a terminal.
            _ if next.is_control() => write!(f, "\\u{{{:x}}}", u32::from(next))?,
            _ => write!(f, "{next}")?,
        }
    }
    f.write_str("\"")
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micro = self.as_micro();
        let sign = if micro < 0 { "-" } else { "" };
        let digits = format!("{:07}", micro.unsigned_abs());
        let point = digits.len().saturating_sub(FRACTION_DIGITS_MAX);
        let (whole, fraction) = digits.split_at_checked(point).unwrap_or((&digits, ""));
        let fraction = fraction.trim_end_matches('0');
        write!(f, "{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
    }
}

impl FromStr for Decimal {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match parse_number(text)? {
            Value::Decimal(decimal) => Ok(decimal),
            Value::Integer(integer) => {
                integer.checked_mul(1_000_000).map(Self::from_micro).ok_or(InvalidValue::TooLarge)
            }
            _ => Err(InvalidValue::Suffix),
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number with up to six digits after the point, exact",
            "type": "string",
            "pattern": r"^-?[0-9]+(\.[0-9]{1,6})?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, value: &Value, printed: &str) {
        assert_eq!(parse_number(text).as_ref(), Ok(value), "{text}");
        assert_eq!(value.to_string(), printed);
    }

    fn refused(text: &str) -> InvalidValue {
        parse_number(text).unwrap_err()
    }

    const fn decimal(micro: i64) -> Value {
        Value::Decimal(Decimal::from_micro(micro))
    }

    const fn duration(ms: u64) -> Value {
        Value::Duration(Duration::from_ms(ms))
    }

    #[test]
    fn bytes_print_with_the_largest_exact_suffix() {
        check("24GiB", &Value::Bytes(24 << 30), "24GiB");
        check("1024MiB", &Value::Bytes(1 << 30), "1GiB");
        check("1000kB", &Value::Bytes(1_000_000), "1MB");
        check("1024000B", &Value::Bytes(1_024_000), "1000KiB");
        check("3TB", &Value::Bytes(3_000_000_000_000), "3TB");
        check("1025B", &Value::Bytes(1_025), "1025B");
        check("0TiB", &Value::Bytes(0), "0B");
        check("1024", &Value::Integer(1_024), "1024");
    }

    #[test]
    fn durations_print_with_the_largest_exact_suffix() {
        check("7d", &duration(604_800_000), "7d");
        check("48h", &duration(172_800_000), "2d");
        check("90min", &duration(5_400_000), "90min");
        check("1500ms", &duration(1_500), "1500ms");
        check("60s", &duration(60_000), "1min");
        check("0d", &duration(0), "0ms");
    }

    #[test]
    fn decimals_are_exact_to_six_digits() {
        check("0.25", &decimal(250_000), "0.25");
        check("-0.000001", &decimal(-1), "-0.000001");
        check("2.0", &decimal(2_000_000), "2.0");
        check("007.50", &decimal(7_500_000), "7.5");
        check("-9223372036854.775808", &decimal(i64::MIN), "-9223372036854.775808");
        assert_eq!("3".parse(), Ok(Decimal::from_micro(3_000_000)));
    }

    #[test]
    fn integers_reach_both_ends_of_their_range() {
        check("9223372036854775807", &Value::Integer(i64::MAX), "9223372036854775807");
        check("-9223372036854775808", &Value::Integer(i64::MIN), "-9223372036854775808");
        check("-0", &Value::Integer(0), "0");
    }

    #[test]
    fn a_number_that_is_none_says_why() {
        for text in ["9223372036854775808", "99999999999999999999", "16777216TiB", "1e30"] {
            let expected =
                if text == "1e30" { InvalidValue::Suffix } else { InvalidValue::TooLarge };
            assert_eq!(refused(text), expected, "{text}");
        }
        assert_eq!(refused("9223372036854.775808"), InvalidValue::TooLarge);
        assert_eq!(refused("-"), InvalidValue::NoDigits);
        assert_eq!(refused("1."), InvalidValue::Fraction);
        assert_eq!(refused("0.1234567"), InvalidValue::Fraction);
        assert_eq!(refused("24gib"), InvalidValue::Suffix);
        assert_eq!(refused("1.2.3"), InvalidValue::Suffix);
        assert_eq!(refused("99%"), InvalidValue::Percent);
        assert_eq!(refused("1.5GiB"), InvalidValue::NotWhole);
        assert_eq!(refused("-1d"), InvalidValue::NotWhole);
    }

    #[test]
    fn text_escapes_what_would_not_print() {
        let check = |quoted: &str, plain: &str| {
            let value = Value::text(plain).unwrap();
            assert_eq!(parse_text(quoted).as_ref(), Ok(&value));
            assert_eq!(value.to_string(), format!("\"{quoted}\""));
        };
        check("eu", "eu");
        check("", "");
        check(r#"a\"b\\c"#, r#"a"b\c"#);
        check(r"\u{1b}[2J\u{a}", "\u{1b}[2J\n");
        check("Zürich", "Zürich");
        for quoted in [r"\n", "\\", r"\u", r"\u{", r"\u{}", r"\u{d800}", r"\u{+41}", r"\u{x}"] {
            assert_eq!(parse_text(quoted), Err(InvalidValue::Escape), "{quoted}");
        }
    }

    #[test]
    fn text_takes_64_bytes_and_not_65() {
        assert!(parse_text(&"x".repeat(64)).is_ok());
        assert_eq!(parse_text(&"x".repeat(65)), Err(InvalidValue::TextTooLong));
    }

    #[test]
    fn numbers_compare_across_kinds_exactly() {
        let compare = |left: Value, right: Value| left.compare(&right);
        assert_eq!(compare(Value::Integer(2), decimal(2_000_000)), Some(Ordering::Equal));
        assert_eq!(compare(Value::Integer(2), decimal(2_000_001)), Some(Ordering::Less));
        assert_eq!(compare(Value::Bytes(1 << 30), Value::Integer(1 << 30)), Some(Ordering::Equal));
        assert_eq!(compare(Value::Bytes(u64::MAX), decimal(i64::MAX)), Some(Ordering::Greater));
        assert_eq!(compare(Value::Integer(-1), Value::Bytes(0)), Some(Ordering::Less));
    }

    #[test]
    fn other_kinds_do_not_compare() {
        let text = Value::text("1").unwrap();
        for other in [Value::Bool(true), Value::Integer(1), duration(1)] {
            assert_eq!(text.compare(&other), None);
            assert_eq!(other.compare(&text), None);
        }
        assert_eq!(duration(1).compare(&Value::Integer(1)), None);
        assert_eq!(Value::Bool(true).compare(&Value::Integer(1)), None);
    }

    #[test]
    fn a_rounded_duration_takes_the_largest_unit_it_fills() {
        let rounded = |ms| RoundedDuration(Duration::from_ms(ms)).to_string();
        assert_eq!(rounded(0), "0ms");
        assert_eq!(rounded(59_999), "59s");
        assert_eq!(rounded(180_000_000), "2d");
    }
}
