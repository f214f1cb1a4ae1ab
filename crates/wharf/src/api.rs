//! `wharf api`: the control plane. Any number of replicas share one Postgres.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use axum::Router;
use clap::Args;
use tokio::net::TcpListener;
use url::Url;
use wharf_api::Api;
use wharf_control::{Control, reconcile};
use wharf_protocol::SigningKey;
use wharf_store::{Store, StoreError, StoreOptions};

use crate::durations::ControlDurations;
use crate::role::{self, Running};
use crate::serve::{self, Server, StopSignals};
use crate::{control_plane, key_files};

/// Run the control plane: the REST API, workers' reports, reconcilers. Needs `wharf migrate` first.
#[derive(Debug, Args)]
pub(crate) struct ApiRole {
    /// Where to listen.
    #[arg(long, env = "WHARF_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The Postgres to use, as in `postgres://user:password@host/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Connections to Postgres at most. All replicas together stay below what it allows, which is 100 if nothing was
    /// changed there.
    #[arg(long, default_value_t = 20)]
    database_connections: u32,
    /// The private half of the fleet's key pair, as `wharf key-pair` makes it.
    #[arg(long, env = "WHARF_SIGNING_KEY", value_name = "FILE")]
    signing_key: PathBuf,
    /// Where clients reach the gateways, as in `wss://browsers.example.com`; without it, where they sent their request:
    /// right only behind a proxy that gives `/` to the gateways.
    #[arg(long, env = "WHARF_CONNECT_URL", value_parser = control_plane::connect_url)]
    connect_url: Option<Url>,
    #[command(flatten)]
    durations: ControlDurations,
}

impl ApiRole {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let signals = StopSignals::listen()?;
        let signing_key = key_files::signing_key(&self.signing_key)?;
        let listener = serve::bind(self.listen).await?;
        role::run(signals, self.start(listener, signing_key)).await
    }

    async fn start(self, listener: TcpListener, signing_key: SigningKey) -> anyhow::Result<ControlPlane> {
        let store = open(self.database_url, self.database_connections).await?;
        control_plane::warm_up(&store).await;
        let control = control_plane::control(store.clone(), signing_key, self.durations.timings());
        let api = control_plane::api(&control, self.connect_url)?;
        let address = serve::base_url(listener.local_addr()?);
        let server = serve::start(listener, wharf_api::router(api.clone(), Router::new()));
        reconcile::start(&control);
        tracing::info!("the api answers on {address}");
        Ok(ControlPlane {
            server,
            api,
            control,
            store,
        })
    }
}

/// Opens a database that is up to date.
async fn open(url: String, max_connections: u32) -> anyhow::Result<Store> {
    let store = Store::connect(&StoreOptions { url, max_connections })
        .await
        .context("the database cannot be opened; is --database-url right, and does Postgres run?")?;
    match store.check_schema().await {
        Ok(()) => Ok(store),
        Err(error @ StoreError::Migrate(_)) => Err(error)
            .context("the database is not the one that this version of wharf needs; run `wharf migrate` of this version"),
        Err(error) => Err(error).context("the database cannot be looked at"),
    }
}

/// A control plane in this process.
struct ControlPlane {
    server: Server,
    api: Api,
    control: Control,
    store: Store,
}

impl Running for ControlPlane {
    const STOPPING: &'static str = "requests under way are answered; sessions go on";

    /// Never: Postgres may come back, and everything else is asked anew with each request.
    async fn failed(&mut self) -> anyhow::Error {
        std::future::pending().await
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.server.stop().await;
        self.api.drain().await;
        self.control.shutdown().await;
        self.store.close().await;
        Ok(())
    }
}
