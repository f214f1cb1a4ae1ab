//! `GET /v1/certificates/{id}`.

use axum::Json;
use axum::extract::State;
use wharf_control::{Control, certificates};
use wharf_domain::CertificateId;

use super::Certificate;
use crate::error::ApiError;
use crate::extract::{Authenticated, IdPath};

/// Get a certificate
///
/// Its record, without what was uploaded.
#[utoipa::path(
    get,
    path = "/v1/certificates/{id}",
    tag = "certificates",
    operation_id = "certificates_get",
    security(("apiKey" = [])),
    params(("id" = uuid::Uuid, Path, description = "The certificate")),
    responses((status = 200, description = "The certificate", body = Certificate), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdPath(id): IdPath<CertificateId>,
) -> Result<Json<Certificate>, ApiError> {
    Ok(Json(certificates::get(&control, &caller, id).await?.into()))
}
