//! Chance, from a seed.

use std::time::Duration;

use wharf_domain::{Entropy, SeededEntropy, SystemEntropy};

/// Throws the same for the same seed.
#[derive(Debug)]
pub struct Dice(SeededEntropy);

/// A seed that nobody chose.
pub fn any_seed() -> u64 {
    number(&SystemEntropy) % 1_000_000
}

impl Dice {
    /// Each part of a run has a stream of its own, so that what one part draws does not change another's.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(SeededEntropy::new(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(stream),
        ))
    }

    /// A number below `end`; 0 for 0.
    pub fn below(&self, end: usize) -> usize {
        let drawn = number(&self.0) % (end.max(1) as u64);
        usize::try_from(drawn).unwrap_or(0)
    }

    /// True in this many of a hundred cases.
    pub fn percent(&self, share: usize) -> bool {
        self.below(100) < share
    }

    /// A time from `least` to `most`.
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis();
        let span = usize::try_from(span).unwrap_or(usize::MAX);
        least + Duration::from_millis(self.below(span + 1) as u64)
    }

    /// One of them.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn number(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_streams_differ() {
        let throw = |seed, stream| {
            let dice = Dice::new(seed, stream);
            (0..20).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throw(1, 1), throw(1, 1));
        assert_ne!(throw(1, 1), throw(1, 2));
        assert_ne!(throw(1, 1), throw(2, 1));
    }
}
