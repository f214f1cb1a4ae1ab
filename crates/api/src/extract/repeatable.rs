//! A call that its client may repeat when it gets no answer, and what tells the repetition from another call.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use wharf_control::sessions::RepeatableCall;

use super::body::{parse, read};
use crate::error::ApiError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Generated clients say with each try how often they have tried before; they send no key of their own.
const RETRY_COUNT: HeaderName = HeaderName::from_static("x-stainless-retry-count");
/// The longest `Idempotency-Key`, in bytes.
const LONGEST_KEY: usize = 255;

/// A JSON body, and what its call can be recognised by when it comes again.
#[derive(Debug)]
pub(crate) struct RepeatableBody<T> {
    /// The body.
    pub(crate) body: T,
    /// `None` when the client says nothing about repetitions.
    pub(crate) call: Option<RepeatableCall>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for RepeatableBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let bytes = read(request).await?;
        let body = parse(&bytes).map_err(ApiError::invalid)?;
        let call = call(&headers, &bytes).map_err(ApiError::invalid)?;
        Ok(Self { body, call })
    }
}

fn call(headers: &HeaderMap, body: &Bytes) -> Result<Option<RepeatableCall>, String> {
    let idempotency_key = headers
        .get(IDEMPOTENCY_KEY)
        .map(|value| key(value.as_bytes()))
        .transpose()?;
    // A client that counts otherwise is not one that repeats by itself.
    let retry_count = headers
        .get(RETRY_COUNT)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .filter(|count| (0..=1_000).contains(count));
    if idempotency_key.is_none() && retry_count.is_none() {
        return Ok(None);
    }
    Ok(Some(RepeatableCall {
        idempotency_key,
        retry_count: retry_count.unwrap_or(0),
        body_hash: Sha256::digest(body).into(),
    }))
}

fn key(value: &[u8]) -> Result<String, String> {
    let printable = value.iter().all(|byte| (b' '..=b'~').contains(byte));
    if value.is_empty() || value.len() > LONGEST_KEY || !printable {
        return Err(format!(
            "header Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters"
        ));
    }
    Ok(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(HeaderName, &str)], body: &'static [u8]) -> Result<Option<RepeatableCall>, String> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("a header value")))
            .collect();
        call(&headers, &Bytes::from_static(body))
    }

    #[test]
    fn a_client_that_says_nothing_repeats_nothing() {
        assert_eq!(of(&[], b"{}"), Ok(None));
        assert_eq!(of(&[(RETRY_COUNT, "often")], b"{}"), Ok(None));
    }

    #[test]
    fn a_count_or_a_key_makes_a_call_recognisable_and_its_body_tells_it_apart() {
        let first = of(&[(RETRY_COUNT, "0")], b"{}").unwrap().unwrap();
        let again = of(&[(RETRY_COUNT, "1")], b"{}").unwrap().unwrap();
        let other = of(&[(RETRY_COUNT, "1")], b"{\"keepAlive\":true}")
            .unwrap()
            .unwrap();
        assert_eq!((first.retry_count, again.retry_count), (0, 1));
        assert_eq!(first.body_hash, again.body_hash);
        assert_ne!(again.body_hash, other.body_hash);
        let keyed = of(&[(IDEMPOTENCY_KEY, "job-7")], b"{}").unwrap().unwrap();
        assert_eq!(keyed.idempotency_key.as_deref(), Some("job-7"));
    }

    #[test]
    fn a_key_that_cannot_be_kept_is_refused() {
        let long = "x".repeat(256);
        for bad in ["", long.as_str(), "a\tb"] {
            assert!(of(&[(IDEMPOTENCY_KEY, bad)], b"{}").is_err(), "{bad:?}");
        }
    }
}
