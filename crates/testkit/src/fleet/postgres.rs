//! A Postgres that can be killed under load and started again on the same data.

use std::path::Path;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use wharf_postgres::{Options, Server};
use wharf_store::Store;

const DATABASE: &str = "wharf";
const OWNER: &str = "wharf";
/// Several replicas with pools of their own, and the test itself.
const CONNECTIONS: u16 = 200;

/// A durable server with the service's database and the user that `wharf up` would make.
#[derive(Debug)]
pub struct FleetPostgres {
    options: Options,
    server: Option<Server>,
    url: String,
    superuser_url: String,
}

impl FleetPostgres {
    /// Makes the cluster and the empty database, and starts the server.
    pub(super) async fn start_in(folder: &Path) -> anyhow::Result<Self> {
        let mut options = Options::new(folder.join("postgres"), wharf_postgres::find_binaries(None)?);
        options.max_connections = CONNECTIONS;
        let server = wharf_postgres::start(options.clone()).await?;
        let url = server.url_for(DATABASE, OWNER);
        Store::create_database(&server.url(), &url).await?;
        Ok(Self {
            options,
            superuser_url: server.url_for(DATABASE, "postgres"),
            server: Some(server),
            url,
        })
    }

    /// The service's URL. It stays the same over restarts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same database, past the walls.
    pub fn superuser_url(&self) -> &str {
        &self.superuser_url
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.server.is_some()
    }

    /// Ends it as `pg_ctl stop -m immediate` does: nothing is written any more, and the next start recovers.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        let mut server = self.server.take().context("Postgres does not run")?;
        let pid = Pid::from_raw(server.pid()).context("a server has a process")?;
        kill_process(pid, Signal::QUIT)?;
        server.exited().await;
        Ok(())
    }

    /// Starts it again, on the same data.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.server.is_none() {
            self.server = Some(wharf_postgres::start(self.options.clone()).await?);
        }
        Ok(())
    }

    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(server) = self.server.take() {
            server.stop().await?;
        }
        Ok(())
    }
}
