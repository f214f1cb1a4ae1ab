//! The table `reconcile_failures`: sessions that a reconciler could not end.

use wharf_domain::SessionId;

use crate::{StoreError, SystemTransaction};

/// Tries after which a session is parked: the view `parked_sessions` has the same number.
pub const MOST_TRIES: i32 = 5;

/// Notes that ending the session has failed, and answers how often that was. At [`MOST_TRIES`] no reconciler looks at it
/// again until its row here is deleted.
///
/// # Errors
/// Postgres does not answer.
pub async fn note(
    transaction: &mut SystemTransaction,
    session: SessionId,
    error: &str,
) -> Result<i32, StoreError> {
    let row = sqlx::query!(
        r#"
        INSERT INTO reconcile_failures (session_id, tries, last_error) VALUES ($1, 1, $2)
        ON CONFLICT (session_id) DO UPDATE
        SET tries = reconcile_failures.tries + 1, last_error = excluded.last_error, last_failed_at = now()
        RETURNING tries
        "#,
        session.as_uuid(),
        error,
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(row.tries)
}

/// How many sessions are parked.
///
/// # Errors
/// Postgres does not answer.
pub async fn parked(transaction: &mut SystemTransaction) -> Result<i64, StoreError> {
    let row = sqlx::query!(r#"SELECT count(*) AS "count!" FROM parked_sessions"#)
        .fetch_one(transaction.connection())
        .await?;
    Ok(row.count)
}
