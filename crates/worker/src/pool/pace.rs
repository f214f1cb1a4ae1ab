//! When the next browser for the pool may be started.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wharf_domain::{Bytes, Entropy};

use super::Machine;
use super::shelf::Shelf;
use crate::heartbeat::jittered;

/// After a claim, the CPU is for the client that connects, and for the next ones of a burst.
const QUIET: Duration = Duration::from_millis(500);
/// Over how long, and how often, it is seen how busy the machine is.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The share of time in which some task waited for a CPU, from which on a start would take it from the sessions.
const CALM: f64 = 0.4;
/// So that the pool fills on a machine that is always busy as well.
const WAIT_AT_MOST: Duration = Duration::from_secs(10);
/// What must be free after all, whatever the bound: sessions come first.
const MEMORY_KEPT: Bytes = Bytes(512 << 20);
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// A failure that long after the last one is a first one again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

/// Decides when to start, and remembers what failed.
pub(super) struct Pace {
    machine: Box<dyn Machine>,
    entropy: Arc<dyn Entropy>,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    /// In a row, each soon after the one before.
    count: u32,
    last: Option<Instant>,
    not_before: Option<Instant>,
    /// Until a browser has started again.
    told: bool,
}

/// What is known when it has to be decided.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: Instant,
    /// Since when a browser is missing.
    missing_since: Instant,
    last_claim: Option<Instant>,
    /// Failures put it off until then.
    not_before: Option<Instant>,
    /// When the machine's pressure was last noted, and the share of time since then in which a task waited for a CPU.
    noted: Instant,
    stalled: Option<f64>,
    memory: Option<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Start,
    /// Not before then; `look_anew` means that the pressure is to be noted now.
    Wait {
        until: Instant,
        look_anew: bool,
    },
}

impl Moment {
    fn decide(&self) -> Decision {
        let wait = |until| Decision::Wait {
            until,
            look_anew: false,
        };
        if let Some(not_before) = self.not_before.filter(|&not_before| not_before > self.now) {
            return wait(not_before);
        }
        if self.memory.is_some_and(|memory| memory < MEMORY_KEPT) {
            return wait(self.now + LOOK_EVERY);
        }
        let at_most = self.missing_since + WAIT_AT_MOST;
        if self.now >= at_most {
            return Decision::Start;
        }
        let quiet = self.last_claim.map_or(self.now, |claim| claim + QUIET);
        let seen = quiet.max(self.noted + LOOK_EVERY);
        if seen > self.now {
            return wait(seen.min(at_most));
        }
        if self.stalled.is_some_and(|share| share > CALM) {
            let until = (self.now + LOOK_EVERY).min(at_most);
            return Decision::Wait {
                until,
                look_anew: true,
            };
        }
        Decision::Start
    }
}

impl Pace {
    pub(super) fn new(machine: Box<dyn Machine>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            machine,
            entropy,
            failures: Mutex::default(),
        }
    }

    /// Resolves when a browser may be started.
    pub(super) async fn wait(&self, shelf: &Shelf) {
        let missing_since = Instant::now();
        let mut noted = (missing_since, self.machine.cpu_stalled());
        loop {
            let now = Instant::now();
            let stalled_now = self.machine.cpu_stalled();
            let moment = Moment {
                now,
                missing_since,
                last_claim: shelf.last_claim(),
                not_before: self.failures().not_before,
                noted: noted.0,
                stalled: share(noted, (now, stalled_now)),
                memory: self.machine.memory_available(),
            };
            match moment.decide() {
                Decision::Start => return,
                Decision::Wait { until, look_anew } => {
                    if look_anew {
                        noted = (now, stalled_now);
                    }
                    sleep_until(until).await;
                }
            }
        }
    }

    /// Puts the next start off, the longer the more failed in a row. Told once, until one succeeds.
    pub(super) fn failed(&self, what: &str) {
        let now = Instant::now();
        let mut failures = self.failures();
        if failures.last.is_some_and(|last| now - last > FORGOTTEN_AFTER) {
            failures.count = 0;
        }
        let pause = backoff(failures.count);
        failures.count = failures.count.saturating_add(1);
        failures.last = Some(now);
        failures.not_before = Some(now + jittered(pause, &*self.entropy));
        if std::mem::replace(&mut failures.told, true) {
            tracing::debug!("{what}");
        } else {
            tracing::warn!(
                "{what}; the next is started in {pause:?}, sessions start browsers of their own meanwhile"
            );
        }
    }

    /// A browser has started.
    pub(super) fn succeeded(&self) {
        if std::mem::take(&mut self.failures().told) {
            tracing::info!("browsers for the warm pool start again");
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn backoff(failures_before: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures_before);
    FIRST_BACKOFF.saturating_mul(factor).min(LONGEST_BACKOFF)
}

fn share(noted: (Instant, Option<Duration>), now: (Instant, Option<Duration>)) -> Option<f64> {
    let elapsed = now.0.saturating_duration_since(noted.0).as_secs_f64();
    let stalled = now.1?.saturating_sub(noted.1?).as_secs_f64();
    (elapsed > 0.0).then(|| stalled / elapsed)
}

#[cfg(test)]
mod tests;
