//! The gateway's way to the worker in the same process: a function call, no connection in between.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use wharf_gateway::Workers;
use wharf_protocol::{ConnectClaims, ConnectToken};
use wharf_tunnel::Refusal;
use wharf_worker::Tap;

/// The worker of this process, once it has started.
#[derive(Clone, Default)]
pub(super) struct LocalWorkers(Arc<OnceLock<Tap>>);

impl LocalWorkers {
    /// Hands connections to this worker from now on.
    pub(super) fn set(&self, tap: Tap) {
        self.0.get_or_init(|| tap);
    }
}

impl Workers for LocalWorkers {
    fn connect(
        &self,
        _: ConnectClaims,
        token: ConnectToken,
        request: Request<Body>,
    ) -> BoxFuture<'static, Response<Body>> {
        let tap = self.0.get().cloned();
        Box::pin(async move {
            match tap {
                Some(tap) => tap.connect(&token, request).await,
                // The gateway listens a moment before the worker has registered.
                None => Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the worker is starting; try again in a moment",
                )
                .retry_after(1)
                .into_response(),
            }
        })
    }
}
