//! What was seen of each upstream, for as long as that says something.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a living upstream is not asked again: creates would each take a round trip longer.
const ALIVE_FOR: Duration = Duration::from_secs(10);
/// How long a dead one is passed over.
pub(super) const DEAD_FOR: Duration = Duration::from_secs(30);

/// One entry an upstream.
pub(super) struct Health(Mutex<Vec<Option<Seen>>>);

#[derive(Clone, Copy)]
struct Seen {
    alive: bool,
    at: Instant,
}

impl Health {
    pub(super) fn of(count: usize) -> Self {
        Self(Mutex::new(vec![None; count]))
    }

    pub(super) fn saw(&self, index: usize, alive: bool, at: Instant) {
        if let Some(entry) = self.entries().get_mut(index) {
            *entry = Some(Seen { alive, at });
        }
    }

    pub(super) fn is_known_alive(&self, index: usize, now: Instant) -> bool {
        self.seen(index)
            .is_some_and(|seen| seen.alive && now.duration_since(seen.at) < ALIVE_FOR)
    }

    /// Whether it is not worth asking again yet.
    pub(super) fn is_passed_over(&self, index: usize, now: Instant) -> bool {
        self.seen(index)
            .is_some_and(|seen| !seen.alive && now.duration_since(seen.at) < DEAD_FOR)
    }

    /// Whether it did not answer when it was last asked, however long ago.
    pub(super) fn was_dead(&self, index: usize) -> bool {
        self.seen(index).is_some_and(|seen| !seen.alive)
    }

    fn seen(&self, index: usize) -> Option<Seen> {
        self.entries().get(index).copied().flatten()
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Option<Seen>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_believed_for_a_while() {
        let (health, then) = (Health::of(1), Instant::now());
        assert!(!health.is_known_alive(0, then) && !health.is_passed_over(0, then));
        health.saw(0, true, then);
        assert!(
            health.is_known_alive(0, then + ALIVE_FOR / 2) && !health.is_known_alive(0, then + ALIVE_FOR)
        );
        health.saw(0, false, then);
        assert!(health.is_passed_over(0, then + DEAD_FOR / 2) && !health.is_passed_over(0, then + DEAD_FOR));
        assert!(health.was_dead(0));
        assert!(!health.is_known_alive(0, then));
    }
}
