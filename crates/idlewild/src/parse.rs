//! Values of arguments: text in, checked values out.

use std::time::Duration;

use types::Amount;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
];

const COUNT_UNITS: [(&str, u64); 4] =
    [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];

const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Returns bytes: `64MiB`, `1GiB`, `4096`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    scaled(text.strip_suffix('B').filter(|rest| plain(rest)).unwrap_or(text), &SIZE_UNITS)
        .ok_or_else(|| {
            "a size is a whole number with a unit of KiB, MiB or GiB, such as 64MiB".to_owned()
        })
}

/// Returns a count: `1000000`, `500M`, `2G`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    scaled(text, &COUNT_UNITS).ok_or_else(|| {
        "a count is a whole number, with k, M, G or T if need be, such as 500M".to_owned()
    })
}

/// Returns a length of time: `30s`, `10min`, `2h`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    if plain(text) {
        return Err("a length of time has a unit: ms, s, min, h or d".to_owned());
    }
    let ms = scaled(text, &TIME_UNITS);
    let ms = ms.ok_or("a length of time is a whole number with a unit, such as 30s")?;
    Ok(Duration::from_millis(ms))
}

/// Returns credits: `0.25`.
pub(crate) fn money(text: &str) -> Result<Amount, String> {
    text.strip_prefix('$').unwrap_or(text).parse().map_err(|error| format!("{error}"))
}

/// Returns a variable of a program's environment, split into name and value.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable is written NAME=value".to_owned()),
    }
}

/// Returns a share in basis points: `5%`, `0.25%`, `0`.
pub(crate) fn share(text: &str) -> Result<u16, String> {
    let wrong = || "a share ends with % and has at most two decimals, such as 10% or 2.5%";
    let percent = match text.strip_suffix('%') {
        Some(percent) => percent,
        None if text == "0" => text,
        None => return Err(wrong().to_owned()),
    };
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
    if !plain(whole) || !plain(decimals) || decimals.len() > 2 {
        return Err(wrong().to_owned());
    }
    let hundredths: u32 = format!("{whole}{decimals:0<2}").parse().map_err(|_| wrong())?;
    u16::try_from(hundredths)
        .ok()
        .filter(|points| *points <= types::BasisPoints::WHOLE)
        .ok_or_else(|| "a share is at most 100%".to_owned())
}

fn plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1,
        _ => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let sizes = ["0", "17", "17B", "64MiB", "64M", "2GB", "1KiB"].map(|text| size(text).ok());
        let expected = [0, 17, 17, 64 << 20, 64 << 20, 2_000_000_000, 1024].map(Some);
        assert_eq!(sizes, expected);
        for bad in ["", "B", "-1", "1.5GiB", "64 MiB", "1XB", "99999999999999999999", "MiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert!(size("18446744073709551615KiB").is_err());
    }

    #[test]
    fn counts_and_times_have_units() {
        assert_eq!(count("2G"), Ok(2_000_000_000));
        assert!(count("2GiB").is_err());
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("2min"), Ok(Duration::from_secs(120)));
        for bad in ["90", "s", "", "1.5h", "1w"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn money_has_at_most_six_decimals() {
        assert_eq!(money("0.25"), Ok(Amount::new(250_000).unwrap()));
        assert_eq!(money("$1"), Ok(Amount::new(1_000_000).unwrap()));
        for bad in ["", "$", "-1", "1e3", "0.0000001", "1,000"] {
            assert!(money(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(variable("A=").is_ok());
        assert!(variable("=b").is_err());
        assert!(variable("A").is_err());
    }

    #[test]
    fn shares_are_percentages() {
        let shares = ["0", "0%", "5%", "2.5%", "0.01%", "100%"].map(|text| share(text).ok());
        assert_eq!(shares, [0, 0, 500, 250, 1, 10_000].map(Some));
        for bad in ["5", "101%", "1.234%", "-1%", "%", "1.%"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
