//! Finds whom a key speaks for.

use wharf_domain::{ApiKeyHash, ApiKeyId, ProjectId};

use crate::{StoreError, SystemTransaction};

/// Whom a key speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundApiKey {
    /// The key's record.
    pub id: ApiKeyId,
    /// The project that it opens.
    pub project: ProjectId,
}

/// The key with this hash, unless it was revoked.
///
/// # Errors
/// Postgres does not answer.
pub async fn find(
    transaction: &mut SystemTransaction,
    hash: &ApiKeyHash,
) -> Result<Option<FoundApiKey>, StoreError> {
    let row = sqlx::query_as!(
        FoundApiKey,
        "SELECT id, project_id AS project FROM api_keys WHERE hash = $1 AND revoked_at IS NULL",
        hash.as_bytes(),
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row)
}
