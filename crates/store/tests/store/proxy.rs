//! A slow link to Postgres.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// Passes on what comes, each chunk a while later, in both directions. Ends with the value.
#[derive(Debug)]
pub struct SlowLink {
    folder: TempDir,
    server: PgConnectOptions,
    _accepting: JoinSet<()>,
}

impl SlowLink {
    /// In front of the server at `url`, which must be reached by a Unix socket, as all of ours are.
    pub fn new(url: &str, delay: Duration) -> anyhow::Result<Self> {
        let server: PgConnectOptions = url.parse()?;
        let folder = tempfile::tempdir()?;
        let listener = UnixListener::bind(socket(folder.path(), server.get_port()))?;
        let directory = server
            .get_socket()
            .context("the server listens on a Unix socket")?;
        let target = socket(directory, server.get_port());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, delay));
        Ok(Self {
            folder,
            server,
            _accepting: accepting,
        })
    }

    /// The same database, by the slow way.
    pub fn url(&self) -> anyhow::Result<String> {
        let user = self.server.get_username();
        let database = self.server.get_database().context("the URL names a database")?;
        let (port, folder) = (self.server.get_port(), self.folder.path().display());
        Ok(format!(
            "postgres://{user}@localhost:{port}/{database}?host={folder}"
        ))
    }
}

fn socket(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

async fn accept(listener: UnixListener, target: PathBuf, delay: Duration) {
    let mut links = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = UnixStream::connect(&target).await else {
            continue;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        links.spawn(pass(from_client, to_server, delay));
        links.spawn(pass(from_server, to_client, delay));
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
