//! What a crash left half-done is finished here.
//!
//! A reconciler takes no input: it looks at the world as it is. It is idempotent, so any number of replicas may run it at
//! once; every effect is guarded by the session's state and generation. It runs on a timer, and is called by
//! whoever knows that there is work. It does not retry: its next run is the retry.

mod lost_workers;
mod old_creations;
mod overdue_sessions;
mod replaced_workers;

use std::time::Duration;

use wharf_domain::{Actor, EndReason};
use wharf_store::sessions::{self, Ended, LiveSession};
use wharf_store::{StoreError, reconcile_failures};

use crate::Control;

use lost_workers::end_sessions_of_lost_workers;
use old_creations::forget_old_creations;
use overdue_sessions::end_overdue_sessions;
pub(crate) use replaced_workers::end_sessions_of_replaced_workers;

const EVERY: Duration = Duration::from_secs(5);

/// Runs every reconciler, now and then, until the control plane shuts down.
pub fn start(control: &Control) {
    let reconciled = control.clone();
    control.spawn(async move {
        loop {
            run_once(&reconciled).await;
            tokio::select! {
                () = reconciled.shutdown.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
}

async fn run_once(control: &Control) {
    for (name, outcome) in [
        (
            "replaced workers",
            end_sessions_of_replaced_workers(control).await,
        ),
        ("lost workers", end_sessions_of_lost_workers(control).await),
        ("overdue sessions", end_overdue_sessions(control).await),
        ("old creations", forget_old_creations(control).await),
    ] {
        if let Err(error) = outcome {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(reconciler = name, %error, source, "reconciler failed; it runs again in a few seconds");
        }
    }
}

/// Ends one session, in a transaction of its own. That it has ended already is normal: another replica was faster. One
/// that cannot be ended must not keep the others from it, so the failure is told and the next run is the retry; after
/// five of them the session is parked.
pub(crate) async fn end(control: &Control, session: LiveSession, reason: EndReason) {
    match end_one(control, session, reason).await {
        Ok(None) => {}
        Ok(Some(ended)) => {
            let worker = ended.place.map(|place| place.worker.to_string());
            tracing::warn!(session = %session.id, project = %ended.project, worker, %reason, "session ended by a reconciler");
            control.queue.slot_freed();
        }
        // Postgres is away: that is not the session's fault.
        Err(error @ (StoreError::Unavailable(_) | StoreError::Undone(_))) => {
            tracing::warn!(session = %session.id, %reason, %error, "session not ended yet; tried again in a few seconds");
        }
        Err(error) => park(control, session, reason, &error).await,
    }
}

async fn end_one(
    control: &Control,
    session: LiveSession,
    reason: EndReason,
) -> Result<Option<Ended>, StoreError> {
    let mut transaction = control.store.system().await?;
    let (id, generation) = (session.id, session.generation);
    let ended = sessions::end(&mut transaction, id, generation, reason, Actor::Reconciler).await?;
    transaction.commit().await?;
    Ok(ended)
}

/// Counts the failure, so that a session that cannot be ended is not tried for ever.
async fn park(control: &Control, session: LiveSession, reason: EndReason, error: &StoreError) {
    let noted = async {
        let mut transaction = control.store.system().await?;
        let tries = reconcile_failures::note(&mut transaction, session.id, &error.to_string()).await?;
        transaction.commit().await?;
        Ok::<_, StoreError>(tries)
    };
    match noted.await {
        Ok(tries) if tries >= reconcile_failures::MOST_TRIES => {
            tracing::error!(session = %session.id, %reason, %error, tries, "session cannot be ended and is parked: delete its row in reconcile_failures to have it tried again: {error}");
        }
        Ok(tries) => {
            tracing::error!(session = %session.id, %reason, %error, tries, "session cannot be ended; tried again in a few seconds: {error}");
        }
        Err(unnoted) => {
            tracing::error!(session = %session.id, %reason, %error, %unnoted, "session cannot be ended, nor that be noted: {error}");
        }
    }
}
