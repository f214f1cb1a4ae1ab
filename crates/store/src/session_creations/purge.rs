//! Forgets create calls that can be repeated no more.

use std::time::Duration;

use crate::{StoreError, SystemTransaction};

/// Rows deleted in one statement, so that none takes long.
const AT_ONCE: i64 = 1_000;

/// Deletes some of the calls that are older than `kept_for`; answers how many.
///
/// # Errors
/// Postgres does not answer.
pub async fn purge(transaction: &mut SystemTransaction, kept_for: Duration) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        r#"
        DELETE FROM session_creations
        WHERE session_id IN (
            SELECT session_id FROM session_creations
            WHERE created_at < now() - make_interval(secs => $1)
            ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        "#,
        kept_for.as_secs_f64(),
        AT_ONCE,
    )
    .execute(transaction.connection())
    .await?;
    Ok(done.rows_affected())
}
