//! How long a session may be left alone.

use serde::{Deserialize, Serialize};

use crate::{Millis, SessionTimeout};

/// The longest time in seconds that a session may go without a byte from a client: 10..=21600.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct IdleTimeout(i32);

/// An idle timeout outside the range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be between {min} and {max} seconds, not {0}", min = IdleTimeout::MIN, max = IdleTimeout::MAX)]
pub struct InvalidIdleTimeout(i64);

impl IdleTimeout {
    /// The shortest, in seconds: an agent thinks for a while between two commands.
    pub const MIN: i32 = 10;
    /// The longest, in seconds: no session runs for longer.
    pub const MAX: i32 = SessionTimeout::MAX;
}

impl TryFrom<i64> for IdleTimeout {
    type Error = InvalidIdleTimeout;

    fn try_from(seconds: i64) -> Result<Self, InvalidIdleTimeout> {
        match i32::try_from(seconds) {
            Ok(seconds @ Self::MIN..=Self::MAX) => Ok(Self(seconds)),
            _ => Err(InvalidIdleTimeout(seconds)),
        }
    }
}

impl From<IdleTimeout> for Millis {
    fn from(timeout: IdleTimeout) -> Self {
        Self(u64::from(timeout.0.unsigned_abs()) * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_is_an_idle_timeout() {
        for (seconds, valid) in [
            (9, false),
            (10, true),
            (21_600, true),
            (21_601, false),
            (-1, false),
            (i64::MIN, false),
        ] {
            assert_eq!(IdleTimeout::try_from(seconds).is_ok(), valid, "{seconds}");
        }
    }
}
