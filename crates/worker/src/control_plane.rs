//! The worker's two calls to the control plane.

use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use wharf_domain::{WorkerCredential, with_causes};
use wharf_protocol::{
    HEARTBEAT_PATH, Heartbeat, HeartbeatReply, REGISTER_PATH, RegisterReply, RegisterRequest,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A call that did not lead to an answer of use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the control plane does not answer: {0}")]
    Unreachable(String),
    #[error(
        "the control plane does not know this worker's credential; enroll the worker and start it with the new one"
    )]
    Unauthorized,
    #[error("a newer process of this worker has registered")]
    Replaced,
    #[error("the control plane answered {status}: {body}")]
    Refused { status: StatusCode, body: String },
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(with_causes(&error))
    }
}

/// The control plane, as a worker sees it. Tests put in another, with a network that can be cut.
pub(crate) trait ControlPlane: Send + Sync + 'static {
    /// Sent once, until it is answered.
    fn register<'call>(
        &'call self,
        request: &'call RegisterRequest,
    ) -> BoxFuture<'call, Result<RegisterReply, CallError>>;

    /// Sent every few seconds.
    fn heartbeat<'call>(
        &'call self,
        heartbeat: &'call Heartbeat,
    ) -> BoxFuture<'call, Result<HeartbeatReply, CallError>>;
}

/// The control plane over HTTP.
#[derive(Debug)]
pub(crate) struct HttpControlPlane {
    http: reqwest::Client,
    base: Url,
    credential: WorkerCredential,
}

impl HttpControlPlane {
    pub(crate) fn new(base: Url, credential: WorkerCredential) -> Self {
        let http = reqwest::Client::builder()
            // A proxy of the environment is for pages, not for the fleet: it would see keys and credentials.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .expect("a client without TLS and proxies has nothing to fail on");
        Self {
            http,
            base,
            credential,
        }
    }

    async fn call<Reply: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Reply, CallError> {
        let mut address = self.base.clone();
        address.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let response = self
            .http
            .post(address)
            .bearer_auth(self.credential.expose())
            .json(body)
            .send()
            .await?;
        match response.status() {
            status if status.is_success() => Ok(response.json().await?),
            StatusCode::UNAUTHORIZED => Err(CallError::Unauthorized),
            StatusCode::CONFLICT => Err(CallError::Replaced),
            status => {
                let body = response.text().await.unwrap_or_default();
                Err(CallError::Refused { status, body })
            }
        }
    }
}

impl ControlPlane for HttpControlPlane {
    fn register<'call>(
        &'call self,
        request: &'call RegisterRequest,
    ) -> BoxFuture<'call, Result<RegisterReply, CallError>> {
        Box::pin(self.call(REGISTER_PATH, request))
    }

    fn heartbeat<'call>(
        &'call self,
        heartbeat: &'call Heartbeat,
    ) -> BoxFuture<'call, Result<HeartbeatReply, CallError>> {
        Box::pin(self.call(HEARTBEAT_PATH, heartbeat))
    }
}
