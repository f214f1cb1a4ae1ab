//! `GET /v1/projects/{id}`.

use axum::Json;
use axum::extract::State;
use wharf_control::{Control, projects};
use wharf_domain::ProjectId;

use super::Project;
use crate::error::ApiError;
use crate::extract::{Authenticated, IdPath};

/// Get a project
#[utoipa::path(
    get,
    path = "/v1/projects/{id}",
    tag = "projects",
    operation_id = "projects_get",
    security(("apiKey" = [])),
    params(("id" = uuid::Uuid, Path, description = "The project")),
    responses((status = 200, description = "The project", body = Project), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdPath(id): IdPath<ProjectId>,
) -> Result<Json<Project>, ApiError> {
    Ok(Json(projects::get(&control, &caller, id).await?.into()))
}
