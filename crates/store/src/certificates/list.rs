//! Lists the caller's certificates.

use super::Certificate;
use crate::{StoreError, TenantTransaction};

/// All of the project's, newest first. They are few: [`super::create`] has a limit.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(transaction: &mut TenantTransaction) -> Result<Vec<Certificate>, StoreError> {
    let rows = sqlx::query_as!(
        Certificate,
        r#"
        SELECT id, project_id AS project, created_at FROM certificates WHERE project_id = $1 ORDER BY id DESC
        "#,
        transaction.project().as_uuid(),
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}
