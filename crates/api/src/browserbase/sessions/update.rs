//! `POST /v1/sessions/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wharf_control::{Control, sessions};
use wharf_domain::SessionId;

use super::ConnectableSession;
use crate::error::ApiError;
use crate::extract::{Authenticated, IdPath, JsonBody, Origin};

/// What is to change. There is one thing that can.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(crate) struct UpdateSession {
    /// `REQUEST_RELEASE` ends the session.
    status: RequestedStatus,
    /// The key's project; old clients send it.
    #[schema(value_type = Option<uuid::Uuid>)]
    project_id: Option<String>,
}

/// A status that a caller may ask for.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub(crate) enum RequestedStatus {
    /// End the session.
    #[serde(rename = "REQUEST_RELEASE")]
    RequestRelease,
}

/// Release a session
///
/// Answers at once; the browser is gone a moment later. Releasing an ended session changes nothing.
#[utoipa::path(
    post,
    path = "/v1/sessions/{id}",
    tag = "sessions",
    operation_id = "sessions_update",
    security(("apiKey" = [])),
    params(("id" = uuid::Uuid, Path, description = "The session")),
    request_body = UpdateSession,
    responses((status = 200, description = "The session, ended", body = ConnectableSession), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdPath(id): IdPath<SessionId>,
    origin: Origin,
    JsonBody(body): JsonBody<UpdateSession>,
) -> Result<Json<ConnectableSession>, ApiError> {
    let RequestedStatus::RequestRelease = body.status;
    if let Some(project) = body
        .project_id
        .filter(|project| *project != caller.project().to_string())
    {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            format!("Project {project} not found"),
        ));
    }
    Ok(Json(ConnectableSession::new(
        sessions::release(&control, &caller, id).await?,
        &origin,
    )))
}
