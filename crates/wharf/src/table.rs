//! Rows for people: columns wide enough, two spaces between.

/// Prints rows under their heading.
pub(crate) fn print<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: &[[String; COLUMNS]]) {
    for line in lines(heading, rows) {
        #[expect(clippy::print_stdout, reason = "the command's answer")]
        {
            println!("{line}");
        }
    }
}

fn lines<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> Vec<String> {
    let heading = heading.map(str::to_owned);
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        std::iter::once(&heading)
            .chain(rows)
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| {
            let cells = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            ["a".to_owned(), "long".to_owned()],
            ["bbb".to_owned(), String::new()],
        ];
        assert_eq!(lines(["ID", "X"], &rows), ["ID   X", "a    long", "bbb"]);
    }
}
