//! Waiting for the sessions of a worker that takes no more.

use std::time::Duration;

use tokio::time::{Instant, interval_at};

use crate::registry::Registry;

const SAY_EVERY: Duration = Duration::from_secs(30);

/// Takes no more launches, for good, and waits until no session is left.
pub(crate) async fn drain(registry: &Registry) {
    registry.set_draining(|draining| draining.own = true);
    let mut live = registry.live();
    let started = Instant::now();
    let mut say = interval_at(started, SAY_EVERY);
    loop {
        tokio::select! {
            biased;
            _ = live.wait_for(|live| *live == 0) => break,
            _ = say.tick() => tell(registry),
        }
    }
    tracing::info!("no session is left, after {:?}", started.elapsed());
}

fn tell(registry: &Registry) {
    let sessions = *registry.live().borrow();
    let Some(oldest) = registry.oldest() else {
        return;
    };
    let left = match oldest.time_left() {
        Some(left) => format!("ends in {} s at the latest", left.as_secs()),
        None => "is still starting".to_owned(),
    };
    tracing::info!(
        sessions, oldest = %oldest.id,
        "the worker drains: it takes no more sessions and waits for {sessions}; the oldest, {}, {left}", oldest.id,
    );
}
