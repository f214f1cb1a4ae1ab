//! The worker's two calls to the control plane.

use std::time::Duration;

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
    #[error("the control plane does not answer: {}", with_causes(.0))]
    Unreachable(reqwest::Error),
    #[error(
        "the control plane does not know this worker's credential; enroll the worker and start it with the new one"
    )]
    Unauthorized,
    #[error("a newer process of this worker has registered")]
    Replaced,
    #[error("the control plane answered {status}: {body}")]
    Refused { status: StatusCode, body: String },
}

/// The control plane, as a worker sees it.
#[derive(Debug, Clone)]
pub(crate) struct ControlPlane {
    http: reqwest::Client,
    base: Url,
    credential: WorkerCredential,
}

impl ControlPlane {
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

    pub(crate) async fn register(&self, request: &RegisterRequest) -> Result<RegisterReply, CallError> {
        self.call(REGISTER_PATH, request).await
    }

    pub(crate) async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply, CallError> {
        self.call(HEARTBEAT_PATH, heartbeat).await
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
            .await
            .map_err(CallError::Unreachable)?;
        match response.status() {
            status if status.is_success() => response.json().await.map_err(CallError::Unreachable),
            StatusCode::UNAUTHORIZED => Err(CallError::Unauthorized),
            StatusCode::CONFLICT => Err(CallError::Replaced),
            status => {
                let body = response.text().await.unwrap_or_default();
                Err(CallError::Refused { status, body })
            }
        }
    }
}
