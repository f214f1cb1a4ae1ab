//! Reads one of the caller's certificates.

use wharf_domain::CertificateId;

use super::Certificate;
use crate::{StoreError, TenantTransaction};

/// The project's certificate of this id, if there is one.
///
/// # Errors
/// Postgres does not answer.
pub async fn get(
    transaction: &mut TenantTransaction,
    id: CertificateId,
) -> Result<Option<Certificate>, StoreError> {
    let row = sqlx::query_as!(
        Certificate,
        "SELECT id, project_id AS project, created_at FROM certificates WHERE project_id = $1 AND id = $2",
        transaction.project().as_uuid(),
        id.as_uuid(),
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row)
}
