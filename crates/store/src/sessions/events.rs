//! What happened to a session, in order.

use std::str::FromStr;

use uuid::Uuid;
use wharf_domain::{EndReason, Generation, SessionId, SessionStatus, Timestamp, WorkerId};

use crate::error::known;
use crate::{StoreError, TenantTransaction};

const TABLE: &str = "session_events";

/// A transition of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub occurred_at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// The session's status from then on.
    pub status: SessionStatus,
    /// The launch that is spoken of.
    pub generation: Generation,
    /// The worker that it concerns.
    pub worker: Option<WorkerId>,
    /// Why the session ended.
    pub end_reason: Option<EndReason>,
    /// What kind of actor caused it: see [`wharf_domain::Actor`].
    pub actor: String,
    /// Which one, where there are several.
    pub actor_id: Option<Uuid>,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It waits for a slot.
    Queued,
    /// A worker has a slot for it.
    Placed,
    /// Its browser answers.
    Started,
    /// It is over.
    Ended,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Placed, Self::Started, Self::Ended];

    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Placed => "placed",
            Self::Started => "started",
            Self::Ended => "ended",
        }
    }
}

impl FromStr for EventKind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

/// Every event of the caller's session, oldest first. Empty when there is no such session, or it is another project's.
///
/// # Errors
/// Postgres does not answer.
pub async fn events(transaction: &mut TenantTransaction, id: SessionId) -> Result<Vec<Event>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT occurred_at, kind, status, generation, worker_id, end_reason, actor, actor_id
        FROM session_events WHERE session_id = $1 AND project_id = $2 ORDER BY number
        "#,
        id.as_uuid(),
        transaction.project().as_uuid(),
    )
    .fetch_all(transaction.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Event {
                occurred_at: row.occurred_at,
                kind: known(TABLE, &row.kind)?,
                status: known(TABLE, &row.status)?,
                generation: Generation(row.generation),
                worker: row.worker_id.map(WorkerId::from),
                end_reason: row.end_reason.map(|reason| known(TABLE, &reason)).transpose()?,
                actor: row.actor,
                actor_id: row.actor_id,
            })
        })
        .collect()
}
