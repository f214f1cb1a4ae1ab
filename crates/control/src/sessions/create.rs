//! Creates a session: two statements and one call.
//!
//! The first statement admits, places and stores it; the call has a worker start the browser; the second statement says
//! that it runs. A crash between them leaves a PENDING row, which the reconciler ends.

use std::time::Duration;

use serde_json::Value;
use wharf_domain::{EndReason, Millis, ProjectId, Region, SessionId, SessionTimeout, UserMetadata};
use wharf_protocol::{BrowserOptions, LaunchRequest};
use wharf_store::StoreError;
use wharf_store::sessions::{self, Admission, NewSession, Placement};

use super::SessionView;
use crate::worker_client::WorkerCallError;
use crate::{Caller, Control, Error, Window};

/// How long a browser may take to start.
pub(crate) const LAUNCH_WITHIN: Duration = Duration::from_secs(20);
/// How long the first client may take to connect, unless the session is kept alive.
const CONNECT_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How often a create is tried that Postgres undid in favour of another transaction.
const TRIES: u32 = 3;
/// When to try again after a refusal for want of a slot: sessions end every few seconds where that happens.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A session that is asked for.
#[derive(Debug, Clone)]
pub struct CreateSession {
    /// The project that the caller means, if it says so.
    pub project: Option<ProjectId>,
    /// Where it is to run.
    pub region: Region,
    /// How long it may run; the project's default without.
    pub timeout: Option<SessionTimeout>,
    /// Whether it outlives its last client.
    pub keep_alive: bool,
    /// The caller's own object.
    pub user_metadata: Option<UserMetadata>,
    /// What changes how the browser starts.
    pub browser: BrowserOptions,
    /// Everything that was asked for and is not a field here, to be stored and shown.
    pub options: Value,
    /// What the session makes no sense without.
    pub needs: Vec<Capability>,
}

/// Something a session can need that Wharf does not have yet. Ignoring the need would mislead: traffic would leave from
/// the wrong address, or a script would find itself logged out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Traffic through a proxy.
    Proxies,
    /// Trust in the caller's own certificate authorities.
    CaCertificates,
    /// A stored profile.
    Contexts,
    /// A browser extension.
    Extensions,
    /// Navigations limited to some domains.
    AllowedDomains,
    /// A browser that passes for a person's.
    Verified,
    /// A browser that passes for another operating system's.
    OperatingSystem,
}

impl Capability {
    const fn field(self) -> &'static str {
        match self {
            Self::Proxies => "proxies",
            Self::CaCertificates => "proxySettings.caCertificates",
            Self::Contexts => "browserSettings.context",
            Self::Extensions => "extensionId",
            Self::AllowedDomains => "browserSettings.allowedDomains",
            Self::Verified => "browserSettings.verified",
            Self::OperatingSystem => "browserSettings.os",
        }
    }
}

/// A session that was created, and where the project's creation window stands after it.
#[derive(Debug, Clone)]
pub struct Created {
    /// The session, RUNNING.
    pub view: SessionView,
    /// The creation window.
    pub window: Window,
}

/// Creates a session and waits until its browser answers.
///
/// # Errors
/// The project is not the caller's, a limit is reached, no worker has room, or the browser did not start.
pub async fn create(control: &Control, caller: &Caller, request: CreateSession) -> Result<Created, Error> {
    if let Some(project) = request.project.filter(|project| *project != caller.project()) {
        return Err(Error::not_found("Project", &project));
    }
    if let Some(missing) = request.needs.first() {
        return Err(Error::NotImplemented(format!(
            "body/{} is not available on this server yet; leave it out to create the session without it",
            missing.field()
        )));
    }
    let id = SessionId::mint(&*control.clock, &*control.entropy);
    let (placement, window) = admit(control, caller, id, &request).await?;
    launch(control, caller, id, &request, &placement).await?;
    let view = start(control, caller, id, &placement).await?;
    Ok(Created { view, window })
}

async fn admit(
    control: &Control,
    caller: &Caller,
    id: SessionId,
    request: &CreateSession,
) -> Result<(Placement, Window), Error> {
    let new = NewSession {
        id,
        region: request.region,
        timeout: request.timeout,
        keep_alive: request.keep_alive,
        user_metadata: request
            .user_metadata
            .as_ref()
            .map(|metadata| Value::Object(metadata.as_object().clone())),
        options: request.options.clone(),
    };
    let mut tries = 0;
    let admission = loop {
        tries += 1;
        match admit_once(control, caller, &new).await {
            Err(StoreError::Undone(_)) if tries < TRIES => {}
            done => break done?,
        }
    };
    let admission = admission.ok_or_else(|| Error::not_found("Project", &caller.project()))?;
    let window = Window {
        limit: admission.creates_per_minute,
        remaining: (admission.creates_per_minute - admission.window_creates - 1).max(0),
        resets_in: admission.window_resets_in,
    };
    match admission.placement {
        Some(placement) => Ok((placement, window)),
        None => Err(refusal(&admission, window, request.region)),
    }
}

async fn admit_once(
    control: &Control,
    caller: &Caller,
    new: &NewSession,
) -> Result<Option<Admission>, StoreError> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let admission = sessions::create(&mut transaction, new).await?;
    transaction.commit().await?;
    Ok(admission)
}

/// Why there is no placement. The rate is named before the concurrency: waiting for a free place does not help there.
fn refusal(admission: &Admission, window: Window, region: Region) -> Error {
    if admission.window_creates >= admission.creates_per_minute {
        return Error::Limit {
            message: format!(
                "You've exceeded your session creation limit (limit {} per minute). It resets in {} s; an administrator \
                 can raise the project's creates-per-minute.",
                admission.creates_per_minute,
                window.resets_in.as_secs(),
            ),
            window: Window {
                remaining: 0,
                ..window
            },
            retry_after: window.resets_in,
        };
    }
    // A refused create does not count, so what is left of the window is what it was.
    let window = Window {
        remaining: window.limit - admission.window_creates,
        ..window
    };
    if admission.active_sessions >= admission.concurrency {
        return Error::Limit {
            message: format!(
                "You've exceeded your max concurrent sessions limit (limit {}, currently {}). Release a session first; \
                 an administrator can raise the project's concurrency.",
                admission.concurrency, admission.active_sessions,
            ),
            window,
            retry_after: RETRY_AFTER,
        };
    }
    Error::Unavailable {
        message: format!(
            "No worker in {region} has a free slot; try again in a moment, or ask for another region"
        ),
        retry_after: RETRY_AFTER,
        source: None,
    }
}

async fn launch(
    control: &Control,
    caller: &Caller,
    id: SessionId,
    request: &CreateSession,
    placement: &Placement,
) -> Result<(), Error> {
    let launch = LaunchRequest {
        session: id,
        project: caller.project(),
        generation: placement.generation,
        timeout: placement.timeout.into(),
        connect_within: (!request.keep_alive).then(|| Millis::from(CONNECT_WITHIN)),
        idle_timeout: None,
        keep_alive: request.keep_alive,
        launch_within: LAUNCH_WITHIN.into(),
        browser: request.browser.clone(),
    };
    let Err(error) = control
        .workers
        .launch(placement.worker, &placement.address, &launch)
        .await
    else {
        return Ok(());
    };
    // Before anything else can fail, and hide it.
    tracing::warn!(session = %id, project = %caller.project(), worker = %placement.worker, %error, "launch failed");
    give_up(control, id, placement).await?;
    Err(launch_failure(id, Some(error)))
}

/// The browser did not start: the session ends, and what it held is given back.
async fn give_up(control: &Control, id: SessionId, placement: &Placement) -> Result<(), Error> {
    let mut transaction = control.store.system().await?;
    sessions::end(
        &mut transaction,
        id,
        placement.generation,
        EndReason::LaunchFailed,
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}

fn launch_failure(session: SessionId, error: Option<WorkerCallError>) -> Error {
    Error::Unavailable {
        message: format!("The browser of session {session} did not start; try again"),
        retry_after: RETRY_AFTER,
        source: error.map(Into::into),
    }
}

async fn start(
    control: &Control,
    caller: &Caller,
    id: SessionId,
    placement: &Placement,
) -> Result<SessionView, Error> {
    let mut transaction = control.store.tenant(caller.project()).await?;
    let started = sessions::start(&mut transaction, id, placement.generation).await?;
    let session = sessions::get(&mut transaction, id)
        .await?
        .ok_or_else(|| Error::not_found("Session", &id))?;
    transaction.commit().await?;
    if started {
        tracing::info!(session = %id, project = %caller.project(), worker = %placement.worker, "session running");
        return Ok(SessionView::of(control, session));
    }
    // Its browser is killed by the answer to the worker's next heartbeat.
    tracing::warn!(session = %id, project = %caller.project(), worker = %placement.worker, "session was ended while its browser started");
    Err(match session.end_reason {
        Some(EndReason::Released) => {
            Error::Conflict(format!("Session {id} was released while its browser started"))
        }
        _ => launch_failure(id, None),
    })
}
