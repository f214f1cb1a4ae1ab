//! `POST /v1/sessions/release`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use wharf_control::{Control, sessions};

use crate::error::ApiError;
use crate::extract::Authenticated;

/// The sessions that were ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Released {
    /// Their ids.
    released: Vec<Uuid>,
}

/// Release every session of the project
///
/// Ends all that are PENDING or RUNNING when the call comes, and answers which those were. Wharf's addition.
#[utoipa::path(
    post,
    path = "/v1/sessions/release",
    tag = "sessions",
    operation_id = "sessions_release",
    security(("apiKey" = [])),
    responses((status = 200, description = "The sessions that were ended", body = Released), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Released>, ApiError> {
    let released = sessions::release_all(&control, &caller).await?;
    Ok(Json(Released {
        released: released.into_iter().map(|id| id.as_uuid()).collect(),
    }))
}
