//! Rows as a table for people.

use crate::Row;

const HEAD: [&str; 7] = ["name", "value", "unit", "bar", "holds", "peer", "ratio"];
const COLUMNS: usize = HEAD.len();

/// Returns the rows as a table with a head and a closing line of missed bars.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEAD.map(String::from)];
    lines.extend(rows.iter().map(cells));
    let mut widths = [0; COLUMNS];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let padded =
                if column == 1 { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            row.push_str(&padded);
            row.push_str("  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    let missed = rows.iter().filter(|row| row.holds == Some(false)).count();
    let asked = rows.iter().filter(|row| row.holds.is_some()).count();
    text.push_str(&format!("\n{} of {asked} bars hold\n", asked - missed));
    text
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let holds = match row.holds {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    };
    let peer = match (&row.peer, row.peer_value) {
        (Some(peer), Some(value)) => format!("{peer} {}", number(value)),
        _ => String::new(),
    };
    [
        row.name.clone(),
        number(row.value),
        row.unit.clone(),
        row.bar.clone().unwrap_or_default(),
        holds.to_string(),
        peer,
        row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
    ]
}

/// Returns the value with about four significant digits.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Figure;

    #[test]
    fn a_missed_bar_is_seen_in_its_row_and_at_the_end() {
        let rows = [
            Figure::new(1234.5, "a/s").at_least(1000.0).peer("other", 617.25).named("x/rate"),
            Figure::new(12.0, "ms").at_most(5.0).named("x/wait"),
        ];
        let expected = "\
name    value  unit  bar      holds  peer         ratio
x/rate   1234  a/s   >= 1000  yes    other 617.2  2.00
x/wait   12.0  ms    <= 5     NO

1 of 2 bars hold
";
        assert_eq!(table(&rows), expected);
    }
}
