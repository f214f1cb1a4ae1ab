//! `GET /v1/projects/{id}/usage`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use wharf_control::{Control, projects};
use wharf_domain::ProjectId;

use crate::error::ApiError;
use crate::extract::{Authenticated, IdPath};

/// What a project used since the first of the month, UTC.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProjectUsage {
    /// Browser time in minutes. Each session counts whole minutes, the last one rounded up.
    browser_minutes: i64,
    /// Bytes through the sessions' proxies, both directions.
    proxy_bytes: u64,
}

/// Get a project's usage
#[utoipa::path(
    get,
    path = "/v1/projects/{id}/usage",
    tag = "projects",
    operation_id = "projects_usage",
    security(("apiKey" = [])),
    params(("id" = uuid::Uuid, Path, description = "The project")),
    responses((status = 200, description = "The usage of the current month, UTC", body = ProjectUsage), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdPath(id): IdPath<ProjectId>,
) -> Result<Json<ProjectUsage>, ApiError> {
    let usage = projects::usage(&control, &caller, id).await?;
    Ok(Json(ProjectUsage {
        browser_minutes: usage.browser_minutes,
        proxy_bytes: usage.proxy_bytes.0,
    }))
}
