//! Admits, places and stores a session: all of it in one statement, or nothing.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;
use wharf_domain::{ApiKeyId, Generation, Region, SessionId, SessionTimeout, Timestamp};

use super::Place;
use crate::{StoreError, TenantTransaction};

/// A session that is asked for.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id, minted by the caller so that a lost answer can be looked up.
    pub id: SessionId,
    /// The key that asks for it.
    pub api_key: ApiKeyId,
    /// The region that it must run in.
    pub region: Region,
    /// How long it may run; the project's default without.
    pub timeout: Option<SessionTimeout>,
    /// Whether it outlives its last client.
    pub keep_alive: bool,
    /// The caller's own object.
    pub user_metadata: Option<Value>,
    /// The options of the create call that are not columns.
    pub options: Value,
    /// A worker that has been silent for longer gets no session.
    pub silent_after: Duration,
    /// How long the session may wait for a slot.
    pub wait_within: Duration,
    /// A worker that has been silent for longer is lost: nobody waits for its slots.
    pub lost_after: Duration,
}

/// Where the limits stood, and what became of the session.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Sessions that the project may run at once.
    pub concurrency: i32,
    /// Sessions that it ran before this one.
    pub active_sessions: i32,
    /// Sessions that it may create in a window of 60 s.
    pub creates_per_minute: i32,
    /// Sessions that it had created in the window before this one.
    pub window_creates: i32,
    /// How long until the window ends.
    pub window_resets_in: Duration,
    /// The stored session; `None` when a limit is reached, or no worker serves the region.
    pub stored: Option<Stored>,
}

impl Admission {
    /// The session's place, if it was stored and got one.
    pub fn place(&self) -> Option<&Place> {
        self.stored.as_ref()?.place.as_ref()
    }
}

/// A stored session.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The launch to ask for.
    pub generation: Generation,
    /// How long the session may run.
    pub timeout: SessionTimeout,
    /// When the row was made.
    pub created_at: Timestamp,
    /// Its place; `None` when it waits for one.
    pub place: Option<Place>,
}

/// What the statement gave.
struct Row {
    concurrency: i32,
    active_sessions: i32,
    creates_per_minute: i32,
    window_creates: i32,
    resets_in: i64,
    worker_id: Option<Uuid>,
    worker_incarnation: Option<i64>,
    worker_address: Option<String>,
    timeout_seconds: Option<i32>,
    created_at: Option<Timestamp>,
    generation: Option<i32>,
}

/// Admits, places and stores the session; `None` when the project is gone.
///
/// Holding the project's row first makes concurrent creates of one project take turns, and each sees the counters that
/// the one before it left. Then the least loaded worker's row: the same order as in [`super::end`], so they cannot
/// deadlock. A session for which no slot is left, or that lost the race for the last one, or before which others wait,
/// is stored without a place: [`super::waiting`] lists it in its turn.
///
/// # Errors
/// Postgres does not answer.
pub async fn create(
    transaction: &mut TenantTransaction,
    new: &NewSession,
) -> Result<Option<Admission>, StoreError> {
    transaction.hold_project().await?;
    let row = sqlx::query_as!(
        Row,
        r#"
        WITH project AS (
            SELECT id, concurrency, creates_per_minute, active_sessions, default_timeout_seconds,
                   CASE WHEN window_started_at > now() - interval '60 s' THEN window_creates ELSE 0 END AS window_creates,
                   CASE WHEN window_started_at > now() - interval '60 s' THEN window_started_at ELSE now() END
                       AS window_started_at
            FROM projects WHERE id = $1
        ),
        admitted AS (
            SELECT id, window_creates, window_started_at, coalesce($4, default_timeout_seconds) AS timeout_seconds
            FROM project WHERE active_sessions < concurrency AND window_creates < creates_per_minute
        ),
        worker AS (
            SELECT workers.id FROM workers
            WHERE EXISTS (SELECT FROM admitted) AND NOT EXISTS (SELECT FROM waited_regions WHERE region = $3)
                AND $3 = ANY (regions) AND used_slots < slots AND NOT draining AND NOT stopping
                AND last_seen_at > now() - make_interval(secs => $8)
            ORDER BY used_slots::float8 / slots, id
            LIMIT 1
        ),
        -- Asked again, since the row may have changed while this statement waited for it.
        slot AS (
            UPDATE workers SET used_slots = workers.used_slots + 1
            FROM worker
            WHERE workers.id = worker.id AND workers.used_slots < workers.slots AND $3 = ANY (workers.regions)
                AND NOT workers.draining AND NOT workers.stopping
            RETURNING workers.id, workers.incarnation, workers.address
        ),
        counted AS (
            UPDATE projects
            SET active_sessions = projects.active_sessions + 1,
                window_creates = admitted.window_creates + 1,
                window_started_at = admitted.window_started_at
            FROM admitted
            WHERE projects.id = admitted.id
                AND (EXISTS (SELECT FROM slot) OR EXISTS (
                    SELECT FROM workers
                    WHERE $3 = ANY (regions) AND NOT draining AND NOT stopping
                        AND last_seen_at > now() - make_interval(secs => $10)
                ))
            RETURNING projects.id
        ),
        session AS (
            INSERT INTO sessions (id, project_id, region, keep_alive, timeout_seconds, expires_at, user_metadata, options,
                                  worker_id, worker_incarnation, worker_address, wait_until)
            SELECT $2, counted.id, $3, $5, admitted.timeout_seconds,
                   now() + make_interval(secs => admitted.timeout_seconds), $6, $7,
                   slot.id, slot.incarnation, slot.address, now() + make_interval(secs => $9)
            FROM counted CROSS JOIN admitted LEFT JOIN slot ON true
            RETURNING worker_id, worker_incarnation, worker_address, timeout_seconds, created_at, generation
        ),
        event AS (
            INSERT INTO session_events (session_id, project_id, kind, status, generation, worker_id, actor, actor_id)
            SELECT $2, $1, CASE WHEN worker_id IS NULL THEN 'queued' ELSE 'placed' END, 'PENDING', generation, worker_id,
                   'api_key', $11
            FROM session
        )
        SELECT project.concurrency, project.active_sessions, project.creates_per_minute,
               project.window_creates AS "window_creates!",
               -- The window of a create that got the row before this one may have begun after this transaction did.
               least(ceil(extract(epoch FROM project.window_started_at + interval '60 s' - now())), 60)::bigint
                   AS "resets_in!",
               session.worker_id AS "worker_id?", session.worker_incarnation AS "worker_incarnation?",
               session.worker_address AS "worker_address?", session.timeout_seconds AS "timeout_seconds?",
               session.created_at AS "created_at?", session.generation AS "generation?"
        FROM project LEFT JOIN session ON true
        "#,
        transaction.project().as_uuid(),
        new.id.as_uuid(),
        new.region.name(),
        new.timeout.map(SessionTimeout::seconds),
        new.keep_alive,
        new.user_metadata,
        new.options,
        new.silent_after.as_secs_f64(),
        new.wait_within.as_secs_f64(),
        new.lost_after.as_secs_f64(),
        new.api_key.as_uuid(),
    )
    .fetch_optional(transaction.connection())
    .await?;
    row.map(Admission::try_from).transpose()
}

impl TryFrom<Row> for Admission {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            concurrency: row.concurrency,
            active_sessions: row.active_sessions,
            creates_per_minute: row.creates_per_minute,
            window_creates: row.window_creates,
            window_resets_in: Duration::from_secs(row.resets_in.unsigned_abs()),
            stored: row.stored()?,
        })
    }
}

impl Row {
    fn stored(self) -> Result<Option<Stored>, StoreError> {
        let (Some(generation), Some(seconds), Some(created_at)) =
            (self.generation, self.timeout_seconds, self.created_at)
        else {
            return Ok(None);
        };
        let timeout = SessionTimeout::try_from(i64::from(seconds)).map_err(|_| StoreError::Unknown {
            table: "projects",
            value: format!("default_timeout_seconds {seconds}"),
        })?;
        Ok(Some(Stored {
            generation: Generation(generation),
            timeout,
            created_at,
            place: Place::from_columns(self.worker_id, self.worker_incarnation, self.worker_address),
        }))
    }
}
