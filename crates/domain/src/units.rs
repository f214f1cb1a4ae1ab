//! Numbers that carry their unit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A count of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// A length of time in milliseconds, as control plane and workers exchange it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0)
    }
}

/// A share in percent; of one CPU core, it passes 100 when several are busy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(pub u32);

impl Percent {
    /// How busy one core would have been: `busy` of CPU time over `elapsed` of time.
    pub fn of_one_core(busy: Millis, elapsed: Millis) -> Self {
        let percent = busy.0.saturating_mul(100) / elapsed.0.max(1);
        Self(u32::try_from(percent).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_use_of_two_busy_cores_is_two_hundred_percent() {
        assert_eq!(Percent::of_one_core(Millis(4_000), Millis(2_000)), Percent(200));
    }

    #[test]
    fn cpu_use_over_no_time_is_not_a_division_by_zero() {
        assert_eq!(Percent::of_one_core(Millis(0), Millis(0)), Percent(0));
    }
}
