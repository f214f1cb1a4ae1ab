//! Creates a session: two statements and one call.
//!
//! The first statement admits, places and stores it (`admission.rs`); the call has a worker start the browser
//! (`launch.rs`); the second statement says that it runs. A crash between them leaves a PENDING row: the worker's heartbeat
//! makes it RUNNING if its browser answers, else a reconciler ends it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use wharf_domain::{
    CertificateId, EndReason, IdleTimeout, ProjectId, Region, SessionId, SessionStatus, SessionTimeout,
    UserMetadata,
};
use wharf_protocol::BrowserOptions;
use wharf_store::{StoreError, sessions};

use super::admission::{Admitted, admit};
use super::launch::{self, Launching};
use super::{SessionView, repeated};
use crate::{Caller, Control, Error, Window, certificates, repeat};

/// When to try again after a refusal for want of a place: sessions end every few seconds where that happens.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How soon a session is stored as running after Postgres could not be reached.
const START_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Counter: creates that repeated an earlier one and got its session.
const REPEATED_CREATES: &str = "wharf_creates_repeated_total";

/// A session that is asked for.
#[derive(Debug, Clone)]
pub struct CreateSession {
    /// The project that the caller means, if it says so.
    pub project: Option<ProjectId>,
    /// Where it is to run.
    pub region: Region,
    /// How long it may run; the project's default without.
    pub timeout: Option<SessionTimeout>,
    /// How long it may go without a byte from a client; as long as it may run without.
    pub idle_timeout: Option<IdleTimeout>,
    /// Whether it outlives its last client.
    pub keep_alive: bool,
    /// The caller's own object.
    pub user_metadata: Option<UserMetadata>,
    /// What changes how the browser starts.
    pub browser: BrowserOptions,
    /// Certificates of the project that the session is to trust.
    pub ca_certificates: Vec<CertificateId>,
    /// Everything that was asked for and is not a field here, to be stored and shown.
    pub options: Value,
    /// What the session makes no sense without.
    pub needs: Vec<Capability>,
    /// How the call can be told from another one, if its client says anything about that.
    pub call: Option<RepeatableCall>,
}

/// What makes two calls the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatableCall {
    /// Its `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// How often its client has sent it before.
    pub retry_count: i32,
    /// SHA-256 of its body.
    pub body_hash: [u8; 32],
}

/// Something a session can need that Wharf does not have yet. Ignoring the need would mislead: a script would find itself
/// logged out, or on a page that it was to be kept from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A stored profile.
    Contexts,
    /// A browser extension.
    Extensions,
    /// A browser that passes for a person's.
    Verified,
    /// A browser that passes for another operating system's.
    OperatingSystem,
}

impl Capability {
    const fn field(self) -> &'static str {
        match self {
            Self::Contexts => "browserSettings.context",
            Self::Extensions => "extensionId",
            Self::Verified => "browserSettings.verified",
            Self::OperatingSystem => "browserSettings.os",
        }
    }
}

/// A session that was created.
#[derive(Debug, Clone)]
pub struct Created {
    /// The session, RUNNING; as it is by now, when the call repeats an earlier one.
    pub view: SessionView,
    /// Where the project's creation window stands after it; unknown when the call repeats an earlier one.
    pub window: Option<Window>,
}

/// Creates a session and waits until its browser answers. A call that repeats an earlier one gets that one's session.
///
/// # Errors
/// The project or a certificate is not the caller's, a limit is reached, no worker has room in time, or no browser started.
pub async fn create(
    control: &Control,
    caller: &Caller,
    mut request: CreateSession,
) -> Result<Created, Error> {
    if let Some(project) = request.project.filter(|project| *project != caller.project()) {
        return Err(Error::not_found("Project", &project));
    }
    if let Some(missing) = request.needs.first() {
        return Err(Error::NotImplemented(format!(
            "body/{} is not available on this server yet; leave it out to create the session without it",
            missing.field()
        )));
    }
    let deadline = Instant::now() + control.timings.create_within;
    request.browser.ca_certificates =
        certificates::trusted(control, caller, &request.ca_certificates).await?;
    let id = SessionId::mint(&*control.clock, &*control.entropy);
    match admit(control, caller, id, &request, deadline).await? {
        Admitted::Repeated(session) => {
            metrics::counter!(REPEATED_CREATES).increment(1);
            let view = repeated::answer(control, caller, session).await?;
            Ok(Created { view, window: None })
        }
        Admitted::Stored(stored, window) => {
            let launching = Launching {
                id,
                request: &request,
                timeout: stored.timeout,
                deadline,
            };
            let generation = launch::launch(control, caller, &launching, stored).await?;
            let view = start(control, caller, id, generation, deadline).await?;
            Ok(Created { view, window })
        }
    }
}

async fn start(
    control: &Control,
    caller: &Caller,
    id: SessionId,
    generation: wharf_domain::Generation,
    deadline: Instant,
) -> Result<SessionView, Error> {
    let started = loop {
        let started = repeat(|| async move {
            let mut transaction = control.store.tenant(caller.project()).await?;
            let session = match sessions::start(&mut transaction, id, generation).await? {
                Some(session) => Some(session),
                None => sessions::get(&mut transaction, id).await?,
            };
            transaction.commit().await?;
            Ok(session)
        });
        match started.await {
            // Its browser runs, so a refusal now would leave a session that nobody knows: better late than that.
            Err(StoreError::Unavailable(error)) if Instant::now() < deadline => {
                tracing::warn!(session = %id, %error, "a started session cannot be stored yet; tried again: {error}");
                sleep(START_AGAIN_AFTER).await;
            }
            started => break started,
        }
    };
    // Until now its row could go with a crash of Postgres (`Store::admission`).
    let session = started?.ok_or_else(|| Error::Unavailable {
        message: "The database restarted while the session's browser started; create the session again"
            .to_owned(),
        retry_after: RETRY_AFTER,
        source: None,
    })?;
    // The worker's heartbeat may have made it RUNNING before we did.
    if session.status == SessionStatus::Running && session.generation == generation {
        tracing::info!(session = %id, project = %caller.project(), "session running");
        return Ok(SessionView::of(control, session));
    }
    // Its browser is killed by the answer to the worker's next heartbeat.
    tracing::warn!(session = %id, project = %caller.project(), "session was ended while its browser started");
    Err(ended_meanwhile(id, session.end_reason))
}

/// The answer to a create whose session ended before it ran.
pub(super) fn ended_meanwhile(id: SessionId, reason: Option<EndReason>) -> Error {
    match reason {
        Some(EndReason::Released) => {
            Error::Conflict(format!("Session {id} was released while its browser started"))
        }
        _ => launch::failure(id, None),
    }
}
