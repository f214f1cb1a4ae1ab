//! Which answers to create calls have arrived. Noted in batches, a moment later: the next try of a client that got none
//! comes no sooner than a few hundred milliseconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use wharf_domain::SessionId;
use wharf_store::{StoreError, session_creations};

use crate::Control;

const GATHER: Duration = Duration::from_millis(20);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What is to be noted.
#[derive(Clone, Default)]
pub(crate) struct Deliveries(Arc<Mutex<Pending>>);

#[derive(Default)]
struct Pending {
    notes: Vec<(SessionId, bool)>,
    /// There is one writer at a time, so that a session's notes are stored in their order.
    written: bool,
}

impl Deliveries {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is to be stored; `None` when that is nothing, and then the writer is no more.
    fn batch(&self) -> Option<Vec<(SessionId, bool)>> {
        let mut pending = self.pending();
        pending.written = !pending.notes.is_empty();
        pending.written.then(|| pending.notes.clone())
    }

    fn stored(&self, batch: &[(SessionId, bool)]) {
        self.pending().notes.retain(|note| !batch.contains(note));
    }
}

/// Notes whether the answer with this session was delivered; a later note counts.
pub fn note_delivery(control: &Control, session: SessionId, delivered: bool) {
    let mut pending = control.deliveries.pending();
    pending.notes.retain(|(id, _)| *id != session);
    pending.notes.push((session, delivered));
    if !std::mem::replace(&mut pending.written, true) {
        let writer = control.clone();
        control.spawn(async move { write(&writer).await });
    }
}

async fn write(control: &Control) {
    loop {
        sleep(GATHER).await;
        let Some(batch) = control.deliveries.batch() else {
            return;
        };
        match store(control, &batch).await {
            Ok(()) => control.deliveries.stored(&batch),
            Err(error) if control.shutdown.is_cancelled() => {
                tracing::warn!(%error, "the last delivered answers are not noted: {error}");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "delivered answers cannot be noted, tried again in a moment: {error}");
                sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

async fn store(control: &Control, batch: &[(SessionId, bool)]) -> Result<(), StoreError> {
    let mut transaction = control.store.system().await?;
    session_creations::deliver(&mut transaction, batch).await?;
    transaction.commit().await
}
