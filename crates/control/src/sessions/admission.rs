//! The first statement of a create: admitted, placed and stored, or refused with the reason.

use serde_json::Value;
use tokio::time::Instant;
use wharf_domain::SessionId;
use wharf_store::session_creations::{self, Creation};
use wharf_store::sessions::{self, Admission, NewSession, Stored};
use wharf_store::{StoreError, TenantTransaction};

use super::create::{CreateSession, RETRY_AFTER, RepeatableCall};
use crate::{Caller, Control, Error, Window};

/// How often a transaction is tried that Postgres undid, or that lost its connection.
const TRIES: u32 = 5;
/// Sessions that a refusal names as those which hold the places.
const HOLDERS: i64 = 3;

/// What became of the call.
pub(super) enum Admitted {
    /// It made a session.
    Stored(Stored, Option<Window>),
    /// It repeats a call that made this session.
    Repeated(SessionId),
}

/// What one transaction came to.
enum Verdict {
    Admission(Option<Admission>),
    Repeated(SessionId),
    /// The `Idempotency-Key` belongs to a call with another body.
    OtherBody,
}

/// Admits and stores the session, or finds the one that the call has made before.
///
/// # Errors
/// A limit is reached, nobody serves the region, or the `Idempotency-Key` was used for something else.
pub(super) async fn admit(
    control: &Control,
    caller: &Caller,
    id: SessionId,
    request: &CreateSession,
    deadline: Instant,
) -> Result<Admitted, Error> {
    let new = new_session(control, caller, id, request);
    let call = request.call.as_ref();
    let mut tries = 0;
    let verdict = loop {
        tries += 1;
        match transaction(control, caller, &new, call).await {
            Err(Failure::Before(error)) if error.is_worth_repeating() && tries < TRIES => {}
            // A COMMIT that was thought lost has come through after all.
            Err(Failure::Before(error)) if is_stored_already(&error) => {
                if let Some(stored) = stored_after_all(control, caller, id, &error).await? {
                    return Ok(stored);
                }
                return Err(error.into());
            }
            Err(Failure::Commit(error)) if tries < TRIES && Instant::now() < deadline => {
                // Nobody knows whether the row is there, so it is asked for by its id.
                if let Some(stored) = stored_after_all(control, caller, id, &error).await? {
                    return Ok(stored);
                }
            }
            Err(Failure::Before(error) | Failure::Commit(error)) => return Err(error.into()),
            Ok(verdict) => break verdict,
        }
    };
    match verdict {
        Verdict::Repeated(session) => Ok(Admitted::Repeated(session)),
        Verdict::OtherBody => Err(Error::KeyReused),
        Verdict::Admission(None) => Err(Error::not_found("Project", &caller.project())),
        Verdict::Admission(Some(admission)) => decide(control, caller, request, admission).await,
    }
}

fn new_session(control: &Control, caller: &Caller, id: SessionId, request: &CreateSession) -> NewSession {
    let metadata = request.user_metadata.as_ref();
    NewSession {
        id,
        api_key: caller.key(),
        region: request.region,
        timeout: request.timeout,
        keep_alive: request.keep_alive,
        user_metadata: metadata.map(|metadata| Value::Object(metadata.as_object().clone())),
        options: request.options.clone(),
        silent_after: control.timings.silent_after,
        wait_within: control.timings.wait_within,
        lost_after: control.timings.lost_after,
    }
}

/// Where a transaction failed: before its COMMIT nothing is kept; at the COMMIT that is unknown.
enum Failure {
    Before(StoreError),
    Commit(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Before(error)
    }
}

async fn transaction(
    control: &Control,
    caller: &Caller,
    new: &NewSession,
    call: Option<&RepeatableCall>,
) -> Result<Verdict, Failure> {
    let mut transaction = control.store.admission(caller.project()).await?;
    if let Some(call) = call {
        match earlier(control, &mut transaction, caller, new.id, call).await? {
            Some(Verdict::Repeated(session)) => {
                // What is kept here is only that nobody else gets it. To ask again would find nothing, and make a second.
                if let Err(error) = transaction.commit().await {
                    tracing::warn!(%session, %error, "the repetition of a create may not be noted: {error}");
                }
                return Ok(Verdict::Repeated(session));
            }
            Some(verdict) => return Ok(verdict),
            None => {}
        }
    }
    let admission = sessions::create(&mut transaction, new).await?;
    // A refused call leaves nothing: it may be repeated with the same key.
    if admission
        .as_ref()
        .is_some_and(|admission| admission.stored.is_some())
    {
        transaction.commit().await.map_err(Failure::Commit)?;
    }
    Ok(Verdict::Admission(admission))
}

/// What the call repeats; when nothing, it is noted, so that it can be repeated.
async fn earlier(
    control: &Control,
    transaction: &mut TenantTransaction,
    caller: &Caller,
    id: SessionId,
    call: &RepeatableCall,
) -> Result<Option<Verdict>, StoreError> {
    let timings = &control.timings;
    let key = call.idempotency_key.as_deref();
    if key.is_none() && call.retry_count > 0 && !timings.repeat_within.is_zero() {
        let (body, within) = (&call.body_hash, timings.repeat_within);
        let adopted =
            session_creations::adopt(transaction, caller.key(), body, call.retry_count, within).await?;
        if let Some(session) = adopted {
            tracing::info!(%session, project = %caller.project(), retry = call.retry_count, "a repeated create gets the session whose answer was lost");
            return Ok(Some(Verdict::Repeated(session)));
        }
    }
    let creation = Creation {
        session: id,
        api_key: caller.key(),
        idempotency_key: key,
        body_hash: &call.body_hash,
        retry_count: call.retry_count,
    };
    if session_creations::claim(transaction, creation, timings.key_kept_for).await? {
        return Ok(None);
    }
    let claimed = session_creations::keyed(transaction, key.unwrap_or_default()).await?;
    Ok(claimed.map(|claim| {
        if claim.body_hash == call.body_hash {
            Verdict::Repeated(claim.session)
        } else {
            Verdict::OtherBody
        }
    }))
}

fn is_stored_already(error: &StoreError) -> bool {
    matches!(error, StoreError::Constraint { constraint } if constraint == "sessions_pkey")
}

/// The session, if the COMMIT whose answer was lost has kept it. It goes on as a repeated call does: its place is known,
/// but not where the limits stood.
async fn stored_after_all(
    control: &Control,
    caller: &Caller,
    id: SessionId,
    error: &StoreError,
) -> Result<Option<Admitted>, Error> {
    tracing::warn!(session = %id, project = %caller.project(), %error, "the answer to a COMMIT was lost; looking whether it was kept");
    let session = super::get::find(control, caller, id).await?;
    Ok(session.map(|session| {
        let stored = Stored {
            generation: session.generation,
            timeout: session.timeout,
            created_at: session.created_at,
            place: session.place,
        };
        Admitted::Stored(stored, None)
    }))
}

async fn decide(
    control: &Control,
    caller: &Caller,
    request: &CreateSession,
    mut admission: Admission,
) -> Result<Admitted, Error> {
    let stored = admission.stored.take();
    let left = admission.creates_per_minute - admission.window_creates;
    let window = |remaining: i32| Window {
        limit: admission.creates_per_minute,
        remaining: remaining.max(0),
        resets_in: admission.window_resets_in,
    };
    if let Some(stored) = stored {
        return Ok(Admitted::Stored(stored, Some(window(left - 1))));
    }
    // The rate is named before the concurrency: waiting for a free place does not help there.
    if left <= 0 {
        return Err(Error::Limit {
            message: format!(
                "You've exceeded your session creation limit (limit {} per minute, currently {}). It resets in {} s; an \
                 administrator can raise the project's creates-per-minute.",
                admission.creates_per_minute,
                admission.window_creates,
                admission.window_resets_in.as_secs(),
            ),
            window: window(0),
            retry_after: admission.window_resets_in,
        });
    }
    if admission.active_sessions >= admission.concurrency {
        return Err(Error::Limit {
            message: format!(
                "You've exceeded your max concurrent sessions limit (limit {}, currently {}){}. Release a session first; \
                 an administrator can raise the project's concurrency.",
                admission.concurrency,
                admission.active_sessions,
                holders(control, caller).await?,
            ),
            // A refused create does not count, so what is left of the window is what it was.
            window: window(left),
            retry_after: RETRY_AFTER,
        });
    }
    Err(Error::Unavailable {
        message: format!(
            "No worker serves {} at the moment; try again in a moment, or ask for another region",
            request.region
        ),
        retry_after: RETRY_AFTER,
        source: None,
    })
}

/// Which sessions hold the project's places, for a message: the oldest, as they are the likeliest to be forgotten.
async fn holders(control: &Control, caller: &Caller) -> Result<String, Error> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let holders = sessions::own(&mut transaction, HOLDERS).await?;
    transaction.commit().await?;
    // They may all have ended meanwhile.
    if holders.is_empty() {
        return Ok(String::new());
    }
    let ids: Vec<_> = holders.iter().map(ToString::to_string).collect();
    Ok(format!("; the oldest that hold a place: {}", ids.join(", ")))
}
