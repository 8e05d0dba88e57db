//! Ranges of bytes as HTTP asks for them.

/// Bytes from `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// What a range header asks for of content of some length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: the header is in no form that is understood, and then it is ignored.
    All,
    /// A range.
    Part(ByteRange),
    /// Nothing that is there.
    Nothing,
}

/// Reads a range header.
pub(crate) fn parse_range(text: &str, length: u64) -> Asked {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'))
    else {
        return Asked::All;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Asked::All;
    }
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => {
            ByteRange { start: first, end: last.saturating_add(1).min(length) }
        }
        (Ok(first), Err(_)) if last.is_empty() => ByteRange { start: first, end: length },
        (Err(_), Ok(count)) if first.is_empty() => {
            ByteRange { start: length.saturating_sub(count), end: length }
        }
        _ => return Asked::All,
    };
    if range.start < range.end { Asked::Part(range) } else { Asked::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_says() {
        let part = |start, end| Asked::Part(ByteRange { start, end });
        let check = |text: &str, expected| assert_eq!(parse_range(text, 10), expected, "{text}");
        check("bytes=0-3", part(0, 4));
        check("bytes=9-9", part(9, 10));
        check("bytes=4-", part(4, 10));
        check("bytes=-3", part(7, 10));
        check("bytes=-99", part(0, 10));
        check("bytes=2-99", part(2, 10));
        check("bytes=10-", Asked::Nothing);
        check("bytes=10-12", Asked::Nothing);
        check("bytes=-0", Asked::Nothing);
        check("bytes=3-2", Asked::All);
        check("bytes=-", Asked::All);
        check("bytes=0-1,3-4", Asked::All);
        check("bytes=+1-2", Asked::All);
        check("lines=1-2", Asked::All);
        check("", Asked::All);
        check("bytes=0-18446744073709551615", part(0, 10));
        check("bytes=0-99999999999999999999999", Asked::All);
    }
}
