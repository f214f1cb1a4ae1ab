//! How a refusal or failure looks on the wire: `{statusCode, error, message}`, always, and never more than the caller may
//! know. What we need to know is logged here, once.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{RefOr, ResponseBuilder, content::ContentBuilder, schema::Ref};
use utoipa::{IntoResponses, ToSchema};
use wharf_control::{Error, Window};
use wharf_domain::with_causes;

/// Tells a generated client whether trying again makes sense, against what the status suggests.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody {
    /// The status code again.
    #[schema(example = 404)]
    status_code: u16,
    /// The status' reason phrase.
    #[schema(example = "Not Found")]
    error: String,
    /// What is wrong, and what to do.
    #[schema(example = "Session 01890a5d-ac96-774b-bcce-b302099a8057 not found")]
    message: String,
}

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error with this status and message.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    /// The request's body, query or path makes no sense.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn retry_after(self, after: Duration) -> Self {
        self.with_header(header::RETRY_AFTER, after.as_secs().max(1))
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid(_) => Self::new(StatusCode::BAD_REQUEST, message),
            Error::NotOffered(_) => Self::new(StatusCode::PAYMENT_REQUIRED, message),
            Error::Unauthorized(_) => Self::new(StatusCode::UNAUTHORIZED, message),
            Error::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, message),
            Error::Conflict(_) => Self::new(StatusCode::CONFLICT, message),
            Error::KeyReused => Self::new(StatusCode::CONFLICT, message)
                .with_header(SHOULD_RETRY, HeaderValue::from_static("false")),
            Error::Limit {
                window, retry_after, ..
            } => {
                let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(retry_after);
                error.headers.extend(window_headers(window));
                error
            }
            // A client would repeat any 5xx, and get the same answer.
            Error::NotImplemented(_) => Self::new(StatusCode::NOT_IMPLEMENTED, message)
                .with_header(SHOULD_RETRY, HeaderValue::from_static("false")),
            Error::Unavailable {
                retry_after, source, ..
            } => {
                let error = source.as_ref().map(|source| with_causes(&**source));
                tracing::warn!(error, "{message}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(retry_after)
            }
            Error::Internal(source) => {
                tracing::error!(error = with_causes(&*source), "internal error");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            status_code: self.status.as_u16(),
            error: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            message: self.message,
        };
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Browserbase's headers about session creation. The reset is in seconds from now.
pub(crate) fn window_headers(window: Window) -> [(HeaderName, HeaderValue); 3] {
    [
        (
            HeaderName::from_static("x-ratelimit-limit"),
            HeaderValue::from(window.limit),
        ),
        (
            HeaderName::from_static("x-ratelimit-remaining"),
            HeaderValue::from(window.remaining),
        ),
        (
            HeaderName::from_static("x-ratelimit-reset"),
            HeaderValue::from(window.resets_in.as_secs()),
        ),
    ]
}

impl IntoResponses for ApiError {
    /// Every operation may answer with these; an operation's own documentation adds what is special about it.
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        [
            (
                StatusCode::BAD_REQUEST,
                "The request makes no sense; the message names the field",
            ),
            (StatusCode::UNAUTHORIZED, "The key is missing, unknown or revoked"),
            (
                StatusCode::NOT_FOUND,
                "There is no such thing, or it belongs to another project",
            ),
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The service failed; the log has the reason",
            ),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now; try again after the seconds in Retry-After",
            ),
        ]
        .into_iter()
        .map(|(status, description)| {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("ErrorBody")))
                .build();
            let response = ResponseBuilder::new()
                .description(description)
                .content("application/json", content)
                .build();
            (status.as_u16().to_string(), response.into())
        })
        .collect()
    }
}
