//! Ends a session, and gives back what it held: in one statement, so that the counters stay exact.

use sqlx::PgConnection;
use wharf_domain::{Actor, EndReason, Generation, ProjectId, SessionId, WorkerId};

use super::Place;
use crate::{StoreError, SystemTransaction, TenantTransaction};

/// A session that has just ended, and where its browser may still run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The session.
    pub id: SessionId,
    /// Its project.
    pub project: ProjectId,
    /// The launch that ended.
    pub generation: Generation,
    /// Where it ran; `None` when it still waited for a place.
    pub place: Option<Place>,
}

/// Ends this launch of the session, whoever's it is; `None` when it has ended already, or has a newer launch.
///
/// # Errors
/// Postgres does not answer.
pub async fn end(
    transaction: &mut SystemTransaction,
    id: SessionId,
    generation: Generation,
    reason: EndReason,
    actor: Actor,
) -> Result<Option<Ended>, StoreError> {
    let which = Which {
        generation: Some(generation),
        ..Which::default()
    };
    run(transaction.connection(), id, which, reason, actor).await
}

/// Ends this launch of a session as its worker reports it; `None` when it has ended already, has a newer launch, or is
/// another worker's: no worker ends what it does not run.
///
/// # Errors
/// Postgres does not answer.
pub async fn end_reported(
    transaction: &mut SystemTransaction,
    worker: WorkerId,
    id: SessionId,
    generation: Generation,
    reason: EndReason,
) -> Result<Option<Ended>, StoreError> {
    let which = Which {
        generation: Some(generation),
        worker: Some(worker),
        at_last_report: true,
        ..Which::default()
    };
    run(transaction.connection(), id, which, reason, Actor::Worker(worker)).await
}

/// Ends the session if it still waits for a place; `None` when it has one, or has ended.
///
/// # Errors
/// Postgres does not answer.
pub async fn end_waiting(
    transaction: &mut SystemTransaction,
    id: SessionId,
    reason: EndReason,
) -> Result<Option<Ended>, StoreError> {
    let which = Which {
        waiting: true,
        ..Which::default()
    };
    run(transaction.connection(), id, which, reason, Actor::ControlPlane).await
}

/// Ends the caller's session, whichever launch is current; `None` when it has ended already, or is not the caller's.
///
/// # Errors
/// Postgres does not answer.
pub async fn end_own(
    transaction: &mut TenantTransaction,
    id: SessionId,
    reason: EndReason,
    actor: Actor,
) -> Result<Option<Ended>, StoreError> {
    let which = Which {
        project: Some(transaction.project()),
        ..Which::default()
    };
    run(transaction.connection(), id, which, reason, actor).await
}

/// Which session is meant, beyond its id; what is not said may be anything.
#[derive(Default)]
struct Which {
    project: Option<ProjectId>,
    generation: Option<Generation>,
    worker: Option<WorkerId>,
    waiting: bool,
    /// It ended when its worker last saw it run, not now: the report may have been long under way.
    at_last_report: bool,
}

async fn run(
    connection: &mut PgConnection,
    id: SessionId,
    which: Which,
    reason: EndReason,
    actor: Actor,
) -> Result<Option<Ended>, StoreError> {
    // Held before the statement begins, so that it sees the counters that count this session: Postgres checks a
    // constraint on the row as the statement first saw it, and one from before the session got its slot says 0 - 1.
    sqlx::query!(
        "SELECT 1 AS one FROM sessions WHERE id = $1 FOR NO KEY UPDATE",
        id.as_uuid()
    )
    .fetch_optional(&mut *connection)
    .await?;
    // Of a lost worker nothing is known after its last report, and nothing is billed.
    let at_last_report = which.at_last_report || reason == EndReason::WorkerLost;
    let row = sqlx::query!(
        r#"
        WITH usage AS (
            SELECT running_ms, cpu_ms, proxy_bytes FROM session_usage
            JOIN sessions ON sessions.id = session_id AND sessions.generation = session_usage.generation
            WHERE session_id = $1
        ),
        ended AS (
            UPDATE sessions
            -- Not now(): that is when this transaction began, which may be before the session started. And never past the
            -- deadline: whoever was late to notice did not make the session longer.
            SET ended_at = greatest(coalesce(started_at, created_at), least(clock_timestamp(), expires_at,
                    CASE WHEN $8 THEN started_at + coalesce((SELECT running_ms FROM usage), 0) * interval '1 ms' END)),
                status = $4, end_reason = $5, updated_at = clock_timestamp()
            WHERE id = $1 AND status IN ('PENDING', 'RUNNING')
                AND project_id = coalesce($2, project_id) AND generation = coalesce($3, generation)
                AND ($6::uuid IS NULL OR worker_id = $6) AND (NOT $7 OR worker_id IS NULL)
            RETURNING id, project_id, generation, worker_id, worker_incarnation, worker_address, started_at, ended_at
        ),
        project AS (
            UPDATE projects SET active_sessions = active_sessions - 1
            FROM ended WHERE projects.id = ended.project_id
            RETURNING projects.id
        ),
        -- Reading from project orders the locks: session, project, worker. A new incarnation began with every slot free.
        worker AS (
            UPDATE workers SET used_slots = used_slots - 1
            FROM ended, project
            WHERE workers.id = ended.worker_id AND workers.incarnation = ended.worker_incarnation
        ),
        ledger AS (
            INSERT INTO usage_ledger (session_id, generation, entry, project_id, started_at, browser_ms, cpu_ms, proxy_bytes)
            SELECT ended.id, ended.generation, 1, ended.project_id, ended.started_at,
                   (extract(epoch FROM ended.ended_at - ended.started_at) * 1000)::bigint,
                   coalesce(usage.cpu_ms, 0), coalesce(usage.proxy_bytes, 0)
            FROM ended LEFT JOIN usage ON true
            WHERE ended.started_at IS NOT NULL
        ),
        event AS (
            INSERT INTO session_events (session_id, project_id, kind, status, generation, worker_id, end_reason, actor, actor_id)
            SELECT id, project_id, 'ended', $4, generation, worker_id, $5, $9, $10 FROM ended
        )
        SELECT project_id, generation, worker_id, worker_incarnation, worker_address FROM ended
        "#,
        id.as_uuid(),
        which.project.map(ProjectId::as_uuid),
        which.generation.map(|generation| generation.0),
        reason.status().name(),
        reason.name(),
        which.worker.map(WorkerId::as_uuid),
        which.waiting,
        at_last_report,
        actor.name(),
        actor.id(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Ended {
        id,
        project: row.project_id.into(),
        generation: Generation(row.generation),
        place: Place::from_columns(row.worker_id, row.worker_incarnation, row.worker_address),
    }))
}
