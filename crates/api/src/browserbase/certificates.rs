//! `/v1/certificates`.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::timestamp::WireTimestamp;

/// Certificates that a session can be told to trust.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Certificate {
    /// The id, for `proxySettings.caCertificates`.
    id: Uuid,
    /// When it was uploaded.
    created_at: WireTimestamp,
    /// When it was uploaded: it does not change.
    updated_at: WireTimestamp,
    /// Its project.
    project_id: Uuid,
}

impl From<wharf_store::certificates::Certificate> for Certificate {
    fn from(certificate: wharf_store::certificates::Certificate) -> Self {
        Self {
            id: certificate.id.as_uuid(),
            created_at: WireTimestamp(certificate.created_at),
            updated_at: WireTimestamp(certificate.created_at),
            project_id: certificate.project.as_uuid(),
        }
    }
}
