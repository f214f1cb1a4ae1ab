//! `wharf gateway`: clients' connections. It has no database, and needs the api only for clients that show an API key.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use clap::Args;
use url::Url;
use wharf_domain::SystemClock;
use wharf_gateway::{Gateway, GatewayOptions, RemoteWorkers};
use wharf_protocol::ConnectVerifier;
use wharf_tunnel::Refusal;

use crate::role::{self, Running};
use crate::serve::{self, Server, StopSignals};
use crate::{control_plane, key_files};

/// Take clients' connections and hand them to the workers that run their sessions.
#[derive(Debug, Args)]
pub(crate) struct GatewayRole {
    /// Where to listen.
    #[arg(long, env = "WHARF_LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The public half of the fleet's key pair.
    #[arg(long, env = "WHARF_VERIFYING_KEY", value_name = "FILE")]
    verifying_key: PathBuf,
    /// The api's base URL: asked for clients that show an API key in place of a connectUrl.
    #[arg(long, env = "WHARF_API", value_name = "URL", value_parser = control_plane::api_url)]
    api: Url,
}

impl GatewayRole {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let signals = StopSignals::listen()?;
        let verifying_key = key_files::verifying_key(&self.verifying_key)?;
        let listener = serve::bind(self.listen).await?;
        let start = async {
            let address = serve::base_url(listener.local_addr()?);
            let gateway = Gateway::new(GatewayOptions {
                verifier: ConnectVerifier::new(&verifying_key),
                clock: Arc::new(SystemClock),
                workers: Arc::new(RemoteWorkers::default()),
                api: self.api,
            });
            let server = serve::start(listener, router(&gateway));
            tracing::info!("the gateway takes connections on {address}");
            Ok(Tunnels { server, gateway })
        };
        role::run(signals, start).await
    }
}

fn router(gateway: &Gateway) -> Router {
    gateway
        .router()
        .route("/healthz", get(healthz))
        .fallback(not_found)
}

async fn healthz() -> Json<&'static str> {
    Json("ok")
}

async fn not_found() -> Response {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "this is a gateway: connect to the connectUrl of a session as it was given, and send REST calls to the api",
    )
    .into_response()
}

/// A gateway in this process.
struct Tunnels {
    server: Server,
    gateway: Gateway,
}

impl Running for Tunnels {
    const STOPPING: &'static str = "clients are cut off and may connect again by another gateway";

    async fn failed(&mut self) -> anyhow::Error {
        std::future::pending().await
    }

    /// First no more connections, then an end to those there are: none can slip in between.
    async fn stop(self) -> anyhow::Result<()> {
        self.server.stop().await;
        self.gateway.shutdown().await;
        Ok(())
    }
}
