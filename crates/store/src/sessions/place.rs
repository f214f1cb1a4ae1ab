//! Finds places for the sessions that wait for one: in order, and fair between projects.

use std::time::Duration;

use wharf_domain::{Generation, Incarnation, SessionId, WorkerId};

use super::Place;
use crate::{StoreError, SystemTransaction};

/// Sessions that are looked at in one pass. The others' turn comes within a pass or two.
const AT_ONCE: i64 = 64;

/// A session that waited, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The session.
    pub id: SessionId,
    /// The launch to ask for.
    pub generation: Generation,
    /// Where; `None` when the session has ended while it waited.
    pub place: Option<Place>,
}

/// Sessions that wait for a slot, in the order in which they get one: first those whose project holds the fewest slots
/// in the region, counting the waiting ones before it; of equals the oldest. So nobody waits behind another's hundred.
///
/// Empty when another replica is at it: two that place at once would overtake each other.
///
/// # Errors
/// Postgres does not answer.
pub async fn waiting(transaction: &mut SystemTransaction) -> Result<Vec<SessionId>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH alone AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('wharf.place')) AS granted),
        waiting AS (
            SELECT id, region, project_id FROM sessions, alone
            WHERE granted AND status = 'PENDING' AND worker_id IS NULL AND wait_until > now()
        ),
        held AS (
            SELECT project_id, region, count(*) AS slots FROM sessions
            WHERE project_id IN (SELECT project_id FROM waiting) AND status IN ('PENDING', 'RUNNING')
                AND worker_id IS NOT NULL
            GROUP BY project_id, region
        )
        SELECT id FROM waiting LEFT JOIN held USING (project_id, region)
        ORDER BY coalesce(held.slots, 0) + row_number() OVER (PARTITION BY project_id, region ORDER BY id), id
        LIMIT $1
        "#,
        AT_ONCE,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}

/// Gives the session a slot of the least loaded worker that it may have; `false` when there is none, or it waits no more.
/// On `false` the transaction must be rolled back: the slot may have gone between two looks at it.
///
/// # Errors
/// Postgres does not answer.
pub async fn place(
    transaction: &mut SystemTransaction,
    id: SessionId,
    silent_after: Duration,
) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH worker AS (
            SELECT workers.id, workers.incarnation, workers.address
            FROM sessions JOIN workers ON sessions.region = ANY (workers.regions)
            WHERE sessions.id = $1 AND workers.id <> ALL (sessions.avoided_workers)
                AND used_slots < slots AND last_seen_at > now() - make_interval(secs => $2)
                AND NOT draining AND NOT stopping
            ORDER BY used_slots::float8 / slots, workers.id
            LIMIT 1
        ),
        session AS (
            UPDATE sessions
            SET worker_id = worker.id, worker_incarnation = worker.incarnation, worker_address = worker.address,
                updated_at = clock_timestamp()
            FROM worker
            WHERE sessions.id = $1 AND status = 'PENDING' AND worker_id IS NULL AND wait_until > now()
            RETURNING sessions.id, project_id, generation, worker_id, worker_incarnation
        ),
        slot AS (
            UPDATE workers SET used_slots = used_slots + 1
            FROM session
            WHERE workers.id = session.worker_id AND workers.incarnation = session.worker_incarnation
                AND used_slots < slots
            RETURNING workers.id
        ),
        event AS (
            INSERT INTO session_events (session_id, project_id, kind, status, generation, worker_id, actor)
            SELECT id, project_id, 'placed', 'PENDING', generation, worker_id, 'control_plane' FROM session
        )
        SELECT EXISTS (SELECT FROM slot) AS "placed!"
        "#,
        id.as_uuid(),
        silent_after.as_secs_f64(),
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(row.placed)
}

/// Those of `ids` that wait no more, with their places.
///
/// # Errors
/// Postgres does not answer.
pub async fn placed(
    transaction: &mut SystemTransaction,
    ids: &[SessionId],
) -> Result<Vec<Placed>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT id, generation, status = 'PENDING' AS "pending!", worker_id, worker_incarnation, worker_address
        FROM sessions
        WHERE id = ANY ($1) AND NOT (status = 'PENDING' AND worker_id IS NULL)
        "#,
        &ids,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Placed {
            id: row.id.into(),
            generation: Generation(row.generation),
            place: Place::from_columns(row.worker_id, row.worker_incarnation, row.worker_address)
                .filter(|_| row.pending),
        })
        .collect())
}

/// Lets a session whose launch has failed wait for another worker, as its next generation, until `wait_until_age` after
/// it was created. `None` when it has ended or moved on, or when no other worker could take it.
///
/// Giving the slot back before another is taken keeps each statement to one worker's row: to hold two would let two such
/// sessions wait for each other.
///
/// # Errors
/// Postgres does not answer.
pub async fn wait_for_another_worker(
    transaction: &mut SystemTransaction,
    id: SessionId,
    generation: Generation,
    silent_after: Duration,
    wait_until_age: Duration,
) -> Result<Option<Generation>, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH failed AS (
            SELECT sessions.id, project_id, worker_id, worker_incarnation FROM sessions
            WHERE sessions.id = $1 AND generation = $2 AND status = 'PENDING' AND worker_id IS NOT NULL
                AND created_at > now() - make_interval(secs => $4)
                AND EXISTS (
                    SELECT FROM workers
                    WHERE sessions.region = ANY (regions) AND last_seen_at > now() - make_interval(secs => $3)
                        AND NOT draining AND NOT stopping
                        AND workers.id <> ALL (sessions.avoided_workers || sessions.worker_id)
                )
            FOR NO KEY UPDATE OF sessions
        ),
        session AS (
            UPDATE sessions
            SET generation = generation + 1, worker_id = NULL, worker_incarnation = NULL, worker_address = NULL,
                avoided_workers = avoided_workers || failed.worker_id,
                wait_until = created_at + make_interval(secs => $4), updated_at = clock_timestamp()
            FROM failed WHERE sessions.id = failed.id
            RETURNING sessions.id, sessions.project_id, sessions.generation
        ),
        slot AS (
            UPDATE workers SET used_slots = used_slots - 1
            FROM failed, session
            WHERE workers.id = failed.worker_id AND workers.incarnation = failed.worker_incarnation
        ),
        event AS (
            INSERT INTO session_events (session_id, project_id, kind, status, generation, worker_id, actor)
            SELECT session.id, session.project_id, 'queued', 'PENDING', session.generation, failed.worker_id, 'control_plane'
            FROM session, failed
        )
        SELECT generation FROM session
        "#,
        id.as_uuid(),
        generation.0,
        silent_after.as_secs_f64(),
        wait_until_age.as_secs_f64(),
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row.map(|row| Generation(row.generation)))
}

impl Place {
    /// The place in these columns; they are null together.
    pub(crate) fn from_columns(
        worker: Option<uuid::Uuid>,
        incarnation: Option<i64>,
        address: Option<String>,
    ) -> Option<Self> {
        Some(Self {
            worker: WorkerId::from(worker?),
            incarnation: Incarnation(incarnation?),
            address: address?,
        })
    }
}
