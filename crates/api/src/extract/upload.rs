//! A file in a multipart form, as the generated clients send it.

use axum::body::Bytes;
use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::StatusCode;

use crate::error::ApiError;

/// The form's field.
const FIELD: &str = "file";
/// What a form may hold beside the file: boundaries, and the heads of its fields.
const FORM_BYTES: usize = 64 * 1024;

/// The form's `file`, of at most `MOST` bytes; 413 for a longer one. Other fields are ignored.
#[derive(Debug)]
pub(crate) struct UploadedFile<const MOST: usize>(pub(crate) Bytes);

impl<S: Send + Sync, const MOST: usize> FromRequest<S> for UploadedFile<MOST> {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, ApiError> {
        DefaultBodyLimit::max(MOST + FORM_BYTES).apply(&mut request);
        let mut form = Multipart::from_request(request, state).await.map_err(|_| {
            ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("The body must be multipart/form-data with a field \"{FIELD}\""),
            )
        })?;
        while let Some(field) = form
            .next_field()
            .await
            .map_err(|error| broken::<MOST>(error.status()))?
        {
            if field.name() == Some(FIELD) {
                return whole::<MOST>(field).await.map(Self);
            }
        }
        Err(ApiError::invalid(format!("body/{FIELD} is missing")))
    }
}

async fn whole<const MOST: usize>(field: Field<'_>) -> Result<Bytes, ApiError> {
    let file = field
        .bytes()
        .await
        .map_err(|error| broken::<MOST>(error.status()))?;
    match file.len() > MOST {
        true => Err(broken::<MOST>(StatusCode::PAYLOAD_TOO_LARGE)),
        false => Ok(file),
    }
}

fn broken<const MOST: usize>(status: StatusCode) -> ApiError {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            status,
            format!("body/{FIELD} must not have more than {MOST} bytes"),
        ),
        _ => ApiError::invalid("body is not a whole multipart form"),
    }
}
