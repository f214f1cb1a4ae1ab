//! The way from a gateway to a session's worker.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::form_urlencoded;
use wharf_protocol::{CONNECT_PATH, ConnectClaims, ConnectToken};

use wharf_tunnel::{Answer, ClientHandshake, Refusal, Side, Traffic};

/// Hands a client, whose token is good, to the worker that its token names.
pub trait Workers: Send + Sync + 'static {
    /// Answers the client's request: 101 and a tunnel, or the worker's refusal. `request` still holds the upgrade.
    fn connect(
        &self,
        claims: ConnectClaims,
        token: ConnectToken,
        request: Request<Body>,
    ) -> BoxFuture<'static, Response<Body>>;

    /// Ends the tunnels that run through this process, and waits until they are gone; their sessions wait for the
    /// clients to come back by another way. Nothing to do for those who hold none.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Workers somewhere in the network: dials the address in the token, and tunnels.
#[derive(Debug, Clone, Default)]
pub struct RemoteWorkers(Arc<Tunnels>);

#[derive(Debug, Default)]
struct Tunnels {
    tasks: TaskTracker,
    cut: CancellationToken,
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

impl Workers for RemoteWorkers {
    fn connect(
        &self,
        claims: ConnectClaims,
        token: ConnectToken,
        request: Request<Body>,
    ) -> BoxFuture<'static, Response<Body>> {
        let (tasks, cut) = (self.0.tasks.clone(), self.0.cut.clone());
        Box::pin(async move {
            connect(&claims, &token, request, &tasks, cut)
                .await
                .unwrap_or_else(IntoResponse::into_response)
        })
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.0.cut.cancel();
        self.0.tasks.close();
        Box::pin(self.0.tasks.wait())
    }
}

async fn connect(
    claims: &ConnectClaims,
    token: &ConnectToken,
    mut request: Request<Body>,
    tasks: &TaskTracker,
    cut: CancellationToken,
) -> Result<Response<Body>, Refusal> {
    let mut client = ClientHandshake::from_request(&mut request)?;
    wharf_tunnel::name_hop(&mut client.headers);
    let session = claims.session;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("signingKey", token.expose())
        .finish();
    let target = format!("{CONNECT_PATH}?{query}");
    let upstream = match wharf_tunnel::dial(&claims.worker, &target, client.headers).await {
        Ok(Answer::Upgraded(upstream)) => upstream,
        Ok(Answer::Refused(refusal)) => return Ok(pass_on(refusal)),
        Err(error) => {
            tracing::warn!(%session, worker = claims.worker, %error, "cannot connect a client to its session's worker: {error}");
            return Err(Refusal::new(
                StatusCode::BAD_GATEWAY,
                "the worker that runs the session does not answer; try again, or create a new session",
            ));
        }
    };
    let response = upstream.switching_protocols();
    tasks.spawn(async move {
        let traffic = Traffic::default();
        let why = match wharf_tunnel::relay(client.upgrade, upstream, &traffic, cut.cancelled_owned()).await {
            Some(Side::Client) => "the client left",
            Some(Side::Upstream) => "the worker ended it",
            None => "the gateway stops",
        };
        tracing::debug!(%session, up = traffic.up(), down = traffic.down(), "a client's tunnel is over: {why}");
    });
    Ok(response)
}

/// The worker's own refusal. Of its headers only those that belong to the body and the client.
fn pass_on(refusal: Response<Bytes>) -> Response<Body> {
    let (head, body) = refusal.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        if let Some(value) = head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
