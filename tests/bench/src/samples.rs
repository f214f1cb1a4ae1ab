//! Durations of one kind, and what they come to.

use std::time::Duration;

/// Durations of one kind, in the order they were taken.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that at least `percent` of all do not exceed (nearest rank: a value that was really
    /// measured, never one between two). Zero without samples.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: &[u64]) -> Samples {
        Samples(milliseconds.iter().copied().map(Duration::from_millis).collect())
    }

    #[test]
    fn a_percentile_is_a_measured_value_of_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        for percent in [1, 50, 95, 99, 100] {
            assert_eq!(
                of(&hundred).percentile(percent),
                Duration::from_millis(percent as u64)
            );
        }
        assert_eq!(of(&[30, 10, 20]).percentile(50), Duration::from_millis(20));
        assert_eq!(of(&[10, 20]).percentile(50), Duration::from_millis(10));
        assert_eq!(of(&[10, 20]).percentile(51), Duration::from_millis(20));
        assert_eq!(of(&[7]).percentile(99), Duration::from_millis(7));
    }

    #[test]
    fn nothing_measured_is_zero() {
        assert_eq!(of(&[]).percentile(50), Duration::ZERO);
    }
}
