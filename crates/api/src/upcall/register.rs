//! `POST /upcall/v1/register`.

use axum::Json;
use axum::extract::State;
use wharf_control::{Control, workers};
use wharf_protocol::{RegisterReply, RegisterRequest};

use crate::error::ApiError;
use crate::extract::{AuthenticatedWorker, JsonBody};

/// A worker's process has started
#[utoipa::path(
    post,
    path = "/upcall/v1/register",
    tag = "workers",
    operation_id = "worker_register",
    security(("worker" = [])),
    request_body(content = Object, description = "The worker's address, regions and slots"),
    responses((status = 200, description = "Who the worker is from now on", body = Object), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    AuthenticatedWorker(caller): AuthenticatedWorker,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> Result<Json<RegisterReply>, ApiError> {
    Ok(Json(workers::register(&control, &caller, request).await?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_where_workers_call() {
        assert!(
            crate::openapi()
                .paths
                .paths
                .contains_key(wharf_protocol::REGISTER_PATH)
        );
        assert!(
            crate::openapi()
                .paths
                .paths
                .contains_key(wharf_protocol::HEARTBEAT_PATH)
        );
    }
}
