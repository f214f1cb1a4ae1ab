//! `GET /healthz`.

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    operation_id = "healthz",
    responses((status = 200, description = "It is", body = String, content_type = "text/plain")),
)]
pub(crate) async fn handler() -> &'static str {
    "ok"
}
