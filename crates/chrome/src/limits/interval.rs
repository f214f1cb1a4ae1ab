//! How long to look away from a browser that may not grow for ever.

use std::time::Duration;

/// How fast a browser's memory is taken to grow at most, in bytes a second: a page that fills arrays in two threads was seen at
/// 3 GB a second where the kernel hands out huge pages.
const FASTEST: u64 = 4 << 30;
const LONGEST: Duration = Duration::from_millis(250);
const SHORTEST: Duration = Duration::from_millis(25);
/// A look at thousands of processes takes long; the watching takes one part in this many of a core's time at most.
const REST: u32 = 10;

/// Until a browser with this much memory left could have used it up, within reason.
pub(super) fn next_look(left: u64, looked_for: Duration) -> Duration {
    let growing = Duration::from_millis(left.saturating_mul(1_000) / FASTEST);
    growing
        .clamp(SHORTEST, LONGEST)
        .max(looked_for.saturating_mul(REST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INSTANTLY: Duration = Duration::from_micros(200);

    proptest! {
        #[test]
        fn whoever_grows_as_fast_as_can_be_is_seen_before_the_limit_or_at_once(left in 0..(64u64 << 30)) {
            let pause = next_look(left, INSTANTLY);
            let grown = pause.as_millis() * u128::from(FASTEST) / 1_000;
            prop_assert!(pause == SHORTEST || grown <= u128::from(left));
            prop_assert!((SHORTEST..=LONGEST).contains(&pause));
        }

        #[test]
        fn the_nearer_the_limit_the_sooner(near in 0..(4u64 << 30), further in 0..(4u64 << 30)) {
            prop_assert!(next_look(near, INSTANTLY) <= next_look(near + further, INSTANTLY));
        }
    }

    #[test]
    fn a_look_that_takes_long_is_not_repeated_at_once() {
        assert_eq!(
            next_look(0, Duration::from_millis(20)),
            Duration::from_millis(200)
        );
    }
}
