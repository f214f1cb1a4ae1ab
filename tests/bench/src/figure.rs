//! One row of the result: Wharf, the limit beside it, and whether the target is met.

use serde::Serialize;

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Calls per second.
    #[serde(rename = "calls/s")]
    CallsPerSecond,
}

impl Unit {
    /// As in a table.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "us",
            Unit::CallsPerSecond => "calls/s",
        }
    }
}

/// How Wharf is set against the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Comparison {
    /// Wharf less the limit, in the figure's unit.
    Difference,
    /// Wharf divided by the limit.
    Ratio,
    /// Not at all: Wharf's own value counts.
    Alone,
}

/// Whether a target is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// There is no target: the row informs.
    None,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// What the three values are counted in.
    pub unit: Unit,
    /// How many samples each value rests on.
    pub samples: usize,
    /// Straight to the browser; `None` where the limit is itself straight.
    pub direct: Option<f64>,
    /// What nothing in Wharf's place could beat on this machine; `None` where Wharf stands alone.
    pub limit: Option<f64>,
    /// The same through Wharf.
    pub wharf: f64,
    /// How the two are compared.
    pub comparison: Comparison,
    /// What the comparison may come to at most.
    pub at_most: Option<f64>,
}

impl Figure {
    /// Wharf against the limit.
    pub fn compared(&self) -> f64 {
        let limit = self.limit.unwrap_or(f64::NAN);
        match self.comparison {
            Comparison::Difference => self.wharf - limit,
            Comparison::Ratio => self.wharf / limit,
            Comparison::Alone => self.wharf,
        }
    }

    /// Whether the target is met. What cannot be compared misses it.
    pub fn verdict(&self) -> Verdict {
        match self.at_most {
            None => Verdict::None,
            Some(target) if self.compared() <= target => Verdict::Met,
            Some(_) => Verdict::Missed,
        }
    }
}

/// A figure for the tests of this crate.
#[cfg(test)]
pub fn sample(comparison: Comparison, limit: f64, wharf: f64, at_most: Option<f64>) -> Figure {
    Figure {
        name: "launch",
        unit: Unit::Milliseconds,
        samples: 20,
        direct: None,
        limit: Some(limit),
        wharf,
        comparison,
        at_most,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_up_to_its_very_value() {
        for (comparison, wharf, verdict) in [
            (Comparison::Difference, 214.9, Verdict::Met),
            (Comparison::Difference, 215.0, Verdict::Met),
            (Comparison::Difference, 215.1, Verdict::Missed),
            (Comparison::Ratio, 3000.0, Verdict::Met),
            (Comparison::Ratio, 3001.0, Verdict::Missed),
        ] {
            let figure = sample(comparison, 200.0, wharf, Some(15.0));
            assert_eq!(figure.verdict(), verdict, "{figure:?}");
        }
    }

    #[test]
    fn without_a_target_there_is_no_verdict() {
        assert_eq!(
            sample(Comparison::Ratio, 1.0, 99.0, None).verdict(),
            Verdict::None
        );
    }

    #[test]
    fn alone_it_is_wharfs_own_value_that_counts() {
        let figure = |comparison, wharf| Figure {
            limit: None,
            ..sample(comparison, 0.0, wharf, Some(6.0))
        };
        assert_eq!(figure(Comparison::Alone, 6.0).verdict(), Verdict::Met);
        assert_eq!(figure(Comparison::Alone, 6.1).verdict(), Verdict::Missed);
        assert_eq!(
            figure(Comparison::Difference, 1.0).verdict(),
            Verdict::Missed,
            "nothing to compare with"
        );
    }

    #[test]
    fn a_limit_of_nothing_is_a_miss() {
        let figure = sample(Comparison::Ratio, 0.0, 0.0, Some(1.15));
        assert_eq!(figure.verdict(), Verdict::Missed);
    }
}
