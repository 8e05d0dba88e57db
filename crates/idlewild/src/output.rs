//! What a command shows: data on standard output, talk on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use types::{Amount, Time};

use crate::failure::{Explain, Failure, Outcome};

/// How a command shows what it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON object instead of text.
    pub(crate) json: bool,
    /// No talk.
    pub(crate) quiet: bool,
}

impl Output {
    /// Shows the result: text for people, or the object.
    pub(crate) fn show(self, text: impl Display, value: &Value) -> Outcome<()> {
        let mut stdout = io::stdout().lock();
        let written = if self.json {
            writeln!(stdout, "{value}").and_then(|()| stdout.flush())
        } else {
            write!(stdout, "{}", visible(&text.to_string())).and_then(|()| stdout.flush())
        };
        tolerate_closed(written)
    }

    /// Writes bytes to standard output as they are.
    pub(crate) fn raw(self, bytes: &[u8]) -> Outcome<()> {
        let mut stdout = io::stdout().lock();
        tolerate_closed(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    /// Writes what a program wrote to standard output: as it is, but not to a terminal, which
    /// would obey it.
    pub(crate) fn program(self, bytes: &[u8]) -> Outcome<()> {
        if io::stdout().is_terminal() {
            return self.raw(visible(&String::from_utf8_lossy(bytes)).as_bytes());
        }
        self.raw(bytes)
    }

    /// Writes what a program wrote to standard error, in the same way.
    pub(crate) fn program_error(self, bytes: &[u8]) {
        let mut stderr = io::stderr().lock();
        // Nobody is left to be told that standard error is closed.
        let _ = match stderr.is_terminal() {
            true => stderr.write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes()),
            false => stderr.write_all(bytes),
        };
    }

    /// Says something on standard error, unless it is to be quiet.
    pub(crate) fn say(self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{}", visible(&text.to_string()));
        }
    }

    /// Says something on standard error in any case.
    pub(crate) fn warn(self, text: impl Display) {
        let _ = writeln!(io::stderr().lock(), "warning: {}", visible(&text.to_string()));
    }

    /// Shows why a command failed: on standard error, and as the object where one was asked for.
    pub(crate) fn fail(self, failure: &Failure) {
        if self.json {
            let _ = writeln!(io::stdout().lock(), "{}", failure.to_json());
        }
        let _ = writeln!(io::stderr().lock(), "{failure}");
    }

    /// Starts a bar of `length` steps; invisible unless standard error is a terminal.
    pub(crate) fn bar(self, length: u64, unit: &str) -> ProgressBar {
        let target = if self.quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = format!("{{bar:24}} {{pos}}/{{len}} {unit}  {{wide_msg}}");
        let style = ProgressStyle::with_template(&style).expect("the template is well formed");
        ProgressBar::with_draw_target(Some(length), target).with_style(style)
    }
}

/// A reader that had enough, such as `head`, is no failure.
fn tolerate_closed(written: io::Result<()>) -> Outcome<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.because("cannot write to standard output"),
    }
}

/// Returns text with everything escaped that a terminal would obey or not show, but for ends of
/// lines and tabs. Names, messages and reasons come from nodes and providers.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' | '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Returns somebody else's text as one visible line.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n")
}

/// Returns an amount of credits, as in `$0.001543`.
pub(crate) fn usd(amount: Amount) -> String {
    format!("${amount}")
}

/// Returns an amount of credits as JSON has it: a number of whole ones.
pub(crate) fn dollars(amount: Amount) -> Value {
    // Exact: an amount is below 2⁵³, and a quotient by a million prints with six decimals.
    Value::from(amount.get() as f64 / Amount::MICRO as f64)
}

/// Returns a count with separators, as in `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a count of things, as in `1 offer` or `2 offers`.
pub(crate) fn plural(number: usize, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// Returns a count of bytes in the largest binary unit that leaves a whole part.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = count;
    let mut rest = 0;
    let mut unit = 0;
    while size >= 1024 && unit + 1 < units.len() {
        rest = size % 1024;
        size /= 1024;
        unit += 1;
    }
    match rest * 10 / 1024 {
        0 => format!("{size} {}", units[unit]),
        tenth => format!("{size}.{tenth} {}", units[unit]),
    }
}

/// Returns a length of time in its two largest units.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, length.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Returns how far `time` is from now, as in `12 s ago` or `in 3 min 2 s`.
pub(crate) fn relative(time: Time) -> String {
    let now = api::now();
    let length = |ms| duration(Duration::from_millis(ms));
    if time <= now {
        format!("{} ago", length(now.since(time).as_ms()))
    } else {
        format!("in {}", length(time.since(now).as_ms()))
    }
}

/// Returns a time as in `2026-11-24 03:05:33 UTC`.
pub(crate) fn utc(time: Time) -> String {
    let seconds = time.as_ms() / 1_000;
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Years from March on, in eras of 400 years that begin at 0000-03-01, so that the day that a
    // leap year has more is the last of its year.
    days += 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = 400 * era + year + next;
    let (hour, minute, second) = (of_day / 3_600, of_day % 3_600 / 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Returns the beginning of an identifier, for places where the whole does not fit.
pub(crate) fn short(identifier: impl Display) -> String {
    identifier.to_string().chars().take(12).collect()
}

/// Rows of text whose columns line up.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// Columns of numbers stand to the right, others to the left.
impl Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
        let numeric = |text: &str| text.bytes().all(|byte| b"0123456789.,/$<= ".contains(&byte));
        let mut shape = Vec::with_capacity(columns);
        for column in 0..columns {
            let width = self.rows.iter().map(|row| cell(row, column).chars().count()).max();
            let mut body = self.rows.iter().skip(1).map(|row| cell(row, column)).peekable();
            let right = body.peek().is_some() && body.all(|text| numeric(&text));
            shape.push((width.unwrap_or(0), right));
        }
        for row in &self.rows {
            let mut line = String::new();
            for (column, (width, right)) in shape.iter().enumerate() {
                let text = cell(row, column);
                let padded =
                    if *right { format!("{text:>width$}") } else { format!("{text:<width$}") };
                line.push_str(&padded);
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 1023, 1024, 1_600, 5 << 30].map(bytes),
            ["0 B", "1023 B", "1 KiB", "1.5 KiB", "5 GiB"]
        );
        let text = [1_250, 59_000, 61_000, 7_200_000, 90_000_000]
            .map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(text, ["1.2 s", "59 s", "1 min 1 s", "2 h 0 min", "1 d 1 h"]);
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (1_795_489_533, "2026-11-24 03:05:33 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(Time::from_ms(seconds * 1_000)), shown);
        }
        assert!(!utc(Time::MAX).is_empty());
    }

    #[test]
    fn nothing_that_is_shown_is_obeyed() {
        assert_eq!(visible("tab\tline\n\"a\\b\" é ≤ 日 …"), "tab\tline\n\"a\\b\" é ≤ 日 …");
        let shown = visible("\u{1b}[31m\r\u{7}\u{9b}2J\u{202e}\u{200b}\0");
        assert_eq!(shown, "\\u{1b}[31m\\r\\u{7}\\u{9b}2J\\u{202e}\\u{200b}\\0");
    }

    #[test]
    fn a_table_lines_up() {
        let mut table = Table::new(&["OFFER", "PRICE"]);
        table.row(["abc".to_owned(), "$1.5".to_owned()]);
        table.row(["a".to_owned(), "$10.25".to_owned()]);
        assert_eq!(table.to_string(), "OFFER   PRICE\nabc      $1.5\na      $10.25\n");
    }
}
