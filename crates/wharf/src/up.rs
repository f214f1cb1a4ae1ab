//! `wharf up`: everything in one process.

mod banner;
mod bootstrap;
mod database;
mod local_workers;
mod running;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use url::Url;
use wharf_chrome::BrowserBinary;
use wharf_control::{reconcile, workers};
use wharf_domain::{SystemClock, SystemEntropy, WorkerCredential};
use wharf_egress::PrivateAddresses;
use wharf_gateway::{Gateway, GatewayOptions};
use wharf_protocol::{ConnectVerifier, SigningKey};
use wharf_worker::{BuiltInProxy, Worker, WorkerOptions};

use crate::browsers::BrowserArguments;
use crate::data_dir::DataDir;
use crate::durations::{ControlDurations, SessionDurations};
use crate::limits::Held;
use crate::serve::{self, StopSignals};
use crate::{control_plane, role};
use banner::Pages;
use database::LocalDatabase;
use local_workers::LocalWorkers;
use running::Everything;

const WORKER_NAME: &str = "local";
/// What the worker could not report yet, in the data directory.
pub(crate) const SPOOL: &str = "unreported.json";

/// Run everything in one process.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where to listen for the API and for clients' connections.
    #[arg(long, env = "WHARF_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to keep the database, keys and everything else.
    #[arg(long, env = "WHARF_DATA_DIR", default_value = ".wharf")]
    data_dir: PathBuf,
    /// A Postgres to use instead of our own, as in `postgres://user:password@host/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Where clients reach us, when that is not where they sent their request, as in `wss://browsers.example.com`.
    #[arg(long, env = "WHARF_CONNECT_URL", value_parser = control_plane::connect_url)]
    connect_url: Option<Url>,
    /// Keep pages from private addresses, localhost among them, which `up` lets them reach for whoever develops there.
    #[arg(long)]
    egress_deny_private: bool,
    #[command(flatten)]
    browsers: BrowserArguments,
    #[command(flatten)]
    durations: ControlDurations,
    #[command(flatten)]
    session_durations: SessionDurations,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let signals = StopSignals::listen()?;
        let binary = self.browsers.find()?;
        let mut data_dir = DataDir::take(&self.data_dir)?;
        // Before anything slow: a port that is taken should be told at once.
        let listener = serve::bind(self.listen).await?;
        let address = listener.local_addr()?;
        data_dir.hold_as(&format!(
            "process {}, which serves http://{address}",
            std::process::id()
        ))?;
        role::run(signals, self.start(binary, &data_dir, listener)).await
    }

    async fn start(
        &self,
        binary: BrowserBinary,
        data_dir: &DataDir,
        listener: TcpListener,
    ) -> anyhow::Result<Everything> {
        let database = LocalDatabase::open(self.database_url.as_deref(), data_dir).await?;
        let signing_key = data_dir.signing_key()?;
        let base_url = serve::base_url(listener.local_addr()?);
        let control = control_plane::control(
            database.store.clone(),
            signing_key.clone(),
            self.durations.timings(),
        );
        let (project, key) = bootstrap::project_and_key(&control, data_dir).await?;
        let (_, credential) = workers::enroll(&control, WORKER_NAME).await?;
        let local_workers = LocalWorkers::default();
        let api = control_plane::api(&control, self.connect_url.clone())?;
        let gateway = gateway(&signing_key, &base_url, &local_workers);
        let server = serve::start(listener, wharf_api::router(api.clone(), gateway.router()));
        let worker = self.start_worker(binary, data_dir, &signing_key, &base_url, credential);
        let (started, ()) = tokio::join!(worker, control_plane::warm_up(&database.store));
        let (worker, held) = started?;
        local_workers.set(&worker);
        reconcile::start(&control);

        let base_url = base_url.as_str().trim_end_matches('/');
        let env = data_dir.publish_env(base_url, project, &key)?;
        banner::print(base_url, project, &key, &env, self.pages(), &held);
        Ok(Everything {
            worker,
            gateway,
            server,
            api,
            control,
            database,
        })
    }

    fn pages(&self) -> Pages {
        match (
            self.browsers.unprotected(),
            self.browsers.jailed(),
            self.egress_deny_private,
        ) {
            (true, ..) => Pages::Unprotected,
            (false, false, _) => Pages::Unjailed,
            (false, true, false) => Pages::Private,
            (false, true, true) => Pages::Public,
        }
    }

    async fn start_worker(
        &self,
        binary: BrowserBinary,
        data_dir: &DataDir,
        signing_key: &SigningKey,
        base_url: &Url,
        credential: WorkerCredential,
    ) -> anyhow::Result<(Worker, Held)> {
        let private = match self.egress_deny_private {
            true => PrivateAddresses::Denied,
            false => PrivateAddresses::Allowed,
        };
        let profiles = data_dir.join("browsers");
        let (browsers, held) = self
            .browsers
            .start(binary, &profiles, private, BuiltInProxy::Direct)
            .await?;
        let worker = Worker::start(WorkerOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            regions: self.browsers.regions(),
            slots: self.browsers.slots(),
            warm: self.browsers.warm(),
            control: base_url.clone(),
            credential,
            verifying_key: signing_key.verifying_key().clone(),
            rules: self.session_durations.rules(),
            spool: Some(data_dir.join(SPOOL)),
            browsers: browsers.with_grace(self.session_durations.grace()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
        .await
        .context("the worker did not start")?;
        Ok((worker, held))
    }
}

fn gateway(signing_key: &SigningKey, base_url: &Url, workers: &LocalWorkers) -> Gateway {
    Gateway::new(GatewayOptions {
        verifier: ConnectVerifier::new(signing_key.verifying_key()),
        clock: Arc::new(SystemClock),
        workers: Arc::new(workers.clone()),
        api: base_url.clone(),
    })
}
