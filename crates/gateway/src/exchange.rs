//! An API key and a session id for a token. Old clients connect with these; only the api can judge them.

use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;
use url::Url;
use wharf_domain::{ApiKey, SessionId};
use wharf_protocol::ConnectToken;

use wharf_tunnel::Refusal;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_AFTER_SECONDS: u32 = 2;

/// Asks the public api, as the client itself could.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    http: reqwest::Client,
    api: Url,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    signing_key: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

impl Exchange {
    pub(crate) fn new(api: Url) -> Self {
        let http = reqwest::Client::builder()
            // A proxy of the environment is for pages, not for the fleet: it would see keys and credentials.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .expect("a client without TLS and proxies has nothing to fail on");
        Self { http, api }
    }

    /// The session's token.
    ///
    /// # Errors
    /// The api's own refusal; 410 when the session has ended; 503 when the api does not answer.
    pub(crate) async fn token(&self, key: &ApiKey, session: SessionId) -> Result<ConnectToken, Refusal> {
        let response = self
            .http
            .get(self.address(session))
            .header("x-bb-api-key", key.expose())
            .send()
            .await
            .map_err(|error| unreachable(session, &error.without_url()))?;
        let status = response.status();
        if status.is_success() {
            let session_found: Session = response
                .json()
                .await
                .map_err(|error| unreachable(session, &error.without_url()))?;
            let token = session_found.signing_key.ok_or_else(ended)?;
            return Ok(ConnectToken::from_client(token));
        }
        if !status.is_client_error() {
            return Err(unreachable(session, &status));
        }
        let message = response
            .json()
            .await
            .map_or_else(|_| status.to_string(), |failure: Failure| failure.message);
        Err(Refusal::new(status, message))
    }

    fn address(&self, session: SessionId) -> Url {
        let mut address = self.api.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty()
                .extend(["v1", "sessions", &session.to_string()]);
        }
        address
    }
}

fn ended() -> Refusal {
    Refusal::new(StatusCode::GONE, "the session has ended; create a new one")
}

fn unreachable(session: SessionId, cause: &dyn std::fmt::Display) -> Refusal {
    tracing::warn!(%session, error = %cause, "the api did not answer a gateway: {cause}");
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the session cannot be looked up now; try again, or connect with its connectUrl, which needs no look-up",
    )
    .retry_after(RETRY_AFTER_SECONDS)
}
