//! `wharf migrate`.

use clap::Args;

use crate::connect::Database;

/// Bring a database up to date.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    database: Database,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let store = self.database.open().await?;
        store.migrate().await?;
        tracing::info!("the database is up to date");
        store.close().await;
        Ok(())
    }
}
