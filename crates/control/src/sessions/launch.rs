//! Has a worker start the session's browser: the one with the slot, and if that fails another, under the next generation.

use tokio::time::Instant;
use wharf_domain::{Actor, EndReason, Generation, Millis, SessionId, SessionTimeout};
use wharf_protocol::LaunchRequest;
use wharf_store::sessions::{self, Place, Placed, Stored};

use super::create::{CreateSession, RETRY_AFTER, ended_meanwhile};
use super::get;
use crate::worker_client::WorkerCallError;
use crate::{Caller, Control, Error, queue, repeat};

/// A session on its way to a browser.
pub(super) struct Launching<'create> {
    pub(super) id: SessionId,
    pub(super) request: &'create CreateSession,
    pub(super) timeout: SessionTimeout,
    /// When whoever asked for it is answered at the latest.
    pub(super) deadline: Instant,
}

/// Launches until a browser answers; says which generation that is. Waits for a slot where there is none.
///
/// # Errors
/// There was no slot in time, or no browser started on any worker.
pub(super) async fn launch(
    control: &Control,
    caller: &Caller,
    launching: &Launching<'_>,
    stored: Stored,
) -> Result<Generation, Error> {
    let (mut generation, mut place) = (stored.generation, stored.place);
    loop {
        let taken = match place.take() {
            Some(place) => place,
            None => {
                let placed = wait(control, caller, launching).await?;
                generation = placed.generation;
                match placed.place {
                    Some(place) => place,
                    None => return Err(ended(control, caller, launching.id).await?),
                }
            }
        };
        let Err(error) = call(control, caller, launching, generation, &taken).await else {
            return Ok(generation);
        };
        if let WorkerCallError::Impossible {
            message, not_offered, ..
        } = error
        {
            // The caller's own mistake: nothing for whoever keeps this running.
            tracing::info!(session = %launching.id, project = %caller.project(), worker = %taken.worker, reason = %message, "launch refused");
            give_up(control, launching.id, generation).await?;
            return Err(match not_offered {
                true => Error::NotOffered(message),
                false => Error::Invalid(message),
            });
        }
        // Before anything else can fail, and hide it.
        tracing::warn!(session = %launching.id, project = %caller.project(), worker = %taken.worker, generation = generation.0, %error, "launch failed");
        match next_generation(control, launching, generation).await? {
            Some(next) => generation = next,
            None => {
                give_up(control, launching.id, generation).await?;
                return Err(failure(launching.id, Some(error)));
            }
        }
    }
}

async fn call(
    control: &Control,
    caller: &Caller,
    launching: &Launching<'_>,
    generation: Generation,
    place: &Place,
) -> Result<(), WorkerCallError> {
    let request = launching.request;
    let left = launching.deadline.saturating_duration_since(Instant::now());
    let launch = LaunchRequest {
        session: launching.id,
        project: caller.project(),
        generation,
        timeout: launching.timeout.into(),
        connect_within: (!request.keep_alive).then(|| Millis::from(control.timings.connect_within)),
        idle_timeout: request.idle_timeout.map(Millis::from),
        keep_alive: request.keep_alive,
        launch_within: control.timings.launch_within.min(left).into(),
        browser: request.browser.clone(),
    };
    control
        .workers
        .launch(place.worker, &place.address, &launch)
        .await?;
    Ok(())
}

/// Waits for a slot, in order, and not for ever.
async fn wait(control: &Control, caller: &Caller, launching: &Launching<'_>) -> Result<Placed, Error> {
    let id = launching.id;
    let left = launching.deadline.saturating_duration_since(Instant::now());
    let within = control.timings.wait_within.min(left);
    tracing::debug!(session = %id, project = %caller.project(), "session waits for a slot");
    if let Some(placed) = queue::wait(control, id, within).await {
        return Ok(placed);
    }
    let region = launching.request.region;
    let ended = repeat(|| async move {
        let mut transaction = control.store.system().await?;
        let ended = sessions::end_waiting(&mut transaction, id, EndReason::LaunchFailed).await?;
        transaction.commit().await?;
        Ok(ended)
    })
    .await?;
    if ended.is_some() {
        return Err(Error::Unavailable {
            message: format!(
                "No worker in {region} had a free slot within {} s; try again in a moment, or ask for another region",
                within.as_secs_f32().round(),
            ),
            retry_after: RETRY_AFTER,
            source: None,
        });
    }
    // It got its place at the last moment, or somebody ended it.
    let session = get::find(control, caller, id)
        .await?
        .ok_or_else(|| Error::not_found("Session", &id))?;
    Ok(Placed {
        id,
        generation: session.generation,
        place: session.place.filter(|_| !session.status.is_terminal()),
    })
}

async fn ended(control: &Control, caller: &Caller, id: SessionId) -> Result<Error, Error> {
    let session = get::find(control, caller, id).await?;
    Ok(ended_meanwhile(
        id,
        session.and_then(|session| session.end_reason),
    ))
}

/// Lets the session wait for another worker, if there is one and time for it.
async fn next_generation(
    control: &Control,
    launching: &Launching<'_>,
    generation: Generation,
) -> Result<Option<Generation>, Error> {
    if Instant::now() >= launching.deadline {
        return Ok(None);
    }
    let timings = &control.timings;
    let next = repeat(|| async move {
        let mut transaction = control.store.system().await?;
        let next = sessions::wait_for_another_worker(
            &mut transaction,
            launching.id,
            generation,
            timings.silent_after,
            timings.create_within,
        )
        .await?;
        transaction.commit().await?;
        Ok(next)
    })
    .await?;
    control.queue.slot_freed();
    Ok(next)
}

/// The browser did not start: the session ends, and what it held is given back.
async fn give_up(control: &Control, id: SessionId, generation: Generation) -> Result<(), Error> {
    repeat(|| async move {
        let mut transaction = control.store.system().await?;
        let reason = EndReason::LaunchFailed;
        sessions::end(&mut transaction, id, generation, reason, Actor::ControlPlane).await?;
        transaction.commit().await
    })
    .await?;
    control.queue.slot_freed();
    Ok(())
}

/// The answer to a create whose browser did not start.
pub(super) fn failure(session: SessionId, error: Option<WorkerCallError>) -> Error {
    let message = match &error {
        Some(WorkerCallError::NotNow { message, .. }) => message.clone(),
        _ => format!("The browser of session {session} did not start; try again"),
    };
    Error::Unavailable {
        message,
        retry_after: RETRY_AFTER,
        source: error.map(Into::into),
    }
}
