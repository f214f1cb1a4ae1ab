//! Reads the caller's project.

use super::Project;
use crate::{StoreError, TenantTransaction};

/// The project that the transaction speaks for; `None` when it is gone.
///
/// # Errors
/// Postgres does not answer.
pub async fn get(transaction: &mut TenantTransaction) -> Result<Option<Project>, StoreError> {
    let row = sqlx::query_as!(
        Project,
        r#"
        SELECT id, organization_id AS organization, name, default_timeout_seconds, concurrency, creates_per_minute,
               active_sessions, created_at
        FROM projects WHERE id = $1
        "#,
        transaction.project().as_uuid(),
    )
    .fetch_optional(transaction.connection())
    .await?;
    Ok(row)
}
