//! `POST /v1/certificates`.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;
use wharf_control::{Control, certificates};

use super::Certificate;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Authenticated, UploadedFile};

/// The form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document only")]
pub(crate) struct CertificateUpload {
    /// One or more certificates in PEM, 65536 bytes at most. A private key does not belong into it, and is refused.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Upload a certificate
///
/// Sessions trust it whose `proxySettings.caCertificates` name it: their pages, and the https proxies of their rules.
#[utoipa::path(
    post,
    path = "/v1/certificates",
    tag = "certificates",
    operation_id = "certificates_create",
    security(("apiKey" = [])),
    request_body(content = CertificateUpload, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "It is stored", body = Certificate),
        (status = 409, description = "The project has as many certificates as it may", body = ErrorBody),
        (status = 413, description = "The file is too large", body = ErrorBody),
        (status = 415, description = "The body is no multipart form", body = ErrorBody),
        ApiError,
    ),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    UploadedFile(file): UploadedFile<{ certificates::MOST_BYTES }>,
) -> Result<Json<Certificate>, ApiError> {
    Ok(Json(certificates::create(&control, &caller, &file).await?.into()))
}
