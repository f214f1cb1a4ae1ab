//! Ends a session at its owner's wish.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use wharf_domain::{EndReason, SessionId};
use wharf_protocol::ReleaseRequest;
use wharf_store::sessions::{self, Ended};

use super::SessionView;
use crate::{Caller, Control, Error};

/// How long the answer waits for the worker to hear of it. A worker that is slower hears of it all the same.
const WORKER_WITHIN: Duration = Duration::from_millis(500);

/// Ends the caller's session and answers at once; the browser is gone a moment later. Releasing an ended session changes
/// nothing and is no error: clients repeat it.
///
/// # Errors
/// There is no session of this id, or it is another project's.
pub async fn release(control: &Control, caller: &Caller, id: SessionId) -> Result<SessionView, Error> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let ended = sessions::end_own(&mut transaction, id, EndReason::Released).await?;
    let session = sessions::get(&mut transaction, id)
        .await?
        .ok_or_else(|| Error::not_found("Session", &id))?;
    transaction.commit().await?;
    if let Some(ended) = ended {
        tracing::info!(session = %id, project = %ended.project, "session released by its owner");
        // So that nobody connects to a session that was said to have ended. A worker answers within a millisecond.
        let _ = timeout(WORKER_WITHIN, tell_worker(control, id, ended)).await;
    }
    Ok(SessionView::of(control, session))
}

/// Tells the worker. If the message is lost, the answer to its next heartbeat says the same.
fn tell_worker(control: &Control, session: SessionId, ended: Ended) -> JoinHandle<()> {
    let told = control.clone();
    control.spawn(async move {
        let request = ReleaseRequest { session, generation: ended.generation, reason: EndReason::Released };
        if let Err(error) = told.workers.release(ended.worker, &ended.address, &request).await {
            tracing::warn!(%session, worker = %ended.worker, %error, "worker not told of a release; its heartbeat will be");
        }
    })
}
