//! Everything that `wharf up` has started, and the order in which it ends.

use anyhow::anyhow;
use wharf_api::Api;
use wharf_control::Control;
use wharf_gateway::Gateway;
use wharf_worker::Worker;

use super::database::LocalDatabase;
use crate::role::Running;
use crate::serve::Server;

/// A whole Wharf in this process.
pub(super) struct Everything {
    pub(super) worker: Worker,
    pub(super) gateway: Gateway,
    pub(super) server: Server,
    pub(super) api: Api,
    pub(super) control: Control,
    pub(super) database: LocalDatabase,
}

impl Running for Everything {
    const STOPPING: &'static str = "sessions are ended, browsers closed";

    async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            () = self.worker.replaced() => anyhow!(
                "another process registered as this worker: does a second `wharf up` use the same database?"
            ),
            error = self.database.gone() => error,
        }
    }

    /// Ends everything in order. The worker first: its last report goes through the server, and the server's work needs
    /// the control plane, and that the database.
    async fn stop(self) -> anyhow::Result<()> {
        self.worker.shutdown().await;
        self.gateway.shutdown().await;
        self.server.stop().await;
        self.api.drain().await;
        self.control.shutdown().await;
        self.database.close().await
    }
}
