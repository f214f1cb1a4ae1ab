//! Which hosts a route is for.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// The longest pattern that is read at all.
const LONGEST_BYTES: usize = 1_024;
/// The largest program that a pattern may become: it bounds what a tenant's pattern costs in memory.
const LARGEST_PROGRAM_BYTES: usize = 64 * 1024;
/// What the engine may remember while it matches; it is slower without, never wrong.
const LARGEST_CACHE_BYTES: usize = 64 * 1024;

/// A regular expression that is searched in a host's name or address, in lower case and without a dot at its end. The
/// engine never goes back, so that matching takes time in proportion to the host's length.
#[derive(Clone)]
pub struct Pattern(Regex);

/// This pattern cannot be used. Displays as the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Longer than 1,024 bytes.
    #[error("the pattern is longer than {LONGEST_BYTES} bytes")]
    TooLong,
    /// It would become a larger program than is allowed.
    #[error("the pattern is too large once its repetitions are written out")]
    TooLarge,
    /// It is no regular expression, or uses look-around or back-references, which need to go back.
    #[error("the pattern is not a regular expression: {0}")]
    Invalid(String),
}

impl Pattern {
    /// Reads a regular expression. Letters match in either case; it matches anywhere in the host unless it is anchored.
    ///
    /// # Errors
    /// It is not one, or too large.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        if text.len() > LONGEST_BYTES {
            return Err(BadPattern::TooLong);
        }
        RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(LARGEST_PROGRAM_BYTES)
            .dfa_size_limit(LARGEST_CACHE_BYTES)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => BadPattern::TooLarge,
                error => BadPattern::Invalid(last_line(&error.to_string())),
            })
    }

    /// Whether the host has what the pattern asks for.
    pub fn matches(&self, host: &str) -> bool {
        self.0.is_match(host)
    }
}

/// The engine draws a picture of the mistake above the line that names it.
fn last_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or(message);
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl fmt::Debug for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pattern({})", self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_searched_in_the_host() {
        let pattern = Pattern::new(r"wikipedia\.org").unwrap();
        assert!(pattern.matches("en.wikipedia.org") && pattern.matches("wikipedia.org.evil.example"));
        assert!(!pattern.matches("wikipediaXorg"));
        let anchored = Pattern::new(r"(^|\.)Wikipedia\.org$").unwrap();
        assert!(anchored.matches("en.wikipedia.org") && !anchored.matches("wikipedia.org.evil.example"));
    }

    #[test]
    fn a_bad_pattern_says_why() {
        let said = |text: &str| Pattern::new(text).unwrap_err().to_string();
        assert_eq!(
            said("(a"),
            "the pattern is not a regular expression: unclosed group"
        );
        assert!(said("(?=a)b").contains("look-around"), "{}", said("(?=a)b"));
        assert!(said(r"(a)\1").contains("backreferences"), "{}", said(r"(a)\1"));
        assert_eq!(Pattern::new(&"a".repeat(1_025)).unwrap_err(), BadPattern::TooLong);
        assert_eq!(
            Pattern::new(r"((\w{100}){100}){100}").unwrap_err(),
            BadPattern::TooLarge
        );
    }

    #[test]
    fn what_explodes_elsewhere_is_quick_here() {
        let pattern = Pattern::new("^(a+)+$").unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(250))));
    }
}
