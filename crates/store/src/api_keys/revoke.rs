//! Revokes a key.

use wharf_domain::{ApiKeyId, ProjectId};

use crate::{StoreError, SystemTransaction};

/// Revokes a key of a project; whether there is such a key. Doing it again keeps the first moment.
///
/// # Errors
/// Postgres does not answer.
pub async fn revoke(
    transaction: &mut SystemTransaction,
    project: ProjectId,
    id: ApiKeyId,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 AND project_id = $2",
        id.as_uuid(),
        project.as_uuid(),
    )
    .execute(transaction.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
