//! The tables `organizations` and `projects`.

mod create;
mod get;
mod list;
mod usage;

use wharf_domain::{OrganizationId, ProjectId, Timestamp};

pub use create::{NewProject, create};
pub use get::get;
pub use list::list;
pub use usage::{ProjectUsage, usage};

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// Its name, unique in the organization.
    pub name: String,
    /// The timeout of a session that asks for none, in seconds.
    pub default_timeout_seconds: i32,
    /// Sessions that may be pending or running at once.
    pub concurrency: i32,
    /// Sessions that may be created in 60 s.
    pub creates_per_minute: i32,
    /// Sessions that are pending or running now.
    pub active_sessions: i32,
    /// When it was made.
    pub created_at: Timestamp,
}
