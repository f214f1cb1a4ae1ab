//! `wharf worker drain`.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::time::{Instant, sleep};
use wharf_control::{Control, workers};
use wharf_domain::WorkerId;
use wharf_store::workers::WorkerRow;

use crate::connect::Database;
use crate::table;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Some reports of a worker's, which come every few seconds.
const SERVES_WITHIN: Duration = Duration::from_secs(30);
/// A worker that has said nothing for longer runs nothing that anybody waits for: its sessions are ended by the api.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// Give a worker no more sessions.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Its id or its name, as `wharf worker list` prints them.
    worker: String,
    /// Do not wait for the sessions that it runs, or until it serves again.
    #[arg(long)]
    no_wait: bool,
    /// Take it back: the worker gets sessions again.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    database: Database,
}

impl Drain {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let control = self.database.control().await?;
        let (id, name) = find(&control, &self.worker).await?;
        workers::drain(&control, id, !self.undo).await?;
        match (self.undo, self.no_wait) {
            (_, true) => {}
            (false, false) => wait(&control, id, &name).await?,
            (true, false) => until_serving(&control, id, &name).await?,
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

/// The worker hears of it with its next report, and says so with the one after.
async fn until_serving(control: &Control, id: WorkerId, name: &str) -> anyhow::Result<()> {
    let since = Instant::now();
    loop {
        let worker = find_by_id(control, id).await?;
        if !worker.draining {
            return Ok(());
        }
        if since.elapsed() > SERVES_WITHIN {
            bail!(
                "the drain of worker {name} is taken back, but the worker has not said that it serves: it does not report, or was \
                 told to end by a signal"
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn find_by_id(control: &Control, id: WorkerId) -> anyhow::Result<WorkerRow> {
    let workers = workers::list(control).await?;
    let worker = workers.into_iter().find(|worker| worker.id == id);
    worker.context("the worker is no longer known")
}

/// Says what is waited for whenever that has changed. Ctrl-C ends the wait, not the drain.
async fn wait(control: &Control, id: WorkerId, name: &str) -> anyhow::Result<()> {
    let mut told = None;
    loop {
        let worker = find_by_id(control, id).await?;
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
