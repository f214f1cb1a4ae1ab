//! When a client last sent something. Written for every read of every client, so it is one atomic store.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::rules::after;

/// The moment of the last byte from a client, or from one of several.
#[derive(Debug)]
pub(crate) struct LastByte {
    origin: Instant,
    /// Since the origin.
    micros: AtomicU64,
}

impl LastByte {
    /// Counts from now, as if something had just come.
    pub(crate) fn now() -> Self {
        Self {
            origin: Instant::now(),
            micros: AtomicU64::new(0),
        }
    }

    /// Something has come, at this moment.
    pub(crate) fn touch(&self, moment: Instant) {
        let micros = moment.duration_since(self.origin).as_micros();
        self.micros
            .store(u64::try_from(micros).unwrap_or(u64::MAX), Relaxed);
    }

    /// Resolves once nothing has come for so long. It needs no timer per byte: it looks again when the time could be up.
    pub(crate) async fn silent_for(&self, wait: Duration) {
        loop {
            let last = self.origin + Duration::from_micros(self.micros.load(Relaxed));
            let until = after(last, wait);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}
