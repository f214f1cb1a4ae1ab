//! `wharf project`.

use clap::{Args, Subcommand};
use wharf_control::projects::{self, CreateProject};
use wharf_domain::ProjectLimits;

use crate::connect::Database;
use crate::table;

/// Make and list projects.
#[derive(Debug, Args)]
pub(crate) struct Project {
    #[command(flatten)]
    database: Database,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a project.
    Create {
        /// Its name.
        name: String,
        /// Sessions that it may run at once.
        #[arg(long, default_value_t = 25)]
        concurrency: i64,
        /// Sessions that it may create in a minute.
        #[arg(long, default_value_t = 60)]
        creates_per_minute: i64,
    },
    /// List the projects.
    List,
}

impl Project {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let control = self.database.control().await?;
        let projects = match self.action {
            Action::Create {
                name,
                concurrency,
                creates_per_minute,
            } => {
                let limits = ProjectLimits::new(concurrency, creates_per_minute)?;
                vec![projects::create(&control, CreateProject { name, limits }).await?]
            }
            Action::List => projects::list_all(&control).await?,
        };
        let rows: Vec<_> = projects
            .into_iter()
            .map(|project| {
                [
                    project.id.to_string(),
                    project.name,
                    format!("{} of {}", project.active_sessions, project.concurrency),
                    project.creates_per_minute.to_string(),
                ]
            })
            .collect();
        table::print(["ID", "NAME", "SESSIONS", "CREATES PER MINUTE"], &rows);
        Ok(())
    }
}
