//! Notes a create call, once for each `Idempotency-Key`.

use std::time::Duration;

use wharf_domain::SessionId;

use super::Creation;
use crate::{StoreError, TenantTransaction};

/// An earlier call with the same `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The session that it made.
    pub session: SessionId,
    /// SHA-256 of its body.
    pub body_hash: Vec<u8>,
}

/// Notes the call; `false` when an earlier one has its `Idempotency-Key`. Waits for one that is being noted right now.
///
/// A key is free again after `kept_for`, and at once when the launch of its session failed: repeating that call must be
/// able to succeed.
///
/// # Errors
/// Postgres does not answer.
pub async fn claim(
    transaction: &mut TenantTransaction,
    creation: Creation<'_>,
    kept_for: Duration,
) -> Result<bool, StoreError> {
    let project = transaction.project().as_uuid();
    if creation.idempotency_key.is_some() {
        sqlx::query!(
            r#"
            DELETE FROM session_creations
            WHERE project_id = $1 AND idempotency_key = $2
                AND (created_at < now() - make_interval(secs => $3)
                    OR EXISTS (SELECT FROM sessions WHERE id = session_id AND end_reason = 'launch_failed'))
            "#,
            project,
            creation.idempotency_key,
            kept_for.as_secs_f64(),
        )
        .execute(transaction.connection())
        .await?;
    }
    let done = sqlx::query!(
        r#"
        INSERT INTO session_creations (session_id, project_id, api_key_id, idempotency_key, body_hash, retry_count)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        "#,
        creation.session.as_uuid(),
        project,
        creation.api_key.as_uuid(),
        creation.idempotency_key,
        creation.body_hash,
        creation.retry_count,
    )
    .execute(transaction.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The earlier call of the caller's project with this `Idempotency-Key`.
///
/// # Errors
/// Postgres does not answer.
pub async fn keyed(
    transaction: &mut TenantTransaction,
    idempotency_key: &str,
) -> Result<Option<Claim>, StoreError> {
    let row = sqlx::query!(
        "SELECT session_id, body_hash FROM session_creations WHERE project_id = $1 AND idempotency_key = $2",
        transaction.project().as_uuid(),
        idempotency_key,
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row.map(|row| Claim {
        session: row.session_id.into(),
        body_hash: row.body_hash,
    }))
}
