//! The result as a table for people and as JSON for programs.

use serde::Serialize;
use wharf_domain::Timestamp;

use crate::figure::{Comparison, Figure, Unit, Verdict};
use crate::machine::Machine;

const RED: &str = "\u{1b}[1;31m";
const GREEN: &str = "\u{1b}[32m";
const PLAIN: &str = "\u{1b}[0m";

const TITLES: [&str; 9] = [
    "figure", "unit", "n", "direct", "limit", "Wharf", "compared", "target", "verdict",
];

/// Everything that one run found out.
#[derive(Debug)]
pub struct Report {
    /// When the run began.
    pub began: Timestamp,
    /// Where.
    pub machine: Machine,
    /// The browser's product and version.
    pub browser: String,
    /// What `wharf --version` says.
    pub wharf: String,
    /// The rows.
    pub figures: Vec<Figure>,
}

impl Report {
    /// Whether any target is missed.
    pub fn misses(&self) -> bool {
        self.figures
            .iter()
            .any(|figure| figure.verdict() == Verdict::Missed)
    }

    /// For people. A missed target is told in words; `coloured` says it in red as well.
    pub fn table(&self, coloured: bool) -> String {
        let Machine {
            cores,
            model,
            kernel,
            memory,
            busy_percent,
        } = &self.machine;
        let gibibytes = *memory as f64 / f64::from(1 << 30);
        let head = format!(
            "{began}  {wharf}, {browser}\n\
             {cores} cores of {model}, {gibibytes:.1} GiB, Linux {kernel}, {busy_percent:.0} % busy before the run\n\n",
            began = self.began.format("%Y-%m-%d %H:%M UTC"),
            wharf = self.wharf,
            browser = self.browser,
        );
        let warning = match self.machine.is_busy() {
            true => "The machine was busy with something else: repeat this when it is idle.\n\n",
            false => "",
        };
        let rows: Vec<_> = self.figures.iter().map(cells).collect();
        let verdicts: Vec<_> = self.figures.iter().map(Figure::verdict).collect();
        head + warning + &layout(&rows, &verdicts, coloured)
    }

    /// For programs.
    pub fn json(&self) -> anyhow::Result<String> {
        let document = Document {
            began: self.began.to_rfc3339(),
            machine: &self.machine,
            browser: &self.browser,
            wharf: &self.wharf,
            figures: self.figures.iter().map(Row::of).collect(),
        };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    began: String,
    machine: &'a Machine,
    browser: &'a str,
    wharf: &'a str,
    figures: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    figure: &'a str,
    unit: Unit,
    samples: usize,
    direct: Option<f64>,
    limit: Option<f64>,
    wharf: f64,
    comparison: Comparison,
    compared: f64,
    at_most: Option<f64>,
    verdict: Verdict,
}

impl Row<'_> {
    fn of(figure: &Figure) -> Row<'_> {
        Row {
            figure: figure.name,
            unit: figure.unit,
            samples: figure.samples,
            direct: figure.direct,
            limit: figure.limit,
            wharf: figure.wharf,
            comparison: figure.comparison,
            compared: figure.compared(),
            at_most: figure.at_most,
            verdict: figure.verdict(),
        }
    }
}

fn cells(figure: &Figure) -> [String; 9] {
    let value = |value: f64| match figure.unit {
        Unit::Milliseconds | Unit::Microseconds => format!("{value:.1}"),
        Unit::CallsPerSecond => format!("{value:.0}"),
    };
    let compared = |value: f64| match figure.comparison {
        Comparison::Difference => format!("{value:+.1}"),
        Comparison::Ratio => format!("{value:.3} x"),
        Comparison::Alone => format!("{value:.1}"),
    };
    let dash = || "-".to_owned();
    [
        figure.name.to_owned(),
        figure.unit.name().to_owned(),
        figure.samples.to_string(),
        figure.direct.map_or_else(dash, value),
        figure.limit.map_or_else(dash, value),
        value(figure.wharf),
        compared(figure.compared()),
        figure
            .at_most
            .map_or_else(dash, |target| format!("<= {}", compared(target))),
        match figure.verdict() {
            Verdict::Met => "met".to_owned(),
            Verdict::Missed => "MISSED".to_owned(),
            Verdict::None => dash(),
        },
    ]
}

/// Words to the left, numbers to the right, a column as wide as its widest cell.
fn layout(rows: &[[String; 9]], verdicts: &[Verdict], coloured: bool) -> String {
    let titles = TITLES.map(str::to_owned);
    let widths: [usize; 9] = std::array::from_fn(|column| {
        let cells = std::iter::once(&titles)
            .chain(rows)
            .map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    });
    let line = |row: &[String; 9]| {
        let padded: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0 | 1 | 8 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let rule: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    let mut table = format!("{}\n{}\n", line(&titles), "-".repeat(rule));
    for (row, verdict) in rows.iter().zip(verdicts) {
        // The colour goes around the padded line, or it would count as part of a cell's width.
        let line = match verdict {
            Verdict::Missed if coloured => format!("{RED}{}{PLAIN}", line(row)),
            Verdict::Met if coloured => format!("{GREEN}{}{PLAIN}", line(row)),
            _ => line(row),
        };
        table += &line;
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests;
