//! A browser that takes more than its share of the cores stands behind everybody else.
//!
//! Each browser leads sessions of its own, and the kernel shares the cores between sessions (`sched_autogroup_enabled`, set
//! by every large distribution), however many threads one has. So a greedy browser takes no more than the others want
//! to leave it; a low weight makes that almost nothing while the others want the cores, and all of them when nobody does.
//! In a container or a service with a CPU controller of its own the kernel does not do so; there only a control
//! group of the browser's own helps.

use super::CpuLimit;
use super::view::View;
use std::time::{Duration, Instant};

/// Processor time is counted in steps of 10 ms for each process.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Below so many hundredths of its limit, a browser is forgiven.
const FORGIVEN: u64 = 80;
const LOW: i32 = 19;
const USUAL: i32 = 0;

/// Watches one browser's use of the cores.
#[derive(Debug)]
pub(super) struct Priority {
    limit: CpuLimit,
    low: bool,
    /// When it was looked at last, and its processor time then.
    last: Option<(Instant, u64)>,
}

impl Priority {
    pub(super) fn under(limit: CpuLimit) -> Priority {
        Priority {
            limit,
            low: false,
            last: None,
        }
    }

    /// Looks, if it is time to, and sets the priority.
    pub(super) fn look(&mut self, view: &View, now: Instant) {
        if self
            .last
            .is_some_and(|(at, _)| now.duration_since(at) < LOOK_EVERY)
        {
            return;
        }
        let Some(ticks) = view.ticks() else { return };
        if let Some((at, before)) = self.last {
            let percent = percent(ticks.saturating_sub(before), now.duration_since(at));
            let low = is_greedy(self.low, percent, self.limit);
            if low != self.low {
                tracing::debug!(
                    percent,
                    low,
                    "a browser's use of the cores passed its limit, or fell below it"
                );
            }
            // Again and again while it is low: it may have started a session of processes since.
            let done = (!low && !self.low) || view.set_nice(if low { LOW } else { USUAL });
            // A pardon that the kernel refused is asked for again.
            self.low = low || !done;
        }
        self.last = Some((now, ticks));
    }
}

/// Whether a browser stands behind the others, that did so before or not.
fn is_greedy(before: bool, percent: u64, limit: CpuLimit) -> bool {
    let limit = u64::from(limit.percent());
    percent > limit || (before && percent * 100 > limit * FORGIVEN)
}

/// Of one core.
fn percent(ticks: u64, elapsed: Duration) -> u64 {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let busy = ticks.saturating_mul(1_000_000) / per_second;
    let elapsed = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1);
    busy.saturating_mul(100) / elapsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_greedy_is_forgiven_when_it_is_modest_and_not_before() {
        let limit = CpuLimit::of_percent(100).unwrap();
        for (before, percent, greedy) in [
            (false, 100, false),
            (false, 101, true),
            (true, 90, true),
            (true, 80, false),
            (true, 0, false),
        ] {
            assert_eq!(is_greedy(before, percent, limit), greedy, "{before} {percent}");
        }
    }

    #[test]
    fn two_busy_cores_are_two_hundred_percent() {
        let per_second = rustix::param::clock_ticks_per_second();
        assert_eq!(percent(4 * per_second, Duration::from_secs(2)), 200);
        assert_eq!(percent(0, Duration::ZERO), 0);
    }
}
