//! `wharf key`.

use clap::{Args, Subcommand};
use wharf_control::api_keys;
use wharf_domain::{ApiKeyId, ProjectId};

use crate::connect::Database;
use crate::table;

/// Make, list and revoke API keys.
#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(flatten)]
    database: Database,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key. It is shown this once.
    Create {
        /// The project that it opens.
        #[arg(long)]
        project: ProjectId,
        /// What to call it.
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List a project's keys; the keys themselves are stored nowhere.
    List {
        /// The project.
        #[arg(long)]
        project: ProjectId,
    },
    /// Revoke a key. It is refused everywhere within five seconds.
    Revoke {
        /// The project.
        #[arg(long)]
        project: ProjectId,
        /// The key's id, as `list` prints it.
        id: ApiKeyId,
    },
}

impl Key {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let control = self.database.control().await?;
        match self.action {
            Action::Create { project, name } => {
                let (id, key) = api_keys::create(&control, project, &name).await?;
                table::print(["ID", "KEY"], &[[id.to_string(), key.expose().to_owned()]]);
            }
            Action::List { project } => {
                let rows: Vec<_> = api_keys::list(&control, project)
                    .await?
                    .into_iter()
                    .map(|key| {
                        let state = key
                            .revoked_at
                            .map_or_else(|| "live".to_owned(), |at| format!("revoked {at:.0?}"));
                        [key.id.to_string(), format!("…{}", key.hint), key.name, state]
                    })
                    .collect();
                table::print(["ID", "ENDS IN", "NAME", "STATE"], &rows);
            }
            Action::Revoke { project, id } => {
                api_keys::revoke(&control, project, id).await?;
                table::print(["ID", "STATE"], &[[id.to_string(), "revoked".to_owned()]]);
            }
        }
        Ok(())
    }
}
