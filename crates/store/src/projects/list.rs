//! Lists every project, for the administrator.

use super::Project;
use crate::{StoreError, SystemTransaction};

/// All projects, oldest first.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(transaction: &mut SystemTransaction) -> Result<Vec<Project>, StoreError> {
    let rows = sqlx::query_as!(
        Project,
        r#"
        SELECT id, organization_id AS organization, name, default_timeout_seconds, concurrency, creates_per_minute,
               active_sessions, created_at
        FROM projects ORDER BY id
        "#,
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}
