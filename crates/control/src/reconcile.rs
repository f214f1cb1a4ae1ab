//! What a crash left half-done is finished here.
//!
//! A reconciler takes no input: it looks at the world as it is. It is idempotent, so any number of replicas may run it at
//! once; every effect is guarded by the session's state and generation. It runs on a timer, and is called by
//! whoever knows that there is work. It does not retry: its next run is the retry.

mod lost_sessions;
mod overdue_sessions;

use std::time::Duration;

use wharf_domain::EndReason;
use wharf_store::sessions::{self, Ended, LiveSession};

use crate::{Control, Error};

pub(crate) use lost_sessions::end_lost_sessions;
pub(crate) use overdue_sessions::end_overdue_sessions;

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
        ("lost sessions", end_lost_sessions(control).await),
        ("overdue sessions", end_overdue_sessions(control).await),
    ] {
        if let Err(error) = outcome {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(reconciler = name, %error, source, "reconciler failed; it runs again in a few seconds");
        }
    }
}

/// Ends one session, in a transaction of its own. That it has ended already is normal: another replica was faster. One
/// that cannot be ended must not keep the others from it, so the failure is told and the next run is the retry.
async fn end(control: &Control, session: LiveSession, reason: EndReason) {
    match end_one(control, session, reason).await {
        Ok(None) => {}
        Ok(Some(ended)) => {
            tracing::warn!(session = %session.id, project = %ended.project, worker = %ended.worker, %reason, "session ended by a reconciler");
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(session = %session.id, %reason, %error, source, "session cannot be ended; tried again in a few seconds");
        }
    }
}

async fn end_one(control: &Control, session: LiveSession, reason: EndReason) -> Result<Option<Ended>, Error> {
    let mut transaction = control.store.system().await?;
    let ended = sessions::end(&mut transaction, session.id, session.generation, reason).await?;
    transaction.commit().await?;
    Ok(ended)
}
