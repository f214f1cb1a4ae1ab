//! The browsers that rest, oldest first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::Spare;
use crate::metric;

/// Where browsers rest. Each is in it, or somebody has it: never both.
#[derive(Default)]
pub(super) struct Shelf {
    inner: Mutex<Inner>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Inner {
    /// Oldest first.
    resting: VecDeque<Resting>,
    last_claim: Option<Instant>,
    closed: bool,
}

/// A browser that rests.
pub(super) struct Resting {
    pub(super) name: String,
    pub(super) browser: Box<dyn Spare>,
    /// Ends the watch over it when it leaves the shelf.
    pub(super) _watched: DropGuard,
}

impl Shelf {
    /// Takes a new browser in, unless the shelf is closed: then it is given back.
    pub(super) fn put(&self, resting: Resting) -> Result<(), Resting> {
        let mut inner = self.inner();
        if inner.closed {
            return Err(resting);
        }
        inner.resting.push_back(resting);
        self.publish(&inner);
        Ok(())
    }

    /// For a session that has just been asked for: the browser that has rested longest.
    pub(super) fn claim(&self) -> Option<Resting> {
        let mut inner = self.inner();
        inner.last_claim = Some(Instant::now());
        let oldest = inner.resting.pop_front()?;
        self.publish(&inner);
        Some(oldest)
    }

    /// The browser of this name, if it still rests.
    pub(super) fn remove(&self, name: &str) -> Option<Resting> {
        let mut inner = self.inner();
        let place = inner.resting.iter().position(|resting| resting.name == name)?;
        let removed = inner.resting.remove(place);
        self.publish(&inner);
        removed
    }

    /// Takes nothing in any more, and gives everything out.
    pub(super) fn close(&self) -> VecDeque<Resting> {
        let mut inner = self.inner();
        inner.closed = true;
        let all = std::mem::take(&mut inner.resting);
        self.publish(&inner);
        all
    }

    pub(super) fn last_claim(&self) -> Option<Instant> {
        self.inner().last_claim
    }

    /// Resolves when fewer than `size` rest.
    pub(super) async fn missing(&self, size: u32) {
        self.becomes(|count| count < size as usize).await;
    }

    #[cfg(test)]
    pub(super) async fn holds(&self, size: u32) {
        self.becomes(|count| count == size as usize).await;
    }

    async fn becomes(&self, right: impl Fn(usize) -> bool) {
        let mut count = self.count.subscribe();
        // Fails only without a sender, which is ours.
        let _ = count.wait_for(|&count| right(count)).await;
    }

    /// While the lock is held, so that a later count is never followed by an earlier one.
    #[expect(clippy::cast_precision_loss, reason = "a gauge, of a handful")]
    fn publish(&self, inner: &Inner) {
        let count = inner.resting.len();
        metrics::gauge!(metric::WARM_BROWSERS).set(count as f64);
        self.count.send_replace(count);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
