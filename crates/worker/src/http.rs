//! The worker's HTTP surface: signed calls from the control plane, clients by way of remote gateways, health.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, State};
use axum::http::{Request, Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use wharf_domain::WorkerId;
use wharf_protocol::{
    CALL_SIGNATURE_HEADER, CONNECT_PATH, CallVerifier, ConnectToken, LAUNCH_PATH, LaunchReply, LaunchRequest,
    REFUSED_FULL, RELEASE_PATH, ReleaseRequest,
};

use crate::agent::{Agent, LaunchRefusal};
use crate::browser::Impossible;
use crate::session::LaunchFailure;
use crate::tap::Tap;
use wharf_tunnel::Refusal;

const HEALTH_PATH: &str = "/healthz";
/// The largest call is a launch: ten certificates of 64 KiB, 500 domains and 20 patterns are 800 KiB, and what JSON escapes in
/// them takes up to six times as much.
const MOST_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What the routes work with.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) agent: Arc<Agent>,
    pub(crate) verifier: CallVerifier,
    /// Whom calls must be signed for.
    pub(crate) worker: WorkerId,
}

pub(crate) fn router(calls: Calls) -> Router {
    Router::new()
        .route(LAUNCH_PATH, post(launch))
        .route(RELEASE_PATH, post(release))
        .route(CONNECT_PATH, get(connect))
        .route(HEALTH_PATH, get(healthy))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .with_state(calls)
}

async fn launch(
    State(calls): State<Calls>,
    Signed(request): Signed<LaunchRequest>,
) -> Result<Json<LaunchReply>, Response<Body>> {
    calls.agent.launch(request).await.map(Json).map_err(refuse)
}

async fn release(
    State(calls): State<Calls>,
    Signed(request): Signed<ReleaseRequest>,
) -> Json<serde_json::Value> {
    calls.agent.release(&request);
    Json(serde_json::json!({}))
}

async fn connect(State(calls): State<Calls>, request: Request<Body>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let token = form_urlencoded::parse(query).find(|(name, _)| name == "signingKey");
    // Without a token, an empty one: forged.
    let token = token.map(|(_, token)| token.into_owned()).unwrap_or_default();
    Tap::new(calls.agent)
        .connect_from_gateway(&ConnectToken::from_client(token), request)
        .await
}

async fn healthy() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}

fn refuse(refusal: LaunchRefusal) -> Response<Body> {
    let (status, message) = match refusal {
        LaunchRefusal::Failure(LaunchFailure::Full) => return refuse_full(),
        LaunchRefusal::Failure(LaunchFailure::Failed(reason)) => (StatusCode::INTERNAL_SERVER_ERROR, reason),
        LaunchRefusal::Failure(LaunchFailure::Impossible(Impossible::Invalid(reason))) => {
            (StatusCode::UNPROCESSABLE_ENTITY, reason)
        }
        LaunchRefusal::Failure(LaunchFailure::Impossible(Impossible::NotOffered(reason))) => {
            (StatusCode::PAYMENT_REQUIRED, reason)
        }
        LaunchRefusal::Failure(LaunchFailure::Impossible(Impossible::NotHere(reason))) => {
            // Neither a worker's own failure nor the caller's: the reason is for the caller.
            (StatusCode::FAILED_DEPENDENCY, reason)
        }
        LaunchRefusal::Failure(LaunchFailure::Ended(reason)) => (
            StatusCode::CONFLICT,
            format!("the session was ended before its browser was ready: {reason}"),
        ),
        LaunchRefusal::Stale => (
            StatusCode::CONFLICT,
            "a later launch of the session is known here, or this one is over".to_owned(),
        ),
        LaunchRefusal::Draining => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the worker is draining; use another".to_owned(),
        ),
        LaunchRefusal::Stopping => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the worker is being stopped; use another".to_owned(),
        ),
    };
    Refusal::new(status, message).into_response()
}

fn refuse_full() -> Response<Body> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = "every slot of the worker is taken; use another";
    let body =
        serde_json::json!({ "statusCode": status.as_u16(), "error": REFUSED_FULL, "message": message });
    (status, Json(body)).into_response()
}

/// A call's body, once it is certain that the control plane has sent it to this worker.
struct Signed<T>(T);

impl<T: DeserializeOwned> FromRequest<Calls> for Signed<T> {
    type Rejection = Response<Body>;

    async fn from_request(request: Request<Body>, calls: &Calls) -> Result<Self, Self::Rejection> {
        let refuse = |status, message: String| Refusal::new(status, message).into_response();
        let path = request.uri().path().to_owned();
        let signature = request
            .headers()
            .get(CALL_SIGNATURE_HEADER)
            .and_then(|value| value.to_str().ok());
        let signature = signature.unwrap_or_default().to_owned();
        let body = Bytes::from_request(request, calls)
            .await
            .map_err(|rejection| refuse(rejection.status(), rejection.body_text()))?;
        calls
            .verifier
            .verify(&signature, calls.worker, &path, &body, &*calls.agent.clock)
            .map_err(|error| refuse(StatusCode::UNAUTHORIZED, error.to_string()))?;
        let request = serde_json::from_slice(&body).map_err(|error| {
            refuse(
                StatusCode::BAD_REQUEST,
                format!("the call does not parse: {error}"),
            )
        })?;
        Ok(Self(request))
    }
}
