//! The browser answers: PENDING becomes RUNNING.

use wharf_domain::{Generation, SessionId, WorkerId};

use super::Session;
use super::row::select_sessions;
use crate::{StoreError, SystemTransaction, TenantTransaction};

/// Moves the session to RUNNING and starts its clock: it expires its timeout from now. Answers the session as it is then.
///
/// `None` when it is no longer PENDING in this generation: somebody ended it while its browser started, or its worker's
/// heartbeat was faster.
///
/// # Errors
/// Postgres does not answer.
pub async fn start(
    transaction: &mut TenantTransaction,
    id: SessionId,
    generation: Generation,
) -> Result<Option<Session>, StoreError> {
    let project = transaction.project().as_uuid();
    select_sessions!(
        with r#"
        WITH sessions AS (
            UPDATE sessions
            SET status = 'RUNNING', started_at = now(), updated_at = now(),
                expires_at = now() + make_interval(secs => timeout_seconds)
            WHERE id = $1 AND project_id = $2 AND generation = $3 AND status = 'PENDING' AND worker_id IS NOT NULL
            RETURNING *
        ),
        event AS (
            INSERT INTO session_events (session_id, project_id, kind, status, generation, worker_id, actor)
            SELECT id, project_id, 'started', 'RUNNING', generation, worker_id, 'control_plane' FROM sessions
        )
        "#,
        "true",
        id.as_uuid(),
        project,
        generation.0
    )
    .fetch_optional(transaction.connection())
    .await?
    .map(Session::try_from)
    .transpose()
}

/// Moves those of this worker's sessions to RUNNING that it reports as such and that are still PENDING: whoever created
/// them died before it could. Their clock started when the browser answered, `running_ms` ago. Answers which they were.
///
/// # Errors
/// Postgres does not answer.
pub async fn start_reported(
    transaction: &mut SystemTransaction,
    worker: WorkerId,
    running: &[(SessionId, Generation, wharf_domain::Millis)],
) -> Result<Vec<SessionId>, StoreError> {
    if running.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = running.iter().map(|(id, ..)| id.as_uuid()).collect();
    let generations: Vec<_> = running.iter().map(|(_, generation, _)| generation.0).collect();
    let times: Vec<_> = running
        .iter()
        .map(|(_, _, running)| i64::try_from(running.0).unwrap_or(i64::MAX))
        .collect();
    let rows = sqlx::query!(
        r#"
        WITH report AS (
            SELECT session_id, generation, greatest(now() - running_ms * interval '1 ms', '-infinity') AS started_at
            FROM unnest($2::uuid[], $3::integer[], $4::bigint[]) AS report (session_id, generation, running_ms)
        ),
        session AS (
            UPDATE sessions
            SET status = 'RUNNING', updated_at = now(),
                started_at = greatest(report.started_at, created_at),
                expires_at = greatest(report.started_at, created_at) + make_interval(secs => timeout_seconds)
            FROM report
            WHERE id = report.session_id AND sessions.generation = report.generation
                AND worker_id = $1 AND status = 'PENDING'
            RETURNING id, project_id, sessions.generation, worker_id
        )
        INSERT INTO session_events (session_id, project_id, kind, status, generation, worker_id, actor, actor_id)
        SELECT id, project_id, 'started', 'RUNNING', generation, worker_id, 'worker', worker_id FROM session
        RETURNING session_id
        "#,
        worker.as_uuid(),
        &ids,
        &generations,
        &times,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.session_id.into()).collect())
}
