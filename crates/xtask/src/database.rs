//! A Postgres for the length of one command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use wharf_postgres::{Binaries, Durability, Options, Server, find_binaries};

/// Names a running server's `postgres` database, reached as its superuser. `cargo xtask test` sets it for everything
/// that it runs, so that there is one server per run.
pub const ADMIN_URL: &str = "WHARF_TEST_DATABASE_URL";

/// Tests run side by side, each with a pool of its own.
const CONNECTIONS: u16 = 300;

const LOG_LINES: usize = 30;

/// A server, ours or given, and the way to speak to it.
pub struct Database {
    server: Option<Server>,
    url: String,
    psql: PathBuf,
}

impl Database {
    /// Starts a server whose cluster is the folder; its parent must exist.
    pub async fn start(folder: &Path) -> Result<Self> {
        let binaries = find_binaries(None)?;
        let psql = psql(&binaries);
        let mut options = Options::new(folder, binaries);
        options.durability = Durability::Throwaway;
        options.max_connections = CONNECTIONS;
        let server = wharf_postgres::start(options).await?;
        Ok(Self {
            url: server.url(),
            server: Some(server),
            psql,
        })
    }

    /// Takes the run's server when there is one, else starts its own.
    pub async fn given_or_started(folder: &Path) -> Result<Self> {
        match std::env::var(ADMIN_URL) {
            Ok(url) => Ok(Self {
                server: None,
                url,
                psql: psql(&find_binaries(None)?),
            }),
            Err(_) => Self::start(folder).await,
        }
    }

    /// The address of its `postgres` database, as a superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes an empty database and returns its address.
    pub fn create(&self, name: &str) -> Result<String> {
        self.psql(&self.url, &["--command", &format!("CREATE DATABASE {name}")])?;
        Ok(address(&self.url, name))
    }

    /// Runs a file of SQL in one transaction, as the store's own migrator does.
    pub fn apply(&self, name: &str, file: &Path) -> Result<()> {
        let path = file.to_str().context("paths of the repository are text")?;
        self.psql(
            &address(&self.url, name),
            &["--single-transaction", "--file", path],
        )
    }

    /// Drops a database that this object made.
    pub fn discard(&self, name: &str) -> Result<()> {
        self.psql(
            &self.url,
            &["--command", &format!("DROP DATABASE {name} WITH (FORCE)")],
        )
    }

    /// Ends the server if it is ours.
    pub async fn stop(self) -> Result<()> {
        let Some(server) = self.server else { return Ok(()) };
        let log = server.log().to_owned();
        // The log goes with the run's folder, so what it says is said here.
        server
            .stop()
            .await
            .with_context(|| format!("stopping Postgres, whose log ends with\n{}", tail(&log)))
    }

    fn psql(&self, url: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(&self.psql)
            .args([
                "--no-psqlrc",
                "--quiet",
                "--set",
                "ON_ERROR_STOP=1",
                "--dbname",
                url,
            ])
            .args(arguments)
            .output()
            .with_context(|| format!("{} could not be started", self.psql.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "psql {}: {}",
            arguments.join(" "),
            said.trim()
        );
        Ok(())
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// The server's own client where it has one; a server that was linked into another folder has it in PATH.
fn psql(binaries: &Binaries) -> PathBuf {
    let beside = binaries.folder().join("psql");
    if beside.exists() {
        beside
    } else {
        PathBuf::from("psql")
    }
}

/// The same server's other database: only the path of the address changes.
fn address(url: &str, database: &str) -> String {
    let (server, query) = url.split_once('?').unwrap_or((url, ""));
    let end = server.rfind('/').unwrap_or(server.len());
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{}/{database}{separator}{query}", &server[..end])
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn only_the_database_changes() {
        assert_eq!(
            address("postgres://postgres@localhost/postgres?host=%2Ftmp%2Fa", "b"),
            "postgres://postgres@localhost/b?host=%2Ftmp%2Fa"
        );
        assert_eq!(
            address("postgres:///postgres?host=/tmp/a&user=c", "b"),
            "postgres:///b?host=/tmp/a&user=c"
        );
        assert_eq!(
            address("postgres://c@d:5432/postgres", "b"),
            "postgres://c@d:5432/b"
        );
    }
}
