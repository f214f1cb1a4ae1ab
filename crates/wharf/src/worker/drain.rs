//! `wharf worker drain`.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::time::sleep;
use wharf_control::{Control, workers};
use wharf_domain::WorkerId;

use crate::connect::Database;
use crate::table;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A worker that has said nothing for longer runs nothing that anybody waits for: its sessions are ended by the api.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// Give a worker no more sessions.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Its id or its name, as `wharf worker list` prints them.
    worker: String,
    /// Do not wait for the sessions that it runs.
    #[arg(long)]
    no_wait: bool,
    /// Take it back: the worker gets sessions again.
    #[arg(long, conflicts_with = "no_wait")]
    undo: bool,
    #[command(flatten)]
    database: Database,
}

impl Drain {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let control = self.database.control().await?;
        let (id, name) = find(&control, &self.worker).await?;
        workers::drain(&control, id, !self.undo).await?;
        if !self.undo && !self.no_wait {
            wait(&control, id, &name).await?;
        }
        let state = if self.undo { "serving" } else { "draining" };
        table::print(
            ["ID", "NAME", "STATE"],
            &[[id.to_string(), name, state.to_owned()]],
        );
        Ok(())
    }
}

async fn find(control: &Control, wanted: &str) -> anyhow::Result<(WorkerId, String)> {
    let found = workers::list(control)
        .await?
        .into_iter()
        .find(|worker| worker.name == wanted || worker.id.to_string() == wanted);
    match found {
        Some(worker) => Ok((worker.id, worker.name)),
        None => bail!("no worker has the id or the name {wanted:?}; `wharf worker list` shows them"),
    }
}

/// Says what is waited for whenever that has changed. Ctrl-C ends the wait, not the drain.
async fn wait(control: &Control, id: WorkerId, name: &str) -> anyhow::Result<()> {
    let mut told = None;
    loop {
        let worker = workers::list(control)
            .await?
            .into_iter()
            .find(|worker| worker.id == id)
            .context("the worker is no longer known")?;
        if worker.used_slots == 0 {
            return Ok(());
        }
        if worker.silent_for.is_none_or(|silent| silent > GONE_AFTER) {
            bail!(
                "worker {name} has not reported for a minute, with {} sessions; it gets no more of them, and the api ends those",
                worker.used_slots
            );
        }
        if told != Some(worker.used_slots) {
            tracing::info!(
                "worker {name} gets no more sessions; waiting for {} to end. Ctrl-C ends the wait and not the drain",
                worker.used_slots
            );
            told = Some(worker.used_slots);
        }
        sleep(LOOK_EVERY).await;
    }
}
