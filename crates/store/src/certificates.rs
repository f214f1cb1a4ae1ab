//! The table `certificates`.

mod create;
mod delete;
mod get;
mod list;
mod texts;

use wharf_domain::{CertificateId, ProjectId, Timestamp};

pub use create::create;
pub use delete::delete;
pub use get::get;
pub use list::list;
pub use texts::texts;

/// Certificates that were uploaded together. What they say is read by [`texts`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Their id.
    pub id: CertificateId,
    /// Their project.
    pub project: ProjectId,
    /// When they were uploaded.
    pub created_at: Timestamp,
}
