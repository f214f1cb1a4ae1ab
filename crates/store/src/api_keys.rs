//! The table `api_keys`.

mod create;
mod find;
mod list;
mod revoke;

use wharf_domain::{ApiKeyId, ProjectId, Timestamp};

pub use create::{NewApiKey, create};
pub use find::{FoundApiKey, find};
pub use list::list;
pub use revoke::revoke;

/// What is known of a key. Never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The record's id.
    pub id: ApiKeyId,
    /// The project that the key opens.
    pub project: ProjectId,
    /// What its maker called it.
    pub name: String,
    /// The key's last four characters.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
