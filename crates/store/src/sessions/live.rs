//! Finds sessions that have not ended, for those who watch over them.

use wharf_domain::{Generation, SessionId};

use crate::{StoreError, SystemTransaction};

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
        WHERE status IN ('PENDING', 'RUNNING')
        "#,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}
