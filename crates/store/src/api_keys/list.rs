//! Lists a project's keys.

use wharf_domain::ProjectId;

use super::ApiKeyRecord;
use crate::{StoreError, SystemTransaction};

/// The keys of a project, oldest first, revoked ones among them.
///
/// # Errors
/// Postgres does not answer.
pub async fn list(
    transaction: &mut SystemTransaction,
    project: ProjectId,
) -> Result<Vec<ApiKeyRecord>, StoreError> {
    let rows = sqlx::query_as!(
        ApiKeyRecord,
        r#"
        SELECT id, project_id AS project, name, hint, created_at, revoked_at
        FROM api_keys WHERE project_id = $1 ORDER BY id
        "#,
        project.as_uuid(),
    )
    .fetch_all(transaction.connection())
    .await?;
    Ok(rows)
}
