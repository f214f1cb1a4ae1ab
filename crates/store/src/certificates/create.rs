//! Stores certificates.

use wharf_domain::CertificateId;

use super::Certificate;
use crate::{StoreError, TenantTransaction};

/// Stores these certificates, in PEM, unless the project has `most` of them already: then `None`.
///
/// # Errors
/// Postgres does not answer.
pub async fn create(
    transaction: &mut TenantTransaction,
    id: CertificateId,
    pem: &str,
    most: i64,
) -> Result<Option<Certificate>, StoreError> {
    // Those who upload at the same time take turns, so that together they do not pass the limit.
    transaction.hold_project().await?;
    let row = sqlx::query_as!(
        Certificate,
        r#"
        INSERT INTO certificates (id, project_id, pem)
        SELECT $1, $2, $3 WHERE (SELECT count(*) FROM certificates WHERE project_id = $2) < $4
        RETURNING id, project_id AS project, created_at
        "#,
        id.as_uuid(),
        transaction.project().as_uuid(),
        pem,
        most,
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row)
}
