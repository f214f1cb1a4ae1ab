//! `DELETE /v1/certificates/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use wharf_control::{Control, certificates};
use wharf_domain::CertificateId;

use crate::error::ApiError;
use crate::extract::{Authenticated, IdPath};

/// Delete a certificate
///
/// Sessions that run go on trusting it; no new session can name it.
#[utoipa::path(
    delete,
    path = "/v1/certificates/{id}",
    tag = "certificates",
    operation_id = "certificates_delete",
    security(("apiKey" = [])),
    params(("id" = uuid::Uuid, Path, description = "The certificate")),
    responses((status = 204, description = "It is gone"), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdPath(id): IdPath<CertificateId>,
) -> Result<StatusCode, ApiError> {
    certificates::delete(&control, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
