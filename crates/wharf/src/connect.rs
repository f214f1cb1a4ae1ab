//! Which database a command of the administrator means.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use wharf_control::{Control, Timings};
use wharf_protocol::SigningKey;
use wharf_store::{Store, StoreOptions};

use crate::{control_plane, data_dir};

const CONNECTIONS: u32 = 2;

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The Postgres to use, as in `postgres://user:password@host/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// The data directory of a `wharf up` that is running, when there is no database URL.
    #[arg(long, env = "WHARF_DATA_DIR", default_value = ".wharf", global = true)]
    data_dir: PathBuf,
}

impl Database {
    /// Opens the database.
    pub(crate) async fn open(self) -> anyhow::Result<Store> {
        let url = match self.database_url {
            Some(url) => url,
            None => match data_dir::database_url(&self.data_dir)? {
                Some(url) => url,
                None => bail!(
                    "no `wharf up` with a Postgres of its own is running on {}: start it, name another --data-dir, or give --database-url",
                    self.data_dir.display()
                ),
            },
        };
        Store::connect(&StoreOptions {
            url,
            max_connections: CONNECTIONS,
        })
        .await
        .context("the database cannot be opened")
    }

    /// The use cases over that database. No worker is called and no token is signed by an administrator's command, so
    /// any key does.
    pub(crate) async fn control(self) -> anyhow::Result<Control> {
        let timings = Timings::default();
        Ok(control_plane::control(
            self.open().await?,
            SigningKey::generate(),
            timings,
        ))
    }
}
