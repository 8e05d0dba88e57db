//! Rows of measurements, and the timing that fills them.
//!
//! A `[[bench]]` with `harness = false` builds a [`Report`] from [`Figure`]s. Called with `--json`
//! it prints a list of [`Row`]s, otherwise a table; any other argument is a filter, and what it
//! does not match is not measured. `cargo xtask bench` runs all such programs.
//!
//! ```no_run
//! use bench::{Figure, Report, per_second};
//!
//! let rate = per_second(5, 1_000_000, || (0..1_000_000_u64).sum::<u64>());
//! Report::new()
//!     .row("example/additions", || Figure::new(rate, "additions/s").at_least(1e6))
//!     .finish();
//! ```
#![forbid(unsafe_code)]

mod table;
mod timing;

pub use table::table;
pub use timing::{core_time, median, median_of, min_of, per_second, percentile};

use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The value that a figure must reach.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Bar {
    /// The value must not be below this.
    AtLeast(f64),
    /// The value must not be above this.
    AtMost(f64),
    /// Nothing is asked of the value.
    #[default]
    None,
}

impl Bar {
    /// Returns whether the value passes, or `None` where nothing is asked.
    #[must_use]
    pub fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(bar) => Some(value >= bar),
            Self::AtMost(bar) => Some(value <= bar),
            Self::None => None,
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::AtLeast(bar) => Some(format!(">= {bar}")),
            Self::AtMost(bar) => Some(format!("<= {bar}")),
            Self::None => None,
        }
    }
}

/// One measured value, before it has a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    value: f64,
    unit: &'static str,
    bar: Bar,
    peer: Option<(String, f64)>,
}

impl Figure {
    /// Returns a figure of which nothing is asked.
    #[must_use]
    pub fn new(value: f64, unit: &'static str) -> Self {
        Self { value, unit, bar: Bar::None, peer: None }
    }

    /// Sets what the value must reach.
    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bar = bar;
        self
    }

    /// Asks for at least this value, in the figure's unit.
    #[must_use]
    pub fn at_least(self, bar: f64) -> Self {
        self.bar(Bar::AtLeast(bar))
    }

    /// Asks for at most this value, in the figure's unit.
    #[must_use]
    pub fn at_most(self, bar: f64) -> Self {
        self.bar(Bar::AtMost(bar))
    }

    /// Adds what another program reached in the same call, in the figure's unit.
    #[must_use]
    pub fn peer(mut self, name: impl Into<String>, value: f64) -> Self {
        self.peer = Some((name.into(), value));
        self
    }

    fn named(self, name: &str) -> Row {
        let (peer, peer_value) = self.peer.unzip();
        Row {
            name: name.to_string(),
            value: self.value,
            unit: self.unit.to_string(),
            bar: self.bar.text(),
            holds: self.bar.holds(self.value),
            peer,
            peer_value,
            ratio: peer_value.map(|peer_value| self.value / peer_value),
        }
    }
}

/// One line of the results, as the JSON list holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What was measured: `subject/figure`.
    pub name: String,
    /// The measured value.
    pub value: f64,
    /// What the value counts.
    pub unit: String,
    /// What is asked of the value: `>= 1000` or `<= 5`.
    pub bar: Option<String>,
    /// Whether the value passes its bar.
    pub holds: Option<bool>,
    /// The program that the value is compared with.
    pub peer: Option<String>,
    /// What that program reached.
    pub peer_value: Option<f64>,
    /// The value divided by the peer's.
    pub ratio: Option<f64>,
}

/// How the rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Json,
}

/// The rows of one measuring program.
#[derive(Debug)]
pub struct Report {
    form: Form,
    filter: Option<String>,
    rows: Vec<Row>,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// Returns an empty report that obeys the program's arguments.
    #[must_use]
    pub fn new() -> Self {
        Self::from_arguments(std::env::args().skip(1))
    }

    /// Reads `--json` and the filter; other flags are the build tool's and mean nothing here.
    fn from_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let mut report = Self { form: Form::Table, filter: None, rows: Vec::new() };
        for argument in arguments {
            if argument == "--json" {
                report.form = Form::Json;
            } else if !argument.starts_with('-') {
                report.filter = Some(argument);
            }
        }
        report
    }

    /// Returns whether a row of this name is asked for, for work that several rows share.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| name.contains(filter))
    }

    /// Measures a row, if it is asked for.
    pub fn row(&mut self, name: &str, measure: impl FnOnce() -> Figure) -> &mut Self {
        if self.wants(name) {
            self.rows.push(measure().named(name));
        }
        self
    }

    /// Returns the rows measured so far.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Prints the rows.
    ///
    /// # Panics
    ///
    /// When standard output is closed.
    pub fn finish(&self) {
        let text = match self.form {
            Form::Table => table(&self.rows),
            Form::Json => serde_json::to_string(&self.rows).expect("rows are plain data") + "\n",
        };
        io::stdout().write_all(text.as_bytes()).expect("standard output takes the rows");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(arguments: &[&str]) -> Report {
        Report::from_arguments(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn a_bar_holds_on_its_own_value_and_not_beyond() {
        assert_eq!(Bar::AtLeast(2.0).holds(2.0), Some(true));
        assert_eq!(Bar::AtLeast(2.0).holds(1.9), Some(false));
        assert_eq!(Bar::AtMost(2.0).holds(2.0), Some(true));
        assert_eq!(Bar::AtMost(2.0).holds(2.1), Some(false));
        assert_eq!(Bar::None.holds(2.0), None);
    }

    #[test]
    fn a_row_outside_the_filter_is_not_measured() {
        let mut report = report(&["--bench", "--json", "fork"]);
        report
            .row("ledger/quote", || unreachable!("the filter leaves this row out"))
            .row("ledger/fork", || Figure::new(3.0, "us").at_most(10.0));
        assert_eq!(report.form, Form::Json);
        assert_eq!(report.rows().len(), 1);
        assert_eq!(report.rows()[0].holds, Some(true));
    }

    #[test]
    fn a_row_carries_every_field_through_json() {
        let mut report = report(&[]);
        report.row("a/b", || Figure::new(6.0, "x/s").at_least(5.0).peer("other", 3.0));
        let text = serde_json::to_string(report.rows()).unwrap();
        let expected = r#"[{"name":"a/b","value":6.0,"unit":"x/s","bar":">= 5","holds":true,"peer":"other","peer_value":3.0,"ratio":2.0}]"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Vec<Row>>(&text).unwrap(), report.rows());
    }
}
