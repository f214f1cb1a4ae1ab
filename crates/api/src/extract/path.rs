//! The id in a path.

use std::str::FromStr;

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use wharf_domain::{CertificateId, ProjectId, SessionId};

use crate::error::ApiError;

/// An id that can stand in a path, and what it is the id of.
pub(crate) trait PathId: FromStr {
    /// What it is the id of.
    const WHAT: &'static str;
}

impl PathId for SessionId {
    const WHAT: &'static str = "Session";
}

impl PathId for CertificateId {
    const WHAT: &'static str = "Certificate";
}

impl PathId for ProjectId {
    const WHAT: &'static str = "Project";
}

/// The path's `{id}`. What is no UUID is nobody's id: not found, like any other id that the caller has no right to.
#[derive(Debug)]
pub(crate) struct IdPath<T>(pub(crate) T);

impl<S: Send + Sync, T: PathId> FromRequestParts<S> for IdPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let id = parts
            .extract::<Path<String>>()
            .await
            .map(|Path(id)| id)
            .unwrap_or_default();
        id.parse()
            .map(Self)
            .map_err(|_| ApiError::new(StatusCode::NOT_FOUND, format!("{} {id} not found", T::WHAT)))
    }
}
