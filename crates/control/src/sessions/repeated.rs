//! The answer to a create call that repeats an earlier one: the earlier one's session.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wharf_domain::{SessionId, SessionStatus};

use super::create::ended_meanwhile;
use super::{SessionView, get};
use crate::{Caller, Control, Error};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What the first call's handler gets beyond its deadline before it counts as dead: its worker's next report makes the
/// session RUNNING, or a reconciler ends it.
const SLACK: Duration = Duration::from_secs(10);

/// Waits until the session is no longer PENDING; another replica may be at it.
///
/// # Errors
/// The session did not start; the caller may try again.
pub(super) async fn answer(control: &Control, caller: &Caller, id: SessionId) -> Result<SessionView, Error> {
    let deadline = Instant::now() + control.timings.create_within + SLACK;
    loop {
        let session = get::find(control, caller, id)
            .await?
            .ok_or_else(|| Error::not_found("Session", &id))?;
        let never_ran = session.started_at.is_none();
        match session.status {
            SessionStatus::Pending if Instant::now() < deadline => sleep(LOOK_EVERY).await,
            SessionStatus::Pending => return Err(ended_meanwhile(id, None)),
            _ if never_ran => return Err(ended_meanwhile(id, session.end_reason)),
            _ => return Ok(SessionView::of(control, session)),
        }
    }
}
