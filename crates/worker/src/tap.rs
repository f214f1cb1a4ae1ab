//! Lets clients into their sessions' browsers.

mod browser_close;
mod carry;
mod frames;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use wharf_protocol::{ConnectToken, InvalidToken, Scope};

use crate::agent::Agent;
use crate::registry::Found;
use crate::session::{Door, Session};
use carry::Carried;
use wharf_tunnel::{Answer, ClientHandshake, Refusal};

/// How long a client should wait for a browser that is starting.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A worker's entrance for clients. A gateway in the same process hands requests over without a connection between.
#[derive(Clone)]
pub struct Tap(Arc<Agent>);

impl Tap {
    pub(crate) const fn new(agent: Arc<Agent>) -> Self {
        Self(agent)
    }

    /// Answers a client's request for a WebSocket: 101 and a tunnel to the browser, or a refusal in JSON.
    ///
    /// The token is verified here too: a worker believes no gateway. 401 forged, 404 unknown session, 410 ended,
    /// 426 no WebSocket, 502 the browser does not answer, 503 not ready yet.
    pub async fn connect(&self, token: &ConnectToken, request: Request<Body>) -> Response<Body> {
        self.admit(token, request, false)
            .await
            .unwrap_or_else(IntoResponse::into_response)
    }

    /// The same for a connection that may come from a remote gateway: one that speaks in a hop's chunks, says so.
    pub(crate) async fn connect_from_gateway(
        &self,
        token: &ConnectToken,
        request: Request<Body>,
    ) -> Response<Body> {
        let by_gateway = wharf_tunnel::names_hop(request.headers());
        self.admit(token, request, by_gateway)
            .await
            .unwrap_or_else(IntoResponse::into_response)
    }

    async fn admit(
        &self,
        token: &ConnectToken,
        mut request: Request<Body>,
        by_gateway: bool,
    ) -> Result<Response<Body>, Refusal> {
        let session = self.session(token)?;
        let endpoint = match session.door() {
            Door::Open(endpoint) => endpoint,
            Door::Closed => return Err(ended()),
            Door::NotYet => {
                let refusal = Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the session's browser is still starting",
                );
                return Err(refusal.retry_after(RETRY_AFTER_SECONDS));
            }
        };
        let client = ClientHandshake::from_request(&mut request)?;
        let upstream = match endpoint.dial(client.headers).await {
            Ok(Answer::Upgraded(upstream)) => upstream,
            Ok(Answer::Refused(answer)) => return Err(bad_gateway(&session, &answer.status())),
            Err(error) => return Err(bad_gateway(&session, &error)),
        };
        // Only now is there a client: one that the browser would not take must not count as one that left.
        let guard = session.join().ok_or_else(ended)?;
        let mut response = upstream.switching_protocols();
        if by_gateway {
            wharf_tunnel::name_hop(response.headers_mut());
        }
        let carried = Carried {
            session,
            guard,
            by_gateway,
            rules: self.0.rules,
        };
        self.0.tasks.spawn(carried.run(client.upgrade, upstream));
        Ok(response)
    }

    fn session(&self, token: &ConnectToken) -> Result<Arc<Session>, Refusal> {
        let claims = self
            .0
            .verifier
            .verify(token, &*self.0.clock)
            .map_err(|error| match error {
                InvalidToken::Forged => Refusal::new(StatusCode::UNAUTHORIZED, "the signingKey is not valid"),
                InvalidToken::Expired => ended(),
            })?;
        // A scope that allows less than driving the browser must not come this way.
        let Scope::Connect = claims.scope;
        match self.0.registry.find(claims.session, claims.generation) {
            Found::Session(session) => Ok(session),
            Found::Ended => Err(ended()),
            Found::Unknown => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "this worker does not run the session",
            )),
        }
    }
}

fn ended() -> Refusal {
    Refusal::new(StatusCode::GONE, "the session has ended; create a new one")
}

fn bad_gateway(session: &Session, error: &dyn std::fmt::Display) -> Refusal {
    tracing::warn!(
        session = %session.id, project = %session.project, generation = session.generation.0, %error,
        "a browser did not take its client: {error}",
    );
    Refusal::new(
        StatusCode::BAD_GATEWAY,
        "the session's browser does not answer; try again, or create a new session",
    )
}
