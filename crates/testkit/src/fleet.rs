//! A whole fleet as real processes: several api replicas, gateways and workers on one Postgres.

mod ports;
mod postgres;
mod role;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use wharf_store::{Store, StoreOptions};

use crate::{ApiClient, Tenant};
pub use postgres::FleetPostgres;
pub use role::{Pids, RoleProcess};

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// The `wharf` to run.
    pub binary: PathBuf,
    /// One a worker.
    pub workers: Vec<FleetWorker>,
    /// Further arguments of every api.
    pub api_arguments: Vec<String>,
}

/// What a worker of a fleet is given.
#[derive(Debug, Clone)]
pub struct FleetWorker {
    /// Sessions at once.
    pub slots: u32,
    /// Its browser; the machine's Chromium without.
    pub browser: Option<PathBuf>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// Where the parts of a fleet listen. They keep their addresses over restarts.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The api replicas.
    pub apis: Vec<SocketAddr>,
    /// The gateways.
    pub gateways: Vec<SocketAddr>,
    /// The workers.
    pub workers: Vec<SocketAddr>,
}

/// Where the parts of a fleet are told to find each other. Whoever puts something in between, such as a proxy that cuts
/// connections, names that here.
#[derive(Debug, Clone)]
pub struct Routes {
    /// Where clients connect, as in `ws://127.0.0.1:9000`.
    pub connect_url: String,
    /// The api's base URL, for each gateway.
    pub api_of_gateway: Vec<String>,
    /// The api's base URL, for each worker.
    pub api_of_worker: Vec<String>,
    /// What each worker says of itself, as `host:port`.
    pub advertised: Vec<String>,
}

/// A fleet. What runs of it is killed when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    /// The api replicas.
    pub apis: Vec<RoleProcess>,
    /// The gateways.
    pub gateways: Vec<RoleProcess>,
    /// The workers.
    pub workers: Vec<RoleProcess>,
    /// Their one database.
    pub postgres: FleetPostgres,
    binary: PathBuf,
    folder: TempDir,
}

impl Addresses {
    /// Free addresses for so many.
    pub fn reserve(apis: usize, gateways: usize, workers: usize) -> anyhow::Result<Self> {
        let reserve = |count| {
            (0..count)
                .map(|_| ports::free_address())
                .collect::<anyhow::Result<Vec<_>>>()
        };
        Ok(Self {
            apis: reserve(apis)?,
            gateways: reserve(gateways)?,
            workers: reserve(workers)?,
        })
    }

    /// Everybody finds everybody without anything in between. Workers are spread over the apis.
    pub fn direct(&self) -> Routes {
        let api = |index: usize| format!("http://{}", self.apis[index % self.apis.len()]);
        Routes {
            connect_url: format!("ws://{}", self.gateways[0]),
            api_of_gateway: (0..self.gateways.len()).map(api).collect(),
            api_of_worker: (0..self.workers.len()).map(api).collect(),
            advertised: self.workers.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Fleet {
    /// Makes the database, the keys and the credentials, and starts every role.
    pub async fn start(options: FleetOptions, addresses: Addresses, routes: &Routes) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("fleet-").tempdir()?;
        let postgres = FleetPostgres::start_in(folder.path()).await?;
        let mut fleet = Self {
            apis: Vec::new(),
            gateways: Vec::new(),
            workers: Vec::new(),
            postgres,
            binary: options.binary.clone(),
            folder,
        };
        let keys = fleet.folder.path().join("keys");
        fleet.administer(["key-pair".into(), keys.clone().into()]).await?;
        fleet.migrate().await?;
        fleet.add_apis(&options, &addresses, routes, &keys);
        fleet.add_gateways(&addresses, routes, &keys);
        fleet.add_workers(&options, &addresses, routes, &keys).await?;
        for role in fleet.roles() {
            role.spawn()?;
        }
        for role in fleet.roles() {
            role.ready().await?;
        }
        Ok(fleet)
    }

    /// Every role, the apis first.
    pub fn roles(&mut self) -> impl Iterator<Item = &mut RoleProcess> {
        self.apis
            .iter_mut()
            .chain(&mut self.gateways)
            .chain(&mut self.workers)
    }

    /// The folder with the logs, until the fleet is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new project with a key.
    pub async fn tenant(
        &self,
        name: &str,
        concurrency: i64,
        creates_per_minute: i64,
    ) -> anyhow::Result<Tenant> {
        let store = Store::connect(&StoreOptions {
            url: self.postgres.url().to_owned(),
            max_connections: 1,
        })
        .await?;
        let tenant = Tenant::create(&store, name, concurrency, creates_per_minute).await;
        store.close().await;
        tenant
    }

    /// The API of one replica, as this tenant sees it.
    pub fn client(&self, api: usize, tenant: &Tenant) -> anyhow::Result<ApiClient> {
        ApiClient::new(
            &format!("http://{}", self.apis[api].address()),
            tenant.key.expose(),
        )
    }

    /// Runs a command of the administrator's on the fleet's database; what it printed.
    pub async fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let database = ["--database-url", self.postgres.url()];
        self.administer(arguments.iter().chain(&database).map(OsString::from))
            .await
    }

    /// Asks every role to end, in an order in which each can still tell the next, and then Postgres. Every process must
    /// have ended in order.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let Self {
            apis,
            gateways,
            workers,
            postgres,
            ..
        } = &mut self;
        for role in workers.iter_mut().chain(gateways).chain(apis) {
            if role.is_paused() {
                role.resume()?;
            }
            if role.is_up() {
                let status = role.stop().await?;
                ensure!(
                    status.success(),
                    "{} ended with {status}: {}",
                    role.name(),
                    role.last_words()
                );
            }
        }
        postgres.stop().await
    }

    async fn migrate(&self) -> anyhow::Result<()> {
        self.command(&["migrate"]).await.map(drop)
    }

    fn add_apis(&mut self, options: &FleetOptions, addresses: &Addresses, routes: &Routes, keys: &Path) {
        for (index, address) in addresses.apis.iter().enumerate() {
            let mut arguments: Vec<OsString> = vec![
                "api".into(),
                "--listen".into(),
                address.to_string().into(),
                "--database-url".into(),
                self.postgres.url().into(),
                "--signing-key".into(),
                keys.join("signing.key").into(),
                "--connect-url".into(),
                routes.connect_url.clone().into(),
            ];
            arguments.extend(options.api_arguments.iter().map(OsString::from));
            let role = self.role(format!("api-{index}"), arguments, *address);
            self.apis.push(role);
        }
    }

    fn add_gateways(&mut self, addresses: &Addresses, routes: &Routes, keys: &Path) {
        for (index, address) in addresses.gateways.iter().enumerate() {
            let arguments = vec![
                "gateway".into(),
                "--listen".into(),
                address.to_string().into(),
                "--verifying-key".into(),
                keys.join("verifying.key").into(),
                "--api".into(),
                routes.api_of_gateway[index].clone().into(),
            ];
            let role = self.role(format!("gateway-{index}"), arguments, *address);
            self.gateways.push(role);
        }
    }

    async fn add_workers(
        &mut self,
        options: &FleetOptions,
        addresses: &Addresses,
        routes: &Routes,
        keys: &Path,
    ) -> anyhow::Result<()> {
        for (index, (worker, address)) in options.workers.iter().zip(&addresses.workers).enumerate() {
            let name = format!("worker-{index}");
            let credential = self.folder.path().join(format!("{name}.credential"));
            let file = credential.to_str().context("a path of ours is UTF-8")?;
            self.command(&["worker", "enroll", &name, "--credential-file", file])
                .await?;
            let mut arguments: Vec<OsString> = vec![
                "worker".into(),
                "--listen".into(),
                address.to_string().into(),
                "--advertise".into(),
                routes.advertised[index].clone().into(),
                "--control".into(),
                routes.api_of_worker[index].clone().into(),
                "--credential-file".into(),
                credential.into(),
                "--verifying-key".into(),
                keys.join("verifying.key").into(),
                "--data-dir".into(),
                self.folder.path().join(&name).into(),
                "--slots".into(),
                worker.slots.to_string().into(),
            ];
            if let Some(browser) = &worker.browser {
                // A fake one is for volume: what a jail costs would be most of it.
                arguments.extend(["--chromium".into(), browser.into()]);
                arguments.extend(["--isolation".into(), "process".into()]);
            }
            arguments.extend(worker.arguments.iter().map(OsString::from));
            let role = self.role(name, arguments, *address);
            self.workers.push(role);
        }
        Ok(())
    }

    fn role(&self, name: String, arguments: Vec<OsString>, address: SocketAddr) -> RoleProcess {
        RoleProcess::new(name, &self.binary, arguments, address, self.folder.path())
    }

    async fn administer(&self, arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<String> {
        let output = Command::new(&self.binary)
            .args(arguments)
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "a command failed: {told}");
        Ok(String::from_utf8(output.stdout)?)
    }
}
