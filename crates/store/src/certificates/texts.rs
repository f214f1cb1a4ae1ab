//! What certificates say.

use wharf_domain::CertificateId;

use crate::{StoreError, TenantTransaction};

/// The PEM of each of these that is the project's, in no order.
///
/// # Errors
/// Postgres does not answer.
pub async fn texts(
    transaction: &mut TenantTransaction,
    ids: &[CertificateId],
) -> Result<Vec<(CertificateId, String)>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "SELECT id, pem FROM certificates WHERE project_id = $1 AND id = ANY ($2)",
        transaction.project().as_uuid(),
        &ids,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.pem)).collect())
}
