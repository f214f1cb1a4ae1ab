//! `POST /upcall/v1/heartbeat`.

use axum::Json;
use axum::extract::State;
use wharf_control::{Control, workers};
use wharf_protocol::{Heartbeat, HeartbeatReply};

use crate::error::{ApiError, ErrorBody};
use crate::extract::{AuthenticatedWorker, JsonBody};

/// A worker reports everything it runs
#[utoipa::path(
    post,
    path = "/upcall/v1/heartbeat",
    tag = "workers",
    operation_id = "worker_heartbeat",
    security(("worker" = [])),
    request_body(content = Object, description = "Every session of the worker, with its usage"),
    responses(
        (status = 200, description = "What to stop, and what to report no more", body = Object),
        (status = 409, description = "A newer process of this worker has registered: stop", body = ErrorBody),
        ApiError,
    ),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    AuthenticatedWorker(caller): AuthenticatedWorker,
    JsonBody(beat): JsonBody<Heartbeat>,
) -> Result<Json<HeartbeatReply>, ApiError> {
    Ok(Json(workers::heartbeat(&control, &caller, beat).await?))
}
