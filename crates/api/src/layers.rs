//! What happens around every request.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use crate::error::ApiError;
use crate::state::Api;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs the handler to its end even when the client hangs up: axum would drop it half-way, between a row that is written
/// and a browser that is told. A panic becomes a 500 and ends nothing else.
pub(crate) async fn detach(State(api): State<Api>, request: Request, next: Next) -> Response {
    let work = api.tasks.spawn(next.run(request).in_current_span());
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a handler panicked");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "An internal error occurred").into_response()
    })
}

/// Gives the request an id that its log lines and its answer carry, and notes how long it took. The query is never
/// logged: keys travel in it.
pub(crate) async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = api.control.request_id();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let span = tracing::info_span!("request", id = %id.simple(), %method, route);
    let started = std::time::Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = started.elapsed();
    let status = response.status().as_u16();
    metrics::histogram!("wharf_http_request_seconds", "method" => known(&method), "route" => route, "status" => status.to_string())
        .record(took);
    span.in_scope(|| tracing::debug!(status, took_ms = took.as_millis(), "answered"));
    response.headers_mut().insert(REQUEST_ID, header(id));
    response
}

/// A caller may invent methods; each would be a series of its own for ever.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

fn header(id: Uuid) -> HeaderValue {
    HeaderValue::from_str(&id.simple().to_string()).expect("hexadecimal digits are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_method_makes_no_series_of_its_own() {
        assert_eq!(known(&Method::PATCH), "PATCH");
        assert_eq!(
            known(&Method::from_bytes(b"EVIL1").expect("a token is a method")),
            "other"
        );
    }
}
