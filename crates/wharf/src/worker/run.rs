//! The role itself: browsers, under orders of a control plane somewhere else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use tokio::time::timeout;
use url::Url;
use wharf_domain::{SystemClock, SystemEntropy, WorkerCredential};
use wharf_egress::PrivateAddresses;
use wharf_worker::{BuiltInProxy, Worker, WorkerOptions};

use crate::browsers::BrowserArguments;
use crate::data_dir::DataDir;
use crate::durations::{SessionDurations, seconds};
use crate::role::{self, Running};
use crate::serve::StopSignals;
use crate::up::SPOOL;
use crate::{control_plane, key_files};

/// Run browsers.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Where to listen, for the api and the gateways.
    #[arg(long, env = "WHARF_LISTEN", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Where they reach it, if that is another address.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    advertise: Option<String>,
    /// The api's base URL.
    #[arg(long, env = "WHARF_CONTROL", value_name = "URL", value_parser = control_plane::api_url)]
    control: Url,
    /// A file with the credential that `wharf worker enroll` made.
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
    /// The credential itself, where files are harder to hand over than variables.
    #[arg(long, env = "WHARF_WORKER_CREDENTIAL", hide = true, hide_env_values = true)]
    credential: Option<WorkerCredential>,
    /// The public half of the fleet's key pair.
    #[arg(long, env = "WHARF_VERIFYING_KEY", value_name = "FILE")]
    verifying_key: PathBuf,
    /// A directory of this worker's own: profiles, and what could not be reported yet.
    #[arg(long, env = "WHARF_DATA_DIR", default_value = ".wharf-worker")]
    data_dir: PathBuf,
    /// How long sessions may go on after this process was told to end. It takes no new ones meanwhile.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "21600")]
    drain_within: Duration,
    #[command(flatten)]
    browsers: BrowserArguments,
    #[command(flatten)]
    durations: SessionDurations,
}

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let signals = StopSignals::listen()?;
        let binary = self.browsers.find()?;
        let verifying_key = key_files::verifying_key(&self.verifying_key)?;
        let credential = self.credential()?;
        let mut data_dir = DataDir::take(&self.data_dir)?;
        data_dir.hold_as(&format!("process {}, a worker", std::process::id()))?;
        let profiles = data_dir.join("browsers");
        let start = async {
            let private = PrivateAddresses::Denied;
            let (browsers, _) = self
                .browsers
                .start(binary, &profiles, private, BuiltInProxy::None)
                .await?;
            let worker = Worker::start(WorkerOptions {
                listen: self.listen,
                advertise: self.advertise,
                regions: self.browsers.regions(),
                slots: self.browsers.slots(),
                warm: self.browsers.warm(),
                control: self.control,
                credential,
                verifying_key,
                rules: self.durations.rules(),
                spool: Some(data_dir.join(SPOOL)),
                browsers: browsers.with_grace(self.durations.grace()),
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
            })
            .await?;
            Ok(RunningWorker {
                worker,
                drain_within: self.drain_within,
            })
        };
        role::run(signals, start).await
    }

    fn credential(&self) -> anyhow::Result<WorkerCredential> {
        match (&self.credential_file, &self.credential) {
            (Some(file), _) => key_files::worker_credential(file),
            (None, Some(credential)) => Ok(credential.clone()),
            (None, None) => bail!(
                "a worker shows a credential: make one with `wharf worker enroll NAME`, and give it with --credential-file \
                 or in WHARF_WORKER_CREDENTIAL"
            ),
        }
    }
}

/// An address that others can be told.
fn host_and_port(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').and_then(|(host, port)| {
        let port: u16 = port.parse().ok()?;
        (!host.is_empty() && !host.contains('/') && port > 0).then_some(port)
    });
    match port {
        Some(_) => Ok(text.to_owned()),
        None => Err("host:port is expected, as in worker-1.example.com:8090".to_owned()),
    }
}

struct RunningWorker {
    worker: Worker,
    drain_within: Duration,
}

impl Running for RunningWorker {
    const STOPPING: &'static str = "no new sessions are taken, those that run go on to their end";

    async fn failed(&mut self) -> anyhow::Error {
        self.worker.replaced().await;
        anyhow!(
            "a newer process of this worker has registered, or its credential was taken away by a new `wharf worker enroll`"
        )
    }

    async fn stop(self) -> anyhow::Result<()> {
        let drained = tokio::select! {
            drained = timeout(self.drain_within, self.worker.drain()) => drained.is_ok(),
            // Its sessions are another process's, or lost: nobody waits for them.
            () = self.worker.replaced() => true,
        };
        if !drained {
            let left = self.worker.sessions();
            tracing::warn!(left, "{left} sessions still run, and are ended now");
        }
        self.worker.shutdown().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_address_has_a_host_and_a_port() {
        assert!(host_and_port("worker-1.example.com:8090").is_ok() && host_and_port("[::1]:1").is_ok());
        for text in ["", "worker", ":8090", "worker:", "worker:0", "http://worker:1"] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }
}
