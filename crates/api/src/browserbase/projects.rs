//! `/v1/projects`.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod usage;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::timestamp::WireTimestamp;

/// A project.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Project {
    /// Its id.
    id: Uuid,
    /// When it was made.
    created_at: WireTimestamp,
    /// When it was made: a project's settings do not change yet.
    updated_at: WireTimestamp,
    /// Its name.
    name: String,
    /// The organization that owns it.
    owner_id: Uuid,
    /// The timeout of a session that asks for none, in seconds.
    default_timeout: i32,
    /// Sessions that may run at once.
    concurrency: i32,
}

impl From<wharf_store::projects::Project> for Project {
    fn from(project: wharf_store::projects::Project) -> Self {
        Self {
            id: project.id.as_uuid(),
            created_at: WireTimestamp(project.created_at),
            updated_at: WireTimestamp(project.created_at),
            name: project.name,
            owner_id: project.organization.as_uuid(),
            default_timeout: project.default_timeout_seconds,
            concurrency: project.concurrency,
        }
    }
}
