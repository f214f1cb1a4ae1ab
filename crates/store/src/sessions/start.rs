//! The browser answers: PENDING becomes RUNNING.

use wharf_domain::{Generation, SessionId};

use crate::{StoreError, TenantTransaction};

/// Moves the session to RUNNING and starts its clock: it expires its timeout from now.
///
/// `false` when it is no longer PENDING in this generation: somebody ended it while its browser started.
///
/// # Errors
/// Postgres does not answer.
pub async fn start(
    transaction: &mut TenantTransaction,
    id: SessionId,
    generation: Generation,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        r#"
        UPDATE sessions
        SET status = 'RUNNING', started_at = now(), updated_at = now(),
            expires_at = now() + make_interval(secs => timeout_seconds)
        WHERE id = $1 AND project_id = $2 AND generation = $3 AND status = 'PENDING'
        "#,
        id.as_uuid(),
        transaction.project().as_uuid(),
        generation.0,
    )
    .execute(transaction.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
