//! Finds the session of a create call whose answer was never delivered.

use std::time::Duration;

use wharf_domain::{ApiKeyId, SessionId};

use crate::{StoreError, TenantTransaction};

/// Gives the call the session of an earlier one that it repeats: the same key, the same body, within `within`, sent fewer
/// times, and not delivered. `None` when there is none: then the call is a first one for us.
///
/// Of several candidates it gets the one whose client has tried most often. A second repetition of another call does not get the same one: the first raises its count.
///
/// # Errors
/// Postgres does not answer.
pub async fn adopt(
    transaction: &mut TenantTransaction,
    api_key: ApiKeyId,
    body_hash: &[u8; 32],
    retry_count: i32,
    within: Duration,
) -> Result<Option<SessionId>, StoreError> {
    let project = transaction.project().as_uuid();
    // The first call may be in the middle of its statement: its row is visible once the project's is free.
    transaction.hold_project().await?;
    let row = sqlx::query!(
        r#"
        UPDATE session_creations SET retry_count = $4
        WHERE session_id = (
            SELECT session_id FROM session_creations JOIN sessions ON sessions.id = session_id
            WHERE session_creations.project_id = $1 AND api_key_id = $2 AND body_hash = $3 AND retry_count < $4
                AND idempotency_key IS NULL AND delivered_at IS NULL
                AND session_creations.created_at > now() - make_interval(secs => $5)
                AND status IN ('PENDING', 'RUNNING')
            ORDER BY retry_count DESC, session_id
            LIMIT 1
            FOR NO KEY UPDATE OF session_creations SKIP LOCKED
        )
        RETURNING session_id
        "#,
        project,
        api_key.as_uuid(),
        body_hash,
        retry_count,
        within.as_secs_f64(),
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row.map(|row| row.session_id.into()))
}
