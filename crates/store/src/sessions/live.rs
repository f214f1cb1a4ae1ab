//! Finds sessions that have not ended, for those who watch over them.

use std::time::Duration;

use wharf_domain::{Generation, Incarnation, SessionId, WorkerId};

use crate::{StoreError, SystemTransaction, TenantTransaction};

/// A session that is PENDING or RUNNING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveSession {
    /// The session.
    pub id: SessionId,
    /// The launch that is current.
    pub generation: Generation,
}

/// Those of `ids` that have not ended.
///
/// # Errors
/// Postgres does not answer.
pub async fn find_live(
    transaction: &mut SystemTransaction,
    ids: &[SessionId],
) -> Result<Vec<LiveSession>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        LiveSession,
        "SELECT id, generation FROM sessions WHERE id = ANY ($1) AND status IN ('PENDING', 'RUNNING')",
        &ids,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}

/// The caller's sessions that have not ended, at most `limit`, oldest first: those that a release of all is to end.
///
/// # Errors
/// Postgres does not answer.
pub async fn own(transaction: &mut TenantTransaction, limit: i64) -> Result<Vec<SessionId>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id FROM sessions WHERE project_id = $1 AND status IN ('PENDING', 'RUNNING') ORDER BY id LIMIT $2",
        transaction.project().as_uuid(),
        limit,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}

/// Sessions whose worker has started anew since: their browsers died with the process that ran them.
///
/// # Errors
/// Postgres does not answer.
pub async fn of_replaced_workers(
    transaction: &mut SystemTransaction,
) -> Result<Vec<LiveSession>, StoreError> {
    let rows = sqlx::query_as!(
        LiveSession,
        r#"
        SELECT sessions.id, generation FROM sessions
        JOIN workers ON workers.id = sessions.worker_id AND workers.incarnation > sessions.worker_incarnation
        WHERE status IN ('PENDING', 'RUNNING') AND sessions.id NOT IN (SELECT session_id FROM parked_sessions)
        "#,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}

/// The sessions of these workers.
///
/// # Errors
/// Postgres does not answer.
pub async fn of_workers(
    transaction: &mut SystemTransaction,
    workers: &[WorkerId],
) -> Result<Vec<LiveSession>, StoreError> {
    let workers: Vec<_> = workers.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        LiveSession,
        r#"
        SELECT id, generation FROM sessions
        WHERE worker_id = ANY ($1) AND status IN ('PENDING', 'RUNNING')
            AND id NOT IN (SELECT session_id FROM parked_sessions)
        "#,
        &workers,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}

/// RUNNING sessions of this worker's process that it should have reported among `reported` and has not: it does not run
/// them. Those that started within `grace` may have started after it spoke.
///
/// # Errors
/// Postgres does not answer.
pub async fn unreported(
    transaction: &mut SystemTransaction,
    worker: WorkerId,
    incarnation: Incarnation,
    reported: &[SessionId],
    grace: Duration,
) -> Result<Vec<LiveSession>, StoreError> {
    let reported: Vec<_> = reported.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        LiveSession,
        r#"
        SELECT id, generation FROM sessions
        WHERE worker_id = $1 AND worker_incarnation = $2 AND status = 'RUNNING' AND id <> ALL ($3)
            AND updated_at < now() - make_interval(secs => $4)
            AND id NOT IN (SELECT session_id FROM parked_sessions)
        "#,
        worker.as_uuid(),
        incarnation.0,
        &reported,
        grace.as_secs_f64(),
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}
