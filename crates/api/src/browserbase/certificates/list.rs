//! `GET /v1/certificates`.

use axum::Json;
use axum::extract::State;
use wharf_control::{Control, certificates};

use super::Certificate;
use crate::error::ApiError;
use crate::extract::Authenticated;

/// List certificates
#[utoipa::path(
    get,
    path = "/v1/certificates",
    tag = "certificates",
    operation_id = "certificates_list",
    security(("apiKey" = [])),
    responses((status = 200, description = "The project's, newest first", body = Vec<Certificate>), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Vec<Certificate>>, ApiError> {
    let listed = certificates::list(&control, &caller).await?;
    Ok(Json(listed.into_iter().map(Certificate::from).collect()))
}
