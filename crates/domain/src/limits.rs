//! What a project may use at once, and how fast.

/// A project's limits. The database enforces them in the statement that creates a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectLimits {
    concurrency: i32,
    creates_per_minute: i32,
}

/// A limit that cannot be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name} must be between 1 and 1000000, not {value}")]
pub struct InvalidLimit {
    name: &'static str,
    value: i64,
}

impl ProjectLimits {
    /// Limits of `concurrency` sessions at once and `creates_per_minute` new ones.
    ///
    /// # Errors
    /// Either number is outside 1..=1,000,000.
    pub fn new(concurrency: i64, creates_per_minute: i64) -> Result<Self, InvalidLimit> {
        let checked = |name, value| match i32::try_from(value) {
            Ok(number @ 1..=1_000_000) => Ok(number),
            _ => Err(InvalidLimit { name, value }),
        };
        Ok(Self {
            concurrency: checked("concurrency", concurrency)?,
            creates_per_minute: checked("creates-per-minute", creates_per_minute)?,
        })
    }

    /// Sessions that may be pending or running at once.
    pub const fn concurrency(self) -> i32 {
        self.concurrency
    }

    /// Sessions that may be created in a window of 60 s.
    pub const fn creates_per_minute(self) -> i32 {
        self.creates_per_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_nothing_is_refused_by_name() {
        let message = ProjectLimits::new(25, 0).unwrap_err().to_string();
        assert!(message.starts_with("creates-per-minute"), "{message}");
        assert!(ProjectLimits::new(1_000_001, 1).is_err());
    }
}
