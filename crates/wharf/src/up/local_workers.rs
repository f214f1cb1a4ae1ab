//! The gateway's way to the worker in the same process: a function call, no connection in between. Further workers may
//! have joined from elsewhere; those are dialled.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::future::BoxFuture;
use wharf_gateway::{RemoteWorkers, Workers};
use wharf_protocol::{ConnectClaims, ConnectToken};
use wharf_tunnel::Refusal;
use wharf_worker::{Tap, Worker};

/// The worker of this process, once it has started, and all others.
#[derive(Clone, Default)]
pub(super) struct LocalWorkers {
    local: Arc<OnceLock<Local>>,
    elsewhere: RemoteWorkers,
}

struct Local {
    address: String,
    tap: Tap,
}

impl LocalWorkers {
    /// Hands connections to this worker from now on.
    pub(super) fn set(&self, worker: &Worker) {
        self.local.get_or_init(|| Local {
            address: worker.address().to_string(),
            tap: worker.tap(),
        });
    }
}

impl Workers for LocalWorkers {
    fn connect(
        &self,
        claims: ConnectClaims,
        token: ConnectToken,
        request: Request<Body>,
    ) -> BoxFuture<'static, Response<Body>> {
        match self.local.get() {
            Some(local) if local.address == claims.worker => {
                let tap = local.tap.clone();
                Box::pin(async move { tap.connect(&token, request).await })
            }
            Some(_) => self.elsewhere.connect(claims, token, request),
            // The gateway listens a moment before the worker has registered.
            None => Box::pin(async {
                Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the worker is starting; try again in a moment",
                )
                .retry_after(1)
                .into_response()
            }),
        }
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        self.elsewhere.shutdown()
    }
}
