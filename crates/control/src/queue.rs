//! Sessions that wait for a slot, and the handlers that wait with them.
//!
//! The queue itself is the table of sessions: any replica may place any session. What is kept here is only whom to wake.
//! One task per process asks Postgres, however many wait: twice a tick, and at once when a slot became free here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use wharf_domain::SessionId;
use wharf_store::StoreError;
use wharf_store::sessions::{self, Placed};

use crate::Control;

/// How soon a slot that became free elsewhere is noticed.
const TICK: Duration = Duration::from_millis(100);

/// Whom to wake when a session has its place.
#[derive(Clone, Default)]
pub(crate) struct Queue(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waiters: Mutex<Waiters>,
    slot_freed: Notify,
}

#[derive(Default)]
struct Waiters {
    wake: HashMap<SessionId, oneshot::Sender<Placed>>,
    /// Whether the task runs.
    pumped: bool,
}

impl Queue {
    /// A slot has become free: no need to wait for the next tick.
    pub(crate) fn slot_freed(&self) {
        self.0.slot_freed.notify_one();
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.0.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ids(&self) -> Vec<SessionId> {
        self.waiters().wake.keys().copied().collect()
    }

    fn wake(&self, placed: Placed) {
        if let Some(waiter) = self.waiters().wake.remove(&placed.id) {
            // Whoever waits no longer has decided otherwise.
            let _ = waiter.send(placed);
        }
    }

    /// Whether nobody waits; then the task has ended as far as the next waiter is concerned.
    fn rest(&self) -> bool {
        let mut waiters = self.waiters();
        waiters.wake.retain(|_, waiter| !waiter.is_closed());
        waiters.pumped = !waiters.wake.is_empty();
        !waiters.pumped
    }
}

/// Waits until the session has a place or has ended; `None` when neither happens `within` this time.
pub(crate) async fn wait(control: &Control, id: SessionId, within: Duration) -> Option<Placed> {
    let (waiter, placed) = oneshot::channel();
    let first = {
        let mut waiters = control.queue.waiters();
        waiters.wake.insert(id, waiter);
        !std::mem::replace(&mut waiters.pumped, true)
    };
    if first {
        let pumped = control.clone();
        control.spawn(async move { pump(&pumped).await });
    }
    timeout(within, placed).await.ok()?.ok()
}

/// Places whoever waits, and wakes those who wait here, until nobody does.
async fn pump(control: &Control) {
    while !control.queue.rest() {
        if let Err(error) = turn(control).await {
            tracing::warn!(%error, "sessions that wait for a slot cannot be placed; tried again in a moment");
        }
        let _ = timeout(TICK, control.queue.0.slot_freed.notified()).await;
    }
}

async fn turn(control: &Control) -> Result<(), StoreError> {
    place_waiting(control).await?;
    let mut transaction = control.store.system().await?;
    let placed = sessions::placed(&mut transaction, &control.queue.ids()).await?;
    transaction.commit().await?;
    placed.into_iter().for_each(|placed| control.queue.wake(placed));
    Ok(())
}

/// Gives free slots to sessions that wait, of any replica, in their order. The list's transaction stays open meanwhile: it
/// keeps other replicas from doing the same in another order.
async fn place_waiting(control: &Control) -> Result<(), StoreError> {
    let mut turn = control.store.system().await?;
    for id in sessions::waiting(&mut turn).await? {
        let mut transaction = control.store.system().await?;
        if sessions::place(&mut transaction, id, control.timings.silent_after).await? {
            transaction.commit().await?;
        }
    }
    turn.commit().await
}
