//! `wharf worker enroll`.

use std::path::PathBuf;

use clap::Args;
use wharf_control::workers;

use crate::connect::Database;
use crate::{private_file, table};

/// Make a worker known.
#[derive(Debug, Args)]
pub(crate) struct Enroll {
    /// What to call it. A running worker of this name is replaced.
    name: String,
    /// Write the credential to this file, which only its owner reads, and do not show it.
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
}

impl Enroll {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let control = self.database.control().await?;
        let (id, credential) = workers::enroll(&control, &self.name).await?;
        match self.credential_file {
            Some(file) => {
                private_file::write(&file, &format!("{}\n", credential.expose()))?;
                let row = [id.to_string(), self.name, file.display().to_string()];
                table::print(["ID", "NAME", "CREDENTIAL FILE"], &[row]);
            }
            None => {
                let row = [id.to_string(), self.name, credential.expose().to_owned()];
                table::print(["ID", "NAME", "CREDENTIAL"], &[row]);
            }
        }
        Ok(())
    }
}
