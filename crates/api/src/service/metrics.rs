//! `GET /metrics`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::state::Api;

/// Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4";

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    operation_id = "metrics",
    responses((status = 200, description = "The process's metrics", body = String, content_type = "text/plain")),
)]
pub(crate) async fn handler(State(api): State<Api>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT_FORMAT)], (api.metrics)())
}
