//! Deletes one of the caller's certificates.

use wharf_domain::CertificateId;

use crate::{StoreError, TenantTransaction};

/// Deletes the project's certificate of this id; says whether there was one.
///
/// # Errors
/// Postgres does not answer.
pub async fn delete(transaction: &mut TenantTransaction, id: CertificateId) -> Result<bool, StoreError> {
    let deleted = sqlx::query!(
        "DELETE FROM certificates WHERE project_id = $1 AND id = $2",
        transaction.project().as_uuid(),
        id.as_uuid(),
    )
    .execute(transaction.connection())
    .await?;
    Ok(deleted.rows_affected() > 0)
}
