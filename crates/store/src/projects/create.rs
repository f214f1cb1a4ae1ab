//! Makes a project, and its organization when that is new.

use wharf_domain::{OrganizationId, ProjectId, ProjectLimits};

use super::Project;
use crate::{StoreError, SystemTransaction};

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject<'name> {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: &'name str,
    /// Its limits.
    pub limits: ProjectLimits,
    /// The organization's name; an organization of that name that exists is taken.
    pub organization_name: &'name str,
    /// The organization's id, if it is made.
    pub organization: OrganizationId,
}

/// Makes the project.
///
/// # Errors
/// `projects_name_unique`: the organization has a project of that name.
pub async fn create(transaction: &mut SystemTransaction, new: NewProject<'_>) -> Result<Project, StoreError> {
    let row = sqlx::query!(
        r#"
        WITH organization AS (
            INSERT INTO organizations (id, name) VALUES ($4, $5)
            ON CONFLICT (name) DO UPDATE SET name = excluded.name
            RETURNING id
        )
        INSERT INTO projects (id, organization_id, name, concurrency, creates_per_minute)
        SELECT $1, organization.id, $2, $3, $6 FROM organization
        RETURNING organization_id, default_timeout_seconds, created_at
        "#,
        new.id.as_uuid(),
        new.name,
        new.limits.concurrency(),
        new.organization.as_uuid(),
        new.organization_name,
        new.limits.creates_per_minute(),
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(Project {
        id: new.id,
        organization: row.organization_id.into(),
        name: new.name.to_owned(),
        default_timeout_seconds: row.default_timeout_seconds,
        concurrency: new.limits.concurrency(),
        creates_per_minute: new.limits.creates_per_minute(),
        active_sessions: 0,
        created_at: row.created_at,
    })
}
