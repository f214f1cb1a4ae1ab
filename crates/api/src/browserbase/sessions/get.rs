//! `GET /v1/sessions/{id}`.

use axum::Json;
use axum::extract::State;
use wharf_control::{Control, sessions};
use wharf_domain::SessionId;

use super::ConnectableSession;
use crate::error::ApiError;
use crate::extract::{Authenticated, IdPath, Origin};

/// Get a session
///
/// While it is PENDING or RUNNING, the answer has `connectUrl`, `seleniumRemoteUrl` and `signingKey`.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}",
    tag = "sessions",
    operation_id = "sessions_get",
    security(("apiKey" = [])),
    params(("id" = uuid::Uuid, Path, description = "The session")),
    responses((status = 200, description = "The session", body = ConnectableSession), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdPath(id): IdPath<SessionId>,
    origin: Origin,
) -> Result<Json<ConnectableSession>, ApiError> {
    Ok(Json(ConnectableSession::new(
        sessions::get(&control, &caller, id).await?,
        &origin,
    )))
}
