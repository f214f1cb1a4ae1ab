//! `GET /readyz`.

use axum::extract::State;
use wharf_control::Control;

use crate::error::{ApiError, ErrorBody};

/// Can it serve requests?
///
/// Asks Postgres. Sessions that run do not need it: this is about new requests.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    operation_id = "readyz",
    responses(
        (status = 200, description = "It can", body = String, content_type = "text/plain"),
        (status = 503, description = "Postgres does not answer", body = ErrorBody),
    ),
)]
pub(crate) async fn handler(State(control): State<Control>) -> Result<&'static str, ApiError> {
    control.ready().await?;
    Ok("ready")
}
