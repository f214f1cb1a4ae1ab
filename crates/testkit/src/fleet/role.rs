//! One role of a fleet: a process that can be started, stopped, killed and paused.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// These machines are slow under load, and a worker waits for its control plane.
const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(45);
const ASK_AGAIN: Duration = Duration::from_millis(50);
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// What an error quotes of the log.
const QUOTED_LINES: usize = 15;

/// A role, whether it runs or not.
#[derive(Debug)]
pub struct RoleProcess {
    name: String,
    binary: PathBuf,
    arguments: Vec<OsString>,
    address: SocketAddr,
    log: PathBuf,
    process: Option<Child>,
    paused: bool,
    pids: Pids,
}

/// The ids of every process that a role ever had, for whoever watches what they leave behind.
#[derive(Debug, Clone, Default)]
pub struct Pids(Arc<Mutex<Vec<u32>>>);

impl Pids {
    /// The ids so far, the newest last.
    pub fn all(&self) -> Vec<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, pid: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
    }
}

impl RoleProcess {
    pub(super) fn new(
        name: String,
        binary: &Path,
        arguments: Vec<OsString>,
        address: SocketAddr,
        folder: &Path,
    ) -> Self {
        Self {
            log: folder.join(format!("{name}.log")),
            name,
            binary: binary.to_owned(),
            arguments,
            address,
            process: None,
            paused: false,
            pids: Pids::default(),
        }
    }

    /// As in `api-0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens when it runs.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its log, over all its starts.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The process's id while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    /// The ids of every process that it ever had.
    pub fn pids(&self) -> Pids {
        self.pids.clone()
    }

    /// Whether it was started, and neither stopped nor paused since. It may have ended by itself.
    pub fn is_up(&self) -> bool {
        self.process.is_some() && !self.paused
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Starts the process, and waits for nothing.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            bail!("{} runs already", self.name);
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let process = Command::new(&self.binary)
            .args(&self.arguments)
            .env_remove("DATABASE_URL")
            .env_remove("WHARF_LISTEN")
            // Nobody listens there: whatever asks the environment for a proxy on its way through the fleet is found out.
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("http_proxy", "http://127.0.0.1:9")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.binary.display()))?;
        process.id().into_iter().for_each(|pid| self.pids.add(pid));
        self.process = Some(process);
        Ok(())
    }

    /// Starts the process and waits until it serves.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.ready().await
    }

    /// Waits until it serves. One that has ended instead is an error, and can be started again.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ASK_WITHIN)
            .build()?;
        let url = format!("http://{}/healthz", self.address);
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let answer = http.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                bail!(
                    "{} ended with {status} before it served: {}",
                    self.name,
                    self.last_words()
                );
            }
            if Instant::now() > deadline {
                bail!("{} does not serve: {}", self.name, self.last_words());
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// The status of a process that has ended by itself. From then on it counts as stopped.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(process) = &mut self.process else {
            return Ok(None);
        };
        let status = process.try_wait()?;
        if status.is_some() {
            self.process = None;
        }
        Ok(status)
    }

    /// Asks it to end, as a supervisor does, and waits for it.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let mut process = self.process.take().context("it runs")?;
        match timeout(STOP_WITHIN, process.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} took too long to stop: {}", self.name, self.last_words()),
        }
    }

    /// Ends it as `kill -9` does, and waits for that.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)?;
        let mut process = self.process.take().context("it runs")?;
        process.wait().await?;
        self.paused = false;
        Ok(())
    }

    /// Stops its clock: SIGSTOP.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        self.paused = true;
        Ok(())
    }

    /// Lets it go on: SIGCONT.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)?;
        self.paused = false;
        Ok(())
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let pid = pid.with_context(|| format!("{} does not run", self.name))?;
        Ok(kill_process(pid, signal)?)
    }
}
