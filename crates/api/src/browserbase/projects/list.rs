//! `GET /v1/projects`.

use axum::Json;
use axum::extract::State;
use wharf_control::{Control, projects};

use super::Project;
use crate::error::ApiError;
use crate::extract::Authenticated;

/// List projects
///
/// The projects that the key opens. A key belongs to one project, so that is one.
#[utoipa::path(
    get,
    path = "/v1/projects",
    tag = "projects",
    operation_id = "projects_list",
    security(("apiKey" = [])),
    responses((status = 200, description = "The projects", body = Vec<Project>), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Vec<Project>>, ApiError> {
    let projects = projects::list(&control, &caller).await?;
    Ok(Json(projects.into_iter().map(Project::from).collect()))
}
