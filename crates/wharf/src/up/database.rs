//! The database of `wharf up`: its own Postgres, or one that it was given.

use std::future;

use anyhow::{Context, anyhow};
use wharf_postgres::{Options, Server};
use wharf_store::{Store, StoreOptions};

use crate::data_dir::DataDir;

const DATABASE: &str = "wharf";
const OWNER: &str = "wharf";
/// Enough for a busy machine; our own Postgres allows 100.
const CONNECTIONS: u32 = 30;

/// A database that is open and up to date.
pub(super) struct LocalDatabase {
    /// The way to it.
    pub(super) store: Store,
    /// Our own server, unless a database was given.
    server: Option<Server>,
}

impl LocalDatabase {
    /// Opens the database at `url`, or starts our own.
    pub(super) async fn open(url: Option<&str>, data_dir: &DataDir) -> anyhow::Result<Self> {
        let (url, server) = match url {
            Some(url) => (url.to_owned(), None),
            None => {
                let binaries = wharf_postgres::find_binaries(None)?;
                let server = wharf_postgres::start(Options::new(data_dir.join("postgres"), binaries)).await?;
                let url = server.url_for(DATABASE, OWNER);
                Store::create_database(&server.url(), &url).await?;
                data_dir.publish_database_url(&url)?;
                (url, Some(server))
            }
        };
        let store = Store::connect(&StoreOptions {
            url,
            max_connections: CONNECTIONS,
        })
        .await
        .context("the database cannot be opened")?;
        store.migrate().await?;
        Ok(Self { store, server })
    }

    /// Resolves when our own server has ended by itself. One that was given is watched by nobody: it may come back.
    pub(super) async fn gone(&mut self) -> anyhow::Error {
        match &mut self.server {
            Some(server) => {
                let exit = server.exited().await;
                anyhow!(
                    "Postgres ended under us ({exit:?}); {} has its last words",
                    server.log().display()
                )
            }
            None => future::pending().await,
        }
    }

    /// Closes the connections and stops our own server.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.store.close().await;
        if let Some(server) = self.server {
            server.stop().await?;
        }
        Ok(())
    }
}
