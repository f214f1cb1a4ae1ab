//! Ends a session, and gives back what it held: in one statement, so that the counters stay exact.

use sqlx::PgConnection;
use wharf_domain::{EndReason, Generation, Incarnation, ProjectId, SessionId, WorkerId};

use crate::{StoreError, SystemTransaction, TenantTransaction};

/// A session that has just ended, and where its browser may still run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its project.
    pub project: ProjectId,
    /// The launch that ended.
    pub generation: Generation,
    /// The worker that runs it.
    pub worker: WorkerId,
    /// Which start of that worker.
    pub incarnation: Incarnation,
    /// Where that worker is reached.
    pub address: String,
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
) -> Result<Option<Ended>, StoreError> {
    let which = Which {
        generation: Some(generation),
        ..Which::default()
    };
    run(transaction.connection(), id, which, reason).await
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
        ..Which::default()
    };
    run(transaction.connection(), id, which, reason).await
}

/// Ends the caller's session, whichever launch is current; `None` when it has ended already, or is not the caller's.
///
/// # Errors
/// Postgres does not answer.
pub async fn end_own(
    transaction: &mut TenantTransaction,
    id: SessionId,
    reason: EndReason,
) -> Result<Option<Ended>, StoreError> {
    let which = Which {
        project: Some(transaction.project()),
        ..Which::default()
    };
    run(transaction.connection(), id, which, reason).await
}

/// Which session is meant, beyond its id; what is not said may be anything.
#[derive(Default)]
struct Which {
    project: Option<ProjectId>,
    generation: Option<Generation>,
    worker: Option<WorkerId>,
}

async fn run(
    connection: &mut PgConnection,
    id: SessionId,
    which: Which,
    reason: EndReason,
) -> Result<Option<Ended>, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH ended AS (
            UPDATE sessions
            -- Not now(): that is when this transaction began, which may be before the session started. And never past the
            -- deadline: whoever was late to notice did not make the session longer.
            SET ended_at = least(clock_timestamp(), expires_at), status = $4, end_reason = $5, updated_at = clock_timestamp()
            WHERE id = $1 AND status IN ('PENDING', 'RUNNING')
                AND project_id = coalesce($2, project_id) AND generation = coalesce($3, generation)
                AND worker_id = coalesce($6, worker_id)
            RETURNING project_id, generation, worker_id, worker_incarnation, worker_address
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
        )
        SELECT project_id, generation, worker_id, worker_incarnation, worker_address FROM ended
        "#,
        id.as_uuid(),
        which.project.map(ProjectId::as_uuid),
        which.generation.map(|generation| generation.0),
        reason.status().name(),
        reason.name(),
        which.worker.map(WorkerId::as_uuid),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Ended {
        project: row.project_id.into(),
        generation: Generation(row.generation),
        worker: row.worker_id.into(),
        incarnation: Incarnation(row.worker_incarnation),
        address: row.worker_address,
    }))
}
