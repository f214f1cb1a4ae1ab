//! The way from a gateway to a session's worker.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
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
            connect(claims, &token, request, &tasks, cut)
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

/// Answers once the worker has. The rest is a task: a handler is dropped when its client hangs up, and a worker that had
/// just let the client in would hear of its leaving as if the gateway had died.
async fn connect(
    claims: ConnectClaims,
    token: &ConnectToken,
    mut request: Request<Body>,
    tasks: &TaskTracker,
    cut: CancellationToken,
) -> Result<Response<Body>, Refusal> {
    let client = ClientHandshake::from_request(&mut request)?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("signingKey", token.expose())
        .finish();
    let target = format!("{CONNECT_PATH}?{query}");
    let (answer, answered) = oneshot::channel();
    tasks.spawn(async move { tunnel(&claims, &target, client, answer, cut).await });
    answered.await.unwrap_or_else(|_| {
        let message = "this gateway stops; connect again";
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(1))
    })
}

async fn tunnel(
    claims: &ConnectClaims,
    target: &str,
    mut client: ClientHandshake,
    answer: oneshot::Sender<Result<Response<Body>, Refusal>>,
    cut: CancellationToken,
) {
    let session = claims.session;
    wharf_tunnel::name_hop(&mut client.headers);
    let dialed = tokio::select! {
        dialed = wharf_tunnel::dial(&claims.worker, target, client.headers) => dialed,
        () = cut.cancelled() => return,
    };
    // An answer cannot be sent when the client is gone: then nobody needs it.
    let upstream = match dialed {
        Ok(Answer::Upgraded(upstream)) => upstream,
        Ok(Answer::Refused(refusal)) => {
            let _ = answer.send(Ok(pass_on(refusal)));
            return;
        }
        Err(error) => {
            tracing::warn!(%session, worker = claims.worker, %error, "cannot connect a client to its session's worker: {error}");
            let message =
                "the worker that runs the session does not answer; try again, or create a new session";
            let _ = answer.send(Err(Refusal::new(StatusCode::BAD_GATEWAY, message)));
            return;
        }
    };
    let _ = answer.send(Ok(upstream.switching_protocols()));
    let traffic = Traffic::default();
    let why = match wharf_tunnel::relay(client.upgrade, upstream, &traffic, cut.cancelled_owned()).await {
        Some(Side::Client) => "the client left",
        Some(Side::Upstream) => "the worker ended it",
        None => "the gateway stops",
    };
    tracing::debug!(%session, up = traffic.up(), down = traffic.down(), "a client's tunnel is over: {why}");
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
