//! `wharf up`: everything in one process.

mod banner;
mod bootstrap;
mod database;
mod local_workers;
mod running;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use url::Url;
use wharf_api::{Api, ApiOptions};
use wharf_chrome::{BrowserBinary, Isolation, Launcher, LauncherOptions, ProfileRoot};
use wharf_control::{Control, ControlOptions, reconcile, workers};
use wharf_domain::{Region, SystemClock, SystemEntropy, WorkerCredential};
use wharf_gateway::{Gateway, GatewayOptions};
use wharf_protocol::{ConnectVerifier, SigningKey};
use wharf_worker::{WarmOptions, Worker, WorkerOptions};

use crate::data_dir::DataDir;
use database::LocalDatabase;
use local_workers::LocalWorkers;
use running::Running;
use serve::StopSignals;

/// How often workers report.
pub(crate) const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// What a session may need of the machine's memory before it counts as full: a busy page, not an idle one.
const MEMORY_PER_SESSION: u64 = 512 << 20;
const WORKER_NAME: &str = "local";

/// Run everything in one process.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Where to listen for the API and for clients' connections.
    #[arg(long, env = "WHARF_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to keep the database, keys and everything else.
    #[arg(long, env = "WHARF_DATA_DIR", default_value = ".wharf")]
    data_dir: PathBuf,
    /// The regions to serve; all four without.
    #[arg(long = "region", value_name = "NAME", num_args = 1..)]
    regions: Vec<Region>,
    /// A Postgres to use instead of our own, as in `postgres://user:password@host/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Where clients reach us, when that is not where they sent their request, as in `wss://browsers.example.com`.
    #[arg(long, env = "WHARF_CONNECT_URL", value_parser = connect_url)]
    connect_url: Option<Url>,
    /// Sessions that can run at once; by default, one for each 512 MiB of the machine's memory.
    #[arg(long)]
    slots: Option<u32>,
    /// Browsers that wait for a session, ready, so that a create takes milliseconds; 0 starts each when it is asked for.
    /// By default, one a core and two at least, as far as an eighth of the free memory holds them at 256 MiB each.
    #[arg(long, value_name = "N")]
    warm: Option<u32>,
    /// How many seconds a browser may wait before another takes its place.
    #[arg(long, value_name = "SECONDS", default_value_t = WarmOptions::MAX_AGE.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    warm_age: u64,
    /// The Chromium to run; found on the machine without.
    #[arg(long, env = "WHARF_CHROMIUM")]
    chromium: Option<PathBuf>,
    /// The user that browsers run as, when this process is root's.
    #[arg(long, default_value = "nobody")]
    browser_user: String,
    /// What stands between a page and this machine.
    #[arg(long, value_enum, default_value_t = IsolationLevel::Process)]
    isolation: IsolationLevel,
}

/// What stands between a page and the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IsolationLevel {
    /// Chromium's own sandbox.
    Process,
    /// Nothing: for machines that forbid sandboxes, and pages that you wrote yourself.
    None,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut signals = StopSignals::listen()?;
        let binary = wharf_chrome::find_browser(self.chromium.as_deref())?;
        let mut data_dir = DataDir::take(&self.data_dir)?;
        // Before anything slow: a port that is taken should be told at once.
        let listener = serve::bind(self.listen).await?;
        let address = listener.local_addr()?;
        data_dir.hold_as(&format!(
            "process {}, which serves http://{address}",
            std::process::id()
        ))?;

        let mut running = tokio::select! {
            running = self.start(binary, &data_dir, listener) => running?,
            // Dropping what had started ends it; Postgres recovers at the next start.
            () = signals.next() => return Ok(()),
        };
        let outcome = tokio::select! {
            () = signals.next() => Ok(()),
            error = running.failed() => Err(error),
        };
        tracing::info!("stopping: sessions are ended, browsers closed; another Ctrl-C ends at once");
        tokio::select! {
            stopped = running.stop() => stopped?,
            // Browsers and Postgres notice that this process is gone, and end by themselves.
            () = signals.next() => bail!("stopped before everything had ended in order"),
        }
        outcome
    }

    async fn start(
        &self,
        binary: BrowserBinary,
        data_dir: &DataDir,
        listener: TcpListener,
    ) -> anyhow::Result<Running> {
        let database = LocalDatabase::open(self.database_url.as_deref(), data_dir).await?;
        let signing_key = data_dir.signing_key()?;
        let base_url = serve::base_url(listener.local_addr()?);
        let control = Control::new(ControlOptions {
            store: database.store.clone(),
            signing_key: signing_key.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            heartbeat_every: HEARTBEAT_EVERY,
        });
        let (project, key) = bootstrap::project_and_key(&control, data_dir).await?;
        let (_, credential) = workers::enroll(&control, WORKER_NAME).await?;
        let local_workers = LocalWorkers::default();
        let api = self.api(&control)?;
        let gateway = gateway(&signing_key, &base_url, &local_workers);
        let server = serve::start(listener, wharf_api::router(api.clone(), gateway.router()));
        let worker = self
            .start_worker(binary, data_dir, &signing_key, &base_url, credential)
            .await?;
        local_workers.set(worker.tap());
        reconcile::start(&control);

        let base_url = base_url.as_str().trim_end_matches('/');
        let env = data_dir.publish_env(base_url, project, &key)?;
        banner::print(
            base_url,
            project,
            &key,
            &env,
            self.isolation == IsolationLevel::None,
        );
        Ok(Running {
            worker,
            gateway,
            server,
            api,
            control,
            database,
        })
    }

    fn api(&self, control: &Control) -> anyhow::Result<Api> {
        let metrics = wharf_telemetry::start_metrics()?;
        Ok(Api::new(ApiOptions {
            control: control.clone(),
            connect_url: self.connect_url.clone(),
            metrics: Arc::new(move || metrics.render()),
        }))
    }

    async fn start_worker(
        &self,
        binary: BrowserBinary,
        data_dir: &DataDir,
        signing_key: &SigningKey,
        base_url: &Url,
        credential: WorkerCredential,
    ) -> anyhow::Result<Worker> {
        let isolation = match self.isolation {
            IsolationLevel::Process => Isolation::Process,
            IsolationLevel::None => Isolation::None,
        };
        let profiles = data_dir.join("browsers");
        std::fs::create_dir_all(&profiles)?;
        let launcher = Launcher::new(LauncherOptions {
            binary,
            isolation,
            profiles: ProfileRoot::choose(&profiles)?,
            user: self.browser_user.clone(),
        })?;
        let regions = if self.regions.is_empty() {
            Region::ALL.to_vec()
        } else {
            self.regions.clone()
        };
        let slots = self.slots.unwrap_or_else(slots_by_memory);
        Worker::start(WorkerOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            regions,
            slots,
            warm: WarmOptions {
                size: self
                    .warm
                    .unwrap_or_else(|| wharf_worker::default_warm().min(slots)),
                max_age: Duration::from_secs(self.warm_age),
            },
            control: base_url.clone(),
            credential,
            verifying_key: signing_key.verifying_key().clone(),
            launcher: Arc::new(launcher),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
        .await
        .context("the worker did not start")
    }
}

/// A URL that a client can connect to: the path and the query are ours.
fn connect_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let connectable = matches!(url.scheme(), "ws" | "wss" | "http" | "https") && url.has_host();
    if connectable && url.path() == "/" && url.query().is_none() {
        Ok(url)
    } else {
        Err("a scheme and a host are expected, as in wss://browsers.example.com".to_owned())
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

/// As many sessions as fit into the machine's memory, and one at least.
fn slots_by_memory() -> u32 {
    let machine = rustix::system::sysinfo();
    #[expect(
        clippy::useless_conversion,
        reason = "the width of these fields depends on the machine"
    )]
    let memory = u64::from(machine.totalram) * u64::from(machine.mem_unit);
    u32::try_from(memory / MEMORY_PER_SESSION)
        .unwrap_or(u32::MAX)
        .clamp(1, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_scheme_and_a_host_are_a_connect_url() {
        assert!(connect_url("wss://browsers.example.com:8443").is_ok());
        for text in [
            "localhost:9000",
            "wss://",
            "wss://a.example/path",
            "wss://a.example/?b",
            "ftp://a.example",
        ] {
            assert!(connect_url(text).is_err(), "{text}");
        }
    }
}
