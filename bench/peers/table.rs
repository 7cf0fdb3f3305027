//! Tables in Markdown that are readable as plain text too.

/// What stands where there is no value.
pub(crate) fn dash() -> String {
    "–".to_owned()
}

pub(crate) fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(dash, |value| format!("{value:.decimals$}"))
}

/// Appends a table whose columns are aligned: the first to the left, the others to the right, or all to the left.
pub(crate) fn push(text: &mut String, rows: &[Vec<String>], numbers: bool) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
    let is_left = |column: usize| column == 0 || !numbers;
    for (index, row) in rows.iter().enumerate() {
        text.push('|');
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padded = if is_left(column) { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") };
            text.push_str(&padded);
        }
        text.push('\n');
        if index == 0 {
            text.push('|');
            for (column, width) in widths.iter().enumerate() {
                let rule = "-".repeat(*width);
                text.push_str(&if is_left(column) { format!(" {rule} |") } else { format!(" {}: |", &rule[1..]) });
            }
            text.push('\n');
        }
    }
}
