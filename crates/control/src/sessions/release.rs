//! Ends sessions at their owner's wish.

use std::time::Duration;

use tokio::time::timeout;
use wharf_domain::{Actor, EndReason, SessionId};
use wharf_protocol::ReleaseRequest;
use wharf_store::sessions::{self, Ended, Place};

use super::SessionView;
use crate::{Caller, Control, Error, repeat};

/// How long the answer waits for the worker to hear of it. A worker that is slower hears of it all the same.
const WORKER_WITHIN: Duration = Duration::from_millis(500);
/// Sessions that are ended between two looks at what is left.
const AT_ONCE: i64 = 100;

/// Ends the caller's session and answers at once; the browser is gone a moment later. Releasing an ended session changes
/// nothing and is no error: clients repeat it.
///
/// # Errors
/// There is no session of this id, or it is another project's.
pub async fn release(control: &Control, caller: &Caller, id: SessionId) -> Result<SessionView, Error> {
    let actor = Actor::ApiKey(caller.key());
    let (ended, session) = repeat(|| async move {
        let mut transaction = control.store.tenant(caller.project()).await?;
        let ended = sessions::end_own(&mut transaction, id, EndReason::Released, actor).await?;
        let session = sessions::get(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok((ended, session))
    })
    .await?;
    let session = session.ok_or_else(|| Error::not_found("Session", &id))?;
    if let Some(ended) = ended {
        // So that nobody connects to a session that was said to have ended. A worker answers within a millisecond.
        let _ = timeout(WORKER_WITHIN, tell(control, ended)).await;
    }
    Ok(SessionView::of(control, session))
}

/// Ends every session that the caller's project has at this moment; answers which they were. One transaction each, so
/// that it stands in nobody's way. It may be repeated if it fails half-way.
///
/// # Errors
/// Postgres does not answer.
pub async fn release_all(control: &Control, caller: &Caller) -> Result<Vec<SessionId>, Error> {
    let actor = Actor::ApiKey(caller.key());
    let mut released = Vec::new();
    // Made now, so it sorts after every session there is: those that are created meanwhile are not meant.
    let last = SessionId::mint(&*control.clock, &*control.entropy);
    loop {
        let mut transaction = control.store.tenant(caller.project()).await?;
        let mut live = sessions::own(&mut transaction, AT_ONCE).await?;
        transaction.commit().await?;
        live.retain(|id| *id <= last);
        if live.is_empty() {
            return Ok(released);
        }
        for id in live {
            let ended = repeat(|| async move {
                let mut transaction = control.store.tenant(caller.project()).await?;
                let ended = sessions::end_own(&mut transaction, id, EndReason::Released, actor).await?;
                transaction.commit().await?;
                Ok(ended)
            })
            .await?;
            if let Some(ended) = ended {
                released.push(id);
                let _untold = tell(control, ended);
            }
        }
    }
}

/// Tells the worker. If the message is lost, the answer to its next heartbeat says the same. Resolves when it is told.
fn tell(control: &Control, ended: Ended) -> tokio::task::JoinHandle<()> {
    tracing::info!(session = %ended.id, project = %ended.project, "session released by its owner");
    control.queue.slot_freed();
    let told = control.clone();
    control.spawn(async move {
        // A session that waited for a place has no worker.
        let Some(Place { worker, address, .. }) = ended.place else {
            return;
        };
        let session = ended.id;
        let request = ReleaseRequest {
            session,
            generation: ended.generation,
            reason: EndReason::Released,
        };
        if let Err(error) = told.workers.release(worker, &address, &request).await {
            tracing::warn!(%session, %worker, %error, "worker not told of a release; its heartbeat will be");
        }
    })
}
