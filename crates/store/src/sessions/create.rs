//! Admits, places and stores a session: all of it in one statement, or nothing.

use std::time::Duration;

use serde_json::Value;
use sqlx::Executor;
use uuid::Uuid;
use wharf_domain::{Generation, Incarnation, Region, SessionId, SessionTimeout, Timestamp, WorkerId};

use crate::{StoreError, TenantTransaction};

/// A session that is asked for.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id, minted by the caller so that a lost answer can be looked up.
    pub id: SessionId,
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
}

/// Where the limits stood, and the place that was found.
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
    /// The session's place; `None` when a limit is reached, or no worker of the region has a free slot.
    pub placement: Option<Placement>,
}

/// A stored session's place.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The worker with the reserved slot.
    pub worker: WorkerId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Where it is reached.
    pub address: String,
    /// The launch to ask it for.
    pub generation: Generation,
    /// How long the session may run.
    pub timeout: SessionTimeout,
    /// When the row was made.
    pub created_at: Timestamp,
}

/// What one attempt gave.
struct Attempt {
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
    lost_race: bool,
}

/// Admits, places and stores the session; `None` when the project is gone.
///
/// Locking the project's row first makes concurrent creates of one project take turns, and each sees the counters that
/// the one before it left. Then the least loaded worker's row: the same order as in [`super::end`], so they cannot
/// deadlock.
///
/// When others took that worker's last slot meanwhile, the attempt is undone, locks and all, and the next one looks at
/// the workers anew. To go on to another worker with the full one's row still locked would let two creates wait for
/// each other.
///
/// # Errors
/// Postgres does not answer.
pub async fn create(
    transaction: &mut TenantTransaction,
    new: &NewSession,
) -> Result<Option<Admission>, StoreError> {
    transaction.connection().execute("SAVEPOINT attempt").await?;
    loop {
        match attempt(transaction, new).await? {
            None => return Ok(None),
            Some(attempt) if !attempt.lost_race => return Admission::try_from(attempt).map(Some),
            Some(_) => {
                transaction
                    .connection()
                    .execute("ROLLBACK TO SAVEPOINT attempt")
                    .await?
            }
        };
    }
}

async fn attempt(
    transaction: &mut TenantTransaction,
    new: &NewSession,
) -> Result<Option<Attempt>, StoreError> {
    let row = sqlx::query_as!(
        Attempt,
        r#"
        WITH project AS (
            SELECT id, concurrency, creates_per_minute, active_sessions, default_timeout_seconds,
                   CASE WHEN window_started_at > now() - interval '60 s' THEN window_creates ELSE 0 END AS window_creates,
                   CASE WHEN window_started_at > now() - interval '60 s' THEN window_started_at ELSE now() END
                       AS window_started_at
            FROM projects WHERE id = $1 FOR NO KEY UPDATE
        ),
        admitted AS (
            SELECT id, window_creates, window_started_at, coalesce($4, default_timeout_seconds) AS timeout_seconds
            FROM project WHERE active_sessions < concurrency AND window_creates < creates_per_minute
        ),
        worker AS (
            SELECT workers.id FROM workers
            WHERE EXISTS (SELECT FROM admitted)
                AND $3 = ANY (regions) AND used_slots < slots AND last_seen_at > now() - interval '10 s'
            ORDER BY used_slots::float8 / slots, id
            LIMIT 1
        ),
        -- Asked again, since the row may have changed while this statement waited for it.
        slot AS (
            UPDATE workers SET used_slots = workers.used_slots + 1
            FROM worker
            WHERE workers.id = worker.id AND workers.used_slots < workers.slots AND $3 = ANY (workers.regions)
            RETURNING workers.id, workers.incarnation, workers.address
        ),
        counted AS (
            UPDATE projects
            SET active_sessions = projects.active_sessions + 1,
                window_creates = admitted.window_creates + 1,
                window_started_at = admitted.window_started_at
            FROM admitted, slot
            WHERE projects.id = admitted.id
            RETURNING projects.id
        ),
        session AS (
            INSERT INTO sessions (id, project_id, region, keep_alive, timeout_seconds, expires_at, user_metadata, options,
                                  worker_id, worker_incarnation, worker_address)
            SELECT $2, counted.id, $3, $5, admitted.timeout_seconds,
                   now() + make_interval(secs => admitted.timeout_seconds), $6, $7,
                   slot.id, slot.incarnation, slot.address
            FROM counted, admitted, slot
            RETURNING worker_id, worker_incarnation, worker_address, timeout_seconds, created_at, generation
        )
        SELECT project.concurrency, project.active_sessions, project.creates_per_minute,
               project.window_creates AS "window_creates!",
               -- The window of a create that got the row before this one may have begun after this transaction did.
               least(ceil(extract(epoch FROM project.window_started_at + interval '60 s' - now())), 60)::bigint
                   AS "resets_in!",
               session.worker_id AS "worker_id?", session.worker_incarnation AS "worker_incarnation?",
               session.worker_address AS "worker_address?", session.timeout_seconds AS "timeout_seconds?",
               session.created_at AS "created_at?", session.generation AS "generation?",
               EXISTS (SELECT FROM worker) AND session.worker_id IS NULL AS "lost_race!"
        FROM project LEFT JOIN session ON true
        "#,
        transaction.project().as_uuid(),
        new.id.as_uuid(),
        new.region.name(),
        new.timeout.map(SessionTimeout::seconds),
        new.keep_alive,
        new.user_metadata,
        new.options,
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row)
}

impl TryFrom<Attempt> for Admission {
    type Error = StoreError;

    fn try_from(row: Attempt) -> Result<Self, StoreError> {
        let timeout = row
            .timeout_seconds
            .and_then(|seconds| SessionTimeout::try_from(i64::from(seconds)).ok());
        let placement = match (
            row.worker_id,
            row.worker_incarnation,
            row.worker_address,
            row.generation,
            row.created_at,
        ) {
            (Some(worker), Some(incarnation), Some(address), Some(generation), Some(created_at)) => {
                Some(Placement {
                    worker: worker.into(),
                    incarnation: Incarnation(incarnation),
                    address,
                    generation: Generation(generation),
                    timeout: timeout.ok_or_else(|| StoreError::Unknown {
                        table: "projects",
                        value: format!("default_timeout_seconds {:?}", row.timeout_seconds),
                    })?,
                    created_at,
                })
            }
            _ => None,
        };
        Ok(Self {
            concurrency: row.concurrency,
            active_sessions: row.active_sessions,
            creates_per_minute: row.creates_per_minute,
            window_creates: row.window_creates,
            window_resets_in: Duration::from_secs(row.resets_in.unsigned_abs()),
            placement,
        })
    }
}
