//! The gateway's two addresses, and the order of its checks.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use url::Url;
use wharf_domain::Clock;
use wharf_protocol::{ConnectVerifier, InvalidToken};

use crate::Workers;
use crate::credentials::Credentials;
use crate::exchange::Exchange;
use crate::webdriver;
use wharf_tunnel::Refusal;

/// What a gateway needs to know.
pub struct GatewayOptions {
    /// The public key that connect tokens are checked with.
    pub verifier: ConnectVerifier,
    /// The time of day: tokens end with their sessions.
    pub clock: Arc<dyn Clock>,
    /// The way to the workers.
    pub workers: Arc<dyn Workers>,
    /// The public api's base URL. Asked only for clients that have an API key in place of a token.
    pub api: Url,
}

/// Takes clients' connections and hands them to the workers that run their sessions.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    verifier: ConnectVerifier,
    clock: Arc<dyn Clock>,
    workers: Arc<dyn Workers>,
    exchange: Exchange,
}

impl Gateway {
    /// A gateway. It does nothing until its [`Gateway::router`] is served.
    pub fn new(options: GatewayOptions) -> Self {
        let GatewayOptions {
            verifier,
            clock,
            workers,
            api,
        } = options;
        Self(Arc::new(Inner {
            verifier,
            clock,
            workers,
            exchange: Exchange::new(api),
        }))
    }

    /// `GET /` for CDP clients, `/webdriver` and all below it for Selenium. To be served over HTTP/1.1: a WebSocket
    /// upgrade knows no other.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(connect))
            .route("/webdriver", any(webdriver::refuse))
            .route("/webdriver/{*command}", any(webdriver::refuse))
            .with_state(self.clone())
    }

    /// Ends the tunnels that run through this process, and waits until they are gone: two seconds at most. Clients see
    /// their WebSocket closed with 1012, "service restart"; their sessions go on and wait for them to come back.
    pub async fn shutdown(&self) {
        self.0.workers.shutdown().await;
    }
}

async fn connect(State(gateway): State<Gateway>, request: Request<Body>) -> Response<Body> {
    gateway
        .0
        .connect(request)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

impl Inner {
    async fn connect(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let token = match Credentials::from_request(request.uri().query(), request.headers())? {
            Credentials::Token(token) => token,
            Credentials::Key { key, session } => self.exchange.token(&key, session).await?,
        };
        let claims = self
            .verifier
            .verify(&token, &*self.clock)
            .map_err(|error| match error {
                InvalidToken::Forged => {
                    let message =
                        "the signingKey is not valid: connect to the connectUrl of a session as it was given";
                    Refusal::new(StatusCode::UNAUTHORIZED, message)
                }
                InvalidToken::Expired => {
                    Refusal::new(StatusCode::GONE, "the session has ended; create a new one")
                }
            })?;
        Ok(self.workers.connect(claims, token, request).await)
    }
}
