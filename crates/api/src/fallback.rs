//! Answers for requests that no operation takes.

use axum::http::{Method, StatusCode, Uri};

use crate::error::ApiError;

/// No such route.
pub(crate) async fn not_found(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!(
            "Route {method}:{} not found; the API is described at /docs",
            uri.path()
        ),
    )
}

/// A route, but not with this method.
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}
