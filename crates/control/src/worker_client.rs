//! Signed calls to workers, over kept-alive connections.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wharf_domain::{Clock, WorkerId, with_causes};
use wharf_protocol::{
    CALL_SIGNATURE_HEADER, CallSigner, LAUNCH_PATH, LaunchReply, LaunchRequest, RELEASE_PATH, ReleaseRequest,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// What a launch may take longer than the worker's own deadline for it: the way there and back.
const LAUNCH_SLACK: Duration = Duration::from_secs(2);

/// A worker that did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerCallError {
    #[error("worker {worker} at {address} did not answer: {}", with_causes(.source))]
    Unreachable {
        worker: WorkerId,
        address: String,
        source: reqwest::Error,
    },
    /// No other worker could do it either.
    #[error("worker {worker} at {address} cannot: {message}")]
    Impossible {
        worker: WorkerId,
        address: String,
        /// For the caller.
        message: String,
        /// Whether it is only that the operator does not offer it.
        not_offered: bool,
    },
    /// Something that the session needs does not answer, as seen from there.
    #[error("worker {worker} at {address} cannot at present: {message}")]
    NotNow {
        worker: WorkerId,
        address: String,
        /// For the caller.
        message: String,
    },
    #[error("worker {worker} at {address} answered {status}: {body}")]
    Refused {
        worker: WorkerId,
        address: String,
        status: u16,
        body: String,
    },
}

/// What a worker says with a refusal.
#[derive(Deserialize)]
struct Told {
    message: String,
}

pub(crate) struct WorkerClient {
    http: reqwest::Client,
    signer: CallSigner,
    clock: Arc<dyn Clock>,
}

impl WorkerClient {
    pub(crate) fn new(signer: CallSigner, clock: Arc<dyn Clock>) -> Self {
        let http = reqwest::Client::builder()
            // A proxy of the environment is for pages, not for the fleet: it would see keys and credentials.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            // Shorter than a worker keeps a resting connection open.
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build()
            .expect("a client without TLS and proxies has nothing to fail on");
        Self { http, signer, clock }
    }

    pub(crate) async fn launch(
        &self,
        worker: WorkerId,
        address: &str,
        request: &LaunchRequest,
    ) -> Result<LaunchReply, WorkerCallError> {
        let timeout = Duration::from(request.launch_within) + LAUNCH_SLACK;
        self.call(worker, address, LAUNCH_PATH, request, timeout).await
    }

    pub(crate) async fn release(
        &self,
        worker: WorkerId,
        address: &str,
        request: &ReleaseRequest,
    ) -> Result<(), WorkerCallError> {
        self.call::<_, serde::de::IgnoredAny>(worker, address, RELEASE_PATH, request, RELEASE_TIMEOUT)
            .await?;
        Ok(())
    }

    async fn call<Request: Serialize, Reply: DeserializeOwned>(
        &self,
        worker: WorkerId,
        address: &str,
        path: &str,
        request: &Request,
        timeout: Duration,
    ) -> Result<Reply, WorkerCallError> {
        let body = serde_json::to_vec(request).expect("requests to workers are plain JSON");
        let signature = self.signer.sign(worker, path, &body, &*self.clock);
        let unreachable = |source| WorkerCallError::Unreachable {
            worker,
            address: address.to_owned(),
            source,
        };
        let answer = self
            .http
            .post(format!("http://{address}{path}"))
            .header(CALL_SIGNATURE_HEADER, signature)
            .header("content-type", "application/json")
            .timeout(timeout)
            .body(body)
            .send()
            .await
            .map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(unreachable);
        }
        let body = answer.text().await.map_err(unreachable)?;
        Err(refusal(worker, address.to_owned(), status, body))
    }
}

/// What an answer other than success says.
fn refusal(worker: WorkerId, address: String, status: StatusCode, body: String) -> WorkerCallError {
    match (status, serde_json::from_str(&body)) {
        (StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYMENT_REQUIRED, Ok(Told { message })) => {
            WorkerCallError::Impossible {
                worker,
                address,
                message,
                not_offered: status == StatusCode::PAYMENT_REQUIRED,
            }
        }
        (StatusCode::FAILED_DEPENDENCY, Ok(Told { message })) => WorkerCallError::NotNow {
            worker,
            address,
            message,
        },
        _ => WorkerCallError::Refused {
            worker,
            address,
            status: status.as_u16(),
            body,
        },
    }
}
