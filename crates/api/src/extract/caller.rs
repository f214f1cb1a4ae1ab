//! Who calls. A handler that takes one of these has been authorised before it runs.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use wharf_control::{Caller, WorkerCaller, authenticate, authenticate_worker};

use crate::error::ApiError;
use crate::state::Api;

/// The header of a project's key; header names do not care for case.
pub(crate) const API_KEY_HEADER: &str = "x-bb-api-key";

/// Somebody who has shown a project's key.
#[derive(Debug)]
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<Api> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let key = parts
            .headers
            .get(API_KEY_HEADER)
            .map(|value| value.to_str().unwrap_or_default());
        Ok(Self(authenticate(&api.control, key).await?))
    }
}

/// A worker that has shown its credential.
#[derive(Debug)]
pub(crate) struct AuthenticatedWorker(pub(crate) WorkerCaller);

impl FromRequestParts<Api> for AuthenticatedWorker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let credential = header.and_then(|value| value.strip_prefix("Bearer "));
        Ok(Self(authenticate_worker(&api.control, credential).await?))
    }
}
