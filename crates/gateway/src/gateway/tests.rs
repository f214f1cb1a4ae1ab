//! The gateway over real sockets, with a worker and an api that are played by hand.

mod exchange;
mod refusals;
mod tunnels;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use url::Url;
use wharf_domain::{Generation, ManualClock, ProjectId, SeededEntropy, SessionId, Timestamp};
use wharf_protocol::{ConnectClaims, ConnectSigner, ConnectVerifier, Scope, SigningKey};

use super::*;
use crate::RemoteWorkers;

/// A gateway that is served, and all that a test needs to knock at it.
struct Served {
    address: SocketAddr,
    gateway: Gateway,
    signer: ConnectSigner,
    clock: Arc<ManualClock>,
    _server: JoinSet<()>,
}

impl Served {
    async fn start() -> Self {
        Self::with_api("http://127.0.0.1:1/").await
    }

    async fn with_api(api: &str) -> Self {
        let key = SigningKey::generate();
        let clock = Arc::new(ManualClock::starting_at(
            Timestamp::from_timestamp(1_000, 0).unwrap(),
        ));
        let gateway = Gateway::new(GatewayOptions {
            verifier: ConnectVerifier::new(key.verifying_key()),
            clock: clock.clone(),
            workers: Arc::new(RemoteWorkers::default()),
            api: Url::parse(api).unwrap(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = gateway.router();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            gateway,
            signer: ConnectSigner::new(&key),
            clock,
            _server: server,
        }
    }

    /// The token of a session at this worker. It lasts a minute.
    fn token(&self, worker: SocketAddr) -> String {
        self.signer.sign(&claims(worker)).expose().to_owned()
    }

    fn target(&self, worker: SocketAddr) -> String {
        format!("/?signingKey={}", self.token(worker))
    }
}

fn claims(worker: SocketAddr) -> ConnectClaims {
    let (clock, entropy) = (
        ManualClock::starting_at(Timestamp::UNIX_EPOCH),
        SeededEntropy::new(3),
    );
    ConnectClaims {
        session: SessionId::mint(&clock, &entropy),
        project: ProjectId::mint(&clock, &entropy),
        generation: Generation::FIRST,
        worker: worker.to_string(),
        scope: Scope::Connect,
        expires_at: 1_060,
    }
}

/// What is waited for in these tests happens at once, or not at all.
async fn soon<Outcome>(event: impl Future<Output = Outcome>) -> Outcome {
    tokio::time::timeout(Duration::from_secs(10), event)
        .await
        .expect("it has not happened")
}
