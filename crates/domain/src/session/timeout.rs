//! How long a session may run.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// A session's longest life in seconds, counted from the moment its browser answers: 60..=21600 (six hours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct SessionTimeout(i32);

/// A timeout outside the range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be between {min} and {max} seconds, not {0}", min = SessionTimeout::MIN, max = SessionTimeout::MAX)]
pub struct InvalidTimeout(i64);

impl SessionTimeout {
    /// The shortest, in seconds.
    pub const MIN: i32 = 60;
    /// The longest, in seconds.
    pub const MAX: i32 = 21_600;

    /// The timeout in seconds.
    pub const fn seconds(self) -> i32 {
        self.0
    }
}

impl TryFrom<i64> for SessionTimeout {
    type Error = InvalidTimeout;

    fn try_from(seconds: i64) -> Result<Self, InvalidTimeout> {
        match i32::try_from(seconds) {
            Ok(seconds @ Self::MIN..=Self::MAX) => Ok(Self(seconds)),
            _ => Err(InvalidTimeout(seconds)),
        }
    }
}

impl From<SessionTimeout> for Millis {
    fn from(timeout: SessionTimeout) -> Self {
        Self(u64::from(timeout.0.unsigned_abs()) * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_is_a_timeout() {
        for (seconds, valid) in [
            (59, false),
            (60, true),
            (21_600, true),
            (21_601, false),
            (-1, false),
            (i64::MAX, false),
        ] {
            assert_eq!(SessionTimeout::try_from(seconds).is_ok(), valid, "{seconds}");
        }
    }
}
