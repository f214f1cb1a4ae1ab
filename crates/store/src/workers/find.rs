//! Finds which worker a credential belongs to.

use wharf_domain::{ApiKeyHash, WorkerId};

use crate::{StoreError, SystemTransaction};

/// The worker with this credential.
///
/// # Errors
/// Postgres does not answer.
pub async fn find(
    transaction: &mut SystemTransaction,
    credential: &ApiKeyHash,
) -> Result<Option<WorkerId>, StoreError> {
    let row = sqlx::query!(
        "SELECT id FROM workers WHERE credential_hash = $1",
        credential.as_bytes()
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row.map(|row| row.id.into()))
}
