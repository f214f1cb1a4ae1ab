//! What a scenario found.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// One measured thing, and whether it is as it must be.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value, in words.
    pub value: String,
    /// What it must be, in words; empty for one that is only told.
    pub bar: String,
    /// How often it was measured.
    pub runs: usize,
    /// Whether the bar is kept.
    pub kept: bool,
    /// The value as a multiple of its bar, where it depends on the machine; else nothing.
    #[serde(skip)]
    over: Option<f64>,
}

impl Figure {
    /// Whether the bar is kept, with this much room for a slow machine where the value depends on it.
    pub fn holds(&self, room: f64) -> bool {
        self.kept || self.over.is_some_and(|over| over <= room)
    }
}

/// What a scenario found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Faults by kind.
    pub faults: BTreeMap<String, usize>,
    /// Creates that were asked for.
    pub creates: usize,
    /// Sessions that came of them.
    pub sessions: usize,
    /// The measurements.
    pub figures: Vec<Figure>,
    /// Every broken promise, with enough to act on.
    pub violations: Vec<String>,
}

impl Outcome {
    /// Counts faults of a kind.
    pub fn fault(&mut self, kind: &str, count: usize) {
        *self.faults.entry(kind.to_owned()).or_default() += count;
    }

    /// Notes a broken promise.
    pub fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// A count that must be nothing else.
    pub fn exactly(&mut self, name: &str, value: usize, bar: usize, runs: usize) {
        self.push(name, value.to_string(), format!("= {bar}"), runs, value == bar);
    }

    /// Times of which the longest must be short enough.
    pub fn at_most(&mut self, name: &str, times: &[Duration], bar: Duration) {
        let longest = times.iter().max().copied().unwrap_or_default();
        let value = format!(
            "p50 {}, p99 {}, longest {}",
            millis(percentile(times, 50)),
            millis(percentile(times, 99)),
            millis(longest)
        );
        let over = match times {
            [] => f64::INFINITY,
            _ => longest.as_secs_f64() / bar.as_secs_f64(),
        };
        let bar = format!("longest <= {}", millis(bar));
        self.of_this_machine(name, value, bar, times.len(), over);
    }

    /// A share of successes in per cent that must be high enough.
    pub fn share(&mut self, name: &str, good: usize, all: usize, percent: f64) {
        let share = 100.0 * good as f64 / all.max(1) as f64;
        let value = format!("{good} of {all} = {share:.2} %");
        self.push(
            name,
            value,
            format!(">= {percent} %"),
            all,
            all > 0 && share >= percent,
        );
    }

    /// Something that is told and has no bar.
    pub fn told(&mut self, name: &str, value: String, runs: usize) {
        self.push(name, value, String::new(), runs, true);
    }

    /// A figure with its bar in words.
    pub fn push(&mut self, name: &str, value: String, bar: String, runs: usize, kept: bool) {
        self.figures.push(Figure {
            name: name.to_owned(),
            value,
            bar,
            runs,
            kept,
            over: None,
        });
    }

    /// A figure that a slow or busy machine makes larger; `over` is its value as a multiple of the bar.
    pub fn of_this_machine(&mut self, name: &str, value: String, bar: String, runs: usize, over: f64) {
        self.push(name, value, bar, runs, over <= 1.0);
        if let Some(figure) = self.figures.last_mut() {
            figure.over = Some(over);
        }
    }

    /// Whether every promise and every bar was kept, with this much room for a slow machine.
    pub fn is_good(&self, room: f64) -> bool {
        self.violations.is_empty() && self.figures.iter().all(|figure| figure.holds(room))
    }
}

/// The time that so many in a hundred do not exceed.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

/// Short times in milliseconds, long ones in seconds.
pub fn millis(time: Duration) -> String {
    match time.as_millis() {
        short @ ..10_000 => format!("{short} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_is_no_bar_kept() {
        let mut outcome = Outcome::default();
        assert!(outcome.is_good(1.0));
        outcome.at_most("x", &[], Duration::from_secs(1));
        assert!(!outcome.is_good(100.0));
    }

    #[test]
    fn one_slow_time_breaks_the_bar() {
        let mut outcome = Outcome::default();
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        outcome.at_most("x", &times, Duration::from_millis(100));
        assert!(outcome.is_good(1.0) && outcome.figures[0].value.contains("p99 99 ms"));
        outcome.at_most("x", &times, Duration::from_millis(99));
        assert!(!outcome.is_good(1.0) && outcome.is_good(2.0));
        outcome.exactly("x", 2, 1, 1);
        assert!(!outcome.is_good(100.0), "a count has no room");
    }
}
